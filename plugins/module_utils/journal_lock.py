# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# pathlib knows neither open directories nor names that are bytes, so it is not mixed in here.
# ruff: noqa: PTH101, PTH102, PTH110, PTH118, PTH120
"""The state directory and the one lock of a host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from typing import Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Refused,
    encode,
    now,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import sync_directory

LOCK_SECONDS = 10.0


@contextlib.contextmanager
def hold_lock(
    directory: str, purpose: str, seconds: float = LOCK_SECONDS, create: bool = True
) -> Iterator[None]:
    """Hold the lock in the state directory; wait at most ``seconds`` for whoever has it.

    ``purpose`` tells the next one who holds it. With ``create`` unset nothing is written, and a
    host without a journal has no lock. Raises `Refused`, OSError.
    """
    path = os.path.join(directory, "lock")
    if create:
        _make_state_directory(directory)
    elif not os.path.exists(path):
        yield
        return
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    # The kernel drops the lock with the last descriptor, so no crash leaves a stale one; it is
    # closed on exec, so no daemon that a command starts inherits it.
    descriptor = os.open(path, flags, 0o600)
    try:
        _wait(descriptor, seconds)
        if create:
            # The name is a courtesy; a full disk must not stop a rollback here.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
                holder = f"{purpose}, process {os.getpid()}, since {now()}"
                os.pwrite(descriptor, encode(holder), 0)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            holder = os.pread(descriptor, 500, 0).decode("utf-8", "replace")
            raise Refused(
                f"Another wpward process is at work on this host ({holder or 'not named'}); "
                "nothing was changed, try again when it has ended."
            )
        time.sleep(0.1)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_state_directory(directory: str) -> None:
    for path in (directory, os.path.join(directory, "runs")):
        if not os.path.lexists(path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path, 0o700)
            sync_directory(os.path.dirname(path))
    info = os.lstat(directory)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022:
        raise Refused(
            f"{directory} is not a directory that only root can write to, so the journal in it "
            "cannot be trusted; find out who made it, and move it away."
        )
    if info.st_mode & 0o077:
        os.chmod(directory, 0o700)
