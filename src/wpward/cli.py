# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward``: the playbooks of the collection, and what works without a server, as one command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn


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
    from wpward.live_arguments import COMMANDS, EXIT_CODES, add_options

    parser = _Parser(
        prog="wpward",
        description="Probe, harden and prove WordPress servers under xmlrpc.php attack.",
        epilog=EXIT_CODES,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, epilog=EXIT_CODES)
        add_options(command, name)
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
        from wpward.signals import as_interrupt

        with as_interrupt():
            return triage.main(words[1:])
    options = _parser().parse_args(words)
    if options.command == "logs":
        return _logs(options)
    # ansible-runner and rich, which the commands above do without.
    from wpward import live

    return live.main(options)
