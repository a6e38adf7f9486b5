# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every finding is in the catalogue, and everything in the catalogue can be found."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils import finding_catalogue
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import SEVERITIES
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_catalogue import (
    BY_ID,
    KINDS,
    TRAPS,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_kind import (
    ENDPOINTS,
    GUARD,
    ROLES,
    Kind,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan
from unit.plan_cases import CASES
from unit.plan_traffic import evidence

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data" / "plan"


def trap(identity: str) -> dict[str, Any]:
    return {"id": identity, "file": None, "line": None, "text": None, "detail": "It is so."}


def yielded() -> set[str]:
    """The ids that the labelled hosts, the incidents and one host with every trap yield."""
    hosts = [case.make() for case in CASES.values()]
    hosts += [json.loads(path.read_text()) for path in DATA.glob("*.json")]
    hosts.append(evidence(traps=[trap(identity) for identity in TRAPS]))
    hosts.append(evidence(budget=[{"part": "now", "seconds": 2.0, "complete": False}]))
    return {finding["id"] for host in hosts for finding in make_plan(host)["findings"]}


def test_what_a_plan_yields_is_the_catalogue() -> None:
    assert yielded() == set(BY_ID)


def test_no_id_stands_in_the_code_that_the_catalogue_does_not_know() -> None:
    """The ids that the plan's own code names, also where no example comes to it."""
    named = set()
    for path in (ROOT / "plugins" / "plugin_utils").glob("*_findings.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "make":
                named |= {
                    one.value
                    for one in ast.walk(node.args[0])
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    assert len(named) > 15
    assert named <= set(BY_ID)


def test_every_id_is_there_once() -> None:
    assert len(KINDS) == len(BY_ID)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_entry_is_whole(kind: Kind) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.id)
    assert kind.severity in SEVERITIES
    assert set(kind.remedies) <= set(ROLES)
    for text in (kind.meaning, kind.action, kind.by_hand):
        assert text.endswith(".") and "  " not in text
    assert not kind.title.endswith(".")
    # The plugin alone cannot be proven: the proof asks for the web server's refusals.
    assert GUARD not in kind.remedies or ENDPOINTS in kind.remedies


def test_what_findings_call_for_are_roles_of_this_collection() -> None:
    assert all((ROOT / "roles" / role / "tasks" / "main.yml").exists() for role in ROLES)


def test_every_finding_has_its_place_in_the_document() -> None:
    text = finding_catalogue.markdown()
    anchors = re.findall(r"^## (\w+)$", text, re.MULTILINE)
    assert anchors == [kind.id for kind in KINDS]
    assert set(re.findall(r"\(#(\w+)\)", text)) <= set(anchors)
    assert text.count("```") % 2 == 0
