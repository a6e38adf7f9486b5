# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the database server is busy with, and how large the logs are that plugins keep in it.

Nothing is counted or scanned: sizes and numbers of rows are the server's own estimates, and of a
large table one row is read. On a server with 2,660 tables the search by name took 8 ms and opened
none of them (measured with MariaDB 10.11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    OutOfTime,
    Unanswered,
    client_program,
    installed_server,
    servers,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    running as running_processes,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import (
    encoded,
    masked,
    quoted_name,
    quoted_text,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_plugins import (
    LOG_TABLES,
    log_table_of,
)

LONG = 5
"""Seconds after which a statement is reported."""
LARGE = 1024 * 1024
"""Bytes from which a log table is reported."""
_MOST_STATEMENTS = 50
_MOST_TABLES = 40
_NAME = 64
"""Characters of a name: as long as the server allows."""

Row = Sequence["str | None"]


def _columns(*expressions: str) -> str:
    return ", ".join(encoded(expression) for expression in expressions)


def _number(text: str | None) -> int:
    try:
        return int(float(text or 0))
    except (ValueError, OverflowError):
        return 0


def _name(text: str | None) -> str:
    return printable(text or "", _NAME)


def iso_of(value: str | None) -> str | None:
    """A time of a log table, seconds since the epoch or a date, as the evidence writes it.

    A date has no time zone and is taken for UTC; most plugins write it so, others are off by hours.
    """
    text = value or ""
    if re.fullmatch(r"\d{9,10}(?:\.\d+)?", text, re.ASCII):
        return iso(float(text))
    date = re.match(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)|$)", text, re.ASCII)
    # Plugins write the years 0 and 1000 where there is no date.
    if date and date.group(1) > "1990":
        return f"{date.group(1)}T{date.group(2) or '00:00:00'}Z"
    return None


def _server(client: Client, problems: Problems) -> dict[str, object]:
    columns = _columns(
        "VERSION()",
        "@@GLOBAL.slow_query_log",
        "@@GLOBAL.slow_query_log_file",
        "@@GLOBAL.long_query_time",
        "@@GLOBAL.log_output",
        "@@GLOBAL.datadir",
        "(SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES "
        "WHERE PRIVILEGE_TYPE = 'PROCESS')",
    )
    rows = client.rows(f"SELECT {columns};")
    if len(rows) != 1 or len(rows[0]) != 7:
        raise Unanswered("The database server's client answered in another form.")
    version, enabled, file, seconds, output, directory, sees = (field or "" for field in rows[0])
    if sees == "0":
        problems.add(
            "database_partial",
            f"The database server shows {client.who} only its own statements and tables: grant it "
            "PROCESS, and SELECT on the schemas of the sites.",
        )
    path = str(Path(directory) / file) if "FILE" in output.upper() and file else None
    try:
        threshold = float(seconds)
    except ValueError:
        threshold = 0.0
    return {
        "reachable": True,
        "version": _name(version),
        "slow_log": {
            "enabled": enabled in ("1", "ON"),
            "file": printable(path, 4096) if path else None,
            "seconds": threshold,
        },
    }


def _statements(client: Client) -> list[dict[str, object]]:
    columns = _columns("ID", "USER", "DB", "TIME", "STATE", "LEFT(INFO, 4000)")
    rows = client.rows(
        f"SELECT {columns} FROM information_schema.PROCESSLIST "
        # Killed: a statement that is being undone, which takes as long as it ran.
        "WHERE COMMAND IN ('Query', 'Execute', 'Killed') AND ID <> CONNECTION_ID() "
        # Just after its start a connection can show a time of more than a year.
        f"AND TIME > {LONG} AND TIME < 31536000 ORDER BY TIME DESC LIMIT {_MOST_STATEMENTS};"
    )
    return [
        {
            "id": _number(identity),
            "user": _name(user),
            "schema": _name(schema) if schema else None,
            "seconds": _number(seconds),
            "state": _name(state),
            "text": masked(text or ""),
        }
        for identity, user, schema, seconds, state, text in rows
    ]


@dataclass(frozen=True)
class _Table:
    schema: str
    name: str
    engine: str
    rows: int
    size: int


def _large_logs(client: Client) -> list[_Table]:
    # A condition on the name alone is tried before a table is opened.
    pattern = "(" + "|".join(sorted(known.name for known in LOG_TABLES)) + ")$"
    size = "COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0)"
    rows = client.rows(
        f"SELECT {_columns('TABLE_SCHEMA', 'TABLE_NAME', 'ENGINE', 'TABLE_ROWS', size)} "
        f"FROM information_schema.TABLES WHERE LOWER(TABLE_NAME) REGEXP {quoted_text(pattern)} "
        f"AND TABLE_TYPE = 'BASE TABLE' AND {size} >= {LARGE} "
        f"ORDER BY {size} DESC LIMIT {_MOST_TABLES};"
    )
    return [
        _Table(schema or "", name or "", (engine or "").lower(), _number(count), _number(size_text))
        for schema, name, engine, count, size_text in rows
    ]


def _describe(client: Client, table: _Table) -> dict[str, object] | None:
    known = log_table_of(table.name)
    if known is None:
        return None
    described: dict[str, object] = {
        "schema": _name(table.schema),
        "table": _name(table.name),
        "plugin": known.plugin,
        "rows": table.rows,
        "bytes": table.size,
        "purge_column": None,
        "indexed": None,
        "oldest": None,
    }
    if not known.purge_columns:
        return described
    where = f"TABLE_SCHEMA = {quoted_text(table.schema)} AND TABLE_NAME = {quoted_text(table.name)}"
    wanted = ", ".join(quoted_text(column) for column in known.purge_columns)
    rows = client.rows(
        f"SELECT {_columns('NULL', 'COLUMN_NAME')} FROM information_schema.COLUMNS "
        f"WHERE {where} AND COLUMN_NAME IN ({wanted}); "
        # An index serves a purge if the column is the first of its columns.
        f"SELECT {_columns('INDEX_NAME', 'COLUMN_NAME')} FROM information_schema.STATISTICS "
        f"WHERE {where} AND SEQ_IN_INDEX = 1;"
    )
    columns = {(column or "").lower() for index, column in rows if index is None}
    leading = {index: column or "" for index, column in rows if index is not None}
    purge = next((column for column in known.purge_columns if column in columns), None)
    if purge is None:
        return described
    indexed = purge in {column.lower() for column in leading.values()}
    described.update(purge_column=purge, indexed=indexed)
    first = purge if indexed else leading.get("PRIMARY")
    # Other engines lock the whole table for a reader.
    if first and table.engine == "innodb":
        place = f"{quoted_name(table.schema)}.{quoted_name(table.name)}"
        oldest = client.rows(
            f"SELECT {encoded(quoted_name(purge))} FROM {place} "
            f"ORDER BY {quoted_name(first)} LIMIT 1;"
        )
        described["oldest"] = iso_of(oldest[0][0]) if oldest else None
    return described


def _tables(client: Client, problems: Problems) -> list[dict[str, object]]:
    described = []
    large = _large_logs(client)
    for number, table in enumerate(large):
        try:
            row = _describe(client, table)
        except OutOfTime as error:
            problems.add(
                "database_partial",
                f"{len(large) - number} of {len(large)} large log tables are not described: "
                f"{error}",
            )
            break
        except Unanswered as error:
            problems.add(
                "database_partial",
                f"The table {_name(table.schema)}.{_name(table.name)} is not described: {error}",
            )
            continue
        if row is not None:
            described.append(row)
    return described


def _unreachable(reason: str) -> dict[str, object]:
    return {
        "reachable": False,
        "reason": reason,
        "version": None,
        "statements": [],
        "tables": [],
        "slow_log": None,
    }


def connect(
    running: Sequence[Process], credentials_file: str | None, deadline: float, problems: Problems
) -> Client | None:
    """A client for the oldest server; None where there is none. Raises Unanswered."""
    found, sentences = servers(running)
    for sentence in sentences:
        problems.add("database_not_asked", sentence)
    if not found:
        program = installed_server()
        if program and not sentences:
            raise Unanswered(f"A database server is installed ({program}), but none runs.")
        return None
    server = found[0]
    for other in found[1:]:
        problems.add(
            "database_not_asked",
            f"Only the database server of process {server.pid} is asked, not that of {other.pid}.",
        )
    if server.socket is None:
        raise Unanswered(f"The database server (process {server.pid}) has no Unix socket.")
    program = client_program(server)
    if program is None:
        raise Unanswered("There is neither the program mariadb nor mysql to ask the server with.")
    if credentials_file is not None:
        try:
            with Path(credentials_file).open("rb"):
                pass
        except OSError as error:
            raise Unanswered(
                f"The database credentials file {credentials_file} cannot be read: "
                f"{error.strerror}."
            ) from error
    return Client(program, server.socket, credentials_file, deadline)


def collect(
    deadline: float,
    credentials_file: str | None,
    problems: Problems,
    running: Sequence[Process] | None = None,
) -> dict[str, object] | None:
    """The evidence's ``database``; None where there is no server.

    ``deadline``: ``time.monotonic()`` value at which all stops. ``credentials_file``: an option
    file of the client with user and password, on this host; root by Unix socket without one.
    ``running``: what ``processes.running`` gave, if it has been asked already. Never raises on what
    a server does or does not.
    """
    try:
        seen = running_processes() if running is None else running
        client = connect(seen, credentials_file, deadline, problems)
        if client is None:
            return None
        described = {**_unreachable(""), **_server(client, problems), "reason": None}
    except Unanswered as error:
        problems.add("database_unreachable", str(error))
        return _unreachable(str(error))
    try:
        described["statements"] = _statements(client)
    except Unanswered as error:
        problems.add("database_partial", f"The database's statements are not known: {error}")
    try:
        described["tables"] = _tables(client, problems)
    except Unanswered as error:
        problems.add("database_partial", f"The database's large tables are not known: {error}")
    return described
