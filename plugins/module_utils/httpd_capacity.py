# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many workers httpd is configured for, what it makes of that, and whether a file of ours would
have the last word about it.

The arithmetic is httpd 2.4's own: values that do not fit together are lowered when it starts, and
the configuration test says nothing of it.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from typing import Any, Tuple

from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_fcgi
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import (
    Config,
    Directive,
    Include,
)

SETTINGS = (
    "MaxRequestWorkers",
    "ServerLimit",
    "ThreadsPerChild",
    "ThreadLimit",
    "StartServers",
    "MinSpareServers",
    "MaxSpareServers",
    "MinSpareThreads",
    "MaxSpareThreads",
    "ListenBacklog",
    "Timeout",
)
_ALIASES = {"maxclients": "maxrequestworkers"}
_NAMES = {name.lower(): name for name in SETTINGS}

_Position = Tuple[Any, ...]


def _setting(directive: Directive) -> str | None:
    return _NAMES.get(_ALIASES.get(directive.name, directive.name))


def _main(config: Config) -> list[Directive]:
    """Those of the main server that set one of SETTINGS, in httpd's order."""
    return [one for one in config.directives if one.block is None and _setting(one) and one.args]


def values(config: Config) -> dict[str, int | None]:
    """What is configured; None where httpd's own default holds."""
    found: dict[str, int | None] = dict.fromkeys(SETTINGS)
    for directive in _main(config):
        number = directive.args[0]
        found[_setting(directive) or ""] = int(number) if re.match(r"[0-9]{1,9}$", number) else None
    return found


def effective(mpm: str | None, known: dict[str, int | None]) -> dict[str, int] | None:
    """What httpd makes of ``values``; None for an MPM that is not known."""

    def of(name: str, default: int) -> int:
        value = known[name]
        return default if value is None else value

    if mpm == "prefork":
        servers = max(of("ServerLimit", 256), 1)
        workers = min(max(of("MaxRequestWorkers", 256), 1), servers)
        return {"max_request_workers": workers, "server_limit": servers, "threads_per_child": 1}
    if mpm not in ("event", "worker"):
        return None
    servers = max(of("ServerLimit", 16), 1)
    threads = min(max(of("ThreadsPerChild", 25), 1), max(of("ThreadLimit", 64), 1))
    children = min(max(of("MaxRequestWorkers", 400), threads) // threads, servers)
    return {
        "max_request_workers": children * threads,
        "server_limit": servers,
        "threads_per_child": threads,
    }


def _resolved(path: str) -> str:
    """The path or pattern without symbolic links as far as it names one directory."""
    directory, name = posixpath.split(path)
    if any(mark in directory for mark in "*?["):
        return path
    return posixpath.join(real_path(directory), name)


def _matches(include: Include, path: str) -> bool:
    """Whether an include reads a file: by its name, or below a directory."""
    wanted = _resolved(include.pattern.replace("[^", "[!").rstrip("/")).split("/")
    given = _resolved(path).split("/")
    return len(wanted) <= len(given) and all(
        fnmatch.fnmatchcase(part, one) for part, one in zip(given, wanted)
    )


def _within(config: Config, file: str, depth: int = 0) -> _Position | None:
    """Where in httpd's order a file is read, as the lines and names that lead to it; None where no
    include leads there."""
    if file == config.path:
        return ()
    for include in reversed(config.includes):
        if depth < 16 and include.file != file and _matches(include, file):
            above = _within(config, include.file, depth + 1)
            if above is not None:
                return (*above, include.line, file.split("/"))
    return None


def overriding(config: Config, place: str | None) -> str | None:
    """``file:line`` of the first of SETTINGS that httpd reads behind a file at ``place``; None
    where that file has the last word, or there is no such place."""
    if place is None:
        return None
    ours = _within(config, place)
    if ours is None:
        return None
    for directive in _main(config):
        within = _within(config, directive.file)
        own = within is not None and real_path(directive.file) == real_path(place)
        if within is not None and not own and (*within, directive.line) > ours:
            return f"{directive.file}:{directive.line}"
    return None


def describe(config: Config, mpm: str | None, place: str | None) -> dict[str, Any]:
    """The evidence's ``capacity.httpd``. ``place``: the file of ours that httpd would read, under
    the name by which it comes to it."""
    known = values(config)
    ours = httpd_fcgi.our_file(place)
    return {
        "mpm": mpm,
        "values": known,
        "ours": any(real_path(one.file) == ours for one in _main(config)),
        "effective": effective(mpm, known),
        "overriding": overriding(config, place),
        "fcgi": httpd_fcgi.describe(config, place),
    }
