# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of httpd's sections and directives reach a path or a directory."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from typing import Iterator, NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Directive
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import (
    HttpdVhost,
    is_on,
    last,
)


class Proxied(NamedTuple):
    """A directive that hands a path to another server. ``target`` is the URL it becomes."""

    directive: Directive
    target: str


def searches(pattern: str, text: str) -> bool | None:
    """Whether a regular expression matches; None where Python does not understand it."""
    try:
        return re.search(re.sub(r"\(\?<(?![=!])", "(?P<", pattern), text) is not None
    except (re.error, OverflowError, RecursionError):
        return None


def _components(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _covers(pattern: str, directory: str) -> bool:
    """Whether ``<Directory pattern>`` is for a directory: itself or one above it."""
    wanted, given = _components(pattern), _components(directory)
    return len(wanted) <= len(given) and all(
        fnmatch.fnmatchcase(part, mask) for part, mask in zip(given, wanted)
    )


def allows_override(vhost: HttpdVhost, directory: str) -> bool:
    """Whether httpd reads a directory's ``.htaccess`` at all."""
    sections = [
        one
        for one in (*vhost.main, *vhost.own)
        if one.name == "directory" and len(one.args) == 1 and _covers(one.args[0], directory)
    ]
    # httpd merges them from the shortest path on; the order of equal ones stays.
    sections.sort(key=lambda one: len(_components(one.args[0])))
    words: tuple[str, ...] = ("none",)
    listed: tuple[str, ...] = ("none",)
    for section in sections:
        given = last(section.block or (), "allowoverride")
        words = given.args if given else words
        given = last(section.block or (), "allowoverridelist")
        listed = given.args if given else listed
    return any(word.lower() != "none" for word in (*words, *listed))


def access_file_names(vhost: HttpdVhost) -> tuple[str, ...]:
    given = last(vhost.own, "accessfilename") or last(vhost.main, "accessfilename")
    return given.args if given else (".htaccess",)


def location_matches(section: Directive, path: str) -> bool | None:
    """Whether ``<Location>`` or ``<LocationMatch>`` is for a path; None where that is not
    known."""
    args = section.args
    if not args:
        return None
    if section.name == "locationmatch" or (len(args) == 2 and args[0] == "~"):
        return searches(args[-1], path)
    pattern = args[0].rstrip("/")
    if any(character in pattern for character in "*?["):
        return fnmatch.fnmatchcase(path, args[0])
    return path == pattern or path.startswith(pattern + "/")


def _proxy_directives(level: Sequence[Directive]) -> Iterator[tuple[Directive, str, str, bool]]:
    """(directive, path or pattern, target, whether it is a pattern)."""
    for one in level:
        if one.name in ("proxypass", "proxypassmatch") and len(one.args) >= 2:
            yield one, one.args[0], one.args[1], one.name == "proxypassmatch"
        elif one.name in ("location", "locationmatch") and one.block and one.args:
            is_pattern = one.name == "locationmatch" or one.args[0] == "~"
            for inner in one.block:
                if inner.name in ("proxypass", "proxypassmatch") and inner.args:
                    yield inner, one.args[-1], inner.args[0], is_pattern


def proxied(vhost: HttpdVhost, path: str) -> Proxied | None:
    """The first ProxyPass or ProxyPassMatch that takes a path, before httpd maps it to a file."""
    if "proxy_module" not in vhost.modules:
        return None
    for directive, place, target, is_pattern in _proxy_directives((*vhost.main, *vhost.own)):
        if is_pattern:
            if not searches(place, path):
                continue
            rest = ""
        elif path.startswith(place) or path + "/" == place:
            rest = path[len(place) :]
        else:
            continue
        return None if target == "!" else Proxied(directive, target + rest)
    return None


def inherits_rewrite(vhost: HttpdVhost) -> bool:
    """Whether the main server's RewriteRules are also a virtual host's."""
    if not is_on(vhost.own, "rewriteengine"):
        return False

    def options(level: Sequence[Directive]) -> set[str]:
        return {word.lower() for one in level if one.name == "rewriteoptions" for word in one.args}

    own = options(vhost.own)
    if own & {"inherit", "inheritbefore"}:
        return True
    return "ignoreinherit" not in own and bool(
        options(vhost.main) & {"inheritdown", "inheritdownbefore"}
    )


def parents(directory: str, root: str) -> list[str]:
    """A directory and those above it, up to the document root."""
    found = [directory]
    while found[-1] != root and found[-1].startswith(root.rstrip("/") + "/"):
        found.append(posixpath.dirname(found[-1]))
    return found
