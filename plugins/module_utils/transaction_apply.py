# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One change set, applied under the journal's protection: wholly or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal, Outcome
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Json,
    Refused,
    check_name,
    encode,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_command import (
    complaint,
    run_command,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import (
    write_new,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_runs import CONFIRMED, OPEN
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_transaction import (
    APPLIED,
    Transaction,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_plan import (
    ABSENT,
    Change,
    differences,
    plan,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_program import (
    program_source,
)

_CHECK_SECONDS = 5.0
_CHECK_PAUSE = 0.5


class Failed(Refused):
    """The change was begun and is undone; carries the commands that ran."""

    def __init__(self, message: str, commands: list[Json]) -> None:
        super().__init__(message)
        self.commands = commands


class Request:
    """One change set: the arguments of the module's state ``applied``."""

    def __init__(
        self,
        run: str,
        role: str,
        files: Sequence[Json],
        validate: Sequence[Sequence[str]] = (),
        activate: Sequence[Sequence[str]] = (),
        checks: Sequence[Sequence[str]] = (),
        confirm_within: int = 300,
        packages: Sequence[str] = (),
        temporary: bool = False,
    ) -> None:
        self.run = check_name("Run", run)
        self.role = check_name("Role", role)
        self.files = files
        self.validate = [list(argv) for argv in validate]
        self.activate = [list(argv) for argv in activate]
        self.checks = [list(argv) for argv in checks]
        self.confirm_within = confirm_within
        self.temporary = temporary
        self.packages = list(packages)
        for argv in self.validate + self.activate + self.checks:
            if not argv or "\0" in "".join(argv):
                raise Refused(f"{argv!r} in validate, activate or checks is not a command.")
        if not 5 <= confirm_within <= 86400:
            raise Refused(f"confirm_within is {confirm_within} seconds; take 5 to 86400.")


def apply(
    journal: Journal, request: Request, check_mode: bool = False, want_diff: bool = False
) -> Json:
    """Bring the host to the change set's state, or leave it exactly as it was.

    Returns the module's result. Raises `Failed` when the change had begun, else `Refused`; with
    ``check_mode`` nothing at all is written, not even the journal's directory.
    """
    with contextlib.ExitStack() as stack:
        purpose = f"run {request.run}, role {request.role}"
        stack.enter_context(journal.lock(purpose, create=not check_mode))
        warnings = _recover(journal, check_mode)
        journal.refuse_other_run(request.run)
        changes = plan(request.files, stack)
        pending = [change for change in changes if change.action != "unchanged"]
        result: Json = {
            "changed": bool(pending),
            "run": request.run,
            "role": request.role,
            "transaction": None,
            "files": [{"path": change.path, "action": change.action} for change in changes],
            "commands": [],
            "deadline": None,
            "warnings": warnings,
        }
        if want_diff:
            result["diff"] = differences(changes)
        record = journal.runs.load(request.run)
        if pending:
            journal.timer.require()
            if record and record["state"] == CONFIRMED:
                raise Refused(
                    "Run {} was confirmed at {}, so nothing can be added to it; start again with a "
                    "new run id.".format(request.run, record["closed_at"])
                )
        if pending and not check_mode:
            transaction, result["commands"] = _perform(journal, request, pending)
            result["transaction"] = transaction.directory
            record = journal.runs.load(request.run)
        if record and record["state"] == OPEN:
            result["deadline"] = record["deadline"]
        return result


def _recover(journal: Journal, check_mode: bool) -> list[str]:
    """Undo what an earlier process left half done; return what the operator should know."""
    if check_mode:
        unfinished = journal.runs.unfinished()
        if unfinished:
            raise Refused(
                f"Transaction {unfinished[0]} was interrupted, so there is nothing to compare "
                "with; a real run or a rollback restores it first."
            )
        return []
    outcome = journal.recover()
    if outcome.failures:
        raise Refused(
            f"An interrupted transaction was in the way: {' '.join(outcome.failures)} Put that "
            f"right and run again, or keep the host as it is (python3 {journal.program} forget "
            "--run RUN)."
        )
    return [f"Transaction {t} was interrupted; it has been undone." for t in outcome.transactions]


def _perform(
    journal: Journal, request: Request, changes: list[Change]
) -> tuple[Transaction, list[Json]]:
    commands: list[Json] = []
    for argv in request.validate:
        result = run_command(argv)
        commands.append(result)
        if result["rc"] != 0:
            raise Failed(
                f"The configuration is already broken, so nothing was changed: {complaint(result)}",
                commands,
            )
    transaction = _begin(journal, request, changes, commands)
    activated = False
    try:
        journal.arm(request.confirm_within)
        _replace(changes)
        _demand(request.validate, commands)
        activated = bool(request.activate)
        _demand(request.activate, commands)
        _demand(request.checks, commands, _CHECK_SECONDS)
        # On a starving host all this took its time; the controller shall have all of its own.
        journal.runs.open(request.run, request.confirm_within, request.temporary)
        journal.arm(request.confirm_within)
        transaction.become(APPLIED)
    except (Refused, OSError) as error:
        outcome = journal.abort(transaction, activated)
        commands += outcome.commands
        raise Failed(_explain(error, outcome), commands) from error
    except BaseException:
        journal.abort(transaction, activated)
        raise
    return transaction, commands


def _begin(
    journal: Journal, request: Request, changes: list[Change], commands: list[Json]
) -> Transaction:
    kept = [change for change in changes if change.after["kind"] != ABSENT]
    directories = {path for change in kept for path in change.place.new_directories}
    # Whoever is undone last removes a directory, which need not be the transaction that made it.
    for other in journal.chosen():
        for path in other.manifest["directories"]:
            if any(change.real.startswith(path + "/") for change in kept):
                directories.add(path)
    manifest: dict[str, Any] = {
        "run": request.run,
        "role": request.role,
        "files": [change.entry() for change in changes],
        "directories": sorted(directories),
        "validate": request.validate,
        "activate": request.activate,
        "packages": request.packages,
    }
    try:
        journal.install_program(program_source())
        originals = [change.content_before for change in changes]
        return journal.begin(manifest, request.confirm_within, originals, request.temporary)
    except OSError as error:
        # An unfinished journal is worth nothing: this clears it away.
        with contextlib.suppress(Refused, OSError):
            journal.recover()
        message = f"The journal cannot be written, so nothing was changed: {sentence(error)}."
        raise Failed(message, commands) from error


def _replace(changes: Sequence[Change]) -> None:
    """Put the new files in place.

    All of them are complete on the disk before the first takes its name, because a disk that is
    full then has cost nothing.
    """
    for change in changes:
        if change.after["kind"] == ABSENT:
            continue
        try:
            change.place.enter()
            write_new(
                change.place.descriptor,
                encode(change.temporary),
                change.content_after,
                change.after,
            )
        except OSError as error:
            raise Refused(f"{change.path} cannot be written: {error.strerror}.") from error
    for change in changes:
        _refuse_touched(change)
        descriptor, name = change.place.descriptor, change.place.name
        try:
            if change.after["kind"] == ABSENT:
                os.unlink(name, dir_fd=descriptor)
            else:
                temporary = encode(change.temporary)
                os.rename(temporary, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)
            os.fsync(descriptor)
        except OSError as error:
            raise Refused(f"{change.path} cannot be replaced: {error.strerror}.") from error


def _refuse_touched(change: Change) -> None:
    """Refuse a file that somebody wrote to between the plan and this moment."""

    def version(info: os.stat_result | None) -> tuple[int, ...]:
        return () if info is None else (info.st_ino, info.st_size, info.st_ctime_ns)

    if version(change.seen) != version(change.place.info()):
        raise Refused(f"{change.path} was changed by somebody else at this very moment.")


def _demand(commands: Sequence[Sequence[str]], log: list[Json], seconds: float = 0.0) -> None:
    """Run commands that must succeed, trying each for some seconds; raises `Refused`."""
    for argv in commands:
        deadline = time.monotonic() + seconds
        result = run_command(argv)
        while result["rc"] != 0 and time.monotonic() < deadline:
            time.sleep(_CHECK_PAUSE)
            result = run_command(argv)
        log.append(result)
        if result["rc"] != 0:
            raise Refused(complaint(result))


def _explain(error: BaseException, outcome: Outcome) -> str:
    reason = sentence(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        reason = f"the disk is full ({reason})"
    if not outcome.failures:
        return f"Nothing is changed, everything was put back: {reason}"
    return "{} AND NOT EVERYTHING COULD BE PUT BACK: {}".format(reason, " ".join(outcome.failures))
