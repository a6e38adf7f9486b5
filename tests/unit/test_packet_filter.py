# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packet filter a host uses, by what the real tools print (Debian 12: nftables 1.0.6,
iptables 1.8.9, firewalld 1.3.3, ufw 0.36.2)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    packet_filter,
    timed_command,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.packet_filter import (
    iptables_in_use,
    nft_in_use,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

HOOK = "\t\ttype filter hook input priority filter; policy accept;\n\t}\n"
NATIVE = "table inet filter {\n\tchain input {\n" + HOOK + "}\n"
BY_IPTABLES = "table ip filter {\n\tchain INPUT {\n" + HOOK + "\tchain f2b-sshd {\n\t}\n}\n"
BY_FAIL2BAN = "table inet f2b-table {\n\tchain f2b-chain {\n" + HOOK + "}\n"
OURS = "table inet wpward {\n\tchain input {\n" + HOOK + "}\n"
SET_ONLY = "table inet onlyset {\n}\n"

EMPTY = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{}COMMIT\n"
RULE = "-A INPUT -s 192.0.2.9/32 -j DROP\n"
BANS = (
    ":f2b-sshd - [0:0]\n"
    "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd\n"
    "-A INPUT -p tcp -m set --match-set wpward-shared4 src -j DROP\n"
    '-A INPUT -s 192.0.2.7/32 -m comment --comment "wpward shared" -j DROP\n'
    "-A f2b-sshd -s 198.51.100.7/32 -j REJECT --reject-with icmp-port-unreachable\n"
    "-A f2b-sshd -j RETURN\n"
)
LEGACY = "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n"


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("", False),
        (NATIVE, True),
        (BY_IPTABLES, False),
        (BY_FAIL2BAN + OURS + BY_IPTABLES, False),
        (BY_FAIL2BAN + NATIVE, True),
        (SET_ONLY, True),
        # A configuration of one's own may use iptables' names.
        (NATIVE.replace("inet", "ip"), True),
        ("what nobody thought of {\n}\n", False),
    ],
)
def test_tables_that_the_host_made_with_nft(listing: str, expected: bool) -> None:
    assert nft_in_use(listing) is expected


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("", False),
        (EMPTY.format(""), False),
        (EMPTY.format(RULE), True),
        (EMPTY.format(BANS), False),
        (EMPTY.format(BANS + RULE), True),
        (EMPTY.format("").replace("INPUT ACCEPT", "INPUT DROP"), True),
        (LEGACY, False),
    ],
)
def test_rules_that_the_host_made_with_iptables(listing: str, expected: bool) -> None:
    assert iptables_in_use(listing) is expected


class Host:
    """A directory of programs, each of which prints a text."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.problems = Problems()

    def has(self, name: str, prints: str = "", script: str = "") -> None:
        (self.base / f"{name}.txt").write_text(prints)
        path = self.base / name
        path.write_text(script or f"#!/bin/sh\nexec /bin/cat {self.base}/{name}.txt\n")
        path.chmod(0o755)

    def describe(self, seconds: float = 5) -> dict[str, Any]:
        return packet_filter.describe(time.monotonic() + seconds, self.problems)

    @property
    def manager(self) -> Any:
        found = self.describe()["manager"]
        assert self.problems.describe() == []
        return found


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(timed_command, "_MORE", str(tmp_path))
    for name in ("UFW_CONF", "CSF_CONF", "CSF_DISABLED"):
        monkeypatch.setattr(packet_filter, name, str(tmp_path / name))
    return Host(tmp_path)


def test_a_host_without_any(host: Host) -> None:
    assert host.describe() == {"manager": None, "nft": False, "iptables": False}
    assert host.describe() == packet_filter.UNKNOWN


def test_what_is_installed_where_nothing_is_in_use(host: Host) -> None:
    host.has("iptables")
    assert host.describe() == {"manager": "iptables", "nft": False, "iptables": True}
    host.has("nft")
    assert host.describe() == {"manager": "nftables", "nft": True, "iptables": True}


def test_rules_tell_more_than_what_is_installed(host: Host) -> None:
    host.has("nft", BY_IPTABLES + BY_FAIL2BAN)
    host.has("iptables")
    host.has("iptables-save", EMPTY.format(BANS + RULE))
    assert host.manager == "iptables"
    host.has("nft", BY_IPTABLES + NATIVE)
    assert host.manager == "nftables"


def test_rules_of_ipv6_alone(host: Host) -> None:
    host.has("nft")
    host.has("iptables")
    host.has("iptables-save")
    host.has("ip6tables-save", EMPTY.format("-A INPUT -s 2001:db8::/32 -j DROP\n"))
    assert host.manager == "iptables"


def test_a_legacy_table_counts_while_it_has_rules(host: Host) -> None:
    host.has("nft")
    host.has("iptables")
    host.has("iptables-legacy-save", EMPTY.format(RULE))
    host.has("iptables-save")
    assert host.manager == "nftables"
    host.has("iptables-save", LEGACY)
    assert host.manager == "iptables"
    host.has("iptables-legacy-save", EMPTY.format(""))
    assert host.manager == "nftables"


def test_firewalld_where_it_runs(host: Host) -> None:
    host.has("nft", "table inet firewalld {\n}\n")
    host.has("firewalld")
    host.has("systemctl", "inactive\n")
    assert host.manager == "nftables"
    host.has("systemctl", "active\n")
    assert host.manager == "firewalld"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("ENABLED=yes", "ufw"),
        ("ENABLED=no", "iptables"),
        ("# ENABLED=yes", "iptables"),
        ("ENABLED=no\nLOGLEVEL=low\n", "iptables"),
    ],
)
def test_ufw_where_it_is_enabled(host: Host, setting: str, expected: str) -> None:
    host.has("iptables")
    (host.base / "UFW_CONF").write_text("# /etc/ufw/ufw.conf\n" + setting + "\n")
    assert host.manager == "iptables"
    host.has("ufw")
    assert host.manager == expected


def test_csf_where_it_is_not_disabled(host: Host) -> None:
    host.has("iptables")
    (host.base / "CSF_CONF").touch()
    assert host.manager == "csf"
    (host.base / "CSF_DISABLED").touch()
    assert host.manager == "iptables"


def test_a_tool_that_refuses_is_told(host: Host) -> None:
    host.has("nft", script="#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    assert host.describe()["manager"] == "nftables"
    (problem,) = host.problems.describe()
    assert problem["id"] == "packet_filter_unread"
    assert "nft list chains" in problem["message"]
    assert "Operation not permitted" in problem["message"]


def test_a_tool_that_hangs_is_left(host: Host) -> None:
    host.has("nft", script="#!/bin/sh\nexec /bin/sleep 30\n")
    host.has("iptables")
    host.has("iptables-save", EMPTY.format(RULE))
    began = time.monotonic()
    assert host.describe(seconds=0.3)["manager"] == "nftables"
    assert time.monotonic() - began < 2
    assert "no answer within 0.3 s" in host.problems.describe()[0]["message"]
    assert len(host.problems.describe()) == 2
