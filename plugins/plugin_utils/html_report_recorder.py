# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a recorder saw on the host, for the report: small plots on the time axis of the requests."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    clock,
    count,
    mapping,
    number,
    rows,
    seconds_of,
    share,
    size,
    span,
    whole,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.svg_plot import (
    blocks,
    curve,
    gaps,
    stretches,
)
from markupsafe import Markup

MOST_SAMPLES = 5000
MOST_POINTS = 500
"""More than that on a line are narrower than what a screen shows."""
_INTERVALS = 2.5
"""Samples further apart than so many of the recorder's intervals are a gap."""
_MOST_GAPS = 3

Sample = Mapping[str, float]
"""The numbers of one moment by their names; ``at`` in seconds since the epoch."""


@dataclass(frozen=True)
class _Line:
    """One curve of a plot. worst: which of several samples stands for all of them."""

    name: str
    words: str
    worst: Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class _Plot:
    """Curves on one scale, the first with the area under it. whole: what the scale ends at, at
    least."""

    lines: tuple[_Line, ...]
    write: Callable[[float], str]
    whole: Callable[[Mapping[str, Any]], float]


def _memory_total(evidence: Mapping[str, Any]) -> float:
    return whole(mapping(mapping(evidence.get("now")).get("memory")).get("total"))


_PLOTS = (
    _Plot(
        (_Line("processes", "processes", max), _Line("web_workers", "web workers", max)),
        count,
        lambda _evidence: 1,
    ),
    _Plot(
        (_Line("memory_available", "memory available", min), _Line("swap_used", "swap used", max)),
        size,
        _memory_total,
    ),
    _Plot(
        (_Line("cpu_busy", "CPU busy", max), _Line("io_busy", "I/O busy", max)),
        lambda value: share(value, 1),
        lambda _evidence: 1,
    ),
)
_NAMES = [line.name for plot in _PLOTS for line in plot.lines]


def samples(evidence: Mapping[str, Any]) -> list[Sample]:
    """What the recorder wrote, in the order of time; what is not a number is left out."""
    found: dict[float, dict[str, float]] = {}
    for row in rows(mapping(evidence.get("recorder")).get("samples"))[:MOST_SAMPLES]:
        at = seconds_of(row.get("at"))
        if at is not None:
            seen = {name: number(row.get(name)) for name in _NAMES}
            found[at] = {name: value for name, value in seen.items() if value is not None}
    return [{"at": at, **found[at]} for at in sorted(found)]


def _spacing(evidence: Mapping[str, Any], found: Sequence[Sample]) -> float:
    """Seconds from one sample to the next. The probe may have kept fewer than were written."""
    steps = [other["at"] - one["at"] for one, other in itertools.pairwise(found)]
    told = number(mapping(evidence.get("recorder")).get("interval")) or 0
    return max(told, statistics.median(steps) if steps else 60, 1)


def recorded(evidence: Mapping[str, Any]) -> tuple[float, float] | None:
    """From the first sample to the last; None where there are not two."""
    found = samples(evidence)
    return (found[0]["at"], found[-1]["at"]) if len(found) > 1 else None


def missing(evidence: Mapping[str, Any]) -> str:
    """The sentence for a host without a recorder; empty where one ran, and where nobody looked."""
    recorder = evidence.get("recorder")
    if not isinstance(recorder, dict) or rows(recorder.get("samples")):
        return ""
    if recorder.get("active") is True:
        return f"{recorder.get('program')} runs, but has recorded nothing of this time yet."
    return "No recorder ran: nothing tells how processes, memory and I/O were at the time."


def plots(evidence: Mapping[str, Any], start: float, end: float) -> dict[str, Any] | None:
    """The small plots between two times, with the gaps in words; None without a sample there.

    A gap is drawn as one: a host that dies in swap stops recording as well.
    """
    found = samples(evidence)
    inside = [one for one in found if start <= one["at"] <= end]
    if not inside:
        return None
    spacing = _spacing(evidence, found)
    longest = _INTERVALS * spacing
    probed = seconds_of(evidence.get("collected_at"))
    times = [one["at"] for one in found]
    # Of what came after the probe nothing can be known.
    missed = gaps(times, start, min(end, max(probed or end, times[-1])), longest)
    many = -(-len(inside) // MOST_POINTS)
    lanes = [
        lane for plot in _PLOTS if (lane := _lane(plot, evidence, found, (start, end), longest))
    ]
    layout = "%-d %b %H:%M" if end - start > 20 * 3600 else "%H:%M"
    words = [f"{clock(one, layout)} to {clock(other, layout)}" for one, other in missed]
    recorder = mapping(evidence.get("recorder"))
    return {
        "lanes": lanes,
        "missed": Markup(blocks(missed, start, end)),
        "source": f"Recorded by {recorder.get('program') or 'a recorder'} every {span(spacing)}"
        + (f"; each point is the worst of {many} samples" if many > 1 else ""),
        "gaps": ", ".join(words[:_MOST_GAPS])
        + (f" and {len(words) - _MOST_GAPS} more times" if len(words) > _MOST_GAPS else ""),
    }


def _lane(
    plot: _Plot,
    evidence: Mapping[str, Any],
    found: Sequence[Sample],
    view: tuple[float, float],
    longest: float,
) -> dict[str, Any] | None:
    points = {
        line: [(one["at"], one[line.name]) for one in found if line.name in one]
        for line in plot.lines
    }
    values = {
        line: [value for at, value in seen if view[0] <= at <= view[1]]
        for line, seen in points.items()
    }
    lines = [line for line in plot.lines if values[line]]
    if not lines:
        return None
    top = max(plot.whole(evidence), *(max(values[line]) for line in lines))
    said = {
        line: f"{line.words} {plot.write(min(values[line]))} to {plot.write(max(values[line]))}"
        for line in lines
    }
    return {
        "lines": [
            {
                "key": "first" if line is plot.lines[0] else "second",
                "words": said[line],
                # Numbers and SVG's own letters only, and longer than any text of a host may be.
                "paths": [Markup(path) for path in _paths(line, points[line], view, top, longest)],
            }
            for line in lines
        ],
        "words": "; ".join(said.values()),
        "top": plot.write(top),
    }


def _paths(
    line: _Line,
    points: Sequence[tuple[float, float]],
    view: tuple[float, float],
    top: float,
    longest: float,
) -> tuple[str, str]:
    """The curve and the area under it, with its gaps, and so few points that a screen shows
    them."""
    start, end = view
    # One point beyond either edge, so that the line goes on to the edge.
    near = [point for point in points if start - longest <= point[0] <= end + longest]
    many = -(-len(near) // MOST_POINTS)
    drawn = []
    for part in stretches([at for at, _value in near], longest):
        stretch = near[part]
        groups = [stretch[index : index + many] for index in range(0, len(stretch), many)]
        worst = [(group[0][0], line.worst([value for _at, value in group])) for group in groups]
        drawn.append(curve(worst, start, end, top))
    return "".join(stroke for stroke, _area in drawn), "".join(area for _stroke, area in drawn)
