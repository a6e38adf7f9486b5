# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hosts whose rollout is interrupted: their state before, whether they rest, and after."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import (
    Request,
    fetch,
)
from testbed import hosts
from testbed.shell import TestbedError, run, say

TREE = Path(__file__).resolve().parents[1] / "molecule" / "shared" / "tree.sh"

IDENTICAL, CONFIRMED, FAILURE = "identical", "confirmed", "FAILURE"

# What roles install stays after a rollback: here it is the operator's own from the start.
PREPARE = r"""
set -eu
export DEBIAN_FRONTEND=noninteractive
dpkg -s fail2ban atop > /dev/null 2>&1 || {
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends fail2ban python3-systemd atop > /dev/null 2>&1
}
printf '[sshd]\nbackend = systemd\n' > /etc/fail2ban/jail.local
systemctl enable --quiet fail2ban atop
systemctl restart fail2ban atop
"""

# A module runs as python3, and goes on when its controller is gone; so does what the timer starts.
AT_WORK = r"""
pgrep -x python3 | sed 's/^/process /'
find /etc/systemd/system -name 'wpward-*' -printf 'unit %f\n'
"""

# Files that are back are not enough: these are what the services do with them.
ACTING = r"""
for unit in nginx apache2 php8.2-fpm mariadb fail2ban atop; do
    pid=$(systemctl show --property MainPID --value $unit)
    limit=$(awk '/^Max open files/ { print $4 }' /proc/$pid/limits)
    echo "$unit $(systemctl is-active $unit) $limit"
done 2> /dev/null
fail2ban-client status | grep 'Jail list'
"""

STATUS = "test ! -e /var/lib/wpward/rollback.py || python3 /var/lib/wpward/rollback.py status"
LEFT = r"find /etc /opt -name '*wpward-contain*' -o -path '/etc/systemd/system/*wpward-*'"

CALL = b"<?xml version='1.0'?><methodCall><methodName>system.listMethods</methodName></methodCall>"
ATTACKS = (
    ("POST", "/xmlrpc.php"),
    ("POST", "//xmlrpc.php"),
    ("POST", "/%78mlrpc.php"),
    ("GET", "/?author=1"),
    ("GET", "/wp-json/wp/v2/users"),
)
WORK = (("GET", "/"), ("GET", "/wp-login.php"), ("GET", "/wp-json/"))
REFUSALS = (401, 403, 404)

POLL_SECONDS = 3.0
# Services that were restarted need a moment before they answer as before.
CALM_SECONDS = 45.0


@dataclass
class Subject:
    """A host, and how it is without wpward: tree, what acts, answers by request."""

    host: hosts.Host
    tree: str = ""
    acting: str = ""
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.host.name


@dataclass(frozen=True)
class Judged:
    """What became of a host; `why` tells the difference where it is a failure."""

    outcome: str
    why: str = ""


def shell(host: hosts.Host, script: str) -> str:
    # podman exec takes several times as long, and this is asked every few seconds.
    done = run(["nsenter", "--target", str(host.pid), "--all", "bash", "-s"], stdin=script)
    return str(done.stdout)


def make(name: str, web: str, reset: bool = True) -> Subject:
    """A host with what an operator has there already, and its present state."""
    host = hosts.up(name, web=web, reset=reset)
    shell(host, PREPARE)
    subject = Subject(host)
    remember(subject)
    return subject


def remember(subject: Subject) -> None:
    subject.tree = tree(subject.host)
    subject.acting = shell(subject.host, ACTING)
    subject.answers = answers(subject.host)
    if not subject.answers[" ".join(ATTACKS[0])].endswith("methods"):
        raise TestbedError(f"{subject.name} does not answer XML-RPC to begin with")


def tree(host: hosts.Host) -> str:
    return shell(host, TREE.read_text())


def answers(host: hosts.Host) -> dict[str, str]:
    """Request to status, and whether XML-RPC did what it was called for."""
    found = {}
    for method, target in ATTACKS + WORK:
        request = Request(
            address=host.address,
            port=80,
            host="blog.example",
            target=target,
            method=method,
            body=CALL if method == "POST" else b"",
        )
        reply = fetch(request, 20.0)
        done = " methods" if b"system.listMethods" in reply.body else ""
        found[f"{method} {target}"] = f"{reply.status}{done}"
    return found


def settle(subjects: Sequence[Subject], seconds: float) -> dict[str, str]:
    """Wait until nothing of wpward runs or waits on the hosts; host to what still does."""
    deadline = time.monotonic() + seconds
    busy = {subject.name: "not looked at" for subject in subjects}
    quiet = dict.fromkeys(busy, 0)
    while busy and time.monotonic() < deadline:
        for subject in subjects:
            if subject.name not in busy:
                continue
            seen = shell(subject.host, AT_WORK).strip()
            # Twice, since a module may be on its way while its predecessor has ended.
            quiet[subject.name] = 0 if seen else quiet[subject.name] + 1
            if quiet[subject.name] == 2:
                del busy[subject.name]
            else:
                busy[subject.name] = seen
        time.sleep(POLL_SECONDS)
    return busy


def judge(subject: Subject) -> Judged:
    """Whether a host at rest is hardened and confirmed, or as it was before."""
    problems = _problems(subject)
    deadline = time.monotonic() + CALM_SECONDS
    while problems and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        problems = _problems(subject)
    confirmed = "was confirmed at" in shell(subject.host, STATUS)
    if problems:
        return Judged(FAILURE, "\n".join(problems))
    return Judged(CONFIRMED if confirmed else IDENTICAL)


def _problems(subject: Subject) -> list[str]:
    host = subject.host
    status = shell(host, STATUS)
    problems = [f"left: {path}" for path in shell(host, LEFT).split()]
    problems += re.findall(
        r"^Run .*(?:is open since|is temporary, since|could not be).*$", status, re.MULTILINE
    )
    now = answers(host)
    if "was confirmed at" in status:
        for method, target in ATTACKS:
            asked = f"{method} {target}"
            if now[asked].split()[0] not in map(str, REFUSALS) or "methods" in now[asked]:
                problems.append(f"confirmed, and {asked} is answered with {now[asked]}")
        for method, target in WORK:
            asked = f"{method} {target}"
            if now[asked] != subject.answers[asked]:
                problems.append(f"{asked}: {now[asked]}, before {subject.answers[asked]}")
        return problems
    problems += [
        f"{asked}: {now[asked]}, before {before}"
        for asked, before in subject.answers.items()
        if now[asked] != before
    ]
    problems += _difference("acting", subject.acting, shell(host, ACTING))
    problems += _difference("tree", subject.tree, tree(host))
    return problems


def _difference(what: str, before: str, now: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=0)
    return [f"{what}: {line}" for line in lines if not line.startswith(("---", "+++", "@@"))][:40]


def anew(subject: Subject) -> None:
    """Make a host anew whose state nobody vouches for."""
    say(f"{subject.name} is made anew")
    fresh = make(subject.name, subject.host.web)
    subject.host, subject.tree = fresh.host, fresh.tree
    subject.acting, subject.answers = fresh.acting, fresh.answers
