# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan's judgement on labelled hosts: nothing missed, nobody alarmed, no threshold idle."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_catalogue import BY_ID
from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.thresholds import (
    THRESHOLDS,
    Threshold,
)
from unit.plan_cases import CASES
from unit.plan_traffic import SITE


@cache
def evidence(name: str) -> Any:
    return CASES[name].make()


def judged(name: str, **thresholds: float) -> tuple[str, set[str]]:
    plan = make_plan(evidence(name), {}, thresholds)
    return plan["sites"][SITE], {_label(finding) for finding in plan["findings"]}


def _label(finding: Any) -> str:
    """The id, with the severity where it is not the usual one."""
    identity: str = finding["id"]
    if finding["severity"] == BY_ID[identity].severity:
        return identity
    return f"{identity} {finding['severity']}"


def wrong(**thresholds: float) -> str | None:
    """A labelled host that is judged otherwise than its label says; None if there is none."""
    return next(
        (
            name
            for name, case in CASES.items()
            if judged(name, **thresholds) != (case.verdict, case.findings)
        ),
        None,
    )


@pytest.mark.parametrize("name", CASES)
def test_labelled_host_is_judged_as_its_label_says(name: str) -> None:
    assert judged(name) == (CASES[name].verdict, CASES[name].findings)


def test_there_are_attacks_and_benign_hosts_of_every_sort() -> None:
    verdicts = [case.verdict for case in CASES.values()]
    assert {name: verdicts.count(name) >= least for name, least in LEAST.items()} == dict.fromkeys(
        LEAST, True
    )


LEAST = {"attack": 20, "probing": 4, "aftermath": 4, "quiet": 20}


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda one: one.name)
def test_every_threshold_is_held_from_above_and_below(threshold: Threshold) -> None:
    """Moved by a factor of ten (a share: to the middle of what is left), either way, some labelled
    host is judged wrongly."""
    higher = (1 + threshold.default) / 2 if threshold.share else threshold.default * 10
    lower = threshold.default / 10
    by_name = threshold.name
    assert wrong(**{by_name: higher}), f"{by_name} may be {higher} and nobody notices"
    assert wrong(**{by_name: lower}), f"{by_name} may be {lower} and nobody notices"
