# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the roles capacity, database and recorder worked out for a host, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_details import table
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    NOTHING,
    count,
    mapping,
    number,
    plural,
    rows,
    size,
    span,
    texts,
    whole,
)

_UNKNOWN_BEFORE = "?"
_INDEX = ("present", "missing", "created", None)


def _text(value: object) -> str:
    """A number or a word as it is; a dash where there is none."""
    return NOTHING if value is None or value == "" else str(value)


def _change(before: object, after: object) -> str:
    """``40 → 12``; one value alone where it stays."""
    if before == after or after is None:
        return f"{_text(before)}, kept"
    return f"{_text(before)} → {_text(after)}"


def _setting(row: Mapping[str, Any]) -> str:
    whose = f"pool {row['pool']} of " if row.get("pool") else ""
    return f"{_text(row.get('setting'))} of {whose}{_text(row.get('service'))}"


def _open_files(document: Mapping[str, Any], plan: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(service, before and after, unit) for each service that the plan is about."""
    seen = {
        (str(one.get("service")), str(one.get("unit"))): mapping(one.get("nofile"))
        for one in rows(mapping(mapping(document.get("evidence")).get("capacity")).get("services"))
    }
    lines = []
    for service in rows(plan.get("services")):
        limits = seen.get((str(service.get("service")), str(service.get("unit"))), {})
        lowest, highest = number(limits.get("lowest")), number(limits.get("highest"))
        before = count(lowest) if lowest is not None else _UNKNOWN_BEFORE
        if highest is not None and highest != lowest:
            before += f" to {count(highest)}"
        wanted = number(service.get("nofile"))
        after = before if wanted is None else count(wanted)
        lines.append(
            (_text(service.get("service")), _change(before, after), _text(service.get("unit")))
        )
    return lines


def capacity(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arithmetic, the workers and the open files that follow from it; None where role capacity
    did not run."""
    plan = mapping(document.get("capacity_plan"))
    if not plan:
        return None
    predicted = mapping(plan.get("predicted")).get("bytes")
    arithmetic = table(
        "The arithmetic",
        ("What", "Memory", "How"),
        (
            (_text(one.get("what")), size(one.get("bytes")), _text(one.get("how")))
            for one in rows(plan.get("arithmetic"))
        ),
        (1,),
    )
    workers = table(
        "Workers",
        ("Setting", "Before → after", "Each takes", "Why"),
        (
            (
                _setting(one),
                _change(one.get("before"), one.get("after")),
                size(one.get("each") or None),
                _text(one.get("reason")),
            )
            for one in rows(plan.get("workers"))
        ),
        (2,),
    )
    files = table(
        "Open files of each process",
        ("Service", "Before → after", "Unit"),
        _open_files(document, plan),
    )
    return {
        "refusal": plan.get("refusal") or "",
        "predicted": size(predicted) if number(predicted) else "",
        "tables": [one for one in (arithmetic, workers, files) if one["rows"]],
    }


def _index(row: Mapping[str, Any]) -> str:
    """In one word; the module says why there is none in a sentence."""
    return _text(row.get("index")) if row.get("index") in _INDEX else "not made"


def _remark(row: Mapping[str, Any]) -> str:
    """What was in the way; where nothing was done yet, how long it would take."""
    words = [str(row["index"])] if row.get("index") not in _INDEX else []
    words += [str(row["stopped"])] if row.get("stopped") else []
    words += [
        f"A statement of {one.get('user')} had been changing it for {span(one.get('seconds'))}"
        f"{' and was killed' if killed else ''}."
        for killed, name in ((False, "running"), (True, "killed"))
        for one in rows(row.get(name))
    ]
    estimated = mapping(row.get("estimated_seconds"))
    if not row.get("batches"):
        words += [
            f"The {what} takes about {span(estimated[what])}."
            for what in ("index", "purge")
            if number(estimated.get(what))
        ]
    return " ".join(words) or NOTHING


def log_tables(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was done to the plugins' log tables; None where role database found none or did not
    run."""
    found = rows(document.get("database_tables"))
    if not found:
        return None
    return table(
        "",
        (
            *("Table", "Rows before", "Index", "Deleted", "Remaining", "Longest batch", "Took"),
            "Remark",
        ),
        (
            (
                f"{one.get('schema')}.{one.get('table')}",
                count(one.get("rows_before")),
                _index(one),
                count(one.get("deleted")),
                count(one.get("remaining")),
                _milliseconds(one.get("longest_batch_ms")),
                span(one.get("seconds")) if number(one.get("seconds")) else NOTHING,
                _remark(one),
            )
            for one in found
        ),
        (1, 3, 4, 5, 6),
    )


def _milliseconds(value: object) -> str:
    return f"{count(value)} ms" if number(value) else NOTHING


def recorder(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recorder and how long web logs are kept; None where role recorder did not run, or left
    everything as it was."""
    plan = mapping(document.get("recorder_plan"))
    values, estimates = mapping(plan.get("values")), mapping(plan.get("estimates"))
    disk = mapping(estimates.get("recorder"))
    said = ""
    if plan.get("set_up") is True:
        said = f"{plan.get('program')} takes a sample every {span(values.get('interval'))}"
        if number(disk.get("days")):
            said += (
                f" and keeps {plural(whole(disk['days']), 'day')}: about {size(disk.get('bytes'))}"
                f" of the {size(disk.get('disk_available'))} that {disk.get('mount')} has left"
            )
        said += "."
    logs = table(
        "Access logs that logrotate keeps longer",
        ("File", "Logs", "Days before → after", "Takes more"),
        (
            (
                _text(one.get("file")),
                ", ".join(texts(one.get("patterns"))) or NOTHING,
                _change(one.get("days_before"), one.get("days")),
                size(one.get("bytes")),
            )
            for one in rows(estimates.get("logs"))
        ),
        (3,),
    )
    return {"said": said, "logs": logs} if said or logs["rows"] else None
