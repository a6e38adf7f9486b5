# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""harden.yml on a real host: what it costs, what it shows beforehand, what a rollback leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path

import pytest
from testbed import editor, hosts, podman

ROOT = Path(__file__).resolve().parents[2]

MOST_EXECUTIONS = 12
MOST_EXECUTIONS_WITH_NOTHING_TO_DO = 6


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    return make_host("harden", vhosts=["second", "sub"])


@pytest.fixture
def trusting(host: hosts.Host) -> dict[str, object]:
    """Settings under which XML-RPC stays open for this controller."""
    controller = podman.execute(
        host.container, ["sh", "-c", "ip -4 route show default | cut -d' ' -f3"]
    ).strip()
    return {"wpward_policy": {"xmlrpc": "trusted"}, "wpward_trusted": [f"{controller}/32"]}


def diff_of(output: str) -> list[str]:
    """All diffs that a run printed, each from its head to the result of its task."""
    return re.findall(r"^--- before.*?(?=^(?:changed|ok): \[)", output, re.MULTILINE | re.DOTALL)


def nginx_workers(host: hosts.Host) -> str:
    return podman.execute(host.container, ["pgrep", "--full", "nginx: worker"])


def test_a_run_and_its_rollback(host, playbook, tree, trusting) -> None:  # type: ignore[no-untyped-def]
    before = tree(host)

    dry = playbook(host, "harden", "--check", "--diff", **trusting).proven()
    assert tree(host) == before, "check mode changed the host"

    first = playbook(host, "harden", "--diff", **trusting).proven()
    assert dry.changed(host.name) == first.changed(host.name) == 2
    assert len(diff_of(dry.output)) == 2
    assert diff_of(dry.output) == diff_of(first.output), "check mode showed another diff"
    assert first.executions[host.name] <= MOST_EXECUTIONS

    workers = nginx_workers(host)
    second = playbook(host, "harden", **trusting).proven()
    assert second.changed(host.name) == 0
    assert nginx_workers(host) == workers, "a run with nothing to do reloaded nginx"
    assert second.executions[host.name] <= MOST_EXECUTIONS_WITH_NOTHING_TO_DO
    print(
        f"modules started on the host: first run {first.executions[host.name]}, "
        f"nothing to do {second.executions[host.name]}"
    )

    number = editor.publish(host.address, "From the trusted address")
    assert "From the trusted address" in editor.read(host.address, number)

    closed = playbook(host, "harden").proven()
    assert closed.changed(host.name) > 0
    with pytest.raises(xmlrpc.client.ProtocolError) as refused:
        editor.publish(host.address, "From an address that is trusted no more")
    assert refused.value.errcode == 403

    assert playbook(host, "rollback").proven().changed(host.name) == 1
    assert tree(host) == before
    assert playbook(host, "rollback").proven().changed(host.name) == 0


def test_modules_started_as_the_ssh_server_counts_them(  # type: ignore[no-untyped-def]
    host, playbook, monkeypatch
) -> None:
    """The callback's figure, checked against the commands that sshd itself was asked for."""
    drop_in = "/etc/ssh/sshd_config.d/verbose.conf"
    # A connection that is kept from an earlier run was opened before sshd became talkative.
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o ControlMaster=no -o ControlPath=none")
    podman.execute(host.container, ["sh", "-c", f"echo LogLevel VERBOSE > {drop_in}"])
    podman.execute(host.container, ["systemctl", "restart", "ssh"])
    try:
        run = playbook(host, "harden").proven()
        journal = podman.execute(host.container, ["journalctl", "-u", "ssh", "-o", "cat"])
    finally:
        podman.execute(host.container, ["rm", drop_in])
        podman.execute(host.container, ["systemctl", "restart", "ssh"])
        playbook(host, "rollback").proven()
    assert journal.count("Starting session: command") == run.executions[host.name]


def test_a_controller_that_dies_leaves_the_host_as_it_was(  # type: ignore[no-untyped-def]
    host, playbook, tree, restored, tmp_path
) -> None:
    before = tree(host)
    # Long enough for a slow machine to come to the proof before the host's patience ends.
    variables = {
        "wpward_confirm_within": 40,
        "wpward_report_directory": str(tmp_path),
        "wpward_roles": ["endpoints", "guard"],
    }
    controller = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", host.inventory, "-e", json.dumps(variables)),
            str(ROOT / "playbooks" / "harden.yml"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert controller.stdout is not None
    for line in controller.stdout:
        if "Attack and use the sites from the controller" in line:
            os.killpg(controller.pid, 9)
            break
    else:
        pytest.fail("the run ended before it came to the proof")
    controller.wait()
    assert tree(host) != before, "nothing was applied yet"

    restored(host, before, 120)
    assert podman.execute(host.container, ["systemctl", "is-active", "nginx"]).strip() == "active"
    playbook(host, "harden").proven()
    playbook(host, "rollback").proven()


# Breaks the host, or gives the run something that makes no sense; what the one sentence must hold.
BAD_INPUT = {
    "malformed network": ("", {"wpward_trusted": ["192.0.2.300"]}, ["192.0.2.300"]),
    "everybody trusted": (
        "",
        {"wpward_policy": {"xmlrpc": "trusted"}, "wpward_trusted": ["0.0.0.0/0"]},
        ["0.0.0.0/0", "everybody"],
    ),
    "nobody trusted": ("", {"wpward_policy": {"xmlrpc": "trusted"}}, ["xmlrpc", "empty"]),
    "unknown policy": ("", {"wpward_policy": {"xmlrpc": "shut"}}, ["'shut'", "closed"]),
    "unknown endpoint": ("", {"wpward_policy": {"xmlrcp": "closed"}}, ["xmlrcp"]),
    "login shut for all": ("", {"wpward_policy": {"login": "closed"}}, ["login", "trusted"]),
    "nginx refuses its own configuration": (
        "echo 'nonsense on;' > /etc/nginx/conf.d/broken.conf",
        {},
        ["nonsense", "before any change"],
    ),
    "no WordPress": (
        "rm /etc/nginx/sites-enabled/*; ln -s ../sites-available/static /etc/nginx/sites-enabled/",
        {},
        ["no WordPress"],
    ),
    "no web server": (
        "systemctl stop nginx; mv /usr/sbin/nginx /usr/sbin/nginx.away; mv /etc/nginx /etc/gone",
        {},
        ["neither nginx nor Apache httpd"],
    ),
    "state directory full": (
        "mkdir -p /var/lib/wpward; mount -t tmpfs -o size=4k,mode=0700 tmpfs /var/lib/wpward",
        {},
        ["space", "NOT hardened: nothing was changed"],
    ),
    "configuration not writable": ("chattr +i /etc/nginx/conf.d", {}, ["/etc/nginx/conf.d"]),
    "not root": ("", {"ansible_user": "visitor", "ansible_become": False}, ["root"]),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_one_sentence_and_changes_nothing(  # type: ignore[no-untyped-def]
    case: str, make_host, playbook, tree
) -> None:
    breaks, variables, expected = BAD_INPUT[case]
    host = make_host("bad-input", reset=bool(breaks))
    if breaks:
        subprocess.run(
            ["nsenter", "--target", str(host.pid), "--all", "sh", "-ec", breaks], check=True
        )
    before = tree(host)
    run = playbook(host, "harden", **variables)
    assert run.code == 2, run.output
    assert "Traceback" not in run.output
    messages = [line for line in run.output.splitlines() if re.match(r"\s+msg: ", line)]
    assert messages, run.output
    for word in expected:
        assert word in run.output, run.output
    if "chattr" in breaks:
        podman.execute(host.container, ["chattr", "-i", "/etc/nginx/conf.d"])
    assert tree(host) == before


def test_one_hosts_failure_does_not_stop_the_others(make_host, playbook, tmp_path) -> None:  # type: ignore[no-untyped-def]
    broken, sound = make_host("bad-input"), make_host("sound")
    podman.execute(broken.container, ["sh", "-c", "echo 'nonsense on;' > /etc/nginx/conf.d/x.conf"])
    run = playbook(sound, "harden", "--inventory", broken.inventory, wpward_serial=["100%"])
    assert run.code == 2
    assert re.search(r"^sound\s.*failed=0", run.output, re.MULTILINE)
    assert re.search(r"^bad-input\s.*failed=1", run.output, re.MULTILINE)
    assert run.reports["sound"]["outcome"] == "confirmed"
