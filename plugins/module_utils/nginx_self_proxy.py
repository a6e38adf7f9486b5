# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""proxy_pass that leads back to the location it stands in."""

from __future__ import annotations

import ipaddress
import re
from typing import Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Directive
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_locations import (
    Location,
    Server,
    chain,
    every,
    winner,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost

_TARGET = re.compile(
    r"(?P<scheme>https?)://(?:unix:(?P<unix>[^:]+):?"
    r"|(?P<host>\[[^\]]*\]|\$\{?\w+\}?|[^/:$]+)(?::(?P<port>\d+|\$\{?server_port\}?))?)"
    r"(?P<uri>[/$].*)?$"
)
_REQUEST_URI = re.compile(r"\$\{?(?:request_uri|uri|document_uri)\b\}?")
_SAME_HOST = ("$host", "$http_host", "$server_name", "${host}", "${http_host}")


class Target(NamedTuple):
    """Where a proxy_pass leads to: one address, and the path with the given request's."""

    address: str
    port: int
    unix: str | None
    host: str
    uri: str


def is_local(address: str, own: Sequence[str]) -> bool:
    """Whether packets to it stay on this host."""
    if address in ("localhost", "$server_addr", "${server_addr}") or address in own:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _uri(location: Location, given: str | None, uri: str) -> str:
    if not given:
        return uri
    if "$" in given:
        return _REQUEST_URI.sub(lambda _match: uri, given).partition("?")[0]
    if location.is_regex:
        return uri
    return given + uri[len(location.pattern) :]


def _targets(
    location: Location, value: str, uri: str, upstreams: Mapping[str, Sequence[str]]
) -> Iterator[Target]:
    match = _TARGET.match(value)
    if match is None:
        return
    path = _uri(location, match.group("uri"), uri)
    host = match.group("host") or "localhost"
    default = 443 if match.group("scheme") == "https" else 80
    if match.group("unix"):
        yield Target("", 0, match.group("unix"), "localhost", path)
        return
    port = match.group("port") or str(default)
    for server in upstreams.get(host, [f"{host}:{port}"]):
        if server.startswith("unix:"):
            yield Target("", 0, server[len("unix:") :], host, path)
            continue
        address, _colon, number = server.rpartition(":")
        if not number.isdigit():
            address, number = (address, "0") if number.startswith("$") else (server, "80")
        yield Target(address.strip("[]"), int(number), None, host.strip("[]"), path)


def _listens(vhost: Vhost, target: Target, own: Sequence[str]) -> bool | None:
    """Whether it answers there; None where it does as the default."""
    for listen in vhost.listens:
        if target.unix is not None:
            same = listen.unix == target.unix
        elif target.port not in (listen.port, 0):
            same = False
        else:
            any_address = listen.address in ("*", "0.0.0.0", "::")
            same = listen.address == target.address or (
                (any_address or listen.address == "localhost") and is_local(target.address, own)
            )
        if same:
            return None if listen.default else True
    return False


def _has_name(vhost: Vhost, host: str) -> bool:
    names = [name.lower() for name in vhost.server_names]
    suffixes = [name[1:] for name in names if name.startswith("*.")]
    return host.lower() in names or any(host.lower().endswith(suffix) for suffix in suffixes)


def _host_header(server: Server, location: Location, target: Target) -> str:
    for level in (*[one.level for one in chain(location)], server.level):
        headers = [one for one in level if one.name == "proxy_set_header" and len(one.args) == 2]
        if headers:
            hosts = [one.args[1] for one in headers if one.args[0].lower() == "host"]
            return hosts[-1] if hosts else target.host
    return target.host


def _next(
    servers: Sequence[Server],
    server: Server,
    location: Location,
    target: Target,
    own: Sequence[str],
) -> Server | None:
    """The server block that answers the proxied request; None where it leaves this nginx."""
    answers = [(one, _listens(one.vhost, target, own)) for one in servers]
    answers = [(one, listens) for one, listens in answers if listens is not False]
    if not answers:
        return None
    host = _host_header(server, location, target)
    if host in _SAME_HOST and any(one is server for one, _listens in answers):
        return server
    for one, _listening in answers:
        if _has_name(one.vhost, host):
            return one
    return next((one for one, listens in answers if listens is None), None)


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
        for target in _targets(place, directive.args[0], path, upstreams):
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
