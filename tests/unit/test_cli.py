# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line: what it hands to ansible-playbook."""

from __future__ import annotations

import json

import pytest

from wpward import cli
from wpward.live_arguments import ansible_arguments
from wpward.playbooks import CollectionNotFound, playbook


def arguments(*words: str) -> list[str]:
    return ansible_arguments(cli._parser().parse_args(words))


def test_harden_names_the_playbook_and_the_inventory() -> None:
    got = arguments("harden", "-i", "hosts.yml")
    assert got[0].endswith("playbooks/harden.yml")
    assert got[1:] == ["--inventory", "hosts.yml"]


def test_trusted_clients_set_the_policy_too() -> None:
    got = arguments(
        "harden", "-i", "x", "--trusted", "192.0.2.7/32", "--trusted", "2001:db8::/48", "--check"
    )
    variables = json.loads(got[got.index("--extra-vars") + 1])
    assert variables == {
        "wpward_trusted": ["192.0.2.7/32", "2001:db8::/48"],
        "wpward_policy": {"xmlrpc": "trusted"},
    }
    assert "--check" in got


def test_the_users_own_variables_come_last_and_win() -> None:
    got = arguments("rollback", "-i", "x", "--run", "20261121T120000Z-ab12cd", "-e", "wpward_run=y")
    assert got[-1] == "wpward_run=y"


def test_probe_has_no_options_that_change_things() -> None:
    with pytest.raises(SystemExit) as stopped:
        arguments("probe", "-i", "x", "--trusted", "192.0.2.7/32")
    assert stopped.value.code == 1


def test_missing_collection_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wpward.playbooks._collection_roots", list)
    with pytest.raises(CollectionNotFound):
        playbook("harden")
    assert cli.main(["probe", "-i", "x,"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("wpward: ")
    assert printed.count("\n") == 1


def test_networks_reads_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["networks"]) == 0
    assert "cloudfront" in capsys.readouterr().out


def test_cdn_reads_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cdn"]) == 0
    assert "cloudfront" in capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for command in ("probe", "harden", "verify", "rollback", "logs", "networks", "cdn"):
        assert f"\n    {command} " in shown
