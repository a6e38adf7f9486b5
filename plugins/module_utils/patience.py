# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading what may make the reader wait: a hung disk, or a process whose memory is locked."""

from __future__ import annotations

import threading
import time
from typing import Callable, TypeVar

Item = TypeVar("Item")


def gather(work: Callable[[list[Item]], None], deadline: float) -> tuple[list[Item], bool]:
    """What ``work`` has put into its list by ``deadline`` (``time.monotonic()``), and whether it
    was done by then.

    A system call that hangs cannot be interrupted, so it hangs in a thread of its own, which is
    left behind and does not keep this process from ending.
    """
    items: list[Item] = []
    finished: list[bool] = []

    def run() -> None:
        work(items)
        finished.append(True)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # The host has no room for another thread.
        return [], False
    thread.join(max(deadline - time.monotonic(), 0))
    return list(items), bool(finished)
