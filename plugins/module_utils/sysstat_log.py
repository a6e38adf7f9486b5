# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What sysstat recorded, read by its own ``sadf -j`` a day at a time, the newest first.

Its times are UTC unless told otherwise, and a day takes milliseconds. It knows no single
processes: what it counts are tasks, threads among them (measured with sysstat 12.7.5).
"""

from __future__ import annotations

import calendar
import json
import re
import time
from typing import Any, Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    modified_at,
    names_in,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.recorder_sample import Sample, share
from ansible_collections.wpward.wordpress.plugins.module_utils.timed_command import ask

_ACTIVITIES = ("-u", "-q", "-r", "-S", "-d")
_DIRECTORIES = ("/var/log/sysstat", "/var/log/sa")
_FILE = re.compile(r"sa(\d{8}|\d\d)\Z")
_DAY = 86400
_KIB = 1024


def directory(configured: str | None) -> str | None:
    """Where its files are: Debian's and the RHEL family's own place, unless configured."""
    return next((one for one in (configured, *_DIRECTORIES) if one and is_directory(one)), None)


def day_files(directory: str) -> dict[str, str]:
    """The recorder's files by their day (``20261122``). Where the name has the day of the month
    only, the month is that of the last write, which may be just after midnight."""
    found = {}
    for name in names_in(directory):
        match = _FILE.match(name)
        if match is None:
            continue
        path, day = f"{directory}/{name}", match.group(1)
        if len(day) == 8:
            found[day] = path
            continue
        written = modified_at(path)
        if written is not None:
            for moment in (written, written - _DAY):
                whole = time.strftime("%Y%m%d", time.localtime(moment))
                if whole.endswith(day):
                    found[whole] = path
    return found


def _number(row: Any, *names: str) -> float | None:
    """The first of these that it has."""
    for name in names:
        value = row.get(name) if isinstance(row, dict) else None
        if isinstance(value, (int, float)):
            return float(value)
    return None


def _second(stamp: Any) -> int | None:
    try:
        parsed = time.strptime(f"{stamp['date']} {stamp['time']}", "%Y-%m-%d %H:%M:%S")
    except (TypeError, KeyError, ValueError):
        return None
    return calendar.timegm(parsed)


def _sample(at: int, row: dict[str, Any]) -> Sample:
    sample = Sample(at)
    for processor in row.get("cpu-load") or row.get("cpu-load-all") or ():
        idle, wait = _number(processor, "idle"), _number(processor, "iowait")
        if processor.get("cpu") == "all" and idle is not None:
            sample.cpu_busy = share(100 - idle - (wait or 0), 100)
    queue, memory = row.get("queue"), row.get("memory")
    sample.load = _number(queue, "ldavg-1")
    tasks, running = _number(queue, "plist-sz"), _number(queue, "runq-sz")
    sample.processes = None if tasks is None else int(tasks)
    sample.running = None if running is None else int(running)
    available, swap = _number(memory, "avail"), _number(memory, "swpused")
    if available is None and _number(memory, "memfree") is not None:
        # Before 11.5 there is no estimate of the kernel's.
        parts = (_number(memory, name) for name in ("memfree", "buffers", "cached"))
        available = sum(part or 0 for part in parts)
    sample.memory_available = None if available is None else int(available) * _KIB
    sample.swap_used = None if swap is None else int(swap) * _KIB
    busy = [_number(disk, "util-percent", "util") for disk in row.get("disk") or ()]
    known = [one for one in busy if one is not None]
    sample.io_busy = share(max(known), 100) if known else None
    return sample


def samples_of(output: bytes) -> Iterator[Sample]:
    """The samples in what ``sadf -j`` printed; none where that is not whole."""
    try:
        document = json.loads(output.decode("utf-8", "replace"))
        rows = [row for host in document["sysstat"]["hosts"] for row in host["statistics"]]
    except (ValueError, KeyError, TypeError):
        return
    for row in rows:
        at = _second(row.get("timestamp")) if isinstance(row, dict) else None
        if at is not None:
            yield _sample(at, row)


def read(
    binary: str, directory: str, since: float, until: float, deadline: float
) -> tuple[list[Sample], bool]:
    """As atop_log.read(). ``since`` and ``until``: seconds since the epoch."""
    files = day_files(directory)
    first, last = (time.strftime("%Y%m%d", time.localtime(one)) for one in (since, until))
    found: list[Sample] = []
    for day in sorted(files, reverse=True):
        if not first <= day <= last:
            continue
        code, stdout, _stderr = ask([binary, "-j", files[day], "--", *_ACTIVITIES], deadline)
        if code is None:
            return found, False
        found += [one for one in samples_of(stdout) if since <= one.at <= until]
    return found, True
