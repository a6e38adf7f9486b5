# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that run a playbook: their options, and what ansible-playbook is told."""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from wpward.playbooks import playbook

COMMANDS = {
    "probe": "read what happened on each server, change nothing",
    "contain": "first aid: close XML-RPC on every virtual host, for a day at most",
    "incident": "first aid everywhere, evidence, then harden, prove and report",
    "harden": "close the hole, prove it, or put everything back",
    "verify": "prove over HTTP that the hole is shut and the site works",
    "rollback": "put back what wpward changed",
}
EXIT_CODES = (
    "Exit code: 0 proven or done; 2 a host failed; 4 a host was unreachable or not reached, and "
    "none failed; 1 bad usage, no such inventory or no such host; 130 interrupted, by "
    "Ctrl-C, by SIGTERM or because the terminal went away: what was not proven is put back first."
)
# These change hosts as one run, which is confirmed or put back.
RUNS = frozenset({"incident", "harden"})
CANARY = "1,10%,100%"


class UsageError(Exception):
    """A sentence for the user, without the name of the program."""


def add_options(command: argparse.ArgumentParser, name: str) -> None:
    """Add the options of one of `COMMANDS`."""
    add = command.add_argument
    add("-i", "--inventory", required=True, help="inventory file or host list")
    add("-l", "--limit", help="only these hosts or groups")
    add("-u", "--user", help="log in as this user")
    add("-k", "--ask-pass", action="store_true", help="ask for the SSH password")
    add(
        *("-K", "--ask-become-pass", "--become-password"),
        action="store_true",
        help="ask for the sudo password",
    )
    add("-f", "--forks", type=int, metavar="N", help="so many hosts at a time")
    add(
        *("-e", "--extra-vars"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a variable, as in ansible-playbook",
    )
    add("-v", "--verbose", action="count", default=0, help="show what ansible-playbook prints")
    add(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the result as JSON, to standard output without FILE",
    )
    if name in ("contain", "incident", "harden", "rollback"):
        add("--check", action="store_true", help="change nothing")
        add("--diff", action="store_true", help="show what changes")
    if name in ("contain", "incident", "harden"):
        shown = CANARY.replace("%", "%%")
        add(
            "--trusted",
            action="append",
            default=[],
            metavar="CIDR",
            help="keep XML-RPC open for this address or network (repeat for more)",
        )
        add(
            "--serial",
            type=_serial,
            metavar="SIZES",
            help=f"hosts in batches, one after the other, as in {shown}; a failure stops the rest",
        )
        add(
            "--canary",
            dest="serial",
            action="store_const",
            const=_serial(CANARY),
            help=f"the same as --serial {shown}",
        )
    if name == "incident":
        add("-t", "--tags", help="only these steps, such as contain,preserve")
        add("--skip-tags", help="without these steps")
    if name in RUNS:
        add(
            "--resume",
            nargs="?",
            const="",
            metavar="DIRECTORY",
            help="only the hosts left unproven by the last run, or by that reported in DIRECTORY",
        )
    if name == "rollback":
        add("--run", help="only this run (default: everything)")
        add("--role", help="only this remedy, such as guard")


def _serial(text: str) -> list[int | str]:
    sizes = [size.strip() for size in text.split(",")]
    if not all(re.fullmatch(r"[1-9]\d*%?", size) for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of batch sizes such as {CANARY}")
    return [size if size.endswith("%") else int(size) for size in sizes]


def new_run() -> str:
    """A name for a run: the time in UTC and six random hexadecimal digits."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"


def _connection(options: argparse.Namespace) -> list[str]:
    arguments = ["--inventory", options.inventory]
    if options.user:
        arguments += ["--user", options.user]
    if options.ask_pass:
        arguments.append("--ask-pass")
    if options.ask_become_pass:
        arguments.append("--ask-become-pass")
    if options.forks:
        arguments += ["--forks", str(options.forks)]
    if options.verbose > 1:
        arguments.append("-" + "v" * (options.verbose - 1))
    return arguments


def ansible_arguments(
    options: argparse.Namespace, run: str = "", hosts: Sequence[str] = ()
) -> list[str]:
    """Translate the options of a command into the arguments of ``ansible-playbook``.

    Args:
        options: what the parser made of the command line.
        run: the name of the run, for the commands in `RUNS`.
        hosts: the only hosts to take; without any, those of ``options``.

    Raises:
        wpward.playbooks.CollectionNotFound: the collection is not installed beside this program.
    """
    arguments = [str(playbook(options.command)), *_connection(options)]
    limit = ",".join(hosts) or options.limit
    if limit:
        arguments += ["--limit", limit]
    for flag in ("check", "diff"):
        if getattr(options, flag, False):
            arguments.append(f"--{flag}")
    for name in ("tags", "skip_tags"):
        if getattr(options, name, None):
            arguments += ["--" + name.replace("_", "-"), getattr(options, name)]
    variables: dict[str, object] = {}
    if run:
        variables["harden_run"] = run
    if getattr(options, "trusted", []):
        variables |= {"wpward_trusted": options.trusted, "wpward_policy": {"xmlrpc": "trusted"}}
    if getattr(options, "serial", None):
        variables["wpward_serial"] = options.serial
    if getattr(options, "run", None):
        variables["wpward_run"] = options.run
    if getattr(options, "role", None):
        variables["wpward_role"] = options.role
    return arguments + _variables(variables) + _extra(options)


def follow_up_arguments(
    options: argparse.Namespace, name: str, hosts: Sequence[str], variables: Mapping[str, object]
) -> list[str]:
    """The arguments for another playbook, ``name``, on some hosts of the same inventory.

    Raises:
        wpward.playbooks.CollectionNotFound: the collection is not installed beside this program.
    """
    ours: dict[str, object] = {}
    if getattr(options, "trusted", []):
        ours["wpward_trusted"] = options.trusted
    return [
        *(str(playbook(name)), *_connection(options), "--limit", ",".join(hosts)),
        *(*_variables(ours), *_extra(options), *_variables(variables)),
    ]


def _variables(variables: Mapping[str, object]) -> list[str]:
    return ["--extra-vars", json.dumps(variables)] if variables else []


def _extra(options: argparse.Namespace) -> list[str]:
    return [word for extra in options.extra_vars for word in ("--extra-vars", extra)]


def extra_variable(options: argparse.Namespace, name: str, default: str = "") -> str:
    """What the user's ``--extra-vars`` set a variable to, in any of the forms Ansible reads."""
    # Only a user who set variables waits for this import.
    import yaml

    found = default
    for extra in options.extra_vars:
        try:
            text = Path(extra[1:]).read_text(encoding="utf-8") if extra[:1] == "@" else extra
            if extra[:1] in ("@", "{", "["):
                values = yaml.safe_load(text)
            else:
                values = dict(word.split("=", 1) for word in shlex.split(text) if "=" in word)
        except (OSError, ValueError, yaml.YAMLError):
            # ansible-playbook reads the same, and says what is wrong with it.
            continue
        if isinstance(values, dict) and isinstance(values.get(name), str | int):
            found = str(values[name])
    return found


def report_directory(options: argparse.Namespace) -> Path:
    """Where the reports of the runs are, unless the inventory says otherwise."""
    # The role takes the shell's idea of the working directory, too.
    default = Path(os.environ.get("PWD") or Path.cwd()) / "wpward-reports"
    return Path(extra_variable(options, "wpward_report_directory", str(default))).expanduser()
