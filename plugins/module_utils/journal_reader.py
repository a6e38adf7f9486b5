# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading systemd's journal through journalctl, in bounded time and memory."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from typing import Callable, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import is_directory

PERSISTENT = "/var/log/journal"
VOLATILE = "/run/log/journal"
_LINE = re.compile(rb"(\d{1,12})\.\d+ [^ ]+ [^:]{1,64}?(?:\[\d+\])?: (.*)")
_PIECE = 256 * 1024


def _command(matches: Sequence[str], since: float, until: float | None) -> list[str]:
    """Newest first, so that what does not fit into the time is the oldest."""
    window = [f"--since=@{int(since)}"]
    if until is not None:
        window.append(f"--until=@{int(until)}")
    options = ["--quiet", "--no-pager", "--reverse", "--output=short-unix"]
    return ["journalctl", *options, *window, *matches]


def _each_line(descriptor: int, deadline: float, take: Callable[[bytes], None]) -> bool:
    """Whether the end was reached by ``deadline``."""
    rest = b""
    while True:
        ready, _writable, _failed = select.select(
            [descriptor], [], [], max(deadline - time.monotonic(), 0)
        )
        if not ready:
            return False
        piece = os.read(descriptor, _PIECE)
        if not piece:
            return True
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            take(line)
        rest = rest[:_PIECE]


def read(
    matches: Sequence[str],
    since: float,
    until: float | None,
    deadline: float,
    take: Callable[[bytes, float], None],
) -> str | None:
    """Give ``take`` every message with these journal fields (``FIELD=value``) in a window of time,
    with its moment, newest first.

    Returns why not all of them were read; None when they were. journalctl is ended at ``deadline``
    (``time.monotonic()``).
    """
    if not (is_directory(PERSISTENT) or is_directory(VOLATILE)):
        return "there is no journal"
    if shutil.which("journalctl") is None:
        return "there is no journalctl"

    def take_line(line: bytes) -> None:
        match = _LINE.match(line)
        if match is not None:
            take(match.group(2), float(match.group(1)))

    try:
        program = subprocess.Popen(
            _command(matches, since, until),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, LC_ALL="C"),
        )
    except OSError as error:
        return f"journalctl did not start: {error.strerror}"
    with program:
        assert program.stdout is not None
        complete = _each_line(program.stdout.fileno(), deadline, take_line)
        if not complete:
            program.kill()
    return None if complete else "the time ran out"
