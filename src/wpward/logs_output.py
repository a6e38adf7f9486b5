# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``wpward logs`` shows in the terminal: a progress bar, then a screenful."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_access import (
    access_rows,
    endpoint_of,
    peak,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    count,
    plural,
    share,
    visible,
)
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

ROWS = 15
FINDINGS = 8
_STYLES = {"attack": "bold red", "aftermath": "yellow", "probing": "yellow", "quiet": "green"}


def _plain(value: object, style: str = "") -> Text:
    """Logged text is the attacker's: neither markup nor an escape sequence in it may act."""
    return Text(visible(value), style=style)


@contextmanager
def progress(console: Console) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """``start`` and ``advance`` of a bar that counts bytes; nothing where no terminal is."""
    bar = Progress(
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("reading", total=None)
        yield (
            lambda total: bar.update(task, total=total),
            lambda amount: bar.advance(task, amount),
        )


def show(document: dict[str, Any], console: Console) -> None:
    """Verdict and findings, then who asked for what, then what could not be read."""
    evidence, plan = document["evidence"], document["plan"]
    console.print(_plain(plan["verdict"], _STYLES.get(plan["verdict"], "")))
    for finding in plan["findings"][:FINDINGS]:
        console.print(_plain(f"{finding['severity']}: {finding['message']}"))
    if len(plan["findings"]) > FINDINGS:
        console.print(f"and {len(plan['findings']) - FINDINGS} more findings in the report")
    rows = access_rows(evidence)
    if rows:
        table = Table("endpoint", box=None, pad_edge=False)
        for title in ("requests", "at most", "busiest client", "its requests"):
            table.add_column(title, justify="right", overflow="fold")
        for row in rows[:ROWS]:
            client = row["clients"][0] if row["clients"] else {}
            table.add_row(
                _plain(endpoint_of(row)),
                count(row["hits"]),
                peak(row),
                _plain(client.get("address", "")),
                f"{count(client['hits'])} ({share(client['hits'], row['hits'])})" if client else "",
            )
        console.print(table)
    else:
        console.print("No request for an endpoint that attackers ask for.")
    if len(rows) > ROWS:
        console.print(f"and {len(rows) - ROWS} more rows in the report")
    for log in evidence["logs"]:
        console.print(
            _plain(f"read: {log['path']} ({log['format']}, {plural(log['files'], 'file')})")
        )
    for problem in evidence["problems"]:
        console.print(_plain(f"problem: {problem['message']}", "yellow"))
