# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two moments at which a run speaks for its whole fleet: before and after each batch.

A host that cannot be reached runs no task, so it cannot say so itself; and where it was the only
one of its batch, Ansible ends the playbook there and then. So every host has a document before
anything is sent to it, and whatever ends the run leaves a page that names all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.fleet_report import (
    BEGUN,
    NOT_COME_TO,
    UNREACHABLE,
    WAITING,
    left_to_do,
    not_reported,
    standing,
    stopping,
    summary,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report import file_name
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_directory import (
    documents_in,
    save_document,
    save_page,
    write_atomically,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_document import (
    host_document,
)

LEFT = "left.txt"


@dataclass(frozen=True)
class Fleet:
    """The hosts of a run, as Ansible counts them.

    all: every host, in the inventory's order, also those that no task runs for any more.
    running: those that tasks still run for. batch: those of the current batch. known: every
    host's variables.
    """

    all: Sequence[str]
    running: Sequence[str]
    batch: Sequence[str]
    known: Mapping[str, Mapping[str, Any]]


def _silent_document(host: str, run: str, outcome: str, failure: str) -> dict[str, Any]:
    return host_document(
        host,
        run=run,
        outcome=outcome,
        failure=failure,
        evidence=None,
        plan=None,
        remedies={},
        checks=None,
    )


def begun(directory: Path, fleet: Fleet, run: str) -> Path:
    """Note that a batch begins, and that the others are still to come; return the page's path.

    What an earlier attempt of the same run left of a host stays until the host's batch begins.

    Raises:
        OSError: something could not be written.
    """
    for host in fleet.all:
        if host in fleet.batch:
            save_document(directory, _silent_document(host, run, BEGUN, not_reported(bool(run))))
        elif not (directory / file_name(host)).exists():
            save_document(directory, _silent_document(host, run, WAITING, NOT_COME_TO))
    return save_page(directory)


def ended(directory: Path | None, fleet: Fleet, run: str, confirm_within: int) -> dict[str, Any]:
    """Note what became of the hosts that cannot say it, and sum up the fleet.

    Args:
        directory: the run's own; None where nothing is kept.
        fleet: the hosts of the play.
        run: the run's id.
        confirm_within: seconds after the last change until a host puts itself back.

    Returns:
        ``stops``, the hosts for which a rollout ends here; ``waiting``, how many are still to
        come; ``left``, those to resume with; ``left_file``, the same for ``--limit @``, and
        ``path`` of the page, where they are kept; ``summary``, lines to print; ``problem``, why
        something could not be written.
    """
    running = set(fleet.running)
    standings = {
        host: standing(
            fleet.known[host],
            hardening=bool(run),
            running=host in running,
            confirm_within=confirm_within,
        )
        for host in fleet.all
    }
    documents = [{"host": host, "outcome": outcome} for host, (outcome, _why) in standings.items()]
    silent = [host for host in fleet.batch if standings[host][0] == UNREACHABLE]
    result: dict[str, Any] = {
        # Where nobody of a batch answers, nothing is proven, and Ansible ends the playbook as well.
        "stops": stopping(documents) + (silent if len(silent) == len(fleet.batch) else []),
        "waiting": sum(outcome == WAITING for outcome, _why in standings.values()),
        "problem": "",
    }
    if directory is not None:
        try:
            for host, (outcome, why) in standings.items():
                if why:
                    save_document(directory, _silent_document(host, run, outcome, why))
            # Earlier attempts count: a rollout that was resumed is one rollout.
            documents += [one for one in documents_in(directory) if one["host"] not in standings]
            left = "".join(f"{host}\n" for host in left_to_do(documents))
            write_atomically(directory / LEFT, left)
            result["left_file"] = str(directory / LEFT)
            result["path"] = str(save_page(directory))
        except OSError as error:
            # What stops a rollout has to be known, whatever the controller's disk is like.
            result["problem"] = f"{error.filename or directory}: {error.strerror or error}"
    return result | {"left": left_to_do(documents), "summary": summary(documents)}
