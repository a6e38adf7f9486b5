# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a proof of bans finds where they do not work, and whom jails would ban by the logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.ban_check import (
    at_work,
    exempt,
    would_ban,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.ban_proof import (
    exempt_editors,
    prove,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.dead_jail import sshd_is_dead

LOG = "/var/log/nginx/wpward-deny.log"
JAILS = [
    {"name": "wpward-xmlrpc", "rule": "xmlrpc", "logs": [LOG]},
    {"name": "wpward-login", "rule": "", "logs": []},
]
ADDRESS = "203.0.113.254"


class Host:
    """A host on which fail2ban answers as version 1.0.2 does."""

    def __init__(self, **differences: Any) -> None:
        self.says = {
            "answers": True,
            "jails": {"wpward-xmlrpc": f"Current monitored log file(s):\n`- {LOG}"},
            "takes": True,
            "frees": True,
            **differences,
        }
        self.says["jails"].setdefault("wpward-login", "No file is currently monitored")
        self.banned = False

    def run(self, argv: Sequence[str]) -> dict[str, Any]:
        code, text = 0, ""
        if argv[1] == "ping":
            code = 0 if self.says["answers"] else 255
            text = "Server replied: pong" if self.says["answers"] else "Is fail2ban running?"
        elif argv[0] == "sh":
            # The client prints its prompt, reads the end of its input and fails.
            unknown = "Sorry but the jail '{}' does not exist"
            answers = [self.says["jails"].get(name) or unknown.format(name) for name in argv[4:]]
            code, text = 255, "".join(f"\nfail2ban> {one}" for one in [*answers, ""])
        elif argv[3:4] == ["banip"]:
            self.banned = self.says["takes"]
        elif argv[3:4] == ["unbanip"]:
            self.banned = self.banned and not self.says["frees"]
        elif argv[0] == "nft":
            elements = f"10{ADDRESS}, {ADDRESS}" if self.banned else f"10{ADDRESS}"
            text = f"table inet f2b-table {{ elements = {{ {elements} }} }}"
        return {"argv": list(argv), "rc": code, "stdout": text, "stderr": "", "seconds": 0.1}

    def prove(self) -> str:
        return prove(JAILS, "packet", "nftables", ADDRESS, "/nowhere", self.run, seconds=0)


def test_bans_that_work_leave_nothing_behind() -> None:
    host = Host()
    assert host.prove() == ""
    assert not host.banned


@pytest.mark.parametrize(
    ("differences", "sentence"),
    [
        ({"answers": False}, "fail2ban does not answer: `fail2ban-client ping` said: Is fail2ban"),
        ({"jails": {"wpward-login": ""}}, "The jail wpward-xmlrpc does not run."),
        (
            {"jails": {"wpward-xmlrpc": "No file is currently monitored"}},
            f"The jail wpward-xmlrpc does not read {LOG}.",
        ),
        (
            {"takes": False},
            f"The jail wpward-xmlrpc says that it has banned {ADDRESS}, but the packet filter "
            "(nftables) does not know of it",
        ),
        ({"frees": False}, f"The test ban of {ADDRESS} in the jail wpward-xmlrpc cannot be lifted"),
    ],
)
def test_each_way_to_fail_is_one_sentence(differences: dict[str, Any], sentence: str) -> None:
    assert sentence in Host(**differences).prove()


def test_editors_are_exempt_at_once_and_many_at_a_time() -> None:
    told: list[list[str]] = []

    def run(argv: Sequence[str]) -> dict[str, Any]:
        told.append(list(argv))
        return {"argv": list(argv), "rc": 255 if "192.0.2.9" in argv else 0, "stdout": "No jail",
                "stderr": "", "seconds": 0.1}  # fmt: skip

    assert exempt_editors([], run) == ""
    assert told == []
    addresses = [f"203.0.113.{number}" for number in range(250)]
    assert exempt_editors(addresses, run) == ""
    assert [argv[:4] for argv in told] == [["fail2ban-client", "set", "wpward-editor", "banip"]] * 2
    assert [address for argv in told for address in argv[4:]] == addresses
    assert "does not exempt 192.0.2.9" in exempt_editors(["192.0.2.9"], run)


def test_a_ban_at_the_web_server_is_a_file(tmp_path: Path) -> None:
    def run(argv: Sequence[str]) -> dict[str, Any]:
        if argv[3:4] == ["banip"]:
            for folder in ("banned", "jails/wpward-xmlrpc"):
                (tmp_path / folder).mkdir(parents=True)
                (tmp_path / folder / ADDRESS).touch()
        if argv[3:4] == ["unbanip"]:
            (tmp_path / "banned" / ADDRESS).unlink()
        return Host().run(argv)

    assert prove(JAILS, "http", "nftables", ADDRESS, str(tmp_path), run, seconds=0) == ""
    assert (tmp_path / "jails/wpward-xmlrpc" / ADDRESS).exists()


def test_whom_the_jails_would_ban(tmp_path: Path) -> None:
    log = tmp_path / "deny.log"
    lines = [f"{100 + step}.000 203.0.113.7 xmlrpc blog.example" for step in (0, 300, 599)]
    # Never three within 600 seconds.
    lines += [f"{100 + step}.000 203.0.113.8 xmlrpc blog.example" for step in (0, 300, 601, 902)]
    lines += ["100.000 203.0.113.9 0 blog.example"] * 9
    lines += ["100.000 203.0.113.9 rest_users blog.example"] * 9
    lines += ["x 203.0.113.9 xmlrpc blog.example", "100.000 203.0.113.9 xml"] * 9
    lines += ["100.000 2001:db8::7 xmlrpc "] * 3
    log.write_text("\n".join(sorted(lines)) + "\n")
    jail = {"name": "a", "rule": "xmlrpc", "logs": [str(log)], "max_refusals": 3,
            "find_seconds": 600}  # fmt: skip
    jails = [jail, {**jail, "name": "b", "rule": "rest_users", "max_refusals": 10},
             {**jail, "name": "c", "logs": [str(tmp_path / "none")]},
             {**jail, "name": "d", "rule": "", "logs": []}]  # fmt: skip
    assert would_ban(jails) == {"a": ["2001:db8::7", "203.0.113.7"], "b": [], "c": []}


@pytest.mark.parametrize(
    ("line", "works"),
    [
        (
            '192.0.2.7 - - [22/Nov/2026:09:00:00 +0000] "GET /wp-admin/edit.php HTTP/1.1" 200',
            True,
        ),
        ('192.0.2.7 - - [x] "POST /blog/wp-admin/post.php?post=1 HTTP/2.0" 200 5', True),
        ('blog.example:80 192.0.2.7 - - [x] "GET /wp-admin/users.php HTTP/1.1" 200 5', True),
        ('192.0.2.7 - - [x] "GET /wp-admin/edit.php HTTP/1.1" 302 5', False),
        # They answer anybody, or whoever has an account.
        ('192.0.2.7 - - [x] "GET /wp-admin/admin-ajax.php HTTP/1.1" 200 5', False),
        ('192.0.2.7 - - [x] "GET /wp-admin/profile.php HTTP/1.1" 200 5', False),
        ('192.0.2.7 - - [x] "GET /wp-admin/install.php HTTP/1.1" 200 5', False),
        ('192.0.2.7 - - [x] "GET /?/wp-admin/edit.php HTTP/1.1" 200 5', False),
        ('1.2.3.4 - - [x] "GET / HTTP/1.1" 200 5 "192.0.2.7 [x] /wp-admin/edit.php" 200 ', False),
    ],
)
def test_who_works_in_the_administration(tmp_path: Path, line: str, works: bool) -> None:
    log = tmp_path / "access.log"
    log.write_text(line + ' 5 "-" "-"\n')
    assert at_work([str(log), str(tmp_path / "none")]) == ({"192.0.2.7"} if works else set())


def test_an_exempt_address() -> None:
    networks = ["192.0.2.0/24", "2001:db8::/32"]
    assert exempt("192.0.2.7", networks)
    assert exempt("::ffff:192.0.2.7", networks)
    assert exempt("2001:db8::7", networks)
    assert not exempt("203.0.113.7", networks)


COMPLAINT = "ERROR   Failed during configuration: Have not found any log file for sshd jail"


@pytest.mark.parametrize(
    ("name", "text", "dead"),
    [
        ("jail.d/defaults-debian.conf", "[sshd]\nenabled = true\n", True),
        ("jail.d/mine.local", "[sshd]\nbackend = polling\n", False),
        ("jail.local", "[DEFAULT]\nbackend = auto\n[sshd]\nport = 22\n", True),
        ("jail.local", "[sshd]\nbackend = systemd\n", False),
        ("jail.local", "no configuration at all\n", True),
    ],
)
def test_a_dead_jail_is_ours_to_repair_unless_the_operator_has_spoken(
    tmp_path: Path, name: str, text: str, dead: bool
) -> None:
    (tmp_path / "jail.d").mkdir()
    ours = tmp_path / "jail.d/wpward.local"
    ours.write_text("[sshd]\nbackend = systemd\n")
    (tmp_path / name).write_text(text)
    looked = []

    def run(argv: Sequence[str]) -> dict[str, Any]:
        copy = Path(argv[2])
        looked.append(sorted(str(one.relative_to(copy)) for one in copy.rglob("*.local")))
        return {"argv": list(argv), "rc": 255, "stdout": "", "stderr": COMPLAINT}

    assert sshd_is_dead(str(tmp_path), "wpward.local", run) is dead
    # It looked at what there would be without our file, and left that where it is.
    assert all("jail.d/wpward.local" not in names for names in looked)
    assert bool(looked) is dead
    assert ours.exists()


def test_a_healthy_jail_is_left_alone(tmp_path: Path) -> None:
    def run(argv: Sequence[str]) -> dict[str, Any]:
        return {"argv": list(argv), "rc": 0, "stdout": "OK", "stderr": ""}

    assert not sshd_is_dead(str(tmp_path), "wpward.local", run)
    assert not sshd_is_dead(str(tmp_path / "none"), "wpward.local", run)
