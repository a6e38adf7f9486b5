# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters whose memory does not grow with what an attacker sends."""

from __future__ import annotations

import heapq
import math
from operator import itemgetter
from typing import Mapping


class TopCounter:
    """The most frequent keys. Exact up to ``capacity`` different keys; beyond it the rarer half is
    dropped now and then, and counts become lower bounds."""

    def __init__(self, capacity: int = 20000) -> None:
        self._capacity = capacity
        self._counts: dict[bytes, int] = {}
        self.exact = True

    def update(self, counts: Mapping[bytes, int]) -> None:
        mine = self._counts
        for key, count in counts.items():
            mine[key] = mine.get(key, 0) + count
        if len(mine) > self._capacity:
            self.exact = False
            self._counts = dict(
                heapq.nlargest(self._capacity // 2, mine.items(), key=itemgetter(1))
            )

    def top(self, number: int) -> list[tuple[bytes, int]]:
        """The ``number`` largest, largest first; equal ones in the order of their keys."""
        return heapq.nsmallest(number, self._counts.items(), key=lambda item: (-item[1], item[0]))


class DistinctCounter:
    """How many different keys there were: exact up to ``capacity``, then estimated by linear
    counting in a fixed bitmap (standard error below 1 % up to two million keys)."""

    _BITS = 1 << 20

    def __init__(self, capacity: int = 10000) -> None:
        self._capacity = capacity
        self._seen: set[bytes] = set()
        self._bitmap = bytearray()

    @property
    def exact(self) -> bool:
        return not self._bitmap

    def _mark(self, key: bytes) -> None:
        # Python keys its hash of bytes by a secret per process, so collisions cannot be chosen.
        position = hash(key) & (self._BITS - 1)
        self._bitmap[position >> 3] |= 1 << (position & 7)

    def update(self, keys: Mapping[bytes, int]) -> None:
        if self.exact:
            self._seen.update(keys)
            if len(self._seen) <= self._capacity:
                return
            self._bitmap = bytearray(self._BITS // 8)
            for key in self._seen:
                self._mark(key)
            self._seen.clear()
            return
        for key in keys:
            self._mark(key)

    @property
    def count(self) -> int:
        if self.exact:
            return len(self._seen)
        empty = self._BITS - bin(int.from_bytes(self._bitmap, "little")).count("1")
        return round(self._BITS * math.log(self._BITS / max(empty, 1)))


class PeakCounter:
    """The largest count of any unit of time.

    Units at either edge of what was seen are kept, because a log's neighbouring part may still
    add to them; of the others only the largest, once there are more than ``capacity``.
    """

    _EDGE = 600

    def __init__(self, capacity: int = 20000) -> None:
        self._capacity = capacity
        self._counts: dict[int, int] = {}

    def update(self, counts: Mapping[int, int]) -> None:
        mine = self._counts
        for unit, count in counts.items():
            mine[unit] = mine.get(unit, 0) + count
        if len(mine) > self._capacity:
            first, last = min(mine) + self._EDGE, max(mine) - self._EDGE
            kept = {unit: count for unit, count in mine.items() if unit <= first or unit >= last}
            kept.update(heapq.nlargest(self._capacity // 2, mine.items(), key=itemgetter(1)))
            self._counts = kept

    def peak(self) -> tuple[int, int]:
        """The unit with the largest count, the earliest of equals, and that count; (0, 0) if
        nothing was counted."""
        if not self._counts:
            return 0, 0
        return min(self._counts.items(), key=lambda item: (-item[1], item[0]))
