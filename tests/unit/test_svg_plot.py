# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bars, ticks and marks stand where their times and counts put them."""

from __future__ import annotations

import re

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.svg_plot import (
    HEIGHT,
    WIDTH,
    Bars,
    marks,
    paths,
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
