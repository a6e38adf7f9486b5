# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""nginx ``log_format`` text to a regular expression over the bytes of a log.

A field that a client controls must not be able to move the others. nginx escapes a double quote
inside any variable (``\x22``, or ``\"`` in JSON), so the first raw quote of a line is the
format's own, and so is every later one: a quoted field ends at the next raw quote, and an
unquoted one never holds any. With ``escape=none`` that does not hold, and the result says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Pattern

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" '
    '$status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
"""nginx's built-in format, and the beginning of Debian's and most people's own."""

_ROLES: dict[str, str] = {
    "remote_addr": "address",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    "status": "status",
    "host": "host",
    "http_host": "host",
    "server_name": "host",
}
_SHAPES: dict[str, bytes] = {
    "remote_addr": rb"[^ \n\",]+",
    "time_local": rb"\d\d/[A-Za-z]{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "time_iso8601": rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d",
    "msec": rb"\d+\.\d{3}",
    "status": rb"\d{3}",
    "request_method": rb"[^ \n\"]*",
}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class UnusableFormat(ValueError):
    """The format lacks something that a count needs; the message says what."""


@dataclass(frozen=True)
class LineFormat:
    """How to read one log.

    ``pattern`` begins with the newline before the line; its groups stand in the order of
    ``fields``, each one of address, time, request, method, target, status, host.
    """

    pattern: Pattern[bytes]
    fields: tuple[str, ...]
    json: bool
    forgeable: bool
    """True where a client can write raw quotes into the log (``escape=none``)."""


def _parts(text: str) -> list[tuple[str, str | None]]:
    """(literal text, the variable that follows it or None at the end)."""
    parts: list[tuple[str, str | None]] = []
    position = 0
    for match in _VARIABLE.finditer(text):
        parts.append((text[position : match.start()], match.group(1) or match.group(2)))
        position = match.end()
    parts.append((text[position:], None))
    return parts


def _value(variable: str, before: str, after: str, json: bool) -> bytes:
    quoted = before.endswith('"') and after.startswith('"')
    if quoted and variable not in _SHAPES:
        return rb'[^"\\\n]*(?:\\.[^"\\\n]*)*' if json else rb'[^"\n]*'
    if variable in _SHAPES:
        return _SHAPES[variable]
    if json:
        return rb'[^",}\n]*'
    if variable in _ROLES and not after.startswith('"'):
        # An unquoted request target: a raw space in it cannot be told from the separator.
        return rb'[^"\n]*?'
    return rb'[^"\n]*?' if after else rb'[^"\n]*'


def compile_format(text: str) -> LineFormat:
    """Translate a format (``escape=json`` and the like in front, as in the evidence).

    Raises UnusableFormat where the time or the request is not in it. Address and status may be
    missing from ``fields``.
    """
    escape, _space, rest = text.partition(" ")
    if not escape.startswith("escape="):
        escape, rest = "escape=default", text
    json = escape == "escape=json"
    parts = _parts(rest)
    roles = [_ROLES.get(variable or "") for _literal, variable in parts]
    missing = [] if "time" in roles else ["time"]
    if "request" not in roles and "target" not in roles:
        missing.append("request")
    if missing:
        raise UnusableFormat("the log format has no {}".format(" and no ".join(missing)))
    last = max(index for index, role in enumerate(roles) if role is not None)
    pattern = [rb"\n"]
    fields: list[str] = []
    for index, (literal, variable) in enumerate(parts[: last + 1]):
        pattern.append(re.escape(literal.encode("utf-8", "surrogateescape")))
        if variable is None:
            break
        value = _value(variable, literal, parts[index + 1][0], json)
        role = _ROLES.get(variable)
        if role is not None and role not in fields:
            fields.append(role)
            pattern.append(b"(" + value + b")")
        else:
            pattern.append(value)
    # What follows the last field that matters fixes where that field ends.
    after = parts[last + 1][0]
    if after:
        pattern.append(re.escape(after[0].encode("utf-8", "surrogateescape")))
    return LineFormat(
        pattern=re.compile(b"".join(pattern)),
        fields=tuple(fields),
        json=json,
        forgeable=escape == "escape=none",
    )
