# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that puts a host back, without the controller and without the collection.

rollback.py status
rollback.py rollback [--run RUN] [--role ROLE]
rollback.py confirm --run RUN
rollback.py forget --run RUN
rollback.py expire
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Callable, Sequence, TextIO

from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    STATE_DIRECTORY,
    Refused,
    sentence,
)


def _rollback(journal: Journal, options: argparse.Namespace) -> tuple[str, int]:
    with journal.lock("rollback"):
        outcome = journal.roll_back(options.run, options.role)
    text = "Nothing to roll back."
    if outcome.transactions:
        text = f"Rolled back {', '.join(outcome.transactions)}: {len(outcome.files)} files."
    if outcome.packages:
        text += f" Packages left installed: {', '.join(sorted(set(outcome.packages)))}."
    return " ".join([text, *outcome.failures]), 1 if outcome.failures else 0


def _confirm(journal: Journal, options: argparse.Namespace) -> tuple[str, int]:
    with journal.lock("confirm"):
        changed, warnings = journal.confirm(options.run)
    what = "is confirmed" if changed else "has nothing to confirm"
    return " ".join([f"Run {options.run} {what}.", *warnings]), 0


def _forget(journal: Journal, options: argparse.Namespace) -> tuple[str, int]:
    with journal.lock("forget"):
        names = journal.forget(options.run)
    return f"Forgotten, with their files left as they are: {', '.join(names) or 'none'}.", 0


def _expire(journal: Journal, options: argparse.Namespace) -> tuple[str, int]:
    return journal.expire(), 0


def _status(journal: Journal, options: argparse.Namespace) -> tuple[str, int]:
    return "\n".join(journal.status()) or "No run has changed this host.", 0


_COMMANDS: dict[str, tuple[Callable[[Journal, argparse.Namespace], tuple[str, int]], str]] = {
    "status": (_status, "say what each run did and what became of it"),
    "rollback": (_rollback, "undo one run, one role, or everything"),
    "confirm": (_confirm, "keep what an open run changed"),
    "forget": (_forget, "close a run and leave its files as they are"),
    "expire": (_expire, "undo the runs that are past their deadline (what the timer starts)"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(description="Put back what wpward changed on this host.")
    parser.add_argument("--state-dir", default=STATE_DIRECTORY, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_handler, text) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in ("rollback", "confirm", "forget"):
            command.add_argument("--run", required=name != "rollback", help="the run's id")
        if name == "rollback":
            command.add_argument("--role", help="only what this role changed")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        text, code = "Only root can do this.", 1
    else:
        try:
            text, code = _COMMANDS[options.command][0](Journal(options.state_dir), options)
        except (Refused, OSError) as error:
            text, code = sentence(error), 1
    # A file name need not be text that this terminal can show.
    text = text.encode("utf-8", "backslashreplace").decode("ascii", "backslashreplace")
    _say(text, sys.stderr if code else sys.stdout)
    return code


def _say(text: str, stream: TextIO) -> None:
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        # Whoever was reading has seen enough. Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
