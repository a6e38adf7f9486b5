# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every plan of limits and workers has in common."""

from __future__ import annotations

from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_plan import capacity_plan
from hypothesis import given
from hypothesis import strategies as st
from unit.capacity_evidence import (
    MIB,
    applied,
    event,
    evidence,
    master,
    mod_php,
    pool,
)


def line(plan: dict[str, Any], what: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in plan["arithmetic"] if what in one["what"])
    return found


@st.composite
def hosts(draw: st.DrawFn) -> dict[str, Any]:
    total = draw(st.integers(256, 65536)) * MIB
    cpus = draw(st.sampled_from([0.5, 1.0, 2.0, 8.0, 32.0]))
    kind = draw(st.sampled_from(["nginx", "prefork", "event"]))
    pss = draw(st.integers(2, 200))
    if kind == "prefork":
        made = mod_php(draw(st.integers(1, 500)), pss, total, cpus)
    else:
        made = event(draw(st.integers(1, 40)) * 25, draw(st.integers(1, 30)))
        if kind == "nginx":
            made = evidence()
        made["capacity"]["php_fpm"] = [
            master(
                *(
                    pool(
                        f"p{number}",
                        draw(st.integers(1, 300)),
                        draw(st.integers(2, 200)),
                        pm=draw(st.sampled_from(["dynamic", "static", "ondemand"])),
                    )
                    for number in range(draw(st.integers(1, 4)))
                )
            )
        ]
    made["capacity"]["cpus"] = cpus
    made["capacity"]["memory"] = {
        "total": total,
        "available": draw(st.integers(0, total // MIB)) * MIB,
        "limited_by": None,
    }
    made["capacity"]["nofile_ceiling"] = draw(st.integers(8192, 524288))
    return made


@given(hosts(), st.floats(0.91, 1.09))
def test_the_second_plan_changes_nothing(made: dict[str, Any], grown: float) -> None:
    first = capacity_plan(made)
    again = applied(made, first, grown)
    # What grew is no longer available, and the other way round.
    before, now = (_stack(one["capacity"]) for one in (made, again))
    memory = again["capacity"]["memory"]
    memory["available"] = min(max(memory["available"] - now + before, 0), memory["total"])
    second = capacity_plan(again)
    assert [one["after"] for one in second["workers"]] == [one["after"] for one in first["workers"]]
    for one in second["services"]:
        assert (one["nofile"], one["dropin"], one["file_entries"]) == (None, None, [])
        if one["service"] != "nginx":
            assert one["settings"] == {}


def _stack(capacity: dict[str, Any]) -> int:
    return sum(
        row["workers"] * (row["worker_pss"] or {}).get("mean", 0) for row in capacity["services"]
    )


@given(hosts())
def test_a_plan_adds_up(made: dict[str, Any]) -> None:
    plan = capacity_plan(made)
    lines = plan["arithmetic"]
    taken = sum(one["bytes"] for one in lines if one["what"].startswith("less "))
    left = line(plan, "left for PHP")["bytes"]
    assert left == max(lines[0]["bytes"] - taken, 0)
    assert all(one["bytes"] >= 0 for one in lines)
    assert plan["predicted"]["bytes"] >= 0
    for one in plan["workers"]:
        assert one["after"] >= min(one["before"], 2)
        assert (one["after"] == one["before"]) == (one["limit"] == "kept")
