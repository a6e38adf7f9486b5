# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward triage``: what is wrong with these hosts, in one round trip each, now.

Somebody waits for the hosts. So this imports only what asking them takes, and what their answers
are judged and shown with is imported while they work.
"""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from wpward import triage_stream
from wpward.since import SinceError, beginning
from wpward.triage_config import ConfigError, Place, place
from wpward.triage_session import Options, Result, Session

if TYPE_CHECKING:
    from wpward.triage_answers import Answers

SIDE_BY_SIDE = 32
INTERRUPTED = 130
FIRST_AID_SECONDS = 24 * 3600
_REFRESH = 0.25
_ENDING = 5.0
_LEAST_TIMEOUT = 10
_UNDISTURBED = 1.0


class _Parser(argparse.ArgumentParser):
    """One that exits with 1 for bad usage, as wpward's other commands do."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="wpward triage",
        description="Ask hosts over SSH what is happening to them, in one round trip each, and say "
        "so on one screen. Nothing is changed there and nothing is left behind, unless --contain "
        "says so; Ansible is not needed. Hosts are reached as ssh reaches them: ~/.ssh/config, "
        "agent, known_hosts, jump hosts.",
        epilog="Exit code: 0 all hosts answered and none is under attack or suffers from one; 1 "
        "bad usage; 130 interrupted, by Ctrl-C, by SIGTERM or because the terminal went away. "
        "Otherwise the sum of: 2 a host could not be probed, 4 a host could not be reached, 8 a "
        "host is under attack or suffers from one that is over, 16 a host's evidence is "
        "incomplete, 32 first aid was asked for and does not hold somewhere.",
    )
    parser.add_argument("hosts", nargs="+", metavar="HOST", help="[USER@]HOST or [USER@]HOST:PORT")
    parser.add_argument("-u", "--user", help="log in as this user")
    parser.add_argument("-p", "--port", type=int, help="port of SSH")
    parser.add_argument(
        "-K", "--ask-become-pass", action="store_true", help="ask for the sudo password"
    )
    parser.add_argument(
        "-F", "--ssh-config", type=Path, metavar="FILE", help="read this instead of ~/.ssh/config"
    )
    parser.add_argument(
        "--contain",
        action="store_true",
        help="first aid before all else: close XML-RPC on every virtual host, for a day; "
        "`wpward contain` does the same, `wpward harden` replaces it",
    )
    parser.add_argument(
        "--trusted",
        action="append",
        default=[],
        metavar="CIDR",
        help="with --contain: keep XML-RPC open for this address or network (repeat for more)",
    )
    parser.add_argument(
        "--since",
        default="24h",
        metavar="SPAN",
        help="count the logs from then on: 30m, 24h, 7d, or a UTC time (default: %(default)s)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=20,
        metavar="SECONDS",
        help="for the probe itself; what it has read by then is reported (default: %(default)g)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=300,
        metavar="SECONDS",
        help="for all of a host, from connecting to its answer (default: %(default)g)",
    )
    parser.add_argument(
        "--database-credentials",
        metavar="FILE",
        help="a file on the hosts with user and password for the database's client",
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="DIRECTORY",
        help="keep evidence and report there (default: wpward-reports/TIME-triage)",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show each step, and all that hosts write to standard error",
    )
    return parser


class _TrustedError(Exception):
    """Networks that are none; the text says what to do."""


def _trusted(given: Sequence[str]) -> tuple[str, ...]:
    """Networks as `policy.parse_trusted` gives them. Raises _TrustedError."""
    if not given:
        return ()
    from ansible_collections.wpward.wordpress.plugins.module_utils import policy

    try:
        return tuple(str(network) for network in policy.parse_trusted(list(given)))
    except policy.PolicyError as error:
        raise _TrustedError(str(error)) from error


class Triage:
    """One run over all hosts."""

    def __init__(self, options: argparse.Namespace, password: str | None) -> None:
        self._options = options
        now = time.time()
        self._directory: Path = options.save or Path(
            "wpward-reports", time.strftime("%Y%m%dT%H%M%SZ-triage", time.gmtime(now))
        )
        self._request = triage_stream.Request(
            back=int(now) - beginning(options.since, now),
            budget=options.budget,
            seconds=options.timeout,
            database_credentials=options.database_credentials,
            contain=FIRST_AID_SECONDS if options.contain else 0,
            trusted=_trusted(options.trusted),
        )
        given = Options(self._request, options.ssh_config, password, options.timeout)
        self._places = {host: self._place(host) for host in dict.fromkeys(options.hosts)}
        self._sessions = {host: Session(host, where, given) for host, where in self._places.items()}

    def _place(self, host: str) -> Place:
        where = place(host)
        return Place(where.name, where.user or self._options.user, where.port or self._options.port)

    @cached_property
    def _answers(self) -> Answers:
        from wpward.triage_answers import Answers

        return Answers(self._options, self._places, self._directory)

    def run(self) -> int:
        """Ask them all; return the exit code."""
        began = time.monotonic()
        executor = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="triage")
        pending = {executor.submit(one.run): host for host, one in self._sessions.items()}
        try:
            triage_stream.stream(self._request)
            self._leave_alone()
            with self._answers.display(began) as display:
                while pending:
                    done, _waiting = wait(pending, _REFRESH, FIRST_COMPLETED)
                    if done:
                        display.hide()
                    self._arrived(done, pending)
                    display.show([self._sessions[host] for host in pending.values()])
        except KeyboardInterrupt:
            print("wpward: interrupted; ending what the hosts still do.", file=sys.stderr)
            for session in self._sessions.values():
                session.end()
            # First aid that was given stays, and has to be told.
            self._arrived(wait(pending, _ENDING).done, pending)
            self._answers.end()
            return INTERRUPTED
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
        self._answers.end()
        return self._answers.code()

    def _leave_alone(self) -> None:
        """Do nothing until the hosts have what they need: while this imports, a login that takes
        twenty turns would wait for each."""
        until = time.monotonic() + _UNDISTURBED
        for session in self._sessions.values():
            session.at_work.wait(max(until - time.monotonic(), 0))

    def _arrived(self, done: set[Future[Result]], pending: dict[Future[Result], str]) -> None:
        for future in done:
            host = pending.pop(future)
            self._answers.take(host, future.result(), list(pending.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """``wpward triage HOST...``; the exit code."""
    options = _parser().parse_args(arguments)
    if not 0 < options.budget <= 3600 or not _LEAST_TIMEOUT <= options.timeout <= 86400:
        print(
            f"wpward: --budget is {options.budget:g} and --timeout {options.timeout:g}; give "
            f"seconds up to 3600, and from {_LEAST_TIMEOUT} to 86400.",
            file=sys.stderr,
        )
        return 1
    if options.trusted and not options.contain:
        print("wpward: --trusted says nothing without --contain.", file=sys.stderr)
        return 1
    if options.timeout <= options.budget:
        print(
            f"wpward: --timeout is {options.timeout:g} and --budget {options.budget:g}; the "
            "probe has to end before the wait for it does.",
            file=sys.stderr,
        )
        return 1
    try:
        password = getpass.getpass("sudo password: ") if options.ask_become_pass else None
        triage = Triage(options, password)
    except (ConfigError, SinceError, _TrustedError) as error:
        print(f"wpward: {error}", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):
        print("wpward: no password was given.", file=sys.stderr)
        return INTERRUPTED
    return triage.run()
