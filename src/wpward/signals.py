# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A terminal that goes away, as where the operator's own SSH breaks, and a plain kill end a program
no other way than Ctrl-C does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_OUTPUTS = (1, 2)


@contextmanager
def as_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt at SIGTERM and SIGHUP while this lasts; in the main thread only."""
    terminals = [output for output in _OUTPUTS if os.isatty(output)]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        # A shell that loses its terminal hands on what the kernel has sent already.
        signal.signal(number, signal.SIG_IGN)
        if number == signal.SIGHUP:
            # What is still to be done must not fail for whom it could be told.
            null = os.open(os.devnull, os.O_WRONLY)
            for terminal in terminals:
                os.dup2(null, terminal)
            os.close(null)
        raise KeyboardInterrupt

    # nohup ignores SIGHUP, and means it.
    asked = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = {number: signal.signal(number, interrupt) for number in asked}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
