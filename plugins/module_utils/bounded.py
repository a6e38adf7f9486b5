# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters whose memory does not grow with what an attacker sends.

Each of them can take in another one of its kind, so that several processes can count parts of a
log.
"""

from __future__ import annotations

import heapq
import math
from operator import itemgetter
from typing import Iterable, Mapping


class Room:
    """How many keys all counters of a log may keep together.

    Each tally has an equal share, and shares shrink as sites and endpoints turn up; so one busy
    site can use the whole room, and a host of three hundred sites stays as small.
    """

    _LEAST = 256

    def __init__(self, keys: int) -> None:
        self._keys = keys
        self._shares = 0

    def add_share(self) -> None:
        self._shares += 1

    @property
    def share(self) -> int:
        """Keys that each of a tally's counters may have."""
        return max(self._keys // max(self._shares, 1), self._LEAST)


class TopCounter:
    """The most frequent keys. Exact as long as they fit; then the rarer half is dropped now and
    then, and what is kept or comes back is a lower bound.

    A key that at all times makes up more than one in ``capacity / 2`` of what was counted is never
    lost.
    """

    def __init__(self) -> None:
        self.counts: dict[bytes, int] = {}
        self.exact = True

    def update(self, counts: Mapping[bytes, int], capacity: int) -> list[tuple[bytes, int]]:
        """Add; returns what had to be dropped for it, with the counts so far."""
        mine = self.counts
        for key, count in counts.items():
            mine[key] = mine.get(key, 0) + count
        if len(mine) <= capacity:
            return []
        self.exact = False
        ranked = sorted(mine.items(), key=itemgetter(1), reverse=True)
        kept = capacity // 2
        self.counts = dict(ranked[:kept])
        return ranked[kept:]

    def top(self, number: int) -> list[tuple[bytes, int]]:
        """The ``number`` largest, largest first; equal ones in the order of their keys."""
        return heapq.nsmallest(number, self.counts.items(), key=lambda item: (-item[1], item[0]))


class DistinctCounter:
    """How many different keys there were: exact as long as they fit, then estimated by
    HyperLogLog in 16 KiB (standard error 0.8 %)."""

    _INDEX_BITS = 14
    _REGISTERS = 1 << _INDEX_BITS
    # Python keys its hash of bytes by a secret per process, so collisions cannot be chosen.
    _HASH_BITS = 60

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._registers = bytearray()

    @property
    def exact(self) -> bool:
        return not self._registers

    def _mark(self, keys: Iterable[bytes]) -> None:
        registers = self._registers
        index_bits, index_mask = self._INDEX_BITS, self._REGISTERS - 1
        rest_bits = self._HASH_BITS - index_bits
        rest_mask = (1 << rest_bits) - 1
        for key in keys:
            number = hash(key)
            rank = rest_bits + 1 - ((number >> index_bits) & rest_mask).bit_length()
            index = number & index_mask
            if registers[index] < rank:
                registers[index] = rank

    def update(self, keys: Iterable[bytes], capacity: int) -> None:
        if not self.exact:
            self._mark(keys)
            return
        self._seen.update(keys)
        if len(self._seen) > capacity:
            self._registers = bytearray(self._REGISTERS)
            self._mark(self._seen)
            self._seen.clear()

    def merge(self, other: DistinctCounter, capacity: int) -> None:
        """Take in one that counted in a process forked from this one, or the other way round."""
        if other._registers:
            if self.exact:
                self._registers = bytearray(self._REGISTERS)
                self._mark(self._seen)
                self._seen.clear()
            self._registers = bytearray(map(max, self._registers, other._registers))
        else:
            self.update(other._seen, capacity)

    @property
    def count(self) -> int:
        if self.exact:
            return len(self._seen)
        size = self._REGISTERS
        empty = self._registers.count(0)
        mean = size / sum(2.0**-rank for rank in self._registers)
        estimate = 0.7213 / (1 + 1.079 / size) * size * mean
        if estimate <= 2.5 * size and empty:
            # Few keys: what is empty tells more than the ranks do.
            estimate = size * math.log(size / empty)
        return round(estimate)


class PeakCounter:
    """The largest count of any unit of time.

    Units at either edge of what was seen are kept, because a log's neighbouring part may still
    add to them; of the others only the largest, once they no longer fit.
    """

    _EDGE = 600

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def update(self, counts: Mapping[int, int], capacity: int) -> None:
        mine = self._counts
        for unit, count in counts.items():
            mine[unit] = mine.get(unit, 0) + count
        if len(mine) > max(capacity, 4 * self._EDGE):
            first, last = min(mine) + self._EDGE, max(mine) - self._EDGE
            kept = {unit: count for unit, count in mine.items() if unit <= first or unit >= last}
            kept.update(heapq.nlargest(self._EDGE, mine.items(), key=itemgetter(1)))
            self._counts = kept

    def merge(self, other: PeakCounter, capacity: int) -> None:
        self.update(other._counts, capacity)

    def peak(self) -> tuple[int, int]:
        """The unit with the largest count, the earliest of equals, and that count; (0, 0) if
        nothing was counted."""
        if not self._counts:
            return 0, 0
        return min(self._counts.items(), key=lambda item: (-item[1], item[0]))


class Timeline:
    """Counts per step of time and label. Where more steps were seen than fit, the step grows, so
    that no count is ever lost."""

    _KEPT_STEPS = (60, 600, 3600, 86400)
    _SHOWN_STEPS = (60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)

    def __init__(self) -> None:
        self._step = self._KEPT_STEPS[0]
        self._counts: dict[tuple[int, bytes], int] = {}
        """(multiple of the step, label) -> count."""

    @staticmethod
    def _next_step(step: int, steps: tuple[int, ...]) -> int:
        return next((larger for larger in steps if larger > step), 2 * step)

    def _coarsen(self, step: int) -> None:
        factor = step // self._step
        counts: dict[tuple[int, bytes], int] = {}
        for (place, label), count in self._counts.items():
            key = place // factor, label
            counts[key] = counts.get(key, 0) + count
        self._step, self._counts = step, counts

    def update(self, counts: Mapping[tuple[int, bytes], int], capacity: int) -> None:
        """``counts``: by (second since the epoch, label)."""
        mine, step = self._counts, self._step
        for (second, label), count in counts.items():
            key = second // step, label
            mine[key] = mine.get(key, 0) + count
        while len(self._counts) > capacity and self._step < 1 << 40:
            self._coarsen(self._next_step(self._step, self._KEPT_STEPS))

    def merge(self, other: Timeline, capacity: int) -> None:
        if other._step > self._step:
            self._coarsen(other._step)
        step = other._step
        self.update(
            {(place * step, label): count for (place, label), count in other._counts.items()},
            capacity,
        )

    def totals(self) -> dict[bytes, int]:
        """Of each label."""
        totals: dict[bytes, int] = {}
        for (_place, label), count in self._counts.items():
            totals[label] = totals.get(label, 0) + count
        return totals

    def before(self, second: int) -> int:
        """How many there were in steps that began before then."""
        step = self._step
        return sum(
            count for (place, _label), count in self._counts.items() if place * step < second
        )

    def dense(self, points: int) -> tuple[int, int, dict[bytes, list[int]]]:
        """Where it begins (seconds since the epoch), its step in seconds, and for each label one
        count per step, at most ``points`` of them."""
        if not self._counts:
            return 0, self._step, {}
        places = [place for place, _label in self._counts]
        first, last = min(places) * self._step, max(places) * self._step
        step = self._step
        while last // step - first // step >= points:
            step = self._next_step(step, self._SHOWN_STEPS)
        start = first // step
        rows: dict[bytes, list[int]] = {}
        for (place, label), count in self._counts.items():
            row = rows.setdefault(label, [0] * (last // step - start + 1))
            row[place * self._step // step - start] += count
        return start * step, step, rows
