# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters that stay small, and say when they are no longer exact."""

from __future__ import annotations

from collections import Counter

from ansible_collections.wpward.wordpress.plugins.module_utils.bounded import (
    DistinctCounter,
    PeakCounter,
    TopCounter,
)
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(0, 30), max_size=200))
def test_within_the_capacity_everything_is_exact(numbers: list[int]) -> None:
    keys = [b"%d" % number for number in numbers]
    top, distinct, peak = TopCounter(), DistinctCounter(), PeakCounter()
    for start in range(0, len(keys), 7):
        top.update(Counter(keys[start : start + 7]))
        distinct.update(Counter(keys[start : start + 7]))
        peak.update(Counter(numbers[start : start + 7]))
    assert dict(top.top(100)) == Counter(keys)
    assert top.exact
    assert (distinct.count, distinct.exact) == (len(set(keys)), True)
    expected = min(Counter(numbers).items(), key=lambda item: (-item[1], item[0]), default=(0, 0))
    assert peak.peak() == expected


def test_the_heavy_clients_survive_a_flood_of_others() -> None:
    top = TopCounter(capacity=100)
    for number in range(500):
        top.update({b"heavy": 5, b"second": 3})
        top.update({b"%d" % (number * 10 + other): 1 for other in range(10)})
    assert not top.exact
    assert top.top(2) == [(b"heavy", 2500), (b"second", 1500)]
    assert len(top.top(1000)) <= 100


def test_the_number_of_clients_is_estimated_closely() -> None:
    distinct = DistinctCounter()
    for start in range(0, 200_000, 1000):
        distinct.update({b"%d" % number: 1 for number in range(start, start + 1000)})
    assert not distinct.exact
    assert abs(distinct.count - 200_000) < 4000


def test_the_peak_survives_and_the_edges_still_add_up() -> None:
    peak = PeakCounter(capacity=2000)
    peak.update({50_000: 9})
    for start in range(0, 100_000, 500):
        peak.update(dict.fromkeys(range(start, start + 500), 2))
    assert peak.peak() == (50_000, 11)
    # The units at the edges are no longer among the largest, and are kept nevertheless.
    peak.update({100_000: 1, -1: 1})
    peak.update(dict.fromkeys(range(60000, 70000), 3))
    peak.update({100_000: 10})
    assert peak.peak() == (50_000, 11)
    peak.update({-1: 11})
    assert peak.peak() == (-1, 12)
    assert PeakCounter().peak() == (0, 0)
