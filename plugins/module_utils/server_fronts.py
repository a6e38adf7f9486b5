# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which server blocks of nginx stand in front of which virtual hosts of httpd, on one host.

Where it is not sure, httpd counts as reachable past nginx, so that both close their doors.
"""

from __future__ import annotations

import re
from typing import Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import nginx_proxy
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import HttpdVhost
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import blocks
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_locations import (
    Location,
    Server,
    decidable,
    every,
    read_servers,
    winner,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_proxy import Target
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

_NAMED = re.compile(r"(?:=\d*)?(@.+)$")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_ASKED = ("xmlrpc.php", "", "wp-login.php")
"""Paths of a site by which it is told whether nginx passes the site on."""


def _is_literal(name: str) -> bool:
    return bool(name) and name != "_" and not name.startswith(("~", "*", ".")) and "*" not in name


def _literal_names(vhost: VirtualHost) -> list[str]:
    return [name.lower() for name in vhost.server_names if _is_literal(name)]


def _has_name(vhost: VirtualHost, name: str) -> bool:
    return any(
        name == one.lower() or (one.startswith("*.") and name.endswith(one[1:].lower()))
        for one in vhost.server_names
    )


def _passes(level: Sequence[Directive]) -> Iterator[str]:
    """What the proxy_pass of a location say, those within its conditions among them."""
    for one in level:
        if one.name == "proxy_pass" and one.args:
            yield one.args[0]
        elif one.name in ("if", "limit_except"):
            yield from _passes(one.block or ())


class Fronts:
    """The proxies of one nginx, as far as they lead to httpd on the same host.

    own: the host's addresses beside loopback.
    """

    def __init__(
        self,
        config: Config,
        vhosts: Sequence[Vhost],
        httpd: Sequence[HttpdVhost],
        own: Sequence[str],
    ) -> None:
        self._servers = read_servers(config, vhosts)
        self._httpd = httpd
        self._own = own
        self._upstreams = nginx_proxy.upstreams_of(config)
        self._http = [
            one for block in blocks(config, "http") for one in config.expand(block.block or ())
        ]
        self._astray = False
        for server in self._servers:
            found = {
                vhost.id: None
                for location in every(server.locations)
                for vhost, _target in self._leads(server, location, "/")
            }
            server.vhost.fronts = list(found)

    def of(self, vhost: VirtualHost) -> Vhost | None:
        """The server block by which clients know a virtual host of httpd: one that has its name,
        else any that passes requests on to it; None where there is none."""
        fronts = [one.vhost for one in self._servers if vhost.id in one.vhost.fronts]
        names = _literal_names(vhost)
        named = [one for one in fronts if any(_has_name(one, name) for name in names)]
        return next(iter(named + fronts), None)

    def attribute(self, sites: Sequence[Site]) -> None:
        """Give the sites of httpd to the server blocks that pass them on under the same paths, and
        fill in ``fronted``."""
        by_id = {site.id: site for site in sites}
        for vhost in self._httpd:
            fronts = [one for one in self._servers if vhost.id in one.vhost.fronts]
            of_httpd = [by_id[identity] for identity in vhost.sites]
            passed = [
                self._keeps_path(server, vhost, site) for server in fronts for site in of_httpd
            ]
            vhost.fronted = bool(fronts) and all(passed) and not self._astray
            for server in reversed(fronts):
                for site in of_httpd:
                    if site.id not in server.vhost.sites and self._keeps_path(server, vhost, site):
                        server.vhost.sites.append(site.id)
                        site.vhosts.insert(0, server.vhost.id)

    def _value(self, server: Server, location: Location, value: str) -> str:
        """A proxy_pass with the variables replaced that ``set`` gives one plain value."""
        known: dict[str, set[str]] = {"scheme": {"http"}}
        for one in (*server.level, *location.level):
            if one.name == "set" and len(one.args) == 2:
                known.setdefault(one.args[0].lstrip("$"), set()).add(one.args[1])
        plain = {name: values.pop() for name, values in known.items() if len(values) == 1}
        return _VARIABLE.sub(lambda match: plain.get(match.group(1), match.group()), value)

    def _targets(self, server: Server, location: Location, uri: str) -> Iterator[Target]:
        for given in _passes(location.level):
            value = self._value(server, location, given)
            found = list(nginx_proxy.targets(location, value, uri, self._upstreams))
            unknown = any("$" in one.address and one.address != "$server_addr" for one in found)
            # What cannot be told might lead to any virtual host of httpd.
            self._astray = self._astray or not found or unknown
            yield from found

    def _leads(
        self, server: Server, location: Location, uri: str
    ) -> Iterator[tuple[HttpdVhost, Target]]:
        for target in self._targets(server, location, uri):
            answers = [
                (vhost, nginx_proxy.listens(vhost, target, self._own)) for vhost in self._httpd
            ]
            listening = [vhost for vhost, answer in answers if answer is not False]
            default = [vhost for vhost, answer in answers if answer is None]
            for vhost in self._answering(server, location, target, listening, default):
                yield vhost, target

    def _answering(
        self,
        server: Server,
        location: Location,
        target: Target,
        listening: Sequence[HttpdVhost],
        default: Sequence[HttpdVhost],
    ) -> list[HttpdVhost]:
        """The virtual hosts that httpd may choose among those that listen there."""
        host = self._host(server, location, target)
        if "$" not in host:
            name = host.partition(":")[0].lower()
            return [one for one in listening if _has_name(one, name)] or list(default)
        if host.partition(":")[0] not in nginx_proxy.SAME_HOST:
            return list(listening)
        names = set(_literal_names(server.vhost)) | self._strange_names(server, listening)
        found = [one for one in listening if any(_has_name(one, name) for name in names)]
        unknown = any(not any(_has_name(one, name) for one in listening) for name in names)
        if unknown or self._takes_any_name(server):
            found += [one for one in default if one not in found]
        return found

    def _host(self, server: Server, location: Location, target: Target) -> str:
        host = nginx_proxy.host_header(server, location, target)
        if host != target.host:
            return host
        given = [
            one.args[1]
            for one in self._http
            if one.name == "proxy_set_header"
            and len(one.args) == 2
            and one.args[0].lower() == "host"
        ]
        return given[-1] if given else host

    def _takes_any_name(self, server: Server) -> bool:
        names = server.vhost.server_names
        return not all(map(_is_literal, names)) or any(one.default for one in server.vhost.listens)

    def _strange_names(self, server: Server, listening: Sequence[HttpdVhost]) -> set[str]:
        """Names of httpd's that no server block of nginx has, so that one that takes any name gets
        them."""
        if not self._takes_any_name(server):
            return set()
        return {
            name
            for vhost in listening
            for name in _literal_names(vhost)
            if not any(_has_name(one.vhost, name) for one in self._servers if one is not server)
        }

    def _keeps_path(self, server: Server, vhost: HttpdVhost, site: Site) -> bool:
        """Whether requests for a site come to its virtual host under the path they were sent to."""
        return any(
            target.uri == uri
            for asked in _ASKED
            for uri in [site.url_path + asked]
            for location in self._taking(server, uri)
            for one, target in self._leads(server, location, uri)
            if one is vhost
        )

    def _taking(self, server: Server, uri: str) -> list[Location]:
        """The locations that may pass a request on; all, where regular expressions stand in the
        way."""
        everywhere = list(every(server.locations))
        if not decidable(server.locations):
            return everywhere
        taken = winner(server.locations, uri)
        level = taken.level if taken else server.level
        named = {
            match.group(1)
            for one in level
            if one.name in ("try_files", "error_page")
            for match in map(_NAMED.match, one.args)
            if match
        }
        fallbacks = [one for one in everywhere if one.modifier + one.pattern in named]
        return ([taken] if taken else []) + fallbacks
