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

from wpward import cli, live_arguments, triage
from wpward.live_events import NOT_DONE, PROVEN, WORDS

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
    words = shlex.split(line)
    # What the server itself is asked stands behind this, ready for its console.
    program, *words = words[2:] if words[:2] == ["ssh", "root@web1"] else words
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
            assert live_arguments.ansible_arguments(options)
            for extra in options.extra_vars:
                assert set(json.loads(extra).get("wpward_roles", [])) <= set(ROLES)


def test_what_triage_says_first_is_what_the_table_lists() -> None:
    from wpward import triage_verdict

    for headline in (triage_verdict._HEADLINES["attack"], triage_verdict._HEADLINES["aftermath"]):
        assert f"`{headline}`" in TEXT
    assert triage_verdict._UNSURE.partition(":")[0] in TEXT


def test_every_outcome_of_a_run_has_its_row() -> None:
    for outcome in PROVEN - {"nothing_to_do"} | NOT_DONE - {"unproven"} | {"unreachable"}:
        assert f"`{WORDS[outcome]}`" in TEXT, outcome


def test_every_link_leads_somewhere() -> None:
    pages = {
        name: {heading(line) for line in (ROOT / "docs" / name).read_text().splitlines()}
        for name in ("runbook.md", "findings.md")
    }
    links = re.findall(r"\]\(([a-z.]*)(?:#([\w-]+))?\)", TEXT)
    assert len(links) > 25
    for page, anchor in links:
        assert not anchor or anchor in pages[page or "runbook.md"], (page, anchor)


def heading(line: str) -> str:
    """The anchor of a heading, as GitHub makes it; "" for any other line."""
    text = line.lstrip("#").strip().lower() if line.startswith("#") else ""
    return re.sub(r"[^\w -]", "", text).replace(" ", "-")


def test_nothing_but_commands_stands_in_the_blocks() -> None:
    assert len(LINES) > 16
    assert {shlex.split(line)[0] for line in LINES} == {"wpward", "ssh"}
