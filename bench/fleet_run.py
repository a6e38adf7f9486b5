# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one command costs the machine that it runs on: seconds, CPU seconds, peak memory."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Run:
    """An ended command. CPU time and peak memory are of all its processes, also of those that went
    into the background, as the SSH connections do that Ansible keeps open."""

    code: int
    output: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measure(argv: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> Run:
    """Run a command to its end in that folder; its output goes to the log.

    Whatever it leaves in the background is ended, so that the next run begins with nothing. Not to
    be called while the caller has other children. Raises OSError.
    """
    # Without this a process in the background would belong to init, and be counted by nobody.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    before = _cpu_of_children()
    began = time.monotonic()
    with log.open("w") as file:
        running = subprocess.Popen(
            argv, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
        peak = _Peak()
        peak.start()
        try:
            code = running.wait()
            seconds = time.monotonic() - began
        finally:
            peak.stop()
            _end_children()
    return Run(
        code=code,
        output=log.read_text(errors="replace"),
        seconds=seconds,
        cpu_seconds=_cpu_of_children() - before,
        peak_bytes=peak.bytes,
    )


class _Peak(threading.Thread):
    """Watches the memory of all descendants of this process.

    It is the proportional set size: pages that forked workers share count once, not once per
    worker.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self._end = threading.Event()

    def run(self) -> None:
        pause = 0.0
        while not self._end.wait(pause):
            began = time.monotonic()
            self.bytes = max(self.bytes, sum(map(_memory, _descendants())))
            # The kernel walks every page for this; watching must not slow down what is watched.
            pause = max(0.2, 10 * (time.monotonic() - began))

    def stop(self) -> None:
        self._end.set()
        self.join()


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _children() -> dict[int, list[int]]:
    """Each process's children, of all processes of this machine."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text(errors="replace")
            except OSError:
                continue
            # The name stands in parentheses and may itself have some.
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    return children


def _descendants() -> list[int]:
    children = _children()
    found = list(children.get(os.getpid(), []))
    for pid in found:
        found += children.get(pid, [])
    return found


def _memory(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in rollup.splitlines() if line.startswith("Pss:")]
    return 1024 * int(lines[0][1]) if lines else 0


def _end_children() -> None:
    for pid in _descendants():
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
