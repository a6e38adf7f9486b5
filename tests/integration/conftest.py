# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real hosts and real playbook runs for the integration tests."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from testbed import hosts, podman
from testbed.shell import TestbedError

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

MakeHost = Callable[..., hosts.Host]
Playbook = Callable[..., "PlaybookRun"]
Restored = Callable[[hosts.Host, str, float], None]


@dataclass(frozen=True)
class PlaybookRun:
    """What ansible-playbook did: exit code, what it printed, modules started and the newest
    report's document per host."""

    code: int
    output: str
    executions: dict[str, int]
    reports: dict[str, Any] = field(default_factory=dict)

    def changed(self, host: str) -> int:
        found = re.search(rf"^{re.escape(host)}\s*:.*\bchanged=(\d+)", self.output, re.MULTILINE)
        assert found, self.output
        return int(found.group(1))

    def proven(self) -> PlaybookRun:
        """This run; an AssertionError with the whole output where it did not succeed."""
        assert self.code == 0, self.output
        return self


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The Molecule scenarios begin first: no other file takes as long, and none would be left to
    run beside them at the end."""
    items.sort(key=lambda item: item.path.name != "test_molecule.py")


@pytest.fixture(scope="module")
def make_host() -> Iterator[MakeHost]:
    """Start WordPress hosts: make_host(name, vhosts=[...]); they are removed after the module.

    A machine holds some thirty of them: each takes several of the 128 inotify instances that Linux
    gives a user, and a host that gets none does not boot.
    """
    names: set[str] = set()

    def make(name: str, **options: Any) -> hosts.Host:
        options.setdefault("reset", True)
        names.add(name)
        return hosts.up(name, **options)

    yield make
    hosts.down(sorted(names))


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """Run a playbook: playbook(host, "harden", "--check", wpward_policy={...})."""

    def run(host: hosts.Host, name: str, *arguments: str, **variables: Any) -> PlaybookRun:
        counts = tmp_path / "executions.json"
        counts.unlink(missing_ok=True)
        reports = tmp_path / "reports"
        variables.setdefault("wpward_report_directory", str(reports))
        # Where bans are not what a test is about, it does not wait for fail2ban's installation.
        variables.setdefault("wpward_roles", ["endpoints", "guard"])
        done = subprocess.run(
            [
                str(BIN / "ansible-playbook"),
                *("--inventory", host.inventory),
                *("--extra-vars", json.dumps(variables)),
                *arguments,
                str(ROOT / "playbooks" / f"{name}.yml"),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "ANSIBLE_CALLBACKS_ENABLED": "wpward.wordpress.executions",
                "ANSIBLE_NOCOLOR": "1",
                "WPWARD_EXECUTIONS_SAVE_TO": str(counts),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        return PlaybookRun(
            done.returncode,
            done.stdout + done.stderr,
            json.loads(counts.read_text()) if counts.exists() else {},
            {path.stem: json.loads(path.read_text()) for path in sorted(reports.glob("*/*.json"))},
        )

    return run


TREE = ROOT / "molecule" / "shared" / "tree.sh"


@pytest.fixture(scope="session")
def tree() -> Callable[[hosts.Host], str]:
    """Everything a rollback has to restore on a host, as text to compare."""

    def read(host: hosts.Host) -> str:
        return podman.execute(host.container, ["bash", "-s"], stdin=TREE.read_text())

    return read


@pytest.fixture(scope="session")
def restored(tree: Callable[[hosts.Host], str]) -> Restored:
    """Wait until a host that puts itself back has done so, at most so many seconds."""

    def wait(host: hosts.Host, before: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # A file can go while the tree is being read: then the host is about to put itself back.
            with contextlib.suppress(TestbedError):
                if tree(host) == before:
                    return
            time.sleep(1)
        assert tree(host) == before

    return wait
