# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which site, and which endpoints of it, a logged request was for."""

from __future__ import annotations

from typing import NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import request_target
from ansible_collections.wpward.wordpress.plugins.module_utils.access_log import Classes
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site


class _Candidate(NamedTuple):
    id: str
    bases: tuple[str, str]
    names: frozenset[str]


class SiteFinder:
    """Tells the sites apart that share one log."""

    def __init__(self, sites: Sequence[Site], vhosts: Sequence[Vhost]) -> None:
        names = {vhost.id: [name.lower() for name in vhost.server_names] for vhost in vhosts}
        self._candidates = [
            _Candidate(
                site.id,
                (site.url_path, site.home_path),
                frozenset(name for vhost in site.vhosts for name in names.get(vhost, ())),
            )
            for site in sites
        ]

    def site_of(self, target: bytes, host: bytes | None) -> str | None:
        """The site id, or None where the line does not tell.

        ``host``: the format's host field, if it has one.
        """
        if len(self._candidates) == 1:
            return self._candidates[0].id
        candidates = self._candidates
        if host is not None:
            name = host.decode("latin-1").lower().partition(":")[0]
            candidates = [one for one in candidates if name in one.names] or candidates
        parsed = request_target.parse(target, log_escaped=True)
        path = parsed.path + "/" if parsed else "/"
        depth = {
            one.id: max(len(base) for base in one.bases if path.startswith(base))
            for one in candidates
            if path.startswith(one.bases)
        }
        deepest = [site for site, length in depth.items() if length == max(depth.values())]
        return deepest[0] if len(deepest) == 1 else None

    def classify(self, target: bytes, host: bytes | None) -> Classes:
        """The (site, endpoint) pairs that a raw request target counts for."""
        endpoints = request_target.classify(target, log_escaped=True)
        if not endpoints:
            return ()
        site = self.site_of(target, host)
        return tuple((site, endpoint) for endpoint in endpoints)
