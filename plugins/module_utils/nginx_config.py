# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx configuration as nginx itself tokenises it, with the byte position of every directive.

Nothing here raises on what a configuration file contains: what cannot be understood is a
:class:`Problem`, and whatever was read before it is kept. Paths are bytes inside and
``surrogateescape`` text outside, so a name that is not UTF-8 survives the way to the evidence and
back.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import posixpath
import re
from dataclasses import dataclass, field
from typing import Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    path_bytes,
    path_text,
    read_regular,
)

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 64
"""Blocks within blocks, and includes within includes. Real configurations stay below ten; the
bound keeps every recursive reader of the tree safe from a hostile file."""

INCLUDE_MARKER = "# wpward"


@dataclass(frozen=True)
class Problem:
    """What could not be read, in one sentence without the file's text. ``line`` is 0 for a whole
    file."""

    file: str
    line: int
    message: str


@dataclass(frozen=True)
class Directive:
    """One directive. All offsets are bytes from the beginning of ``file``."""

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    offset: int
    end: int
    """Right after the ``;`` or the closing ``}``."""
    block: tuple[Directive, ...] | None = None
    block_offset: int | None = None
    """Right after the opening ``{``."""


@dataclass(frozen=True)
class ParsedFile:
    """One file as read: ``path`` is the name under which nginx opens it."""

    path: str
    data: bytes
    directives: tuple[Directive, ...]
    problems: tuple[Problem, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


# Unrolled loops: an unterminated quote or a long word costs time linear in its length.
_TOKEN = re.compile(
    rb"""
      [ \t\r\n]+
    | (?P<comment> \#[^\n]* )
    | (?P<mark> [;{}] )
    | " (?P<double> [^"\\]* (?: \\. [^"\\]* )* ) "
    | ' (?P<single> [^'\\]* (?: \\. [^'\\]* )* ) '
    | (?P<word> (?: \\. | \$\{* | [^\\$ \t\r\n;{}\#"'] )
                [^\\$ \t\r\n;{]* (?: (?: \\. | \$\{* ) [^\\$ \t\r\n;{]* )* )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(rb"\\([\"'\\trn])", re.DOTALL)
_ESCAPED = {b"t": b"\t", b"r": b"\r", b"n": b"\n"}
_LUA_TOKEN = re.compile(
    rb"""
      --\[(?P<comment_level>=*)\[
    | --[^\n]*
    | \[(?P<string_level>=*)\[
    | "[^"\\\n]*(?:\\.[^"\\\n]*)*"
    | '[^'\\\n]*(?:\\.[^'\\\n]*)*'
    | (?P<mark>[{}])
    """,
    re.VERBOSE | re.DOTALL,
)


def _unescape(raw: bytes) -> str:
    if b"\\" in raw:
        raw = _ESCAPE.sub(lambda match: _ESCAPED.get(match.group(1), match.group(1)), raw)
    return path_text(raw)


def _end_of_lua(data: bytes, position: int) -> int | None:
    """Where the Lua block that begins at ``position`` (right after its ``{``) has its ``}``."""
    depth = 1
    while True:
        match = _LUA_TOKEN.search(data, position)
        if match is None:
            return None
        position = match.end()
        level = match.group("comment_level")
        if level is None:
            level = match.group("string_level")
        if level is not None:
            closing = data.find(b"]" + level + b"]", position)
            if closing < 0:
                return None
            position = closing + len(level) + 2
        elif match.group("mark") == b"{":
            depth += 1
        elif match.group("mark") == b"}":
            depth -= 1
            if depth == 0:
                return match.start()


class _Open:
    """A block whose closing brace has not come yet."""

    def __init__(self, words: list[str], line: int, offset: int, block_offset: int) -> None:
        self.words = words
        self.line = line
        self.offset = offset
        self.block_offset = block_offset
        self.children: list[Directive] = []


class _Parser:
    def __init__(self, data: bytes, path: str) -> None:
        self._data = data
        self._path = path
        self._counted = 0
        self._line = 1
        self._stack: list[_Open] = []
        self._top: list[Directive] = []
        self._words: list[str] = []
        self._start = 0
        self._start_line = 1
        self.problems: list[Problem] = []

    def _line_at(self, position: int) -> int:
        self._line += self._data.count(b"\n", self._counted, position)
        self._counted = position
        return self._line

    def _report(self, position: int, message: str) -> None:
        self.problems.append(Problem(self._path, self._line_at(position), message))

    def _add(
        self, opened: _Open, end: int, block: tuple[Directive, ...] | None, with_block: bool
    ) -> None:
        siblings = self._stack[-1].children if self._stack else self._top
        siblings.append(
            Directive(
                name=opened.words[0],
                args=tuple(opened.words[1:]),
                file=self._path,
                line=opened.line,
                offset=opened.offset,
                end=end,
                block=block,
                block_offset=opened.block_offset if with_block else None,
            )
        )

    def _word(self, text: str, position: int) -> None:
        if not self._words:
            self._start = position
            self._start_line = self._line_at(position)
        self._words.append(text)

    def _mark(self, mark: bytes, position: int) -> int | None:
        """Take one of ``; { }``; give the position to read on from, or None to stop."""
        end = position + 1
        if mark == b"}":
            if self._words:
                self._report(position, 'unexpected "}": a directive before it has no ";"')
                return None
            if not self._stack:
                self._report(position, 'unexpected "}"')
                return None
            opened = self._stack.pop()
            self._add(opened, end, tuple(opened.children), True)
            return end
        if not self._words:
            self._report(position, f'unexpected "{mark.decode()}"')
            return None
        opened = _Open(self._words, self._start_line, self._start, end)
        self._words = []
        if mark == b";":
            self._add(opened, end, None, False)
            return end
        if opened.words[0].endswith("_by_lua_block"):
            closing = _end_of_lua(self._data, end)
            if closing is None:
                self._report(position, "a Lua block is not closed")
                return None
            self._add(opened, closing + 1, (), True)
            return closing + 1
        if len(self._stack) >= MAX_DEPTH:
            self._report(position, f"more than {MAX_DEPTH} blocks within each other")
            return None
        self._stack.append(opened)
        return end

    def run(self) -> tuple[Directive, ...]:
        data = self._data
        position: int | None = 0
        last = 0
        after_quote = False
        while position is not None and position < len(data):
            last = position
            match = _TOKEN.match(data, position)
            if match is None:
                self._report(position, "unexpected end of file: a quote or an escape is not closed")
                break
            kind = match.lastgroup
            # nginx wants a separator after a closing quote, and lets a ")" follow it directly.
            if after_quote and kind not in (None, "mark") and data[position] != 0x29:
                self._report(position, "a closing quote is followed by more text")
                break
            after_quote = kind in ("double", "single")
            if kind == "mark":
                position = self._mark(match.group(), position)
                continue
            if kind == "word":
                self._word(_unescape(match.group()), position)
            elif after_quote:
                assert kind is not None
                self._word(_unescape(match.group(kind)), position)
            position = match.end()
        else:
            if position is not None and (self._words or self._stack):
                self._report(len(data), 'unexpected end of file: ";" or "}" is missing')
        self._unwind(last if position is None else position)
        return tuple(self._top)

    def _unwind(self, end: int) -> None:
        while self._stack:
            opened = self._stack.pop()
            self._add(opened, end, tuple(opened.children), True)


def parse(data: bytes, path: str) -> ParsedFile:
    """Parse one file's bytes. Reading stops at the first error, as nginx does; the blocks that
    were open there are kept with what they held so far."""
    parser = _Parser(data, path)
    directives = parser.run()
    return ParsedFile(path, data, directives, tuple(parser.problems))


@dataclass
class Config:
    """A whole configuration: the main file and everything it includes, each file read once.

    ``conf_prefix`` is the directory that relative includes start from (the main file's own).
    """

    path: str
    conf_prefix: str
    files: dict[str, ParsedFile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _included: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)

    @property
    def directives(self) -> tuple[Directive, ...]:
        main = self.files.get(self.path)
        return main.directives if main else ()

    def include_pattern(self, directive: Directive) -> str:
        """The absolute path or glob pattern of an ``include``."""
        return posixpath.join(self.conf_prefix, directive.args[0])

    def expand(
        self, directives: tuple[Directive, ...], _within: tuple[str, ...] = ()
    ) -> Iterator[Directive]:
        """The directives of one context in nginx's order, includes replaced by what they hold."""
        for directive in directives:
            if directive.name != "include" or len(directive.args) != 1:
                yield directive
                continue
            for path in self._included.get((directive.file, directive.offset), ()):
                if path not in _within and len(_within) < MAX_DEPTH:
                    yield from self.expand(self.files[path].directives, (*_within, path))

    def includes(
        self, directives: tuple[Directive, ...], _within: tuple[str, ...] = ()
    ) -> Iterator[Directive]:
        """The ``include`` directives of one context itself, those of included files among them."""
        for directive in directives:
            if directive.name == "include" and len(directive.args) == 1:
                yield directive
                for path in self._included.get((directive.file, directive.offset), ()):
                    if path not in _within and len(_within) < MAX_DEPTH:
                        yield from self.includes(self.files[path].directives, (*_within, path))


def resolve_include(pattern: str) -> list[str]:
    """The files an include stands for, in nginx's order (bytewise, as glob(3) in the C locale)."""
    raw = path_bytes(pattern)
    if not any(character in raw for character in b"*?["):
        return [pattern]
    # glibc takes [^x] for [!x]; Python knows only the latter. Path.glob would match hidden files.
    found = glob.glob(raw.replace(b"[^", b"[!"))  # noqa: PTH207
    return [path_text(path) for path in sorted(found)]


def _read(path: str) -> tuple[bytes | None, str]:
    try:
        data = read_regular(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"
    if len(data) > MAX_FILE_BYTES:
        return None, f"is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB and was not read"
    return data, ""


def _nested_includes(directives: tuple[Directive, ...]) -> Iterator[Directive]:
    for directive in directives:
        if directive.name == "include" and len(directive.args) == 1:
            yield directive
        if directive.block:
            yield from _nested_includes(directive.block)


def load(path: str) -> Config:
    """Read a configuration from its main file.

    A file that cannot be read, or an include that comes back to itself, is a problem in the
    result, not an exception.
    """
    config = Config(path, posixpath.dirname(path))
    waiting: list[tuple[str, tuple[str, ...]]] = [(path, ())]
    while waiting:
        current, within = waiting.pop()
        if current in config.files:
            continue
        data, reason = _read(current)
        if data is None:
            config.problems.append(Problem(current, 0, reason))
            config.files[current] = ParsedFile(current, b"", (), ())
            continue
        parsed = parse(data, current)
        config.files[current] = parsed
        config.problems.extend(parsed.problems)
        for directive in _nested_includes(parsed.directives):
            paths = resolve_include(config.include_pattern(directive))
            config._included[(directive.file, directive.offset)] = tuple(paths)
            for included in paths:
                if included == current or included in within:
                    config.problems.append(
                        Problem(current, directive.line, "this include comes back to itself")
                    )
                waiting.append((included, (*within, current)))
    return config


def would_include(pattern: str, path: str) -> bool:
    """Whether an include with this absolute pattern loads ``path`` once that file exists."""
    return posixpath.dirname(pattern) == posixpath.dirname(path) and fnmatch.fnmatchcase(
        posixpath.basename(path), posixpath.basename(pattern)
    )


def server_include(indent: str, path: str, comment: bool = True) -> str:
    """The text that goes right after the ``{`` of a server block.

    ``comment`` must be False where more than a comment follows the ``{`` on its line: the marker
    would swallow it.
    """
    return "\n{}include {};{}".format(indent, path, "  " + INCLUDE_MARKER if comment else "")


_INSERTED = re.compile(
    rb"\n[ \t]*include[ ]+[^\s;]+;(?:[ ]{2}" + re.escape(INCLUDE_MARKER.encode()) + rb"(?=\s))?"
)


def inserted_span(data: bytes, block_offset: int, include: Directive) -> tuple[int, int]:
    """Byte offset and length of what :func:`server_include` put there.

    Where the text is no longer as it was inserted, the span is that of the directive alone.
    """
    match = _INSERTED.match(data, block_offset)
    if match and match.start() < include.offset < match.end():
        return match.start(), match.end() - match.start()
    return include.offset, include.end - include.offset
