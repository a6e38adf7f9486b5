# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward incident|contain|harden|probe|verify|rollback``: a playbook, watched while it runs."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from getpass import getpass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from wpward import live_result
from wpward.live_arguments import (
    RUNS,
    UsageError,
    ansible_arguments,
    extra_variable,
    new_run,
    report_directory,
)
from wpward.live_events import PROVEN, RunState
from wpward.live_interrupt import leave, put_back, sayings
from wpward.live_run import BECOME_PROMPT, SSH_PROMPT, Process, environment
from wpward.live_table import Screen
from wpward.playbooks import CollectionNotFound


class Interrupts:
    """Counts the signals that ask for an end, instead of ending; use it as a context manager."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self.hung_up = False
        self._before: dict[int, Any] = {}

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self.hung_up = self.hung_up or number == signal.SIGHUP

    def __enter__(self) -> Interrupts:
        for number in self._SIGNALS:
            # nohup ignores SIGHUP, and means it.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Watch:
    """What every playbook of one command shares: screen, passwords, signals."""

    def __init__(
        self,
        options: argparse.Namespace,
        passwords: dict[str, str],
        screen: Screen,
        asked: Interrupts,
    ) -> None:
        self.options = options
        self.screen = screen
        self.asked = asked
        self._passwords = passwords
        self._environment = environment(colours=sys.stdout.isatty(), asks_password=options.ask_pass)

    def follow(
        self, arguments: Sequence[str], state: RunState, patience: int, hosts: bool = False
    ) -> int | None:
        """Run ansible-playbook to its end; return its exit code.

        Args:
            arguments: of ansible-playbook.
            state: takes in what happens.
            patience: how many interrupts it takes to stop it.
            hosts: whether to find out all hosts meanwhile.
        """
        stopping = False
        with (
            _HostNames(arguments if hosts else (), self._environment) as names,
            Process(arguments, self._passwords, self._environment) as process,
        ):
            more = True
            while more:
                more = process.running()
                for when, event in process.events(0.1 if more else 0.0):
                    state.feed(event, when)
                    if self.options.verbose and event.get("stdout"):
                        self.screen.raw(event["stdout"])
                state.expect(names.found())
                if self.asked.hung_up:
                    self.screen.hang_up()
                if self.asked.count >= patience and not stopping:
                    stopping = True
                    process.stop()
                    self.screen.say(sayings(self.options.command, self.asked.count))
                self.screen.show(state)
            state.expect(names.found(wait=True))
            if process.problem:
                self.screen.say(f"wpward: ansible-runner failed: {process.problem}")
        state.close()
        self.screen.show(state)
        return process.code


class _HostNames:
    """Which hosts a playbook is for, asked of ansible-playbook beside the run itself."""

    def __init__(self, arguments: Sequence[str], variables: dict[str, str]) -> None:
        self._names: list[str] = []
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in __exit__
        self._process = None
        if arguments:
            asks = ("--ask-pass", "--ask-become-pass", "--check", "--diff")
            self._process = subprocess.Popen(
                [
                    "ansible-playbook",
                    *(word for word in arguments if word not in asks),
                    "--list-hosts",
                ],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **variables},
                # Ctrl-C is for the run, which needs to know its hosts then more than ever.
                start_new_session=True,
            )

    def __enter__(self) -> _HostNames:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def found(self, wait: bool = False) -> list[str]:
        """The names in their order, none as long as they are not known."""
        if self._process is None:
            return self._names
        if wait:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        if self._process.poll() is not None and not self._names:
            self._said.seek(0)
            self._names = listed_hosts(self._said.read())
        return self._names


def listed_hosts(text: str) -> list[str]:
    """The names in what ``ansible-playbook --list-hosts`` prints, each once."""
    names: dict[str, None] = {}
    within = False
    for line in text.splitlines():
        if line.startswith("    hosts ("):
            within = True
        elif within and line.startswith("      ") and line.strip():
            names[line.strip()] = None
        else:
            within = False
    return list(names)


def _check(options: argparse.Namespace) -> None:
    if "," not in options.inventory and not Path(options.inventory).exists():
        raise UsageError(
            f"there is no inventory {options.inventory}; name a file or a directory, or hosts "
            "with a comma behind each: -i web1,"
        )
    if shutil.which("ansible-playbook") is None:
        raise UsageError(
            "ansible-playbook is not on the PATH; install ansible-core beside this program "
            "(pip install ansible-core), or put its directory on the PATH"
        )


def _passwords(options: argparse.Namespace) -> dict[str, str]:
    """Ask for what ansible-playbook will ask for; by its prompts."""
    given = {}
    if options.ask_pass:
        given[SSH_PROMPT] = getpass("SSH password: ")
    if options.ask_become_pass:
        given[BECOME_PROMPT] = getpass("sudo password: ") or given.get(SSH_PROMPT, "")
    return given


def _screen(options: argparse.Namespace) -> Screen:
    console = Console(stderr=options.json == "-", highlight=False)
    table = console.is_terminal and not options.verbose
    return Screen(console, live=table, lines=not options.verbose)


def _not_started(options: argparse.Namespace, state: RunState) -> str:
    """Why no host was asked anything, as a sentence."""
    if state.errors() and "no hosts to target" not in state.errors():
        return f"ansible-playbook could not begin: {state.errors()}"
    limit = f" matches --limit {options.limit}" if options.limit else " is named there"
    return f"no host of the inventory {options.inventory}{limit}; nothing was done"


def _hosts_to_resume(options: argparse.Namespace, screen: Screen, reports: Path) -> list[str]:
    if options.limit:
        raise UsageError("--resume chooses the hosts itself; leave --limit out")
    last, hosts, later = live_result.unproven(options.resume, reports)
    if hosts:
        screen.say(f"Resuming {last} on {', '.join(hosts)}")
    else:
        screen.say(f"Every host of {last} is proven; there is nothing to resume.")
    if later:
        screen.say(f"For later, since they did not answer: {', '.join(later)}")
    return hosts


def _run(
    options: argparse.Namespace, passwords: dict[str, str], screen: Screen, asked: Interrupts
) -> int:
    started = time.time()
    reports = report_directory(options)
    hosts: list[str] = []
    if getattr(options, "resume", None) is not None:
        hosts = _hosts_to_resume(options, screen, reports)
        if not hosts:
            return 0
    run = ""
    if options.command in RUNS:
        run = extra_variable(options, "harden_run") or new_run()
        screen.say(f"run {run}")
    arguments = ansible_arguments(options, run, hosts)
    state = RunState(options.command, check=getattr(options, "check", False))
    state.expect(hosts)
    watch = Watch(options, passwords, screen, asked)
    kept = _Kept(reports / run, run, started) if run and not options.check else None
    with screen:
        if kept:
            kept.begin(screen, state)
        code = watch.follow(arguments, state, patience=1, hosts=True)
        if not any(host.began is not None for host in state.hosts.values()) and not asked.count:
            if kept:
                kept.forget()
            raise UsageError(_not_started(options, state))
        if run and not state.finished:
            put_back(watch, state, run)
        elif run:
            leave(watch, state, run)
        screen.final(state)
    done = live_result.exit_code(state, code, interrupted=bool(asked.count))
    if done == 1 and state.errors():
        screen.say(state.errors())
    if kept:
        kept.end(screen, state, done)
        if any(host.outcome not in PROVEN for host in state.hosts.values()):
            screen.say(f"for the others: wpward {options.command} ... --resume {kept.directory}")
    if state.report:
        screen.say(f"report {state.report}")
    _write(options, live_result.document(state, run, done, started))
    return done


class _Kept:
    """The run's result beside its report, from its first moment on."""

    def __init__(self, directory: Path, run: str, started: float) -> None:
        self.directory = directory
        self._expected = directory
        self._run = run
        self._started = started

    def begin(self, screen: Screen, state: RunState) -> None:
        self._keep(screen, live_result.document(state, self._run, None, self._started))

    def forget(self) -> None:
        """Nothing was begun."""
        live_result.drop(self.directory)

    def end(self, screen: Screen, state: RunState, code: int) -> None:
        if state.report:
            # The inventory may have put it elsewhere.
            self.directory = Path(state.report).parent
        self._keep(screen, live_result.document(state, self._run, code, self._started))
        if state.report and not state.finished:
            with suppress(OSError):
                live_result.amend(Path(state.report), state)

    def _keep(self, screen: Screen, result: dict[str, Any]) -> None:
        try:
            live_result.keep(self.directory, result, self._expected)
        except OSError as error:
            screen.say(f"wpward: {self.directory}: {error.strerror}; --resume cannot know this run")


def _write(options: argparse.Namespace, result: dict[str, Any]) -> None:
    if options.json == "-":
        import json

        print(json.dumps(result, indent=1, ensure_ascii=False))
    elif options.json:
        try:
            live_result.write(Path(options.json), result)
        except OSError as error:
            raise UsageError(f"{options.json} cannot be written: {error.strerror}") from error


def main(options: argparse.Namespace) -> int:
    """Run the command that the options name; return its exit code."""
    try:
        _check(options)
        # Before signals are counted only: nothing has begun that would have to be ended.
        passwords = _passwords(options)
        with Interrupts() as asked:
            return _run(options, passwords, _screen(options), asked)
    except (UsageError, CollectionNotFound) as error:
        print(f"wpward: {error}", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt) as error:
        print("wpward: no password was given; nothing was done", file=sys.stderr)
        return 1 if isinstance(error, EOFError) else live_result.INTERRUPTED
