# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings in the database: what an attack that is over has left behind."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case, make
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    AFTERMATH,
    CRITICAL,
    HIGH,
    LOW,
    Finding,
    mapping,
    plural,
    quote,
    size,
    span,
)

_SERVERS = ("mysqld", "mariadbd")
# Backups read for minutes, and may; what changes rows holds the others up.
_CHANGES = re.compile(
    r"\s*(?:/\*.*?\*/\s*)?(?:delete|update|insert|replace|alter|optimize|load)\b", re.I | re.S
)
_SYSTEM_USERS = ("system user", "event_scheduler")


def find(case: Case) -> list[Finding]:
    """All of them; their site is the one that has the table's plugin, where only one has."""
    database = mapping(case.evidence.get("database"))
    busiest = _busiest(case)
    findings = _statements(case, busiest)
    for table in _tables(case):
        findings += _table(case, table, busiest)
    slow_log = mapping(database.get("slow_log"))
    if findings and slow_log and not slow_log["enabled"]:
        findings.append(
            make(
                "slow_log_off",
                None,
                AFTERMATH,
                f"The slow log of {quote(database.get('version') or 'the database')} is off, so "
                "that nothing tells which statements took long.",
                ["database: slow_log"],
            )
        )
    return findings


def concerned(case: Case) -> list[str]:
    """The sites that have a plugin whose table is in trouble; where none is known to have it, the
    host's only site."""
    ids = [site["id"] for site in case.part("sites")]
    plugins = {table.get("plugin") for table in _tables(case) if _table(case, table, "")}
    having = [site["id"] for site in case.part("sites") if plugins & set(site.get("plugins") or ())]
    return having or (ids if len(ids) == 1 else [])


def _busiest(case: Case) -> str:
    """Half a sentence on the database's share of the CPU where it burns most of it."""
    busiest: Sequence[Mapping[str, Any]] = mapping(case.evidence.get("now")).get("busiest") or ()
    if not busiest:
        return ""
    first = max(busiest, key=lambda one: one["cpu_share"])
    if first["name"] not in _SERVERS or first["cpu_share"] < case.limits["busiest_cores"]:
        return ""
    return f"; {quote(first['name'])} is the busiest process ({first['cpu_share'] * 100:.0f} % CPU)"


def _tables(case: Case) -> Sequence[Mapping[str, Any]]:
    return mapping(case.evidence.get("database")).get("tables") or ()


def _running(case: Case) -> list[Mapping[str, Any]]:
    """The statements that take long and are a client's."""
    return [
        one
        for one in mapping(case.evidence.get("database")).get("statements") or ()
        if one.get("text")
        and one["seconds"] >= case.limits["statement_seconds"]
        and one.get("user") not in _SYSTEM_USERS
    ]


def _names(statement: Mapping[str, Any], table: Mapping[str, Any]) -> bool:
    """Whether a statement is about a table, and not about that of another site."""
    found = re.search(rf"(?<![\w$]){re.escape(table['table'])}(?![\w$])", statement["text"])
    here = (
        statement.get("schema") in (None, table["schema"]) or table["schema"] in statement["text"]
    )
    return bool(found) and here


def _statements(case: Case, busiest: str) -> list[Finding]:
    long = [
        one
        for one in _running(case)
        if _CHANGES.match(one["text"]) or any(_names(one, table) for table in _tables(case))
    ]
    if not long:
        return []
    worst = max(long, key=lambda one: one["seconds"])
    more = f" (and {len(long) - 1} more)" if len(long) > 1 else ""
    return [
        make(
            "database_long_statement",
            None,
            AFTERMATH,
            f"In {quote(worst.get('schema'))} a statement has been running for "
            f"{span(worst['seconds'])}{more}{busiest}: {quote(worst['text'])}",
            [f"database: statement {worst['id']}"],
            severity=CRITICAL if busiest else HIGH,
        )
    ]


def _table(case: Case, table: Mapping[str, Any], busiest: str) -> list[Finding]:
    name = quote(f"{table['schema']}.{table['table']}")
    rows, large = table.get("rows") or 0, table.get("bytes") or 0
    plugin = quote(table.get("plugin") or "a plugin")
    holds = f"{name} holds about {plural(rows, 'row')} ({size(large)}) of {plugin}"
    # What a statement has been at work on for so long is large, whatever the estimate says.
    worked_on = any(_names(one, table) for one in _running(case))
    if rows < case.limits["table_rows"] and (worked_on or large >= case.limits["table_bytes"]):
        holds += ", not counting rows that are deleted but not cleared away yet"
    rests_on = [f"database: table {name}"]
    unindexed = table.get("indexed") is False
    findings = []
    if worked_on or rows >= case.limits["table_rows"] or large >= case.limits["table_bytes"]:
        oldest = f", the oldest from {table['oldest'][:10]}" if table.get("oldest") else ""
        findings.append(
            make(
                "audit_table_large",
                None,
                AFTERMATH,
                f"{holds}{oldest}.",
                rests_on,
                # With an index the daily purge finds its rows.
                severity=None if unindexed else LOW,
            )
        )
    read = rows >= case.limits["unindexed_rows"] or large >= case.limits["unindexed_bytes"]
    if unindexed and (worked_on or read):
        findings.append(
            make(
                "audit_index_missing",
                None,
                AFTERMATH,
                f"{holds}, and its column {quote(table.get('purge_column'))} has no index: each "
                f"purge reads them all{busiest}.",
                rests_on,
                severity=CRITICAL if busiest else HIGH,
            )
        )
    return findings
