# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archive's place on the host: room for it, its owner, and what was left there before."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import IO, Any, BinaryIO, Mapping

NAME = "wpward-evidence.tar.gz"
_LEAST = 1 << 20
_SPARED = 256 << 20
"""Bytes that the host keeps: a disk filled up by whoever came to help is an incident of its own."""
_ABANDONED_SECONDS = 3600
_REMOVE = """read -r _
left=$2
while [ -e "$1" ] && [ "$left" -gt 0 ]; do
    sleep 2
    left=$((left - 2))
done
rm -f "$1"
rmdir "${1%/*}" 2>/dev/null
"""
"""Its standard input ends when nobody holds the other end any more, however that comes about.
Whoever reads the archive when it is removed reads it to its end."""


class NoPlace(Exception):
    """The text is a sentence for the operator."""


def limit_for(directory: str, place: Mapping[str, Any], wanted: int) -> int:
    """How many bytes the archive may have. ``place``: `file_system.file_system_of` the directory.

    Raises NoPlace.
    """
    available = place["disk_available"]
    if available is None:
        return wanted
    limit = min(wanted, available - _SPARED)
    if limit < _LEAST:
        raise NoPlace(
            f"{directory} has {available >> 20} MiB left on {place['mount']}, too little to write "
            f"evidence there and leave {_SPARED >> 20} MiB; make room or set ansible_remote_tmp to "
            "another file system."
        )
    return int(limit)


def create(path: str) -> BinaryIO:
    """A new file for root and the owner of its directory, who fetches it. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    owner = Path(path).parent.stat()
    os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return os.fdopen(descriptor, "w+b")


def remove_unless_fetched(path: str, seconds: int) -> IO[bytes]:
    """Have the archive removed so many seconds after the returned stream is closed, if it is still
    there: whoever wanted to fetch it was stopped. Its directory goes with it where it is empty.

    A shell of its own waits for that, which needs no systemd. Raises OSError.
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", _REMOVE, "sh", path, str(seconds)],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin
    return process.stdin


def remove_leftovers(directory: str) -> None:
    """Remove archives beside ours that nobody will fetch any more: a controller was stopped, and
    the host restarted before it removed them itself."""
    for path in Path(directory).parent.glob(f"ansible-tmp-*/{NAME}"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()
