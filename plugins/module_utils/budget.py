# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe's time, shared out among its parts."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

LEAST = 1 / 8
"""The share of the whole that a part has in any case. Programs of the host that hang must not cost
the parts behind them all of their time."""


class Budget:
    """``seconds``: for all parts together. Each part gets a deadline; what it did with it is kept
    for the evidence."""

    def __init__(self, seconds: float, problems: Problems) -> None:
        self._end = time.monotonic() + seconds
        self._least = seconds * LEAST
        self._problems = problems
        self._parts: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def part(self, name: str, at_most: float | None = None) -> Iterator[float]:
        """Give a part its deadline (``time.monotonic()``): the end of the whole budget, or
        ``at_most`` seconds from now; but not before LEAST.

        A part that fails is a problem and not the end of the probe: on a host in trouble any of
        them may meet what nobody thought of, and the others' evidence is needed all the more.
        """
        began = time.monotonic()
        deadline = self._end if at_most is None else min(self._end, began + at_most)
        deadline = max(deadline, began + self._least)
        complete = False
        try:
            yield deadline
            complete = time.monotonic() <= deadline
        except Exception as error:
            self._problems.add(
                "part_failed",
                f"The probe's part {name} failed and is missing or incomplete: "
                f"{type(error).__name__}: {str(error)[:200]}.",
            )
        seconds = round(time.monotonic() - began, 3)
        self._parts.append({"part": name, "seconds": seconds, "complete": complete})

    def describe(self) -> list[dict[str, Any]]:
        """The evidence's ``budget``: what each part took, in seconds, and whether it finished
        within its time."""
        return self._parts
