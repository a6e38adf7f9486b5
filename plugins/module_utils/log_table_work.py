# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What module log_tables does on one server, table by table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import log_table_plan, slow_log
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_index import (
    add_index,
    index_seconds,
    no_index,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_plan import (
    Age,
    Running,
    Table,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_purge import (
    ROWS_PER_SECOND,
    Pace,
    Purge,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_server import (
    MIB,
    DatabaseServer,
    no_writing,
    read_server,
    replicas_behind,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_wait import make_way

_INDEX = "indexed"
_PURGE = "purged"
_WORTH_GIVING_BACK = 64 * MIB


@dataclass(frozen=True)
class Request:
    """What to do. ``wanted``: tables as schema.table, all where empty. Seconds: ``time_budget``."""

    state: str
    check: bool
    wanted: tuple[str, ...]
    retention_days: float
    large_rows: int
    large_bytes: int
    time_budget: float
    lock_tables: bool
    allow_replica: bool
    pace: Pace

    @property
    def changes(self) -> bool:
        """Whether anything may be changed."""
        return self.state != "described" and not self.check


def work(client: Client, pid: int, request: Request) -> dict[str, Any]:
    """The module's result. ``pid``: the server's process. Raises Unanswered where the server lets
    nobody in."""
    deadline = time.monotonic() + request.time_budget
    server = read_server(client)
    replicas, _behind = replicas_behind(client)
    refusal = no_writing(client, server, request.allow_replica)
    notes = []
    if replicas:
        notes.append(
            f"This server has replicas ({replicas}), which repeat what is deleted here; how far "
            "they are behind only they know, so look at them."
        )
    tables = []
    changed = False
    for table in log_table_plan.large_tables(
        client, server.foreign_keys, request.large_rows, request.large_bytes, request.wanted
    ):
        one = _Work(client, server, table, request, deadline)
        tables.append(one.done(refusal))
        changed = changed or one.changed
        notes += one.notes
    return {
        "changed": changed,
        "server": {
            "version": server.version,
            "replicas": replicas,
            "slow_log": slow_log.describe(client, server, pid),
        },
        "refusal": refusal,
        "notes": notes,
        "tables": tables,
    }


class _Work:
    """One table's part."""

    def __init__(
        self,
        client: Client,
        server: DatabaseServer,
        table: Table,
        request: Request,
        deadline: float,
    ) -> None:
        self._client = client
        self._server = server
        self._table = table
        self._request = request
        self._deadline = deadline
        self.changed = False
        self.notes: list[str] = []

    def done(self, refusal: str | None) -> dict[str, Any]:
        """The table's row of the result. ``refusal``: why nothing may be changed on this server."""
        began = time.monotonic()
        table, request = self._table, self._request
        result = self._described()
        try:
            age = self._age()
            running = log_table_plan.running_on(self._client, table)
            result["running"] = [one.describe() for one in running]
            old = round(table.rows * age.share)
            result.update(old_rows=old, remaining=old)
            result["estimated_seconds"]["purge"] = round(
                old / ROWS_PER_SECOND + (0 if table.index else table.rows / 200_000), 1
            )
            if request.state == _INDEX:
                self._index(result, running, refusal)
            elif request.state == _PURGE:
                self._purge(result, age, running, refusal)
        except Unanswered as error:
            result["stopped"] = str(error)
        result["seconds"] = round(time.monotonic() - began, 1)
        if result["stopped"]:
            left = f" About {result['remaining']} old rows are left." if result["remaining"] else ""
            self.notes.append(f"{table.shown}: {result['stopped']}{left}")
        return result

    def _described(self) -> dict[str, Any]:
        table = self._table
        return {
            "schema": table.schema,
            "table": table.name,
            "plugin": table.known.plugin,
            "column": table.column,
            "bytes": table.size,
            "rows_before": table.rows,
            "rows_after": table.rows,
            "old_rows": 0,
            "estimated_seconds": {
                "index": 0.0 if table.index else index_seconds(table),
                "purge": 0.0,
            },
            "running": [],
            "killed": [],
            "index": "present" if table.index else "missing",
            "deleted": 0,
            "batches": 0,
            "longest_batch_ms": 0,
            "remaining": 0,
            "seconds": 0.0,
            "stopped": table.refusal,
        }

    def _age(self) -> Age:
        table = self._table
        if table.refusal is not None:
            return Age("", 0.0, table.refusal)
        return log_table_plan.age_of(self._client, table, self._request.retention_days, time.time())

    def _make_way(self, result: dict[str, Any]) -> str | None:
        pace = self._request.pace
        patience = max(min(pace.patience, self._deadline - time.monotonic()), 0.0)
        killed, busy = make_way(self._client, self._table, patience, pace.kill)
        result["killed"] = [one.describe() for one in killed]
        self.changed = self.changed or bool(killed)
        return busy

    def _index(self, result: dict[str, Any], running: list[Running], refusal: str | None) -> None:
        table, request = self._table, self._request
        if table.index:
            return
        reason = refusal or no_index(table, self._server, request.lock_tables)
        if reason is None and request.check:
            reason = self._would_wait(running)
        elif reason is None:
            reason = self._make_way(result)
            # A statement that was waited for may have made it: one of ours goes on without us.
            if reason is None and self._indexed_meanwhile():
                result["index"] = "present"
                return
            if reason is None:
                online = table.engine == "innodb" and not self._server.is_on("wsrep_on")
                left = max(self._deadline - time.monotonic(), 0.0)
                reason = add_index(self._client, table, online, left)
        if reason is None:
            self.changed = True
        else:
            result["stopped"] = reason
        result["index"] = reason or "created"

    def _indexed_meanwhile(self) -> bool:
        keys = self._server.foreign_keys
        return log_table_plan.seen_again(self._client, keys, self._table).index is not None

    def _would_wait(self, running: list[Running]) -> str | None:
        if not running or self._request.pace.kill:
            return None
        self.notes.append(
            f"Statement {running[0].id} of {running[0].user} has been changing {self._table.shown} "
            f"for {running[0].seconds} seconds and is waited for. {running[0].cost}"
        )
        return None

    def _purge(
        self, result: dict[str, Any], age: Age, running: list[Running], refusal: str | None
    ) -> None:
        table, request = self._table, self._request
        reason = refusal or table.refusal or age.refusal
        if reason is None and table.engine != "innodb" and not request.lock_tables:
            reason = (
                f"Its engine {table.engine} locks the table for everybody during each batch; set "
                "lock_tables to true for a purge."
            )
        if reason is not None:
            result["stopped"] = reason
            return
        purge = Purge(self._client, self._server, table, age, request.pace, self._deadline)
        if request.check:
            # The sample may miss the few rows of one day.
            old = result["old_rows"] if purge.ends() else 0
            result.update(deleted=old, remaining=0, rows_after=table.rows - old)
            self.changed = bool(old)
            self._would_wait(running)
            return
        reason = self._make_way(result)
        if reason is not None:
            result["stopped"] = reason
            return
        progress = purge.run()
        left = 0
        if progress.stopped is not None:
            left = max(result["old_rows"] - progress.deleted, 0)
        result.update(
            deleted=progress.deleted,
            batches=progress.batches,
            longest_batch_ms=round(progress.longest * 1000),
            remaining=left,
            rows_after=max(table.rows - progress.deleted, 0),
            stopped=progress.stopped,
        )
        self.changed = self.changed or progress.deleted > 0
        self._tell_room(progress.deleted)

    def _tell_room(self, deleted: int) -> None:
        table = self._table
        freed = table.size * min(deleted / max(table.rows, 1), 1.0)
        if freed < _WORTH_GIVING_BACK:
            return
        left = table.size - freed
        self.notes.append(
            f"{table.shown} keeps about {freed / MIB:.0f} MiB for rows to come. OPTIMIZE TABLE "
            f"would give them back to the disk; it writes the table anew, which takes up to "
            f"{left / MIB:.0f} MiB and about {left / (40 * MIB) + 1:.0f} seconds, and holds up "
            "whoever writes to it for about a second."
        )
