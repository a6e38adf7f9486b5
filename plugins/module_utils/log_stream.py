# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading a log's bytes, plain or compressed, into a buffer of the caller's.

What is read is not held: a gzip bomb costs time, which the caller watches, but no memory.
"""

from __future__ import annotations

import os
import zlib
from importlib import import_module
from typing import Any, Protocol

_INPUT = 128 * 1024
XZ_MEMORY = 24 * 1024 * 1024
"""What ``xz -6``, which logrotate calls, needs 9 MiB of."""


class Stream(Protocol):
    def readinto(self, room: memoryview) -> int:
        """Fill the room from its beginning; 0 at the end. Raises OSError."""


class UnreadableLog(OSError):
    """The file cannot be decompressed here; the message says why."""


class PlainStream:
    """A file from some position on."""

    def __init__(self, descriptor: int, start: int) -> None:
        self._descriptor = descriptor
        self._position = start
        self._tells_cached = hasattr(os, "RWF_NOWAIT") and hasattr(os, "posix_fadvise")
        if self._tells_cached:
            # Reading ahead would make our own pages look like ones that somebody else needs.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def _read_cached(self, room: memoryview) -> int:
        """What is in the page cache already; 0 for nothing."""
        if not self._tells_cached:
            return 0
        try:
            return os.preadv(self._descriptor, [room], self._position, os.RWF_NOWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            # Some file systems do not know the flag.
            self._tells_cached = False
            return 0

    def readinto(self, room: memoryview) -> int:
        count = self._read_cached(room)
        if not count:
            count = os.preadv(self._descriptor, [room], self._position)
            if count and self._tells_cached:
                # The database needs the page cache more than we need this part of the log again;
                # what was there before us stays.
                os.posix_fadvise(self._descriptor, self._position, count, os.POSIX_FADV_DONTNEED)
        self._position += count
        return count


def _end(complete: bool) -> int:
    """The file's end; an error where the compressed text does not end there."""
    if not complete:
        raise UnreadableLog(0, "it is cut off")
    return 0


class GzipStream:
    """gzip members, without the layers of gzip.open: a quarter faster."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._inflate = zlib.decompressobj(31)
        self._input = b""

    def readinto(self, room: memoryview) -> int:
        while True:
            if not self._input:
                self._input = os.read(self._descriptor, _INPUT)
                if not self._input:
                    return _end(self._inflate.eof)
            if self._inflate.eof:
                # What follows the last member may be padding, as on a tape.
                if not self._input.strip(b"\0"):
                    self._input = b""
                    continue
                self._inflate = zlib.decompressobj(31)
            try:
                output = self._inflate.decompress(self._input, len(room))
            except zlib.error as error:
                raise UnreadableLog(0, f"it is not valid gzip ({error})") from error
            self._input = (
                self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            )
            if output:
                room[: len(output)] = output
                return len(output)


class FrameStream:
    """bz2, xz or zstd, by a decompressor of the interface that they share.

    ``make``: a new decompressor. ``errors``: what it raises on invalid input.
    """

    def __init__(self, descriptor: int, make: Any, errors: tuple[type[Exception], ...]) -> None:
        self._descriptor = descriptor
        self._make = make
        self._errors = errors
        self._decompressor = make()
        self._rest = b""

    def readinto(self, room: memoryview) -> int:
        while True:
            data = self._rest
            self._rest = b""
            if self._decompressor.eof:
                data = data or os.read(self._descriptor, _INPUT)
                if not data.strip(b"\0"):
                    return 0
                self._decompressor = self._make()
            elif self._decompressor.needs_input and not data:
                data = os.read(self._descriptor, _INPUT)
                if not data:
                    return _end(False)
            try:
                output = self._decompressor.decompress(data, len(room))
            except self._errors as error:
                raise UnreadableLog(0, f"it cannot be decompressed ({error})") from error
            if self._decompressor.eof:
                self._rest = self._decompressor.unused_data
            if output:
                room[: len(output)] = output
                return len(output)


def _optional(name: str) -> Any:
    """A module that this Python may lack."""
    try:
        return import_module(name)
    except ImportError:
        return None


def _bz2(descriptor: int) -> Stream:
    bz2 = _optional("bz2")
    if bz2 is None:
        raise UnreadableLog(0, "this host's Python was built without bz2")
    return FrameStream(descriptor, bz2.BZ2Decompressor, (OSError, ValueError))


def _xz(descriptor: int) -> Stream:
    lzma = _optional("lzma")
    if lzma is None:
        raise UnreadableLog(0, "this host's Python was built without lzma")
    return FrameStream(
        descriptor, lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY), (lzma.LZMAError,)
    )


def _zstd(descriptor: int) -> Stream:
    library = _optional("compression.zstd") or _optional("pyzstd")
    if library is not None:
        return FrameStream(descriptor, library.ZstdDecompressor, (library.ZstdError,))
    library = _optional("zstandard")
    if library is None:
        raise UnreadableLog(
            0,
            "this host's Python cannot read zstd (it has neither compression.zstd nor pyzstd nor "
            "zstandard)",
        )
    reader = library.ZstdDecompressor(max_window_size=XZ_MEMORY).stream_reader(
        os.fdopen(os.dup(descriptor), "rb"), read_across_frames=True
    )
    return _Guarded(reader, (library.ZstdError,))


class _Guarded:
    """Another library's reader, with our error."""

    def __init__(self, reader: Any, errors: tuple[type[Exception], ...]) -> None:
        self._reader = reader
        self._errors = errors

    def readinto(self, room: memoryview) -> int:
        try:
            count: int = self._reader.readinto(room)
        except self._errors as error:
            raise UnreadableLog(0, f"it cannot be decompressed ({error})") from error
        return count


_FORMATS = (
    (b"\x1f\x8b", GzipStream),
    (b"BZh", _bz2),
    (b"\xfd7zXZ\0", _xz),
    (b"\x28\xb5\x2f\xfd", _zstd),
)


def compressed_stream(descriptor: int) -> Stream | None:
    """A stream of the whole file, or None where it is not compressed: its first bytes tell, not
    its name.

    Raises UnreadableLog where this Python cannot decompress it, OSError where it cannot be read.
    """
    head = os.pread(descriptor, 8, 0)
    for magic, make in _FORMATS:
        if head.startswith(magic):
            os.lseek(descriptor, 0, os.SEEK_SET)
            return make(descriptor)
    return None
