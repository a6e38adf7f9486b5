# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""First aid on a host that may be hardened already."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    containment,
    containment_apply,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_runs import (
    CONFIRMED,
    OPEN,
)

EVIDENCE = {"sites": [{"path": "/var/www/blog"}], "host": {}}


class Transaction:
    def __init__(self, role: str) -> None:
        self.role = role


class Runs:
    """The records of a host on which one run did something."""

    def __init__(self, state: str, role: str, temporary: bool = False) -> None:
        self.record = {"run": "20261122T120000Z-abc123", "state": state, "temporary": temporary}
        self.role = role

    def all(self) -> list[dict[str, Any]]:
        return [self.record]

    def expiring(self) -> list[dict[str, Any]]:
        return [self.record] if self.record["state"] == OPEN else []

    def transactions(self, _run: str) -> list[Transaction]:
        return [Transaction(self.role)]


class Journal:
    def __init__(self, runs: Runs) -> None:
        self.runs = runs


class Applied(Exception):
    """First aid was about to be applied."""


def contain(monkeypatch: pytest.MonkeyPatch, runs: Runs, still_open: bool) -> dict[str, Any]:
    def apply(*_arguments: Any) -> None:
        raise Applied

    found = {"blog.example/": ["/xmlrpc.php came back with 200."]} if still_open else {}
    monkeypatch.setattr(containment_apply, "_open", lambda *_arguments: found)
    monkeypatch.setattr(containment_apply, "apply", apply)
    monkeypatch.setattr(containment, "plan", lambda *_: containment.Aid(ways=["nginx"]))
    return containment_apply.contain(Journal(runs), EVIDENCE)  # type: ignore[arg-type]


def test_a_hardened_host_that_refuses_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    result = contain(monkeypatch, Runs(CONFIRMED, "endpoints"), still_open=False)
    assert not result["changed"]
    assert result["ways"] == ["run 20261122T120000Z-abc123"]
    assert result["until"] is None
    assert "hardened" in result["notes"][0]


@pytest.mark.parametrize(
    ("runs", "still_open"),
    [
        pytest.param(Runs(CONFIRMED, "endpoints"), True, id="a virtual host was added since"),
        pytest.param(Runs(OPEN, "endpoints"), False, id="not confirmed, so it can go back"),
        pytest.param(Runs(CONFIRMED, "guard"), False, id="the endpoints are not closed"),
        pytest.param(Runs(OPEN, "contain", temporary=True), False, id="first aid holds"),
    ],
)
def test_any_other_host_gets_first_aid(
    monkeypatch: pytest.MonkeyPatch, runs: Runs, still_open: bool
) -> None:
    with pytest.raises(Applied):
        contain(monkeypatch, runs, still_open)
