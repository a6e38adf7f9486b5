# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs of the host that are asked something within a part's time."""

from __future__ import annotations

import os
import shutil
import time
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import run

_MORE = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def program(name: str) -> str | None:
    """Where a program is; None where there is none. sudo and cron may leave sbin out of PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_MORE}")


def ask(argv: Sequence[str], deadline: float) -> tuple[int | None, bytes, bytes]:
    """Run a command that only reads, until ``deadline`` (``time.monotonic()``).

    The code is None where it did not start or did not end.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        return None, b"", b"no time was left to ask"
    return run(argv, seconds=left)
