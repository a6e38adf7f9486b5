# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""bench/fleet.py: which runs it makes, and which it takes for the run that it wanted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import fleet
from fleet_run import Run

RECAP = """
PLAY RECAP *********************************************************************
web00                      : ok=133  changed={0}    unreachable=0    failed={1}    skipped=26
web01                      : ok=133  changed=0    unreachable={2}    failed=0    skipped=26
"""


def run(changed: int = 0, failed: int = 0, unreachable: int = 0, code: int = 0) -> Run:
    return Run(code, RECAP.format(changed, failed, unreachable), 1, 1, 1)


def test_no_more_forks_than_change_anything() -> None:
    assert fleet.grid([50, 1, 10], [5, 25, 50]) == [
        (1, 5), (10, 5), (10, 25), (50, 5), (50, 25), (50, 50),
    ]  # fmt: skip


def test_both_sides_of_each_number_of_names_come_before_other_forks() -> None:
    again = [one for one in fleet.plan(fleet.grid([10, 50], [5, 25, 50]), True) if "again" in one]

    assert [(who == fleet.PEER, *pair) for who, _, *pair in again[:4]] == [
        (False, 10, 25), (True, 10, 25), (False, 50, 25), (True, 50, 25),
    ]  # fmt: skip
    assert len(again) == len(set(again)) == 10


def test_a_run_in_which_nothing_changed_is_accepted() -> None:
    fleet.expect(run(), 2, changes=False)


@pytest.mark.parametrize(
    "other",
    [run(changed=1), run(failed=1), run(unreachable=1), run(code=2), Run(0, "", 1, 1, 1)],
)
def test_any_other_run_is_not(other: Run) -> None:
    with pytest.raises(RuntimeError):
        fleet.expect(other, 2, changes=False)
