# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counts the lines of a stream that ask for an endpoint, in bounded memory, whatever its bytes.

The counting stays in C: Counters over columns of the lines found, and Python only for what differs
among a thousand lines.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from itertools import compress, repeat
from operator import attrgetter, floordiv
from typing import Callable, Dict, Iterable, Optional, cast

from ansible_collections.wpward.wordpress.plugins.module_utils.bounded import Room
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import LineFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.log_buffer import LineBuffer
from ansible_collections.wpward.wordpress.plugins.module_utils.log_lines import (
    ExpressionLines,
    Lines,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import Stream
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from ansible_collections.wpward.wordpress.plugins.module_utils.memo import Memo
from ansible_collections.wpward.wordpress.plugins.module_utils.quoted_lines import (
    QuotedLines,
    pieces_of,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import (
    METHODS,
    OTHER,
    Classes,
    Group,
    Hits,
    Identities,
    Kind,
    Tally,
    Target,
    text_of,
)

Classify = Callable[[bytes, Optional[bytes]], Classes]
"""(request target, host or None) -> the (site id or None, endpoint id) pairs it counts for. Whether
there are any must depend on the target alone."""
Tallies = Dict[Group, Tally]

ROOM = 16_000
"""Keys for all of a log's counters."""
_AT_ONCE = 1000
"""Lines that are counted at once: more would no longer fit into a core's cache."""
_MEMO = 1024 * 1024
_KINDS = 1000

_target_of = attrgetter("target")
_SECONDS = re.compile(rb"(.+:\d\d:)(\d\d)( ?[+-]\d\d:?\d\d|Z|)")


class _Waiting:
    """Lines that are to be counted at once, as columns; empty ones for what the format lacks."""

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self.times: list[bytes] = []
        self.addresses: list[bytes] = []
        self.agents: list[bytes] = []


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
        self._reader = self._reader_of(line_format)
        self._zone = b""
        """Of all stamps, where those lack it."""
        self._seconds_at = 0, 0
        """Where the seconds stand in stamps of which length."""
        self._minutes: Memo[int | None] = Memo(self._minute_of, _MEMO)
        self._seconds: Memo[int | None] = Memo(self._second_inside, _MEMO)
        self._targets: dict[Classes, Target] = {}
        self._same_kinds: dict[tuple[Target, bytes, bytes], Kind] = {}
        self._parties: Memo[str | None] = Memo(
            lambda address: identities.party_of(text_of(address)), _MEMO
        )
        self._claims: Memo[str | None] = Memo(identities.claim_of, _MEMO)
        self._buffer = LineBuffer()
        self._room = Room(ROOM)
        self._waiting = _Waiting()
        self.tallies: Tallies = {}

    @property
    def bytes_read(self) -> int:
        return self._buffer.bytes_read

    def begin_part(self) -> None:
        """Count from nothing, for another scanner of this log to merge. Where that has given up
        the joint counts, they are not begun again."""
        before, self.tallies = self.tallies, {}
        for group, tally in before.items():
            self.tallies[group] = self._new_tally()
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
        # What lacks its zone still has its bracket.
        return seconds_of(stamp[1:] + self._zone if self._zone else stamp, self._newest)

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
                return self._minute_of(stamp)
            place = parts.start(2)
            self._seconds_at = place, len(stamp)
        second = stamp[place : place + 2]
        begin = self._minutes[stamp[:place] + b"00" + stamp[place + 2 :]]
        return (
            None if begin is None or not second.isdigit() or second > b"60" else begin + int(second)
        )

    def _reader_of(self, line_format: LineFormat) -> QuotedLines | ExpressionLines:
        quoted = pieces_of(line_format)
        if quoted is None:
            return ExpressionLines(line_format, self._kind_of)
        return QuotedLines(line_format, *quoted, self._kind_of, self._matters)

    def _matters(self, target: bytes) -> bool:
        return bool(self._classify(target, None))

    def _kind_of(
        self, target: bytes, host: bytes | None, status: bytes, method: bytes
    ) -> Kind | None:
        groups = self._classify(target, host)
        if not groups:
            return None
        if len(self._same_kinds) > _KINDS:
            # Two of the same are counted apart, and added up later.
            self._same_kinds.clear()
            self._targets.clear()
        counted_for = self._targets.setdefault(groups, Target(groups))
        kind = counted_for, status, method if method in METHODS else OTHER
        return self._same_kinds.setdefault(kind, Kind(*kind))

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
        try:
            for end in self._buffer.fill(stream, at_line, length):
                lines = self._reader.read(self._buffer.data, end) if end else None
                if lines is not None:
                    self._collect(lines)
                if time.monotonic() > self._deadline:
                    return False
        finally:
            # A file that turns out to be damaged counts up to there.
            self._count()
        return True

    def _collect(self, lines: Lines) -> None:
        if lines.zone != self._zone:
            self._count()
            self._zone = lines.zone
            self._minutes.clear()
            self._seconds.clear()
        waiting = self._waiting
        waiting.kinds.extend(lines.kinds)
        waiting.times.extend(lines.times)
        if lines.addresses is not None:
            waiting.addresses.extend(lines.addresses)
        if lines.agents is not None:
            waiting.agents.extend(lines.agents)
        if len(waiting.kinds) >= _AT_ONCE:
            self._count()

    def _count(self) -> None:
        """Count what was collected."""
        waiting, self._waiting = self._waiting, _Waiting()
        found = list(map(self._seconds.__getitem__, waiting.times))
        kinds, addresses, agents = waiting.kinds, waiting.addresses, waiting.agents
        # Faster than to look for None; it finds the epoch's first second as well, which is no harm.
        if not all(found):
            inside = [second is not None for second in found]
            found = list(compress(found, inside))
            kinds, addresses = list(compress(kinds, inside)), list(compress(addresses, inside))
            agents = list(compress(agents, inside))
        if not found:
            return
        seconds = cast("list[int]", found)
        targets = list(map(_target_of, kinds))
        minutes = list(map(floordiv, seconds, repeat(60)))
        hits: defaultdict[Target, Hits] = defaultdict(Hits)
        for (target, second), count in Counter(zip(targets, seconds)).items():
            hits[target].seconds[second] = count
        for (kind, minute), count in Counter(zip(kinds, minutes)).items():
            hits[kind.target].add_minute(minute, kind.status, kind.method, count)
        for (target, address), count in Counter(zip(targets, addresses)).items():
            hits[target].clients[address] = count
        if addresses and any(map(self._claims.__getitem__, set(agents))):
            claims = list(map(self._claims.__getitem__, agents))
            claimed = Counter(compress(zip(targets, claims, addresses), claims))
            for (target, claim, address), count in claimed.items():
                hits[target].claims[cast(str, claim)][address] = count
        if self._takes_joint(hits):
            who: Iterable[bytes] = addresses or repeat(OTHER)
            for (kind, minute, address), count in Counter(zip(kinds, minutes, who)).items():
                hits[kind.target].joint[minute, address, kind.status, kind.method] += count
        for target, some in hits.items():
            for group in target.groups:
                self._tally(group).add(some)

    def _takes_joint(self, targets: Iterable[Target]) -> bool:
        """Whether a tally of theirs still counts minutes and clients together."""
        return any(
            self._tally(group).joint is not None for target in targets for group in target.groups
        )

    def _tally(self, group: Group) -> Tally:
        tally = self.tallies.get(group)
        if tally is None:
            self._room.add_share()
            tally = self.tallies[group] = self._new_tally()
        return tally

    def _new_tally(self) -> Tally:
        return Tally(self._room, self._identities, self._parties.__getitem__)
