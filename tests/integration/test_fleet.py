# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A rollout over real hosts: the canary, what stops it, who is named, and how it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testbed import hosts, podman

ROOT = Path(__file__).resolve().parents[2]
RUNS = ("20261122T120000Z-000001", "20261122T120000Z-000002", "20261122T120000Z-000003")
# The end of the first change on a host, as ansible-playbook announces it.
FIRST_CHANGE_DONE = "TASK [Guard the user names]"
CUT = "systemctl stop ssh.socket ssh; for one in $(pgrep -x sshd); do kill -9 $one; done"


@dataclass(frozen=True)
class Fleet:
    """Two hosts that answer, and the directory of an inventory and of reports."""

    canary: hosts.Host
    second: hosts.Host
    folder: Path

    def inventory(self, *silent: str) -> Path:
        """The two hosts in this order, and after them names that nothing listens behind."""
        nowhere = {name: {"ansible_host": "127.0.0.1", "ansible_port": 9} for name in silent}
        folder = self.folder / f"inventory-{len(silent)}"
        folder.mkdir(exist_ok=True)
        for number, host in enumerate((self.canary, self.second)):
            link = folder / f"{number}.yml"
            link.unlink(missing_ok=True)
            link.symlink_to(host.inventory)
        (folder / "2.yml").write_text(json.dumps({"wordpress": {"hosts": nowhere}}))
        return folder

    def begin(
        self, run: str, inventory: Path, *options: str, **variables: Any
    ) -> subprocess.Popen[str]:
        known = {
            "wpward_report_directory": str(self.folder / "reports"),
            "harden_run": run,
            "wpward_roles": ["endpoints", "guard"],
            **variables,
        }
        return subprocess.Popen(
            [
                *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory)),
                *("-e", json.dumps(known), *options, str(ROOT / "playbooks" / "harden.yml")),
            ],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, run: str, inventory: Path, *options: str, **variables: Any) -> str:
        return self.begin(run, inventory, *options, **variables).communicate(timeout=600)[0]

    def reported(self, run: str) -> dict[str, dict[str, Any]]:
        found = {}
        for path in (self.folder / "reports" / run).glob("*.json"):
            document = json.loads(path.read_text())
            if "outcome" in document:
                found[document["host"]] = document
        return found

    def outcomes(self, run: str) -> dict[str, str]:
        return {name: document["outcome"] for name, document in self.reported(run).items()}

    def left(self, run: str) -> Path:
        return self.folder / "reports" / run / "left.txt"


@pytest.fixture(scope="module")
def fleet(make_host: Callable[..., hosts.Host], tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return Fleet(make_host("fleet-a"), make_host("fleet-b"), tmp_path_factory.mktemp("fleet"))


def test_a_canary_that_fails_spares_the_others_and_the_rest_is_resumed(  # type: ignore[no-untyped-def]
    fleet: Fleet, playbook, tree
) -> None:
    inventory = fleet.inventory("silent")
    untouched = tree(fleet.second)
    broken = "/etc/nginx/conf.d/broken.conf"
    podman.execute(fleet.canary.container, ["sh", "-c", f"echo 'nonsense;' > {broken}"])
    first, second = RUNS[:2]
    output = fleet.run(first, inventory)
    assert "3 hosts: 1 failed, 2 not reached" in output
    assert "2 hosts were not begun, because of fleet-a" in output
    assert fleet.outcomes(first) == {
        "fleet-a": "failed",
        "fleet-b": "not_reached",
        "silent": "not_reached",
    }
    assert fleet.left(first).read_text().split() == ["fleet-a", "fleet-b", "silent"]
    assert tree(fleet.second) == untouched
    page = (fleet.left(first).parent / "report.html").read_text()
    assert page.count("NOT hardened: the rollout did not come to it") >= 2

    podman.execute(fleet.canary.container, ["rm", broken])
    output = fleet.run(second, inventory, "--limit", f"@{fleet.left(first)}")
    assert "3 hosts: 2 hardened, 1 unreachable" in output
    assert f"--limit @{fleet.left(second)}" in " ".join(output.split())
    assert fleet.outcomes(second) == {
        "fleet-a": "confirmed",
        "fleet-b": "confirmed",
        "silent": "unreachable",
    }
    assert "Connection refused" in fleet.reported(second)["silent"]["failure"]
    assert fleet.left(second).read_text() == "silent\n"
    for host in (fleet.canary, fleet.second):
        playbook(host, "rollback", wpward_run=second).proven()
    assert tree(fleet.second) == untouched


def test_a_host_that_is_lost_half_way_costs_the_others_of_its_batch_nothing(  # type: ignore[no-untyped-def]
    fleet: Fleet, playbook, tree
) -> None:
    before = tree(fleet.second)
    # The lost host is of the first batch, and the silent one would be the next.
    running = fleet.begin(RUNS[2], fleet.inventory("silent"), wpward_serial=[2, 1])
    assert running.stdout is not None
    output = ""
    cut = False
    for line in running.stdout:
        output += line
        if not cut and line.startswith(FIRST_CHANGE_DONE):
            podman.execute(fleet.second.container, ["sh", "-c", CUT])
            cut = True
    code = running.wait()
    podman.execute(fleet.second.container, ["systemctl", "start", "ssh"])
    assert code == 4, output
    assert "3 hosts: 1 hardened, 1 lost, 1 not reached" in output
    assert "1 hosts were not begun, because of fleet-b" in output
    assert fleet.outcomes(RUNS[2]) == {
        "fleet-a": "confirmed",
        "fleet-b": "lost",
        "silent": "not_reached",
    }
    assert tree(fleet.second) != before
    # What its own timer would do a few minutes later.
    playbook(fleet.second, "rollback", wpward_run=RUNS[2]).proven()
    assert tree(fleet.second) == before
