# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every command of the runbook, typed as it stands there, one after the other, at a real host.

Only what the operator puts in for himself is put in here: where ``web1`` is (SSH's configuration)
and what ``inventory`` holds.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from testbed import hosts, podman, strain

from .conftest import BIN, ROOT, MakeHost

TEXT = (ROOT / "docs" / "runbook.md").read_text()
BLOCKS = [block.strip() for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.M | re.S)]
LOG = "/var/log/nginx/blog-access.log"
CALL = "<methodCall><methodName>system.listMethods</methodName></methodCall>"
FRIEND = "198.51.100.7"
JETPACK = "192.0.80.1"
STRANGER = "127.0.0.1"
BANNED = "192.0.2.7"
SERVED = "served by WordPress"
CLOUDFRONT = """\
#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status \
cs(Referer) cs(User-Agent) cs-uri-query
"""


@dataclass(frozen=True)
class Ran:
    """What a block did: exit code and all that it printed."""

    code: int
    output: str


@dataclass(frozen=True)
class Operator:
    """Somebody with a shell, in a directory of his own."""

    host: hosts.Host
    home: Path
    programs: Path

    def types(self, block: str) -> Ran:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.home,
            env={
                **{name: value for name, value in os.environ.items() if "ANSIBLE" not in name},
                "PATH": f"{self.programs}:{BIN}:{os.environ['PATH']}",
                "HOME": str(self.home),
                "PWD": str(self.home),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
        return Ran(done.returncode, done.stdout + done.stderr)

    def has(self, **variables: str) -> None:
        """Write the inventory."""
        words = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
        line = " ".join(["web1", f"ansible_host={self.host.address}", *words])
        (self.home / "inventory").write_text(f"{line}\n")

    def on_host(self, script: str) -> str:
        return podman.execute(self.host.container, ["bash", "-c", script])

    def xmlrpc(self, source: str = STRANGER) -> str:
        """The status of an XML-RPC call from that address; or `SERVED`."""
        answer = self.on_host(
            f"curl -s -w '\\n%{{http_code}}' --interface {source} -H 'Host: blog.example' "
            f"-d '{CALL}' http://127.0.0.1/xmlrpc.php"
        )
        return SERVED if "<methodResponse>" in answer else answer.splitlines()[-1]

    def page(self) -> int:
        asked = Request(address=self.host.address, port=80, host="blog.example", target="/")
        return int(fetch(asked, 10.0).status)

    def files(self) -> str:
        return self.on_host("find /etc /var/www -name '*wpward*'")


def ready(_operator: Operator) -> None:
    """Nothing has to be prepared."""


def triage(operator: Operator, ran: Ran) -> None:
    # Eight: under attack.
    assert ran.code == 8
    assert ran.output.startswith("web1: ATTACK, going on now")
    assert operator.files() == "" and operator.xmlrpc() == SERVED


def door_closed(operator: Operator, ran: Ran) -> None:
    assert ran.code == 8
    assert "XML-RPC is closed by nginx until" in " ".join(ran.output.split())
    assert operator.xmlrpc() == "401" == operator.xmlrpc(FRIEND)
    assert operator.page() == 200


def door_closed_but_for_a_friend(operator: Operator, ran: Ran) -> None:
    assert ran.code == 8
    assert operator.xmlrpc() == "401"
    assert operator.xmlrpc(FRIEND) == SERVED


def doors_closed(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: first aid holds" in ran.output
    assert operator.xmlrpc() == "401" == operator.xmlrpc(FRIEND)
    assert operator.page() == 200


def would_change(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: would change" in ran.output and "\n+" in ran.output
    assert operator.xmlrpc() == "401"
    assert "/etc/nginx/conf.d/wpward.conf" not in operator.files()


def hardened_with_evidence(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: hardened and proven" in ran.output
    assert operator.xmlrpc() == "403" and operator.page() == 200
    assert "contain" not in operator.files(), "first aid is over"
    (report,) = re.findall(r"^report (\S+/report\.html)$", ran.output, re.M)
    kept = Path(report).parent / "evidence" / "web1"
    assert Path(report).stat().st_size > 10_000
    assert Path(report).is_relative_to(operator.home / "wpward-reports")
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=kept, check=True)


def nothing_to_resume(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "is proven; there is nothing to resume" in ran.output


def doors_only(operator: Operator) -> None:
    """Who is trusted is a matter of the doors; the rest of the hardening is there already."""
    operator.has(wpward_roles='["endpoints","guard"]')


def jetpack_served(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: hardened and proven" in ran.output
    assert operator.xmlrpc(JETPACK) == SERVED
    assert operator.xmlrpc() == "403" == operator.xmlrpc(FRIEND)


def friend_served(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: hardened and proven" in ran.output
    assert operator.xmlrpc(FRIEND) == SERVED
    assert operator.xmlrpc() == "403" == operator.xmlrpc(JETPACK)


def nobody_served(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: hardened and proven" in ran.output
    assert "bans" not in ran.output and "capacity" not in ran.output
    assert operator.xmlrpc() == "403" == operator.xmlrpc(FRIEND)


def whole_inventory(operator: Operator) -> None:
    operator.has()


def proven(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert re.search(r"web1: proven$", ran.output, re.M)


def edge_logs(operator: Operator) -> None:
    folder = operator.home / "cloudfront-logs"
    folder.mkdir()
    stamp = time.strftime("%Y-%m-%d\t%H:%M:", time.gmtime(time.time() - 120))
    rest = "POST\td111.cloudfront.example\t/xmlrpc.php\t200\t-\tMozilla/5.0\t-"
    lines = [f"{stamp}{n // 60:02}\tNRT57\t497\t203.0.113.9\t{rest}\n" for n in range(3600)]
    (folder / "E2EXAMPLE.2026-11-22-16.0").write_text("".join([CLOUDFRONT, *lines]))


def client_named(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "203.0.113.9" in ran.output
    assert "203.0.113.9" in (operator.home / "who.html").read_text()


def state_told(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "was confirmed at" in ran.output and "001-endpoints applied" in ran.output


def one_banned(operator: Operator) -> None:
    operator.on_host(f"fail2ban-client set wpward-xmlrpc banip {BANNED}")
    assert BANNED in operator.on_host("fail2ban-client status wpward-xmlrpc")


def nobody_banned(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert BANNED not in operator.on_host("fail2ban-client status wpward-xmlrpc")


def first_aid_only(operator: Operator) -> None:
    """A host that is hardened needs no first aid."""
    operator.on_host("python3 /var/lib/wpward/rollback.py rollback --role endpoints")
    assert "first aid holds" in operator.types("wpward contain -i inventory").output
    assert operator.xmlrpc() == "401"


def first_aid_over(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert ran.output.startswith("Rolled back ") and "contain" in ran.output
    assert "contain" not in operator.files()
    assert operator.xmlrpc() == "403", "the guard still refuses it"


def guard_gone(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: put back as it was" in ran.output
    assert "wpward-guard.php" not in operator.files()
    assert "/etc/fail2ban" in operator.files()
    assert operator.xmlrpc() == SERVED


def as_it_was(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert "web1: put back as it was" in ran.output
    assert operator.files() == ""
    assert operator.xmlrpc() == SERVED and operator.page() == 200


def as_it_was_by_itself(operator: Operator, ran: Ran) -> None:
    assert ran.code == 0
    assert ran.output.startswith("Rolled back ")
    assert operator.files() == ""
    assert operator.xmlrpc() == SERVED


SAID: dict[str, tuple[Callable[[Operator], None], Callable[[Operator, Ran], None]]] = {
    "wpward triage root@web1": (ready, triage),
    "wpward triage --contain root@web1": (ready, door_closed),
    f"wpward triage --contain --trusted {FRIEND} root@web1": (ready, door_closed_but_for_a_friend),
    "wpward contain -i inventory": (ready, doors_closed),
    "wpward harden -i inventory --check --diff": (ready, would_change),
    "wpward incident -i inventory": (ready, hardened_with_evidence),
    "wpward incident -i inventory --resume": (ready, nothing_to_resume),
    "wpward harden -i inventory -e "
    '\'{"wpward_policy": {"xmlrpc": "trusted"}, "wpward_trusted_services": ["jetpack"]}\'': (
        doors_only,
        jetpack_served,
    ),
    f"wpward harden -i inventory --trusted {FRIEND}": (doors_only, friend_served),
    'wpward harden -i inventory -e \'{"wpward_roles": ["endpoints", "guard"]}\'': (
        whole_inventory,
        nobody_served,
    ),
    "wpward verify -i inventory": (ready, proven),
    "wpward logs cloudfront-logs/ --html who.html": (edge_logs, client_named),
    "ssh root@web1 python3 /var/lib/wpward/rollback.py status": (ready, state_told),
    f"ssh root@web1 fail2ban-client unban {BANNED}": (one_banned, nobody_banned),
    "ssh root@web1 python3 /var/lib/wpward/rollback.py rollback --role contain": (
        first_aid_only,
        first_aid_over,
    ),
    "wpward rollback -i inventory --role guard": (ready, guard_gone),
    "wpward rollback -i inventory": (ready, as_it_was),
    "ssh root@web1 python3 /var/lib/wpward/rollback.py rollback": (
        first_aid_only,
        as_it_was_by_itself,
    ),
}
"""By block: what makes the situation that it is for, and whether it did what the text says."""


@pytest.fixture(scope="module")
def operator(make_host: MakeHost, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    host = make_host("runbook")
    home, programs = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("bin")
    config = Path(host.ssh_config).read_text()
    (home / "config").write_text(config.replace(f"Host {host.name} ", "Host web1 "))
    # OpenSSH takes the home from the system's list of users, whatever HOME says.
    (programs / "ssh").write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {home}/config "$@"\n')
    (programs / "ssh").chmod(0o755)
    operator = Operator(host, home, programs)
    operator.has()
    operator.on_host(f"ip address add {FRIEND}/32 dev lo; ip address add {JETPACK}/32 dev lo")
    now = time.time()
    strain.fill_log(host, LOG, 1 << 20, now - 600, now, share=0.5)
    return operator


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_does_what_is_said_of_it(operator: Operator, block: str) -> None:
    assert block in SAID, "nobody knows what this block has to do"
    prepare, check = SAID[block]
    prepare(operator)
    ran = operator.types(block)
    try:
        check(operator, ran)
    except AssertionError as error:
        error.add_note(ran.output)
        raise


def test_no_block_is_missing() -> None:
    assert sorted(BLOCKS) == sorted(SAID)
