# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many open files each service is to be given, and nginx's numbers that hang on that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_settings import Settings

Row = Mapping[str, Any]

CONNECTIONS = 4096
"""worker_connections wanted: 768, as Debian ships it, are used up by some hundred idle visitors."""

_ENOUGH = 0.95
"""Share of the open files that are wanted, with which a service is left alone."""

_PER_CONNECTION = 2
"""Descriptors of a proxied request: the client's and the upstream's."""

DEBIAN_HTTPD = "apache2.service"
"""Whose apachectl sets 8192 open files itself, whatever the unit says (httpd 2.4 of Debian 11-13),
unless APACHE_ULIMIT_MAX_FILES tells it otherwise."""


def wanted_files(row: Row, wanted: int, ceiling: int, own: int | None = None) -> int | None:
    """LimitNOFILE for a service; None where it has what is wanted, or cannot be restarted.

    row: the service in the evidence. own: the lowest limit that its own configuration sets.
    """
    has = row.get("nofile") or {}
    target = min(wanted, ceiling)
    if not row.get("manageable", True) or has.get("lowest") is None:
        return None
    # A restart for a few more is not worth it: RHEL's MariaDB, for one, has 16364.
    if has["lowest"] >= target * _ENOUGH:
        return None
    if own is not None and own <= has["lowest"] and has["highest"] >= target:
        # The unit gives enough; only the configuration takes it away again.
        return None
    # Systemd would lower silently what is above the ceiling.
    return int(max(target, has["highest"])) if has["highest"] <= ceiling else None


@dataclass
class NginxNumbers:
    """What becomes of nginx.conf. settings: the directives that it will have, by name. entries:
    the files of a transaction. changes: name, before and after of those that change. notes: what
    could not be done."""

    settings: dict[str, Any] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    changes: list[tuple[str, Any, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def nginx_numbers(capacity: Row, row: Row, nofile: int | None, settings: Settings) -> NginxNumbers:
    """The numbers for nginx. nofile: what its unit is to be given; None where that stays."""
    nginx, numbers = capacity["nginx"], NginxNumbers()
    if not row.get("manageable", True):
        return numbers
    explicit = nginx.get("worker_rlimit_nofile")
    lowest = (row.get("nofile") or {}).get("lowest")
    target = min(settings.nofile, capacity["nofile_ceiling"])
    changes: dict[str, Any] = {}
    if explicit is not None and explicit < target:
        changes["worker_rlimit_nofile"] = nofile or target
    elif explicit is None and nofile is not None:
        # Then workers of a reload have it too, however nginx was started.
        changes["worker_rlimit_nofile"] = nofile
    files = changes.get("worker_rlimit_nofile") or nofile or explicit or lowest
    connections = nginx.get("worker_connections")
    if connections is not None and files:
        most = max(files // _PER_CONNECTION, 1)
        after = min(max(connections, CONNECTIONS), most)
        if after != connections:
            changes["worker_connections"] = after
    processes = str(nginx.get("worker_processes"))
    if settings.workers and processes.isdecimal() and int(processes) < int(capacity["cpus"]):
        changes["worker_processes"] = "auto"
    for name in ("worker_processes", "worker_rlimit_nofile", "worker_connections"):
        numbers.settings[name] = nginx.get(name)
    _edit(nginx, changes, numbers)
    return numbers


def _edit(nginx: Row, changes: Mapping[str, Any], numbers: NginxNumbers) -> None:
    files: dict[str, dict[str, Any]] = {}
    inserted: dict[tuple[str, int], dict[str, Any]] = {}
    for name, value in changes.items():
        text = f"{name} {value};"
        directive = (nginx.get("directives") or {}).get(name)
        in_events = name == "worker_connections"
        place = directive or nginx.get("events" if in_events else "main")
        if place is None:
            numbers.notes.append(
                f"nginx should have `{text}`, but no place for it was found in {nginx['file']}; "
                "write it there yourself."
            )
            continue
        entry = files.setdefault(
            place["file"], {"path": place["file"], "sha256": place["sha256"], "edits": []}
        )
        where = (place["file"], place["offset"])
        if directive:
            entry["edits"].append(
                {"offset": place["offset"], "remove": place["length"], "insert": text}
            )
        else:
            if where not in inserted:
                inserted[where] = {"offset": place["offset"], "remove": 0, "insert": ""}
                entry["edits"].append(inserted[where])
            inserted[where]["insert"] += f"\n    {text}" if in_events else f"{text}\n"
        numbers.changes.append((name, nginx.get(name), value))
        numbers.settings[name] = value
    numbers.entries += files.values()
