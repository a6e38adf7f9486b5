# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words that every part of the journal shares."""

from __future__ import annotations

import datetime
import re
import time
from typing import Any, Dict

Json = Dict[str, Any]

STATE_DIRECTORY = "/var/lib/wpward"
PROGRAM = "rollback.py"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class Refused(Exception):
    """The operator must do something first; the text is one sentence that says what."""


class Conflict(Refused):
    """Somebody else changed a file after the transaction did; it is not overwritten."""


def encode(path: str) -> bytes:
    """Return a file name's bytes, whatever locale this process runs in."""
    return path.encode("utf-8", "surrogateescape")


def decode(path: bytes) -> str:
    """Return the text form of a file name; the inverse of `encode`."""
    return path.decode("utf-8", "surrogateescape")


def is_name(value: str) -> bool:
    """Tell whether a run's or role's name can be part of a path in the journal."""
    return bool(_NAME.match(value))


def check_name(kind: str, value: str) -> str:
    """Return ``value`` if it can be part of a path in the journal, else raise `Refused`."""
    if not is_name(value):
        raise Refused(
            f"{kind} {value!r} is not usable as a name: take 1 to 64 letters, digits, dots, "
            "dashes or underscores, beginning with a letter or digit."
        )
    return value


def iso(seconds: float) -> str:
    """Return a wall clock time in UTC, ISO 8601, to the second."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def now() -> str:
    """Return the present time as `iso` writes it."""
    return iso(time.time())


def sentence(error: BaseException) -> str:
    """Return the error as text for an operator, without Python's own words."""
    if isinstance(error, OSError) and error.strerror:
        if error.filename is None:
            return error.strerror
        name = error.filename
        return f"{decode(name) if isinstance(name, bytes) else name}: {error.strerror}"
    return str(error)
