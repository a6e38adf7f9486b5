# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which large log tables a database server has, what may be done to each, and what that would cost.

Nothing is counted: rows are the server's own estimate, and how many of them are old is told by some
that are looked up by primary key.
"""

from __future__ import annotations

import calendar
import re
import time
from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import Client
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import (
    encoded,
    quoted_name,
    quoted_text,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_plugins import (
    LOG_TABLES,
    LogTable,
    log_table_of,
)

DAY = 86400
_LOOKED_UP = 48
_EARLIEST = 631152000
"""1990: plugins write 0 and the years 0 and 1000 where they have no date; such a row's age is not
known, so it stays."""
_NUMBERS = ("int", "bigint", "double", "decimal")
"""Not float: it cannot hold a time to the second."""
_DATES = ("datetime", "timestamp")
_KEYS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_CHANGES = re.compile(
    r"\s*(?:/\*.*?\*/\s*)?(?:delete|update|insert|replace|alter|optimize|load|truncate|create|drop)"
    r"\b",
    re.IGNORECASE | re.DOTALL,
)
_SYSTEM_USERS = ("system user", "event_scheduler")


@dataclass(frozen=True)
class Table:
    """A log table as it is. ``refusal``: why no row of it may be deleted. ``unit``: whether its
    purge column holds seconds or milliseconds since the epoch, or a date."""

    schema: str
    name: str
    known: LogTable
    engine: str
    rows: int
    size: int
    data: int
    column: str | None
    column_type: str
    key: str | None
    index: str | None
    refusal: str | None

    @property
    def place(self) -> str:
        """The table in a statement."""
        return f"{quoted_name(self.schema)}.{quoted_name(self.name)}"

    @property
    def shown(self) -> str:
        """The table in a sentence."""
        return f"{printable(self.schema, 64)}.{printable(self.name, 64)}"


@dataclass(frozen=True)
class Age:
    """Which rows are old. ``condition``: in a statement. ``share``: of those looked up.
    ``refusal``: why that cannot be told."""

    condition: str
    share: float
    refusal: str | None


@dataclass(frozen=True)
class Running:
    """Somebody's statement that changes a table. ``changed``: rows so far, that come back if it is
    killed; None where the server does not tell."""

    id: int
    user: str
    seconds: int
    is_delete: bool
    changed: int | None

    @property
    def cost(self) -> str:
        """What killing it would cost."""
        rows = "" if self.changed is None else f" and brings back {self.changed} rows"
        return f"Killing it takes about {self.seconds} seconds of rollback{rows}."

    def describe(self) -> dict[str, Any]:
        """For a result."""
        return {
            "id": self.id,
            "user": self.user,
            "seconds": self.seconds,
            "rows_changed": self.changed,
            "rollback_seconds": self.seconds,
        }


def _number(text: str | None) -> int:
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError):
        return 0


def _columns(*expressions: str) -> str:
    return ", ".join(encoded(expression) for expression in expressions)


def large_tables(
    client: Client, foreign_keys: str, rows: int, size: int, wanted: Sequence[str]
) -> list[Table]:
    """The catalogue's tables that have so many rows or bytes, the largest first.

    ``foreign_keys``: InnoDB's list of them in the information schema. ``wanted``: only these, as
    schema.table; all where empty. Raises Unanswered.
    """
    pattern = "(" + "|".join(sorted(known.name for known in LOG_TABLES)) + ")$"
    total = "COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0)"
    found = client.rows(
        f"SELECT {_columns('TABLE_SCHEMA', 'TABLE_NAME', 'ENGINE', 'TABLE_ROWS', total)}, "
        f"{_columns('COALESCE(DATA_LENGTH, 0)')} "
        f"FROM information_schema.TABLES WHERE LOWER(TABLE_NAME) REGEXP {quoted_text(pattern)} "
        # Neither a view nor a table whose old versions of rows are kept.
        "AND TABLE_TYPE = 'BASE TABLE' "
        f"AND (TABLE_ROWS >= {int(rows)} OR {total} >= {int(size)}) ORDER BY {total} DESC;"
    )
    tables = []
    for schema, name, engine, count, whole, data in found:
        known = log_table_of(name or "")
        if known is None or known.purge is None or not schema or not name:
            continue
        if wanted and f"{schema}.{name}" not in wanted:
            continue
        sizes = (_number(count), _number(whole), _number(data))
        tables.append(
            _described(client, foreign_keys, schema, name, known, (engine or "").lower(), sizes)
        )
    return tables


def seen_again(client: Client, foreign_keys: str, table: Table) -> Table:
    """A table after others have worked on it. Raises Unanswered."""
    sizes = (table.rows, table.size, table.data)
    return _described(
        client, foreign_keys, table.schema, table.name, table.known, table.engine, sizes
    )


def _described(
    client: Client,
    foreign_keys: str,
    schema: str,
    name: str,
    known: LogTable,
    engine: str,
    sizes: tuple[int, int, int],
) -> Table:
    here = f"TABLE_SCHEMA = {quoted_text(schema)}"
    where = f"{here} AND TABLE_NAME = {quoted_text(name)}"
    prefix = name[: len(name) - len(known.name)]
    others = ", ".join(quoted_text(prefix + one) for one in ("options", "posts"))
    rows = client.rows(
        f"SELECT {_columns(quoted_text('column'), 'COLUMN_NAME', 'DATA_TYPE')} "
        f"FROM information_schema.COLUMNS WHERE {where}; "
        f"SELECT {_columns(quoted_text('index'), 'INDEX_NAME', 'COLUMN_NAME')} "
        f"FROM information_schema.STATISTICS WHERE {where} AND SEQ_IN_INDEX = 1 "
        # A part of the column is not sorted enough.
        "AND INDEX_TYPE = 'BTREE' AND SUB_PART IS NULL; "
        f"SELECT {_columns(quoted_text('key'), 'COUNT(*)', 'NULL')} "
        f"FROM information_schema.STATISTICS WHERE {where} AND INDEX_NAME = 'PRIMARY'; "
        f"SELECT {_columns(quoted_text('site'), 'COUNT(*)', 'NULL')} "
        f"FROM information_schema.TABLES WHERE {here} AND TABLE_NAME IN ({others}); "
        f"SELECT {_columns(quoted_text('trigger'), 'COUNT(*)', 'NULL')} "
        "FROM information_schema.TRIGGERS WHERE EVENT_MANIPULATION = 'DELETE' "
        f"AND TRIGGER_SCHEMA = {quoted_text(schema)} AND EVENT_OBJECT_TABLE = {quoted_text(name)}; "
        f"SELECT {_columns(quoted_text('child'), 'COUNT(*)', 'NULL')} "
        # REFERENTIAL_CONSTRAINTS would open every table. Here the names are encoded as files are,
        # but for these letters; so the same table of another site counts, too.
        f"FROM information_schema.{foreign_keys} "
        f"WHERE LOWER(REF_NAME) REGEXP {quoted_text(known.name + '$')};"
    )
    types = {
        (one or "").lower(): (kind or "").lower() for what, one, kind in rows if what == "column"
    }
    leading = [(index or "", (one or "").lower()) for what, index, one in rows if what == "index"]
    counts = {what: _number(one) for what, one, _none in rows if what not in ("column", "index")}
    column = next((one for one in known.purge_columns if one in types), None)
    key = next((one for index, one in leading if index == "PRIMARY"), None)
    if counts.get("key") != 1 or types.get(key or "") not in _KEYS:
        key = None
    refusal = None
    if counts.get("site", 0) < 2:
        refusal = (
            f"There is no WordPress of the prefix '{printable(prefix, 64)}' beside it, so that it "
            "may be a copy or somebody else's."
        )
    elif column is None or not set(known.purge.marks if known.purge else ()) <= set(types):
        refusal = f"Its columns are not those of the log of {known.plugin}."
    elif types[column] not in _NUMBERS + _DATES:
        refusal = f"Its column {column} is {printable(types[column], 30)}, which holds no time."
    elif key is None:
        refusal = "It has no primary key that is one whole number."
    elif counts.get("trigger"):
        refusal = "A trigger runs when its rows are deleted."
    elif counts.get("child"):
        refusal = "Rows of another table belong to its rows."
    index = next((one for one, first in leading if first == column), None)
    return Table(
        schema, name, known, engine, *sizes,
        column, types.get(column or "", ""), key, index, refusal,
    )  # fmt: skip


def _condition(table: Table, milliseconds: bool, until: float) -> str:
    name = quoted_name(table.column or "")
    if table.column_type in _DATES:
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(until))
        return f"{name} >= '1990-01-01' AND {name} < '{date}'"
    factor = 1000 if milliseconds else 1
    return f"{name} >= {_EARLIEST * factor} AND {name} < {int(until) * factor}"


def _seconds(value: str | None, table: Table, milliseconds: bool) -> float | None:
    """A value of the purge column; None for none at all and for what stands for none."""
    text = value or ""
    if table.column_type in _DATES:
        try:
            parsed = time.strptime(text[:19], "%Y-%m-%d %H:%M:%S")
        except ValueError:
            return None
        number = float(calendar.timegm(parsed))
    else:
        try:
            number = float(text) / (1000 if milliseconds else 1)
        except ValueError:
            return None
    return number if number >= _EARLIEST else None


def age_of(client: Client, table: Table, retention_days: float, now: float) -> Age:
    """Which rows of a table are older than ``retention_days``.

    The time is that of the last midnight, so that a second run finds nothing. The times of a column
    without a time zone may be off by half a day in either direction, so a day more is kept there.
    Raises Unanswered.
    """
    purge, key, column = (
        table.known.purge,
        quoted_name(table.key or ""),
        quoted_name(table.column or ""),
    )
    exact = table.column_type == "timestamp" or (
        purge is not None and purge.utc and table.column_type not in _DATES
    )
    until = now - now % DAY - retention_days * DAY - (0 if exact else DAY)
    ends = client.rows(f"SELECT {_columns(f'MIN({key})', f'MAX({key})')} FROM {table.place};")
    if not ends or ends[0][0] is None:
        return Age(_condition(table, False, until), 0.0, None)
    first, last = int(ends[0][0]), int(ends[0][1] or 0)
    step = max((last - first) // _LOOKED_UP, 1)
    places = sorted({*range(first, last, step), last})
    values = client.rows(
        " UNION ALL ".join(
            f"(SELECT {encoded(column)} FROM {table.place} WHERE {key} >= {place} "
            f"ORDER BY {key} LIMIT 1)"
            for place in places
        )
        + ";"
    )
    newest = _number(values[-1][0]) if values and table.column_type not in _DATES else 0
    milliseconds = newest > 100_000_000_000
    seen = [_seconds(value, table, milliseconds) for (value,) in values]
    told = [one for one in seen if one is not None]
    refusal = None
    if not told:
        refusal = f"Its column {table.column} holds no times."
    elif max(told) > now + 2 * DAY:
        refusal = (
            f"Its column {table.column} holds times that are still to come: see whether the clock "
            "of this server is right."
        )
    old = sum(1 for one in told if one < until)
    return Age(_condition(table, milliseconds, until), old / max(len(values), 1), refusal)


def running_on(client: Client, table: Table) -> list[Running]:
    """Who else changes a table, or had been killed and undoes it, the longest first.

    Raises Unanswered.
    """
    columns = _columns(
        "p.ID", "p.USER", "p.DB", "p.TIME", "LEFT(p.INFO, 4000)", "t.trx_rows_modified"
    )
    rows = client.rows(
        f"SELECT {columns} FROM information_schema.PROCESSLIST p "
        "LEFT JOIN information_schema.INNODB_TRX t ON t.trx_mysql_thread_id = p.ID "
        "WHERE p.COMMAND IN ('Query', 'Execute', 'Killed') AND p.ID <> CONNECTION_ID() "
        "ORDER BY p.TIME DESC;"
    )
    word = re.compile(rf"(?<![\w$]){re.escape(table.name)}(?![\w$])", re.IGNORECASE)
    found = []
    for identity, user, schema, seconds, text, changed in rows:
        statement = text or ""
        if user in _SYSTEM_USERS or not word.search(statement) or not _CHANGES.match(statement):
            continue
        if schema not in (None, table.schema) and table.schema not in statement:
            continue
        found.append(
            Running(
                _number(identity),
                printable(user or "", 64),
                _number(seconds),
                bool(re.match(r"\s*(?:/\*.*?\*/\s*)?delete\b", statement, re.I | re.S)),
                None if changed is None else _number(changed),
            )
        )
    return found
