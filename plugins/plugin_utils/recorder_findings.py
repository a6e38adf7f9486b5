# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about what is missing to understand an attack later: a recorder, and logs long enough.

Who is not attacked needs neither, and evidence that does not tell is no sign that they lack.
"""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case, make
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    QUIET,
    Finding,
    mapping,
    plural,
    quote,
    span,
)


def find(case: Case, attacked: bool, in_trouble: bool) -> list[Finding]:
    """All of them, still without a verdict: that is the host's. ``attacked``: whether a site of the
    host is or was attacked; ``in_trouble``: whether the host runs out of what it needs."""
    found = _recorder(case) if attacked or in_trouble else []
    return found + (_logs(case) if attacked else [])


def _recorder(case: Case) -> list[Finding]:
    recorder = mapping(case.evidence.get("recorder"))
    program, interval = recorder.get("program"), recorder.get("interval")
    if recorder.get("active") is False:
        installed = f": {quote(program)} is installed and does not run" if program else ""
        message = (
            f"Nothing records processes, memory and I/O{installed}; what the host suffered from "
            "is gone when it is over."
        )
        title = None
    elif recorder.get("active") and interval and interval > case.limits["recorder_interval"]:
        message = (
            f"{quote(program)} takes one sample every {span(interval)}: a host that dies within a "
            "few minutes leaves no trace in it."
        )
        title = "The recorder takes samples too seldom"
    else:
        return []
    return [make("recorder_missing", None, QUIET, message, ["recorder: active"], title=title)]


def _logs(case: Case) -> list[Finding]:
    short = [
        row
        for row in case.part("log_rotation")
        if row.get("kept_days") is not None and row["kept_days"] < case.limits["logs_kept"]
    ]
    if not short:
        return []
    kept = "; ".join(
        f"{quote(row.get('server') or 'the web server')}'s for {plural(row['kept_days'], 'day')} "
        f"({quote(row['file'])})"
        for row in short
    )
    return [
        make(
            "logs_kept_short",
            None,
            QUIET,
            f"Of the access logs, logrotate keeps {kept}; an investigation needs "
            f"{plural(case.limits['logs_kept'], 'day')}.",
            [f"log_rotation: {quote(row['file'])}" for row in short],
        )
    ]
