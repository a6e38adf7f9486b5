# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward``: the playbooks of the collection as one command."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import ansible_runner

from wpward.playbooks import CollectionNotFound, playbook

_COMMANDS = {
    "probe": "read what happened on each server, change nothing",
    "harden": "close the hole, prove it, or put everything back",
    "verify": "prove over HTTP that the hole is shut and the site works",
    "rollback": "put back what wpward changed",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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
        if name in ("harden", "rollback"):
            command.add_argument("--check", action="store_true", help="change nothing")
            command.add_argument("--diff", action="store_true", help="show what changes")
        if name == "harden":
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code of ``ansible-playbook``."""
    options = _parser().parse_args(argv)
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
