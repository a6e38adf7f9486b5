# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of a log that may ask for an endpoint, found without reading the others.

Where a server escapes quotes, every raw one is the format's own. So a text that is split at them
has its requests at every so many-th place, and a set makes them few: that is four times as fast as
an expression that reads each line. Only the lines that matter are read further, piece by piece, by
the same expressions. A text in which anything is not as it must be is left to the slow reader.
"""

from __future__ import annotations

import re
from itertools import compress
from operator import itemgetter
from typing import Any, Callable, Iterable, List, NamedTuple, Sequence, Union

from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    BACKSLASH,
    HEX,
    Layout,
    LineFormat,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_lines import (
    MEMO,
    Buffer,
    ExpressionLines,
    KindOf,
    Lines,
    RequestReader,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.memo import Memo
from ansible_collections.wpward.wordpress.plugins.module_utils.request_filter import RequestFilter

_MISFIT = object()
"""In place of a line's kind, where only the slow reader can tell."""
_NEWLINE = b"\n"
_DENSE = 0.3
"""The share of chosen lines from which on it is faster to look at all of them."""
_STAMP = b"20/Oct/2015:18:52:00 +0900"
_first_byte = itemgetter(slice(1))

Token = Union[bytes, int]
"""A fixed text, or the place of a value."""


Column = Callable[[int], List[bytes]]


class UsualHead:
    """Reads what stands before the first quote where it is as in nearly every line: addresses, a
    hyphen for each other value, and the time, parted by single blanks."""

    def __init__(self, words: Sequence[str | bytes]) -> None:
        self._words = words
        self.names = [word for word in words if isinstance(word, str)]
        self.zone = b""
        """Of the lines that were read last; see Lines."""

    @classmethod
    def of(cls, tokens: Sequence[Token], layout: Layout) -> UsualHead | None:
        """None for a format whose lines do not begin so."""
        text = b""
        values: dict[bytes, str] = {}
        for token in tokens:
            if isinstance(token, bytes):
                text += token
                continue
            value = layout.values[token]
            if value.name == "time" and value.shape and re.fullmatch(value.shape, _STAMP):
                text += _STAMP
                continue
            if value.name and (value.words or value.shape):
                return None
            mark = b"<%d>" % token if value.name else b"-"
            values[mark] = value.name or ""
            text += mark
        words = text.split(b" ")
        if not text.endswith(b"] ") or words[-3:] != [b"[" + _STAMP[:-6], _STAMP[-5:] + b"]", b""]:
            return None
        found: list[str | bytes] = [values.get(word) or word for word in words[:-3]]
        fixed = [word for word in found if isinstance(word, bytes)]
        return cls([*found, "time"]) if set(fixed) <= {b"-"} else None

    def read(self, heads: Sequence[bytes]) -> list[Sequence[bytes]] | None:
        """The columns of ``names``; None where a head is not usual."""
        each = len(self._words) + 1
        split = b"".join(heads).split()
        if len(split) != each * len(heads):
            return None
        zones = split[each - 1 :: each]
        if zones.count(zones[0]) != len(heads) or zones[0][-1:] != b"]":
            return None
        columns: list[Sequence[bytes]] = []
        for place, word in enumerate(self._words):
            column = split[place::each]
            if isinstance(word, str):
                columns.append(column)
            elif column.count(word) != len(heads):
                return None
        self.zone = b" " + zones[0][:-1]
        return columns


class Piece(NamedTuple):
    """What stands between two quotes."""

    names: tuple[str, ...]
    """Of its values that are fields."""
    pattern: Any
    """Of bytes: the whole piece. None where it is one value, which may be anything."""
    fixed: bytes | None
    """The piece itself, where it is the same in every line."""
    usual: UsualHead | None = None
    """A faster way to read most."""


def _piece(tokens: Sequence[Token], layout: Layout, lead: bytes) -> Piece:
    names, expression = [], lead
    for token in tokens:
        if isinstance(token, bytes):
            expression += re.escape(token)
            continue
        value = layout.values[token]
        shape = layout.expression(token)
        expression += b"(" + shape + b")" if value.name else shape
        if value.name:
            names.append(value.name)
    if not lead and len(tokens) == 1 and not isinstance(tokens[0], bytes):
        return Piece(tuple(names), None, None)
    fixed = all(isinstance(token, bytes) for token in tokens)
    text = (b"\n" if lead else b"") + b"".join(one for one in tokens if isinstance(one, bytes))
    return Piece(
        tuple(names),
        re.compile(b'"' + expression + b'(?=")'),
        text if fixed else None,
        UsualHead.of(tokens, layout) if lead else None,
    )


def pieces_of(line_format: LineFormat) -> tuple[list[Piece], bool] | None:
    """What stands between the quotes of a line, and whether a line ends with a quote; None for a
    format whose lines cannot be read so."""
    if line_format.escapes not in (HEX, BACKSLASH) or "query" in line_format.fields:
        return None
    layout = Layout(line_format.parts, line_format.escapes)
    tokens: list[list[Token]] = [[]]
    for place, text in enumerate(layout.texts):
        first, *others = text.split(b'"')
        tokens[-1] += [first] if first else []
        tokens += [[other] if other else [] for other in others]
        if place < len(layout.values):
            tokens[-1].append(place)
    ends = not tokens[-1]
    if ends:
        tokens.pop()
    pieces = [_piece(some, layout, b"" if place else rb"\n") for place, some in enumerate(tokens)]
    if any(len(set(piece.names) & {"request", "target"}) and piece.pattern for piece in pieces):
        return None
    return pieces, ends


def _all_begin_lines(pieces: Iterable[bytes]) -> bool:
    return all(map(_NEWLINE.__eq__, map(_first_byte, pieces)))


class QuotedLines:
    """Finds lines in a buffer.

    ``matters``: whether a request target asks for an endpoint.
    """

    def __init__(
        self,
        line_format: LineFormat,
        pieces: Sequence[Piece],
        ends_with_quote: bool,
        kind_of: KindOf,
        matters: Callable[[bytes], bool],
    ) -> None:
        self._slow = ExpressionLines(line_format, kind_of)
        self._reader = RequestReader(line_format, kind_of)
        self._filter = RequestFilter(lambda request: matters(self._reader.target(request)))
        self._pieces = list(pieces)
        self._ends_with_quote = ends_with_quote
        self._escape = b'\\"' if line_format.escapes == BACKSLASH else None
        places = {name: place for place, piece in enumerate(pieces) for name in piece.names}
        self._request = places["request" if "request" in places else "target"]
        last = max(places.values())
        # One more than the last that is read: it shows where that one ends.
        checked = [
            place for place, piece in enumerate(pieces[: last + 2]) if piece.fixed is not None
        ]
        self._mark = next((place for place in checked if place > self._request), None)
        # What only decides for what a line counts is read once for each different text.
        of_kind = {"request", "target", "method", "status"}
        self._key = [
            place
            for place, piece in enumerate(pieces)
            if piece.names and set(piece.names) <= of_kind
        ]
        self._read_each = [
            place for place in range(last + 1) if place not in self._key and place not in checked
        ]
        self._checked = [place for place in checked if place != self._mark]
        self._kinds: Memo[Any] = Memo(self._kind, MEMO)

    def _kind(self, key: tuple[bytes, ...]) -> Any:
        values: dict[str, bytes] = {}
        texts = iter(key)
        for place, text in zip(self._key, texts):
            piece = self._pieces[place]
            if piece.pattern is None:
                values[piece.names[0]] = text
                continue
            match = piece.pattern.match(b'"' + text + b'"')
            if match is None:
                return _MISFIT
            values.update(zip(piece.names, match.groups()))
        values.update(("host", text) for text in texts)
        # One of which the filter could not tell counts for nothing after all.
        return self._reader.kind(values) or _MISFIT

    def read(self, buffer: Buffer, end: int) -> Lines | None:
        """As ExpressionLines.read."""
        start = buffer.find(b"\n", 0, end)
        if start < 0:
            return None
        if end - start > 1 and buffer[end - 1] == 0x0A:
            end -= 1
        text = bytes(buffer[start:end])
        if self._escape and text.find(b"\\") >= 0 and self._escape in text:
            return self._slow.read(buffer, end)
        if not self._ends_with_quote:
            text = text[:1] + text[1:].replace(b"\n", b'"\n') + b'"'
        split = text.split(b'"')
        each = len(self._pieces)
        number = len(split) // each
        if (
            len(split) != number * each + 1
            or split[-1]
            or not self._is_aligned(text, split, number)
        ):
            return self._slow.read(buffer, end)
        requests = split[self._request :: each]
        wanted = self._filter.wanted(set(requests))
        if not wanted:
            return None
        # What follows the last line.
        split[-1] = _NEWLINE
        lines = self._columns(self._chosen(split, list(map(wanted.__contains__, requests))))
        return self._slow.read(buffer, end) if lines is None else lines

    def _chosen(self, split: list[bytes], mask: list[bool]) -> Column:
        """For each piece of a line: its texts in the chosen lines."""
        each = len(self._pieces)
        rows = list(compress(range(0, len(split) - 1, each), mask))
        if len(rows) > _DENSE * len(mask):
            return lambda place: list(compress(split[place::each], mask))
        return lambda place: [split[row + place] for row in rows]

    def _is_aligned(self, text: bytes, split: Sequence[bytes], number: int) -> bool:
        """Whether the pieces are where they should be, and not shifted by lines that were cut off:
        the one between two quoted values shows it, or else the newlines."""
        if self._mark is not None:
            each = len(self._pieces)
            return split[self._mark :: each].count(self._pieces[self._mark].fixed or b"") == number
        heads = split[: -1 : len(self._pieces)]
        return text.count(b"\n") == number and _all_begin_lines(heads)

    def _columns(self, column: Column) -> Lines | None:
        """None where not all lines have the format's form."""
        # What comes after each line.
        if not _all_begin_lines(column(len(self._pieces))):
            return None
        for place in self._checked:
            texts = column(place)
            if texts.count(self._pieces[place].fixed or b"") != len(texts):
                return None
        values: dict[str, Sequence[bytes]] = {}
        zone = b""
        for place in self._read_each:
            piece = self._pieces[place]
            if piece.pattern is None:
                values.update((name, column(place)) for name in piece.names)
                continue
            found = None
            if piece.usual:
                found = piece.usual.read(column(place))
                zone = piece.usual.zone if found else b""
            if found is None:
                found = self._values(piece, column(place))
            if found is None:
                return None
            values.update(zip(piece.names, found))
        keys: list[Sequence[bytes]] = [column(place) for place in self._key]
        if "host" in values:
            keys.append(values["host"])
        kinds = list(map(self._kinds.__getitem__, zip(*keys)))
        if _MISFIT in kinds:
            return None
        return Lines(kinds, values["time"], values.get("address"), values.get("agent"), zone)

    def _values(self, piece: Piece, texts: Sequence[bytes]) -> list[Sequence[bytes]] | None:
        """The columns of a piece's fields."""
        found = piece.pattern.findall(b'"' + b'"'.join(texts) + b'"')
        if len(found) != len(texts):
            return None
        return [found] if len(piece.names) < 2 else list(zip(*found))
