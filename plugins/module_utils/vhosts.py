# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a virtual host is to everything that does not care which web server it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Sequence


def is_literal(name: str) -> bool:
    """Whether a server name is one name, and not a pattern for several or nginx's ``_``."""
    return bool(name) and name != "_" and not name.startswith(("~", ".")) and "*" not in name


@dataclass(frozen=True)
class Listen:
    """One address that a virtual host answers on."""

    address: str
    port: int
    unix: str | None
    tls: bool
    default: bool
    proxy_protocol: bool

    def describe(self) -> dict[str, object]:
        if self.unix is not None:
            return {"unix": self.unix}
        return {
            "address": self.address,
            "port": self.port,
            "tls": self.tls,
            "default": self.default,
            "proxy_protocol": self.proxy_protocol,
        }


@dataclass(frozen=True)
class Root:
    """A directory and the URL path it is served under (``/`` or ``/blog/``)."""

    url_path: str
    path: str


@dataclass(frozen=True)
class Log:
    """``format`` is the name of a configured format; with httpd also a format's text itself."""

    path: str
    format: str


@dataclass
class VirtualHost:
    """One server block of nginx or one virtual host of httpd.

    ``line`` is 0 for httpd's main server, which is the whole file. ``sites`` is filled in when
    the WordPress sites are looked for.
    """

    id: str
    file: str
    line: int
    sha256: str
    server_names: list[str]
    listens: list[Listen]
    roots: list[Root]
    access_logs: list[Log]
    error_logs: list[str]
    xmlrpc_rules: list[dict[str, object]]
    sites: list[str]

    def describe_common(self) -> dict[str, object]:
        """What the evidence says of a virtual host of either server."""
        return {
            "id": self.id,
            "file": self.file,
            "line": self.line,
            "sha256": self.sha256,
            "server_names": self.server_names,
            "listens": [listen.describe() for listen in self.listens],
            "roots": sorted({root.path for root in self.roots}),
            "access_logs": [{"path": log.path, "format": log.format} for log in self.access_logs],
            "error_logs": self.error_logs,
            "xmlrpc_rules": self.xmlrpc_rules,
            "sites": self.sites,
        }


def resolve_defaults(vhosts: Sequence[VirtualHost]) -> None:
    """Where none is marked as the default, the first of an address and port is it."""
    taken = {
        (listen.address, listen.port, listen.unix)
        for vhost in vhosts
        for listen in vhost.listens
        if listen.default
    }
    for vhost in vhosts:
        for number, listen in enumerate(vhost.listens):
            key = (listen.address, listen.port, listen.unix)
            if key not in taken:
                taken.add(key)
                vhost.listens[number] = replace(listen, default=True)
