# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a run is shown: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from wpward.live_events import NOT_DONE, PROVEN, WORDS, HostState, RunState
from wpward.live_region import region_of

_BAD = NOT_DONE | {"unreachable", "interrupted"}
_GOOD = PROVEN | {"proven", "contained"}


def _style(host: HostState) -> str:
    if host.unreachable or host.outcome in _BAD:
        return "red"
    return "green" if host.outcome in _GOOD else ""


def _elapsed(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}" if seconds >= 60 else f"{seconds:.0f} s"


def _urgent_first(hosts: Sequence[HostState]) -> list[HostState]:
    """Who is at work or failed before who is done, and those who wait last."""

    def rank(host: HostState) -> int:
        if host.unreachable or host.outcome in _BAD:
            return 0
        if host.outcome:
            return 2
        return 3 if host.began is None else 1

    return sorted(hosts, key=rank)


def table(hosts: Sequence[HostState], now: float, rows: int | None = None) -> Table:
    """One row per host; at most ``rows`` of them, with a last one that counts the others."""
    shown = list(hosts)
    left = 0
    if rows is not None and len(shown) > rows:
        left = len(shown) - max(rows - 1, 1)
        shown = _urgent_first(shown)[: max(rows - 1, 1)]
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("HOST", no_wrap=True, overflow="ellipsis")
    made.add_column("STEP", no_wrap=True, overflow="ellipsis", min_width=20)
    made.add_column("TIME", no_wrap=True, justify="right", min_width=5)
    made.add_column("VERDICT", no_wrap=True, overflow="ellipsis")
    made.add_column("OUTCOME", no_wrap=True, overflow="ellipsis", min_width=12)
    for host in shown:
        outcome = "UNREACHABLE" if host.unreachable else WORDS.get(host.outcome, host.outcome)
        step = "" if host.outcome else host.step
        words = (host.name, step, _elapsed(host.elapsed(now)), host.verdict, outcome)
        made.add_row(*[Text(word) for word in words], style=_style(host))
    if left:
        made.add_row(Text(f"and {left} more"))
    return made


class Screen:
    """Where a run is shown.

    Args:
        console: of standard output, or of standard error where that belongs to JSON.
        live: whether to draw a table; else each change is a line.
        lines: whether each change is a line, where no table is drawn.
    """

    def __init__(self, console: Console, *, live: bool, lines: bool) -> None:
        self._console = console
        self._lines = lines
        self._began = time.monotonic()
        self._drawn = 0.0
        self._live = region_of(console) if live else None

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def hang_up(self) -> None:
        """Nobody sees it any more; go on without."""
        self._live = None
        self._console.file = io.StringIO()

    def say(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        self._console.print(Text(text), soft_wrap=True)

    def raw(self, text: str) -> None:
        """Print what ansible-playbook printed, with its colours."""
        lines = text.replace("\r\n", "\n").strip("\n")
        self._console.print(Text.from_ansi(lines), soft_wrap=True)

    def show(self, state: RunState) -> None:
        """Show where every host is; called several times a second."""
        changes, state.changes = state.changes, []
        diffs, state.diffs = state.diffs, []
        for host, text in diffs:
            self.say(f"{host}:")
            self.raw(text)
        now = time.monotonic()
        if self._live:
            if changes or now - self._drawn >= 0.5:
                self._drawn = now
                rows = max(self._console.height - 3, 2)
                self._live.update(table(list(state.hosts.values()), now, rows), refresh=True)
        elif self._lines:
            for host, words in changes:
                self.say(f"{now - self._began:6.1f} s  {host}: {words}")

    def final(self, state: RunState) -> None:
        """The last table, which stays, and the sentences of whoever is not done."""
        self.__exit__()
        hosts = list(state.hosts.values())
        if self._console.is_terminal:
            self._console.print(table(hosts, time.monotonic()), soft_wrap=True)
        for host in hosts:
            if host.failure and host.outcome in _BAD:
                said = host.failure
                self.say(said if said.startswith(f"{host.name}: ") else f"{host.name}: {said}")
