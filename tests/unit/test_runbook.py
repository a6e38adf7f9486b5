# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tired person copies these lines: each is one that its program takes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from ansible_collections.wpward.wordpress.plugins.module_utils import journal_program

from wpward import cli, triage

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "runbook.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
ROLES = yaml.safe_load((ROOT / "roles" / "harden" / "meta" / "argument_specs.yml").read_text())[
    "argument_specs"
]["main"]["options"]["harden_roles"]["choices"]


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_taken_by_its_program(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = shlex.split(line)
    if program == "fail2ban-client":
        assert words[0] == "unban"
    elif program == "python3":
        assert words.pop(0) == "/var/lib/wpward/rollback.py"
        # As anybody but root it reads its arguments, and no more.
        monkeypatch.setattr(journal_program.os, "geteuid", lambda: 1)
        journal_program.main(words)
        assert "Only root" in capsys.readouterr().err
    elif words[0] == "triage":
        assert triage._parser().parse_args(words[1:]).hosts
    else:
        options = cli._parser().parse_args(words)
        if options.command != "logs":
            assert cli.ansible_arguments(options)
            for extra in options.extra_vars:
                assert set(json.loads(extra).get("wpward_roles", [])) <= set(ROLES)


def test_what_triage_says_first_is_what_the_table_lists() -> None:
    from wpward import triage_verdict

    for headline in (triage_verdict._HEADLINES["attack"], triage_verdict._HEADLINES["aftermath"]):
        assert f"`{headline}`" in TEXT
    assert triage_verdict._UNSURE.partition(":")[0] in TEXT


def test_nothing_but_commands_stands_in_the_blocks() -> None:
    assert len(LINES) > 12
    assert {shlex.split(line)[0] for line in LINES} == {"wpward", "python3", "fail2ban-client"}
