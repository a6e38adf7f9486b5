# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Staying out of the way of what the host is there for."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import threading
from pathlib import Path
from typing import Iterator

_NICEST = 19
_FIRST = -20
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "ppc64le": 273, "s390x": 282, "riscv64": 30}
_WHO_PROCESS = 1
_BEST_EFFORT_LAST = 2 << 13 | 7
_MEMORY_NEEDED = 256 * 1024 * 1024
_STALL = 5.0


def step_back() -> None:
    """Give this process the lowest claim on processors and disks, for good.

    Not the idle classes: on a host in trouble they get nothing at all, and then there is no
    evidence.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICEST)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        # Failing is no loss: most disk schedulers of today have no priorities anyway.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _BEST_EFFORT_LAST)


@contextlib.contextmanager
def go_ahead(autogroup: str = "/proc/self/autogroup") -> Iterator[None]:
    """Have the highest claim on processors meanwhile, with all programs that are started in it.

    For what takes little of them and is waited for while a flood takes all. Where the kernel shares
    out by sessions (autogroup), the session has it as well. Whoever lacks the right to it, as a
    container's root may, goes on as before.
    """
    own = os.getpriority(os.PRIO_PROCESS, 0)
    session = _session_nice(autogroup)
    _prefer(_FIRST, _FIRST if session is not None else None, autogroup)
    try:
        yield
    finally:
        _prefer(own, session, autogroup)


def _session_nice(autogroup: str) -> int | None:
    try:
        return int(_text(autogroup).split()[-1])
    except (IndexError, ValueError):
        return None


def _prefer(own: int, session: int | None, autogroup: str) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, own)
        if session is not None:
            Path(autogroup).write_text(str(session), "ascii")


def _text(path: str) -> str:
    try:
        return Path(path).read_text("ascii", "replace")
    except OSError:
        return ""


def may_fork(
    cores: int, running: int | None, stall: float | None, available: int | None, threads: int
) -> bool:
    """Whether a second process would hurt nobody.

    cores: that this process may use. running: processes that run or want to, this one among them.
    stall: percent of the last ten seconds in which something waited for a processor; None where
    the kernel does not tell. available: bytes of memory. threads: of this process; a fork takes
    along only one of them, with the locks of all.
    """
    return (
        cores > 1
        and running is not None
        and running < cores
        and (stall or 0) < _STALL
        and available is not None
        and available >= _MEMORY_NEEDED
        and threads == 1
    )


def _running(loadavg: str) -> int | None:
    try:
        return int(loadavg.split()[3].partition("/")[0])
    except (IndexError, ValueError):
        return None


def _stalled(pressure: str) -> float | None:
    try:
        return float(pressure.partition("some avg10=")[2].split()[0])
    except (IndexError, ValueError):
        return None


def _available(meminfo: str) -> int | None:
    try:
        return int(meminfo.partition("MemAvailable:")[2].split()[0]) * 1024
    except (IndexError, ValueError):
        return None


def has_idle_core() -> bool:
    """Whether this host, now, has a processor and memory for a second process of ours."""
    return may_fork(
        len(os.sched_getaffinity(0)),
        _running(_text("/proc/loadavg")),
        _stalled(_text("/proc/pressure/cpu")),
        _available(_text("/proc/meminfo")),
        threading.active_count(),
    )
