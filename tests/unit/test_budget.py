# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time

from ansible_collections.wpward.wordpress.plugins.module_utils.budget import Budget
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems


def test_a_part_ends_with_its_share_or_with_the_whole() -> None:
    budget = Budget(10, Problems())
    now = time.monotonic()
    with budget.part("short", at_most=2) as deadline:
        assert now + 1.9 < deadline < now + 2.5
    with budget.part("greedy", at_most=60) as deadline:
        assert now + 9.9 < deadline < now + 10.5
    with budget.part("rest") as deadline:
        assert now + 9.9 < deadline < now + 10.5
    assert [(one["part"], one["complete"]) for one in budget.describe()] == [
        ("short", True),
        ("greedy", True),
        ("rest", True),
    ]


def test_who_comes_late_has_some_time_all_the_same() -> None:
    budget = Budget(0.08, Problems())
    with budget.part("hanging"):
        time.sleep(0.1)
    now = time.monotonic()
    with budget.part("late") as deadline:
        assert now + 0.005 < deadline < now + 0.05


def test_a_part_that_takes_too_long_is_not_complete() -> None:
    budget = Budget(0.08, Problems())
    with budget.part("slow", at_most=0.01):
        time.sleep(0.05)
    assert not budget.describe()[0]["complete"]
    assert budget.describe()[0]["seconds"] >= 0.05


def test_a_part_that_fails_leaves_the_others_alone() -> None:
    problems = Problems()
    budget = Budget(10, problems)
    with budget.part("broken"):
        raise KeyError("what nobody thought of")
    with budget.part("next"):
        pass
    assert [one["complete"] for one in budget.describe()] == [False, True]
    (problem,) = problems.describe()
    assert problem["id"] == "part_failed"
    assert "broken" in problem["message"] and "what nobody thought of" in problem["message"]
