# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory a database server is configured to take: what workers must leave to it.

Buffers that all connections share, and what one connection takes when it sorts and joins. A server
takes more than that for itself and less than that while it is idle, so its proportional set size
belongs beside it.
"""

from __future__ import annotations

from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import database, database_client
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import encoded
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import Sample

_SHARED = ("innodb_buffer_pool_size", "innodb_log_buffer_size", "key_buffer_size")
_SHARED_BY_MARIADB = ("aria_pagecache_buffer_size", "query_cache_size")
_PER_CONNECTION = (
    "sort_buffer_size",
    "join_buffer_size",
    "read_buffer_size",
    "read_rnd_buffer_size",
    "binlog_cache_size",
    "net_buffer_length",
    "thread_stack",
)


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(encoded(f"@@GLOBAL.{name}") for name in names)


def _read(client: Client) -> dict[str, int]:
    always = ("max_connections", *_PER_CONNECTION, *_SHARED)
    rows = client.rows(f"SELECT {_columns(always)} /*M!100101 , {_columns(_SHARED_BY_MARIADB)} */;")
    if len(rows) != 1 or len(rows[0]) < len(always):
        raise Unanswered("The database server's client answered in another form.")
    numbers = [int(field) if field and field.isdigit() else 0 for field in rows[0]]
    shared = 1 + len(_PER_CONNECTION)
    return {
        "buffers": sum(numbers[shared:]),
        "per_connection": sum(numbers[1:shared]),
        "max_connections": numbers[0],
    }


def collect(
    running: Sequence[Process],
    memory: Sample,
    credentials_file: str | None,
    deadline: float,
    problems: Problems,
) -> dict[str, Any] | None:
    """The evidence's ``capacity.database``: ``buffers`` and ``per_connection`` in bytes,
    ``max_connections``, and the server's ``pss``; None where it does not answer.

    ``memory``: has been read already. The rest is as in database.collect.
    """
    try:
        client = database.connect(running, credentials_file, deadline, problems)
        if client is None:
            return None
        described = _read(client)
    except Unanswered as error:
        problems.add("database_partial", f"The database's buffers are not known: {error}")
        return None
    server = database_client.servers(running)[0][0]
    return {**described, "pss": memory.of({server.pid})["pss_total"]}
