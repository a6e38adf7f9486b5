# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx settings that do something else than their author meant."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    htaccess,
    nginx_proxy,
    nginx_self_proxy,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build, blocks
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_locations import (
    Location,
    Server,
    chain,
    decidable,
    every,
    read_servers,
    winner,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost
from ansible_collections.wpward.wordpress.plugins.module_utils.traps import (
    only_site,
    site_uris,
    trap,
    unique,
    unruled_sites,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

_BUFFERED = ("buffer=", "flush=", "gzip")
_WITHIN_A_SECOND = re.compile(r"flush=(?:[01]s?|\d{1,3}ms)")
_FOLLOWING = ("/", "/index.php")


def _mentions_xmlrpc(directive: Directive) -> bool:
    return any("xmlrpc" in word.lower() for word in directive.args)


def _passes(level: Sequence[Directive]) -> bool:
    return any(one.name.endswith("_pass") and one.args for one in level)


def _is_late(words: Sequence[str]) -> bool:
    """Whether a log's parameters have it written more than a second after the request."""
    return any(word.startswith(_BUFFERED) for word in words) and not any(
        _WITHIN_A_SECOND.fullmatch(word) for word in words
    )


class _Finder:
    def __init__(
        self, config: Config, build: Build, vhosts: Sequence[Vhost], sites: Sequence[Site]
    ) -> None:
        self._config = config
        self._build = build
        self._sites = sites
        self._main = list(config.expand(config.directives))
        self._http = [
            one for http in blocks(config, "http") for one in config.expand(http.block or ())
        ]
        self.servers = read_servers(config, vhosts)
        # Where a regular expression is not understood here, nothing is called a trap.
        self.sure = [one for one in self.servers if decidable(one.locations)]

    def _trap(
        self, identity: str, directive: Directive, site: str | None, detail: str
    ) -> dict[str, Any]:
        parsed = self._config.files.get(directive.file)
        lines = parsed.data.split(b"\n") if parsed else []
        text = lines[directive.line - 1] if 0 < directive.line <= len(lines) else b""
        return trap(
            identity,
            "nginx",
            detail,
            file=real_path(directive.file),
            line=directive.line,
            text=text.decode("utf-8", "replace").strip()[:200],
            site=site,
        )

    def _walk(self, level: Sequence[Directive]) -> Iterator[Directive]:
        for one in level:
            yield one
            if one.block:
                yield from self._walk(list(self._config.expand(one.block)))

    def htaccess_ignored(self) -> Iterator[dict[str, Any]]:
        open_sites = self._open_sites()
        for server in self.sure:
            for site in self._sites:
                if site.id not in server.vhost.sites or site.id not in open_sites:
                    continue
                path = site.path + "/.htaccess"
                line = htaccess.xmlrpc_line(path)
                location = winner(server.locations, site.url_path + "xmlrpc.php")
                level = location.level if location else []
                # Behind a proxied request there may be an httpd, which reads the file.
                if line is None or any(one.name == "proxy_pass" for one in level):
                    continue
                detail = (
                    "nginx does not read this file, so that its rules about XML-RPC do nothing."
                )
                yield trap(
                    "htaccess_ignored",
                    "nginx",
                    detail,
                    file=real_path(path),
                    line=line.number,
                    text=line.text,
                    site=site.id,
                )

    def error_log_off(self) -> Iterator[dict[str, Any]]:
        path = posixpath.join(self._build.prefix, "off")
        for one in self._walk(self._main):
            if one.name == "error_log" and one.args and one.args[0] == "off":
                detail = f"error_log knows no off: errors are written to the file {path}."
                yield self._trap("error_log_off", one, None, detail)
        try:
            size = Path(path).stat().st_size
        except OSError:
            return
        detail = "This file was made by error_log off, and nothing rotates it."
        yield trap("off_file", "nginx", detail, file=path, size=size)

    def buffered_logs(self) -> Iterator[dict[str, Any]]:
        levels: list[tuple[str | None, Sequence[Directive]]] = [(None, self._http)]
        for server in self.servers:
            inside = [one for one in server.level if one.name != "server"]
            levels.append((only_site(server.vhost), list(self._walk(inside))))
        for site, level in levels:
            for one in level:
                if one.name == "access_log" and _is_late(one.args[2:]):
                    detail = "This log is written with a delay, and so is every ban that reads it."
                    yield self._trap("access_log_buffered", one, site, detail)

    def _log_off(self, server: Server, location: Location | None) -> Directive | None:
        """What switches the access log off there, if it is off."""
        levels = [one.level for one in chain(location)]
        for level in (*levels, server.level, self._http):
            logs = [one for one in level if one.name == "access_log" and one.args]
            if logs:
                off = [one for one in logs if one.args[0] == "off"]
                return off[0] if off else None
        return None

    def xmlrpc_log_off(self) -> Iterator[dict[str, Any]]:
        for server in self.sure:
            for site, uri in site_uris(server.vhost, self._sites):
                off = self._log_off(server, winner(server.locations, uri))
                if off is not None:
                    detail = f"Requests for {uri} are not logged: nobody, and no ban, sees them."
                    yield self._trap("xmlrpc_log_off", off, site, detail)

    def _reaches_a_handler(self, server: Server, location: Location) -> bool:
        inner = [one for one in location.level if one.name == "if"]
        level = [*location.level, *self._walk(inner)]
        if _passes(level) or any(one.name in ("rewrite", "try_files") for one in level):
            return True
        if any(one.name == "return" or "_by_lua" in one.name for one in location.level):
            return True
        targets = {
            one.args[-1].lstrip("@")
            for one in location.level
            if one.name == "error_page" and len(one.args) > 1 and one.args[-1].startswith("@")
        }
        return any(
            _passes(one.level)
            for one in server.locations
            if one.modifier == "@" and one.pattern in targets
        )

    def _lets_somebody_in(self, server: Server, location: Location) -> bool:
        for level in (*[one.level for one in chain(location)], server.level, self._http):
            rules = [one for one in level if one.name in ("allow", "deny") and one.args]
            if rules:
                return any(one.name == "allow" for one in rules) or not any(
                    one.args[0] == "all" for one in rules
                )
        return True

    def xmlrpc_without_php(self) -> Iterator[dict[str, Any]]:
        for server in self.sure:
            for site, uri in site_uris(server.vhost, self._sites):
                location = winner(server.locations, uri)
                if (
                    location is not None
                    and _mentions_xmlrpc(location.directive)
                    and self._lets_somebody_in(server, location)
                    and not self._reaches_a_handler(server, location)
                ):
                    detail = (
                        f"Whoever is let through to {uri} gets 405 or the PHP source: this "
                        "location does not pass requests to PHP, and inherits no location that "
                        "does."
                    )
                    yield self._trap("xmlrpc_without_php", location.directive, site, detail)

    def _is_used(self, server: Server, location: Location, uris: Sequence[str]) -> bool:
        """Whether it takes what it is for: xmlrpc.php itself, else what may follow it."""
        plain = [uri for uri in uris if location.matches(uri)]
        tried = plain or [uri + more for uri in uris for more in _FOLLOWING]
        return any(location in chain(winner(server.locations, path)) for path in tried)

    def _never_fires(self, server: Server) -> Iterator[dict[str, Any]]:
        uris = site_uris(server.vhost, self._sites)
        paths = [uri for _site, uri in uris]
        for location in every(server.locations):
            if location.modifier == "@" or not _mentions_xmlrpc(location.directive):
                continue
            if not uris or self._is_used(server, location, paths):
                continue
            other = winner(server.locations, paths[0])
            by = "the server block itself"
            if other is not None:
                where = f"{real_path(other.directive.file)}:{other.directive.line}"
                by = f'"{other.title}" at {where}'
            detail = f"This location is never used: {paths[0]} is taken by {by}."
            site = uris[0][0] if len(uris) == 1 else None
            yield self._trap("xmlrpc_rule_never_fires", location.directive, site, detail)

    def _open_sites(self) -> list[str]:
        """Sites whose server blocks say nothing about XML-RPC."""
        vhosts = [server.vhost for server in self.servers]
        closed = {site for vhost in vhosts if vhost.wpward_include for site in vhost.sites}
        return [site for site in unruled_sites(vhosts) if site not in closed]

    def rules_that_never_fire(self) -> Iterator[dict[str, Any]]:
        for server in self.sure:
            yield from self._never_fires(server)
        inside_http = [one for one in self._http if one.name != "server"]
        mapped = any(
            "xmlrpc" in word.lower()
            for one in self._walk(inside_http)
            for word in (one.name, *one.args)
        )
        open_sites = self._open_sites()
        if mapped or not open_sites:
            return
        for server in self.servers:
            if server.vhost.sites or any(one.name == "return" for one in server.level):
                continue
            for location in every(server.locations):
                if location.modifier != "@" and _mentions_xmlrpc(location.directive):
                    detail = (
                        "This server block serves no WordPress, and that of "
                        f"{open_sites[0]} has no such rule."
                    )
                    site = open_sites[0] if len(open_sites) == 1 else None
                    yield self._trap("xmlrpc_rule_never_fires", location.directive, site, detail)

    def self_proxies(self, addresses: Sequence[str]) -> Iterator[dict[str, Any]]:
        upstreams = nginx_proxy.upstreams_of(self._config)
        for server in self.sure:
            extra = [uri for _site, uri in site_uris(server.vhost, self._sites)]
            for directive in nginx_self_proxy.loops(self.sure, server, upstreams, addresses, extra):
                detail = (
                    "This passes the request to the same nginx, which comes back here: the request "
                    "calls itself until descriptors or connections run out."
                )
                yield self._trap("self_proxy", directive, only_site(server.vhost), detail)


def find(
    config: Config,
    build: Build,
    vhosts: Sequence[Vhost],
    sites: Sequence[Site],
    addresses: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The evidence's traps of an nginx. ``addresses``: the host's own, beside loopback."""
    finder = _Finder(config, build, vhosts, sites)
    return unique(
        [
            *finder.error_log_off(),
            *finder.self_proxies(addresses),
            *finder.xmlrpc_without_php(),
            *finder.rules_that_never_fire(),
            *finder.htaccess_ignored(),
            *finder.xmlrpc_log_off(),
            *finder.buffered_logs(),
        ]
    )
