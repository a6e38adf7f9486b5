# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bench that interrupts incident.yml: its points exist, and its table tells all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench import interruptions
from bench.interruptions_run import POINTS

ROLES = Path(__file__).resolve().parents[2] / "roles"


def names(tasks: list[dict[str, Any]]) -> list[str]:
    found = []
    for task in tasks:
        found.append(task.get("name", ""))
        for part in ("block", "rescue", "always"):
            found += names(task.get(part, []))
    return found


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_each_point_is_a_task_of_its_role(point: Any) -> None:
    role, _, task = point.task.partition(" : ")
    files = [yaml.safe_load(path.read_text()) for path in ROLES.glob(f"{role}/tasks/*.yml")]
    assert task in [name for tasks in files for name in names(tasks)]


def cell(*outcomes: str, why: str = "", problem: str = "") -> dict[str, Any]:
    return {
        "hosts": dict(zip(interruptions.WEBS, outcomes, strict=True)),
        "why": {"int-web1": why} if why else {},
        "problem": problem,
    }


def test_the_table_tells_each_host_and_what_failed() -> None:
    cells = {
        "sigint|probe": cell("identical", "identical", "identical"),
        "cut|probe": cell("FAILURE", "confirmed", "identical", why="tree: +etc/left"),
        "cut|proof": cell("identical", "identical", "identical", problem="it went on"),
    }
    assert interruptions.table(cells, list(interruptions.WEBS)).splitlines()[2:] == [
        "| probe | 3 identical | FAILURE, confirmed, identical |",
        "| proof | not run | 3 identical; FAILURE: it went on |",
    ]
    assert interruptions.failures(cells) == [
        "cut|probe, int-web1: tree: +etc/left",
        "cut|proof, run: it went on",
    ]
