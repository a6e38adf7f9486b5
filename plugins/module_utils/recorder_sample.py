# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One moment of what a recorder of the host wrote, whichever recorder it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso

MOST = 1500
"""Samples in the evidence: a day at one a minute, with some to spare."""


@dataclass
class Sample:
    """``at``: seconds since the epoch. ``load``: mean of one minute. ``cpu_busy`` and ``io_busy``:
    shares of the time since the sample before, of all processors and of the busiest disk; None
    right after a start. ``memory_available`` and ``swap_used``: bytes. ``running``: tasks that ran
    or waited for a processor. What the recorder does not write is None."""

    at: int
    load: float | None = None
    cpu_busy: float | None = None
    io_busy: float | None = None
    processes: int | None = None
    running: int | None = None
    memory_available: int | None = None
    swap_used: int | None = None
    web_workers: int | None = None

    def describe(self) -> dict[str, Any]:
        """The evidence's form."""
        return {
            "at": iso(self.at),
            "load": self.load,
            "cpu_busy": self.cpu_busy,
            "io_busy": self.io_busy,
            "processes": self.processes,
            "running": self.running,
            "memory_available": self.memory_available,
            "swap_used": self.swap_used,
            "web_workers": self.web_workers,
        }


def share(part: float, whole: float) -> float | None:
    """``part`` of ``whole``, from 0 to 1; None where there is no whole."""
    return round(min(max(part / whole, 0.0), 1.0), 3) if whole > 0 else None


def thinned(samples: Sequence[Sample], most: int = MOST) -> list[Sample]:
    """At most that many, oldest first. Of neighbours the one with the highest load stays: what
    one looks for is the worst moment."""
    by_time = sorted({one.at: one for one in samples}.values(), key=lambda one: one.at)
    if len(by_time) <= most:
        return by_time
    step = -(-len(by_time) // most)
    return [
        max(by_time[place : place + step], key=lambda one: one.load or 0.0)
        for place in range(0, len(by_time), step)
    ]
