# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What httpd's main server and its virtual hosts say, with what they inherit."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import Iterable, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_logs
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_layout import FILE_NAME
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import (
    Listen,
    Root,
    VirtualHost,
    resolve_defaults,
)

_ADDRESS = re.compile(r"(?P<address>\[[^\]]*\]|[^:\[\]]+)(?::(?P<port>\d+|\*))?$")
_LISTEN = re.compile(r"(?:(?P<address>\[[^\]]*\]|[^:\[\]]+):)?(?P<port>\d+)$")
_SERVER_NAME = re.compile(r"(?:https?://)?(?P<name>[^:/]+|\[[^\]]*\])(?::\d+)?$")
_PROXY_PROTOCOL = "remoteipproxyprotocol"
_ANY = ("*", "_default_", "0.0.0.0")


@dataclass
class HttpdVhost(VirtualHost):
    """One virtual host, or the main server where it answers itself.

    ``own`` are its directives, ``main`` the main server's outside of every virtual host (empty for
    the main server itself), ``modules`` those that are loaded. ``closed``: whether the file of
    role endpoints, which is none of those directives, is loaded. ``fronted``: whether an nginx of
    this host passes requests on to it, see server_fronts.
    """

    own: tuple[Directive, ...]
    main: tuple[Directive, ...]
    modules: frozenset[str]
    closed: bool
    fronted: bool = False

    def describe(self) -> dict[str, object]:
        """The evidence's form."""
        return {"server": "httpd", "fronted": self.fronted, **self.describe_common()}


def walk(directives: Iterable[Directive]) -> Iterator[Directive]:
    """Every directive, those within sections after their section."""
    for one in directives:
        yield one
        if one.block:
            yield from walk(one.block)


def last(level: Sequence[Directive], name: str) -> Directive | None:
    """The one that counts of a directive that is given several times."""
    found = [one for one in level if one.name == name and one.args]
    return found[-1] if found else None


def shown(directive: Directive) -> str:
    """Its line for a person to read, without the values of variables."""
    return directive.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:200]


def is_on(level: Sequence[Directive], name: str) -> bool | None:
    """An On/Off directive; None where this level does not say."""
    found = last(level, name)
    return None if found is None else found.args[0].lower() == "on"


def _is_any(argument: str) -> bool:
    match = _ADDRESS.match(argument)
    return match is not None and match.group("address") in _ANY


class _Reader:
    def __init__(self, config: Config, default_root: str | None, problems: Problems) -> None:
        self._config = config
        self._known = config.known
        self._problems = problems
        self._default_root = default_root
        main = tuple(one for one in config.directives if one.name != "virtualhost")
        self._logs = httpd_logs.Logs(main, self._known, problems)
        # What role endpoints wrote is neither a rule of the sites nor a trap.
        self._main = tuple(one for one in main if posixpath.basename(one.file) != FILE_NAME)
        self._closed = len(self._main) < len(main)
        self._listens = self._main_listens()
        # Where one is not understood here, no port is said to be closed.
        self._sure = len(self._listens) == len([one for one in self._main if one.name == "listen"])

    def _main_listens(self) -> list[Listen]:
        found: list[Listen] = []
        for one in self._main:
            match = _LISTEN.match(one.args[0]) if one.name == "listen" and one.args else None
            if match is not None:
                address = (match.group("address") or "*").strip("[]")
                address = "*" if address in _ANY else address
                tls = len(one.args) > 1 and one.args[1].lower() == "https"
                found.append(Listen(address, int(match.group("port")), None, tls, False, False))
        return found

    def _sockets(self, address: str, port: int) -> list[str]:
        """Where a virtual host of any address really answers on a port: on the addresses that
        ``Listen`` names; nowhere if it names none."""
        if address != "*":
            return [address]
        found = [one.address for one in self._listens if one.port == port]
        if not found:
            return [] if self._sure else [address]
        return [address] if "*" in found else found

    def _listen(self, argument: str, tls: bool) -> list[Listen]:
        match = _ADDRESS.match(argument)
        if match is None:
            return []
        address = match.group("address").strip("[]")
        address = "*" if address in _ANY else address
        port = match.group("port")
        tls_ports = {one.port for one in self._listens if one.tls}
        if port in (None, "*"):
            ports = list(dict.fromkeys(one.port for one in self._listens))
        else:
            ports = [int(port)]
        return [
            Listen(socket, number, None, tls or number in tls_ports, False, False)
            for number in ports
            for socket in self._sockets(address, number)
        ]

    def _names(self, own: Sequence[Directive], addresses: Sequence[str]) -> list[str]:
        given = last(own, "servername")
        # A virtual host of any address inherits the name; one of its own asks reverse DNS.
        if given is None and all(_is_any(one) for one in addresses):
            given = last(self._main, "servername")
        match = _SERVER_NAME.match(given.args[0]) if given else None
        names = [match.group("name")] if match else []
        names += [name for one in own if one.name == "serveralias" for name in one.args]
        return list(dict.fromkeys(names))

    def _root_unknown(self, where: str, directive: Directive) -> None:
        self._problems.add(
            "root_unknown",
            f"{where} has the {directive.text.split()[0]} {' '.join(directive.args)}, which the "
            "configuration does not resolve; WordPress sites below it are not seen.",
        )

    def _aliases(self, level: Sequence[Directive], location: str | None) -> Iterator[Root]:
        for one in level:
            if one.name == "alias" and len(one.args) == (1 if location else 2):
                url_path = "/" + (location or one.args[0]).strip("/") + "/"
                yield Root(
                    "/" if url_path == "//" else url_path, self._known.absolute(one.args[-1])
                )
            elif one.name == "location" and one.block and len(one.args) == 1 and not location:
                yield from self._aliases(one.block, one.args[0])

    def _roots(self, own: Sequence[Directive], where: str) -> list[Root]:
        found: list[Root] = []
        given = last(own, "documentroot") or last(self._main, "documentroot")
        if given is not None and "${" in given.args[0]:
            self._root_unknown(where, given)
        elif given is not None:
            found.append(Root("/", self._known.absolute(given.args[0])))
        elif self._default_root is not None:
            found.append(Root("/", self._default_root))
        for name in ("virtualdocumentroot", "virtualdocumentrootip"):
            computed = last(own, name) or last(self._main, name)
            if computed is not None and computed.args[0].lower() != "none":
                self._root_unknown(where, computed)
        found += [*self._aliases(own, None), *self._aliases(self._main, None)]
        return list(dict.fromkeys(root for root in found if "${" not in root.path))

    def _rules(self, level: Sequence[Directive]) -> list[dict[str, object]]:
        return [
            {"file": one.file, "line": one.line, "text": shown(one)}
            for one in walk(level)
            if "xmlrpc" in one.text.lower()
        ]

    def _vhost(
        self,
        own: tuple[Directive, ...],
        file: str,
        line: int,
        listens: list[Listen],
        addresses: Sequence[str] = (),
    ) -> HttpdVhost:
        """``addresses``: as the virtual host's own line has them."""
        real = real_path(file)
        is_main = line == 0
        where = f"The main server of {file}" if is_main else f"The virtual host at {file}:{line}"
        read = self._config.files.get(file)
        return HttpdVhost(
            id=f"httpd:{real}:{line}",
            file=real,
            line=line,
            sha256=read.sha256 if read else "",
            server_names=self._names(own, addresses),
            listens=list(dict.fromkeys(listens)),
            roots=self._roots(own, where),
            access_logs=self._logs.access(own),
            error_logs=self._logs.errors(own),
            xmlrpc_rules=self._rules(own) + ([] if is_main else self._rules(self._main)),
            sites=[],
            own=own,
            main=() if is_main else self._main,
            modules=frozenset(self._known.modules),
            closed=self._closed,
        )

    def _uncovered(self, vhosts: Sequence[HttpdVhost]) -> list[Listen]:
        """The addresses on which no virtual host takes every request from the main server."""
        covered = {(listen.address, listen.port) for vhost in vhosts for listen in vhost.listens}
        return [
            one
            for one in self._listens
            if ("*", one.port) not in covered and (one.address, one.port) not in covered
        ]

    def all(self) -> list[HttpdVhost]:
        found: list[HttpdVhost] = []
        main_tls = is_on(self._main, "sslengine") or False
        main_proxied = is_on(self._main, _PROXY_PROTOCOL) or False
        for one in self._config.directives:
            if one.name != "virtualhost" or one.block is None:
                continue
            own_tls = is_on(one.block, "sslengine")
            tls = main_tls if own_tls is None else own_tls
            own_proxied = is_on(one.block, _PROXY_PROTOCOL)
            proxied = main_proxied if own_proxied is None else own_proxied
            listens = [
                replace(listen, proxy_protocol=proxied)
                for word in one.args
                for listen in self._listen(word, tls)
            ]
            found.append(self._vhost(one.block, one.file, one.line, listens, one.args))
        # A file that is included twice makes the same virtual hosts twice.
        unique = list({vhost.id: vhost for vhost in reversed(found)}.values())[::-1]
        uncovered = self._uncovered(unique)
        if uncovered:
            listens = [replace(one, proxy_protocol=main_proxied) for one in uncovered]
            unique.insert(0, self._vhost(self._main, self._config.path, 0, listens))
        resolve_defaults(unique)
        return unique

    @property
    def log_formats(self) -> dict[str, str]:
        return self._logs.formats


def find_vhosts(
    config: Config, default_root: str | None, problems: Problems
) -> tuple[list[HttpdVhost], dict[str, str]]:
    """Every virtual host in httpd's order, the main server first where some address is left to
    it; and the log formats by their nickname.

    ``default_root``: the DocumentRoot where none is configured.
    """
    reader = _Reader(config, default_root, problems)
    return reader.all(), reader.log_formats
