# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A compressed tar archive with a limit of bytes and of time.

Each member is a gzip stream of its own, which every reader of .tar.gz takes as one. So a member
that turns out not to fit can be taken out again: the archive is cut where it began.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import time
import zlib
from typing import Any, BinaryIO, Iterable, Iterator, Mapping

from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable

_LEVEL = 3
"""Of an access log it leaves a seventh at three times the speed of the usual level."""
_GZIP = 31
_PIECE = 1 << 18
_BLOCK = 512


class NoRoom(Exception):
    """The member would exceed the limit; it is not in the archive."""


class NoTime(Exception):
    """The deadline came before the member's end; it is not in the archive."""


class Shorter(Exception):
    """There were fewer bytes than announced; the member is not in the archive. ``size``: what there
    were."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Archive:
    """``stream``: an empty file, open for writing. ``limit``: bytes of the whole archive, without
    its manifest. ``deadline``: ``time.monotonic()``."""

    def __init__(self, stream: BinaryIO, limit: int, deadline: float) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.limit = limit
        self.deadline = deadline
        self.size = 0
        self.members: list[dict[str, Any]] = []

    @property
    def room(self) -> int:
        """Bytes that are left, compressed."""
        return max(self.limit - self.size, 0)

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._digest.hexdigest()

    def add(
        self,
        name: str,
        pieces: Iterable[bytes],
        size: int,
        modified: float,
        about: Mapping[str, Any],
        room: int | None = None,
    ) -> None:
        """Add a member of ``size`` bytes.

        name: its path in the archive. modified: seconds since the epoch. about: more for the
        manifest. room: compressed bytes that it may take at most. Raises NoRoom, NoTime, Shorter,
        and OSError of writing or reading; then the archive is as before.
        """
        limit = self.limit if room is None else min(self.limit, self.size + room)
        content = hashlib.sha256()

        def read() -> Iterator[bytes]:
            left = size
            for piece in pieces:
                content.update(piece[:left])
                yield piece[:left]
                left -= len(piece[:left])
                if not left:
                    break
                if time.monotonic() > self.deadline:
                    raise NoTime
            if left:
                raise Shorter(size - left)
            yield b"\0" * (-size % _BLOCK)

        self._append(self._header(name, size, modified), read(), limit)
        self.members.append(
            {
                "name": printable(name, 4096),
                "bytes": size,
                "sha256": content.hexdigest(),
                "modified": iso(modified),
                **about,
            }
        )

    def finish(self, name: str, data: bytes) -> None:
        """Add the manifest, which has room in any case, and end the archive."""
        padding = b"\0" * (-len(data) % _BLOCK) + b"\0" * (2 * _BLOCK)
        header = self._header(name, len(data), time.time())
        self._append(header, iter((data, padding)), self.limit + (64 << 20))
        self._stream.flush()

    @staticmethod
    def _header(name: str, size: int, modified: float) -> bytes:
        entry = tarfile.TarInfo(name)
        entry.size = size
        entry.mtime = int(modified)
        entry.mode = 0o600
        return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    def _append(self, header: bytes, content: Iterator[bytes], limit: int) -> None:
        began, digest = self.size, self._digest.copy()
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        try:
            self._write(packer.compress(header), limit)
            for piece in content:
                self._write(packer.compress(piece), limit)
            self._write(packer.flush(), limit)
        except BaseException:
            self._stream.seek(began)
            self._stream.truncate()
            self.size, self._digest = began, digest
            raise

    def _write(self, data: bytes, limit: int) -> None:
        if self.size + len(data) > limit:
            raise NoRoom
        self._stream.write(data)
        self._digest.update(data)
        self.size += len(data)


def pieces_of(descriptor: int, offset: int, size: int) -> Iterator[bytes]:
    """The bytes of an open file from ``offset`` on, at most ``size``, in pieces."""
    end = offset + size
    while offset < end:
        piece = os.pread(descriptor, min(_PIECE, end - offset), offset)
        if not piece:
            return
        yield piece
        offset += len(piece)
