# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How memory is divided among workers of PHP."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.worker_budget import (
    CPU,
    KEPT,
    LEAST,
    MEMORY,
    Planned,
    Workers,
    plan_workers,
    share,
)
from hypothesis import given
from hypothesis import strategies as st

MIB = 1 << 20


def group(current: int, each: int = 40, **changes: Any) -> Workers:
    made = Workers(
        service="php-fpm",
        unit="php-fpm.service",
        pool="www",
        setting="pm.max_children",
        current=current,
        each=each * MIB,
        how="PSS 40 MiB",
        grown=max(each, 256) * MIB,
        connection=0,
        weight=Fraction(1),
    )
    return replace(made, **changes)


def planned(
    *groups: Workers, left: int, cpus: float = 2, per_cpu: int = 8, **more: Any
) -> list[Planned]:
    return plan_workers(groups, left * MIB, cpus, per_cpu, **more)


def after(*groups: Workers, left: int, **more: Any) -> list[int]:
    return [one.after for one in planned(*groups, left=left, **more)]


# --- share


def test_who_needs_less_leaves_the_rest_to_the_others() -> None:
    one = Fraction(1)
    assert share(100, [0, 0], [10, 200], [one, one]) == [10, 90]
    assert share(100, [0, 0, 0], [10, 200, 200], [one, one, 2 * one]) == [10, 30, 60]
    assert share(100, [40, 0], [200, 200], [one, 9 * one]) == [40, 60]
    assert share(10, [8, 8], [20, 20], [one, one]) == [8, 8]
    assert share(1000, [0, 0], [10, 20], [one, one]) == [10, 20]


@st.composite
def shares(draw: st.DrawFn) -> tuple[int, list[int], list[int], list[Fraction]]:
    number = draw(st.integers(1, 6))
    needs = [draw(st.integers(0, 10**9)) for _ in range(number)]
    floors = [draw(st.integers(0, need)) for need in needs]
    weights = [Fraction(draw(st.integers(1, 100)), 10) for _ in range(number)]
    return draw(st.integers(-(10**9), 3 * 10**9)), floors, needs, weights


@given(shares())
def test_a_share_keeps_its_bounds_and_the_weights(
    given_: tuple[int, list[int], list[int], list[Fraction]],
) -> None:
    total, floors, needs, weights = given_
    got = share(total, floors, needs, weights)
    assert all(low <= mine <= high for low, mine, high in zip(floors, got, needs, strict=True))
    assert sum(got) == max(min(total, sum(needs)), sum(floors))
    unbound = [at for at in range(len(got)) if floors[at] < got[at] < needs[at]]
    assert len({got[at] / weights[at] for at in unbound}) <= 1


# --- lowered


def test_what_does_not_fit_is_lowered_to_what_does() -> None:
    [one] = planned(group(212), left=2048)
    assert (one.after, one.limit) == (51, MEMORY)
    assert one.reason == (
        "212 workers of 40 MiB each may take 8.3 GiB, but 2.0 GiB are left for PHP, which carry 51."
    )


@pytest.mark.parametrize(("current", "wanted"), [(55, 55), (56, 56), (57, 51), (51, 51)])
def test_a_tenth_too_many_is_kept(current: int, wanted: int) -> None:
    assert after(group(current), left=2048) == [wanted]


def test_the_minimum_stays_whatever_there_is() -> None:
    assert after(group(50), left=0) == [LEAST]
    assert after(group(50), left=10) == [LEAST]
    assert after(group(1), left=0) == [1]


def test_a_connection_of_the_database_costs_memory_too() -> None:
    assert after(group(100, connection=10 * MIB), left=1000) == [20]


def test_pools_share_by_weight_and_the_small_one_is_spared() -> None:
    weights = group(90), group(90, weight=Fraction(3))
    assert after(*weights, left=4000) == [25, 75]
    assert after(group(90), group(5), left=2000) == [45, 5]
    # As long as everything fits, weights change nothing.
    assert after(group(45), group(5, weight=Fraction(100)), left=2000, cpus=0.5) == [45, 5]


def test_the_limit_of_a_unit_binds_before_the_hosts() -> None:
    limited = group(40, limit=1000 * MIB)
    [one] = planned(limited, left=8000)
    assert one.after == 22 and "systemd allows php-fpm.service 1000 MiB, which carry 22" in (
        one.reason
    )
    other = group(40, unit="php7.4-fpm.service")
    assert after(limited, other, left=8000) == [22, 40]


def test_what_cannot_be_changed_takes_what_it_takes() -> None:
    first, second = planned(
        group(40, fixed="nobody can restart it."), group(40), left=2000, cpus=0.5
    )
    assert (first.wanted, first.after) == (25, 40)
    assert first.reason.endswith(
        "It stays: nobody can restart it; set pm.max_children to 25 yourself."
    )
    assert second.after == 10


# --- raised


def test_idle_processors_get_more_workers() -> None:
    [one] = planned(group(5), left=8000)
    assert (one.after, one.limit) == (16, CPU)
    assert "16 suit 2 processors (8 for each) and fit even if each grows" in one.reason


@pytest.mark.parametrize(("current", "wanted"), [(11, 16), (12, 12), (16, 16), (100, 100)])
def test_three_fourths_of_what_suits_are_enough(current: int, wanted: int) -> None:
    assert after(group(current), left=8000) == [wanted]


def test_memory_bounds_a_raise_by_the_size_workers_may_grow_to() -> None:
    [one] = planned(group(5), left=2600)
    assert (one.after, one.limit) == (10, MEMORY)
    assert after(group(5), left=1500) == [5]


def test_one_is_never_raised_at_the_expense_of_another() -> None:
    assert after(group(5), group(60), left=4000) == [5, 60]
    assert after(group(2), group(2), left=8000) == [8, 8]
    assert after(group(2), group(2, weight=Fraction(3)), left=8000) == [4, 12]


def test_php_fpm_starts_no_more_than_its_process_max() -> None:
    assert after(group(5, processes=12), left=8000) == [12]
    both = group(5, processes=12), group(5, processes=12)
    assert after(*both, left=80000, cpus=8) == [7, 5]
    elsewhere = group(5, unit="php7.4-fpm.service")
    assert after(both[0], elsewhere, left=80000, cpus=8) == [12, 32]


def test_half_a_processor_is_one() -> None:
    assert after(group(1), left=8000, cpus=0.5) == [4]
    assert after(group(1), left=8000, cpus=0.1, per_cpu=1) == [LEAST]


# --- always


@st.composite
def hosts(draw: st.DrawFn) -> tuple[list[Workers], int, float]:
    limit = st.none() | st.integers(1, 4000).map(lambda number: number * MIB)
    limits = {"php1": draw(limit), "php2": draw(limit)}
    groups = [
        group(
            draw(st.integers(1, 400)),
            draw(st.integers(8, 230)),
            pool=f"pool{number}",
            weight=Fraction(draw(st.integers(1, 50)), 10),
            connection=draw(st.integers(0, 5)) * MIB,
            unit=draw(st.sampled_from(sorted(limits))),
        )
        for number in range(draw(st.integers(1, 5)))
    ]
    groups = [replace(one, limit=limits[str(one.unit)]) for one in groups]
    return groups, draw(st.integers(0, 40000)) * MIB, draw(st.sampled_from([0.5, 1, 2, 8, 64]))


@given(hosts())
def test_a_plan_fits_or_is_the_minimum(host: tuple[list[Workers], int, float]) -> None:
    groups, left, cpus = host
    plans = plan_workers(groups, left, cpus, 8)
    takes = sum(one.after * one.workers.cost for one in plans)
    changed = [one for one in plans if one.after != one.workers.current]
    least = all(one.after == min(one.workers.current, LEAST) for one in plans)
    assert least or takes <= left * Fraction(11, 10)
    if any(one.after < one.workers.current and one.workers.limit is None for one in plans):
        assert takes <= left or all(
            one.after <= LEAST for one in plans if one.after < one.workers.current
        )
    for one in plans:
        assert one.after >= min(one.workers.current, LEAST)
        assert (one in changed) == (one.limit != KEPT)
        if one.after > one.workers.current:
            assert one.after <= max(LEAST, 8 * cpus)


@given(hosts(), st.floats(0.1, 1.099))
def test_a_second_plan_changes_nothing_whatever_the_workers_have_grown_to(
    host: tuple[list[Workers], int, float], grown: float
) -> None:
    groups, left, cpus = host
    plans = plan_workers(groups, left, cpus, 8)
    again = [
        replace(one.workers, current=one.after, each=max(int(one.workers.each * grown), 1))
        for one in plans
    ]
    again = [replace(one, grown=max(one.each, 256 * MIB)) for one in again]
    assert [one.after for one in plan_workers(again, left, cpus, 8)] == [one.after for one in plans]
