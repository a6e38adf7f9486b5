# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The document that is kept of one host: what was seen, judged, changed and proven."""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping
from typing import Any

SCHEMA = 2
_KEPT_OF_A_RESULT = (
    "changed",
    "commands",
    "deadline",
    "failed",
    "files",
    "msg",
    "packages",
    "role",
    "run",
    "skipped",
    "transaction",
)


def _lines_of(text: object) -> list[str]:
    return text.splitlines() if isinstance(text, str) else []


def diff_summary(diffs: object) -> list[dict[str, Any]]:
    """How many lines each file of Ansible's ``diff`` gained and lost, without any of its text:
    configuration files hold secrets."""
    found = []
    for one in diffs if isinstance(diffs, list) else [diffs]:
        if not isinstance(one, Mapping) or "after" not in one:
            continue
        # The transaction adds the mode in brackets where it differs.
        header = str(one.get("after_header") or one.get("before_header") or "").partition(" (")[0]
        codes = difflib.SequenceMatcher(
            None, _lines_of(one.get("before")), _lines_of(one.get("after")), autojunk=False
        ).get_opcodes()
        changed = [code for code in codes if code[0] != "equal"]
        found.append(
            {
                "path": header,
                "added": sum(after_end - after for *_rest, after, after_end in changed),
                "removed": sum(end - start for _tag, start, end, *_rest in changed),
            }
        )
    return found


def _remedy(result: object) -> dict[str, Any] | None:
    if not isinstance(result, Mapping) or not result:
        return None
    kept = {key: result[key] for key in _KEPT_OF_A_RESULT if key in result}
    summary = diff_summary(result.get("diff"))
    return {**kept, "diff_summary": summary} if summary else kept


def _checks(result: object, seen: object) -> dict[str, Any] | None:
    if not isinstance(result, Mapping) or not result:
        return None
    by_vantage = {
        vantage: run["endpoints"]
        for vantage, run in (seen.items() if isinstance(seen, Mapping) else ())
        if isinstance(run, Mapping) and "endpoints" in run
    }
    return {**result, "endpoints": by_vantage}


def _tables(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One dictionary per table: the last call's, with what only an earlier one did."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in calls:
        key = (str(row.get("schema")), str(row.get("table")))
        before = found.get(key, {})
        found[key] = {**before, **row}
        # A later call finds the index that an earlier one has made.
        if before.get("index") == "created":
            found[key]["index"] = "created"
        if "rows_before" in before:
            found[key]["rows_before"] = before["rows_before"]
    return list(found.values())


def host_document(
    host: str,
    *,
    run: str | None,
    outcome: str,
    failure: str,
    evidence: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None,
    remedies: Mapping[str, Any],
    checks: Mapping[str, Any] | None,
    seen: Mapping[str, Any] | None = None,
    notes: list[str] | None = None,
    capacity_plan: Mapping[str, Any] | None = None,
    database_tables: list[dict[str, Any]] | None = None,
    recorder_plan: Mapping[str, Any] | None = None,
    written: float | None = None,
) -> dict[str, Any]:
    """Put the document together.

    Args:
        host: the inventory's name for it.
        run: the run's id, None where nothing could be changed.
        outcome: what came of it, as the report role names it.
        failure: why, where it went wrong; else empty.
        evidence: what the probe returned.
        plan: what the filter ``plan`` made of it.
        remedies: by role, what its transaction returned.
        checks: what the filter ``verify_result`` returned.
        seen: what ``http_checks`` returned, by vantage.
        notes: sentences of the remedies for the operator.
        capacity_plan: what the filter ``capacity_plan`` made of the evidence.
        database_tables: the tables that ``log_tables`` returned, of all of its calls in order.
        recorder_plan: what the filter ``recorder_plan`` made of the evidence.
        written: seconds since the epoch; now, unless given.
    """
    moment = time.gmtime(time.time() if written is None else written)
    return {
        "schema": SCHEMA,
        "host": host,
        "run": run or None,
        "outcome": outcome,
        "failure": failure or "",
        "written_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        "evidence": evidence or None,
        "plan": plan or None,
        "remedies": {role: _remedy(result) for role, result in remedies.items()},
        "checks": _checks(checks, seen),
        "notes": notes or [],
        "capacity_plan": capacity_plan or None,
        "database_tables": _tables(database_tables or []) or None,
        "recorder_plan": recorder_plan or None,
    }
