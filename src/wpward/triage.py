# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward triage``: what is wrong with these hosts, in one round trip each, now."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NoReturn

from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    parse_trusted,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils import report_directory
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    AFTERMATH,
    ATTACK,
    PlanError,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report import file_name
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import visible
from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_document import (
    host_document,
)
from rich.console import Console
from rich.text import Text

from wpward import triage_stream
from wpward.log_files import LogsError
from wpward.logs import beginning
from wpward.triage_config import ConfigError, Place, place
from wpward.triage_display import Display
from wpward.triage_session import ANSWERED, FAILED, UNREACHABLE, Options, Result, Session
from wpward.triage_verdict import Way, commands, complete, first_aid_said, verdict

SIDE_BY_SIDE = 32
INTERRUPTED = 130
_BITS = {FAILED: 2, UNREACHABLE: 4}
_ATTACKED = 8
_INCOMPLETE = 16
_NOT_CONTAINED = 32
FIRST_AID_SECONDS = 24 * 3600
_STYLES = {"attack": "bold red", "aftermath": "yellow", "probing": "yellow", "quiet": "green"}
_REFRESH = 0.25
_ENDING = 5.0
_LEAST_TIMEOUT = 10


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
        "bad usage; 130 interrupted. Otherwise the sum of: 2 a host could not be probed, 4 a host "
        "could not be reached, 8 a host is under attack or suffers from one that is over, 16 a "
        "host's evidence is incomplete, 32 first aid was asked for and does not hold somewhere.",
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


def holds(first_aid: dict[str, Any] | None) -> bool:
    """Whether XML-RPC is closed on all of a host."""
    return first_aid is not None and not first_aid.get("failure") and not first_aid.get("open")


class Triage:
    """One run over all hosts."""

    def __init__(self, options: argparse.Namespace, password: str | None) -> None:
        self._options = options
        now = time.time()
        self.directory: Path = options.save or Path(
            "wpward-reports", time.strftime("%Y%m%dT%H%M%SZ-triage", time.gmtime(now))
        )
        request = triage_stream.Request(
            back=int(now) - beginning(options.since, now),
            budget=options.budget,
            seconds=options.timeout,
            database_credentials=options.database_credentials,
            contain=FIRST_AID_SECONDS if options.contain else 0,
            trusted=tuple(str(network) for network in parse_trusted(options.trusted)),
        )
        given = Options(request, options.ssh_config, password, options.timeout)
        self._places = {host: self._place(host) for host in dict.fromkeys(options.hosts)}
        self._sessions = {host: Session(host, where, given) for host, where in self._places.items()}
        self.rows: list[dict[str, Any]] = []
        self._out = Console(soft_wrap=True, highlight=False)
        self._err = Console(stderr=True, soft_wrap=True, highlight=False)

    def _place(self, host: str) -> Place:
        where = place(host)
        return Place(where.name, where.user or self._options.user, where.port or self._options.port)

    def run(self) -> int:
        """Ask them all; return the exit code."""
        executor = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="triage")
        pending = {executor.submit(one.run): host for host, one in self._sessions.items()}
        try:
            with Display(self._err, self._options.verbose) as display:
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
            wait(pending, _ENDING)
            self._fleet()
            return INTERRUPTED
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
        self._fleet()
        return self._code()

    def _arrived(self, done: Iterable[Future[Result]], pending: dict[Future[Result], str]) -> None:
        for future in done:
            host = pending.pop(future)
            self._take(host, future.result(), list(pending.values()))

    def _take(self, host: str, result: Result, running: Sequence[str]) -> None:
        row: dict[str, Any] = {
            "host": host,
            "outcome": result.outcome,
            "failure": result.failure,
            "seconds": round(result.seconds, 3),
            "said": result.said,
            "verdict": None,
            "complete": False,
            "evidence_file": None,
            "first_aid": result.first_aid,
            "commands": [],
            "plan": None,
        }
        self.rows.append(row)
        if self._options.verbose and result.said:
            for line in result.said.splitlines():
                self._err.print(Text(f"{host} said: {visible(line)}"))
        if result.evidence is not None:
            self._judge(host, result.evidence, row, running)
        elif result.first_aid is not None:
            # What was closed stays closed, whatever became of the probe.
            self._err.print(Text(f"{host}: {visible(first_aid_said(result.first_aid))}"))
        if row["failure"]:
            self._err.print(Text(f"wpward: {visible(row['failure'])}"))

    def _judge(
        self, host: str, evidence: dict[str, Any], row: dict[str, Any], running: Sequence[str]
    ) -> None:
        try:
            plan = make_plan(evidence)
        except PlanError as error:
            row |= {"outcome": FAILED, "failure": f"{host}: {error}"}
            return
        where = self._places[host]
        way = Way(
            where.name,
            where.user,
            where.port,
            self._options.ssh_config,
            self._options.ask_become_pass,
        )
        try:
            self._save(host, evidence, plan, running)
            row["evidence_file"] = str(self.directory / file_name(host))
        except OSError as error:
            # What is known is worth more than the file.
            self._err.print(
                Text(
                    f"wpward: {host}: its evidence cannot be kept in {self.directory} "
                    f"({error.strerror or error}); give another directory with --save."
                )
            )
        row |= {
            "verdict": plan["verdict"],
            "complete": complete(evidence),
            "commands": commands(way, evidence, plan, self._options.contain),
            "plan": plan,
        }
        if not self._options.json:
            report = row["evidence_file"] or "not kept"
            first, *lines = verdict(way, evidence, plan, report, row["first_aid"])
            self._out.print(Text(first, style=_STYLES.get(plan["verdict"], "")))
            self._out.print(Text("\n".join([*lines, ""])))

    def _save(
        self, host: str, evidence: dict[str, Any], plan: dict[str, Any], running: Sequence[str]
    ) -> None:
        document = host_document(
            host,
            run=None,
            outcome="probed",
            failure="",
            evidence=evidence,
            plan=plan,
            remedies={},
            checks=None,
        )
        report_directory.save(self.directory, document, fleet=list(self._sessions), running=running)

    def _fleet(self) -> None:
        if self._options.json:
            print(json.dumps({"directory": str(self.directory), "hosts": self.rows}, indent=1))
            return
        if len(self.rows) == 1:
            return
        counts: dict[str, list[str]] = {}
        for row in self.rows:
            counts.setdefault(row["verdict"] or row["outcome"], []).append(row["host"])
        order = ("attack", "aftermath", "probing", "quiet", FAILED, UNREACHABLE)
        told = [
            f"{len(counts[name])} {name}"
            + (f" ({', '.join(counts[name])})" if name != "quiet" else "")
            for name in order
            if name in counts
        ]
        self._out.print(Text(f"{len(self.rows)} hosts: {', '.join(told)}"))

    def _code(self) -> int:
        code = 0
        for row in self.rows:
            code |= _BITS.get(row["outcome"], 0)
            if row["verdict"] in (ATTACK, AFTERMATH):
                code |= _ATTACKED
            if row["outcome"] == ANSWERED and not row["complete"]:
                code |= _INCOMPLETE
            if self._options.contain and not holds(row["first_aid"]):
                code |= _NOT_CONTAINED
        return code


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
    except (ConfigError, LogsError, PolicyError) as error:
        print(f"wpward: {error}", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):
        print("wpward: no password was given.", file=sys.stderr)
        return INTERRUPTED
    return triage.run()
