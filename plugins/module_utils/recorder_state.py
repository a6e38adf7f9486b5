# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which recorder of processes, memory and I/O the host has, how it is set, and what it wrote."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import atop_log, sysstat_log
from ansible_collections.wpward.wordpress.plugins.module_utils.file_system import file_system_of
from ansible_collections.wpward.wordpress.plugins.module_utils.files import is_file
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import text_of
from ansible_collections.wpward.wordpress.plugins.module_utils.recorder_sample import (
    Sample,
    thinned,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.timed_command import ask, program

PROC = "/proc"
SYSTEMD = "/etc/systemd/system"
SETTINGS = "/etc/default/wpward-atop"
"""What our drop-in makes atop's unit read behind its own settings."""
DROP_IN = "wpward.conf"
_ATOP, _SYSSTAT, _PCP = "atop", "sysstat", "pcp"
_UNITS = {_ATOP: "atop.service", _SYSSTAT: "sysstat-collect.timer", _PCP: "pmlogger.service"}
_SYSSTAT_SETTINGS = ("/etc/sysstat/sysstat", "/etc/sysconfig/sysstat", "/etc/default/sysstat")
_FILES_OF_SYSTEMD = re.compile(r"^EnvironmentFiles=(\S+) \(", re.MULTILINE)
_CALENDAR = re.compile(
    r"OnCalendar=(?:\S+ )?(?P<hour>\*|\d+):(?P<minute>[\d*/]+):(?P<second>[\d*/]+)"
)
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_]\w*)=(.*)$")


def assignments(text: str) -> dict[str, str]:
    """Variables of a file that is read by a shell or by systemd's EnvironmentFile=; the last
    assignment counts."""
    found = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.match(line)
        if match is None:
            continue
        try:
            words = shlex.split(match.group(2), comments=True)
        except ValueError:
            continue
        found[match.group(1)] = words[0] if words else ""
    return found


def calendar_seconds(text: str) -> int | None:
    """Every how many seconds a timer elapses whose calendar has the form ``*:00/10:00``; None for
    any other one."""
    match = _CALENDAR.search(text)
    if match is None or match["hour"] != "*":
        return None
    for part, unit in ((match["second"], 1), (match["minute"], 60)):
        step = part.partition("/")[2]
        if step.isdigit() and int(step):
            return int(step) * unit
        if part == "*":
            return unit
    return 3600


def _show(unit: str, names: Sequence[str], deadline: float) -> tuple[str, dict[str, str]]:
    wanted = [word for name in names for word in ("-p", name)]
    _code, stdout, _stderr = ask(["systemctl", "show", *wanted, "--", unit], deadline)
    text = stdout.decode("utf-8", "replace")
    return text, dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _arguments(pid: str) -> list[str]:
    """Of a process; none for 0, which systemd says where there is none."""
    return (text_of(f"{PROC}/{pid}/cmdline") or "").split("\0")[:-1] if pid != "0" else []


class _Recorder:
    """One recorder and how it is set. ``interval``: seconds. ``directory``: of its files."""

    def __init__(self, name: str, deadline: float) -> None:
        self.name = name
        self.unit = _UNITS[name]
        names = ("LoadState", "ActiveState", "UnitFileState", "MainPID", "Environment")
        self._text, self._said = _show(
            self.unit, (*names, "EnvironmentFiles", "TimersCalendar"), deadline
        )
        self.active = self._said.get("ActiveState") in ("active", "reloading")
        self.enabled = self._said.get("UnitFileState", "").startswith("enabled")
        self.interval: int | None = None
        self.kept_days: int | None = None
        self.directory: str | None = None
        if name == _ATOP:
            self._read_atop()
        elif name == _SYSSTAT:
            self._read_sysstat()

    @property
    def is_there(self) -> bool:
        return self._said.get("LoadState") == "loaded"

    def _read_atop(self) -> None:
        try:
            values = dict(
                word.split("=", 1)
                for word in shlex.split(self._said.get("Environment", ""))
                if "=" in word
            )
        except ValueError:
            values = {}
        for path in _FILES_OF_SYSTEMD.findall(self._text):
            values.update(assignments(text_of(path) or ""))
        running = _arguments(self._said.get("MainPID", "0"))
        # What a running one was started with counts, whatever has been written into files since.
        self.interval = _number(running[-1] if running else values.get("LOGINTERVAL"))
        self.kept_days = _number(values.get("LOGGENERATIONS"))
        written = running[running.index("-w") + 1] if "-w" in running[:-1] else ""
        self.directory = (
            written.rpartition("/")[0] or values.get("LOGPATH", "").rstrip("/") or "/var/log/atop"
        )

    def _read_sysstat(self) -> None:
        values: dict[str, str] = {}
        for path in _SYSSTAT_SETTINGS:
            values.update(assignments(text_of(path) or ""))
        # Debian's timer elapses, and records nothing unless this says so too.
        self.active = self.active and values.get("ENABLED", "true") == "true"
        self.interval = calendar_seconds(self._said.get("TimersCalendar", ""))
        self.kept_days = _number(values.get("HISTORY"))
        self.directory = sysstat_log.directory(values.get("SA_DIR"))


def _ours(recorder: _Recorder) -> dict[str, int | None] | None:
    """What an earlier run has set; None where none has."""
    if not is_file(f"{SYSTEMD}/{recorder.unit}.d/{DROP_IN}"):
        return None
    values = assignments(text_of(SETTINGS) or "")
    return {
        "interval": _number(values.get("LOGINTERVAL")),
        "kept_days": _number(values.get("LOGGENERATIONS")),
    }


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _bytes_per_day(name: str, directory: str) -> int | None:
    """The largest of the newest days, with today left out, which is not over yet."""
    files = atop_log.day_files(directory) if name == _ATOP else sysstat_log.day_files(directory)
    today = time.strftime("%Y%m%d")
    newest = sorted(day for day in files if day < today)[-7:]
    return max((_size(files[day]) for day in newest), default=0) or None


def _samples(
    recorder: _Recorder, since: float, until: float, deadline: float, problems: Problems
) -> list[Sample]:
    reader = program({_ATOP: "atop", _SYSSTAT: "sadf"}.get(recorder.name, ""))
    if reader is None or recorder.directory is None:
        return []
    read = atop_log.read if recorder.name == _ATOP else sysstat_log.read
    found, complete = read(reader, recorder.directory, since, until, deadline)
    if not complete:
        problems.add(
            "recorder_incomplete",
            f"There was no time to read all that {recorder.name} recorded; the oldest part of the "
            "window is missing.",
        )
    return thinned(found)


def find(deadline: float) -> _Recorder | None:
    """The recorder that runs; of those that do not, the first that is installed."""
    found = [one for one in (_Recorder(name, deadline) for name in _UNITS) if one.is_there]
    return next((one for one in found if one.active), found[0] if found else None)


def describe(since: float, deadline: float, problems: Problems) -> dict[str, Any]:
    """The evidence's ``recorder``. ``since``: seconds since the epoch. ``deadline``:
    ``time.monotonic()``."""
    recorder = find(deadline)
    directory = recorder.directory if recorder else None
    document: dict[str, Any] = {
        "program": None,
        "unit": None,
        "active": False,
        "enabled": False,
        "interval": None,
        "kept_days": None,
        "wpward": None,
        "directory": directory,
        "bytes_per_day": None,
        **file_system_of(directory or "/var/log"),
        "samples": [],
    }
    if recorder is None:
        return document
    found = _samples(recorder, since, time.time(), deadline, problems)
    return {
        **document,
        "program": recorder.name,
        "unit": recorder.unit,
        "active": recorder.active,
        "enabled": recorder.enabled,
        "interval": recorder.interval,
        "kept_days": recorder.kept_days,
        "wpward": _ours(recorder),
        "bytes_per_day": _bytes_per_day(recorder.name, directory) if directory else None,
        "samples": [one.describe() for one in found],
    }
