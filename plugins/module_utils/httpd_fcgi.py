# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Through which Unix sockets httpd asks php-fpm, and by which of mod_proxy's workers.

mod_proxy finds a worker by the beginning of the URL and knows nothing of the socket then: all
handlers ``proxy:unix:SOCKET|fcgi://localhost`` have one worker, whatever their sockets. A worker
that is defined with a socket takes the requests of all of them (seen on httpd 2.4.71).
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable

OUR_FILE = "wpward-capacity.conf"
_TARGET = re.compile(
    r"(?:unix:(?P<socket>/[^|]*)\|)?(?P<worker>fcgi://[A-Za-z0-9.:_\[\]-]*)(?P<path>/.*)?$",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(max|acquire)=([0-9]{1,9})$")
_HANDLER = "proxy:"
_MOST = 20


class _Target(NamedTuple):
    """A URL of mod_proxy's, taken apart."""

    worker: str
    socket: str | None
    path: str


def _directives(
    level: Sequence[Directive], in_vhost: bool = False
) -> Iterator[tuple[Directive, bool]]:
    """All of them, whatever they stand in, and whether that is a virtual host."""
    for one in level:
        yield one, in_vhost
        if one.block:
            yield from _directives(one.block, in_vhost or one.name == "virtualhost")


def _target(url: str) -> _Target | None:
    """None for no FastCGI server."""
    found = _TARGET.match(url)
    if found is None:
        return None
    return _Target(found.group("worker").lower(), found.group("socket"), found.group("path") or "")


def _handled(directive: Directive) -> _Target | None:
    """Where a SetHandler leads."""
    if directive.name != "sethandler" or not directive.args:
        return None
    handler = directive.args[0]
    known = handler.lower().startswith(_HANDLER)
    return _target(handler[len(_HANDLER) :]) if known else None


def _passed(directive: Directive) -> _Target | None:
    """Where a ProxyPass or ProxyPassMatch leads."""
    if directive.name not in ("proxypass", "proxypassmatch"):
        return None
    return next(filter(None, map(_target, directive.args[:2])), None)


def _defined(directive: Directive, in_vhost: bool) -> str | None:
    """The worker that a directive defines or sets, if ours would be mixed up with it."""
    if directive.name in ("proxy", "proxyset") and directive.args:
        found = _target(directive.args[0])
        return found.worker if found else None
    found = _passed(directive)
    # In a virtual host a longer URL is a worker of its own, which nobody mistakes.
    return found.worker if found and (not in_vhost or found.path in ("", "/")) else None


def _both_names(sockets: set[str]) -> list[str]:
    """Each as it is written and without links: php-fpm may know either."""
    return sorted(printable(one, 256) for one in {*sockets, *map(real_path, sockets)})


def our_file(place: str | None) -> str | None:
    """Where role capacity writes for httpd. ``place``: of a file of ours beside it."""
    return real_path(posixpath.join(posixpath.dirname(place), OUR_FILE)) if place else None


def describe(config: Config, place: str | None) -> dict[str, Any]:
    """In ``workers`` each worker that handlers use: its ``name``, the ``sockets`` behind it, in
    ``defined`` file and line of a definition that is not ours, and in ``limit`` what our file sets.
    ``passed`` are the sockets of ProxyPass and ProxyPassMatch, which have workers of their own, and
    ``passes`` their places.

    ``place``: of a file of ours beside which wpward-capacity.conf would stand.
    """
    ours = our_file(place)
    handled: dict[str, set[str]] = {}
    passed: set[str] = set()
    passes: list[str] = []
    defined: dict[str, str] = {}
    limits: dict[str, dict[str, int]] = {}
    for one, in_vhost in _directives(config.directives):
        where = f"{one.file}:{one.line}"
        handler, through = _handled(one), _passed(one)
        if handler and handler.socket:
            handled.setdefault(handler.worker, set()).add(handler.socket)
        if through and through.socket:
            passed.add(through.socket)
            passes.append(where)
        name = _defined(one, in_vhost)
        if name and ours and real_path(one.file) == ours:
            options = filter(None, map(_OPTION.match, one.args))
            limits[name] = {option.group(1): int(option.group(2)) for option in options}
        elif name:
            defined.setdefault(name, where)
    return {
        "workers": [
            {
                "name": name,
                "sockets": _both_names(sockets),
                "defined": printable(defined[name], 256) if name in defined else None,
                "limit": limits.get(name),
            }
            for name, sockets in sorted(handled.items())
        ],
        "passed": _both_names(passed),
        "passes": [printable(one, 256) for one in passes[:_MOST]],
    }
