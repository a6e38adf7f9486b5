# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``wpward triage`` shows while it waits: a line per host, or plain lines now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.text import Text

from wpward.live_region import region_of

_FIRST = 5.0
_MORE = 30.0


class Waiting(Protocol):
    """A host that is being asked: what it waits for, and since when (``time.monotonic()``)."""

    host: str
    stage: str
    since: float


class Display:
    """``console``: of standard error. ``every``: whether each change of stage gets a line, where no
    terminal is. ``began``: when the hosts were first asked (``time.monotonic()``)."""

    def __init__(self, console: Console, every: bool, began: float) -> None:
        self._console = console
        self._every = every
        self._began = began
        self._said: dict[str, tuple[str, float]] = {}
        self._live = region_of(console) if console.is_terminal else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live:
            self._live.stop()

    def hide(self) -> None:
        """Make room for something else."""
        if self._live:
            self._live.update(Text(""), refresh=True)

    def show(self, waiting: Sequence[Waiting]) -> None:
        """Show who is still being waited for; called several times a second."""
        now = time.monotonic()
        if self._live:
            # A row too many, and the terminal would scroll at each refresh.
            rows = waiting[: max(self._console.height - 2, 1)]
            lines = [self._line(one, now) for one in rows]
            if len(waiting) > len(rows):
                lines.append(f"and {len(waiting) - len(rows)} more hosts")
            text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
            self._live.update(text, refresh=True)
            return
        for one in waiting:
            stage, said = self._said.get(one.host, ("", now))
            new = one.stage != stage
            if new:
                said = now - _MORE + _FIRST
            line = ""
            if new and self._every:
                line = f"{one.host}: {one.stage}, {one.since - self._began:.1f} s from the start"
            elif now - said >= _MORE:
                line = self._line(one, now)
            if line:
                self._console.print(line, markup=False, highlight=False)
                said = now
            self._said[one.host] = (one.stage, said)

    @staticmethod
    def _line(one: Waiting, now: float) -> str:
        return f"{one.host}: {one.stage} ... {now - one.since:.0f} s"
