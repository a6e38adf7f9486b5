# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading one error log and its rotated files back to the beginning of the window."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.wpward.wordpress.plugins.module_utils import log_tail
from ansible_collections.wpward.wordpress.plugins.module_utils.error_tally import ErrorTally
from ansible_collections.wpward.wordpress.plugins.module_utils.files import open_regular
from ansible_collections.wpward.wordpress.plugins.module_utils.local_time import Clock
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

_DISORDER = 60
"""Seconds by which a line may stand behind a younger one: several processes write a log."""


class _Reader:
    def __init__(
        self, tally: ErrorTally, stamp: re.Pattern[bytes], since: float, deadline: float
    ) -> None:
        self._tally = tally
        self._stamp = stamp
        self._since = since
        self._deadline = deadline
        self._clock = Clock(time.time())
        self.late = False
        self.lines = False
        self.stamps = False

    def _begins(self, block: bytes) -> int | None:
        match = self._stamp.search(block)
        return self._clock.seconds(match.group("time")) if match else None

    def read(self, path: str) -> bool:
        """Whether nothing older is needed. Raises OSError."""
        descriptor = open_regular(path)
        packed = path.endswith(".gz")
        try:
            for block in (log_tail.unpacked if packed else log_tail.backwards)(descriptor):
                self.lines = True
                self._tally.add_block(block, self._clock.seconds)
                begins = self._begins(block)
                if begins is not None:
                    self.stamps = True
                    if begins < self._since - _DISORDER and not packed:
                        return True
                if time.monotonic() > self._deadline:
                    self.late = True
                    return True
        finally:
            os.close(descriptor)
        return False


def read_log(
    path: str,
    tally: ErrorTally,
    stamp: re.Pattern[bytes],
    since: float,
    deadline: float,
    problems: Problems,
) -> None:
    """Count a log's lines since then (seconds since the epoch) into ``tally``.

    ``stamp``: finds a line's stamp in a block of lines. At ``deadline`` (``time.monotonic()``) what
    was read is the newest part, and ``problems`` says so.
    """
    reader = _Reader(tally, stamp, since, deadline)
    for file in [path, *log_tail.rotated(path, since)]:
        try:
            if reader.read(file):
                break
        except FileNotFoundError:
            # Not written yet, or rotated away this moment.
            continue
        except OSError as error:
            reason = error.strerror or str(error)
            problems.add("error_log_unread", f"The error log {file} is not read: {reason}.")
    if reader.late:
        problems.add(
            "errors_incomplete",
            f"The time ran out while {path} was read; only its newest part was counted.",
        )
    elif reader.lines and not reader.stamps:
        problems.add(
            "error_log_unread",
            f"No line of the error log {path} begins as those of that server do by default; "
            "nothing in it was counted.",
        )
