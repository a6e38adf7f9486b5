# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What came of a run: for a machine, for the exit code, and for whoever resumes it."""

from __future__ import annotations

import json
import os
import time
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


def document(state: RunState, run: str, code: int, started: float) -> dict[str, Any]:
    """The result as plain data.

    Args:
        state: what is known of the hosts.
        run: the run's name; empty where nothing could be changed.
        code: the exit code of the command.
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


def keep(directory: Path, result: dict[str, Any]) -> None:
    """Leave a result beside a run's report, for --resume. Raises OSError."""
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    write(directory / FILE, result)


def unproven(where: str, reports: Path) -> tuple[str, list[str]]:
    """The run to resume and its hosts that are not proven.

    Args:
        where: the directory of the run's report; empty for the newest one.
        reports: the directory of all reports.

    Raises:
        UsageError: there is no such run, or its result cannot be read.
    """
    if where:
        file = Path(where) / FILE
    else:
        found = sorted(reports.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime)
        if not found:
            raise UsageError(
                f"there is no run to resume under {reports}; name the directory of its report: "
                "--resume DIRECTORY"
            )
        file = found[-1]
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        hosts = {name: host["outcome"] for name, host in result["hosts"].items()}
        run = str(result["run"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no result of a run"
        raise UsageError(f"{file} cannot be read: {why}") from error
    return run, [name for name, outcome in hosts.items() if outcome not in PROVEN]
