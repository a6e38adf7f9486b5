# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the server blocks of an nginx configuration say, with what they inherit."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass, field
from typing import Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import nginx_config
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build, blocks
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import (
    Listen,
    Log,
    Root,
    VirtualHost,
    is_literal,
    resolve_defaults,
)

SERVER_FILE = "wpward/server.conf"
_PORT = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?$")
_ADDRESS = re.compile(r"(?P<address>\[[^\]]*\]|[^:\[\]]+)(?::(?P<first>\d+)(?:-(?P<last>\d+))?)?$")
_LOCATION = re.compile(r"(?P<modifier>=|\^~)? ?(?P<path>/\S*)$")
"""A prefix or an exact location; not a regular expression and not a named one."""
_NOT_CONTENT = ("types", "map", "geo", "split_clients", "upstream")


@dataclass
class Vhost(VirtualHost):
    """One server block. ``fronts``: ids of the httpd virtual hosts that it passes requests on to,
    see server_fronts. ``tells_client``: whether it tells them in X-Forwarded-For who asks."""

    insert_offset: int
    insert_comment: bool
    indent: str
    wpward_include: dict[str, object] | None
    fronts: list[str] = field(default_factory=list)
    tells_client: bool = False

    def describe(self) -> dict[str, object]:
        """The evidence's form."""
        return {
            "server": "nginx",
            "insert_offset": self.insert_offset,
            "insert_comment": self.insert_comment,
            "indent": self.indent,
            "wpward_include": self.wpward_include,
            "fronts": self.fronts,
            "tells_client": self.tells_client,
            **self.describe_common(),
        }


def _listen(directive: Directive) -> list[Listen]:
    if not directive.args:
        return []
    value, options = directive.args[0], directive.args[1:]
    tls = "ssl" in options or "quic" in options
    default = "default_server" in options or "default" in options
    proxy_protocol = "proxy_protocol" in options
    if value.startswith("unix:"):
        return [Listen("", 0, value[len("unix:") :], tls, default, proxy_protocol)]
    match = _PORT.match(value) or _ADDRESS.match(value)
    if match is None:
        return []
    address = (match.groupdict().get("address") or "*").strip("[]")
    first = int(match.group("first") or 80)
    last = min(int(match.group("last") or first), first + 255)
    return [
        Listen(address, port, None, tls, default, proxy_protocol)
        for port in range(first, max(first, last) + 1)
    ]


def _fill_in(path: str, names: Sequence[str]) -> list[str]:
    """The paths a value with ``$host`` or ``$server_name`` stands for; none where it has other
    variables."""
    if "$" not in path:
        return [path]
    variable = re.compile(r"\$\{?(?:host|server_name|http_host)\b\}?")
    filled = dict.fromkeys(name.join(variable.split(path)) for name in filter(is_literal, names))
    return [value for value in filled if "$" not in value]


class _Reader:
    """Reads one configuration's server blocks, with what they inherit from http and main."""

    def __init__(self, config: Config, build: Build, problems: Problems) -> None:
        self._config = config
        self._build = build
        self._problems = problems
        self._sha256 = {path: parsed.sha256 for path, parsed in config.files.items()}

    def _absolute(self, path: str) -> str:
        return posixpath.join(self._build.prefix, path)

    def _expand(self, block: tuple[Directive, ...] | None) -> list[Directive]:
        return list(self._config.expand(block or ()))

    def _walk(self, block: tuple[Directive, ...] | None) -> Iterator[Directive]:
        for directive in self._config.expand(block or ()):
            yield directive
            if directive.block and directive.name not in _NOT_CONTENT:
                yield from self._walk(directive.block)

    def _access_logs(self, level: Sequence[Directive]) -> list[Log] | None:
        """None where this level says nothing and the outer level holds."""
        mine = [
            one
            for one in level
            if one.name == "access_log" and one.args and not one.file.endswith("/" + SERVER_FILE)
        ]
        if not mine:
            return None
        return [
            Log(
                self._absolute(one.args[0])
                if not one.args[0].startswith("syslog:")
                else one.args[0],
                one.args[1] if len(one.args) > 1 and "=" not in one.args[1] else "combined",
            )
            for one in mine
            if one.args[0] != "off"
        ]

    def _error_logs(self, level: Sequence[Directive]) -> list[str] | None:
        mine = [one for one in level if one.name == "error_log" and one.args]
        if not mine:
            return None
        return [
            self._absolute(one.args[0])
            for one in mine
            if not one.args[0].startswith(("syslog:", "memory:")) and one.args[0] != "stderr"
        ]

    def _roots(
        self, block: tuple[Directive, ...] | None, inherited: str, base: str | None, outermost: bool
    ) -> Iterator[tuple[str, str, str]]:
        """(``root`` or ``alias``, URL path, directory) of this level and the locations in it.

        ``base``: the URL path that this level is for; None where a regular expression decides.
        """
        level = self._expand(block)
        own = [one.args[0] for one in level if one.name == "root" and len(one.args) == 1]
        root = own[-1] if own else inherited
        if outermost or own:
            # A root is joined with the whole path, so below a location only a part is reachable.
            yield "root", base or "/", root + (base or "/")
        for one in level:
            if one.name == "alias" and len(one.args) == 1 and base is not None:
                yield "alias", base, one.args[0]
            elif one.name == "location":
                match = _LOCATION.match(" ".join(one.args))
                if match is None or match.group("modifier") != "=":
                    inner = "/" + match.group("path").strip("/") + "/" if match else None
                    inner = "/" if inner == "//" else inner
                    yield from self._roots(one.block, root, inner, False)
            elif one.name in ("if", "limit_except"):
                yield from self._roots(one.block, root, base, False)

    def _directories(
        self, server: Directive, inherited: str, names: Sequence[str]
    ) -> Iterator[Root]:
        for kind, base, value in self._roots(server.block, inherited, "/", True):
            paths = _fill_in(value, names)
            if not paths:
                self._problems.add(
                    "root_unknown",
                    f"The server block at {server.file}:{server.line} has the {kind} {value}, "
                    "whose variables the configuration does not resolve; WordPress sites below it "
                    "are not seen.",
                )
            for path in paths:
                yield Root(base, posixpath.normpath(self._absolute(path)))

    def _rules(self, server: Directive) -> list[dict[str, object]]:
        rules: list[dict[str, object]] = []
        for directive in self._walk(server.block):
            if directive.name == "include" or directive.file.endswith("/" + SERVER_FILE):
                continue
            words = (directive.name, *directive.args)
            if not any("xmlrpc" in word.lower() for word in words):
                continue
            text = " ".join(words).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            rules.append({"file": directive.file, "line": directive.line, "text": text[:200]})
        return rules

    def _own_include(self, server: Directive) -> dict[str, object] | None:
        for directive in server.block or ():
            if directive.name != "include" or len(directive.args) != 1:
                continue
            path = self._config.include_pattern(directive)
            if path.endswith("/" + SERVER_FILE):
                offset, length = nginx_config.inserted_span(
                    self._config.files[server.file].data, server.block_offset or 0, directive
                )
                return {"offset": offset, "length": length, "path": path}
        return None

    def _indent(self, server: Directive) -> str:
        data = self._config.files[server.file].data
        for position, more in [
            *((child.offset, b"") for child in (server.block or ())[:1]),
            (server.offset, b"    "),
        ]:
            before = data[data.rfind(b"\n", 0, position) + 1 : position]
            if not before.strip(b" \t"):
                return (before + more).decode("ascii")
        return "    "

    def _comment_fits(self, server: Directive) -> bool:
        data = self._config.files[server.file].data
        return re.match(rb"[ \t\r]*(?:#[^\n]*)?(?:\n|$)", data[server.block_offset :]) is not None

    def server(
        self, server: Directive, http_root: str, http_logs: list[Log], http_errors: list[str]
    ) -> Vhost:
        level = self._expand(server.block)
        names = [name for one in level if one.name == "server_name" for name in one.args]
        names = [name for name in dict.fromkeys(names) if name]
        listens = [
            one for directive in level if directive.name == "listen" for one in _listen(directive)
        ]
        if not any(one.name == "listen" for one in level):
            port = 80 if os.geteuid() == 0 else 8000
            listens = [Listen("*", port, None, False, False, False)]
        if any(one.name == "ssl" and one.args == ("on",) for one in level):
            listens = [
                Listen(one.address, one.port, one.unix, True, one.default, one.proxy_protocol)
                for one in listens
            ]
        own_logs = self._access_logs(level)
        logs = http_logs if own_logs is None else own_logs
        own_errors = self._error_logs(level)
        errors = http_errors if own_errors is None else own_errors
        for inner in self._walk(server.block):
            if inner.name in ("location", "if"):
                logs = logs + (self._access_logs(self._expand(inner.block)) or [])
                errors = errors + (self._error_logs(self._expand(inner.block)) or [])
        filled = [
            Log(path, log.format)
            for log in logs
            for path in (_fill_in(log.path, names) or [log.path])
        ]
        real = real_path(server.file)
        return Vhost(
            id=f"nginx:{real}:{server.line}",
            file=real,
            line=server.line,
            sha256=self._sha256[server.file],
            insert_offset=server.block_offset or 0,
            insert_comment=self._comment_fits(server),
            indent=self._indent(server),
            wpward_include=self._own_include(server),
            server_names=names,
            listens=list(dict.fromkeys(listens)),
            roots=list(dict.fromkeys(self._directories(server, http_root, names))),
            access_logs=list(dict.fromkeys(filled)),
            error_logs=list(dict.fromkeys(errors)),
            xmlrpc_rules=self._rules(server),
            sites=[],
        )

    def all(self) -> list[Vhost]:
        vhosts: dict[tuple[str, int], Vhost] = {}
        main = self._expand(self._config.directives)
        main_errors = self._error_logs(main)
        for http in blocks(self._config, "http"):
            level = self._expand(http.block)
            root = [one.args[0] for one in level if one.name == "root" and len(one.args) == 1]
            logs = self._access_logs(level)
            errors = self._error_logs(level)
            if errors is None:
                errors = main_errors
            for directive in level:
                if directive.name == "server" and directive.block is not None:
                    vhost = self.server(
                        directive,
                        root[-1] if root else "html",
                        [Log(self._build.access_log, "combined")] if logs is None else logs,
                        [self._build.error_log] if errors is None else errors,
                    )
                    vhosts.setdefault((vhost.file, vhost.insert_offset), vhost)
        found = list(vhosts.values())
        numbers: dict[str, int] = {}
        for vhost in found:
            number = numbers[vhost.id] = numbers.get(vhost.id, 0) + 1
            if number > 1:
                # Further server blocks on the same line.
                vhost.id += f".{number}"
        resolve_defaults(found)
        return found


def find_vhosts(config: Config, build: Build, problems: Problems) -> list[Vhost]:
    """Every server block of the configuration, in nginx's order."""
    return _Reader(config, build, problems).all()
