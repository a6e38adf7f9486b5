# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters that stay small, and say when they are no longer exact."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.bounded import (
    DistinctCounter,
    PeakCounter,
    Room,
    Timeline,
    TopCounter,
)
from hypothesis import given
from hypothesis import strategies as st

LARGE = 20_000


@given(st.lists(st.integers(0, 30), max_size=200), st.integers(0, 200))
def test_within_the_capacity_everything_is_exact(numbers: list[int], cut: int) -> None:
    """Whether counted here, or partly by another that is merged."""
    halves = []
    for part in (numbers[:cut], numbers[cut:]):
        top, distinct, peak = TopCounter(), DistinctCounter(), PeakCounter()
        for start in range(0, len(part), 7):
            counts = Counter(part[start : start + 7])
            keys = {b"%d" % number: count for number, count in counts.items()}
            assert top.update(keys, LARGE) == []
            distinct.update(keys, LARGE)
            peak.update(counts, LARGE)
        halves.append((top, distinct, peak))
    (top, distinct, peak), (other_top, other_distinct, other_peak) = halves
    top.update(other_top.counts, LARGE)
    distinct.merge(other_distinct, LARGE)
    peak.merge(other_peak, LARGE)
    assert dict(top.top(100)) == Counter(b"%d" % number for number in numbers)
    assert top.exact
    assert (distinct.count, distinct.exact) == (len(set(numbers)), True)
    expected = min(Counter(numbers).items(), key=lambda item: (-item[1], item[0]), default=(0, 0))
    assert peak.peak() == expected


def test_the_heavy_clients_survive_a_flood_of_others() -> None:
    top = TopCounter()
    dropped: Counter[bytes] = Counter()
    for number in range(500):
        top.update({b"heavy": 5, b"second": 3}, 100)
        more = top.update({b"%d" % (number * 10 + other): 1 for other in range(10)}, 100)
        dropped.update(dict(more))
    assert not top.exact
    assert top.top(2) == [(b"heavy", 2500), (b"second", 1500)]
    assert len(top.counts) <= 100
    # Nothing is lost: what was dropped was handed back.
    assert sum(dropped.values()) + sum(top.counts.values()) == 500 * 18


@pytest.mark.parametrize("number", [11_000, 40_000, 200_000])
def test_the_number_of_clients_is_estimated_closely(number: int) -> None:
    one, other = DistinctCounter(), DistinctCounter()
    for start in range(0, number, 1000):
        keys = [b"%d" % key for key in range(start, start + 1000)]
        (one if start % 2000 else other).update(keys, 5000)
        one.update(keys[:10], 5000)
    one.merge(other, 5000)
    assert not one.exact
    assert abs(one.count - number) < 0.06 * number


@pytest.mark.parametrize("large_first", [True, False])
def test_an_estimate_takes_in_an_exact_count(large_first: bool) -> None:
    large, small = DistinctCounter(), DistinctCounter()
    large.update([b"%d" % key for key in range(20_000)], 5000)
    small.update([b"x%d" % key for key in range(2000)], 5000)
    one, other = (large, small) if large_first else (small, large)
    one.merge(other, 5000)
    assert not one.exact
    assert abs(one.count - 22_000) < 800


def test_the_peak_survives_and_the_edges_still_add_up() -> None:
    peak = PeakCounter()
    peak.update({50_000: 9}, 3000)
    for start in range(0, 100_000, 500):
        peak.update(dict.fromkeys(range(start, start + 500), 2), 3000)
    assert peak.peak() == (50_000, 11)
    # The units at the edges are no longer among the largest, and are kept nevertheless.
    peak.update({100_000: 1, -1: 1}, 3000)
    peak.update(dict.fromkeys(range(60000, 70000), 3), 3000)
    peak.update({100_000: 10}, 3000)
    assert peak.peak() == (50_000, 11)
    peak.update({-1: 11}, 3000)
    assert peak.peak() == (-1, 12)
    assert PeakCounter().peak() == (0, 0)


def test_shares_shrink_as_tallies_turn_up() -> None:
    room = Room(6000)
    shares = []
    for _number in range(100):
        room.add_share()
        shares.append(room.share)
    assert (shares[0], shares[5], shares[-1]) == (6000, 1000, 256)


def _timeline(counts: dict[tuple[int, bytes], int], capacity: int, parts: int) -> Timeline:
    lines = [Timeline() for _part in range(parts)]
    for place, (key, count) in enumerate(sorted(counts.items())):
        lines[place % parts].update({key: count}, capacity)
    for other in lines[1:]:
        lines[0].merge(other, capacity)
    return lines[0]


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 10**9), st.sampled_from([b"200", b"403"])),
        st.integers(1, 9),
        max_size=60,
    ),
    st.sampled_from([3, 20, LARGE]),
    st.integers(1, 3),
)
def test_a_timeline_loses_no_count_whatever_it_has_to_join(
    counts: dict[Any, int], capacity: int, parts: int
) -> None:
    timeline = _timeline(counts, capacity, parts)
    start, step, rows = timeline.dense(300)
    totals: Counter[bytes] = Counter()
    for (second, label), count in counts.items():
        totals[label] += count
        assert start <= second < start + step * 300
    assert timeline.totals() == totals
    assert {label: sum(row) for label, row in rows.items()} == totals
    assert start % step == 0
    assert len({len(row) for row in rows.values()}) <= 1
    assert all(len(row) <= 300 for row in rows.values())


def test_a_timeline_has_the_smallest_step_that_fits() -> None:
    timeline = Timeline()
    timeline.update({(second, b"200"): 1 for second in range(0, 18_000, 30)}, LARGE)
    assert timeline.dense(300) == (0, 60, {b"200": [2] * 300})
    timeline.update({(18_000, b"499"): 5}, LARGE)
    start, step, rows = timeline.dense(300)
    assert (start, step) == (0, 120)
    assert rows == {b"200": [4] * 150 + [0], b"499": [0] * 150 + [5]}
    assert timeline.before(120) == 4
    assert timeline.before(18_001) == 605


def test_a_million_minutes_take_a_bounded_number_of_steps() -> None:
    timeline = Timeline()
    for start in range(0, 10**6, 1000):
        timeline.update({(60 * minute, b"200"): 1 for minute in range(start, start + 1000)}, 5000)
    assert timeline.totals() == {b"200": 10**6}
    _start, step, rows = timeline.dense(300)
    assert step > 86400
    assert sum(rows[b"200"]) == 10**6
