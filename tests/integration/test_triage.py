# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward triage`` over real SSH: what it sees, how it gets in, and what it leaves behind."""

from __future__ import annotations

import json
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from testbed import hosts, podman, strain

from .conftest import BIN, MakeHost, Playbook

LOG = "/var/log/nginx/blog-access.log"
MIB = 1 << 20
PASSWORD = "geheim-9Ku7"
# The library's processes on a host; the pattern does not find itself.
OURS = "pgrep -af '[-]ISc|[m]ariadb --|[m]ysql --'"


@dataclass(frozen=True)
class Run:
    """What the command did. ``saved``: its documents by host."""

    code: int
    output: str
    errors: str
    saved: dict[str, Any]

    def sentence(self, host: str) -> str:
        """The one line about a host that failed."""
        (found,) = re.findall(rf"^wpward: {re.escape(host)}: .*$", self.errors, re.MULTILINE)
        return str(found)


@dataclass(frozen=True)
class Operator:
    """Somebody with an SSH configuration for both hosts."""

    web: hosts.Host
    jump: hosts.Host
    config: Path
    directory: Path

    def argv(self, *arguments: str) -> list[str]:
        options = ["-F", str(self.config), "--save", str(self.directory)]
        return [str(BIN / "wpward"), "triage", *options, *arguments]

    def triage(self, *arguments: str, stdin: str = "") -> Run:
        for old in self.directory.glob("*"):
            old.unlink()
        done = subprocess.run(
            self.argv(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            # Without a terminal the password is read from standard input.
            start_new_session=True,
        )
        saved = {one.stem: json.loads(one.read_text()) for one in self.directory.glob("*.json")}
        return Run(done.returncode, done.stdout, done.stderr, saved)


CONFIG = """\
Host web six inner unknown changed
  HostName {web.address}
Host six
  HostKeyAlias {web.address}
  HostName {web.address6}
Host jump
  HostName {jump.address}
Host inner
  ProxyJump root@jump
Host unknown
  UserKnownHostsFile {folder}/empty
Host changed
  UserKnownHostsFile {folder}/changed
Host closed
  HostName {web.address}
  Port 1
Host *
  IdentityFile {key}
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile none
"""


def on(host: hosts.Host, script: str) -> str:
    return podman.execute(host.container, ["bash", "-c", script])


@pytest.fixture(scope="module")
def operator(make_host: MakeHost, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """The jump host is of another Debian, with its Python and its sudo."""
    web, jump = make_host("tr-web"), make_host("tr-jump", suite="trixie")
    folder = tmp_path_factory.mktemp("operator")
    keys = {
        host.name: Path(host.ssh_config).with_name("known_hosts").read_text().split(" ", 1)[1]
        for host in (web, jump)
    }
    (folder / "known_hosts").write_text(
        f"{web.address} {keys['tr-web']}{jump.address} {keys['tr-jump']}"
    )
    (folder / "changed").write_text(f"{web.address} {keys['tr-jump']}")
    (folder / "empty").write_text("")
    config = CONFIG.format(key=web.private_key, folder=folder, web=web, jump=jump)
    (folder / "config").write_text(config)
    for host in (web, jump):
        on(
            host,
            f"""
            useradd --create-home --shell /bin/bash keeper
            echo 'keeper:{PASSWORD}' | chpasswd
            echo 'keeper ALL=(ALL) ALL' > /etc/sudoers.d/keeper
            install -D -o keeper -m 600 ~deploy/.ssh/authorized_keys -t ~keeper/.ssh
            chown keeper ~keeper/.ssh
            echo 'LogLevel VERBOSE' > /etc/ssh/sshd_config.d/verbose.conf
            systemctl reload ssh
            """,
        )
    now = time.time()
    strain.fill_log(web, LOG, MIB, now - 600, now, share=0.5)
    return Operator(web, jump, folder / "config", folder / "reports")


def shape(value: Any) -> Any:
    """The keys of a document, all the way down; a list by its first entry."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def fixed(evidence: dict[str, Any]) -> dict[str, Any]:
    """Its shape without what is there only at some moments."""
    found: dict[str, Any] = shape(evidence)
    found["now"] = sorted(found["now"])
    found["logs"], found["access"] = found["logs"][:1], found["access"][:1]
    for row in found["access"]:
        row["statuses"] = row["timeline"]["counts"] = None
    return found


def sessions(host: hosts.Host) -> int:
    return int(on(host, "journalctl -u ssh | grep -c 'Starting session' || true"))


def test_one_session_tells_the_attack_and_leaves_nothing(
    operator: Operator, playbook: Playbook
) -> None:
    web = operator.web
    before = sessions(web)
    on(web, "touch /root/before; sleep 0.1")

    run = operator.triage("deploy@web", "--since", "2h")

    changed = "find / -xdev -type f -newer /root/before -not -path '/var/l*' -not -path '/run/*'"
    assert on(web, changed) == ""
    assert sessions(web) == before + 1
    assert on(web, f"{OURS} || true") == ""

    assert run.code == 8, run.errors
    assert run.errors == ""
    lines = run.output.splitlines()
    assert lines[0] == "web: ATTACK, going on now"
    # Command lines and paths are never cut.
    shown = [line for line in lines if "wpward " not in line and "report" not in line]
    assert len(lines) < 24 and max(map(len, shown)) <= 80, run.output
    for label in ("what", "from", "since", "burns", "next", "report"):
        assert f"\n{label} " in run.output
    assert "wpward harden -i web, -u deploy" in run.output

    (document,) = run.saved.values()
    path = operator.directory / "deploy@web.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(operator.directory.stat().st_mode) == 0o700
    by_ansible = playbook(web, "probe", wpward_since="2h").proven().reports["tr-web"]
    assert fixed(document["evidence"]) == fixed(by_ansible["evidence"])
    assert document["plan"]["verdict"] == by_ansible["plan"]["verdict"]
    assert document.keys() == by_ansible.keys()


@contextmanager
def watched(host: hosts.Host) -> Iterator[list[str]]:
    """Processes of the host with their niceness, command lines and environments, while it lasts."""
    seen: list[str] = []
    loop = "while sleep 0.05; do ps axeww -o ni=,args=; done"
    watcher = subprocess.Popen(
        ["podman", "exec", host.container, "timeout", "60", "sh", "-c", loop],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield seen
    finally:
        on(host, "pkill -x timeout || true")
        seen += watcher.communicate()[0].splitlines()


def test_the_sudo_password_goes_to_sudo_only_and_the_probe_is_nice(operator: Operator) -> None:
    with watched(operator.jump) as seen:
        run = operator.triage("-v", "-K", "keeper@jump", stdin=f"{PASSWORD}\n")
    assert run.code == 0, run.errors
    (document,) = run.saved.values()
    assert document["evidence"]["host"]["name"] == "tr-jump"
    # Python starts before it can step back.
    ours = {line.split()[0] for line in seen if "-ISc" in line and "sudo" not in line}
    assert "19" in ours
    everywhere = [*seen, run.output, run.errors, json.dumps(document)]
    assert not [text for text in everywhere if PASSWORD in text]
    assert PASSWORD not in on(operator.jump, "journalctl --no-pager")

    wrong = operator.triage("-K", "keeper@jump", stdin="wrong\n")
    assert wrong.code == 2
    assert "sudo does not take this password for keeper" in wrong.sentence("keeper@jump")


def test_every_refusal_is_one_sentence_and_the_others_go_on(operator: Operator) -> None:
    on(operator.jump, "mkdir /root/python; mv /usr/bin/python3* /root/python/")
    try:
        run = operator.triage(
            "--timeout", "60", "visitor@web", "unknown", "changed", "closed", "nobody@web", "jump"
        )
    finally:
        on(operator.jump, "mv /root/python/* /usr/bin/")
    assert run.code == 6
    for host, words in {
        "visitor@web": "visitor cannot become root; run again with -K",
        "unknown": "is not in known_hosts; its host key is ssh-ed25519 SHA256:",
        "changed": "shows another host key than known_hosts has",
        "closed": "port 1 does not take a connection (Connection refused)",
        "nobody@web": "takes no key that is here for nobody",
        "jump": "it has no Python 3.8 or newer",
    }.items():
        assert words in run.sentence(host)
    assert len(run.errors.splitlines()) == 6
    assert run.output.startswith("6 hosts: 2 failed (")


def test_jump_hosts_and_ipv6_and_json(operator: Operator) -> None:
    before = sessions(operator.web), sessions(operator.jump)
    run = operator.triage("--json", "inner", "six")
    assert run.code == 8, run.errors
    told = json.loads(run.output)
    assert {one["host"]: one["verdict"] for one in told["hosts"]} == {
        "inner": "attack",
        "six": "attack",
    }
    assert (sessions(operator.web), sessions(operator.jump)) == (before[0] + 2, before[1])


def test_an_interrupted_triage_leaves_no_process_on_the_host(operator: Operator) -> None:
    # A database that does not answer: its client would wait. This host's sudo hands everything on
    # by itself, from a process of its own.
    on(operator.jump, "pkill -STOP -x mariadbd")
    try:
        triage = subprocess.Popen(
            operator.argv("-v", "deploy@jump"), stderr=subprocess.PIPE, text=True
        )
        assert triage.stderr
        for line in triage.stderr:
            if "asking the database" in line:
                break
        assert "-ISc" in on(operator.jump, OURS)
        triage.send_signal(signal.SIGINT)
        assert triage.wait(15) == 130
        assert "wpward: interrupted" in triage.stderr.read()
        until = time.monotonic() + 10
        while (left := on(operator.jump, f"{OURS} || true")) and time.monotonic() < until:
            time.sleep(0.1)
        assert left == ""
    finally:
        on(operator.jump, "pkill -CONT -x mariadbd")


def test_a_strained_host_gives_what_it_has_read_in_time(operator: Operator) -> None:
    now = time.time()
    strain.fill_log(operator.web, LOG, 48 * MIB, now - 40000, now)
    with strain.strained(operator.web):
        run = operator.triage("--budget", "0.5", "web")
    assert run.code & 16, run.errors
    (document,) = run.saved.values()
    evidence = document["evidence"]
    assert not all(log["complete"] for log in evidence["logs"])
    assert evidence["now"]["load"]
    assert "\nmissing " in run.output


def test_first_aid_comes_in_the_same_session_and_before_the_probe(operator: Operator) -> None:
    home = Request(operator.web.address, 80, "blog.example", "/xmlrpc.php", method="POST")
    assert fetch(home, 10.0).status == 200
    sessions = "journalctl -u ssh -o cat | grep -c 'session opened for user deploy'"
    before = int(podman.execute(operator.web.container, ["sh", "-c", sessions]))
    run = operator.triage("--contain", "-u", "deploy", "web")
    assert not run.code & 32, run.output + run.errors
    assert int(podman.execute(operator.web.container, ["sh", "-c", sessions])) == before + 1
    assert "XML-RPC is closed by nginx until" in " ".join(run.output.split())
    assert run.saved["web"]["evidence"]["first_aid"]["run"].startswith("contain-")
    assert fetch(home, 10.0).status == 401
    again = operator.triage("--contain", "--json", "-u", "deploy", "web")
    (told,) = json.loads(again.output)["hosts"]
    assert told["first_aid"]["run"] == run.saved["web"]["evidence"]["first_aid"]["run"]
    podman.execute(operator.web.container, ["python3", "/var/lib/wpward/rollback.py", "rollback"])
    assert fetch(home, 10.0).status == 200
