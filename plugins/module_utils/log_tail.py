# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading the end of a log in bounded memory, newest part first.

Backwards, because then the reading can stop where the window begins, whatever the size of the
file, and because what is left out when time runs short is the oldest part.
"""

from __future__ import annotations

import os
import re
import zlib
from typing import Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    modified_at,
    names_in,
)

BLOCK = 1 << 20
MAX_LINE = 64 * 1024
"""Of a longer line only the beginning is kept: what a server itself says stands there."""
_ROTATED = re.compile(r"[.-]\d[\d.-]*(?:\.gz)?$")


def rotated(path: str, since: float) -> list[str]:
    """The rotated files of a log that were written to since then, newest first."""
    directory, _slash, name = path.rpartition("/")
    found: list[tuple[float, str]] = []
    for entry in names_in(directory or "/"):
        if entry.startswith(name) and _ROTATED.match(entry[len(name) :]):
            modified = modified_at(f"{directory}/{entry}")
            if modified is not None and modified >= since:
                found.append((modified, f"{directory}/{entry}"))
    return [entry for _modified, entry in sorted(found, reverse=True)]


def backwards(descriptor: int) -> Iterator[bytes]:
    """Blocks of whole lines, the last block of the file first; the lines within a block stand in
    their order. Raises OSError."""
    position = os.fstat(descriptor).st_size
    rest = b""
    while position > 0:
        size = min(BLOCK, position)
        position -= size
        block = os.pread(descriptor, size, position) + rest
        if position == 0:
            yield block
            return
        first = block.find(b"\n") + 1
        if first and first < len(block):
            yield block[first:]
        rest = block[: first or len(block)][:MAX_LINE]
        if not rest.endswith(b"\n"):
            rest += b"\n"


def unpacked(descriptor: int) -> Iterator[bytes]:
    """Blocks of whole lines of a gzip file, in their order. Ends quietly where the file is not
    gzip or is cut off. Raises OSError."""
    member = zlib.decompressobj(31)
    rest = b""
    packed = b""
    while True:
        packed = packed or os.read(descriptor, BLOCK // 8)
        if not packed:
            break
        try:
            block = member.decompress(packed, BLOCK)
        except zlib.error:
            break
        packed = member.unconsumed_tail
        if member.eof:
            packed = member.unused_data
            member = zlib.decompressobj(31)
        block = rest + block
        end = block.rfind(b"\n") + 1
        if end:
            yield block[:end]
        rest = block[end:]
        if len(rest) > BLOCK:
            rest = rest[:MAX_LINE]
    if rest:
        yield rest
