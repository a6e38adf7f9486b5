# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# pathlib cannot refuse to follow a link, so it is not mixed in here.
# ruff: noqa: PTH103, PTH118
"""Who may work on log tables: one process of ours per host, and nobody beside somebody else."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_plan import (
    Running,
    Table,
    running_on,
)

DIRECTORY = "/run/wpward"
_POLL = 1.0


class Busy(Exception):
    """Somebody else is at work; the text is a sentence."""


@contextlib.contextmanager
def only_one(seconds: float, directory: str = DIRECTORY) -> Iterator[None]:
    """Keep every other process of ours from the log tables of this host; wait so long for it.

    Not the lock of the transactions: a purge takes minutes, and no rollback may have to wait for
    it. Raises Busy, OSError.
    """
    os.makedirs(directory, mode=0o755, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    # The kernel drops the lock with the process, however that ends.
    descriptor = os.open(os.path.join(directory, "log_tables.lock"), flags, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Busy(
                        "Another wpward process is at work on this host's log tables; run again "
                        "when it has ended."
                    ) from None
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def make_way(
    client: Client, table: Table, seconds: float, kill: bool
) -> tuple[list[Running], str | None]:
    """Wait until nobody else changes a table, for so many seconds at most.

    ``kill``: end a DELETE on it at once; what it has deleted so far comes back, and takes about as
    long as it has run. Gives what was killed, and a sentence on who is still there. Raises
    Unanswered.
    """
    deadline = time.monotonic() + seconds
    killed: list[Running] = []
    while True:
        running = running_on(client, table)
        if kill:
            for one in running:
                if one.is_delete and one.id not in {done.id for done in killed}:
                    # It may have ended by itself meanwhile.
                    with contextlib.suppress(Unanswered):
                        client.rows(f"KILL QUERY {one.id};")
                    killed.append(one)
        if not running:
            return killed, None
        if time.monotonic() >= deadline:
            longest = running[0]
            choice = " Wait for it, or set running_purge to kill." if longest.is_delete else ""
            return killed, (
                f"Statement {longest.id} of {longest.user} has been changing {table.shown} for "
                f"{longest.seconds} seconds.{choice} {longest.cost}"
            )
        time.sleep(_POLL)
