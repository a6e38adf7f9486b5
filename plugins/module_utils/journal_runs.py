# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# pathlib knows neither open directories nor names that are bytes, so it is not mixed in here.
# ruff: noqa: PTH102, PTH118, PTH208
"""The records of the runs: which there are, what state they are in, when they expire."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Json,
    Refused,
    check_name,
    is_name,
    iso,
    now,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import (
    SCHEMA,
    read_json,
    read_text,
    sync_directory,
    write_text,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_transaction import (
    ACTIVE,
    APPLYING,
    ROLLED_BACK,
    ROLLING_BACK,
    Transaction,
)

OPEN, CONFIRMED, STUCK = "open", "confirmed", "stuck"

_KEPT_RECORDS = 20


class Runs:
    """The directory with one subdirectory for each run."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, run: str) -> str:
        """Return a run's directory; raises `Refused` for a name that cannot be one."""
        return os.path.join(self.directory, check_name("Run", run))

    def names(self) -> list[str]:
        """Return the names of the runs, in no order."""
        try:
            return [name for name in os.listdir(self.directory) if is_name(name)]
        except FileNotFoundError:
            return []

    def recorded(self, run: str) -> Json | None:
        """Return a run's record as it was last written."""
        try:
            return read_json(os.path.join(self.path(run), "run.json"))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def load(self, run: str) -> Json | None:
        """Return a run's record, None if there is none."""
        record = self.recorded(run)
        if record and record["state"] == OPEN:
            # A full disk can keep the record from being closed; the manifests' names still tell.
            states = [transaction.state for transaction in self.transactions(run, None)]
            if states and not [state for state in states if state in ("", *ACTIVE)]:
                record.update(
                    state=ROLLED_BACK, reason="rolled back", closed_at="a time not recorded"
                )
        return record

    def save(self, record: Json) -> None:
        """Write a run's record, durably."""
        path = os.path.join(self.path(record["run"]), "run.json")
        write_text(path, json.dumps(dict(record, schema=SCHEMA), indent=1, sort_keys=True))

    def all(self) -> list[Json]:
        """Return the records of all runs, the newest first."""
        records = [self.load(name) for name in self.names()]
        return sorted((r for r in records if r), key=lambda r: int(r["sequence"]), reverse=True)

    def transactions(self, run: str, states: Sequence[str] | None = ACTIVE) -> list[Transaction]:
        """Return a run's transactions in the given states (None: any), the newest first."""
        path = self.path(run)
        try:
            names = sorted((name for name in os.listdir(path) if name[:3].isdigit()), reverse=True)
        except FileNotFoundError:
            return []
        found = [Transaction(os.path.join(path, name)) for name in names]
        return [item for item in found if states is None or item.state in states]

    def expiring(self) -> list[Json]:
        """Return the records of the runs that have a deadline, the newest first."""
        return [
            record
            for record in self.all()
            if record["state"] == OPEN and self.transactions(record["run"])
        ]

    def waiting(self) -> Json | None:
        """Return the record of the run that waits for its confirmation, None without one."""
        return next((one for one in self.expiring() if not is_temporary(one)), None)

    def unfinished(self) -> list[Transaction]:
        """Return the transactions that something interrupted, the newest first."""
        return [
            transaction
            for record in self.all()
            for transaction in self.transactions(record["run"], (APPLYING, ROLLING_BACK))
        ]

    def open(self, run: str, confirm_within: int, temporary: bool = False) -> None:
        """Open a run, or push an open one's deadline back; raises `Refused` if it is closed.

        A temporary run ends at its deadline, and lets others change the host until then.
        """
        record = self.load(run)
        if record and record["state"] != OPEN:
            raise Refused(fate(record) + " Start again with a new run id.")
        if record is None:
            self._prune()
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path(run), 0o700)
            sync_directory(self.directory)
            sequence = 1 + max([int(other["sequence"]) for other in self.all()] or [0])
            record = {"run": run, "state": OPEN, "sequence": sequence, "opened_at": now()}
        record["confirm_within"] = confirm_within
        record["temporary"] = temporary
        record["deadline"] = iso(time.time() + confirm_within)
        record["deadline_epoch"] = time.time() + confirm_within
        record["boot"] = _boot()
        record["deadline_monotonic"] = time.monotonic() + confirm_within
        self.save(record)

    def _prune(self) -> None:
        """Drop the oldest records of what was rolled back; what can be undone always stays."""
        closed = [record["run"] for record in self.all() if not self.transactions(record["run"])]
        for run in closed[_KEPT_RECORDS:]:
            shutil.rmtree(self.path(run))


def seconds_left(record: Json) -> float:
    """Return the seconds until a run's deadline; 0 once it is due.

    The timer counts from the boot after a reboot, so its word is enough then; but it may have been
    set for another run than a temporary one, which goes by the clock. Otherwise the monotonic clock
    decides: nobody can set that one.
    """
    if record["boot"] != _boot():
        if is_temporary(record):
            return max(0.0, float(record["deadline_epoch"]) - time.time() - 1.0)
        return 0.0
    # The timer's own accuracy is a second.
    return max(0.0, float(record["deadline_monotonic"]) - time.monotonic() - 1.0)


def is_temporary(record: Json) -> bool:
    """Return whether a run ends by itself and nobody is meant to confirm it."""
    # Runs of an older version have no word of it.
    return bool(record.get("temporary"))


def fate(record: Json) -> str:
    """Tell in one sentence what became of a run."""
    run, state = record["run"], record["state"]
    if state == OPEN:
        opened, deadline = record["opened_at"], record["deadline"]
        if is_temporary(record):
            return f"Run {run} is temporary, since {opened}; it is rolled back at {deadline}."
        return (
            f"Run {run} is open since {opened} and is rolled back at {deadline} unless confirmed."
        )
    closed = record["closed_at"]
    if state == CONFIRMED:
        return f"Run {run} was confirmed at {closed}."
    reason = record["reason"]
    if state == STUCK:
        return (
            f"Run {run} was not confirmed in time, and at {closed} it could not be rolled back "
            f"whole: {reason}"
        )
    why = " because it was not confirmed in time" if reason == "expired" else ""
    what = "forgotten" if reason == "forgotten" else "rolled back"
    return f"Run {run} was {what} at {closed}{why}."


def _boot() -> str:
    return read_text("/proc/sys/kernel/random/boot_id").strip()
