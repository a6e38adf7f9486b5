# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Results of HTTP checks as plain data and as a table for a terminal."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import WORK
from ansible_collections.wpward.wordpress.plugins.module_utils.http_judge import (
    FAILED,
    NOT_REACHED,
    PASSED,
    SKIPPED,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_rounds import Result

ROWS_IN_FULL = 100
ROWS_OF_A_KIND = 5
_OUTCOMES = (PASSED, FAILED, NOT_REACHED, SKIPPED)
_COLUMNS = (
    ("what", 14),
    ("server", 40),
    ("request", 60),
    ("from", 22),
    ("came back", 160),
)


def report(results: Sequence[Result], which: str = "failures") -> dict[str, Any]:
    """Counts, ``results`` (all of them with ``which`` "all") and ``table``, for JSON."""
    rows = [_row(result) for result in results]
    count = {outcome: sum(1 for row in rows if row["outcome"] == outcome) for outcome in _OUTCOMES}
    wanted = [row for row in rows if which == "all" or _wants_a_look(row)]
    return {
        "counts": count,
        "proven": count[PASSED] > 0 and not count[FAILED] and not count[NOT_REACHED],
        "results": wanted,
        "table": table(wanted),
        "endpoints": _by_endpoint(rows),
        "sites": sorted({row["site"] for row in rows if row["status"]}),
        "servers": sorted({row["server"] for row in rows if row["status"]}),
        "source_addresses": sorted({row["source"] for row in rows if row["source"]}),
    }


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of ``results`` as text, what failed first; "" where there is nothing to show.

    A row may say in ``vantage`` by which name its origin is known.
    """
    shown = sorted(filter(_wants_a_look, rows), key=lambda row: row["outcome"] == SKIPPED)
    if not shown:
        return ""
    cells = [[title for title, _width in _COLUMNS]]
    named = shown if len(shown) <= ROWS_IN_FULL else _few_of_each_kind(shown)
    cells += [_cells(row) for row in named]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS) - 1)]
    lines = [
        "  ".join([cell.ljust(width) for cell, width in zip(line, widths)] + [line[-1]])
        for line in cells
    ]
    if len(shown) > len(named):
        lines.append(f"... and {len(shown) - len(named)} more like these")
    return "\n".join(lines)


def _wants_a_look(row: Mapping[str, Any]) -> bool:
    """All but what passed, and what says nothing from here."""
    if row["outcome"] == SKIPPED:
        return bool(row["kind"] == WORK)
    return bool(row["outcome"] != PASSED)


def _by_endpoint(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["endpoint"], row["kind"])
        if key not in found:
            found[key] = {"endpoint": key[0], "kind": key[1]}
            found[key].update(dict.fromkeys(_OUTCOMES, 0))
        found[key][row["outcome"]] += 1
    return list(found.values())


def _row(result: Result) -> dict[str, Any]:
    check = result.check
    outcome = result.verdict.outcome
    return {
        "id": check.id,
        "site": check.site,
        "endpoint": check.endpoint,
        "kind": check.kind,
        "server": check.server,
        "request": check.shown,
        "source": result.source,
        "outcome": outcome,
        "ok": outcome in (PASSED, SKIPPED),
        "status": result.status,
        "reason": result.verdict.reason,
        "seconds": round(result.seconds, 3),
    }


def _few_of_each_kind(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    counts: dict[tuple[Any, ...], int] = {}
    kept = []
    for row in rows:
        kind = (row["kind"], row["endpoint"], row["server"], row.get("vantage"))
        counts[kind] = counts.get(kind, 0) + 1
        if counts[kind] <= ROWS_OF_A_KIND:
            kept.append(row)
    return kept


def _cells(row: Mapping[str, Any]) -> list[str]:
    what = {
        "refuse": f"open: {row['endpoint']}",
        "trusted": f"shut: {row['endpoint']}",
        "work": "work",
    }[row["kind"]]
    origin = " ".join(filter(None, [row.get("vantage", ""), row["source"]]))
    reason = row["reason"]
    if row["outcome"] == NOT_REACHED:
        reason = f"not reached: {reason}"
    cells = [what, row["server"], row["request"], origin or "-", reason]
    return [
        cell if len(cell) <= width + 6 else cell[:width] + "..."
        for cell, (_title, width) in zip(cells, _COLUMNS)
    ]
