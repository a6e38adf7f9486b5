# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of a run: for a machine, for the exit code, and for whoever resumes it."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from wpward.live_arguments import UsageError
from wpward.live_events import NOT_DONE, PROVEN, RunState

FILE = "wpward-run.json"
_SCHEMA = 1
INTERRUPTED = 130


def exit_code(state: RunState, code: int | None, interrupted: bool) -> int:
    """The exit code of the command; ``code`` is ansible-playbook's."""
    if interrupted:
        return INTERRUPTED
    outcomes = {host.outcome for host in state.hosts.values()}
    if outcomes & NOT_DONE:
        return 2
    if outcomes & {"unreachable", "not_reached"}:
        return 4
    return {0: 0, 2: 2, 4: 4}.get(code if code is not None else 1, 1)


def document(state: RunState, run: str, code: int | None, started: float) -> dict[str, Any]:
    """The result as plain data.

    Args:
        state: what is known of the hosts.
        run: the run's name; empty where nothing could be changed.
        code: the exit code of the command, None while it runs.
        started: seconds since the epoch.
    """
    return {
        "schema": _SCHEMA,
        "command": state.command,
        "run": run or None,
        "started_at": _utc(started),
        "ended_at": _utc(time.time()),
        "exit_code": code,
        "interrupted": code == INTERRUPTED,
        "report": state.report or None,
        "hosts": {
            host.name: {
                "outcome": host.outcome,
                "verdict": host.verdict or None,
                "failure": host.failure if host.outcome in NOT_DONE | {"unreachable"} else None,
                "unreachable": host.unreachable,
                "first_aid_until": host.first_aid or None,
            }
            for host in state.hosts.values()
        },
    }


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def write(path: Path, result: dict[str, Any]) -> None:
    """Write a result where only its owner can read it. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def keep(directory: Path, result: dict[str, Any], instead_of: Path | None = None) -> None:
    """Leave a result beside a run's report, for --resume. Raises OSError.

    Args:
        directory: of the report.
        result: what `document` returned.
        instead_of: where it was expected when the run began.
    """
    if instead_of and instead_of.resolve() != directory.resolve():
        drop(instead_of)
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    write(directory / FILE, result)


def drop(directory: Path) -> None:
    """Take a result away again, and the directory where there is nothing else in it."""
    with suppress(OSError):
        (directory / FILE).unlink(missing_ok=True)
        directory.rmdir()


def amend(page: Path, state: RunState) -> None:
    """Tell in the run's report what became of the hosts that were interrupted. Raises OSError."""
    # It brings the templates of the page along, which only an interrupted run needs.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.fleet_report import BEGUN
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_directory import (
        documents_in,
        save_document,
        save_page,
    )

    said = {
        "rolled_back": "The run was interrupted, and what it had changed here is put back.",
        "rollback_failed": "The run was interrupted; the host puts back by itself what it changed.",
        "interrupted": "The run was interrupted before it changed anything here.",
    }
    for one in documents_in(page.parent):
        host = state.hosts.get(one["host"])
        if host and one.get("outcome") == BEGUN and host.outcome in said:
            outcome = "failed" if host.outcome == "interrupted" else host.outcome
            save_document(page.parent, one | {"outcome": outcome, "failure": said[host.outcome]})
    save_page(page.parent)


def unproven(where: str, reports: Path) -> tuple[Path, list[str], list[str]]:
    """The run to resume: its directory, the hosts to go on with, and those to leave for later.

    As the first of a rollout, a host that never answered would end it again: such hosts are left
    for later, as long as there are others.

    Args:
        where: the directory of the run's report; empty for the newest one.
        reports: the directory of all reports.

    Raises:
        UsageError: there is no such run, or nothing is known of its hosts.
    """
    directory = Path(where) if where else _newest(reports)
    outcomes = _outcomes(directory)
    if not outcomes:
        raise UsageError(f"{directory} names no host of a run; name the directory of its report")
    left = [name for name, outcome in outcomes.items() if outcome not in PROVEN]
    silent = [name for name in left if outcomes[name] == "unreachable"]
    first = [name for name in left if name not in silent]
    return (directory, first, silent) if first else (directory, silent, [])


def _newest(reports: Path) -> Path:
    found = list(reports.glob(f"*/{FILE}"))
    if not found:
        raise UsageError(
            f"there is no run to resume in {reports}; name the directory of its report: "
            "--resume DIRECTORY"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent


def _outcomes(directory: Path) -> dict[str, str]:
    """What is known of each host: from the run's result, else from the hosts' own documents."""
    found = {}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        result = json.loads((directory / FILE).read_text(encoding="utf-8"))
        found = {name: str(host["outcome"]) for name, host in result["hosts"].items()}
    if found:
        return found
    # This program was killed, or the playbook was run without it.
    for path in sorted(directory.glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads(path.read_text(encoding="utf-8"))
            found[str(document["host"])] = str(document["outcome"])
    return found
