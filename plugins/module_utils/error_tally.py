# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts of one log's error messages by kind."""

from __future__ import annotations

import math
import re
from typing import Callable, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.error_kinds import Kind
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable

_SAMPLE = 300
_QUERY = re.compile(rb"\?[^\s\"?]+")


def sample_of(line: bytes) -> str:
    """A line fit to be shown: without queries, in which visitors' keys and tokens stand."""
    return printable(_QUERY.sub(b"?...", line[: _SAMPLE * 8].rstrip(b"\r\n")), _SAMPLE)


class _Count:
    def __init__(self) -> None:
        self.count = 0
        self.first = 0.0
        self.last = 0.0
        self.sample = b""

    def add(self, seconds: float, line: bytes) -> None:
        if self.count == 0 or seconds < self.first:
            self.first = seconds
        if self.count == 0 or seconds >= self.last:
            self.last, self.sample = seconds, line
        self.count += 1


class ErrorTally:
    """``log``: the path that the rows name, or ``journal``. ``since``: seconds since the epoch;
    older lines do not count, nor those from ``until`` on."""

    def __init__(
        self, log: str, kinds: Sequence[Kind], since: float, until: float = math.inf
    ) -> None:
        self._log = log
        self._kinds = kinds
        self._since = since
        self._until = until
        self._counts: dict[Kind, _Count] = {}

    def add(self, kind: Kind, seconds: float, line: bytes) -> None:
        if self._since <= seconds < self._until:
            self._counts.setdefault(kind, _Count()).add(seconds, line)

    def add_message(self, message: bytes, seconds: float) -> None:
        """One message without a stamp of its own, which was logged at ``seconds``."""
        for kind in self._kinds:
            if kind.pattern.match(message):
                self.add(kind, seconds, message)

    def add_block(self, block: bytes, seconds_of: Callable[[bytes], int | None]) -> None:
        """Whole lines with stamps that ``seconds_of`` translates."""
        for kind in self._kinds:
            found = block.find(kind.needle)
            while found >= 0:
                begin = block.rfind(b"\n", 0, found) + 1
                end = block.find(b"\n", found)
                end = len(block) if end < 0 else end
                match = kind.pattern.match(block, begin)
                seconds = seconds_of(match.group("time")) if match else None
                if seconds is not None:
                    self.add(kind, seconds, block[begin : min(end, begin + _SAMPLE * 8)])
                found = block.find(kind.needle, end)

    def describe(self) -> list[dict[str, object]]:
        """The evidence's ``errors`` rows of this log."""
        return [
            {
                "service": kind.service,
                "kind": kind.id,
                "log": self._log,
                "count": count.count,
                "first": iso(count.first),
                "last": iso(count.last),
                "sample": sample_of(count.sample),
            }
            for kind, count in self._counts.items()
        ]
