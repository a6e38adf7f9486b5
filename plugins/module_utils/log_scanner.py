# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the lines of a stream that ask for an endpoint, in bounded memory, whatever its bytes.

The counting stays in C: Counters over columns of the lines found, and Python only for what is
different within a quarter of a megabyte.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from itertools import compress, repeat
from operator import itemgetter
from typing import Callable, Dict, Iterable, Optional, Sequence, Tuple, Union, cast
from urllib.parse import unquote_to_bytes

from ansible_collections.wpward.wordpress.plugins.module_utils.bounded import Room
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    PERCENT,
    LineFormat,
    with_query,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_buffer import LineBuffer
from ansible_collections.wpward.wordpress.plugins.module_utils.log_lines import (
    BETWEEN,
    REQUEST_AND_STATUS,
    Line,
    LineFinder,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import Stream
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from ansible_collections.wpward.wordpress.plugins.module_utils.memo import Memo
from ansible_collections.wpward.wordpress.plugins.module_utils.request_filter import may_ask
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import (
    METHODS,
    OTHER,
    Hits,
    Identities,
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
_BATCH = 20_000
_BATCH_TEXT = 8 * 1024 * 1024
"""Keys that are counted together, and bytes of the log behind which there may be fewer: both bound
the memory that they take."""
_MEMO = 1024 * 1024
_KINDS = 1000

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


class _Kind:
    """What lines have in common that count for the same: compared by identity, which is fast."""

    __slots__ = ("groups", "method", "status")

    def __init__(self, groups: Classes, status: bytes, method: bytes) -> None:
        self.groups = groups
        self.status = status
        self.method = method


class _Columns:
    """Where the fields stand in a line; None for one that the format lacks."""

    def __init__(self, line_format: LineFormat, fields: Sequence[str]) -> None:
        places = {name: place for place, name in enumerate(fields)}
        self.time = places["time"]
        self.address = places.get("address")
        self.agent = places.get("agent")
        self._whole_request = "target" not in places
        self._percent = line_format.escapes == PERCENT
        self._of_kind = [
            name
            for name in (
                REQUEST_AND_STATUS,
                "request",
                "target",
                "query",
                "host",
                "method",
                "status",
            )
            if name in places
        ]
        self.kind: Callable[[Line], Key] = itemgetter(*(places[name] for name in self._of_kind))
        """What of a line decides for what it counts."""

    def target(self, request: bytes, query: bytes = b"") -> bytes:
        """From a logged request, as the client sent it but for the log's escapes."""
        target = target_of(request) if self._whole_request else request
        if self._percent:
            # On top of what the client encoded.
            target, query = unquote_to_bytes(target), unquote_to_bytes(query)
        return with_query(target, query)

    def may_ask(self, key: Key) -> bool:
        """Whether lines with such a key may ask for an endpoint; cheaper than to classify them."""
        return self._percent or may_ask(key if isinstance(key, bytes) else b" ".join(key))

    def parts_of(self, key: Key) -> tuple[bytes, bytes | None, bytes, bytes]:
        """The target, the host, the status and the method, from such a key."""
        values = dict(zip(self._of_kind, key if isinstance(key, tuple) else (key,)))
        if REQUEST_AND_STATUS in values:
            request, _between, status = values[REQUEST_AND_STATUS].rpartition(BETWEEN)
        else:
            request = values["request"] if self._whole_request else values["target"]
            status = values.get("status", OTHER)
        method = request.partition(b" ")[0] if self._whole_request else values.get("method", OTHER)
        target = self.target(request, values.get("query", b""))
        return target, values.get("host"), status_of(status), method


class _Batch:
    """What is counted of a piece of the log before it is added to the tallies."""

    def __init__(self) -> None:
        self.times: Counter[tuple[_Kind, int]] = Counter()
        """By second since the epoch."""
        self.clients: Counter[tuple[_Kind, bytes, str | None]] = Counter()
        """By address and claim."""
        self.joint: Counter[tuple[_Kind, int, bytes]] = Counter()
        """By second and address."""

    @property
    def size(self) -> int:
        return len(self.times) + len(self.clients) + len(self.joint)


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
        self._classify = classify
        self._identities = identities
        self._deadline = deadline
        self._newest: float | None = None
        self._window = 0, 1 << 62
        self._finder = LineFinder(line_format, self._matters)
        self._columns = _Columns(line_format, self._finder.fields)
        self._seconds_at = 0, 0
        """Where the seconds stand in stamps of which length."""
        self._minutes: Memo[int | None] = Memo(self._minute_of, _MEMO)
        self._seconds: Memo[int | None] = Memo(self._second_inside, _MEMO)
        self._kinds: Memo[_Kind | None] = Memo(self._kind_of, _MEMO)
        self._same_kinds: dict[tuple[Classes, bytes, bytes], _Kind] = {}
        self._claims: Memo[str | None] = Memo(identities.claim_of, _MEMO)
        self._buffer = LineBuffer()
        self._room = Room(ROOM)
        self._batch = _Batch()
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

    def _second_inside(self, stamp: bytes) -> int | None:
        """None for a stamp outside of the window, and for what is no time."""
        second = self._second_of(stamp)
        since, until = self._window
        return second if second is not None and since <= second < until else None

    def _second_of(self, stamp: bytes) -> int | None:
        # A quiet log has as many seconds as lines, but hardly as many minutes. And where they stand
        # in one stamp, they stand in all of its length that have colons around the minute, too.
        place, length = self._seconds_at
        if len(stamp) != length or stamp[place - 4 : place : 3] != b"::":
            parts = _SECONDS.fullmatch(stamp)
            if parts is None:
                return seconds_of(stamp, self._newest)
            place = parts.start(2)
            self._seconds_at = place, len(stamp)
        second = stamp[place : place + 2]
        begin = self._minutes[stamp[:place] + b"00" + stamp[place + 2 :]]
        return (
            None if begin is None or not second.isdigit() or second > b"60" else begin + int(second)
        )

    def _matters(self, request: bytes) -> bool:
        return bool(self._classify(self._columns.target(request), None))

    def _kind_of(self, key: Key) -> _Kind | None:
        """None for lines that count for nothing."""
        if not self._columns.may_ask(key):
            return None
        target, host, status, method = self._columns.parts_of(key)
        groups = self._classify(target, host)
        if not groups:
            return None
        kind = groups, status, method if method in METHODS else OTHER
        if len(self._same_kinds) > _KINDS:
            # Two of the same are counted apart within a batch, and added up at its end.
            self._same_kinds.clear()
        return self._same_kinds.setdefault(kind, _Kind(*kind))

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
        if (window, newest) != (self._window, self._newest):
            self._window, self._newest = window, newest
            self._minutes.clear()
            self._seconds.clear()
        text = 0
        try:
            for end in self._buffer.fill(stream, at_line, length):
                if end:
                    self._count(self._finder.lines(self._buffer.data, end))
                text += end
                if self._batch.size > _BATCH or text >= _BATCH_TEXT:
                    self._add_up()
                    text = 0
                if time.monotonic() > self._deadline:
                    return False
        finally:
            # A file that turns out to be damaged counts up to there.
            self._add_up()
        return True

    def _count(self, lines: list[Line]) -> None:
        """Count lines at once, while they are in the processor's cache."""
        columns, batch = self._columns, self._batch
        found_kinds = list(map(self._kinds.__getitem__, map(columns.kind, lines)))
        lines, kinds = list(compress(lines, found_kinds)), list(filter(None, found_kinds))
        found = list(map(self._seconds.__getitem__, map(itemgetter(columns.time), lines)))
        # Faster than to look for None; it finds the epoch's first second as well, which is no harm.
        if not all(found):
            inside = [second is not None for second in found]
            lines, kinds = list(compress(lines, inside)), list(compress(kinds, inside))
            found = list(compress(found, inside))
        seconds = cast("list[int]", found)
        batch.times.update(zip(kinds, seconds))
        if columns.address is not None:
            claims: Iterable[str | None] = repeat(None)
            if columns.agent is not None:
                claims = map(self._claims.__getitem__, map(itemgetter(columns.agent), lines))
            batch.clients.update(zip(kinds, map(itemgetter(columns.address), lines), claims))
        self._count_joint(lines, kinds, seconds)

    def _count_joint(self, lines: list[Line], kinds: list[_Kind], seconds: list[int]) -> None:
        """For the tallies that still take such counts."""
        found = set(kinds)
        taken = {
            kind
            for kind in found
            if any(self._tally(group).joint is not None for group in kind.groups)
        }
        if not taken:
            return
        if taken != found:
            chosen = list(map(taken.__contains__, kinds))
            lines, kinds, seconds = (
                list(compress(lines, chosen)),
                list(compress(kinds, chosen)),
                list(compress(seconds, chosen)),
            )
        place = self._columns.address
        addresses: Iterable[bytes] = repeat(OTHER)
        if place is not None:
            addresses = map(itemgetter(place), lines)
        self._batch.joint.update(zip(kinds, seconds, addresses))

    def _add_up(self) -> None:
        batch, self._batch = self._batch, _Batch()
        together: dict[Classes, Hits] = {}
        hits_of: dict[_Kind, Hits] = {}
        for kind, _second in batch.times:
            if kind not in hits_of:
                hits_of[kind] = together.setdefault(kind.groups, Hits())
        for (kind, second), count in batch.times.items():
            hits = hits_of[kind]
            hits.seconds[second] += count
            hits.times[second // 60 * 60, kind.status] += count
            hits.methods[kind.method] += count
        for (kind, address, claim), count in batch.clients.items():
            hits = hits_of[kind]
            hits.clients[address] += count
            if claim is not None:
                hits.claimed[claim][address] += count
        for (kind, second, address), count in batch.joint.items():
            hits_of[kind].joint[second // 60, address, kind.status, kind.method] += count
        for groups, hits in together.items():
            for group in groups:
                self._tally(group).add(hits)

    def _tally(self, group: Group) -> Tally:
        tally = self.tallies.get(group)
        if tally is None:
            self._room.add_share()
            tally = self.tallies[group] = Tally(self._room, self._identities)
        return tally
