# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for what comes by itself, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

from testbed.shell import TestbedError


def until(what: str, holds: Callable[[], bool], seconds: float, pause: float = 0.2) -> None:
    """Wait for something; a TestbedError that names it where it does not come in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TestbedError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)
