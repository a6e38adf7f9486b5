# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""fail2ban's configuration as it prints it, and its state (fail2ban 0.11.2, 1.0.2 and 1.1.0)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    fail2ban_state,
    timed_command,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.fail2ban_state import (
    read_dump,
    words_of,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

DUMP = r"""['set', 'syslogsocket', 'auto']
['set', 'logtarget', '/var/log/fail2ban.log']
['set', 'dbmaxmatches', 10]
['add', 'sshd', 'systemd']
['set', 'sshd', 'usedns', 'warn']
['set', 'sshd', 'maxlines', 1]
['multi-set', 'sshd', 'addfailregex', ['^Failed \\S+ for .* from <HOST>', "^user's from <HOST>"]]
['set', 'sshd', 'addjournalmatch', '_SYSTEMD_UNIT=ssh.service', '+', '_COMM=sshd']
['multi-set', 'sshd', 'action', 'nftables', [['actionstart', 'nft add table inet f2b-table\nnft']]]
['config-error', "Jail 'zzz' skipped, because of wrong configuration"]
['add', 'nginx-http-auth', 'auto']
['set', 'nginx-http-auth', 'addfailregex', '^ \\[error\\] client: <HOST>']
['set', 'nginx-http-auth', 'addlogpath', '/var/log/nginx/error.log', 'head']
['set', 'nginx-http-auth', 'addlogpath', '/var/log/nginx/blog-error.log', 'tail']
['start', 'sshd']
['start', 'nginx-http-auth']
"""
JAILS = [
    {
        "name": "sshd",
        "backend": "systemd",
        "logs": [],
        "failregex": [r"^Failed \S+ for .* from <HOST>", "^user's from <HOST>"],
    },
    {
        "name": "nginx-http-auth",
        "backend": "auto",
        "logs": ["/var/log/nginx/error.log", "/var/log/nginx/blog-error.log"],
        "failregex": [r"^ \[error\] client: <HOST>"],
    },
]
DEAD = """\
2026-11-22 08:51:05,971 fail2ban.configreader   [517]: WARNING 'allowipv6' not defined
2026-11-22 08:51:05,982 fail2ban                [517]: ERROR   Failed during configuration: \
Have not found any log file for sshd jail
2026-11-22 08:51:05,982 fail2ban                [517]: ERROR   ERROR: test configuration failed
"""
BROKEN = """\
2026-11-22 08:53:03,768 fail2ban                [546]: ERROR   Failed during configuration: \
File contains no section headers.
file: '/etc/fail2ban/jail.d/x.local', line: 1
'[sshd\\n'
2026-11-22 08:53:03,768 fail2ban                [546]: WARNING  one
of two lines
"""


def test_the_jails_of_a_dump() -> None:
    assert read_dump(DUMP) == ("/var/log/fail2ban.log", JAILS)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[",
        "['add'",
        "['add']",
        "['set']",
        "[]",
        "['add', 'x', 3]",
        "['set', 'nosuch', 'addlogpath', '/x', 'head']",
        "['set', 'logtarget']",
        "['set', 'sshd', 'addlogpath']",
        "['set', 'sshd', 'addlogpath', 5]",
        "['multi-set', 'sshd', 'addfailregex', [1, None]]",
        "['multi-set', 'sshd', 'addfailregex', 7]",
        "[[['add', 'x', 'y']]]",
        "[__import__('os').system('false')]",
        "[" * 5000,
        "[" + "-" * 100000,
        "['add', 'x\0y', 'auto'",
        "ERROR: The configuration stream failed because of the invalid syntax.",
    ],
)
def test_whatever_it_prints(line: str) -> None:
    assert read_dump(DUMP + line + "\n") == ("/var/log/fail2ban.log", JAILS)


def test_its_own_words() -> None:
    reason = "Failed during configuration: Have not found any log file for sshd jail"
    assert words_of(DEAD) == reason
    assert words_of(BROKEN) == (
        "Failed during configuration: File contains no section headers. "
        "file: '/etc/fail2ban/jail.d/x.local', line: 1 '[sshd\\n'"
    )
    assert words_of("Traceback\n  what nobody thought of") == "Traceback what nobody thought of"
    assert len(words_of("x" * 100000)) <= 500


class Host:
    """A host with stand-ins for fail2ban's client, its interpreter and systemctl."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.problems = Problems()
        self.unit(load="loaded", active="active", enabled="enabled")
        self.interpreter("exit 1")
        self.client(f"-d) /bin/cat {base}/dump;;\n-V) echo 1.0.2;;\n-t) echo OK;;")
        (base / "dump").write_text(DUMP)

    def script(self, name: str, text: str) -> None:
        path = self.base / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def interpreter(self, text: str) -> None:
        """What asks for the journal is ``-c``; anything else is the client itself."""
        self.script("python", f'[ "$1" = -c ] || exec /bin/sh "$@"\n{text}')

    def client(self, cases: str) -> None:
        path = self.base / "fail2ban-client"
        # The kernel takes no script for another one's interpreter where it is itself one.
        path.write_text(f'#!/usr/bin/env {self.base}/python\ncase "$1" in\n{cases}\nesac\n')
        path.chmod(0o755)

    def unit(self, load: str, active: str, enabled: str) -> None:
        self.script(
            "systemctl",
            f"echo LoadState={load}; echo ActiveState={active}; echo UnitFileState={enabled}",
        )

    def describe(self, seconds: float = 10) -> Any:
        return fail2ban_state.describe(time.monotonic() + seconds, self.problems)


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(timed_command, "_MORE", str(tmp_path))
    return Host(tmp_path)


def test_a_host_without_fail2ban(host: Host) -> None:
    (host.base / "fail2ban-client").unlink()
    assert host.describe() is None
    assert host.problems.describe() == []


def test_a_host_with_it(host: Host) -> None:
    assert host.describe() == {
        "version": "1.0.2",
        "active": True,
        "enabled": True,
        "config_ok": True,
        "message": "",
        "log_target": "/var/log/fail2ban.log",
        "python_systemd": False,
        "jails": JAILS,
    }
    assert host.problems.describe() == []


def test_a_dead_jail(host: Host) -> None:
    (host.base / "dead").write_text(DEAD)
    host.unit(load="loaded", active="failed", enabled="disabled")
    host.client(
        f"-d) /bin/cat {host.base}/dump;;\n-t) /bin/cat {host.base}/dead >&2; exit 255;;\nesac\n"
        "case x in"
    )
    state = host.describe()
    assert (state["config_ok"], state["active"], state["enabled"]) == (False, False, False)
    assert state["message"].endswith("Have not found any log file for sshd jail")
    assert state["jails"] == JAILS
    assert host.problems.describe() == []


def test_whether_its_own_python_reads_the_journal(host: Host) -> None:
    host.interpreter('[ "$2" = "from systemd import journal" ]')
    assert host.describe()["python_systemd"] is True
    (host.base / "fail2ban-client").write_bytes(b"\x7fELF")
    assert host.describe()["python_systemd"] is False


@pytest.mark.parametrize(("pings", "active"), [("echo pong", True), ("exit 255", False)])
def test_without_a_unit_the_server_itself_is_asked(host: Host, pings: str, active: bool) -> None:
    host.unit(load="not-found", active="inactive", enabled="")
    host.client(f"ping) {pings};;")
    assert host.describe()["active"] is active


def test_one_that_hangs_is_left(host: Host) -> None:
    host.client("-d) exec /bin/sleep 30;;\n-t) echo OK;;")
    began = time.monotonic()
    state = host.describe(seconds=1)
    assert time.monotonic() - began < 4
    assert (state["jails"], state["config_ok"], state["version"]) == ([], True, "")
    (problem,) = host.problems.describe()
    assert problem["id"] == "fail2ban_unread"
    assert "no answer within" in problem["message"]


def test_a_program_that_cannot_be_started(host: Host) -> None:
    path = host.base / "fail2ban-client"
    path.write_text("#!/nonexistent/python\n")
    state = host.describe()
    assert (state["config_ok"], state["jails"]) == (False, [])
    assert [one["id"] for one in host.problems.describe()] == ["fail2ban_unread"]


def test_the_interpreter_of_a_real_script(host: Host) -> None:
    path = host.base / "script"
    path.write_text(f"#!{sys.executable} -s\nprint(1)\n")
    assert fail2ban_state._interpreter(str(path)) == [sys.executable, "-s"]
    assert fail2ban_state._interpreter("/nonexistent") == []
