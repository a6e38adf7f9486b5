# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a host is reached, and whether its key is known: as OpenSSH has it."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest

from wpward.triage_config import ConfigError, Place, place, settings
from wpward.triage_hostkeys import fingerprint, known_keys, matches


@pytest.mark.parametrize(
    ("given", "name", "user", "port"),
    [
        ("blog.example", "blog.example", None, None),
        ("deploy@blog.example", "blog.example", "deploy", None),
        ("deploy@blog.example:2222", "blog.example", "deploy", 2222),
        ("2001:db8::7", "2001:db8::7", None, None),
        ("root@[2001:db8::7]:2222", "2001:db8::7", "root", 2222),
        ("ssh://root@blog.example:22/", "blog.example", "root", 22),
        ("192.0.2.7", "192.0.2.7", None, None),
    ],
)
def test_places(given: str, name: str, user: str | None, port: int | None) -> None:
    assert place(given) == Place(name, user, port)


@pytest.mark.parametrize(
    "given", ["", "-oProxyCommand=x", "a b", "blog.example:0", "blog.example:70000", "-l@blog", "@"]
)
def test_what_is_no_place_is_refused_by_its_name(given: str) -> None:
    with pytest.raises(ConfigError, match=r"^'"):
        place(given)


CONFIG = """\
Include {folder}/more
Host blog
  HostName 192.0.2.7
  Port 2222
  User deploy
  IdentityFile {folder}/%r_key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known
  ProxyJump root@bastion.example:2200,inner.example
Host other
  HostKeyAlias blog.example
  StrictHostKeyChecking accept-new
  ProxyCommand nc -6 %h %p %%
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "more").write_text("Host other\n  HostName 2001:db8::7\n")
    path = tmp_path / "config"
    path.write_text(CONFIG.format(folder=tmp_path))
    return path


def test_the_configuration_is_followed(config: Path) -> None:
    found = settings(Place("blog"), config)
    assert (found.host, found.port, found.user) == ("192.0.2.7", 2222, "deploy")
    assert found.key_name == "[192.0.2.7]:2222"
    assert found.identities == (config.parent / "deploy_key",)
    assert found.identities_only and found.agent is None and not found.accept_new
    assert config.parent / "known" in found.known_hosts
    assert found.jumps == (Place("bastion.example", "root", 2200), Place("inner.example"))
    assert found.proxy_command is None


def test_what_is_asked_for_beats_the_configuration(config: Path) -> None:
    found = settings(Place("blog", "root", 22), config)
    assert (found.user, found.port, found.key_name) == ("root", 22, "192.0.2.7")


@pytest.mark.skipif(not shutil.which("ssh"), reason="only OpenSSH follows Include")
def test_includes_aliases_and_commands(config: Path) -> None:
    found = settings(Place("other"), config)
    assert found.host == "2001:db8::7"
    assert found.key_name == "blog.example"
    assert found.accept_new
    assert found.proxy_command == "nc -6 2001:db8::7 22 %"


def test_a_wrong_configuration_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Nonsense yes\n")
    with pytest.raises(ConfigError) as refused:
        settings(Place("blog"), tmp_path / "config")
    if shutil.which("ssh"):
        assert "bad configuration options" in str(refused.value)


def test_without_openssh_the_users_file_is_read(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    found = settings(Place("blog"), config)
    assert (found.host, found.port, found.user) == ("192.0.2.7", 2222, "deploy")
    assert found.identities == (config.parent / "deploy_key",)


KEY = base64.b64encode(b"one key").decode()
OTHER = base64.b64encode(b"another key").decode()


def known(tmp_path: Path, text: str, name: str) -> list[bytes]:
    path = tmp_path / "known_hosts"
    path.write_text(text)
    return [blob for _kind, blob in known_keys([path, tmp_path / "missing"], name).good]


def test_names_patterns_and_ports(tmp_path: Path) -> None:
    text = f"""\
# a comment
blog.example,192.0.2.7 ssh-ed25519 {KEY} comment
[blog.example]:2222 ssh-ed25519 {OTHER}
*.shop.example,!bad.shop.example ssh-ed25519 {KEY}
nonsense
blog.example ssh-ed25519 %%%
"""
    assert known(tmp_path, text, "blog.example") == [b"one key"]
    assert known(tmp_path, text, "BLOG.example") == [b"one key"]
    assert known(tmp_path, text, "192.0.2.7") == [b"one key"]
    assert known(tmp_path, text, "[blog.example]:2222") == [b"another key"]
    assert known(tmp_path, text, "a.shop.example") == [b"one key"]
    assert known(tmp_path, text, "bad.shop.example") == []
    assert known(tmp_path, text, "blogXexample") == []


def test_revoked_keys_and_authorities_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(
        f"@revoked * ssh-ed25519 {OTHER}\n@cert-authority *.example ssh-ed25519 {KEY}\n"
    )
    keys = known_keys([path], "blog.example")
    assert keys.good == []
    assert keys.revoked == [("ssh-ed25519", b"another key")]
    assert keys.authority


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen to hash the names")
def test_hashed_names_and_fingerprints_are_those_of_openssh(tmp_path: Path) -> None:
    def keygen(*options: str) -> str:
        argv = ["ssh-keygen", *options]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    keygen("-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key"))
    _kind, blob, *_rest = (tmp_path / "key.pub").read_text().split()
    path = tmp_path / "known_hosts"
    path.write_text(f"[blog.example]:2222 ssh-ed25519 {blob}\n")
    keygen("-q", "-H", "-f", str(path))
    assert "blog" not in path.read_text()
    good = known_keys([path], "[blog.example]:2222").good
    assert good == [("ssh-ed25519", base64.b64decode(blob))]
    assert known_keys([path], "blog.example").good == []
    assert fingerprint(good[0][1]) in keygen("-l", "-f", str(tmp_path / "key.pub"))


def test_a_broken_hash_is_no_match() -> None:
    assert not matches("|1|nonsense", "blog.example")
