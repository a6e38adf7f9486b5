# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line: what it hands to ansible-playbook."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wpward import cli, live, live_result
from wpward.live_arguments import ansible_arguments, extra_variable, follow_up_arguments
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
    for command in ("incident", "probe", "harden", "verify", "rollback", "logs", "networks", "cdn"):
        assert f"\n    {command} " in shown


def test_nothing_of_ansible_is_loaded_before_a_playbook_is_run() -> None:
    program = (
        "import sys, wpward.cli; wpward.cli._parser(); "
        "heavy = {'ansible_runner', 'ansible', 'rich', 'yaml'}; print(heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_run_has_its_name_from_the_beginning() -> None:
    options = cli._parser().parse_args(["incident", "-i", "x", "--canary", "--tags", "contain"])
    got = ansible_arguments(options, "20261122T170000Z-ab12cd", ["web1", "web2"])
    assert got[0].endswith("playbooks/incident.yml")
    assert got[got.index("--limit") + 1] == "web1,web2"
    assert got[got.index("--tags") + 1] == "contain"
    assert json.loads(got[got.index("--extra-vars") + 1]) == {
        "harden_run": "20261122T170000Z-ab12cd",
        "wpward_serial": [1, "10%", "100%"],
    }


@pytest.mark.parametrize("sizes", ["", "0", "1,,2", "ten", "1;2", "-1"])
def test_batch_sizes_that_make_no_sense(sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli._parser().parse_args(["harden", "-i", "x", f"--serial={sizes}"])
    assert stopped.value.code == 1
    assert "1,10%,100%" in capsys.readouterr().err


def test_a_follow_up_keeps_how_to_log_in_and_names_its_hosts() -> None:
    options = cli._parser().parse_args(
        ["harden", "-i", "x", "-u", "deploy", "-K", "--check", "-l", "all", "-e", "wpward_run=no"]
    )
    got = follow_up_arguments(options, "rollback", ["web1"], {"wpward_run": "the-run"})
    assert got[1:] == [
        *("--inventory", "x", "--user", "deploy", "--ask-become-pass", "--limit", "web1"),
        *("--extra-vars", "wpward_run=no", "--extra-vars", '{"wpward_run": "the-run"}'),
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["harden_run=mine other='a b'"],
        ['{"harden_run": "mine"}'],
        ["@FILE"],
        ["harden_run=first", "harden_run=mine"],
    ],
)
def test_what_the_user_set_is_known(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "vars.yml"
    file.write_text("harden_run: mine\n")
    extra = [word.replace("FILE", str(file)) for word in words]
    options = cli._parser().parse_args(
        ["harden", "-i", "x", *(part for word in extra for part in ("-e", word))]
    )
    assert extra_variable(options, "harden_run") == "mine"


def test_usage_errors_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    assert cli.main(["harden", "-i", "nowhere.yml"]) == 1
    assert cli.main(["harden", "-i", "web1,", "--resume"]) == 1
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["harden", "-i", "web1,"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("wpward: ") for line in lines] == [True] * 3
    assert "no inventory nowhere.yml" in lines[0]
    assert "no run to resume" in lines[1]
    assert "ansible-playbook is not on the PATH" in lines[2]
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_the_prompt_of_a_password_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def asks(_prompt: str) -> str:
        # One that is only counted would be lost while nothing runs that it could end.
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "_check", lambda _options: None)
    monkeypatch.setattr(live, "getpass", asks)
    assert cli.main(["contain", "-i", "web1,", "-k"]) == live_result.INTERRUPTED
