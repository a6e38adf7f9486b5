# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stream in pieces of whole lines, in one buffer that is used again and again."""

from __future__ import annotations

from typing import Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import Stream

CHUNK = 128 * 1024
"""Stays in a core's cache while it is read several times."""
MAX_LINE = 256 * 1024
"""nginx's lines stay below 150 KiB; a longer one is a hole or rubbish, and is left out."""


class LineBuffer:
    """``data`` holds what was read last; ``bytes_read`` counts all that was."""

    def __init__(self) -> None:
        self.data = bytearray(CHUNK + MAX_LINE)
        self.bytes_read = 0

    def fill(self, stream: Stream, at_line: bool, length: int | None) -> Iterator[int]:
        """Read on; give the end of the whole lines in ``data``, each time with the newline before
        the first one at its beginning. Gives 0 where there is no whole line yet.

        at_line: whether the stream begins with a line; otherwise its first one is left out.
        length: lines that begin within so many bytes of the stream; None for all of them.

        Raises OSError.
        """
        data = self.data
        view = memoryview(data)
        filled = 0
        base = 0
        """Where ``data`` begins in the stream."""
        if at_line:
            data[0] = 0x0A
            filled, base = 1, -1
        while True:
            count = stream.readinto(view[filled : filled + CHUNK])
            self.bytes_read += count
            filled += count
            if length is not None and base + filled > length:
                stop = data.find(b"\n", max(length - base, 0), filled)
                if stop >= 0:
                    yield stop + 1
                    return
            if not count:
                # The last line of a rotated log may lack its newline.
                yield filled
                return
            last = data.rfind(b"\n", 0, filled)
            # At least a newline has to come before the lines, or they are not whole.
            yield last + 1 if last > 0 else 0
            if last < 0 or filled - last > MAX_LINE:
                # Nothing matches before the next newline, so the rest of this line drops out.
                base += filled
                filled = 0
                continue
            rest = filled - last
            data[:rest] = data[last:filled]
            base += last
            filled = rest
