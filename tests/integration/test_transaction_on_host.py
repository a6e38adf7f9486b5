# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transaction module over SSH on a host with nginx and systemd, which reboots and kills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testbed import hosts, podman

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = str(Path(sys.executable).parent / "ansible")
MARK = "/etc/nginx/conf.d/wpward-test.conf"
URL = "http://127.0.0.1/wp-includes/css/buttons.css"
SITE = "/etc/nginx/sites-enabled/blog"
NGINX = {"validate": [["nginx", "-t"]], "activate": [["systemctl", "reload", "nginx"]]}

Tree = Callable[[hosts.Host], str]


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    return make_host("transaction")


@pytest.fixture
def origin(host: hosts.Host, tree: Tree) -> Iterator[str]:
    """The host before the test; every test must end with it."""
    yield settled(tree(host))
    # For the next test's sake, whatever this one left.
    program = "/var/lib/wpward/rollback.py"
    clean = f"! [ -x {program} ] || {program} rollback; rm -rf /var/lib/wpward {MARK}"
    podman.execute(host.container, ["sh", "-c", clean])


def command(host: hosts.Host, *options: str, **arguments: Any) -> list[str]:
    module = ["--module-name", "wpward.wordpress.transaction", "--args", json.dumps(arguments)]
    return [ANSIBLE, "all", "--inventory", host.inventory, *options, *module]


def call(host: hosts.Host, *options: str, **arguments: Any) -> dict[str, Any]:
    """Run the module as a play would; return its result."""
    done = subprocess.run(
        command(host, *options, **arguments),
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert " => {" in done.stdout, done.stdout + done.stderr
    head, text = done.stdout.split(" => ", 1)
    result: dict[str, Any]
    result, end = json.JSONDecoder().raw_decode(text)
    # Ansible prints the diff beside the result.
    shown = (head + text[end:]).splitlines()
    return {**result, "diff": [line for line in shown if line.startswith(("+", "-", "@"))]}


def change(run: str = "run1", **options: Any) -> dict[str, Any]:
    """Return the arguments that make nginx answer with one more header."""
    files = [
        {"path": MARK, "content": "add_header X-Wpward-Test present always;\n"},
        {"path": "/etc/nginx/wpward/deep/server.conf", "content": "# server\n", "mode": "0640"},
    ]
    return {"run": run, "role": "endpoints", "files": files, **NGINX, **options}


def marked(host: hosts.Host) -> bool:
    """Tell whether the running nginx, not only its files, has the change."""
    script = f"curl --silent --show-error --head {URL} || true"
    return "X-Wpward-Test" in podman.execute(host.container, ["sh", "-c", script])


def settled(tree: str) -> str:
    """Leave out what the container engine writes at each start."""
    engine = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "etc/hosts", "etc/resolv.conf")
    lines = [line for line in tree.splitlines() if not any(name in line for name in engine)]
    return "\n".join(lines)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.5)


def timers(host: hosts.Host) -> str:
    return podman.execute(host.container, ["systemctl", "list-timers", "--all", "wpward*"])


def program(host: hosts.Host, *words: str) -> str:
    return podman.execute(host.container, ["/var/lib/wpward/rollback.py", *words])


def test_confirmed_then_rolled_back(host: hosts.Host, tree: Tree, origin: str) -> None:
    checked = call(host, "--check", "--diff", **change())
    assert "+add_header X-Wpward-Test present always;" in checked["diff"]
    assert not podman.execute(host.container, ["find", "/var/lib", "-name", "wpward"])
    assert settled(tree(host)) == origin
    applied = call(host, "--diff", **change())
    assert applied["changed"] is True
    assert [checked[key] for key in ("diff", "files")] == [
        applied[key] for key in ("diff", "files")
    ]
    wait_for(lambda: marked(host), 10)
    assert call(host, **change())["changed"] is False
    refused = call(host, **change("run2", files=[{"path": MARK, "state": "absent"}]))
    assert "Run run1 is open since" in refused["msg"]
    assert call(host, state="confirmed", run="run1")["changed"] is True
    assert "0 timers" in timers(host)
    would = call(host, "--check", "--diff", state="rolled_back")
    done = call(host, "--diff", state="rolled_back")
    assert would["diff"] == done["diff"]
    assert done["transactions"] == ["001-endpoints of run run1"]
    wait_for(lambda: not marked(host), 10)
    assert settled(tree(host)) == origin
    assert call(host, state="rolled_back")["changed"] is False


def test_what_nginx_refuses(host: hosts.Host, tree: Tree, origin: str) -> None:
    broken = change("refused", files=[{"path": MARK, "content": "no_such_directive;\n"}])
    result = call(host, **broken)
    assert "Nothing is changed, everything was put back: `nginx -t` said:" in result["msg"]
    assert 'unknown directive "no_such_directive"' in result["msg"]
    assert settled(tree(host)) == origin


def test_what_is_broken_already(host: hosts.Host, tree: Tree, origin: str) -> None:
    podman.execute(host.container, ["sh", "-c", f"echo 'rubbish;' > {MARK}"])
    files = [{"path": "/etc/nginx/wpward/x.conf", "content": "x"}]
    result = call(host, **change("broken", files=files))
    assert "already broken, so nothing was changed: `nginx -t`" in result["msg"]
    podman.execute(host.container, ["rm", MARK])
    assert settled(tree(host)) == origin


def test_nobody_confirms(host: hosts.Host, tree: Tree, origin: str) -> None:
    seen = ["sh", "-c", f"curl --silent --head {URL} | grep --quiet X-Wpward-Test"]
    assert call(host, **change("unconfirmed", confirm_within=5, checks=[seen]))["changed"] is True
    wait_for(lambda: "0 timers" in timers(host), 30)
    wait_for(lambda: not marked(host), 10)
    assert settled(tree(host)) == origin
    late = call(host, state="confirmed", run="unconfirmed")
    assert "because it was not confirmed in time" in late["msg"]
    log = podman.execute(host.container, ["journalctl", "-u", "wpward-deadman", "--output=cat"])
    assert "Run unconfirmed was not confirmed in time, and is rolled back." in log


@pytest.mark.parametrize("crash", [False, True], ids=["reboot", "power cut"])
def test_rebooted_between_applied_and_confirmed(
    host: hosts.Host, tree: Tree, origin: str, crash: bool
) -> None:
    call(host, **change(f"reboot{crash}", confirm_within=10))
    hosts.reboot(host.name, crash=crash)
    assert "wpward-deadman.timer" in timers(host)
    wait_for(lambda: "0 timers" in timers(host), 40)
    wait_for(lambda: not marked(host), 10)
    assert settled(tree(host)) == origin
    late = call(host, state="confirmed", run=f"reboot{crash}")
    assert "because it was not confirmed in time" in late["msg"]


def killed_while_activating(host: hosts.Host, run: str, **options: Any) -> None:
    """End the module with SIGKILL when nginx has the change and the transaction is not done."""
    flag = f"/run/{run}"
    slow_once = ["sh", "-c", f"[ -e {flag} ] || {{ touch {flag}; sleep 60; }}"]
    activate = [["systemctl", "reload", "nginx"], slow_once]
    arguments = change(run, activate=activate, **options)
    with subprocess.Popen(
        command(host, **arguments), cwd=ROOT, stdout=subprocess.DEVNULL
    ) as controller:
        wait_for(lambda: marked(host), 20)
        lock = podman.execute(host.container, ["cat", "/var/lib/wpward/lock"])
        assert lock.startswith(f"run {run}, role endpoints, process ")
        podman.execute(host.container, ["kill", "-KILL", lock.split("process ")[1].split(",")[0]])
        controller.wait(60)
    assert "applying" in program(host, "status")


def test_killed_then_the_next_run(host: hosts.Host, tree: Tree, origin: str) -> None:
    killed_while_activating(host, "killed1")
    result = call(host, **change("next", files=[{"path": MARK, "state": "absent"}]))
    assert result["changed"] is False
    wait_for(lambda: not marked(host), 10)
    assert settled(tree(host)) == origin


def test_killed_then_the_program(host: hosts.Host, tree: Tree, origin: str) -> None:
    killed_while_activating(host, "killed2")
    assert program(host, "rollback") == "Rolled back 001-endpoints of run killed2: 2 files.\n"
    wait_for(lambda: not marked(host), 10)
    assert settled(tree(host)) == origin


def test_killed_then_the_timer(host: hosts.Host, tree: Tree, origin: str) -> None:
    # Not sooner, or a busy machine finds it put back before it has looked.
    killed_while_activating(host, "killed3", confirm_within=20)
    wait_for(lambda: "0 timers" in timers(host), 60)
    wait_for(lambda: not marked(host), 10)
    assert settled(tree(host)) == origin


def test_the_vhost_behind_its_link(host: hosts.Host, tree: Tree, origin: str) -> None:
    text = podman.execute(host.container, ["cat", SITE])
    digest = podman.execute(host.container, ["sha256sum", SITE]).split()[0]
    insertion = {"offset": text.index("{") + 1, "insert": "\n    # wpward was here"}
    edit = {"path": SITE, "sha256": digest, "edits": [insertion]}
    assert call(host, **change("vhost", files=[edit]))["changed"] is True
    assert podman.execute(host.container, ["readlink", SITE])
    assert "wpward was here" in podman.execute(host.container, ["cat", SITE])
    again = call(host, **change("vhost", files=[edit]))
    assert "has changed since this change was computed from it" in again["msg"]
    call(host, state="rolled_back", run="vhost")
    assert settled(tree(host)) == origin


def test_a_file_and_the_link_that_enables_it(host: hosts.Host, tree: Tree, origin: str) -> None:
    """nginx reads the link; the program takes both away and brings back the vhost's own link."""
    place, link = "/etc/nginx/wpward/test.conf", {"path": MARK, "state": "link"}
    header = "add_header X-Wpward-Test present always;\n"
    pair = [{"path": place, "content": header}, {**link, "target": "../wpward/test.conf"}]
    assert call(host, "--check", "--diff", **change("link", files=pair))["changed"] is True
    assert settled(tree(host)) == origin
    assert call(host, **change("link", files=pair))["changed"] is True
    wait_for(lambda: marked(host), 10)
    assert call(host, **change("link", files=pair))["changed"] is False
    moved = [{"path": SITE, "state": "link", "target": "/etc/nginx/sites-available/blog"}]
    assert call(host, **change("link", files=moved))["changed"] is True
    podman.execute(host.container, ["ln", "-sfn", "/dev/null", MARK])
    assert f"{MARK} was changed by somebody else since" in call(host, state="rolled_back")["msg"]
    podman.execute(host.container, ["ln", "-sfn", "../wpward/test.conf", MARK])
    assert program(host, "rollback") == "Rolled back 001-endpoints of run link: 2 files.\n"
    wait_for(lambda: not marked(host), 10)
    assert settled(tree(host)) == origin


def test_a_user_with_and_without_sudo(host: hosts.Host, tree: Tree, origin: str) -> None:
    refused = call(host, "--extra-vars", "ansible_user=visitor", **change("sudo"))
    assert refused["msg"] == "Only root can do this: set become to true."
    as_root = ("--extra-vars", "ansible_user=deploy", "--become")
    assert call(host, *as_root, **change("sudo"))["changed"] is True
    assert call(host, *as_root, state="rolled_back", run="sudo")["changed"] is True
    assert settled(tree(host)) == origin


def test_a_full_disk(host: hosts.Host, tree: Tree, origin: str) -> None:
    """The journal and its disk are full: nothing is begun, and it is said in one sentence."""
    podman.execute(host.container, ["mkdir", "-p", "/var/lib/wpward"])
    mount = ["nsenter", "-t", str(hosts.named(host.name).pid), "-m"]
    where = "/var/lib/wpward"
    subprocess.run(
        [*mount, "mount", "-t", "tmpfs", "-o", "size=60k,mode=700", "tmpfs", where], check=True
    )
    try:
        result = call(host, **change("full"))
        assert "No space left on device" in result["msg"]
        assert "nothing was changed" in result["msg"]
    finally:
        subprocess.run([*mount, "umount", where], check=True)
    assert settled(tree(host)) == origin
