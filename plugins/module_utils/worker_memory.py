# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory the web stack's processes take: what more workers would cost.

The measure is the proportional set size (PSS): workers share most of their pages with the process
that made them, so that the sum of their resident sizes counts the same memory many times.

To tell the PSS the kernel walks through all pages of a process and holds its memory lock, for
which the reader may have to wait. So at most ``MAX_SAMPLE`` processes of a service are asked (one
of each pool where there are more pools), in a thread that is left behind at the deadline; the
others count by their resident size, which is there without a lock.
"""

from __future__ import annotations

import os
from typing import Collection, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.patience import gather
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process, text_of

PROC = "/proc"
MAX_SAMPLE = 40
_SERVICES = ("httpd", "php-fpm", "nginx", "mariadb")


def resident(pid: int) -> int | None:
    """Bytes in memory, shared ones included; None where the process is gone."""
    words = (text_of(f"{PROC}/{pid}/statm") or "").split()
    if len(words) < 2 or not words[1].isdigit():
        return None
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def proportional(pid: int) -> int | None:
    """The proportional set size in bytes; None where the process is gone, may not be asked, or
    the kernel has no smaps_rollup (before 4.14)."""
    for line in (text_of(f"{PROC}/{pid}/smaps_rollup") or "").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None


def _evenly(pids: Sequence[int], number: int) -> list[int]:
    """``number`` of them at equal distances, the first among them."""
    if len(pids) <= number:
        return list(pids)
    return [pids[position * len(pids) // number] for position in range(number)]


def _estimate(sizes: dict[int, int], measured: dict[int, int]) -> dict[str, int | None]:
    """The ``pss_*`` of processes of these resident sizes. Where not every one was asked, the others
    are taken to have the same ratio of PSS to resident size."""
    asked = [pid for pid in sizes if pid in measured]
    total: int | None = None
    if asked:
        known = sum(measured[pid] for pid in asked)
        share = known / max(sum(sizes[pid] for pid in asked), 1)
        unknown = sum(size for pid, size in sizes.items() if pid not in measured)
        total = round(known + unknown * share)
    return {
        "pss_total": total,
        "pss_mean": round(total / len(sizes)) if total is not None else None,
        "pss_max": max((measured[pid] for pid in asked), default=None),
        "sampled": len(asked),
    }


class Sample:
    """The memory of the workers, and of the database server, as ``read`` has found it.

    ``processes``: what processes.running() found.
    """

    def __init__(self, processes: Sequence[Process]) -> None:
        self._groups: dict[str, dict[str | None, list[int]]] = {}
        for process in processes:
            if process.role == "worker" or process.service == "mariadb":
                pools = self._groups.setdefault(process.service, {})
                pools.setdefault(process.pool, []).append(process.pid)
        self._sizes: dict[str, dict[int, int]] = {}
        self._measured: dict[int, int] = {}

    def _asked(self) -> list[list[int]]:
        """Which processes of each service are asked, of every pool some."""
        asked: list[list[int]] = []
        for service, pools in self._groups.items():
            sizes = self._sizes.get(service, {})
            asked.append([])
            for pids in pools.values():
                largest_first = sorted(
                    (pid for pid in pids if pid in sizes), key=lambda pid: -sizes[pid]
                )
                asked[-1] += _evenly(largest_first, max(MAX_SAMPLE // len(pools), 1))
        return asked

    def read(self, deadline: float) -> bool:
        """Ask the kernel; whether every process of the sample answered by ``deadline``
        (``time.monotonic()``)."""
        for service, pools in self._groups.items():
            found = {pid: resident(pid) for pids in pools.values() for pid in pids}
            sizes = {pid: size for pid, size in found.items() if size is not None}
            if sizes:
                self._sizes[service] = sizes
        samples = self._asked()

        def ask(answers: list[tuple[int, int]]) -> None:
            for position in range(max(map(len, samples), default=0)):
                for sample in samples:
                    if position < len(sample):
                        size = proportional(sample[position])
                        if size is not None:
                            answers.append((sample[position], size))

        answers, complete = gather(ask, deadline)
        self._measured = dict(answers)
        return complete

    def rows(self) -> list[dict[str, object]]:
        """The evidence's ``workers``, one row for each service that runs, in bytes."""
        return [
            {
                "service": service,
                "count": len(self._sizes[service]),
                **_estimate(self._sizes[service], self._measured),
            }
            for service in _SERVICES
            if service in self._sizes
        ]

    def of(self, pids: Collection[int]) -> dict[str, int | None]:
        """``pss_total``, ``pss_mean``, ``pss_max`` (bytes) and ``sampled`` of some of them."""
        sizes = {
            pid: size
            for service in self._sizes.values()
            for pid, size in service.items()
            if pid in pids
        }
        return _estimate(sizes, self._measured)
