# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A list of bans and what each layer makes of it."""

from __future__ import annotations

import os

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import shared_bans_loader as loader

NOW = 1795338000.0  # 2026-11-22T09:00:00Z
LIST = """\
192.0.2.7 2026-11-22T09:00:01Z 40
192.0.2.8 2026-11-22T09:00:00Z 40
192.0.2.9 2026-11-21T09:00:00Z 40
198.51.100.0/24 2026-11-23T09:00:00Z own
198.51.100.16/28 - own
203.0.113.0/24 - own
2001:db8::7 - own
2001:db8:1::/64 2026-11-22T10:00:00Z 3
"""


def test_what_is_left_of_the_time() -> None:
    assert [(ban.address, ban.seconds) for ban in loader.in_force(LIST, NOW)] == [
        ("192.0.2.7", 1),
        ("198.51.100.0/24", 86400),
        ("198.51.100.16/28", None),
        ("203.0.113.0/24", None),
        ("2001:db8::7", None),
        ("2001:db8:1::/64", 3600),
    ]
    assert loader.in_force(LIST, NOW + 0.5)[0].seconds == 1
    assert loader.in_force(LIST, NOW + 1)[0].address == "198.51.100.0/24"


@pytest.mark.parametrize(
    "line", ["", "192.0.2.7", "192.0.2.7 tomorrow 3", "x - 3", "192.0.2.7/24 - 3", "1; drop - 3"]
)
def test_a_line_that_is_no_ban(line: str) -> None:
    with pytest.raises(loader.Unusable, match="line 2 of the list is no ban"):
        loader.in_force(f"192.0.2.7 - 1\n{line}\n", NOW)


def test_nftables() -> None:
    script = loader.nft_script("RULES\n", loader.in_force(LIST, NOW))
    assert script == (
        "RULES\n"
        "add element inet wpward_shared addresses4 {\n192.0.2.7 timeout 1s\n}\n"
        # One set takes no network inside of another.
        "add element inet wpward_shared networks4 {\n"
        "198.51.100.0/24 timeout 86400s,\n203.0.113.0/24\n}\n"
        "add element inet wpward_shared addresses6 {\n2001:db8::7\n}\n"
        "add element inet wpward_shared networks6 {\n2001:db8:1::/64 timeout 3600s\n}\n"
    )
    assert loader.nft_script("RULES\n", []) == "RULES\n"


def test_ipset() -> None:
    lines = loader.ipset_script(loader.in_force(LIST, NOW)).splitlines()
    assert [line for line in lines if line.startswith("add")] == [
        "add wpward-new4 192.0.2.7 timeout 1 -exist",
        "add wpward-new4 198.51.100.0/24 timeout 86400 -exist",
        "add wpward-new4 198.51.100.16/28 timeout 0 -exist",
        "add wpward-new4 203.0.113.0/24 timeout 0 -exist",
        "add wpward-new6 2001:db8::7 timeout 0 -exist",
        "add wpward-new6 2001:db8:1::/64 timeout 3600 -exist",
    ]
    far = loader.in_force("192.0.2.7 2027-11-22T09:00:00Z 3\n", NOW)
    assert "192.0.2.7 timeout 2147483 " in loader.ipset_script(far)


def names(directory):
    return {path.name for path in directory.iterdir()}


@pytest.fixture
def run_directory(tmp_path, monkeypatch):
    # No packet filter of the machine that runs the tests.
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(loader, "BANNED", tmp_path / "banned")
    monkeypatch.setattr(loader, "MARK", tmp_path / "shared-ban")
    umask = os.umask(0o077)
    yield tmp_path
    os.umask(umask)


def test_files_for_the_web_server(run_directory) -> None:
    banned = run_directory / "banned"
    banned.mkdir(mode=0o755)
    jails = {"192.0.2.7", "192.0.2.99"}
    for name in jails:
        (banned / name).touch()

    loader.load("http", loader.in_force(LIST, NOW), "")
    # Networks have no file, and 192.0.2.7 is the jail's own.
    assert names(banned) == jails | {"::ffff:192.0.2.7", "2001:db8::7"}
    assert (banned / "2001:db8::7").stat().st_mode & 0o777 == 0o644

    loader.load("http", loader.in_force("192.0.2.50 - 3\n", NOW), "")
    assert names(banned) == jails | {"::ffff:192.0.2.50", "192.0.2.50"}

    loader.clear("http")
    assert names(banned) == jails
    assert names(run_directory) == {"banned"}
    loader.clear("http")


def test_what_is_wrong_is_one_sentence(run_directory, monkeypatch, capsys) -> None:
    monkeypatch.setattr(loader, "LIST", run_directory / "list")
    assert loader.main(["load", "http"]) == 1
    assert "No such file" in capsys.readouterr().err
    assert loader.main(["clear", "nftables"]) == 1
    assert capsys.readouterr().err == "The shared bans: nft: No such file or directory\n"
