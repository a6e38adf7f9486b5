# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much memory a database server is configured to take: what workers must leave to it.

Buffers that all connections share, and what one connection takes when it sorts and joins. A server
takes more than that for itself and less than that while it is idle, so its proportional set size
belongs beside it.
"""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import encoded

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


def read(client: Client) -> dict[str, int]:
    """``buffers``, ``per_connection`` (bytes) and ``max_connections``. Raises Unanswered."""
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
