# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The missing index on a log table's purge column, made while everybody goes on reading and
writing."""

from __future__ import annotations

import time

from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    Limits,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_plan import Table
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_server import (
    MIB,
    DatabaseServer,
    floor_bytes,
    free_bytes,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import quoted_name

_TRIES = 5
_PAUSE = 2.0
_LOCK_SECONDS = 2
_LOCK_TIMEOUT = 1205
_CANNOT = (1845, 1846)
"""Errors by which a server says that it cannot do that while others write."""
BYTES_PER_SECOND = 40 << 20
"""Of a table while an index is made: 200 MiB/s were measured (MariaDB 10.11.19, 576 MiB in 2.8 s on
a fast disk); others have slower ones."""


def index_bytes(table: Table) -> int:
    """More than the index will take: a row of it is the column, the primary key and a header."""
    return max(table.rows * 48, table.data // 4)


def index_seconds(table: Table) -> float:
    """About how long it takes."""
    return round(table.size / BYTES_PER_SECOND + 0.5, 1)


def no_index(table: Table, server: DatabaseServer, lock_tables: bool) -> str | None:
    """A sentence why a table gets no index; None where it may have one."""
    if table.refusal is not None:
        return table.refusal
    if not lock_tables and table.engine != "innodb":
        return (
            f"Its engine {table.engine} locks the table for everybody while an index is made; "
            f"set lock_tables to true in a quiet hour (about {index_seconds(table):.0f} seconds)."
        )
    if not lock_tables and server.is_on("wsrep_on"):
        return (
            "A Galera cluster stops all writing on all of its nodes while an index is made; set "
            f"lock_tables to true in a quiet hour (about {index_seconds(table):.0f} seconds)."
        )
    return _no_room(table, server)


def _no_room(table: Table, server: DatabaseServer) -> str | None:
    wanted = index_bytes(table)
    copied = table.size if table.engine != "innodb" else 0
    log = _bytes(server.variables.get("innodb_online_alter_log_max_size", ""))
    # The sort writes its runs twice while it merges them; what others write meanwhile is kept too.
    for directory, needed in (
        (server.data_directory, wanted + copied),
        (server.sort_directory, 2 * wanted + log),
    ):
        free = free_bytes(directory)
        floor = floor_bytes(directory) if directory == server.data_directory else 0
        if free is not None and free < needed + floor:
            return (
                f"An index needs up to {needed // MIB} MiB in {printable(directory, 200)}, of "
                f"whose {free // MIB} MiB at least {floor // MIB} MiB have to stay free."
            )
    return None


def _bytes(text: str) -> int:
    return int(text) if text.isdigit() else 128 * MIB


def add_index(client: Client, table: Table, online: bool, seconds: float) -> str | None:
    """Make the index; a sentence why there is none, None where there is one.

    The server needs the table for itself for a moment at the beginning and at the end. It waits two
    seconds for that, because everybody else has to wait behind it, and then gives up; that is tried
    five times. Raises Unanswered.
    """
    name = f"wpward_{table.column}"
    how = ", ALGORITHM=INPLACE, LOCK=NONE" if online else ""
    statement = (
        f"ALTER TABLE {table.place} ADD INDEX {quoted_name(name)} "
        f"({quoted_name(table.column or '')}){how};"
    )
    deadline = time.monotonic() + seconds
    for number in range(1, _TRIES + 1):
        left = max(deadline - time.monotonic(), 5.0)
        limits = Limits(statement=round(left, 1), lock=_LOCK_SECONDS, isolation="READ COMMITTED")
        try:
            client.until(time.monotonic() + left + 10).rows(statement, limits)
        except Unanswered as error:
            if error.code in _CANNOT:
                return f"The server cannot make an index here while others write: {error}"
            if error.code != _LOCK_TIMEOUT:
                raise
            if number == _TRIES or time.monotonic() + _PAUSE >= deadline:
                return (
                    "Somebody else holds the table all the time, in a transaction or a backup; run "
                    "again later."
                )
            time.sleep(_PAUSE * number)
        else:
            return None
    return None
