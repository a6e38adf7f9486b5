# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory the web stack's processes take: what more workers would cost.

The measure is the proportional set size (PSS): workers share most of their pages with the process
that made them, so that the sum of their resident sizes counts the same memory many times. What a
worker more would cost is what one has for itself: among two workers of php-fpm 8.2 each had a PSS
of 15.9 MiB, among 25 of them 5.1, because what they share is divided by more.

To tell the PSS the kernel walks through all pages of a process and holds its memory lock, for
which the reader may have to wait. So at most ``MAX_SAMPLE`` processes of a service are asked (one
of each pool where there are more pools), in a thread that is left behind at the deadline; the
others count by their resident size, which is there without a lock.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Collection, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.patience import gather
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process, text_of

PROC = "/proc"
MAX_SAMPLE = 40
_SERVICES = ("httpd", "php-fpm", "nginx", "mariadb")
_UNKNOWN = ("pss_total", "pss_mean", "pss_max", "private_mean", "shared_total")


def resident(pid: int) -> int | None:
    """Bytes in memory, shared ones included; None where the process is gone."""
    words = (text_of(f"{PROC}/{pid}/statm") or "").split()
    if len(words) < 2 or not words[1].isdigit():
        return None
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Memory:
    """Of one process, in bytes. private: what no other process shares, or is swapped out. freed:
    what it had more of at its largest: PHP gives a part back after a worker's first request, and
    takes it again."""

    pss: int
    private: int
    freed: int


def _kibibytes(path: str) -> dict[str, int]:
    """The numbers of a file of lines such as ``Pss:  12 kB``, in bytes."""
    found = (line.split() for line in (text_of(path) or "").splitlines())
    return {
        words[0]: int(words[1]) * 1024
        for words in found
        if len(words) == 3 and words[2] == "kB" and words[1].isdigit()
    }


def memory_of(pid: int) -> Memory | None:
    """What a process takes; None where it is gone, may not be asked, or the kernel has no
    smaps_rollup (before 4.14)."""
    mapped = _kibibytes(f"{PROC}/{pid}/smaps_rollup")
    if "Pss:" not in mapped:
        return None
    status = _kibibytes(f"{PROC}/{pid}/status")
    private = sum(mapped.get(name, 0) for name in ("Private_Clean:", "Private_Dirty:", "SwapPss:"))
    freed = max(status.get("VmHWM:", 0) - status.get("VmRSS:", 0), 0)
    return Memory(mapped["Pss:"], private, freed)


def _evenly(pids: Sequence[int], number: int) -> list[int]:
    """``number`` of them at equal distances, the first among them."""
    if len(pids) <= number:
        return list(pids)
    return [pids[position * len(pids) // number] for position in range(number)]


def _estimate(sizes: dict[int, int], measured: dict[int, Memory]) -> dict[str, int | None]:
    """The ``pss_*``, ``private_mean`` and ``shared_total`` of processes of these resident sizes.
    Where not every one was asked, the others are taken to have the same ratios to resident size.
    """
    asked = [measured[pid] for pid in sizes if pid in measured]
    if not asked:
        return {**dict.fromkeys(_UNKNOWN), "sampled": 0}
    known = sum(size for pid, size in sizes.items() if pid in measured)
    scale = sum(sizes.values()) / max(known, 1)
    total = sum(one.pss for one in asked)
    # Workers that have not worked yet tell nothing of those that have.
    largest = max(one.private for one in asked)
    worked = [one.private + one.freed for one in asked if one.private * 2 >= largest]
    return {
        "pss_total": round(total * scale),
        "pss_mean": round(total * scale / len(sizes)),
        "pss_max": max(one.pss for one in asked),
        "private_mean": round(sum(worked) / len(worked)),
        "shared_total": round(max(total - sum(one.private for one in asked), 0) * scale),
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
        self._measured: dict[int, Memory] = {}

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

        def ask(answers: list[tuple[int, Memory]]) -> None:
            for position in range(max(map(len, samples), default=0)):
                for sample in samples:
                    if position < len(sample):
                        memory = memory_of(sample[position])
                        if memory is not None:
                            answers.append((sample[position], memory))

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
        """``pss_total``, ``pss_mean``, ``pss_max``, ``private_mean``, ``shared_total`` (bytes) and
        ``sampled`` of some of them."""
        sizes = {
            pid: size
            for service in self._sizes.values()
            for pid, size in service.items()
            if pid in pids
        }
        return _estimate(sizes, self._measured)
