# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Old rows of a log table deleted in small batches, so that nobody waits long for any of them.

Each batch is a range of the primary key and a transaction of its own. What is left is in the table
itself: whatever interrupts a purge, the next one goes on there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable

from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    Limits,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_plan import Age, Table
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_server import (
    DatabaseServer,
    replicas_behind,
    short_of_room,
    under_load,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_wait import make_way
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import encoded, quoted_name

ROWS_PER_SECOND = 8000
"""With pauses as long as the batches, half of what a disk managed without any (27,000 rows of 740
bytes a second with MariaDB 10.11.19), and others are slower."""
LOCK = "wpward_log_tables"
_FIRST, _FEWEST, _MOST = 500, 20, 20_000
"""Rows of a batch."""
_LOOK_EVERY = 2.0
_AT_LEAST = 0.05
"""Seconds of a pause."""
_IN_A_ROW = 5
_TIMEOUTS = (1969, 3024, 1317)
_LOCKED = (1205, 1213)


@dataclass(frozen=True)
class Pace:
    """How a purge goes about. Seconds: ``batch`` that each should take, ``patience`` with load,
    replicas and other statements. ``max_load``: per processor. ``kill``: somebody else's DELETE."""

    batch: float = 0.3
    patience: float = 30.0
    max_load: float = 2.0
    kill: bool = False


@dataclass
class Progress:
    """What a purge has done. ``stopped``: a sentence why it did not go on to the end."""

    deleted: int = 0
    batches: int = 0
    longest: float = 0.0
    cursor: int | None = None
    last: int | None = None
    stopped: str | None = None


class Purge:
    """One table's purge until ``deadline`` (``time.monotonic()``)."""

    def __init__(
        self,
        client: Client,
        server: DatabaseServer,
        table: Table,
        age: Age,
        pace: Pace,
        deadline: float,
    ) -> None:
        self._client = client
        self._server = server
        self._table = table
        self._age = age
        self._pace = pace
        self._deadline = deadline
        self._key = quoted_name(table.key or "")
        self._limits = Limits(
            statement=max(2.0, 10 * pace.batch), lock=1, isolation=server.writing_isolation
        )
        self._rows = _FIRST
        self._looked = 0.0
        self.progress = Progress()

    def ends(self) -> tuple[int, int] | None:
        """The first and the last key between which the old rows are; None where there are none.

        With an index these are old rows; without one, the table's first and last row. Raises
        Unanswered.
        """
        condition = f" WHERE {self._age.condition}" if self._table.index else ""
        rows = self._client.until(time.monotonic() + 30).rows(
            f"SELECT {encoded(f'MIN({self._key})')}, {encoded(f'MAX({self._key})')} "
            f"FROM {self._table.place}{condition};",
            Limits(statement=20),
        )
        if not rows or rows[0][0] is None or rows[0][1] is None:
            return None
        return int(rows[0][0]), int(rows[0][1])

    def run(self) -> Progress:
        """Delete until nothing is left or something is in the way; never raises on what a server
        does or does not."""
        progress = self.progress
        try:
            ends = self.ends()
            if ends is None:
                return progress
            progress.cursor, progress.last = ends[0] - 1, ends[1]
            self._go_on()
        except Unanswered as error:
            progress.stopped = str(error)
        return progress

    def _go_on(self) -> None:
        progress = self.progress
        failures = 0
        while (progress.cursor or 0) < (progress.last or 0):
            progress.stopped = self._in_the_way()
            if progress.stopped:
                return
            began = time.monotonic()
            try:
                took = self._batch()
            except Unanswered as error:
                failures += 1
                if error.code in _TIMEOUTS and self._rows > _FEWEST:
                    self._rows = max(_FEWEST, self._rows // 4)
                elif error.code in _LOCKED and failures < _IN_A_ROW:
                    self._looked = 0.0
                else:
                    raise
                time.sleep(_AT_LEAST)
                continue
            failures = 0
            took = took or time.monotonic() - began
            progress.longest = max(progress.longest, took)
            self._adapt(took)
            # Everybody else gets as much of the disk as we had.
            time.sleep(max(took, _AT_LEAST))

    def _adapt(self, took: float) -> None:
        # A little less than allowed, since the next rows may be larger or not in memory.
        factor = min(1.5, max(0.25, 0.7 * self._pace.batch / max(took, 0.001)))
        self._rows = int(min(_MOST, max(_FEWEST, self._rows * factor)))

    def _batch(self) -> float:
        """Delete from one range of keys; seconds that it took."""
        table, progress = self._table, self.progress
        after, last = progress.cursor, progress.last
        following = (
            f"SELECT {self._key} FROM {table.place} WHERE {self._key} > {after} "
            f"AND {self._key} <= {last} ORDER BY {self._key} LIMIT {self._rows - 1}, 1"
        )
        # Without the lock the range is empty: a purge whose module was killed may still be at work.
        statements = (
            f"SET @wpward_lock = GET_LOCK('{LOCK}', 5); "
            "SET @wpward_began = SYSDATE(6); "
            f"SET @wpward_until = IF(@wpward_lock = 1, COALESCE(({following}), {last}), NULL); "
            f"DELETE FROM {table.place} WHERE {self._key} > {after} "
            f"AND {self._key} <= @wpward_until AND {self._age.condition}; "
            f"SELECT {encoded('ROW_COUNT()')}, {encoded('@wpward_until')}, "
            f"{encoded('TIMESTAMPDIFF(MICROSECOND, @wpward_began, SYSDATE(6))')}; "
            f"DO RELEASE_LOCK('{LOCK}');"
        )
        patience = self._limits.statement * 2 + 15
        client = self._client.until(time.monotonic() + patience)
        ((deleted, until, micro),) = client.rows(statements, self._limits)
        if until is None:
            raise Unanswered("Another wpward purge is at work on this server.")
        progress.deleted += int(deleted or 0)
        progress.batches += 1
        progress.cursor = int(until)
        return int(micro or 0) / 1e6

    def _in_the_way(self) -> str | None:
        """A sentence on what keeps the purge from going on, after some patience with it."""
        now = time.monotonic()
        if now >= self._deadline:
            return "Its time was over."
        if now - self._looked < _LOOK_EVERY:
            return None
        room = short_of_room(self._server)
        if room is not None:
            return room
        patience = min(self._pace.patience, max(self._deadline - now, 0.0))
        _killed, busy = make_way(
            self._client.until(now + patience + 30), self._table, patience, self._pace.kill
        )
        reason = busy or self._wait_for(self._replicas) or self._wait_for(self._load)
        self._looked = time.monotonic()
        return reason

    def _wait_for(self, look: Callable[[], str | None]) -> str | None:
        deadline = min(time.monotonic() + self._pace.patience, self._deadline)
        while True:
            reason = look()
            if reason is None or time.monotonic() >= deadline:
                return reason
            time.sleep(1.0)

    def _replicas(self) -> str | None:
        _all, behind = replicas_behind(self._client.until(time.monotonic() + 10))
        return (
            f"Replicas that have not been sent the newest changes yet: {behind}."
            if behind
            else None
        )

    def _load(self) -> str | None:
        return under_load(self._pace.max_load)
