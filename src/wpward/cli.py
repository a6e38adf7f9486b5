# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward``: the playbooks of the collection, and what works without a server, as one command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import ansible_runner

from wpward.playbooks import CollectionNotFound, playbook

_COMMANDS = {
    "probe": "read what happened on each server, change nothing",
    "contain": "first aid: close XML-RPC on every virtual host, for a day at most",
    "harden": "close the hole, prove it, or put everything back",
    "verify": "prove over HTTP that the hole is shut and the site works",
    "rollback": "put back what wpward changed",
}


class _Parser(argparse.ArgumentParser):
    """One that exits as ansible-playbook does, where 2 means that a host failed."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def _add_logs(commands: argparse._SubParsersAction[_Parser]) -> None:
    summary = "read log files on this machine: what happened, and who it was"
    command = commands.add_parser(
        "logs",
        help=summary,
        description=summary,
        epilog="Exit code: 0 the logs were read, whatever they tell; 1 bad usage, or a log that "
        "is missing, unreadable or of no known format; 3 a log could not be read to its end.",
    )
    command.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="access log of any known format, compressed or not, or a directory of them",
    )
    command.add_argument(
        "--since",
        default="",
        metavar="SPAN",
        help="only lines from then on: 30m, 24h, 7d, or a UTC time (default: everything)",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    command.add_argument("--html", type=Path, metavar="FILE", help="write it as a page")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wpward",
        description="Probe, harden and prove WordPress servers under xmlrpc.php attack.",
        epilog="Exit code: 0 proven or done, 2 a host failed, 4 a host was unreachable, "
        "1 bad usage or no such inventory.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("-i", "--inventory", required=True, help="inventory file or host list")
        command.add_argument("-l", "--limit", help="only these hosts or groups")
        command.add_argument("-u", "--user", help="log in as this user")
        command.add_argument(
            "-K", "--ask-become-pass", action="store_true", help="ask for the sudo password"
        )
        command.add_argument(
            "-e",
            "--extra-vars",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="set a variable, as in ansible-playbook",
        )
        if name in ("contain", "harden", "rollback"):
            command.add_argument("--check", action="store_true", help="change nothing")
            command.add_argument("--diff", action="store_true", help="show what changes")
        if name in ("contain", "harden"):
            command.add_argument(
                "--trusted",
                action="append",
                default=[],
                metavar="CIDR",
                help="keep XML-RPC open for this address or network (repeat for more)",
            )
        if name == "rollback":
            command.add_argument("--run", help="only this run (default: everything)")
            command.add_argument("--role", help="only this remedy, such as guard")
    _add_logs(commands)
    # These read their own options; here they are only named.
    commands.add_parser(
        "networks", help="how old the published networks are, bring them up to date", add_help=False
    )
    commands.add_parser(
        "triage",
        help="ask hosts over SSH what is happening, without Ansible",
        add_help=False,
    )
    commands.add_parser(
        "cdn", help="how old the delivery networks' ranges are, refresh them", add_help=False
    )
    return parser


def ansible_arguments(options: argparse.Namespace) -> list[str]:
    """Translate the options of a command into the arguments of ``ansible-playbook``.

    Raises:
        CollectionNotFound: the collection is not installed beside this program.
    """
    arguments = [str(playbook(options.command)), "--inventory", options.inventory]
    if options.limit:
        arguments += ["--limit", options.limit]
    if options.user:
        arguments += ["--user", options.user]
    if options.ask_become_pass:
        arguments.append("--ask-become-pass")
    if getattr(options, "check", False):
        arguments.append("--check")
    if getattr(options, "diff", False):
        arguments.append("--diff")
    variables: dict[str, object] = {}
    if getattr(options, "trusted", []):
        variables |= {"wpward_trusted": options.trusted, "wpward_policy": {"xmlrpc": "trusted"}}
    if getattr(options, "run", None):
        variables["wpward_run"] = options.run
    if getattr(options, "role", None):
        variables["wpward_role"] = options.role
    if variables:
        arguments += ["--extra-vars", json.dumps(variables)]
    for extra in options.extra_vars:
        arguments += ["--extra-vars", extra]
    return arguments


def _logs(options: argparse.Namespace) -> int:
    # Only this command needs them, and they take as long to import as the rest does to run.
    from rich.console import Console

    from wpward import logs, logs_output
    from wpward.log_files import LogsError

    request = logs.Request(options.paths, options.since, options.json, options.html)
    try:
        with logs_output.progress(Console(stderr=True)) as (start, advance):
            document = logs.analyse(request, start, advance)
        logs.save(document, request)
    except LogsError as error:
        print(f"wpward: {error}", file=sys.stderr)
        return 1
    logs_output.show(document, Console())
    complete = all(log["complete"] for log in document["evidence"]["logs"])
    return 0 if complete else 3


def _playbook(options: argparse.Namespace) -> int:
    """Run a playbook; return the exit code of ``ansible-playbook``."""
    try:
        arguments = ansible_arguments(options)
    except CollectionNotFound as error:
        print(f"wpward: {error}", file=sys.stderr)
        return 1
    # Every round trip costs a server under attack; Ansible leaves pipelining off by default.
    environment = {"ANSIBLE_PIPELINING": os.environ.get("ANSIBLE_PIPELINING", "true")}
    _, _, code = ansible_runner.run_command(
        executable_cmd="ansible-playbook",
        cmdline_args=arguments,
        input_fd=sys.stdin,
        output_fd=sys.stdout,
        error_fd=sys.stderr,
        envvars=environment,
        host_cwd=str(Path.cwd()),
    )
    return int(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["networks"]:
        from wpward import networks

        return networks.main(words[1:])
    if words[:1] == ["cdn"]:
        from wpward import cdn

        return cdn.main(words[1:])
    if words[:1] == ["triage"]:
        from wpward import triage

        return triage.main(words[1:])
    options = _parser().parse_args(words)
    if options.command == "logs":
        return _logs(options)
    return _playbook(options)
