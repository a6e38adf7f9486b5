# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role database notes and when it writes its file, evaluated by Ansible's own Templar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_plugins import LOG_TABLES

ROLE = Path(__file__).resolve().parents[2] / "roles" / "database"
SPEC = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]


def described(refusal: str | None = None, **slow_log: Any) -> dict[str, Any]:
    given = {
        "enabled": False,
        "seconds": 10.0,
        "file": "/etc/mysql/conf.d/zz-wpward.cnf",
        "present": False,
        "log_file": None,
        "refusal": None,
        **slow_log,
    }
    return {"server": {"slow_log": given}, "refusal": refusal, "notes": [], "tables": []}


def templar(result: dict[str, Any] | None, **variables: Any) -> Templar:
    """The role's variables, as Ansible would have them."""
    files = [
        yaml.safe_load((ROLE / name / "main.yml").read_text()) for name in ("defaults", "vars")
    ]
    return Templar(
        loader=DataLoader(),
        variables={
            **{
                key: trust_as_template(value) if isinstance(value, str) else value
                for one in files
                for key, value in one.items()
            },
            **({} if result is None else {"database_described": result}),
            **variables,
        },
    )


def notes(result: dict[str, Any] | None, **variables: Any) -> Any:
    tasks = yaml.safe_load((ROLE / "tasks" / "preflight.yml").read_text())
    told = tasks[-1]["ansible.builtin.set_fact"]["database_notes"]
    return templar(result, **variables).template(trust_as_template(told))


@pytest.mark.parametrize(
    ("slow_log", "written"),
    [
        ({}, True),
        # What the operator has set as low is theirs; what we have written stays ours.
        ({"enabled": True, "seconds": 2.0}, False),
        ({"enabled": True, "seconds": 4.0, "present": True}, True),
        ({"enabled": True, "seconds": 10.0}, True),
    ],
)
def test_what_somebody_else_has_set_is_left_alone(slow_log: dict[str, Any], written: bool) -> None:
    wanted = trust_as_template("{{ __database_slow_log_missing }}")
    assert templar(described(**slow_log)).template(wanted) is written
    assert templar(described(**slow_log), database_slow_log=False).template(wanted) is False


def test_the_file_names_a_log_that_is_rotated() -> None:
    text = trust_as_template((ROLE / "templates" / "slow-log.cnf.j2").read_text())
    plain = templar(described()).template(text)
    assert plain.endswith("[mysqld]\nslow_query_log = 1\nlong_query_time = 4\n")
    rotated = templar(described(log_file="/var/log/mysql/mariadb-slow.log")).template(text)
    assert rotated.endswith("slow_query_log_file = /var/log/mysql/mariadb-slow.log\n")


def test_a_database_that_is_not_ours_to_ask_is_a_note() -> None:
    assert notes({"msg": "The database server refuses root."}) == [
        "The database server refuses root. Its slow log and its log tables were left alone."
    ]
    assert notes({"server": None, "notes": []}) == ["There is no database server on this host."]
    assert notes({"skipped": True}) == ["There is no database server on this host."]
    assert notes(described("It is a replica.")) == ["It is a replica. No log table is touched."]


def test_the_manual_lists_what_may_be_purged() -> None:
    manual = " ".join(SPEC["main"]["description"])
    for known in LOG_TABLES:
        assert (f"C({known.name})" in manual) is bool(known.purge), known.name


def test_the_argument_spec_is_the_manual_of_exactly_the_defaults() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    options = SPEC["main"]["options"]
    required = {name for name, option in options.items() if option.get("required")}
    assert required == {"database_evidence", "database_run"}
    assert {
        name: option["default"] for name, option in options.items() if name not in required
    } == defaults
    purge = SPEC["purge"]["options"]
    assert {name: option["default"] for name, option in purge.items()}.items() <= defaults.items()
