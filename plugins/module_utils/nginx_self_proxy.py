# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""proxy_pass that leads back to the location it stands in."""

from __future__ import annotations

from typing import Iterator, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Directive
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_locations import (
    Location,
    Server,
    every,
    winner,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_proxy import (
    SAME_HOST,
    Target,
    host_header,
    listens,
    targets,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost


def _has_name(vhost: Vhost, host: str) -> bool:
    names = [name.lower() for name in vhost.server_names]
    suffixes = [name[1:] for name in names if name.startswith("*.")]
    return host.lower() in names or any(host.lower().endswith(suffix) for suffix in suffixes)


def _next(
    servers: Sequence[Server],
    server: Server,
    location: Location,
    target: Target,
    own: Sequence[str],
) -> Server | None:
    """The server block that answers the proxied request; None where it leaves this nginx."""
    answers = [(one, listens(one.vhost, target, own)) for one in servers]
    answers = [(one, answering) for one, answering in answers if answering is not False]
    if not answers:
        return None
    host = host_header(server, location, target)
    if host in SAME_HOST and any(one is server for one, _answering in answers):
        return server
    for one, _listening in answers:
        if _has_name(one.vhost, host):
            return one
    return next((one for one, answering in answers if answering is None), None)


def _pass_of(location: Location) -> Directive | None:
    found = [one for one in location.level if one.name == "proxy_pass" and one.args]
    return found[-1] if found else None


def _comes_back(
    servers: Sequence[Server],
    server: Server,
    location: Location,
    uri: str,
    upstreams: Mapping[str, Sequence[str]],
    own: Sequence[str],
) -> bool:
    waiting = [(server, location, uri)]
    seen: set[tuple[int, int]] = set()
    while waiting:
        here, place, path = waiting.pop()
        directive = _pass_of(place)
        if directive is None or (id(here), id(place)) in seen:
            continue
        seen.add((id(here), id(place)))
        for target in targets(place, directive.args[0], path, upstreams):
            following = _next(servers, here, place, target, own)
            taken = winner(following.locations, target.uri) if following else None
            if taken is location:
                return True
            if following is not None and taken is not None:
                waiting.append((following, taken, target.uri))
    return False


def loops(
    servers: Sequence[Server],
    server: Server,
    upstreams: Mapping[str, Sequence[str]],
    own: Sequence[str],
    paths: Sequence[str],
) -> Iterator[Directive]:
    """Every proxy_pass of a server block whose request comes back to its own location.

    ``own``: the host's addresses beside loopback. ``paths``: requests to try beside each
    location's own.
    """
    for location in every(server.locations):
        directive = _pass_of(location)
        if directive is None or location.modifier == "@":
            continue
        own_path = [] if location.is_regex else [location.pattern]
        for path in (*own_path, *paths):
            if winner(server.locations, path) is location and _comes_back(
                servers, server, location, path, upstreams, own
            ):
                yield directive
                break
