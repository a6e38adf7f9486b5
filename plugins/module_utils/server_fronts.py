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
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import (
    VirtualHost,
    is_literal,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

_NAMED = re.compile(r"(?:=\d*)?(@.+)$")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_ASKED = ("xmlrpc.php", "", "wp-login.php")
"""Paths of a site by which it is told whether nginx passes the site on."""


def _literal_names(vhost: VirtualHost) -> list[str]:
    return [name.lower() for name in vhost.server_names if is_literal(name)]


class _Names:
    """Finds virtual hosts by a name that a client may ask for."""

    def __init__(self, vhosts: Sequence[VirtualHost]) -> None:
        self._by_name: dict[str, list[VirtualHost]] = {}
        self._by_ending: list[tuple[str, VirtualHost]] = []
        self._owners: dict[str, set[str]] = {}
        for vhost in vhosts:
            for name in (one.lower() for one in vhost.server_names):
                if name.startswith(("*.", ".")):
                    self._by_ending.append((name.lstrip("*"), vhost))
                if not name.startswith("*."):
                    self._by_name.setdefault(name.lstrip("."), []).append(vhost)

    def owners(self, name: str) -> set[str]:
        """The ids of those that answer to a name."""
        if name not in self._owners:
            found = self._by_name.get(name, [])
            ending = [one for ending, one in self._by_ending if name.endswith(ending)]
            self._owners[name] = {one.id for one in (*found, *ending)}
        return self._owners[name]


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
        self._of_httpd = _Names(httpd)
        self._of_nginx = _Names(vhosts)
        self._answers: dict[tuple[object, ...], list[HttpdVhost]] = {}
        self._astray = False
        for server in self._servers:
            found = [
                (vhost.id, nginx_proxy.tells_client(server, location))
                for location in every(server.locations)
                for vhost, _target in self._leads(server, location, "/")
            ]
            server.vhost.fronts = list(dict.fromkeys(identity for identity, _tells in found))
            server.vhost.tells_client = bool(found) and all(tells for _identity, tells in found)

    def of(self, vhost: VirtualHost) -> Vhost | None:
        """The server block by which clients know a virtual host of httpd: one that has its name,
        else any that passes requests on to it; None where there is none."""
        fronts = [one.vhost for one in self._servers if vhost.id in one.vhost.fronts]
        by_name = {owner for name in _literal_names(vhost) for owner in self._of_nginx.owners(name)}
        named = [one for one in fronts if one.id in by_name]
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
            host = nginx_proxy.host_header(server, location, target)
            key = (server.vhost.id, host, target.address, target.port, target.unix)
            if key not in self._answers:
                self._answers[key] = self._answering(server, host, target)
            for vhost in self._answers[key]:
                yield vhost, target

    def _answering(self, server: Server, host: str, target: Target) -> list[HttpdVhost]:
        """The virtual hosts that httpd may choose among those that listen there."""
        answers = [(one, nginx_proxy.listens(one, target, self._own)) for one in self._httpd]
        listening = {one.id for one, answer in answers if answer is not False}
        default = {one.id for one, answer in answers if answer is None}
        if "$" not in host:
            chosen = self._of_httpd.owners(host.partition(":")[0].lower()) & listening or default
        elif host.partition(":")[0] in nginx_proxy.SAME_HOST:
            chosen = self._by_own_names(server, listening, default)
        else:
            chosen = listening
        return [one for one in self._httpd if one.id in chosen]

    def _by_own_names(self, server: Server, listening: set[str], default: set[str]) -> set[str]:
        """Those that answer to the names by which nginx chooses a server block."""
        chosen: set[str] = set()
        for name in _literal_names(server.vhost):
            chosen |= self._of_httpd.owners(name) & listening or default
        if not self._takes_any_name(server):
            return chosen
        # It gets the names of httpd's, too, that no server block has.
        for vhost in self._httpd:
            if vhost.id in listening and any(
                self._of_nginx.owners(name) <= {server.vhost.id} for name in _literal_names(vhost)
            ):
                chosen.add(vhost.id)
        return chosen | default

    def _takes_any_name(self, server: Server) -> bool:
        names = server.vhost.server_names
        return not all(map(is_literal, names)) or any(one.default for one in server.vhost.listens)

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
