# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""logrotate's configuration, with the place of each value that may have to be edited.

Only what decides how long a log is kept is understood; everything else is passed over, scripts
among it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator

_SCRIPTS = frozenset(
    (b"prerotate", b"postrotate", b"firstaction", b"lastaction", b"preremove"),
)
_PERIODS = {b"hourly": 1 / 24, b"daily": 1.0, b"weekly": 7.0, b"monthly": 30.0, b"yearly": 365.0}
_SIZES = {b"": 1, b"k": 1 << 10, b"M": 1 << 20, b"G": 1 << 30}
_SIZE = re.compile(rb"(\d+)([kMG]?)\Z")
_DIRECTIVE = re.compile(rb"\s*(?P<name>[a-z]+)[\s=]*(?P<value>[^\s}]*)")
_WORD = re.compile(rb"""[^\s"'{}]+|"([^"]*)"|'([^']*)'|[{}]""")


@dataclass(frozen=True)
class Number:
    """A number in a file. ``offset`` and ``length``: in bytes."""

    value: int
    offset: int
    length: int


@dataclass
class Options:
    """How a log is rotated. ``size``, ``max_size``: bytes. ``frequency``: logrotate's own word."""

    frequency: str = "daily"
    rotate: Number | None = None
    max_age: Number | None = None
    size: int | None = None
    max_size: int | None = None
    compress: bool = False

    @property
    def period_days(self) -> float:
        return _PERIODS.get(self.frequency.encode(), 1.0)


@dataclass
class Section:
    """One section of a file: the logs that it names and how they are rotated. ``body``: offset
    right behind its opening brace. ``own``: the directives that stand in the section itself."""

    patterns: list[str]
    body: int
    options: Options
    own: set[bytes] = field(default_factory=set)


@dataclass
class Configuration:
    """What one file says: its sections, what it includes, and its own defaults for what follows."""

    sections: list[Section] = field(default_factory=list)
    includes: list[str] = field(default_factory=list)
    defaults: Options = field(default_factory=Options)


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Offset and text of each line without comments and without scripts."""
    offset, in_script = 0, False
    for line in data.splitlines(keepends=True):
        text = line.lstrip()
        words = text.split()
        if in_script:
            in_script = words[:1] != [b"endscript"]
        elif words and words[0] in _SCRIPTS:
            in_script = True
        elif words and not text.startswith(b"#"):
            yield offset, line
        offset += len(line)


def _number(text: bytes, offset: int) -> Number | None:
    if not re.fullmatch(rb"-?\d+", text):
        return None
    return Number(int(text), offset, len(text))


def _bytes(text: bytes) -> int | None:
    found = _SIZE.match(text)
    return int(found.group(1)) * _SIZES[found.group(2)] if found else None


def _apply(options: Options, line: bytes, offset: int) -> None:
    """``offset``: of the line's first byte."""
    found = _DIRECTIVE.match(line)
    if found is None:
        return
    name, value, place = found["name"], found["value"], offset + found.start("value")
    if name in _PERIODS:
        options.frequency, options.size = name.decode(), None
    elif name == b"rotate":
        options.rotate = _number(value, place) or options.rotate
    elif name == b"maxage":
        options.max_age = _number(value, place) or options.max_age
    elif name == b"size":
        options.size = _bytes(value)
    elif name == b"maxsize":
        options.max_size = _bytes(value)
    elif name in (b"compress", b"nocompress"):
        options.compress = name == b"compress"


def _copied(options: Options) -> Options:
    return Options(
        options.frequency,
        options.rotate,
        options.max_age,
        options.size,
        options.max_size,
        options.compress,
    )


def parse(data: bytes, defaults: Options | None = None) -> Configuration:
    """``defaults``: what the files before this one set outside of sections."""
    found = Configuration(defaults=_copied(defaults or Options()))
    names: list[str] = []
    section: Section | None = None
    for offset, line in _lines(data):
        words = list(_WORD.finditer(line))
        while words:
            if section is None:
                brace = next((at for at, one in enumerate(words) if one.group() == b"{"), None)
                first = words[0].group()
                # A section's logs are absolute paths; what begins otherwise is a directive.
                if not names and brace != 0 and not first.lstrip(b"\"'").startswith(b"/"):
                    if first == b"include" and len(words) > 1:
                        found.includes.append(_text(words[1]))
                    else:
                        _apply(found.defaults, line, offset)
                    break
                names += [_text(one) for one in words[:brace]]
                if brace is None:
                    break
                body = offset + words[brace].end()
                section = Section(names, body, _copied(found.defaults))
                names, words = [], words[brace + 1 :]
            else:
                close = next((at for at, one in enumerate(words) if one.group() == b"}"), None)
                if words[:close]:
                    begin = words[0].start()
                    _apply(section.options, line[begin:], offset + begin)
                    section.own.add(words[0].group().partition(b"=")[0])
                if close is None:
                    break
                found.sections.append(section)
                section, words = None, words[close + 1 :]
    return found


def _text(word: re.Match[bytes]) -> str:
    quoted = word.group(1) if word.group(1) is not None else word.group(2)
    return (word.group() if quoted is None else quoted).decode("utf-8", "surrogateescape")
