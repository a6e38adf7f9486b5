# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an nginx's proxy_pass leads to."""

from __future__ import annotations

import ipaddress
import re
from typing import Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import blocks
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_locations import (
    Location,
    Server,
    chain,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost

_TARGET = re.compile(
    r"(?P<scheme>https?)://(?:unix:(?P<unix>[^:]+):?"
    r"|(?P<host>\[[^\]]*\]|\$\{?\w+\}?|[^/:$]+)(?::(?P<port>\d+|\$\{?server_port\}?))?)"
    r"(?P<uri>[/$].*)?$"
)
_REQUEST_URI = re.compile(r"\$\{?(?:request_uri|uri|document_uri)\b\}?")
_CLIENT_LAST = re.compile(r"\$\{?(?:remote_addr|proxy_add_x_forwarded_for)\}?$")
SAME_HOST = ("$host", "$http_host", "$server_name", "${host}", "${http_host}")


def upstreams_of(config: Config) -> dict[str, list[str]]:
    """The servers of each ``upstream``, by its name."""
    http = [one for block in blocks(config, "http") for one in config.expand(block.block or ())]
    return {
        one.args[0]: [
            part.args[0] for part in config.expand(one.block) if part.name == "server" and part.args
        ]
        for one in http
        if one.name == "upstream" and one.args and one.block
    }


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


def targets(
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


def listens(vhost: VirtualHost, target: Target, own: Sequence[str]) -> bool | None:
    """Whether it answers there; None where it does as the default."""
    for listen in vhost.listens:
        if target.unix is not None:
            same = listen.unix == target.unix
        elif target.port not in (listen.port, 0):
            same = False
        else:
            any_address = listen.address in ("*", "0.0.0.0", "::", "localhost")
            same = (
                listen.address == target.address
                or (any_address and is_local(target.address, own))
                or (target.address == "localhost" and is_local(listen.address, ()))
            )
        if same:
            return None if listen.default else True
    return False


def _set_headers(server: Server, location: Location, name: str) -> list[str]:
    """The values that nginx gives a header; a level that sets any header inherits none."""
    for level in (*[one.level for one in chain(location)], server.level, server.http):
        headers = [one for one in level if one.name == "proxy_set_header" and len(one.args) == 2]
        if headers:
            return [one.args[1] for one in headers if one.args[0].lower() == name]
    return []


def host_header(server: Server, location: Location, target: Target) -> str:
    return next(reversed(_set_headers(server, location, "host")), target.host)


def tells_client(server: Server, location: Location) -> bool:
    """Whether the last address in X-Forwarded-For is the client as nginx knows it, whatever the
    client wrote there."""
    values = _set_headers(server, location, "x-forwarded-for")
    return bool(values) and all(map(_CLIENT_LAST.search, values))
