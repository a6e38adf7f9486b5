# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""How one log's lines are read: from a list of fixed texts and values to a regular expression.

A client must not be able to move the fields of its line. What it can write is escaped by the
server, so that a raw double quote, or a control character such as a tab, is always the format's
own: a quoted value ends at the next raw quote, and values without quotes are caught between two
such marks, or between one and an end of the line. Between two marks at most one value may hold
blanks that a client chose; with two of them nobody can tell where the first ends, and the format
counts as forgeable.

The expression is run by findall over a megabyte at a time, which decides how it is written: loops
over one excluded character (three times as fast as over two) where most of a line is, no ``^``, no
alternation but one for a whole value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Mapping, NamedTuple, Pattern, Sequence, Union

HEX = "hex"
r"""Quotes and backslashes are written as ``\x22`` and ``\x5C`` (nginx)."""
BACKSLASH = "backslash"
r"""They are written as ``\"`` and ``\\`` (httpd, JSON)."""
PERCENT = "percent"
"""They are percent-encoded, as is every blank (CloudFront)."""
NONE = "none"
"""They are written as they are (nginx's ``escape=none``)."""

_TRIES = 4_000_000
"""For one line: nothing can stop a regular expression before it has tried everything."""

_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|u00([0-9A-Fa-f]{2})|(.))", re.S)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


STAMP = "stamp"
"""The name of a time that counts as such only where the line has no other."""


class UnusableFormat(ValueError):
    """The format lacks something that a count needs; the message says what."""


class Value(NamedTuple):
    """What stands between two fixed texts."""

    name: str | None
    """One of LineFormat.fields, STAMP, or None for what nobody needs."""
    shape: bytes | None = None
    """The expression for it, where its form is known and holds no quote."""
    words: bool = True
    """Whether it may hold blanks. False: it ends at the first blank or quote."""
    forgeable: bool = True
    """Whether a client chooses the blanks."""
    optional: bool = False
    """Whether a line that ends before it still counts."""


Part = Union[bytes, Value]


@dataclass(frozen=True)
class LineFormat:
    """How to read one log.

    ``pattern`` begins with the newline before the line, and never takes the newline after it; its
    groups stand in the order of ``fields``. A group of ``agent``, or of any other field that the
    format's author called optional, is empty where the line ends before it.
    """

    pattern: Pattern[bytes]
    fields: tuple[str, ...]
    """time, address, status, host, agent (the User-Agent header), request (the whole request
    line); where there is none, method, target (with its query) and, in a place of its own, query.
    Always a time, and a request or a target."""
    forgeable: bool = False
    """True where a client can make its line say another address, time or request than its own."""
    escapes: str = HEX
    """How the log writes characters that would be mistaken for its own: HEX, BACKSLASH..."""
    parts: tuple[Part, ...] = field(default=(), repr=False, compare=False)

    def only(self, *names: str) -> LineFormat:
        """The same lines with fewer groups, hence faster: the user agent alone costs as much as
        the rest. Names that the format has not are passed over; one at least it must have."""
        parts = [
            part._replace(name=None) if isinstance(part, Value) and part.name not in names else part
            for part in self.parts
        ]
        pattern, fields = _compiled(Layout(parts, self.escapes))
        return replace(self, pattern=pattern, fields=fields, parts=tuple(parts))

    def text_of(self, value: bytes) -> bytes:
        """A logged value as the client sent it; for values that are shown or compared."""
        if self.escapes == PERCENT:
            # Twice: CloudFront encodes what it has encoded before.
            for _time in range(2):
                value = _PERCENT.sub(lambda found: bytes([int(found.group(1), 16)]), value)
            return value
        if self.escapes == NONE or b"\\" not in value:
            return value
        return _ESCAPE.sub(_unescaped, value)


def _unescaped(found: re.Match[bytes]) -> bytes:
    digits = found.group(1) or found.group(2)
    if digits:
        return bytes([int(digits, 16)])
    letter: bytes = found.group(3)
    return _LETTERS.get(letter, letter)


class Layout:
    """The parts as ``values``, with ``texts[n]`` before and ``texts[n + 1]`` after value n."""

    def __init__(self, parts: Sequence[Part], escapes: str) -> None:
        self.escapes = escapes
        self.texts = [b""]
        self.values: list[Value] = []
        for part in parts:
            if isinstance(part, Value):
                self.values.append(part)
                self.texts.append(b"")
            else:
                self.texts[-1] += part

    def is_mark(self, place: int) -> bool:
        """Whether the text before a value holds a character that no value holds. The ends of the
        line are such marks too."""
        if place in (0, len(self.values)):
            return True
        return any(code < 0x20 or code == 0x22 for code in self.texts[place])

    def is_quoted(self, place: int) -> bool:
        return self.texts[place].endswith(b'"') and self.texts[place + 1].startswith(b'"')

    def is_certain(self, place: int) -> bool:
        """Whether a value ends where its own form says."""
        value = self.values[place]
        return value.shape is not None or not (value.words or self.is_quoted(place))

    def sections(self) -> list[range]:
        """The values between one mark and the next."""
        marks = [place for place in range(len(self.values) + 1) if self.is_mark(place)]
        return [range(start, stop) for start, stop in zip(marks, marks[1:])]

    def end_of(self, place: int) -> tuple[int, bool]:
        """How far an expression must go for a value to be certain: to which value, and whether
        the text after that belongs to it."""
        (section,) = (section for section in self.sections() if place in section)
        if all(self.is_certain(before) for before in range(section.start, place + 1)):
            return place, False
        return section.stop - 1, True

    def is_forgeable(self) -> bool:
        """Whether a field stands among values with blanks that a client chose, so that more than
        one place could be its own."""
        if self.escapes == NONE:
            return True
        for section in self.sections():
            free = [
                place
                for place in section
                if not self.is_certain(place) and self.values[place].forgeable
            ]
            if len(free) > 1 and any(
                self.values[place].name for place in range(free[0], free[-1] + 1)
            ):
                return True
        return False

    def expression(self, place: int) -> bytes:
        value = self.values[place]
        if value.shape is not None:
            return value.shape
        backslash = self.escapes == BACKSLASH
        if self.is_quoted(place):
            # This may run over the end of a line that was cut off, but what must follow the
            # closing quote never follows the first quote of a whole line.
            if not backslash:
                return rb'[^"]*'
            # Most values hold no escaped quote, and the first branch reads them fast: a quote
            # with no backslash before it always is the closing one. No value fits both branches,
            # or a line that does not fit would be tried in two ways for each. And httpd writes an
            # empty user name as two quotes.
            empty = b"" if value.name else rb'(?:"")?'
            return empty + rb'(?:[^"]*(?<!\\)|(?=[^"]*\\")[^"\\]*(?:\\.[^"\\]*)*)'
        if not value.words:
            # Nor does it hold the signs around it, but for those of names and addresses. Where
            # nothing stands between two values, the second is a path.
            around = self.texts[place][-1:] + (self.texts[place + 1][:1] or b"/")
            ends = bytes(sorted(set(b' "\n' + re.sub(rb"[\w.:-]", b"", around))))
            return b"[^" + re.escape(ends) + (b"]+" if value.name else b"]*")
        (section,) = (section for section in self.sections() if place in section)
        free = [one for one in section if self.values[one].forgeable and not self.is_certain(one)]
        controls = {code for code in b"".join(self.texts) if code < 0x20}
        ends = re.escape(bytes(sorted({0x0A, 0x22} | controls)))
        # The last ones are user names, which few servers take from a client: they get the least.
        least = b"?" if place not in free or place == free[-1] else b""
        plain = (rb"[^\\" if backslash else b"[^") + ends + b"]"
        empty = rb'(?:"")?' if backslash else b""
        if len(free) > 2:
            # A line that does not fit is tried with every length of each.
            times = b"{0,%d}" % int(_TRIES ** (1 / len(free)))
            return empty + (b"(?:" + plain + rb"|\\.)" if backslash else plain) + times + least
        rest = rb"(?:\\." + plain + b"*" + least + b")*" + least if backslash else b""
        return empty + plain + b"*" + least + rest

    def pattern(self) -> tuple[bytes, int]:
        """The expression, and how many values it goes over."""
        named = [place for place, value in enumerate(self.values) if value.name]
        needed = max(
            (place for place in named if not self.values[place].optional), default=named[0]
        )
        ends = dict(sorted(self.end_of(place) for place in named if place >= needed))
        pieces = [rb"\n", re.escape(self.texts[0])]
        after = b""
        for place in range(max(ends) + 1):
            shape = self.expression(place)
            pieces.append(after)
            pieces.append(b"(" + shape + b")" if self.values[place].name else shape)
            after = re.escape(self.texts[place + 1])
            if place in ends:
                if ends[place]:
                    pieces.append(after)
                    after = b""
                    if place + 1 == len(self.values):
                        pieces.append(rb"(?![^\r\n])")
                pieces.append(b"(?:")
        pieces[-1] = b")?" * (len(ends) - 1)
        return b"".join(pieces), max(ends) + 1


def _compiled(layout: Layout) -> tuple[Pattern[bytes], tuple[str, ...]]:
    pattern, length = layout.pattern()
    fields = tuple(value.name for value in layout.values[:length] if value.name)
    return re.compile(pattern), fields


def with_query(target: bytes, query: bytes) -> bytes:
    """The whole request target, where a format writes its query in a place of its own. Without a
    query that holds nothing, or a hyphen."""
    query = query[1:] if query.startswith(b"?") else query
    return target if query in (b"", b"-") else target + b"?" + query


def chosen(candidates: Mapping[str, Sequence[str]], present: Sequence[str]) -> dict[str, str]:
    """Which field each of a format's variables fills: the best one that is there.

    candidates: the variables for each field, the best first.
    """
    fields = {}
    for name, variables in candidates.items():
        found = [variable for variable in variables if variable in present]
        if found:
            fields[name] = found[0]
    if "request" in fields:
        for name in ("method", "target", "query"):
            fields.pop(name, None)
    return {variable: name for name, variable in fields.items()}


def build(parts: Sequence[Part], escapes: str) -> LineFormat:
    """The format that consists of these fixed texts and values.

    Of several values with the same name the first counts. Raises UnusableFormat where the time or
    the request is not among them, and where one request takes several lines.
    """
    names = [part.name for part in parts if isinstance(part, Value)]
    unwanted = STAMP if "time" in names else None
    seen: set[str] = set()
    unique: list[Part] = []
    for part in parts:
        if isinstance(part, Value) and part.name:
            name = "time" if part.name == STAMP else part.name
            unique.append(
                part._replace(name=None if name in seen or part.name == unwanted else name)
            )
            if part.name != unwanted:
                seen.add(name)
        else:
            unique.append(part)
    missing = [] if "time" in seen else ["time"]
    if not seen & {"request", "target"}:
        missing.append("request")
    if missing:
        raise UnusableFormat("the log format has no {}".format(" and no ".join(missing)))
    layout = Layout(unique, escapes)
    if any(b"\n" in text for text in layout.texts):
        raise UnusableFormat("the log format writes several lines for one request")
    pattern, fields = _compiled(layout)
    return LineFormat(
        pattern=pattern,
        fields=fields,
        forgeable=layout.is_forgeable(),
        escapes=escapes,
        parts=tuple(unique),
    )
