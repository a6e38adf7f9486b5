# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of logrotate's numbers have to be raised so that access logs are kept long enough."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.disk_allowance import Allowance
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import quote

Row = Mapping[str, Any]
_NAMED = 4


@dataclass
class Retention:
    """``entries``: files of a transaction. ``logs``: what is raised, for the report."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def retention(evidence: Row, days: int, allowance: Allowance) -> Retention:
    """``days``: for how long access logs shall be kept; 0 leaves them alone."""
    found = Retention()
    if not days:
        return found
    rows = evidence.get("log_rotation") or ()
    for row in rows:
        _raise(row, days, allowance, found)
    covered = {log for row in rows for log in row.get("logs") or ()}
    others = sorted(
        {
            log["path"]
            for vhost in evidence.get("vhosts") or ()
            for log in vhost.get("access_logs") or ()
            if log["path"].startswith("/") and log["path"] not in covered
        }
    )
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        found.notes.append(
            f"No file of logrotate's names {quote(', '.join(others[:_NAMED]))}{more}: how long "
            f"that is kept is not known here; see to it that it is kept for {days} days."
        )
    return found


def _raise(row: Row, days: int, allowance: Allowance, found: Retention) -> None:
    kept = row.get("kept_days")
    if kept is None or kept >= days:
        return
    named = quote(", ".join(row["patterns"]))
    if row["rotate"] == 0:
        found.notes.append(
            f"{quote(row['file'])} keeps no rotated file of {named} at all (rotate 0); that is "
            "left so."
        )
        return
    if row.get("refusal"):
        found.refusals.append(f"{named} stays at {kept} days: {quote(row['refusal'])}")
        return
    size = row["bytes_per_day"] * (days - kept)
    if not allowance.take(row, size):
        found.refusals.append(
            f"{named} stays at {kept} days: {days} days {allowance.short(row, size)}."
        )
        return
    edits = _edits(row, days)
    if not edits:
        found.notes.append(
            f"{named} is kept for {kept} days only, by a maxage outside of {quote(row['file'])}; "
            "raise it there."
        )
        return
    _add(found.entries, row, edits)
    found.logs.append(
        {
            "file": row["file"],
            "patterns": list(row["patterns"]),
            "days_before": kept,
            "days": days,
            "bytes": size,
        }
    )


def _edits(row: Row, days: int) -> list[dict[str, Any]]:
    edits = []
    wanted = math.ceil(days / row["period_days"])
    if wanted > row["rotate"]:
        edits.append(_edit(row["edit"], wanted))
    oldest = row.get("max_age")
    if oldest and oldest["value"] < days:
        edits.append(_edit(oldest, days))
    return edits


def _edit(place: Row, number: int) -> dict[str, Any]:
    return {
        "offset": place["offset"],
        "remove": place["length"],
        "insert": f"{place.get('before', '')}{number}",
    }


def _add(entries: list[dict[str, Any]], row: Row, edits: list[dict[str, Any]]) -> None:
    """A file with several sections is one entry."""
    for entry in entries:
        if entry["path"] == row["file"]:
            entry["edits"] += edits
            return
    entries.append({"path": row["file"], "sha256": row["sha256"], "edits": edits})
