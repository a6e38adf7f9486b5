# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory the web stack's processes take: what more workers would cost.

The measure is the proportional set size (PSS): workers share most of their pages with the process
that made them, so that the sum of their resident sizes counts the same memory many times.

To tell the PSS the kernel walks through all pages of a process and holds its memory lock, for
which the reader may have to wait. So at most ``MAX_SAMPLE`` processes of a service are asked, in a
thread that is left behind at the deadline; the others count by their resident size, which is there
without a lock.
"""

from __future__ import annotations

import os
from typing import Sequence

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


def _describe(service: str, sizes: dict[int, int], measured: dict[int, int]) -> dict[str, object]:
    asked = [pid for pid in sizes if pid in measured]
    total: int | None = None
    if asked:
        known = sum(measured[pid] for pid in asked)
        share = known / max(sum(sizes[pid] for pid in asked), 1)
        unknown = sum(size for pid, size in sizes.items() if pid not in measured)
        total = round(known + unknown * share)
    return {
        "service": service,
        "count": len(sizes),
        "pss_total": total,
        "pss_mean": round(total / len(sizes)) if total is not None else None,
        "pss_max": max((measured[pid] for pid in asked), default=None),
        "sampled": len(asked),
    }


def measure(processes: Sequence[Process], deadline: float) -> tuple[list[dict[str, object]], bool]:
    """The evidence's ``workers``, one row for each service that runs, in bytes, and whether every
    process of the sample answered by ``deadline`` (``time.monotonic()``).

    Where not every process was asked, ``pss_total`` and ``pss_mean`` take the others to have the
    sample's ratio of PSS to resident size.
    """
    sizes: dict[str, dict[int, int]] = {}
    for process in processes:
        if process.role == "worker" or process.service == "mariadb":
            size = resident(process.pid)
            if size is not None:
                sizes.setdefault(process.service, {})[process.pid] = size
    largest_first = {
        service: sorted(found, key=lambda pid, found=found: -found[pid])  # type: ignore[misc]
        for service, found in sizes.items()
    }
    samples = [_evenly(largest_first.get(service, []), MAX_SAMPLE) for service in _SERVICES]

    def ask(answers: list[tuple[int, int]]) -> None:
        for position in range(MAX_SAMPLE):
            for sample in samples:
                if position < len(sample):
                    size = proportional(sample[position])
                    if size is not None:
                        answers.append((sample[position], size))

    answers, complete = gather(ask, deadline)
    measured = dict(answers)
    rows = [
        _describe(service, sizes[service], measured) for service in _SERVICES if service in sizes
    ]
    return rows, complete
