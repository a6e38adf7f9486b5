# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""httpd's configuration as httpd itself reads it: in one pass, from the top.

Includes, conditions, Define and LoadModule act while the files are read, so what a line means
depends on the lines before it. Nothing here raises on what a file contains: what cannot be
understood is a :class:`Problem`, and whatever was read before it is kept.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import itertools
import posixpath
import re
from dataclasses import dataclass, field
from typing import Iterator, Mapping

from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_conditions
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    names_in,
    path_bytes,
    path_text,
    read_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Problem

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 64
"""Sections within sections, and includes within includes."""
MAX_FILES = 10000
"""That one include stands for: of a directory it is every file below."""
MAX_DIRECTIVES = 200000
"""Of the whole configuration: includes within includes may multiply."""

_BLANKS = " \t\r\v\f"
_VARIABLE = re.compile(r"\$\{([^}:]*)\}")
_WORD = re.compile(
    r"""
      \s*
      (?: " (?P<double> [^"\\]* (?: \\. [^"\\]* )* (?: \\\Z )? ) (?: " | \Z )
        | ' (?P<single> [^'\\]* (?: \\. [^'\\]* )* (?: \\\Z )? ) (?: ' | \Z )
        | (?P<plain> [^\s"'] \S* ) )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


@dataclass(frozen=True)
class Directive:
    """One directive, or one section with what it holds."""

    name: str
    """In lower case."""
    args: tuple[str, ...]
    file: str
    line: int
    """Where it begins; a continued line has more."""
    text: str
    """The line as it is written, before variables are filled in."""
    block: tuple[Directive, ...] | None = None


@dataclass(frozen=True)
class ConfigFile:
    path: str
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Include:
    """One Include or IncludeOptional that was followed, whatever it found."""

    pattern: str
    """Absolute; variables are filled in."""
    file: str
    line: int
    main_scope: bool
    """Outside of every section but conditions that hold."""
    conditional: bool
    modules: int
    """How many modules were loaded when httpd came here."""


@dataclass
class Config:
    """A whole configuration. ``known`` is what httpd knows after the last line."""

    path: str
    known: Known
    files: dict[str, ConfigFile] = field(default_factory=dict)
    directives: tuple[Directive, ...] = ()
    includes: list[Include] = field(default_factory=list)
    modules: int = 0
    """How many modules were loaded in the end."""
    problems: list[Problem] = field(default_factory=list)
    variables_used: set[str] = field(default_factory=set)


def words(text: str) -> tuple[str, ...]:
    """The arguments of a directive. Quotes count at the beginning of a word only, and a word may
    follow a closing quote at once."""
    found: list[str] = []
    position = 0
    while True:
        match = _WORD.match(text, position)
        if match is None:
            return tuple(found)
        position = match.end()
        quote = {"double": '"', "single": "'"}.get(match.lastgroup or "", "")
        raw = match.group(match.lastgroup or "plain")
        found.append(re.sub(rf"\\([\\{quote}])", r"\1", raw))


def logical_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """(number of its first line, text) of each line, continued ones joined, blanks around gone."""
    first = 0
    pending = ""
    lines = path_text(data).split("\n")
    for number, line in enumerate(lines, 1):
        first = first or number
        line = line[:-1] if line.endswith("\r") else line
        if line.endswith("\\") and number < len(lines):
            pending += line[:-1]
            continue
        yield first, (pending + line).strip(_BLANKS)
        first, pending = 0, ""
    if pending:
        yield first, pending.strip(_BLANKS)


def _order(path: str) -> list[str]:
    return path.split("/")


def _files_below(path: str, depth: int = 0) -> Iterator[str]:
    """A directory stands for every file below it, hidden ones too."""
    if not is_directory(path):
        yield path
    elif depth < MAX_DEPTH:
        for name in names_in(path):
            yield from _files_below(posixpath.join(path, name), depth + 1)


def resolve_include(pattern: str) -> list[str]:
    """The files an absolute include stands for, in httpd's order; none where a pattern matches
    nothing."""
    raw = path_bytes(pattern)
    paths = [pattern]
    if any(character in raw for character in b"*?["):
        # Path.glob would match hidden files, which httpd's wildcards leave out.
        found = glob.glob(raw.replace(b"[^", b"[!"))  # noqa: PTH207
        paths = sorted(map(path_text, found), key=_order)
    below = (file for path in paths for file in _files_below(path))
    return list(itertools.islice(below, MAX_FILES))


class _Stop(Exception):
    """The rest of this file cannot be understood."""


class _Reader:
    def __init__(self, config: Config, variables: Mapping[str, str]) -> None:
        self._config = config
        self._known = config.known
        self._variables = variables
        self._count = 0
        self._open_sections = 0
        self._open_conditions = 0

    def _report(self, file: str, line: int, message: str) -> None:
        self._config.problems.append(Problem(file, line, message))

    def _fill_in(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            self._config.variables_used.add(name)
            known = self._known.defines.get(name)
            if known is None:
                known = self._variables.get(name)
            return match.group() if known is None else known

        return _VARIABLE.sub(value, text) if "${" in text else text

    def _data(self, path: str) -> bytes | None:
        known = self._config.files.get(path)
        if known is not None:
            return known.data
        try:
            data = read_regular(path, MAX_FILE_BYTES + 1)
        except OSError as error:
            self._report(path, 0, f"cannot be read: {error.strerror}")
            return None
        if len(data) > MAX_FILE_BYTES:
            limit = MAX_FILE_BYTES // 1024 // 1024
            self._report(path, 0, f"is larger than {limit} MiB and was not read")
            return None
        self._config.files[path] = ConfigFile(path, data)
        return data

    def file(self, path: str, within: tuple[str, ...]) -> list[Directive]:
        into: list[Directive] = []
        data = self._data(path)
        if data is not None:
            with contextlib.suppress(_Stop):
                self._block(logical_lines(data), into, None, (*within, path), 0)
        return into

    def _include(self, directive: Directive, within: tuple[str, ...]) -> list[Directive]:
        into: list[Directive] = []
        optional = directive.name == "includeoptional"
        pattern = self._known.absolute(directive.args[0])
        self._config.includes.append(
            Include(
                pattern,
                directive.file,
                directive.line,
                main_scope=self._open_sections == 0,
                conditional=self._open_conditions > 0,
                modules=len(self._known.modules),
            )
        )
        paths = resolve_include(pattern)
        if not paths and not optional:
            self._report(directive.file, directive.line, f"nothing matches the Include {pattern}")
        if len(paths) == MAX_FILES:
            self._report(directive.file, directive.line, f"more than {MAX_FILES} files")
        for path in paths:
            if path in within or len(within) > MAX_DEPTH:
                self._report(directive.file, directive.line, "this Include comes back to itself")
            elif not optional or self._exists(path):
                into.extend(self.file(path, within))
        return into

    def _exists(self, path: str) -> bool:
        try:
            read_regular(path, 0)
        except FileNotFoundError:
            return False
        except OSError:
            pass
        return True

    def _skip(self, lines: Iterator[tuple[int, str]], name: str) -> None:
        """Leave out a section with the sections in it; Perl's holds none of httpd's."""
        open_sections = 1
        for _number, text in lines:
            if text.startswith("</"):
                if name != "perl" or text.lower() == "</perl>":
                    open_sections -= 1
            elif text.startswith("<") and name != "perl":
                open_sections += 1
            if not open_sections:
                return

    def _act(self, directive: Directive, within: tuple[str, ...]) -> list[Directive]:
        """What takes effect while reading; gives the directives that it brings in."""
        name, args = directive.name, directive.args
        if name in ("include", "includeoptional") and args:
            return self._include(directive, within)
        if name == "define" and args:
            self._known.defines[args[0]] = args[1] if len(args) > 1 else None
        elif name == "undefine" and args:
            self._known.defines.pop(args[0], None)
        elif name == "loadmodule" and len(args) == 2:
            self._known.load_module(args[0], args[1])
        elif name == "serverroot" and args:
            self._known.server_root = args[0]
        elif name == "use":
            self._report(
                directive.file,
                directive.line,
                "Use of a macro is not supported; what the macro configures is not seen",
            )
        return [directive]

    def _section(
        self,
        opened: Directive,
        lines: Iterator[tuple[int, str]],
        into: list[Directive],
        within: tuple[str, ...],
        depth: int,
    ) -> None:
        name, args, file, line = opened.name, opened.args, opened.file, opened.line
        if depth >= MAX_DEPTH:
            self._report(file, line, f"more than {MAX_DEPTH} sections within each other")
            raise _Stop
        if name in ("macro", "perl"):
            self._report(file, line, f"<{name}> is not supported; what it configures is not seen")
            self._skip(lines, name)
            return
        if name in httpd_conditions.SECTIONS:
            holds = httpd_conditions.holds(name, args, self._known)
            if holds is None:
                self._report(file, line, f"<{name}> cannot be evaluated; what it holds is left out")
            if holds:
                self._open_conditions += 1
                try:
                    self._block(lines, into, name, within, depth + 1)
                finally:
                    self._open_conditions -= 1
            else:
                self._skip(lines, name)
            return
        children: list[Directive] = []
        self._open_sections += 1
        try:
            self._block(lines, children, name, within, depth + 1)
        finally:
            self._open_sections -= 1
            # What a broken section held so far is kept.
            into.append(Directive(name, args, file, line, opened.text, tuple(children)))

    def _block(
        self,
        lines: Iterator[tuple[int, str]],
        into: list[Directive],
        section: str | None,
        within: tuple[str, ...],
        depth: int,
    ) -> None:
        """Read until the section's end, or the file's where there is no section."""
        path = within[-1]
        for number, written in lines:
            if not written or written.startswith("#"):
                continue
            self._count += 1
            if self._count > MAX_DIRECTIVES:
                self._report(path, number, f"more than {MAX_DIRECTIVES} directives")
                raise _Stop
            text = self._fill_in(written)
            if text.startswith("</"):
                if section is None or text.lower() != f"</{section}>":
                    self._report(path, number, "a section is closed that is not open")
                    raise _Stop
                return
            parts = words(text[1:-1] if text.startswith("<") else text)
            if not parts:
                continue
            one = Directive(parts[0].lower(), parts[1:], path, number, written)
            if not text.startswith("<"):
                into.extend(self._act(one, within))
            elif text.endswith(">"):
                self._section(one, lines, into, within, depth)
            else:
                self._report(path, number, f'<{one.name} has no closing ">"')
                raise _Stop
        if section is not None:
            self._report(path, 0, f"<{section}> is not closed")
            raise _Stop


def load(path: str, known: Known, variables: Mapping[str, str]) -> Config:
    """Read a configuration from its main file.

    ``known`` is what httpd knows at the start (it is changed), ``variables`` its environment.
    """
    config = Config(path, known)
    config.directives = tuple(_Reader(config, variables).file(path, ()))
    config.modules = len(known.modules)
    return config
