# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which processes use the processors now, from two looks at /proc/PID/stat."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import text_of

PROC = "/proc"
_MAX_PROCESSES = 20000
_TOP = 5


class CpuSample:
    """The first look; the second is taken by ``busiest``, so that the time between is not lost."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first = self._look()

    @staticmethod
    def _look() -> dict[tuple[int, int], tuple[str, int]]:
        """(process id, start) -> (name, ticks of processor time so far)."""
        found: dict[tuple[int, int], tuple[str, int]] = {}
        own = str(os.getpid())
        for base in Path(PROC).iterdir():
            if not base.name.isdigit() or base.name == own:
                continue
            stat = text_of(f"{base}/stat")
            if not stat or ")" not in stat:
                continue
            name = stat[stat.index("(") + 1 : stat.rindex(")")]
            fields = stat[stat.rindex(")") + 2 :].split()
            if len(fields) >= 20:
                found[int(base.name), int(fields[19])] = name, int(fields[11]) + int(fields[12])
                if len(found) >= _MAX_PROCESSES:
                    break
        return found

    def busiest(self, seconds: float) -> list[dict[str, object]]:
        """The evidence's ``busiest``, at least ``seconds`` after the first look. ``cpu_share``: 1.0
        is one processor. A process that began meanwhile counts with all it has used; this one is
        left out."""
        time.sleep(max(self._began + seconds - time.monotonic(), 0))
        second = self._look()
        ticks = os.sysconf("SC_CLK_TCK") * max(time.monotonic() - self._began, 0.001)
        used = [
            (count - self._first.get(key, ("", 0))[1], key[0], name)
            for key, (name, count) in second.items()
        ]
        return [
            {"pid": pid, "name": printable(name, 64), "cpu_share": round(count / ticks, 3)}
            for count, pid, name in sorted(used, key=lambda one: (-one[0], one[1]))[:_TOP]
            if count > 0
        ]
