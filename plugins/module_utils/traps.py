# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The form of a trap: a setting that does something else than its author meant."""

from __future__ import annotations

from typing import Any, Iterable, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site


def trap(
    identity: str,
    server: str | None,
    detail: str,
    *,
    file: str | None = None,
    line: int | None = None,
    text: str | None = None,
    site: str | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """One entry of the evidence's ``traps``. ``text`` is that one line; ``size`` is in bytes."""
    return {
        "id": identity,
        "server": server,
        "file": file,
        "line": line,
        "text": text,
        "site": site,
        "detail": detail,
        "size": size,
    }


def only_site(vhost: VirtualHost) -> str | None:
    """The site of a virtual host that has just one."""
    return vhost.sites[0] if len(vhost.sites) == 1 else None


def site_uris(vhost: VirtualHost, sites: Sequence[Site]) -> list[tuple[str, str]]:
    """(site id, path of its xmlrpc.php) of every site that a virtual host serves."""
    return [(site.id, site.url_path + "xmlrpc.php") for site in sites if site.id in vhost.sites]


def unruled_sites(vhosts: Iterable[VirtualHost]) -> list[str]:
    """Sites that no virtual host of theirs has a rule about xmlrpc.php for."""
    found: dict[str, bool] = {}
    for vhost in vhosts:
        for site in vhost.sites:
            found[site] = found.get(site, False) or bool(vhost.xmlrpc_rules)
    return [site for site, ruled in found.items() if not ruled]


def unique(traps: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each once: a line that several virtual hosts include is one trap."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in traps:
        key = (one["id"], one["file"], one["line"], None if one["line"] else one["site"])
        found.setdefault(key, one)
    return list(found.values())
