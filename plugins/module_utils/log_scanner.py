# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the lines of a stream that ask for an endpoint, in bounded memory, whatever its bytes.

The counting stays in C: Counters over columns of the lines found, and Python only for what is
different within a quarter of a megabyte.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from itertools import repeat
from operator import itemgetter
from typing import Callable, Dict, Iterable, Optional, Tuple, Union
from urllib.parse import unquote_to_bytes

from ansible_collections.wpward.wordpress.plugins.module_utils.bounded import Room
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    PERCENT,
    LineFormat,
    with_query,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_buffer import LineBuffer
from ansible_collections.wpward.wordpress.plugins.module_utils.log_lines import Line, LineFinder
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import Stream
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from ansible_collections.wpward.wordpress.plugins.module_utils.memo import Memo
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import (
    METHODS,
    OTHER,
    Hits,
    Identities,
    Joint,
    Tally,
)

Group = Tuple[Optional[str], str]
Classes = Tuple[Group, ...]
Classify = Callable[[bytes, Optional[bytes]], Classes]
"""(request target, host or None) -> the (site id or None, endpoint id) pairs it counts for. Whether
there are any must depend on the target alone."""
Key = Union[bytes, Tuple[bytes, ...]]
Tallies = Dict[Group, Tally]

ROOM = 16_000
"""Keys for all of a log's counters."""
_BATCH = 2500
_BATCH_TEXT = 8 * 1024 * 1024
"""Lines that are counted together, and bytes of the log behind which there may be fewer: both bound
the memory that they take, as a client chooses the length of its line."""
_MEMO = 1024 * 1024


_SECONDS = re.compile(rb"(.+:\d\d:)(\d\d)( ?[+-]\d\d:?\d\d|Z|)")


def target_of(request: bytes) -> bytes:
    """The request target in a logged request line; the whole of it where it is none."""
    _method, space, rest = request.partition(b" ")
    if not space:
        return request
    target, space, protocol = rest.rpartition(b" ")
    return target if space and protocol.startswith(b"HTTP/") else rest


def status_of(text: bytes) -> bytes:
    return text if len(text) == 3 and text.isdigit() else OTHER


def _column(place: int | None, lines: list[Line]) -> Iterable[bytes]:
    """One field of each line; OTHER where the format lacks it."""
    return repeat(OTHER, len(lines)) if place is None else map(itemgetter(place), lines)


class _Columns:
    """Where the fields stand in a line; None for one that the format lacks."""

    def __init__(self, line_format: LineFormat) -> None:
        places = {name: place for place, name in enumerate(line_format.fields)}
        self.time = places["time"]
        self.address = places.get("address")
        self.status = places.get("status")
        self.agent = places.get("agent")
        self.host = places.get("host")
        self.query = places.get("query")
        self.whole_request = "request" in places
        self.request = places["request"] if self.whole_request else places["target"]
        self.method = self.request if self.whole_request else places.get("method")
        self._percent = line_format.escapes == PERCENT
        wanted = (self.request, self.query, self.host)
        self.key: Callable[[Line], Key] = itemgetter(
            *(place for place in wanted if place is not None)
        )
        """What of a line decides which endpoint of which site it is for."""
        self.stamp_and_status: Callable[[Line], tuple[bytes, bytes]] = (
            (lambda line: (line[self.time], OTHER))
            if self.status is None
            else itemgetter(self.time, self.status)
        )

    def target(self, request: bytes, query: bytes = b"") -> bytes:
        """From a logged request, as the client sent it but for the log's escapes."""
        target = target_of(request) if self.whole_request else request
        if self._percent:
            # On top of what the client encoded.
            target, query = unquote_to_bytes(target), unquote_to_bytes(query)
        return with_query(target, query)

    def target_and_host(self, key: Key) -> tuple[bytes, bytes | None]:
        """From such a key."""
        values = list(key) if isinstance(key, tuple) else [key]
        host = None if self.host is None else values.pop()
        return self.target(*values), host


class Scanner:
    """Counts the lines of one log, stream by stream.

    ``deadline``: ``time.monotonic()`` after which it stops.
    """

    def __init__(
        self,
        line_format: LineFormat,
        classify: Classify,
        identities: Identities,
        deadline: float,
    ) -> None:
        self._columns = _Columns(line_format)
        self._classify = classify
        self._identities = identities
        self._deadline = deadline
        self._newest: float | None = None
        self._since, self._until = 0, 1 << 62
        self._finder = LineFinder(line_format, self._matters)
        self._minutes: Memo[int | None] = Memo(self._minute_of, _MEMO)
        self._seconds: Memo[int | None] = Memo(self._second_of, _MEMO)
        self._classes: Memo[Classes] = Memo(self._classes_of, _MEMO)
        self._statuses: Memo[bytes] = Memo(status_of, _MEMO)
        self._methods: Memo[bytes] = Memo(self._method_of, _MEMO)
        self._claims: Memo[str | None] = Memo(identities.claim_of, _MEMO)
        self._buffer = LineBuffer()
        self._room = Room(ROOM)
        self.tallies: Tallies = {}

    @property
    def bytes_read(self) -> int:
        return self._buffer.bytes_read

    def begin_part(self) -> None:
        """Count from nothing, for another scanner of this log to merge. Where that has given up
        the joint counts, they are not begun again."""
        before, self.tallies = self.tallies, {}
        for group, tally in before.items():
            self.tallies[group] = Tally(self._room, self._identities)
            if tally.joint is None:
                self.tallies[group].joint = None
        self._buffer.bytes_read = 0

    def merge(self, tallies: Tallies, bytes_read: int) -> None:
        """Take in what another process has counted."""
        for group, tally in tallies.items():
            if tally.hits:
                self._tally(group).merge(tally)
        self._buffer.bytes_read += bytes_read

    def _minute_of(self, stamp: bytes) -> int | None:
        return seconds_of(stamp, self._newest)

    def _second_of(self, stamp: bytes) -> int | None:
        # A quiet log has as many seconds as lines, but hardly as many minutes.
        parts = _SECONDS.fullmatch(stamp)
        if parts is None:
            return seconds_of(stamp, self._newest)
        minute, second, zone = parts.groups()
        begin = self._minutes[minute + b"00" + zone]
        return None if begin is None or second > b"60" else begin + int(second)

    def _matters(self, request: bytes) -> bool:
        return bool(self._classify(self._columns.target(request), None))

    def _classes_of(self, key: Key) -> Classes:
        target, host = self._columns.target_and_host(key)
        return self._classify(target, host)

    def _method_of(self, value: bytes) -> bytes:
        method = value.partition(b" ")[0] if self._columns.whole_request else value
        return method if method in METHODS else OTHER

    def scan(
        self,
        stream: Stream,
        window: tuple[int, int],
        newest: float,
        at_line: bool = True,
        length: int | None = None,
    ) -> bool:
        """Count the lines of a stream; False where the time ran out.

        window: only lines of [since, until) count, in seconds since the epoch.
        newest: when the log was last written to, for stamps without a year.
        at_line, length: see LineBuffer.

        Raises OSError.
        """
        self._since, self._until = window
        if newest != self._newest:
            self._newest = newest
            self._minutes.clear()
            self._seconds.clear()
        lines: list[Line] = []
        text = 0
        try:
            for end in self._buffer.fill(stream, at_line, length):
                lines += self._finder.lines(self._buffer.data, end) if end else []
                text += end
                if len(lines) >= _BATCH or text >= _BATCH_TEXT:
                    self._count(lines)
                    lines, text = [], 0
                if time.monotonic() > self._deadline:
                    return False
        finally:
            # A file that turns out to be damaged counts up to there.
            self._count(lines)
        return True

    def _count(self, lines: list[Line]) -> None:
        get_key = self._columns.key
        together: dict[Classes, list[Line]] = {}
        add_for = {}
        for key in set(map(get_key, lines)):
            add_for[key] = together.setdefault(self._classes[key], []).append
        for line in lines:
            add_for[get_key(line)](line)
        for groups, chosen in together.items():
            if groups:
                self._add(groups, chosen)

    def _add(self, groups: Classes, lines: list[Line]) -> None:
        columns = self._columns
        stamps = Counter(map(columns.stamp_and_status, lines))
        seconds = self._seconds_in_window(stamps)
        if None in seconds.values():
            lines = [line for line in lines if seconds[line[columns.time]] is not None]
            stamps = Counter(map(columns.stamp_and_status, lines))
        if not lines:
            return
        times: dict[tuple[int, bytes], int] = {}
        for (stamp, status), count in stamps.items():
            second = seconds[stamp]
            assert second is not None, "lines without a time have been left out"
            key = second, self._statuses[status]
            times[key] = times.get(key, 0) + count
        tallies = [self._tally(group) for group in groups]
        hits = Hits(
            total=len(lines),
            times=times,
            methods=self._methods_of(lines),
            clients=self._clients(lines),
            claimed=self._claimed(lines),
            joint=self._joint(lines) if any(one.joint is not None for one in tallies) else {},
        )
        for tally in tallies:
            tally.add(hits)

    def _seconds_in_window(self, stamps: Iterable[tuple[bytes, bytes]]) -> dict[bytes, int | None]:
        """None for stamps outside of it, and for what is no time."""
        known, since, until = self._seconds, self._since, self._until
        found: dict[bytes, int | None] = {}
        for stamp, _status in stamps:
            second = known[stamp]
            found[stamp] = second if second is not None and since <= second < until else None
        return found

    def _tally(self, group: Group) -> Tally:
        tally = self.tallies.get(group)
        if tally is None:
            self._room.add_share()
            tally = self.tallies[group] = Tally(self._room, self._identities)
        return tally

    def _methods_of(self, lines: list[Line]) -> Counter[bytes]:
        methods: Counter[bytes] = Counter()
        for value, count in Counter(_column(self._columns.method, lines)).items():
            methods[self._methods[value]] += count
        return methods

    def _second(self, stamp: bytes) -> int:
        second = self._seconds[stamp]
        assert second is not None, "lines without a time have been left out"
        return second

    def _clients(self, lines: list[Line]) -> Counter[bytes]:
        place = self._columns.address
        return Counter(map(itemgetter(place), lines)) if place is not None else Counter()

    def _claimed(self, lines: list[Line]) -> dict[str, Counter[bytes]]:
        place = self._columns.agent
        if place is None:
            return {}
        agents: dict[str, set[bytes]] = {}
        for agent in set(map(itemgetter(place), lines)):
            claim = self._claims[agent]
            if claim is not None:
                agents.setdefault(claim, set()).add(agent)
        return {
            claim: self._clients([line for line in lines if line[place] in those])
            for claim, those in agents.items()
        }

    def _joint(self, lines: list[Line]) -> Counter[Joint]:
        columns = self._columns
        joint: Counter[Joint] = Counter()
        places = (columns.time, columns.address, columns.status, columns.method)
        for (stamp, address, status, method), count in Counter(
            zip(*(_column(place, lines) for place in places))
        ).items():
            minute = self._second(stamp) // 60
            joint[minute, address, self._statuses[status], self._methods[method]] += count
        return joint
