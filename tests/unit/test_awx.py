# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The survey asks for variables that the roles take, and the image gets this very collection."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SURVEY: dict[str, Any] = json.loads((ROOT / "docs" / "awx-survey.json").read_text())
# What a survey hands over, by the type of its question, and the options that take it.
TAKES = {
    "text": ("str",),
    "integer": ("int",),
    "multiplechoice": ("str", "bool"),
    "multiselect": ("list",),
}
DEFAULT = r"\{{\{{ {} \| default\("


def options_fed_by(variable: str) -> list[dict[str, Any]]:
    """The roles' options whose default is this variable."""
    found = []
    for path in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")):
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values():
            for option in (entry.get("options") or {}).values():
                default = str(option.get("default", ""))
                if re.match(DEFAULT.format(variable), default):
                    found.append(option)
    return found


@pytest.mark.parametrize("question", SURVEY["spec"], ids=lambda one: one["variable"])
def test_a_question_is_one_that_the_roles_take_an_answer_to(question: dict[str, Any]) -> None:
    variable = question["variable"]
    if variable == "wpward_hosts":
        for name in ("contain", "harden", "incident"):
            assert (
                "hosts: \"{{ wpward_hosts | default('all') }}\""
                in (ROOT / "playbooks" / f"{name}.yml").read_text()
            )
        return
    options = options_fed_by(variable)
    assert options
    for option in options:
        assert option["type"] in TAKES[question["type"]]
        if "choices" in option:
            assert set(question["choices"]) <= set(option["choices"])
            assert option["choices"] == [
                one for one in option["choices"] if one in question["choices"]
            ]
    given = question["default"]
    if question["type"] == "integer":
        assert question["min"] <= given <= question["max"]
    if question["type"].startswith("multi") and given:
        assert set(given.split("\n")) <= set(question["choices"])


def test_a_survey_has_what_awx_asks_of_one() -> None:
    assert set(SURVEY) == {"name", "description", "spec"}
    names = [question["variable"] for question in SURVEY["spec"]]
    assert len(set(names)) == len(names)
    for question in SURVEY["spec"]:
        assert set(question) == {
            *("question_name", "question_description", "variable", "type", "required"),
            *("default", "choices", "min", "max"),
        }
        assert question["type"] in TAKES


def test_the_image_gets_the_collection_of_this_version() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    image = yaml.safe_load((ROOT / "execution-environment.yml").read_text())
    archive = f"dist/wpward-wordpress-{version}.tar.gz"
    assert [one["src"] for one in image["additional_build_files"]] == [archive]
    assert image["dependencies"]["galaxy"]["collections"] == [{"name": archive, "type": "file"}]


def test_the_image_has_the_ansible_that_the_command_needs() -> None:
    image = yaml.safe_load((ROOT / "execution-environment.yml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    for name in ("ansible_core", "ansible_runner"):
        assert f'"{image["dependencies"][name]["package_pip"]}"' in project
