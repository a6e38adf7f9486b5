# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What wpward adds to the options of ssh, and what it leaves as the operator has it."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from wpward.live_keepalive import keepalive

OURS = "-o ServerAliveInterval=60"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_every_program_of_ssh_gets_it() -> None:
    assert keepalive({}) == {
        f"ANSIBLE_{program}_EXTRA_ARGS": OURS for program in ("SSH", "SFTP", "SCP")
    }


def test_what_the_operator_has_set_stays(here: Path) -> None:
    config = here / "ansible.cfg"
    config.write_text("[ssh_connection]\nssh_extra_args = -o ProxyCommand='nc %h' ; a way in\n")
    assert keepalive({})["ANSIBLE_SSH_EXTRA_ARGS"] == f"-o ProxyCommand='nc %h' {OURS}"
    assert keepalive({})["ANSIBLE_SFTP_EXTRA_ARGS"] == OURS
    own = {"ANSIBLE_SSH_EXTRA_ARGS": "-v"}
    assert keepalive(own)["ANSIBLE_SSH_EXTRA_ARGS"] == f"-v {OURS}"
    own = {"ANSIBLE_SSH_EXTRA_ARGS": "-o ServerAliveInterval=5"}
    assert "ANSIBLE_SSH_EXTRA_ARGS" not in keepalive(own)


def test_the_file_is_the_one_that_ansible_reads(here: Path) -> None:
    config, named = here / "ansible.cfg", here / "named.cfg"
    config.write_text("[ssh_connection]\nssh_extra_args = -4\n")
    named.write_text("[ssh_connection]\nssh_extra_args = -6\n")
    seen = {"ANSIBLE_CONFIG": str(named)}
    assert keepalive(seen)["ANSIBLE_SSH_EXTRA_ARGS"] == f"-6 {OURS}"
    here.chmod(0o777)
    assert keepalive({})["ANSIBLE_SSH_EXTRA_ARGS"] == OURS


@pytest.mark.parametrize("text", ["", "nonsense", "[defaults]\nforks = 5\n"])
def test_a_file_that_says_nothing_of_it_is_left_to_ansible(here: Path, text: str) -> None:
    (here / "ansible.cfg").write_text(text)
    assert keepalive({})["ANSIBLE_SSH_EXTRA_ARGS"] == OURS


def test_the_checkout_has_it_for_ansible_playbook() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "ansible.cfg")
    for program in ("ssh", "sftp", "scp"):
        assert config["ssh_connection"][f"{program}_extra_args"] == OURS
