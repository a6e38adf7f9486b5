# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sizes of batches that Ansible would take for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.wpward.wordpress.plugins.filter.rollout_batches import rollout_batches

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("given", "sizes"),
    [([1, 5, 25], [1, 5, 25]), ([1, "10%", "100%"], [1, "10%", "100%"]), (3, [3]), ("50", ["50"])],
)
def test_sizes_stay_as_they_are_given(given: Any, sizes: list[Any]) -> None:
    assert rollout_batches(given) == sizes


@pytest.mark.parametrize(
    "given",
    [0, [0], [1, "0%"], [-1], ["ten"], [""], [], None, True, [1.5], "1,5", {"a": 1}, ["5\n"]],
)
def test_what_would_be_all_hosts_at_once_is_refused(given: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"wpward_serial is .* numbers from 1 .* Nothing"):
        rollout_batches(given)


def test_the_rollout_checks_its_batches() -> None:
    plays = yaml.safe_load((ROOT / "playbooks/harden.yml").read_text())
    assert plays[1]["serial"] == (
        "{{ wpward_serial | default([1, 5, 25]) | wpward.wordpress.rollout_batches }}"
    )
