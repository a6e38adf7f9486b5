# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# pathlib knows neither open directories nor names that are bytes, so it is not mixed in here.
# ruff: noqa: PTH110, PTH112, PTH118
"""The write-ahead journal of a host: how a transaction begins, and how it is undone.

Layout of the state directory (0700, root)::

    lock                              flock, with the holder's name for the one who waits
    rollback.py                       the program of journal_program.py, in one file
    runs/RUN/run.json                 state of the run and its deadline
    runs/RUN/NNN-ROLE/STATE.json      the manifest; its name is the transaction's state
    runs/RUN/NNN-ROLE/originals/N     the files as they were, with every attribute

A transaction's state is its manifest's file name, because a rename is atomic and needs no disk
space: a host whose disk is full can still be put back. For the same reason an original is moved
back into place rather than copied, wherever it lies on the same file system.
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import sys
import time
from typing import ContextManager, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    PROGRAM,
    STATE_DIRECTORY,
    Conflict,
    Json,
    Refused,
    check_name,
    now,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_command import (
    complaint,
    run_command,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import (
    read_text,
    write_text,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_lock import (
    LOCK_SECONDS,
    hold_lock,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_runs import (
    CONFIRMED,
    OPEN,
    STUCK,
    Runs,
    fate,
    is_temporary,
    seconds_left,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_timer import (
    SystemdTimer,
    Timer,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_transaction import (
    ACTIVE,
    APPLIED,
    APPLYING,
    FORGOTTEN,
    ROLLED_BACK,
    Transaction,
)

_EXPIRE_LOCK_SECONDS = 3600.0
_EXPIRE_ATTEMPTS = 20
_EXPIRE_PAUSE = 30.0
_MAX_SECONDS = 86400


class Outcome:
    """What an undo did: files, commands, and what kept it from being whole."""

    def __init__(self) -> None:
        self.transactions: list[str] = []
        self.files: list[Json] = []
        self.commands: list[Json] = []
        self.packages: list[str] = []
        self.conflicts: list[str] = []
        self.problems: list[str] = []

    @property
    def failures(self) -> list[str]:
        """One sentence for each thing that the operator must look at."""
        return self.conflicts + self.problems


class Journal:
    """The state directory of one host. Every method but `status` and `expire` wants `lock` held."""

    def __init__(self, directory: str = STATE_DIRECTORY, timer: Timer | None = None) -> None:
        self.directory = directory
        self.timer: Timer = SystemdTimer(directory) if timer is None else timer
        self.runs = Runs(os.path.join(directory, "runs"))

    @property
    def exists(self) -> bool:
        """Whether wpward ever changed this host."""
        return os.path.isdir(self.directory)

    @property
    def program(self) -> str:
        """Path of the rollback program on this host."""
        return os.path.join(self.directory, PROGRAM)

    def lock(
        self, purpose: str, seconds: float = LOCK_SECONDS, create: bool = True
    ) -> ContextManager[None]:
        """Hold this host's one lock; see `hold_lock`."""
        return hold_lock(self.directory, purpose, seconds, create)

    def install_program(self, source: str) -> None:
        """Keep the rollback program on the host, to be started by the operator or the timer."""
        text = f"#!{sys.executable} -I\n{source}"
        if not os.path.exists(self.program) or read_text(self.program) != text:
            write_text(self.program, text, 0o700)

    # --- beginning ---

    def refuse_other_run(self, run: str) -> None:
        """Raise `Refused` while another run waits, or if this one has already been undone."""
        record = self.runs.waiting()
        if record and record["run"] != run:
            raise Refused(
                f"{fate(record)} Confirm it or roll it back (python3 {self.program} rollback "
                f"--run {record['run']}), then start run {run} again."
            )
        own = self.runs.load(run)
        if own and own["state"] not in (OPEN, CONFIRMED):
            raise Refused(fate(own) + " Start again with a new run id.")

    def begin(
        self,
        manifest: Json,
        confirm_within: int,
        originals: Sequence[bytes],
        temporary: bool = False,
    ) -> Transaction:
        """Write a transaction's journal down to the disk; nothing else has changed yet.

        ``manifest``: run, role, files, directories, validate, activate, packages. ``originals``:
        each file's content, in the same order. ``temporary``: see `Runs.open`. Raises `Refused`,
        OSError.
        """
        run, role = manifest["run"], check_name("Role", manifest["role"])
        self.runs.open(run, confirm_within, temporary)
        numbers = [int(item.name[:3]) for item in self.runs.transactions(run, None)]
        name = f"{1 + max(numbers or [0]):03d}-{role}"
        transaction = Transaction(os.path.join(self.runs.path(run), name))
        transaction.write(dict(manifest, at=now()), originals)
        return transaction

    def arm(self, seconds: int) -> None:
        """Start the dead man's timer anew, for a run that has ``seconds`` left, or for another that
        has less; raises `Refused`, OSError."""
        expiring = self.runs.expiring()
        left = [math.ceil(seconds_left(record)) + 1 for record in expiring]
        # What is temporary ends by the clock, however often the host is started anew.
        ends = [float(one["deadline_epoch"]) for one in expiring if is_temporary(one)]
        self.timer.arm(min([seconds, *left]), min(ends, default=None))

    # --- undoing ---

    def recover(self) -> Outcome:
        """Undo what an interrupted process left half done, and tidy up after it."""
        outcome = self._undo(self.runs.unfinished())
        self._tidy(outcome)
        return outcome

    def abort(self, transaction: Transaction, activated: bool) -> Outcome:
        """Undo the transaction that is being applied; its record goes too."""
        outcome = self._undo([transaction], activated)
        self._tidy(outcome)
        return outcome

    def roll_back(
        self, run: str | None = None, role: str | None = None, reason: str = "rolled back"
    ) -> Outcome:
        """Undo the transactions of a run, of a role, of both, or all of them; newest first.

        Where somebody else changed a file, that transaction and the run's older ones are left.
        What was interrupted is undone in any case.
        """
        outcome = self._undo(self.chosen(run, role))
        self._tidy(outcome, reason)
        return outcome

    def chosen(self, run: str | None = None, role: str | None = None) -> list[Transaction]:
        """Return what `roll_back` would undo, the newest first."""
        if run is not None:
            check_name("Run", run)
        if role is not None:
            check_name("Role", role)
        return [
            transaction
            for record in self.runs.all()
            for transaction in self.runs.transactions(record["run"])
            if transaction.state != APPLIED
            or (run in (None, transaction.run) and role in (None, transaction.role))
        ]

    def _undo(self, transactions: Sequence[Transaction], activate: bool = True) -> Outcome:
        outcome = Outcome()
        restored: list[Transaction] = []
        stopped: list[str] = []
        for transaction in transactions:
            if transaction.run in stopped:
                continue
            try:
                outcome.files += transaction.restore()
                restored.append(transaction)
            except Conflict as error:
                outcome.conflicts.append(str(error) + self._hint(transaction, restored))
                stopped.append(transaction.run)
            except (Refused, OSError) as error:
                why = sentence(error)
                outcome.problems.append(f"Transaction {transaction} cannot be put back: {why}")
                stopped.append(transaction.run)
        if activate:
            self._activate(restored, outcome)
        for transaction in restored:
            outcome.transactions.append(str(transaction))
            outcome.packages += transaction.manifest["packages"]
            try:
                if transaction.state == APPLYING:
                    transaction.discard()
                else:
                    transaction.become(ROLLED_BACK)
            except OSError as error:
                outcome.problems.append(
                    f"Transaction {transaction} is put back, but its record is not closed: "
                    f"{sentence(error)}"
                )
        return outcome

    def _hint(self, transaction: Transaction, restored: Sequence[Transaction]) -> str:
        """Name a later transaction that holds the same file, since it has to go first."""
        files = {entry["real"] for entry in transaction.manifest["files"]}
        undone = [item.directory for item in restored]
        for later in self.chosen():
            if later.directory == transaction.directory:
                break
            if later.directory not in undone and files & {
                entry["real"] for entry in later.manifest["files"]
            }:
                return f" Transaction {later} changed it later: roll that back first."
        return ""

    def _activate(self, transactions: Sequence[Transaction], outcome: Outcome) -> None:
        """Let the services take up the restored files: every command once."""
        for key in ("validate", "activate"):
            seen: list[list[str]] = []
            for transaction in transactions:
                seen += [argv for argv in transaction.manifest[key] if argv not in seen]
            for argv in seen:
                result = run_command(argv)
                outcome.commands.append(result)
                if result["rc"] != 0:
                    outcome.problems.append(f"The files are back, but {complaint(result)}")
                    return

    def _tidy(self, outcome: Outcome, reason: str = "rolled back") -> None:
        """Close the runs that have nothing left to undo, and the timer with the last open one."""
        for name in self.runs.names():
            found = self.runs.transactions(name, None)
            for transaction in found:
                if not transaction.state:
                    transaction.discard()
            if [item for item in found if item.state in ACTIVE]:
                continue
            record = self.runs.recorded(name)
            if record is None or not [item for item in found if item.state]:
                shutil.rmtree(self.runs.path(name))
            elif record["state"] in (OPEN, STUCK, CONFIRMED):
                self._close(record, ROLLED_BACK, reason, outcome)
        if not self.runs.expiring():
            try:
                self.timer.disarm()
            except (Refused, OSError) as error:
                outcome.problems.append(sentence(error))

    def _close(self, record: Json, state: str, reason: str, outcome: Outcome) -> None:
        record.update(state=state, reason=reason, closed_at=now())
        try:
            self.runs.save(record)
        except OSError as error:
            # What is undone is undone: the manifests' names say so without this record.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            outcome.problems.append(
                f"The record of run {record['run']} could not be written: {sentence(error)}."
            )

    # --- ending ---

    def confirm(self, run: str) -> tuple[bool, list[str]]:
        """Keep what a run changed; return whether that was news, and warnings.

        Raises `Refused` if the run was rolled back, or was interrupted and is so now.
        """
        record = self._to_confirm(run)
        if record is None:
            return False, []
        outcome = self.recover()
        if outcome.failures or outcome.transactions:
            what = " ".join(outcome.failures) or ", ".join(outcome.transactions) + " is undone"
            raise Refused(f"Run {run} was interrupted ({what}), so it is not confirmed.")
        record.update(state=CONFIRMED, closed_at=now())
        self.runs.save(record)
        if self.runs.expiring():
            # The timer may fire for this run; then it is set for the one that is left.
            return True, []
        try:
            self.timer.disarm()
        except (Refused, OSError) as error:
            # The timer finds nothing to do when it fires, and removes itself then.
            return True, [sentence(error)]
        return True, []

    def would_confirm(self, run: str) -> bool:
        """Tell whether `confirm` would change anything; raises `Refused` where it would."""
        return self._to_confirm(run) is not None

    def _to_confirm(self, run: str) -> Json | None:
        record = self.runs.load(run)
        if record is None or record["state"] == CONFIRMED:
            return None
        if record["state"] != OPEN:
            raise Refused(fate(record))
        return record

    def forget(self, run: str) -> list[str]:
        """Close a run's transactions without touching a file; return their names."""
        if self.runs.load(run) is None:
            raise Refused(f"There is no run {run} on this host.")
        found = self.runs.transactions(run)
        for transaction in found:
            transaction.become(FORGOTTEN)
        outcome = Outcome()
        self._tidy(outcome, "forgotten")
        if outcome.failures:
            raise Refused(" ".join(outcome.failures))
        return [transaction.name for transaction in found]

    def expire(self, pause: float = _EXPIRE_PAUSE) -> str:
        """Roll back the runs that are past their deadline: what the dead man's timer starts.

        Takes the lock itself. Tries again, ``pause`` seconds later and a bounded number of times,
        where the system is in the way (a full disk), never where a person is (an edited file).
        Returns a sentence; raises `Refused`, OSError.
        """
        done: list[str] = []
        problems: list[str] = []
        attempts = 0
        while attempts < _EXPIRE_ATTEMPTS:
            with self.lock("expire", _EXPIRE_LOCK_SECONDS):
                # Of several that are due the newest goes first.
                record = min(self.runs.expiring(), key=seconds_left, default=None)
                if record is None:
                    self.recover()
                    return " ".join(done) or "No run waits for its confirmation."
                left = seconds_left(record)
                if left and is_temporary(record):
                    self._watch_on()
                    return " ".join([*done, fate(record)])
                # A transaction that came while this process waited has moved the deadline.
                if not left:
                    attempts += 1
                    problems = self._expire(record)
                    if not self.runs.transactions(record["run"]):
                        end = "is over" if is_temporary(record) else "was not confirmed in time"
                        done.append(f"Run {record['run']} {end}, and is rolled back.")
                        if problems:
                            self._watch_on()
                            raise Refused(" ".join([*done, *problems]))
                        attempts = 0
                        continue
            time.sleep(left or pause)
        raise Refused("The unconfirmed run could not be rolled back: " + " ".join(problems))

    def _watch_on(self) -> None:
        """Set the timer, which has fired, for the runs that are left."""
        if self.runs.expiring():
            self.arm(_MAX_SECONDS)

    def _expire(self, record: Json) -> list[str]:
        """Roll one run back, once; return problems that may pass, raise `Refused` on conflicts."""
        outcome = self.roll_back(record["run"], reason="expired")
        if outcome.conflicts:
            self._close(record, STUCK, " ".join(outcome.conflicts), outcome)
            self._tidy(outcome)
            self._watch_on()
            raise Refused(" ".join([fate(record), *outcome.problems]))
        return outcome.problems

    def status(self) -> list[str]:
        """Return one sentence or two for each run, the newest first."""
        lines = []
        for record in self.runs.all():
            names = [
                f"{item.name} {item.state.replace('_', ' ')}"
                for item in reversed(self.runs.transactions(record["run"], None))
                if item.state
            ]
            lines.append(f"{fate(record)} Transactions: {', '.join(names) or 'none'}.")
        return lines
