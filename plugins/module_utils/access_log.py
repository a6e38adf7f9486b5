# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Count an access log per site and endpoint, in bounded memory, whatever bytes it holds.

One regular expression runs over a chunk at a time and the counting stays in C: a Python loop per
line takes three to five times as long (measured on a 1 GiB log). Each different request is
classified once. Lines that do not fit the format are skipped.
"""

from __future__ import annotations

import calendar
import os
import re
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Callable, Iterator, Optional, Sequence, Tuple

from ansible_collections.wpward.wordpress.plugins.module_utils.bounded import (
    DistinctCounter,
    PeakCounter,
    TopCounter,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    modified_at,
    names_in,
    open_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import LineFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

Classes = Tuple[Tuple[Optional[str], str], ...]
Classify = Callable[[bytes, Optional[bytes]], Classes]
"""(request target, host or None) -> the (site id or None, endpoint id) pairs it counts for."""

CHUNK = 1024 * 1024
MAX_LINE = 256 * 1024
"""nginx's lines stay below 150 KiB; a longer one is a hole or rubbish, and is left out."""
SEGMENT = 64 * 1024 * 1024
DISORDER = 600
"""Seconds by which a line may stand later in the file than its own time would have it."""
_MEMO = 65536
_PROBE = 64 * 1024
_ROTATED = re.compile(r"[.-]\d+(?:[.-]\d+)*(?:\.(?:gz|bz2|xz|zst|lz4))?$")

_MONTHS = {
    name: number
    for number, name in enumerate(
        b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}
_ISO = re.compile(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)([+-])(\d\d):(\d\d)$")
_LOCAL = re.compile(rb"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$")


def seconds_of(stamp: bytes) -> int | None:
    """Seconds since the epoch of ``$time_local``, ``$time_iso8601`` or ``$msec``."""
    match = _LOCAL.match(stamp)
    if match:
        day, name, year = match.group(1, 2, 3)
        month = _MONTHS.get(name, 0)
    else:
        match = _ISO.match(stamp)
        if not match:
            whole = stamp.split(b".", 1)[0]
            return int(whole) if whole.isdigit() and len(whole) <= 11 else None
        year, number, day = match.group(1, 2, 3)
        month = int(number)
    hour, minute, second = (int(part) for part in match.group(4, 5, 6))
    if not (1 <= month <= 12 and 1 <= int(day) <= 31):
        return None
    offset = int(match.group(8)) * 3600 + int(match.group(9)) * 60
    utc = calendar.timegm((int(year), month, int(day), hour, minute, second))
    return utc - offset if match.group(7) == b"+" else utc + offset


def iso(seconds: int) -> str:
    """UTC as the evidence writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def target_of(request: bytes) -> bytes:
    """The request target in a logged request line; the whole of it where it is none."""
    _method, space, rest = request.partition(b" ")
    if not space:
        return request
    target, space, protocol = rest.rpartition(b" ")
    return target if space and protocol.startswith(b"HTTP/") else rest


@dataclass
class Tally:
    """What is counted of one site's endpoint."""

    hits: int = 0
    first: int | None = None
    last: int | None = None
    minutes: PeakCounter = field(default_factory=PeakCounter)
    seconds: PeakCounter = field(default_factory=PeakCounter)
    statuses: Counter[bytes] = field(default_factory=Counter)
    clients: TopCounter = field(default_factory=TopCounter)
    distinct: DistinctCounter = field(default_factory=DistinctCounter)

    def describe(self, top: int = 20) -> dict[str, object]:
        """The evidence's form; addresses and statuses as text."""
        minute, per_minute = self.minutes.peak()
        second, per_second = self.seconds.peak()
        return {
            "hits": self.hits,
            "peak_per_minute": {"count": per_minute, "at": iso(minute * 60)},
            "peak_per_second": {"count": per_second, "at": iso(second)},
            "statuses": {
                status.decode("ascii", "replace"): count
                for status, count in sorted(self.statuses.items())
            },
            "first": iso(self.first or 0),
            "last": iso(self.last or 0),
            "clients": [
                {"address": address.decode("utf-8", "backslashreplace"), "hits": hits}
                for address, hits in self.clients.top(top)
            ],
            "clients_exact": self.clients.exact,
            "distinct_clients": self.distinct.count,
            "distinct_clients_exact": self.distinct.exact,
        }


@dataclass
class LogResult:
    """What one log, with its rotated files, came to."""

    tallies: dict[tuple[str | None, str], Tally] = field(default_factory=dict)
    bytes_read: int = 0
    complete: bool = True


class _Gunzip:
    """``readinto`` over gzip members, without gzip.open's layers."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._inflate = zlib.decompressobj(31)
        self._input = b""

    def readinto(self, room: memoryview) -> int:
        while True:
            if not self._input:
                self._input = os.read(self._descriptor, 128 * 1024)
                if not self._input:
                    return 0
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(31)
            output = self._inflate.decompress(self._input, len(room))
            self._input = (
                self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            )
            if output:
                room[: len(output)] = output
                return len(output)


class _Plain:
    """``readinto`` over a piece of a file."""

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor = descriptor
        self._position = start

    def readinto(self, room: memoryview) -> int:
        count = os.preadv(self._descriptor, [room], self._position)
        if count and hasattr(os, "posix_fadvise"):
            # The database needs its page cache more than we need this log again.
            os.posix_fadvise(self._descriptor, self._position, count, os.POSIX_FADV_DONTNEED)
        self._position += count
        return count


class _Scanner:
    def __init__(
        self, line_format: LineFormat, classify: Classify, since: int, deadline: float
    ) -> None:
        self._findall = line_format.pattern.findall
        self._search = line_format.pattern.search
        self._classify = classify
        self._since = since
        self._deadline = deadline
        fields = line_format.fields
        self._whole_request = "request" in fields
        self._time = fields.index("time")
        self._request = fields.index("request" if self._whole_request else "target")
        self._host = fields.index("host") if "host" in fields else None
        self._address = fields.index("address") if "address" in fields else None
        self._status = fields.index("status") if "status" in fields else None
        self._key = (
            itemgetter(self._request)
            if self._host is None
            else itemgetter(self._request, self._host)
        )
        self._stamps: dict[bytes, int | None] = {}
        self._classes: dict[object, Classes] = {}
        self._buffer = bytearray(CHUNK + MAX_LINE)
        self.result = LogResult()

    def _second(self, stamp: bytes) -> int | None:
        try:
            return self._stamps[stamp]
        except KeyError:
            if len(self._stamps) >= _MEMO:
                self._stamps.clear()
            return self._stamps.setdefault(stamp, seconds_of(stamp))

    def _classes_of(self, key: object) -> Classes:
        try:
            return self._classes[key]
        except KeyError:
            if len(self._classes) >= _MEMO:
                self._classes.clear()
        if isinstance(key, bytes):
            request, host = key, None
        else:
            assert isinstance(key, tuple)
            request, host = key
        target = target_of(request) if self._whole_request else request
        return self._classes.setdefault(key, self._classify(target, host))

    def _count(self, lines: list[tuple[bytes, ...]]) -> None:
        stamp = itemgetter(self._time)
        outside = set()
        for text in set(map(stamp, lines)):
            second = self._second(text)
            if second is None or second < self._since:
                outside.add(text)
        if outside:
            lines = [line for line in lines if line[self._time] not in outside]
        wanted: dict[tuple[str | None, str], set[object]] = {}
        for key in set(map(self._key, lines)):
            for group in self._classes_of(key):
                wanted.setdefault(group, set()).add(key)
        get_key = self._key
        for group, keys in wanted.items():
            self._add(group, [line for line in lines if get_key(line) in keys])

    def _add(self, group: tuple[str | None, str], lines: list[tuple[bytes, ...]]) -> None:
        tally = self.result.tallies.setdefault(group, Tally())
        tally.hits += len(lines)
        seconds: dict[int, int] = {}
        minutes: dict[int, int] = {}
        for text, count in Counter(map(itemgetter(self._time), lines)).items():
            second = self._second(text)
            if second is None:
                continue
            seconds[second] = seconds.get(second, 0) + count
            minutes[second // 60] = minutes.get(second // 60, 0) + count
        tally.seconds.update(seconds)
        tally.minutes.update(minutes)
        earliest, latest = min(seconds), max(seconds)
        tally.first = earliest if tally.first is None else min(tally.first, earliest)
        tally.last = latest if tally.last is None else max(tally.last, latest)
        if self._status is not None:
            tally.statuses.update(map(itemgetter(self._status), lines))
        if self._address is not None:
            addresses = Counter(map(itemgetter(self._address), lines))
            tally.clients.update(addresses)
            tally.distinct.update(addresses)

    def _read(self, stream: object, at_line: bool, length: int | None) -> Iterator[int]:
        """Fill the buffer; give the end of its whole lines, each time with the newline before the
        first one at the buffer's beginning (or where the stream began, inside a line).

        ``length``: lines that begin within so many bytes of the stream; None for all of it.
        """
        buffer = self._buffer
        view = memoryview(buffer)
        filled = 0
        base = 0
        if at_line:
            buffer[0] = 0x0A
            filled, base = 1, -1
        while True:
            count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
            self.result.bytes_read += count
            filled += count
            if length is not None and base + filled > length:
                stop = buffer.find(b"\n", max(length - base, 0), filled)
                if stop >= 0:
                    yield stop + 1
                    return
            if not count:
                # The last line of a rotated log may lack its newline.
                yield filled
                return
            last = buffer.rfind(b"\n", 0, filled)
            if last > 0:
                yield last + 1
            elif filled < len(buffer):
                continue
            if last < 0 or filled - last > MAX_LINE:
                # Nothing matches before the next newline, so the rest of this line drops out.
                base += filled
                filled = 0
                continue
            rest = filled - last
            buffer[:rest] = buffer[last:filled]
            base += last
            filled = rest

    def scan(self, stream: object, at_line: bool, length: int | None = None) -> bool:
        """Count one stream; False where the time ran out."""
        for end in self._read(stream, at_line, length):
            lines = self._findall(self._buffer, 0, end)
            if lines:
                self._count(lines)
            if time.monotonic() > self._deadline:
                return False
        return True

    def fits(self, block: bytes) -> bool:
        """Whether at least one in two lines of a sample has the expected format."""
        lines = block.count(b"\n")
        return lines < 2 or 2 * len(self._findall(b"\n" + block)) >= lines

    def start(self, descriptor: int, size: int) -> int:
        """Where the window begins in a plain file, to within a probe's length and on the early
        side. Logs are nearly sorted, hence DISORDER."""
        wanted = self._since - DISORDER
        low, high = 0, size
        while high - low > _PROBE:
            middle = (low + high) // 2
            match = self._search(os.pread(descriptor, _PROBE, middle))
            second = self._second(match.group(self._time + 1)) if match else None
            if second is not None and second < wanted:
                low = middle
            else:
                high = middle
        return low


def rotated(path: str, since: int) -> list[str]:
    """The rotated files of a log that were written to within the window, newest first."""
    directory, _slash, name = path.rpartition("/")
    found: list[tuple[float, str]] = []
    for entry in names_in(directory or "/"):
        if entry.startswith(name) and _ROTATED.match(entry[len(name) :]):
            modified = modified_at(f"{directory}/{entry}")
            if modified is not None and modified >= since:
                found.append((modified, f"{directory}/{entry}"))
    return [entry for _modified, entry in sorted(found, reverse=True)]


def _scan_file(scanner: _Scanner, path: str, problems: Problems) -> bool:
    descriptor = open_regular(path)
    try:
        head = os.pread(descriptor, _PROBE, 0)
        if head.startswith(b"\x1f\x8b"):
            return scanner.scan(_Gunzip(descriptor), True)
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, _PROBE, max(0, size - _PROBE))
        if not scanner.fits(tail):
            problems.add(
                "log_format_mismatch",
                f"Most lines at the end of {path} do not have the log format that nginx is "
                "configured to write; only those that have it are counted.",
            )
        begin = scanner.start(descriptor, size)
        # The newest part first: where the time runs out, the present is what matters.
        starts: Sequence[int] = range(begin, max(size, begin + 1), SEGMENT)
        for start in reversed(starts):
            length = min(SEGMENT, size - start)
            if not scanner.scan(_Plain(descriptor, start), start == 0, length):
                return False
        return True
    finally:
        os.close(descriptor)


def scan_log(
    path: str,
    line_format: LineFormat,
    classify: Classify,
    since: int,
    deadline: float,
    problems: Problems,
) -> LogResult:
    """Count the lines of a log, and of its rotated files, not older than ``since``.

    ``since``: seconds since the epoch. ``deadline``: time.monotonic() value after which what has
    been counted so far is returned, newest lines first. Never raises on a file or its contents.
    """
    scanner = _Scanner(line_format, classify, since, deadline)
    result = scanner.result
    for name in [path, *rotated(path, since)]:
        try:
            result.complete = _scan_file(scanner, name, problems)
        except FileNotFoundError:
            # Rotated away meanwhile; only the log itself is expected to be there.
            if name == path:
                problems.add("log_unreadable", f"The access log {name} does not exist.")
        except (OSError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            problems.add("log_unreadable", f"The log {name} cannot be read: {reason}.")
        if not result.complete:
            problems.add(
                "log_time_budget",
                f"The time budget ended before {name} was read to its beginning: the counts "
                "cover its newest part only.",
            )
            break
    return result
