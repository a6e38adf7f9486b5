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


def test_both_sides_of_each_number_of_names_follow_each_other() -> None:
    again = [one for one in fleet.plan([50, 10], [5, 25], 3, peer=True) if one[1] == "again"]

    assert again == [
        (who, "again", names, 3) for names in (10, 50) for who in (fleet.OURS, fleet.PEER)
    ]


def test_a_run_in_which_nothing_changed_is_accepted() -> None:
    fleet.expect(run(), 2, changes=False)


@pytest.mark.parametrize(
    "other",
    [run(changed=1), run(failed=1), run(unreachable=1), run(code=2), Run(0, "", 1, 1, 1)],
)
def test_any_other_run_is_not(other: Run) -> None:
    with pytest.raises(RuntimeError):
        fleet.expect(other, 2, changes=False)
