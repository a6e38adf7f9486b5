# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of a host as texts for the archive: what is gone once the host has been repaired."""

from __future__ import annotations

import functools
import json
import re
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    database,
    preserve_processes,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Client,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Refused,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import encoded, masked
from ansible_collections.wpward.wordpress.plugins.module_utils.timed_command import ask, program

PROC = "/proc"
_KERNEL = (
    "loadavg",
    "uptime",
    "meminfo",
    "vmstat",
    "stat",
    "net/sockstat",
    "net/sockstat6",
    "net/netstat",
    "net/snmp",
    "pressure/cpu",
    "pressure/memory",
    "pressure/io",
)
_PART_SECONDS = 5.0
_DATABASE_SECONDS = 10.0
_JOURNAL_LINES = 5000
_MOST_TABLES = 1000
_MOST_STATUS = 1 << 20
_THREAD = re.compile(r"(?:MariaDB|MySQL) thread id ")
_BEHIND_STATEMENT = re.compile(r"-{3}|\*{3}|Trx |RECORD LOCKS|TABLE LOCK|Record lock|$")
_COLUMN = re.compile(r" hex [0-9a-f]*; asc .*")


def _kernel() -> str:
    parts = []
    for name in _KERNEL:
        try:
            text = Path(f"{PROC}/{name}").read_text("ascii", "replace")
        except OSError:
            continue
        parts.append(f"==> /proc/{name} <==\n{text}")
    return "\n".join(parts)


def _journal_lines(running: Sequence[Process], deadline: float) -> str:
    """The newest lines of the kernel and of the web stack's units in systemd's journal."""
    journalctl = program("journalctl")
    if journalctl is None:
        raise Unanswered("There is no journalctl.")
    units = sorted({process.unit for process in running if process.unit})
    matches = [word for unit in units for word in (f"_SYSTEMD_UNIT={unit}", "+")]
    options = ["--quiet", "--no-pager", "--output=short-iso", f"--lines={_JOURNAL_LINES}"]
    code, output, errors = ask([journalctl, *options, *matches, "_TRANSPORT=kernel"], deadline)
    if code != 0:
        raise Unanswered(f"journalctl did not answer: {printable(errors, 200)}.")
    lines = output.decode("utf-8", "backslashreplace").splitlines()
    return "".join(f"{printable(line, 4096)}\n" for line in lines)


def _runs() -> str:
    """The journal of transactions: every run, and its transactions with the files they touch."""
    runs = Journal().runs
    found: list[dict[str, Any]] = []
    for record in runs.all():
        transactions = [
            {
                "name": one.name,
                "state": one.state or "unfinished",
                "files": [entry["path"] for entry in one.manifest["files"]] if one.state else [],
            }
            for one in runs.transactions(record["run"], None)
        ]
        found.append({**record, "transactions": transactions})
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _processlist(client: Client) -> str:
    rows = client.shown("SHOW FULL PROCESSLIST")
    lines = []
    for row in rows:
        fields = [
            f"{name}={masked(value) if name == 'Info' else printable(value, 200)}"
            for name, value in row.items()
        ]
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n"


def _innodb(client: Client) -> str:
    rows = client.shown("SHOW ENGINE INNODB STATUS")
    # The client writes an end of line as \n.
    text = "\n".join(row.get("Status", "") for row in rows)[:_MOST_STATUS].replace("\\n", "\n")
    return without_values(text)


def without_values(status: str) -> str:
    """InnoDB's status without the values of statements and rows, which it shows as they are."""
    lines: list[str] = []
    statement: list[str] | None = None
    for line in status.splitlines():
        if statement is not None and _BEHIND_STATEMENT.match(line):
            lines.append(masked(" ".join(statement)))
            statement = None
        if statement is not None:
            statement.append(line)
            continue
        lines.append(printable(_COLUMN.sub(" hex ?; asc ?", line), 4096))
        if _THREAD.match(line):
            statement = []
    if statement:
        lines.append(masked(" ".join(statement)))
    return "\n".join(line for line in lines if line) + "\n"


def _tables(client: Client) -> str:
    size = "COALESCE(DATA_LENGTH, 0) + COALESCE(INDEX_LENGTH, 0)"
    columns = ("TABLE_SCHEMA", "TABLE_NAME", "ENGINE", "TABLE_ROWS", size)
    rows = client.rows(
        f"SELECT {', '.join(encoded(column) for column in columns)} "
        "FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' "
        f"ORDER BY {size} DESC LIMIT {_MOST_TABLES};"
    )
    lines = ["schema\ttable\tengine\trows_estimated\tbytes"]
    lines += ["\t".join(printable(value or "", 200) for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def _asked(
    running: Sequence[Process], credentials_file: str | None, deadline: float
) -> Iterator[tuple[str, str | Exception]]:
    try:
        client = database.connect(running, credentials_file, deadline, Problems())
    except Unanswered as error:
        yield "database", error
        return
    if client is None:
        return
    parts: tuple[tuple[str, Callable[[Client], str]], ...] = (
        ("database/processlist.txt", _processlist),
        ("database/innodb-status.txt", _innodb),
        ("database/tables.tsv", _tables),
    )
    for name, part in parts:
        yield name, _attempt(functools.partial(part, client))


def _attempt(part: Callable[[], str]) -> str | Exception:
    try:
        return part()
    except (Unanswered, Refused, OSError, ValueError, KeyError) as error:
        return error


def texts(
    running: Sequence[Process], credentials_file: str | None, deadline: float
) -> Iterator[tuple[str, str | Exception]]:
    """Name and text of each part of the state, or why there is none of it.

    running: the processes of the web stack. credentials_file: an option file of the database's
    client; root by Unix socket without one. deadline: ``time.monotonic()``; nothing here takes
    longer than some seconds.
    """

    def until(seconds: float) -> float:
        return min(deadline, time.monotonic() + seconds)

    parts: tuple[tuple[str, Callable[[], str]], ...] = (
        ("processes.txt", lambda: preserve_processes.processes(until(_PART_SECONDS))),
        ("connections.txt", lambda: preserve_processes.connections(until(_PART_SECONDS))),
        ("kernel.txt", _kernel),
        ("wpward-runs.json", _runs),
        ("journal.txt", lambda: _journal_lines(running, until(_PART_SECONDS))),
    )
    for name, part in parts:
        yield name, _attempt(part)
    yield from _asked(running, credentials_file, until(_DATABASE_SECONDS))


def reason(error: Exception) -> str:
    """Why a part is missing, as a sentence."""
    return str(error) if isinstance(error, Unanswered) else sentence(error)
