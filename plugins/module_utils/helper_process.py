# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A piece of work in a forked process, whose result comes back through a pipe."""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import time
from typing import Any, Callable

_GRACE = 5.0
"""Seconds behind the deadline after which it is given up: it may wait for a disk."""


class HelperProcess:
    """Runs ``work`` in a child of this process. Raises OSError where none can be made."""

    def __init__(self, work: Callable[[], Any]) -> None:
        reader, writer = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if self._pid == 0:
            # The child shares our open files and must not clean up in our stead.
            status = 1
            try:
                os.close(reader)
                with os.fdopen(writer, "wb") as stream:
                    pickle.dump(work(), stream, pickle.HIGHEST_PROTOCOL)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        self._reader = reader

    def result(self, deadline: float) -> Any:
        """What ``work`` returned; None where it failed or was given up. ``deadline``:
        ``time.monotonic()``."""
        parts = []
        try:
            while True:
                wait = max(deadline - time.monotonic(), 0) + _GRACE
                if not select.select([self._reader], [], [], wait)[0]:
                    return None
                part = os.read(self._reader, 1 << 20)
                if not part:
                    break
                parts.append(part)
        finally:
            self.stop()
        try:
            return pickle.loads(b"".join(parts))
        except (pickle.UnpicklingError, EOFError):
            return None

    def stop(self) -> None:
        """End it, whatever it does."""
        os.close(self._reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
