# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pull mode, with the units that docs/fleet.md shows, on a server that is its own controller."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from testbed import hosts, podman

from .conftest import MakeHost, Restored

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("ansible.cfg", "meta", "playbooks", "plugins", "roles")
# They run without what is compiled, so they run on any server's Python.
ANSIBLE = ("ansible", "jinja2", "jinja2-*", "markupsafe", "packaging", "resolvelib", "yaml")
COMMANDS = ("ansible", "ansible-playbook", "ansible-pull")
UNIT = "wpward-pull.service"
WITHIN = 30
INSTALL = """
set -e
apt-get update --quiet=2
apt-get install --quiet=2 --yes --no-install-recommends git
cd /srv/wpward
git init --quiet --initial-branch production
git add --all --force
git -c user.name=a -c user.email=a@fleet.example commit --quiet --message fleet
sed -i '1c #!/usr/bin/python3' /opt/wpward/bin/*
packages=$(python3 -c 'import site; print(site.getsitepackages()[0])')
mkdir -p "$packages"
echo /srv/ansible > "$packages/wpward.pth"
"""


def run(host: hosts.Host, script: str) -> str:
    output: str = podman.execute(host.container, ["bash", "-s"], stdin=script)
    return output


def send(host: hosts.Host, source: Path, patterns: Sequence[str], target: str) -> None:
    names = [path.name for pattern in patterns for path in source.glob(pattern)]
    archive = subprocess.run(
        ["tar", "--create", "--exclude=__pycache__", *names],
        cwd=source,
        check=True,
        capture_output=True,
    )
    unpack = f"mkdir -p {target} && tar --extract --no-same-owner --directory {target}"
    subprocess.run(
        ["ssh", "-F", host.ssh_config, host.name, unpack], input=archive.stdout, check=True
    )


def write_units(host: hosts.Host) -> None:
    text = (ROOT / "docs" / "fleet.md").read_text()
    files = dict(re.findall(r"```(?:ini|yaml)\n# (/etc/\S+)\n(.*?)```", text, re.DOTALL))
    assert [Path(path).name for path in files] == [
        UNIT,
        "wpward-pull.timer",
        "wpward-pull.yml",
    ]
    for path, content in files.items():
        content = content.replace("https://git.example/wpward.git", "/srv/wpward")
        if path.endswith(".yml"):
            content += f"wpward_roles: [endpoints, guard]\nwpward_confirm_within: {WITHIN}\n"
        run(host, f"printf %s {shlex.quote(content)} > {path}")
    run(host, "systemctl daemon-reload && systemctl enable --now wpward-pull.timer")


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    host = make_host("pull")
    send(host, ROOT, PROJECT, "/srv/wpward")
    send(host, Path(sys.executable).parent, COMMANDS, "/opt/wpward/bin")
    send(host, Path(sysconfig.get_path("purelib")), ANSIBLE, "/srv/ansible")
    run(host, INSTALL)
    write_units(host)
    return host


def test_a_server_hardens_itself_and_undoes_what_was_not_confirmed(
    host: hosts.Host, tree: Callable[[hosts.Host], str], restored: Restored
) -> None:
    before = tree(host)
    assert "wpward-pull.timer" in run(host, "systemctl list-timers")
    run(host, f"systemctl start --no-block {UNIT}")
    deadline = time.monotonic() + 180
    while "wpward-guard.php" not in run(host, "find /var/www/blog/wp-content -name 'wpward-*'"):
        still = run(host, f"systemctl is-active {UNIT} || true").strip() == "activating"
        assert still and time.monotonic() < deadline, run(host, f"journalctl --unit {UNIT}")
        time.sleep(0.2)
    run(host, f"systemctl kill --signal KILL {UNIT}")
    restored(host, before, 3 * WITHIN)

    run(host, f"systemctl start {UNIT}")
    said = run(host, f"journalctl --unit {UNIT}")
    assert "hardened, proven and confirmed" in said
    (reports,) = re.findall(r"report +(/var/lib/wpward-pull-reports/\S+)/report.html", said)
    document = json.loads(run(host, f"cat {reports}/localhost.json"))
    assert document["outcome"] == "confirmed"
