# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Geometry of a plot over time: stacked bars and curves as SVG paths, ticks and marks as
percentages.

Only bars and curves are drawn in SVG, stretched to whatever width there is. Words stand beside
them as ordinary text, so that they keep their size on a phone.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH = 1000
HEIGHT = 100
_TICK_STEPS = (60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY = 86400
_MERGED_WITHIN = 4.0
"""Marks closer than this many percent of the width would cover each other's numbers."""


@dataclass(frozen=True)
class Bars:
    """Counts per step of one lane.

    start: seconds since the epoch at which the first step begins. step: seconds.
    layers: counts by the layer's name, the lowest layer first, all of one length.
    """

    start: float
    step: float
    layers: Mapping[str, Sequence[int]]

    def totals(self) -> list[int]:
        """What the layers add up to in each step."""
        return [sum(column) for column in zip(*self.layers.values(), strict=True)]

    def busy(self) -> tuple[float, float] | None:
        """From the first step that counted anything to the end of the last; None without any."""
        hits = [index for index, total in enumerate(self.totals()) if total]
        if not hits:
            return None
        return self.start + hits[0] * self.step, self.start + (hits[-1] + 1) * self.step


@dataclass(frozen=True)
class Mark:
    """Where a mark stands, in percent from the left, and which events it stands for (from 1)."""

    left: float
    numbers: tuple[int, ...]

    @property
    def label(self) -> str:
        """The numbers as short as they can be written."""
        if len(self.numbers) > 2:
            return f"{self.numbers[0]}-{self.numbers[-1]}"
        return ", ".join(map(str, self.numbers))


def paths(bars: Bars, start: float, end: float, least: int = 1) -> list[tuple[str, str]]:
    """(layer, path) for each layer that is not empty, scaled to the tallest bar in view, or to
    ``least`` where that is more."""
    seen = [
        (index, total)
        for index, total in enumerate(bars.totals())
        if total and start <= bars.start + index * bars.step < end
    ]
    if not seen or end <= start:
        return []
    top = max(least, *(total for _index, total in seen))
    scale = WIDTH / (end - start)
    wide = max(bars.step * scale, 1.0)
    drawn: dict[str, list[str]] = {name: [] for name in bars.layers}
    for index, _total in seen:
        left = (bars.start + index * bars.step - start) * scale
        base = float(HEIGHT)
        for name, counts in bars.layers.items():
            tall = counts[index] * HEIGHT / top
            if tall:
                base -= tall
                drawn[name].append(f"M{left:.1f} {base:.2f}h{wide:.2f}v{tall:.2f}h-{wide:.2f}z")
    return [(name, "".join(pieces)) for name, pieces in drawn.items() if pieces]


def curve(
    points: Sequence[tuple[float, float]], start: float, end: float, top: float
) -> tuple[str, str]:
    """(the line, the area under it) of measurements over time, from 0 at the bottom to ``top``.

    points: (seconds since the epoch, value) in the order of time.
    """
    if not points or end <= start or top <= 0:
        return "", ""
    scale = WIDTH / (end - start)
    drawn = [
        f"{(at - start) * scale:.1f} {HEIGHT * (1 - min(max(value / top, 0), 1)):.1f}"
        for at, value in points
    ]
    left, right = drawn[0].split()[0], drawn[-1].split()[0]
    # A line of no length is drawn as a dot: one measurement between two gaps is seen.
    line = f"M{'L'.join(drawn)}" if len(drawn) > 1 else f"M{drawn[0]}h0"
    return line, f"M{left} {HEIGHT}L{'L'.join(drawn)}L{right} {HEIGHT}z"


def stretches(times: Sequence[float], longest: float) -> list[slice]:
    """The parts of ``times``, which is sorted, in which no two that follow each other lie further
    apart than ``longest`` seconds."""
    breaks = [
        index
        for index, (one, other) in enumerate(itertools.pairwise(times), start=1)
        if other - one > longest
    ]
    return [slice(one, other) for one, other in itertools.pairwise([0, *breaks, len(times)])]


def gaps(
    times: Sequence[float], start: float, end: float, longest: float
) -> list[tuple[float, float]]:
    """(from, to), in seconds since the epoch, between ``start`` and ``end`` where nothing was
    measured for longer than ``longest`` seconds; ``times`` is sorted."""
    before = max((at for at in times if at <= start), default=start)
    after = min((at for at in times if at >= end), default=end)
    seen = [before, *(at for at in times if start < at < end), after]
    return [
        (max(one, start), min(other, end))
        for one, other in itertools.pairwise(seen)
        if other - one > longest
    ]


def blocks(spans: Sequence[tuple[float, float]], start: float, end: float) -> str:
    """Spans of time as a path of blocks as high as the plot."""
    scale = WIDTH / (end - start) if end > start else 0
    return "".join(
        f"M{(one - start) * scale:.1f} 0h{(other - one) * scale:.1f}v{HEIGHT}"
        f"h-{(other - one) * scale:.1f}z"
        for one, other in spans
    )


def ticks(start: float, end: float, most: int = 6) -> list[tuple[float, float]]:
    """(percent from the left, seconds since the epoch) of round times, ``most`` at most."""
    if end <= start:
        return []
    step = next((one for one in _TICK_STEPS if (end - start) / one <= most), 0)
    if not step:
        step = _DAY * max(1, -int(-(end - start) // (_DAY * most)))
    first = -int(-start // step) * step
    found = []
    at = float(first)
    while at <= end:
        found.append((100 * (at - start) / (end - start), at))
        at += step
    return found


def marks(times: Sequence[float], start: float, end: float) -> list[Mark]:
    """Marks for the times that lie in view; ``times`` is sorted, and its order numbers them."""
    found: list[Mark] = []
    for number, at in enumerate(times, start=1):
        if not start <= at <= end or end <= start:
            continue
        left = 100 * (at - start) / (end - start)
        if found and left - found[-1].left < _MERGED_WITHIN:
            found[-1] = Mark(found[-1].left, (*found[-1].numbers, number))
        else:
            found.append(Mark(left, (number,)))
    return found
