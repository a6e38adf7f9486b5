# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a window of time lies in a log: in which of its rotated files, and where in a plain one.

Logs are nearly sorted: a server stamps a request with its beginning or its end and writes the line
when it is done. So lines are looked for DISORDER seconds before and behind their place.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    modified_at,
    names_in,
    open_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import (
    Stream,
    compressed_stream,
)

DISORDER = 600
"""Seconds by which a line may stand later in the file than its own time would have it."""
PROBE = 64 * 1024
_ROTATED = re.compile(r"[.-]\d+(?:[.-]\d+)*(\.(?:gz|bz2|xz|zst))?\Z")

FirstSecond = Callable[[bytes], Optional[int]]
"""The time of the first line in a block that has one, in seconds since the epoch; None without."""


def _next_data(descriptor: int, place: int) -> int:
    """Where the next bytes are that were written: a log that was truncated under a server that
    does not append begins with a hole of its former size."""
    try:
        return os.lseek(descriptor, place, os.SEEK_DATA)
    except OSError:
        return place


def position(descriptor: int, size: int, second: int, first_second: FirstSecond) -> int:
    """A place in a plain file before every line of that time or later, and at most DISORDER and a
    probe's length before it. Raises OSError."""
    wanted = second - DISORDER
    low, high = 0, size
    while high - low > PROBE:
        middle = (low + high) // 2
        place = _next_data(descriptor, middle)
        found = first_second(os.pread(descriptor, PROBE, place)) if place < high else None
        if found is not None and found < wanted:
            low = place
        else:
            high = middle
    return low


@dataclass(frozen=True)
class RotatedFile:
    """One of the files that a log was rotated to."""

    path: str
    modified: float
    first: int | None
    """Seconds since the epoch; None where its beginning does not tell."""


def rotated_names(path: str) -> list[str]:
    """The files that a log was rotated to, by whatever name its rotation gives them."""
    directory, _slash, name = path.rpartition("/")
    found: dict[str, str] = {}
    for entry in names_in(directory or "/"):
        match = _ROTATED.match(entry[len(name) :]) if entry.startswith(name) else None
        if match is None:
            continue
        whole = entry[: len(entry) - len(match.group(1) or "")]
        # While a file is being compressed, both it and a part of the result are there.
        if whole not in found or entry == whole:
            found[whole] = entry
    return [f"{directory}/{entry}" for entry in found.values()]


def _first(path: str, first_second: FirstSecond) -> int | None:
    try:
        descriptor = open_regular(path)
    except OSError:
        return None
    try:
        stream: Stream | None = compressed_stream(descriptor)
        if stream is None:
            return first_second(b"\n" + os.pread(descriptor, PROBE, 0))
        room = bytearray(PROBE)
        count = stream.readinto(memoryview(room))
        return first_second(b"\n" + room[:count])
    except OSError:
        return None
    finally:
        os.close(descriptor)


def rotated(path: str, since: int, first_second: FirstSecond) -> list[RotatedFile]:
    """The rotated files of a log that may hold lines of that time or later, newest first.

    Left out are those that were not written to since, and those behind one that begins earlier
    still: a copied or restored file has a new date.
    """
    files = []
    for entry in rotated_names(path):
        modified = modified_at(entry)
        if modified is not None and modified >= since:
            files.append(RotatedFile(entry, modified, _first(entry, first_second)))
    files.sort(key=lambda file: file.modified if file.first is None else file.first, reverse=True)
    for place, file in enumerate(files):
        if file.first is not None and file.first < since - DISORDER:
            return files[: place + 1]
    return files
