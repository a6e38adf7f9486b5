# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes that the kernel killed for want of memory.

The kernel's own buffer is asked first: that starts no process. Only what it no longer holds, or
what happened before the last boot (an operator often resets a host that swaps), is taken from the
journal if that outlives a boot, else from the syslog daemon's file.
"""

from __future__ import annotations

import os
import re
import time

from ansible_collections.wpward.wordpress.plugins.module_utils import error_kinds, journal_reader
from ansible_collections.wpward.wordpress.plugins.module_utils.error_reader import read_log
from ansible_collections.wpward.wordpress.plugins.module_utils.error_tally import ErrorTally
from ansible_collections.wpward.wordpress.plugins.module_utils.files import is_directory, is_file
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

BUFFER = "/dev/kmsg"
FILES = ("/var/log/kern.log", "/var/log/messages")
_RECORD = re.compile(rb"(\d+),\d+,(\d+),[^;]*;([^\n]*)")
_MAX_RECORDS = 500000


def _count_buffer(tally: ErrorTally, deadline: float) -> float | None:
    """Count the kernel's buffer. Returns the moment (seconds since the epoch) from which on it is
    complete; None where it cannot be read."""
    try:
        descriptor = os.open(BUFFER, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    # Its stamps count from boot and stand still while the host sleeps, as this clock does.
    boot = time.time() - time.monotonic()
    begins: float | None = None
    try:
        for _number in range(_MAX_RECORDS):
            if time.monotonic() > deadline:
                return None
            try:
                record = os.read(descriptor, 8192)
            except BrokenPipeError:
                # Overwritten before it was read; the next read goes on with the oldest one left.
                continue
            match = _RECORD.match(record)
            if match is None:
                break
            seconds = boot + int(match.group(2)) / 1e6
            if begins is None:
                begins = seconds
            if int(match.group(1)) < 8:
                # Facility 0 is the kernel; programs can write here under any other.
                tally.add_message(match.group(3), seconds)
    except BlockingIOError:
        pass
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return begins


def _count_older(
    since: float, until: float | None, deadline: float, problems: Problems
) -> list[dict[str, object]]:
    end = float("inf") if until is None else until
    if is_directory(journal_reader.PERSISTENT) or until is None:
        tally = ErrorTally("journal", error_kinds.KERNEL, since, end)
        reason = journal_reader.read(
            ["_TRANSPORT=kernel"], since, until, deadline, tally.add_message
        )
        if reason is None:
            return tally.describe()
    else:
        reason = "the journal does not outlive a boot"
    for path in FILES:
        if is_file(path):
            lines = ErrorTally(path, error_kinds.KERNEL_LINES, since, end)
            read_log(path, lines, error_kinds.STAMPS["kernel"], since, deadline, problems)
            return lines.describe()
    problems.add(
        "kernel_log_incomplete",
        f"Whether the kernel killed processes for want of memory is known only in part: {reason}.",
    )
    return []


def collect(since: float, deadline: float, problems: Problems) -> list[dict[str, object]]:
    """The evidence's ``errors`` rows of the kernel, since then (seconds since the epoch)."""
    tally = ErrorTally(BUFFER, error_kinds.KERNEL, since)
    begins = _count_buffer(tally, deadline)
    if begins is None:
        return _count_older(since, None, deadline, problems)
    rows = tally.describe()
    if begins > since:
        rows.extend(_count_older(since, begins, deadline, problems))
    return rows
