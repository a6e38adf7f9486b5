# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many connections and open files nginx is configured for, and where that stands."""

from __future__ import annotations

from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import path_text, real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import blocks

_MAIN = ("worker_processes", "worker_rlimit_nofile")
_CONNECTIONS = "worker_connections"
_DEFAULT_PROCESSES = "1"
_DEFAULT_CONNECTIONS = 512


def _place(config: Config, directive: Directive | None) -> dict[str, Any] | None:
    if directive is None:
        return None
    file = config.files[directive.file]
    return {
        "file": real_path(directive.file),
        "sha256": file.sha256,
        "offset": directive.offset,
        "length": directive.end - directive.offset,
        "text": path_text(file.data[directive.offset : directive.end]),
    }


def _insertion(config: Config, file: str, offset: int | None) -> dict[str, Any] | None:
    if offset is None:
        return None
    return {"file": real_path(file), "sha256": config.files[file].sha256, "offset": offset}


def _first(found: Iterator[Directive], name: str) -> Directive | None:
    """nginx refuses a second one."""
    return next((one for one in found if one.name == name and one.args), None)


def _number(directive: Directive | None) -> int | None:
    text = directive.args[0] if directive else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def describe(config: Config, workers: int) -> dict[str, Any]:
    """The evidence's ``capacity.nginx``. ``workers``: how many run."""
    found: dict[str, Directive | None] = {
        name: _first(config.expand(config.directives), name) for name in _MAIN
    }
    events = next(blocks(config, "events"), None)
    inside: Sequence[Directive] = (events.block or ()) if events else ()
    found[_CONNECTIONS] = _first(config.expand(tuple(inside)), _CONNECTIONS)
    processes = found["worker_processes"]
    connections = _number(found[_CONNECTIONS])
    return {
        "worker_processes": processes.args[0] if processes else _DEFAULT_PROCESSES,
        "workers": workers,
        "worker_connections": _DEFAULT_CONNECTIONS if connections is None else connections,
        "worker_rlimit_nofile": _number(found["worker_rlimit_nofile"]),
        "file": real_path(config.path),
        "sha256": config.files[config.path].sha256,
        "directives": {name: _place(config, one) for name, one in sorted(found.items())},
        "events": _insertion(config, events.file, events.block_offset) if events else None,
        "main": _insertion(config, events.file, events.offset) if events else None,
    }
