# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""php-fpm's configuration as php-fpm itself reads it: line by line, includes where they stand.

A section goes on until another begins, across the end of an included file too. A section that comes
again, in whatever case, continues the pool of that name, and the last value of an entry counts
(measured with php-fpm 8.2, whose ``-tt`` is what the tests compare with). Nothing here raises on
what a file contains: what cannot be understood is a problem, and whatever was read is kept.
"""

from __future__ import annotations

import glob
import posixpath
import re
from dataclasses import dataclass, field
from typing import Iterator, Mapping

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    path_bytes,
    path_text,
    read_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Problem,
    would_include,
)

DROP_IN = "zz-wpward.conf"
"""A name that stands behind those that packages and people give their pools."""

_MAX_FILE_BYTES = 1 << 20
_MAX_DEPTH = 5
"""Files within each other; php-fpm's own bound."""
_MAX_FILES = 2000
_MAX_ENTRIES = 100000

_SECTION = re.compile(r"\[([^\]]*)\]\s*(?:;.*)?$")
_ENTRY = re.compile(r"([^=;\[\s\"'][^=;\[]*?)\s*(?:\[\s*[\"']?([^\]\"']*)[\"']?\s*\])?\s*=(.*)$")
_PIECE = re.compile(
    r"""
      " (?P<double> [^"\\]* (?: \\. [^"\\]* )* ) "
    | ' (?P<single> [^']* ) '
    | (?P<plain> [^;"']+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_TIME = re.compile(r"([0-9]{1,9})\s*([smhd]?)$")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"(-?[0-9]{1,15})\s*([KMGkmg]?)$")
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30}


@dataclass(frozen=True)
class Include:
    """One include. ``behind``: how many entries of pools had been read when it was done."""

    pattern: str
    behind: int


@dataclass
class Config:
    """A whole configuration. ``values``: of (pool, name, key), where the pool is None in [global]
    and the key is that of ``php_admin_value[key]``. ``pools``: name to the file where its section
    comes first. ``entries``: how many belong to pools."""

    path: str
    values: dict[tuple[str | None, str, str | None], str] = field(default_factory=dict)
    pools: dict[str, str] = field(default_factory=dict)
    includes: list[Include] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    entries: int = 0

    def value(self, pool: str | None, name: str, key: str | None = None) -> str | None:
        """The value that counts; None where there is none."""
        return self.values.get((pool, name, key))

    def number(self, pool: str | None, name: str) -> int | None:
        """The same as a number; None also for what is none, such as a constant of PHP."""
        text = self.value(pool, name) or ""
        return int(text) if re.match(r"-?[0-9]{1,9}$", text) else None

    def seconds(self, pool: str | None, name: str) -> int | None:
        """The same as a time in seconds."""
        match = _TIME.match(self.value(pool, name) or "")
        return int(match.group(1)) * _SECONDS[match.group(2)] if match else None

    def size(self, pool: str | None, name: str, key: str) -> int | None:
        """``name[key]`` as a number of bytes, in PHP's shorthand (128M); -1 for no limit."""
        match = _SIZE.match(self.value(pool, name, key) or "")
        return int(match.group(1)) << _SHIFTS[match.group(2).lower()] if match else None


def _value(text: str, variables: Mapping[str, str]) -> str | None:
    """What stands behind a ``=``; None where a quote is not closed."""

    def known(match: re.Match[str]) -> str:
        return variables.get(match.group(1), "")

    found: list[str] = []
    position = 0
    while position < len(text) and text[position] != ";":
        match = _PIECE.match(text, position)
        if match is None:
            return None
        position = match.end()
        kind = match.lastgroup or "plain"
        piece = match.group(kind)
        if kind == "single":
            found.append(piece)
        elif kind == "double":
            found.append(re.sub(r"\\([\"'\\])", r"\1", _VARIABLE.sub(known, piece)))
        else:
            rest = text[position : position + 1]
            piece = piece if found else piece.lstrip()
            piece = piece.rstrip() if rest in ("", ";") else piece
            found.append(_VARIABLE.sub(known, piece))
    return "".join(found)


class _Reader:
    def __init__(self, config: Config, variables: Mapping[str, str]) -> None:
        self._config = config
        self._variables = variables
        self._pool: str | None = None
        self._names: dict[str, str] = {}
        self._files = 0
        self._entries = 0

    def _report(self, file: str, line: int, message: str) -> None:
        self._config.problems.append(Problem(file, line, message))

    def _lines(self, path: str) -> Iterator[tuple[int, str]]:
        self._files += 1
        if self._files > _MAX_FILES:
            self._report(path, 0, f"more than {_MAX_FILES} files")
            return
        try:
            data = read_regular(path, _MAX_FILE_BYTES + 1)
        except OSError as error:
            self._report(path, 0, f"cannot be read: {error.strerror}")
            return
        if len(data) > _MAX_FILE_BYTES:
            self._report(path, 0, f"is larger than {_MAX_FILE_BYTES // 1024} KiB and was not read")
            return
        for number, line in enumerate(path_text(data).split("\n"), 1):
            yield number, line.strip()

    def file(self, path: str, depth: int = 0) -> None:
        for number, line in self._lines(path):
            if not line or line.startswith(";"):
                continue
            self._entries += 1
            if self._entries > _MAX_ENTRIES:
                self._report(path, number, f"more than {_MAX_ENTRIES} entries")
                return
            section = _SECTION.match(line)
            if section is not None:
                self._section(section.group(1), path)
                continue
            entry = _ENTRY.match(line)
            value = _value(entry.group(3), self._variables) if entry else None
            if entry is None or value is None:
                self._report(path, number, "is neither a section nor an entry")
            elif entry.group(1) == "include":
                self._include(value, path, number, depth)
            else:
                self._config.values[self._pool, entry.group(1).lower(), entry.group(2)] = value
                self._config.entries += self._pool is not None

    def _section(self, name: str, path: str) -> None:
        # $pool, and with it the title of the workers, is the name as it is written first.
        if name.lower() == "global":
            self._pool = None
            return
        self._pool = self._names.setdefault(name.lower(), name)
        self._config.pools.setdefault(self._pool, path)

    def _include(self, pattern: str, path: str, number: int, depth: int) -> None:
        if not pattern.startswith("/") or "{" in pattern:
            self._report(path, number, "only an include of an absolute path without {} is followed")
            return
        if depth + 1 >= _MAX_DEPTH:
            self._report(path, number, f"more than {_MAX_DEPTH} files within each other")
            return
        for file in resolve_include(pattern):
            self.file(file, depth + 1)
        self._config.includes.append(Include(pattern, self._config.entries))


def resolve_include(pattern: str) -> list[str]:
    """The files that an absolute include stands for, in php-fpm's order (bytewise)."""
    raw = path_bytes(pattern)
    # Path.glob would match hidden files, which glob(3) leaves out.
    found = sorted(glob.glob(raw.replace(b"[^", b"[!")))  # noqa: PTH207
    return [path_text(path) for path in found if not is_directory(path_text(path))]


def load(path: str, variables: Mapping[str, str]) -> Config:
    """Read a configuration from its main file. ``variables``: the master's environment."""
    config = Config(path)
    _Reader(config, variables).file(path)
    return config


def drop_in_directory(config: Config) -> str | None:
    """The directory in which a file DROP_IN would have the last word about every pool; None where
    there is none."""
    for include in reversed(config.includes):
        directory = posixpath.dirname(include.pattern)
        ours = posixpath.join(directory, DROP_IN)
        if any(mark in directory for mark in "*?[") or not is_directory(directory):
            continue
        if not would_include(include.pattern, ours):
            continue
        names = [path_bytes(path) for path in resolve_include(include.pattern)]
        last = config.entries == include.behind and max([*names, b""]) <= path_bytes(ours)
        return directory if last else None
    return None
