# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading files that somebody else may have made, as root: a FIFO or a device must not stop us.

Paths are text as os.fsdecode makes it, so a name in any encoding survives.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

path_text = os.fsdecode
path_bytes = os.fsencode


def real_path(path: str) -> str:
    """The path without symbolic links; as it is where they form a loop."""
    try:
        return str(Path(path).resolve())
    except (OSError, RuntimeError, ValueError):
        return path


def open_regular(path: str) -> int:
    """A read-only descriptor of a regular file. Raises OSError for anything else."""
    if "\0" in path:
        raise OSError(0, "not a usable file name")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a regular file")
    return descriptor


def read_regular(path: str, limit: int) -> bytes:
    """Up to ``limit`` bytes of a regular file. Raises OSError."""
    with os.fdopen(open_regular(path), "rb") as stream:
        return stream.read(limit)


def is_file(path: str) -> bool:
    """Whether it is a regular file, or a link to one."""
    return "\0" not in path and Path(path).is_file()


def is_directory(path: str) -> bool:
    """Whether it is a directory, or a link to one."""
    return "\0" not in path and Path(path).is_dir()


def modified_at(path: str) -> float | None:
    """When the content last changed, in seconds since the epoch; None where that is not known."""
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return None


def changed_at(path: str) -> float | None:
    """When anything about the file last changed; unlike the modification time, nobody sets it."""
    try:
        return Path(path).stat().st_ctime
    except OSError:
        return None


def names_in(path: str, limit: int = 20000) -> list[str]:
    """The names in a directory, sorted; none where it cannot be read."""
    if "\0" in path:
        return []
    try:
        with os.scandir(path) as found:
            return sorted(entry.name for entry, _number in zip(found, range(limit)))
    except OSError:
        return []
