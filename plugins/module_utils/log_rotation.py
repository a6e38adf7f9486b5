# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long logrotate keeps the web servers' access logs, and what they take up."""

from __future__ import annotations

import fnmatch
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import logrotate_config
from ansible_collections.wpward.wordpress.plugins.module_utils.file_system import file_system_of
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    names_in,
    read_regular,
    real_path,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_window import rotated_names
from ansible_collections.wpward.wordpress.plugins.module_utils.logrotate_config import (
    Options,
    Section,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.timed_command import ask, program
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost

ROOTS = ("/etc/logrotate.conf", "/opt/bitnami/config/logrotate.conf")
_LARGEST = 1 << 20
_MOST_FILES = 500
_MOST_LOGS = 200
_DAY = 86400
_COMPRESSED = 1 / 5
"""Share that gzip leaves of an access log at most; 1/10 to 1/20 are usual."""
_IGNORED = (".rpmsave", ".rpmorig", ".rpmnew", ".dpkg-dist", ".dpkg-old", ".dpkg-new", ".bak", "~")


@dataclass(frozen=True)
class _File:
    path: str
    data: bytes
    sections: Sequence[Section]


def _files() -> Iterator[_File]:
    """All that logrotate reads, in its order."""
    waiting = list(reversed(ROOTS))
    defaults = Options()
    seen: set[str] = set()
    while waiting and len(seen) < _MOST_FILES:
        path = real_path(waiting.pop())
        if is_directory(path):
            names = [one for one in names_in(path) if not one.endswith(_IGNORED)]
            waiting += [f"{path}/{name}" for name in reversed(names) if name[0] != "."]
            continue
        if path in seen:
            continue
        seen.add(path)
        try:
            data = read_regular(path, _LARGEST)
        except OSError:
            continue
        read = logrotate_config.parse(data, defaults)
        defaults = read.defaults
        waiting += reversed(read.includes)
        yield _File(path, data, read.sections)


@dataclass
class _Volume:
    """Bytes that logs have. ``raw``: written a day. ``kept``: on the disk for each day kept."""

    raw: float = 0.0
    kept: float = 0.0

    def add(self, path: str, compress: bool, now: float) -> None:
        """Count a log and what it was rotated to.

        Today counts where it is more than the days before: during an attack the log grows faster
        than it ever did.
        """
        try:
            current = Path(path).stat().st_size
        except OSError:
            current = 0
        older = []
        for name in rotated_names(path):
            try:
                state = Path(name).stat()
            except OSError:
                continue
            older.append((state.st_mtime, state.st_size, name))
        older.sort(reverse=True)
        age = max(now - older[0][0], _DAY) if older else _DAY
        raw = current / age * _DAY
        self.raw += raw
        today = raw * (_COMPRESSED if compress else 1.0)
        past = 0.0
        if len(older) > 1:
            days = max((older[0][0] - older[-1][0]) / _DAY, 1.0)
            sizes = [
                size * (_COMPRESSED if compress and not _is_compressed(name) else 1.0)
                for _written, size, name in older[:-1]
            ]
            past = sum(sizes) / days
        self.kept += max(today, past)


def _is_compressed(name: str) -> bool:
    return name.endswith((".gz", ".bz2", ".xz", ".zst"))


def _period(options: Options, raw: float) -> float:
    """Days from one rotation to the next; logrotate itself looks once a day."""
    period = options.period_days
    size = options.size if options.size is not None else options.max_size
    if size is not None and raw > 0:
        by_size = max(size / raw, 1.0)
        return by_size if options.size is not None else min(period, by_size)
    return period


def _edit(section: Section) -> dict[str, Any]:
    """Where the number of kept files stands; without one of its own, where it would."""
    number = section.options.rotate
    if number is not None and b"rotate" in section.own:
        return {"offset": number.offset, "length": number.length, "before": ""}
    return {"offset": section.body, "length": 0, "before": "\n\trotate "}


def _matches(patterns: Sequence[str], path: str) -> bool:
    # As glob() does it: a star stands for no slash.
    for pattern in patterns:
        wanted, has = pattern.split("/"), path.split("/")
        if len(wanted) == len(has) and all(map(fnmatch.fnmatchcase, has, wanted)):
            return True
    return False


def _logs(vhosts: Sequence[VirtualHost]) -> dict[str, str]:
    """The access logs and their servers."""
    found: dict[str, str] = {}
    for vhost in vhosts:
        for log in vhost.access_logs:
            if log.path.startswith("/") and "$" not in log.path:
                found.setdefault(log.path, vhost.id.partition(":")[0])
    return dict(list(found.items())[:_MOST_LOGS])


def _refusal(binary: str, path: str, deadline: float) -> str | None:
    """What logrotate has against a file as it is, in one sentence; None for nothing."""
    code, _stdout, stderr = ask([binary, "-d", path], deadline)
    if code == 0:
        return None
    said = [
        line for line in stderr.decode("utf-8", "replace").splitlines() if line.startswith("error")
    ]
    return f"logrotate refuses {path}: {printable(said[0] if said else 'no answer', 200)}."


def _describe(
    file: _File, section: Section, logs: dict[str, str], binary: str, deadline: float
) -> dict[str, Any]:
    options = section.options
    volume = _Volume()
    now = time.time()
    for path in logs:
        volume.add(path, options.compress, now)
    period = _period(options, volume.raw)
    rotate = options.rotate.value if options.rotate else 0
    kept_days = rotate * period if rotate >= 0 else None
    max_age = options.max_age
    if kept_days is not None and max_age is not None:
        kept_days = min(kept_days, float(max_age.value))
    return {
        "file": file.path,
        "sha256": hashlib.sha256(file.data).hexdigest(),
        "patterns": list(section.patterns),
        "logs": sorted(logs),
        "server": sorted(set(logs.values()))[-1],
        "frequency": "size" if options.size is not None else options.frequency,
        "period_days": round(period, 3),
        "rotate": rotate,
        "kept_days": None if kept_days is None else int(kept_days),
        "compress": options.compress,
        "edit": _edit(section),
        "max_age": (
            {"value": max_age.value, "offset": max_age.offset, "length": max_age.length}
            if max_age and b"maxage" in section.own
            else None
        ),
        "bytes_per_day": round(volume.kept),
        "refusal": _refusal(binary, file.path, deadline),
        **file_system_of(next(iter(logs)).rpartition("/")[0] or "/"),
    }


def collect(vhosts: Sequence[VirtualHost], deadline: float) -> list[dict[str, Any]]:
    """The evidence's ``log_rotation``: one entry for each section of logrotate's files that
    rotates access logs. ``deadline``: ``time.monotonic()``."""
    binary = program("logrotate")
    if binary is None:
        return []
    left = _logs(vhosts)
    found = []
    for file in _files():
        for section in file.sections:
            # The first file that names a log has it; logrotate refuses the others.
            logs = {path: of for path, of in left.items() if _matches(section.patterns, path)}
            if logs:
                found.append(_describe(file, section, logs, binary, deadline))
                left = {path: of for path, of in left.items() if path not in logs}
    return found
