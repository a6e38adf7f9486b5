# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of a log that may ask for an endpoint, found without reading the others in full.

What reads a line completely takes a microsecond. So a first expression yields nothing but the
requests of all lines, a set makes them few, and only where some of those matter are lines read.
"""

from __future__ import annotations

import re
from itertools import compress
from typing import Callable, Iterable, Iterator, Match, Pattern, Tuple, Union

from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    BACKSLASH,
    HEX,
    LineFormat,
    Part,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.request_filter import (
    RequestFilter,
    is_odd,
)

Line = Tuple[bytes, ...]
Buffer = Union[bytes, bytearray]

# Right before a quoted request. An escaped quote has a backslash before it, so a bracket and a
# blank before the quote, or a name with its closing quote, can only be the format's own.
_LEAD = re.compile(rb'(?:\] |\w+": ?)"\Z')
REQUEST_AND_STATUS = "request and status"
BETWEEN = b'" '
# Two groups of an expression, with that between them.
_STATUS_AFTER_REQUEST = re.compile(rb'\)("\\ )\((\\d\{3\}|\[-\\d\]\\d\*)\)')
_SAMPLE = 32 * 1024
_DENSE = 0.5
"""The share of lines to read from which on all of them are read."""
_SEARCH_COST = 100
_PICK_COST = 5
"""Looking for one request in the buffer, and picking one line that has it: in lines that could be
read meanwhile."""


def lead_of(line_format: LineFormat) -> bytes | None:
    """The text right before the request, if that is quoted, and if nothing a client sends can
    stand for this text: the request then is what follows its first place in the line, up to the
    next quote. None where there is no such text."""
    if line_format.escapes not in (HEX, BACKSLASH):
        return None
    before, after = b"", b""
    for place, part in enumerate(line_format.parts):
        if isinstance(part, bytes):
            before += part
        elif part.name in ("request", "target"):
            following = line_format.parts[place + 1 : place + 2]
            after = following[0] if following and isinstance(following[0], bytes) else b""
            break
    found = _LEAD.search(before)
    if found is None or not after.startswith(b'"') or found.group() in before[:-1]:
        return None
    return found.group()


def _joined(parts: Iterable[Part]) -> list[Part]:
    """With texts that follow each other in one piece."""
    joined: list[Part] = []
    for part in parts:
        before = joined[-1] if joined else None
        if isinstance(part, bytes) and isinstance(before, bytes):
            joined[-1] = before + part
        else:
            joined.append(part)
    return joined


def quick_pattern(line_format: LineFormat) -> Pattern[bytes] | None:
    """An expression that reads a usual line twice as fast as the format's own.

    Its loops do not look for the line's end, so it might run over that of a damaged line. But where
    it finds as many lines as a text has, it has read each as the format's own expression would:
    both end a value at the same mark. (Not so with quotes that have a backslash before them.)
    """
    pieces = [rb"\n"]
    fields = list(line_format.fields)
    parts = _joined(line_format.parts)
    for part, following in zip(parts, [*parts[1:], b""]):
        if not fields:
            break
        if isinstance(part, bytes):
            pieces.append(re.escape(part))
            continue
        if not isinstance(following, bytes) or not following:
            return None
        shape = part.shape
        if shape is None:
            # What holds blanks ends at the first character that is none.
            mark = following.lstrip(b" ")[:1] if part.words else following[:1]
            if not mark or (part.words and part.name and following[:1] == b" "):
                return None
            quoted = mark == b'"'
            shape = rb'[^"]*' if quoted else b"[^" + re.escape(mark) + rb'"]+'
        pieces.append(b"(" + shape + b")" if part.name else shape)
        if part.name:
            if part.name != fields.pop(0):
                return None
            if not fields:
                pieces.append(re.escape(following))
                if following == b'"' and following is parts[-1]:
                    pieces.append(rb"(?![^\r\n])")
    return re.compile(b"".join(pieces))


def _line_starts(text: bytes, buffer: Buffer, end: int) -> Iterator[int]:
    """The newline before each line that contains the text."""
    position = buffer.find(text, 0, end)
    while position >= 0:
        start = buffer.rfind(b"\n", 0, position)
        if start >= 0:
            yield start
        position = buffer.find(b"\n", position, end)
        if position >= 0:
            position = buffer.find(text, position, end)


def _with_status(expression: bytes) -> bytes:
    return _STATUS_AFTER_REQUEST.sub(rb"\1\2)", expression)


class LineFinder:
    """Finds lines in a buffer.

    ``matters``: whether a request, or a target where the format has that instead, asks for an
    endpoint.
    """

    def __init__(self, line_format: LineFormat, matters: Callable[[bytes], bool]) -> None:
        self._lead = None if "query" in line_format.fields else lead_of(line_format)
        self._requests = re.compile(re.escape(self._lead or b"") + rb'([^"]*)".*').findall
        self._pattern = line_format.pattern
        self._quick = quick_pattern(line_format) if self._lead else None
        self.fields = line_format.fields
        """Of the lines found. Where a request and its status stand side by side, they are one,
        with the text between them: a value less in each line is a tenth of the time."""
        whole = _with_status(line_format.pattern.pattern)
        if whole != line_format.pattern.pattern and self._quick is not None:
            self._pattern = re.compile(whole)
            self._quick = re.compile(_with_status(self._quick.pattern))
            first = line_format.fields.index("status") - 1
            self.fields = (*self.fields[:first], REQUEST_AND_STATUS, *self.fields[first + 2 :])
        self._backslash = line_format.escapes == BACKSLASH
        self._filter = RequestFilter(matters)
        self._in_flood = False

    def lines(self, buffer: Buffer, end: int) -> list[Line]:
        """At least all lines that ask for an endpoint.

        ``buffer``: each line with the newline before it; up to ``end``. What comes before the
        first newline is left out.
        """
        if self._lead is None:
            return self._pattern.findall(buffer, 0, end)
        start = buffer.find(b"\n", 0, end)
        if start < 0:
            return []
        sample = start
        requests: list[bytes] = []
        if self._in_flood:
            # Nearly all lines are wanted then: a sample saves to look at each of them twice.
            sample = max(buffer.rfind(b"\n", start, min(end, _SAMPLE)), start)
            requests = self._requests(buffer, start, sample)
            wanted = self._filter.wanted(set(requests))
            if sum(map(wanted.__contains__, requests)) > _DENSE * len(requests):
                return self._all(buffer, end)
        requests += self._requests(buffer, sample, end)
        wanted = self._filter.wanted(set(requests))
        if not wanted:
            self._in_flood = False
            return []
        if any(map(is_odd, wanted)):
            return self._pattern.findall(buffer, 0, end)
        chosen = list(map(wanted.__contains__, requests))
        number = sum(chosen)
        self._in_flood = number > _DENSE * len(requests)
        if self._in_flood:
            return self._all(buffer, end)
        if _PICK_COST * number + _SEARCH_COST * len(wanted) > len(requests):
            return self._chosen(bytes(buffer[start + 1 : end]), chosen)
        places: set[int] = set()
        for request in wanted:
            places.update(_line_starts(self._lead + request + b'"', buffer, end))
        matches = (self._match(buffer, place, end) for place in places)
        return [match.groups(b"") for match in matches if match]

    def _is_one_line(self, text: bytes) -> bool:
        return text.rfind(b"\n") == 0 and not (self._backslash and b"\\" in text)

    def _match(self, buffer: Buffer, start: int, end: int) -> Match[bytes] | None:
        """One line."""
        if self._quick is not None:
            match = self._quick.match(buffer, start, end)
            if match and self._is_one_line(match.group()):
                return match
        return self._pattern.match(buffer, start, end)

    def _chosen(self, text: bytes, chosen: list[bool]) -> list[Line]:
        """The lines whose requests, in the order of the text, are chosen."""
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        if len(lines) != len(chosen):
            # A line without a request, so that one cannot tell whose the others are.
            chosen = [True] * len(lines)
        text = b"\n" + b"\n".join(compress(lines, chosen))
        return self._all(text, len(text))

    def _all(self, buffer: Buffer, end: int) -> list[Line]:
        """All lines."""
        if self._quick is not None and not (self._backslash and buffer.find(b"\\", 0, end) >= 0):
            lines: list[Line] = self._quick.findall(buffer, 0, end)
            if len(lines) == buffer.count(b"\n", 0, end - 1):
                return lines
        return self._pattern.findall(buffer, 0, end)
