# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""First aid on hosts that are started anew: it holds until its time, whatever happens meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from testbed import hosts, podman

from .conftest import MakeHost, Playbook
from .play import play

FILE = "/etc/nginx/conf.d/wpward-contain.conf"
MARK = "/etc/nginx/conf.d/wpward-mark.conf"
SECONDS = 60
UNCONFIRMED = f"""
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - wpward.wordpress.transaction:
        run: unconfirmed
        role: endpoints
        files: [{{path: {MARK}, content: "add_header X-Wpward-Mark present always;\\n"}}]
        validate: [[nginx, -t]]
        activate: [[systemctl, reload, nginx]]
        confirm_within: 10
"""


def inside(host: hosts.Host, script: str) -> str:
    output: str = podman.execute(host.container, ["sh", "-c", script])
    return output


def status(host: hosts.Host, target: str = "/xmlrpc.php") -> int:
    method = "POST" if target == "/xmlrpc.php" else "GET"
    return int(fetch(Request(host.address, 80, "blog.example", target, method=method), 10.0).status)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.5)


def contained(host: hosts.Host, playbook: Playbook) -> float:
    """Give first aid; return when it has to end, in seconds since the epoch."""
    playbook(host, "contain", wpward_contain_seconds=SECONDS).proven()
    assert status(host) == 401
    return float(json.loads(inside(host, "cat /var/lib/wpward/runs/*/run.json"))["deadline_epoch"])


def forget_the_boot(host: hosts.Host) -> None:
    """A container has the boot of its machine, also when it is started anew; a server has not."""
    another = 's/"boot": "[^"]*"/"boot": "another"/'
    inside(host, f"sed -i '{another}' /var/lib/wpward/runs/*/run.json")


def nothing_left(host: hosts.Host) -> bool:
    return inside(host, "find /etc -name '*wpward*'") == ""


def test_it_holds_after_a_reboot_and_ends_in_time_even_while_the_host_is_down(
    make_host: MakeHost, playbook: Playbook, tmp_path: Path
) -> None:
    held, down = make_host("reboot-held"), make_host("reboot-down")

    late = contained(down, playbook)
    forget_the_boot(down)
    podman.podman("stop", "--time", "60", down.container)

    until = contained(held, playbook)
    (tmp_path / "unconfirmed.yml").write_text(UNCONFIRMED)
    play(tmp_path / "unconfirmed.yml", held)
    forget_the_boot(held)
    held = hosts.reboot(held.name, crash=True)
    assert status(held) == 401
    assert status(held, "/") == 200
    assert "wpward-deadman.timer" in inside(held, "systemctl list-timers 'wpward*'")
    # The change that nobody confirmed goes its own way, and first aid stays.
    wait_for(lambda: not inside(held, f"ls {MARK} || true"), max(until - time.time() - 2, 1))
    assert time.time() < until - 1, "this machine is too busy to tell the two apart"
    assert status(held) == 401
    assert "temporary" in inside(held, "python3 /var/lib/wpward/rollback.py status")

    wait_for(lambda: time.time() > late + 2, SECONDS)
    podman.podman("start", down.container)
    wait_for(lambda: answers(down), 60)
    # Sooner than a timer that counts from the boot would end it.
    wait_for(lambda: nothing_left(down), 25)
    wait_for(lambda: status(down) == 200, 10)

    wait_for(lambda: nothing_left(held), max(until - time.time(), 0) + 30)
    assert time.time() >= until - 1
    wait_for(lambda: status(held) == 200, 10)


def answers(host: hosts.Host) -> bool:
    """Whether the host has booted far enough to be asked."""
    asked = ("exec", host.container, "systemctl", "is-active", "nginx")
    return bool(podman.podman(*asked, check=False).strip() == "active")
