# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which site, and which endpoints of it, a logged request was for."""

from __future__ import annotations

import re
from typing import NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import request_target
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import Classes
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site


def needles(endpoints: Sequence[Endpoint]) -> tuple[bytes, ...]:
    """Words of which a request target without escapes holds at least one, in lower case, if it
    reaches any of the endpoints; no words where the catalogue does not yield them.

    Looking for them is twenty times cheaper than classifying, and most requests hold none.
    """
    words: set[str] = set()
    for endpoint in endpoints:
        # A path's literal part, before its first group; PHP mangles what joins a name's words.
        literals = [path.split("(")[0] for path in endpoint.paths]
        names = [parameter.name for parameter in endpoint.parameters]
        for text in literals + names:
            found = re.findall(r"(?<![\\a-z0-9])[a-z0-9]{4,}(?![a-z0-9?*+{])", text.lower())
            if not found:
                return ()
            words.add(max(found, key=len))
    return tuple(sorted(word.encode() for word in words))


_NEEDLES = needles(ENDPOINTS)


def may_reach_an_endpoint(target: bytes) -> bool:
    """False only for a target that surely reaches none."""
    if not _NEEDLES or b"%" in target or b"\\" in target:
        return True
    lowered = target.lower()
    return any(needle in lowered for needle in _NEEDLES)


class _Candidate(NamedTuple):
    id: str
    bases: tuple[str, str]
    names: frozenset[str]


class SiteFinder:
    """Tells the sites apart that share one log."""

    def __init__(self, sites: Sequence[Site], vhosts: Sequence[VirtualHost]) -> None:
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
            if len(candidates) == 1:
                return candidates[0].id
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
        if not may_reach_an_endpoint(target):
            return ()
        endpoints = request_target.classify(target, log_escaped=True)
        if not endpoints:
            return ()
        site = self.site_of(target, host)
        return tuple((site, endpoint) for endpoint in endpoints)
