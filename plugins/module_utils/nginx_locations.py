# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which location of an nginx server block takes a path."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator, Pattern, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import blocks
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost

_MODIFIERS = ("=", "^~", "~*", "~", "@")


@dataclass(eq=False)
class Location:
    """``modifier`` is one of ``= ^~ ~ ~* @`` or empty; ``level`` what it holds, includes
    replaced; ``parent`` the location around it."""

    directive: Directive
    modifier: str
    pattern: str
    level: list[Directive]
    parent: Location | None
    children: list[Location] = field(default_factory=list)

    @property
    def title(self) -> str:
        return " ".join(("location", *self.directive.args))

    @property
    def is_regex(self) -> bool:
        return self.modifier in ("~", "~*")

    def regex(self) -> Pattern[str]:
        """Raises re.error for what PCRE has and Python has not."""
        pattern = re.sub(r"\(\?<(?![=!])", "(?P<", self.pattern)
        return re.compile(pattern, re.IGNORECASE if self.modifier == "~*" else 0)

    def matches(self, path: str) -> bool:
        """Whether it is for a path at all, were there no other location."""
        if self.is_regex:
            return self.regex().search(path) is not None
        return path == self.pattern if self.modifier == "=" else path.startswith(self.pattern)

    def is_understood(self) -> bool:
        try:
            self.regex()
        except (re.error, OverflowError, RecursionError):
            return False
        return True


@dataclass(frozen=True)
class Server:
    """A server block with what decides about a request in it."""

    vhost: Vhost
    http: list[Directive]
    """The directives of the level around it."""
    level: list[Directive]
    locations: list[Location]


def _split(args: Sequence[str]) -> tuple[str, str]:
    if len(args) == 2:
        return args[0], args[1]
    text = args[0] if args else ""
    for modifier in _MODIFIERS:
        if text.startswith(modifier):
            return modifier, text[len(modifier) :]
    return "", text


def read_locations(
    config: Config, block: Sequence[Directive] | None, parent: Location | None = None
) -> list[Location]:
    """The locations of a server block or of a location, with those in them."""
    found: list[Location] = []
    for directive in config.expand(tuple(block or ())):
        if directive.name == "location" and directive.block is not None:
            modifier, pattern = _split(directive.args)
            level = list(config.expand(directive.block))
            location = Location(directive, modifier, pattern, level, parent)
            location.children = read_locations(config, directive.block, location)
            found.append(location)
    return found


def read_servers(config: Config, vhosts: Sequence[Vhost]) -> list[Server]:
    """The server blocks with their locations, in nginx's order."""
    by_place = {(vhost.file, vhost.insert_offset): vhost for vhost in vhosts}
    found: list[Server] = []
    for http in blocks(config, "http"):
        around = list(config.expand(http.block or ()))
        for one in around:
            vhost = by_place.pop((real_path(one.file), one.block_offset or 0), None)
            if one.name == "server" and vhost is not None:
                level = list(config.expand(one.block or ()))
                found.append(Server(vhost, around, level, read_locations(config, one.block)))
    return found


def every(locations: Sequence[Location]) -> Iterator[Location]:
    for location in locations:
        yield location
        yield from every(location.children)


def chain(location: Location | None) -> list[Location]:
    """A location and those around it, innermost first."""
    found: list[Location] = []
    while location is not None:
        found.append(location)
        location = location.parent
    return found


def _find(locations: Sequence[Location], path: str) -> tuple[bool, Location | None]:
    """(whether the search is over, the location so far)."""
    for one in locations:
        if one.modifier == "=" and one.pattern == path:
            return True, one
    prefixes = [
        one
        for one in locations
        if one.modifier in ("", "^~") and one.pattern and path.startswith(one.pattern)
    ]
    best: Location | None = max(prefixes, key=lambda one: len(one.pattern), default=None)
    stop = best is not None and best.modifier == "^~"
    if best is not None:
        over, inner = _find(best.children, path)
        best = inner or best
        if over:
            return True, best
    if not stop:
        for one in locations:
            if one.is_regex and one.regex().search(path):
                return True, _find(one.children, path)[1] or one
    return False, best


def winner(locations: Sequence[Location], path: str) -> Location | None:
    """The location that nginx takes for a normalised path; None where the server block itself
    answers. Only for locations that are :func:`decidable`."""
    return _find(locations, path)[1]


def decidable(locations: Sequence[Location]) -> bool:
    """Whether every regular expression among them is understood here."""
    return all(not one.is_regex or one.is_understood() for one in every(locations))
