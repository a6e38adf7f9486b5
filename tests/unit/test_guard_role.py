# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role guard writes and what it refuses, without a host."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/guard"
SITE = {"id": "blog.example", "mu_plugins_dir": "/var/www/blog/wp-content/mu-plugins"}
HOMELESS = {"id": "two.example", "mu_plugins_dir": None}
PREFLIGHT = [
    {
        "hosts": "blog.example",
        "gather_facts": False,
        "connection": "local",
        "tasks": [
            {
                "ansible.builtin.include_role": {
                    "name": "wpward.wordpress.guard",
                    "tasks_from": "preflight",
                    "rolespec_validate": False,
                }
            }
        ],
    }
]
RENDER = ROOT / "tests/integration/guard/render.yml"


def run(playbook: Path, inventory: str, **variables: Any) -> tuple[int, str]:
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--inventory", inventory),
            *("--extra-vars", json.dumps(variables)),
            str(playbook),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"guard_policy": {"xmlrpc": "shut"}}, "xmlrpc is 'shut'"),
        ({"guard_policy": {"xmlrcp": "closed"}}, "unknown endpoint 'xmlrcp'"),
        ({"guard_policy": {"xmlrpc": "trusted"}}, "list of trusted clients is empty"),
        ({"guard_trusted": ["0.0.0.0/0"]}, "means everybody"),
        ({"guard_trusted": ["192.0.2.1'); evil(); //"]}, "not an address or a network"),
        ({"guard_capability": "read'; evil(); //"}, "cannot be the name of a WordPress capability"),
        ({"guard_capability": "read\n"}, "cannot be the name of a WordPress capability"),
        ({"guard_evidence": {"sites": [], "vhosts": []}}, "no WordPress was found"),
        (
            {"guard_evidence": {"sites": [SITE, HOMELESS], "vhosts": []}},
            "the must-use plugins directory of two.example is not to be found",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_refused_in_one_sentence(
    tmp_path: Path, variables: dict[str, Any], sentence: str
) -> None:
    playbook = tmp_path / "preflight.yml"
    playbook.write_text(yaml.safe_dump(PREFLIGHT))
    given = {"guard_evidence": {"sites": [SITE], "vhosts": []}, "guard_run": "r", **variables}
    code, said = run(playbook, "blog.example,", **given)
    assert code != 0
    message = " ".join(said.split())
    assert sentence in message
    assert "blog.example: " in message
    assert "Nothing was changed." in message
    assert "Traceback" not in said


def test_evidence_that_lacks_something_is_not_evidence_without_a_fault(tmp_path: Path) -> None:
    playbook = tmp_path / "preflight.yml"
    playbook.write_text(yaml.safe_dump(PREFLIGHT))
    code, said = run(playbook, "blog.example,", guard_evidence={"vhosts": []}, guard_run="r")
    assert code != 0
    assert "has no attribute 'sites'" in said


def test_the_options_are_those_of_the_defaults() -> None:
    spec = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert {name: option["default"] for name, option in options.items() if "default" in option} == (
        defaults
    )
    assert {name for name, option in options.items() if option.get("required")} == (
        set(options) - set(defaults)
    )


def test_the_plugin_is_one_php_file(tmp_path: Path) -> None:
    destination = tmp_path / "plugin.php"
    code, said = run(
        RENDER,
        "localhost,",
        destination=str(destination),
        __guard_policy={"xmlrpc": "trusted", "rest_users": "closed"},
        __guard_trusted=["192.0.2.0/24", "2001:db8::/32"],
        __guard_fronts=["127.0.0.0/8"],
        guard_neutral_login=False,
    )
    assert code == 0, said
    plugin = destination.read_text(encoding="utf-8")
    assert plugin.startswith("<?php\n/**\n * Plugin Name: ")
    assert plugin.count("<?php") == 1
    assert "?>" not in plugin
    assert "{{" not in plugin
    assert "\t'xmlrpc' => 'trusted',\n\t'rest_users' => 'closed',\n" in plugin
    assert "\t'192.0.2.0/24',\n\t'2001:db8::/32',\n" in plugin
    assert "const FRONTS = array(\n\t'127.0.0.0/8',\n);" in plugin
    assert "const NEUTRAL_LOGIN = false;" in plugin
    assert "wpward.wordpress.guard" in plugin


def test_every_hook_has_its_function() -> None:
    parts = "".join(path.read_text(encoding="utf-8") for path in (ROLE / "files/guard").iterdir())
    hooked = set(re.findall(r"__NAMESPACE__ \. '\\(\w+)'", parts))
    defined = re.findall(r"^function (\w+)\(", parts, re.MULTILINE)
    assert hooked <= set(defined)
    assert len(defined) == len(set(defined))


def test_every_part_is_in_the_plugin() -> None:
    template = (ROLE / "templates/wpward-guard.php.j2").read_text(encoding="utf-8")
    for path in (ROLE / "files/guard").iterdir():
        assert f"'{path.stem}'" in template
