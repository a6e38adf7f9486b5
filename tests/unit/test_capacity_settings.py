# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator says about capacity, and evidence that says too little."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.filter.capacity_plan import FilterModule
from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_plan import capacity_plan
from unit.capacity_evidence import (
    GIB,
    evidence,
    line,
    of,
    pool,
)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"nofile": 100}, "wpward_capacity_nofile is 100; it must be a whole number from 1024"),
        ({"nofile": True}, "wpward_capacity_nofile is True"),
        ({"nofile": 5000.5}, "wpward_capacity_nofile is 5000.5"),
        ({"workers": "maybe"}, "wpward_capacity_workers is 'maybe'"),
        ({"reserve": 1}, "wpward_capacity_reserve is 1"),
        ({"reserve": "x"}, "wpward_capacity_reserve is 'x'"),
        ({"reserve": float("nan")}, "wpward_capacity_reserve is nan"),
        ({"per_cpu": 0}, "wpward_capacity_per_cpu is 0; it must be a whole number from 1 to 64"),
        ({"pool_weights": ["www"]}, "wpward_capacity_pool_weights must be a mapping such as"),
        ({"pool_weights": {"www": 0}}, "gives www the weight 0"),
        ({"files": 1}, "hold files, which is none of"),
        ({"weights": {}}, "hold weights, which is none of"),
        ("16384", "must be a mapping"),
    ],
)
def test_settings_that_make_no_sense_are_told(settings: Any, said: str) -> None:
    plan = capacity_plan(evidence(), settings)
    assert said in plan["refusal"] and plan["services"] == []


def test_numbers_of_a_template_may_be_text() -> None:
    settings = {"nofile": "4096", "per_cpu": "4", "reserve": "0.5"}
    plan = capacity_plan(evidence(total=16 * GIB), settings)
    assert plan["services"][0]["nofile"] == 4096
    assert line(plan, "reserve")["bytes"] == 8 * GIB
    assert plan["workers"][0]["after"] == 8


def test_workers_can_be_left_alone() -> None:
    plan = capacity_plan(evidence(pool(children=900)), {"workers": False})
    assert (plan["workers"], plan["arithmetic"], plan["predicted"]["bytes"]) == ([], [], 0)
    assert of(plan, "php-fpm")["settings"] == {} and of(plan, "php-fpm")["nofile"] == 16384


def test_evidence_without_the_part_is_refused() -> None:
    assert "probe again" in capacity_plan({})["refusal"]


def test_a_probe_without_time_leaves_limits_alone() -> None:
    plan = capacity_plan({"capacity": None})
    assert (plan["refusal"], plan["services"], plan["workers"]) == ("", [], [])
    assert "left alone; run again" in plan["notes"][0]


def test_a_bare_host_is_no_error() -> None:
    made = evidence(nginx=None, php_fpm=[], database=None, services=[])
    plan = capacity_plan(made)
    assert (plan["refusal"], plan["workers"], plan["accounts"]) == ("", [], [])


def test_the_filter_is_found() -> None:
    assert FilterModule().filters()["capacity_plan"](evidence())["refusal"] == ""
