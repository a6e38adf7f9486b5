# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bars, ticks and marks stand where their times and counts put them."""

from __future__ import annotations

import re

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.svg_plot import (
    HEIGHT,
    WIDTH,
    Bars,
    blocks,
    curve,
    gaps,
    marks,
    paths,
    stretches,
    ticks,
)
from hypothesis import given
from hypothesis import strategies as st

_BAR = re.compile(r"M(\S+) (\S+)h(\S+)v(\S+)h-(\S+)z")


def bars_of(path: str) -> list[tuple[float, float, float, float]]:
    """x, y, width, height of each bar."""
    found = [tuple(map(float, match)) for match in _BAR.findall(path)]
    assert "".join(match.group(0) for match in _BAR.finditer(path)) == path
    return [(x, y, wide, tall) for x, y, wide, tall, back in found if back == wide]


def test_bars_are_stacked_to_scale() -> None:
    drawn = dict(paths(Bars(0, 60, {"low": [1, 0, 2], "high": [1, 0, 2]}), 0, 180))
    assert bars_of(drawn["low"]) == [(0, 75, 333.33, 25), (666.7, 50, 333.33, 50)]
    assert bars_of(drawn["high"]) == [(0, 50, 333.33, 25), (666.7, 0, 333.33, 50)]


def test_a_few_requests_do_not_fill_the_plot() -> None:
    ((_layer, path),) = paths(Bars(0, 60, {"a": [3]}), 0, 60, least=10)
    assert bars_of(path) == [(0, 70, WIDTH, 30)]


def test_what_lies_outside_the_view_neither_shows_nor_sets_the_scale() -> None:
    drawn = paths(Bars(0, 60, {"a": [1000, 1]}), 60, 120)
    assert bars_of(drawn[0][1]) == [(0, 0, WIDTH, HEIGHT)]
    assert paths(Bars(0, 60, {"a": [1, 0]}), 60, 120) == []
    assert paths(Bars(0, 60, {"a": [1]}), 60, 60) == []


@given(
    layers=st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=40
    ),
    step=st.integers(1, 86400),
)
def test_no_bar_leaves_the_plot(layers: list[tuple[int, int]], step: int) -> None:
    columns = {"a": [one for one, _ in layers], "b": [other for _, other in layers]}
    bars = Bars(1000, step, columns)
    for _layer, path in paths(bars, 1000, 1000 + step * len(layers)):
        for x, y, wide, tall in bars_of(path):
            assert 0 <= x <= WIDTH
            assert -0.01 <= y <= HEIGHT
            assert x + wide <= WIDTH + 1.1
            assert y + tall <= HEIGHT + 0.02


@pytest.mark.parametrize("length", [60, 1000, 3600, 86400, 30 * 86400, 900 * 86400])
def test_ticks_are_few_and_round(length: int) -> None:
    found = ticks(1795299007, 1795299007 + length)
    assert len(found) <= 7
    assert all(0 <= left <= 100 and at % 60 == 0 for left, at in found)
    assert length < 120 or len(found) >= 2


def test_marks_that_would_cover_each_other_share_one_flag() -> None:
    found = marks([0, 10, 10.5, 11, 99, 200], 0, 100)
    assert [(mark.left, mark.label) for mark in found] == [(0, "1"), (10, "2-4"), (99, "5")]
    assert marks([1, 2], 0, 100)[0].label == "1, 2"


def test_a_curve_runs_from_the_bottom_to_the_top_and_its_area_to_the_bottom() -> None:
    line, area = curve([(0, 0), (50, 40), (100, 10)], 0, 100, top=40)
    assert line == "M0.0 100.0L500.0 0.0L1000.0 75.0"
    assert area == "M0.0 100L0.0 100.0L500.0 0.0L1000.0 75.0L1000.0 100z"
    assert curve([(50, 20)], 0, 100, top=40)[0] == "M500.0 50.0h0"
    # What is no measurement of that scale stays inside.
    assert curve([(0, -5), (100, 400)], 0, 100, top=40)[0] == "M0.0 100.0L1000.0 0.0"
    assert curve([], 0, 100, 40) == curve([(1, 1)], 5, 5, 40) == curve([(1, 1)], 0, 9, 0)


def test_a_curve_breaks_off_where_nothing_was_measured() -> None:
    times = [0, 60, 120, 600, 660, 2000]
    parts = [times[part] for part in stretches(times, 150)]
    assert parts == [[0, 60, 120], [600, 660], [2000]]
    assert stretches([], 150) == [slice(0, 0)]
    assert stretches([0, 150], 150) == [slice(0, 2)]


def test_gaps_are_where_nothing_was_measured_in_view() -> None:
    times = [0, 60, 120, 600, 660]
    assert gaps(times, 0, 700, 150) == [(120, 600)]
    assert gaps(times, 300, 700, 150) == [(300, 600)]
    assert gaps(times, 0, 2000, 150) == [(120, 600), (660, 2000)]
    assert gaps(times, -900, 60, 150) == [(-900, 0)]
    assert gaps([0, 150], 0, 150, 150) == []
    assert gaps([], 0, 100, 150) == []
    assert gaps([], 0, 200, 150) == [(0, 200)]
    assert blocks([(10, 20)], 0, 100) == "M100.0 0h100.0v100h-100.0z"
    assert blocks([(10, 20)], 5, 5) == "M0.0 0h0.0v100h-0.0z"


@given(
    points=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 10**9)), min_size=1),
    longest=st.integers(1, 900),
)
def test_gaps_and_stretches_are_two_sides_of_one_thing(
    points: list[tuple[int, int]], longest: int
) -> None:
    times = sorted({at for at, _value in points})
    parts = stretches(times, longest)
    assert [at for part in parts for at in times[part]] == times
    assert len(gaps(times, times[0], times[-1], longest)) == len(parts) - 1
