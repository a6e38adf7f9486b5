# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The constants that a wp-config.php defines by plain strings, read without running PHP."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Sequence, Tuple

_TOKEN = re.compile(
    r"""
      (?P<comment> /\* .*? (?:\*/|\Z) | (?://|\#(?!\[)) (?: (?!\?>) [^\r\n] )* )
    | (?P<single> ' [^'\\]* (?: \\. [^'\\]* )* (?: ' | \\?\Z ) )
    | (?P<double> " [^"\\]* (?: \\. [^"\\]* )* (?: " | \\?\Z ) )
    | (?P<name> \\? [A-Za-z_] [\w\\]* )
    | (?P<variable> \$ \w+ )
    | (?P<space> \s+ )
    | (?P<other> .)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOUBLE_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "$": "$", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Constants:
    """``values``: constants whose string is known. ``unknown``: names that are defined by
    something that only PHP can evaluate. ``included``: files named by a literal ``require``."""

    values: dict[str, str]
    unknown: tuple[str, ...]
    included: tuple[str, ...]


Token = Tuple[str, str]


def _tokens(source: str) -> list[Token]:
    return [
        (match.lastgroup or "", match.group())
        for match in _TOKEN.finditer(source)
        if match.lastgroup not in ("comment", "space")
    ]


def _string(token: Token) -> str | None:
    kind, text = token
    if kind == "single":
        return re.sub(r"\\([\\'])", r"\1", text[1:-1])
    if kind == "double":
        inner = text[1:-1]
        if re.search(r"(?<!\\)(?:\\\\)*\$[A-Za-z_{]|\{\$|\\[0-7xu]", inner):
            return None
        return re.sub(
            r"\\(.)", lambda match: _DOUBLE_ESCAPES.get(match.group(1), match.group()), inner
        )
    return None


class _Reader:
    def __init__(self, source: str, path: str, known: dict[str, str]) -> None:
        self._tokens = _tokens(source)
        self._path = path
        self._known = dict(known)
        self.values: dict[str, str] = {}
        self.unknown: list[str] = []
        self.included: list[str] = []

    def _is(self, position: int, *texts: str) -> bool:
        found = self._tokens[position : position + len(texts)]
        return [text.lower() for _kind, text in found] == [text.lower() for text in texts]

    def _operand(self, position: int) -> tuple[str, int] | None:
        """One part of a concatenation and the position after it."""
        if position >= len(self._tokens):
            return None
        kind, text = self._tokens[position]
        literal = _string((kind, text))
        if literal is not None:
            return literal, position + 1
        if text == "(":
            inner = self._expression(position + 1)
            return (inner[0], inner[1] + 1) if inner and self._is(inner[1], ")") else None
        if kind == "name":
            name = text.lstrip("\\")
            if name.upper() == "__DIR__":
                return posixpath.dirname(self._path), position + 1
            if name.upper() == "__FILE__":
                return self._path, position + 1
            if name.lower() == "dirname" and self._is(position + 1, "("):
                inner = self._expression(position + 2)
                return (
                    (posixpath.dirname(inner[0].rstrip("/")), inner[1] + 1)
                    if inner and self._is(inner[1], ")")
                    else None
                )
            if name in self._known and not self._is(position + 1, "("):
                return self._known[name], position + 1
        if text == "$_SERVER" and self._is(position + 1, "["):
            key = _string(self._tokens[position + 2]) if position + 3 < len(self._tokens) else None
            value = self._known.get(f"$_SERVER[{key}]")
            if value is not None and self._is(position + 3, "]"):
                return value, position + 4
        return None

    def _expression(self, position: int) -> tuple[str, int] | None:
        value = ""
        while True:
            part = self._operand(position)
            if part is None:
                return None
            value += part[0]
            position = part[1]
            if not self._is(position, "."):
                return value, position
            position += 1

    def _define(self, name: str, position: int, ends: Sequence[str]) -> None:
        if name in self.values or name in self.unknown:
            # PHP keeps the first definition.
            return
        found = self._expression(position)
        if found and any(self._is(found[1], end) for end in ends):
            self.values[name] = found[0]
            self._known[name] = found[0]
        else:
            self.unknown.append(name)

    def read(self) -> None:
        for position, (kind, text) in enumerate(self._tokens):
            if kind != "name":
                continue
            word = text.lstrip("\\").lower()
            if word.endswith("::define"):
                word = "define"
            if word == "define" and self._is(position + 1, "("):
                if position + 3 < len(self._tokens) and self._is(position + 3, ","):
                    name = _string(self._tokens[position + 2])
                    if name is not None:
                        self._define(name, position + 4, (")", ","))
            elif word == "const" and self._is(position + 2, "="):
                self._define(self._tokens[position + 1][1], position + 3, (";", ","))
            elif word in ("require", "require_once", "include", "include_once"):
                found = self._expression(position + 1)
                if found and (self._is(found[1], ";") or self._is(found[1], ")")):
                    self.included.append(found[0])


def read_constants(source: str, path: str, known: dict[str, str]) -> Constants:
    """Read one PHP source.

    ``path``: its absolute path, for ``__DIR__``. ``known``: constants defined before it, and
    ``$_SERVER[NAME]`` keys where their values are known. Conditions are not evaluated: the first
    definition counts.
    """
    reader = _Reader(source, path, known)
    # PHP itself only nests so deep; a hostile file must not exhaust the stack here either.
    try:
        reader.read()
    except RecursionError:
        reader.unknown.append("(nested too deep)")
    return Constants(reader.values, tuple(reader.unknown), tuple(reader.included))
