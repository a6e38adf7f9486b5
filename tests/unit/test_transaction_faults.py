# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fault table: killed, or out of disk space, at every step; the host is restored to the byte.

strace kills the process, or refuses it the disk, at its first, second, third... system call of
those that change something, until it gets through. The judge compares the whole tree.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_program import (
    program_source,
)
from unit.fault.scene import Scene

DRIVER = Path(__file__).parent / "fault" / "driver.py"

# What changes something that outlives the process, and the waits for the commands. (Attributes are
# set on a file between its write and its fsync: no step of its own.)
MUTATING = [
    *("write", "pwrite64", "ftruncate", "fsync", "rename", "renameat", "renameat2"),
    *("unlink", "unlinkat", "symlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "wait4"),
]
# What the kernel answers with ENOSPC when no block or inode is left.
ALLOCATING = ["write", "mkdir", "mkdirat", "symlinkat", "fsetxattr"]
SYNCING = ["fsync", "rename", "renameat", "renameat2"]
REFUSED = 3

# (scene, call, n): strike at the n-th such call; false if there is none.
Strike = Callable[[Scene, str, int], bool]


def recover_by_next_run(journal: Journal) -> None:
    with journal.lock("test"):
        assert not journal.recover().failures


def recover_by_rollback(journal: Journal) -> None:
    with journal.lock("test"):
        assert not journal.roll_back().failures


def recover_by_timer_after_reboot(journal: Journal) -> None:
    for record in (Path(journal.directory) / "runs").glob("*/run.json"):
        data = json.loads(record.read_text())
        record.write_text(json.dumps(dict(data, boot="another boot")))
    journal.expire(pause=0)


RECOVERIES: list[Callable[[Journal], None]] = [
    recover_by_next_run,
    recover_by_rollback,
    recover_by_timer_after_reboot,
]


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    """Fail, and not skip, without strace: a fault table that did not run proves nothing."""
    assert shutil.which("strace"), "the fault table needs strace: apt-get install strace"
    assert os.geteuid() == 0, "the fault table needs root, for owners and extended attributes"


@dataclass(frozen=True)
class Driven:
    """What became of the driver: its exit status, and whether the fault ever happened."""

    code: int
    struck: bool


def drive(scene: Scene, action: str, call: str, fault: str, when: str) -> Driven:
    """Run one action with a fault at its n-th call of one kind."""
    trace = scene.directory / "trace"
    # The question mark: not every kernel has every call.
    command = ["strace", "-qqq", "-o", str(trace), "-e", f"trace=?{call}"]
    command += ["-e", f"inject=?{call}:{fault}:when={when}"]
    done = subprocess.run(
        [*command, sys.executable, "-S", "-B", str(DRIVER), str(scene.directory), action],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, REFUSED, -signal.SIGKILL), done.stderr
    killed = done.returncode == -signal.SIGKILL
    return Driven(done.returncode, killed or "(INJECTED)" in trace.read_text())


def prepare(scene: Scene, action: str) -> None:
    """Bring the scene to where the action begins."""
    if action == "apply again":
        files = [{"path": scene.path("nginx.conf"), "content": "of the first transaction"}]
        scene.apply(scene.request(role="guard", files=files))
    elif action != "apply":
        scene.apply()
    if action == "recover":
        with scene.journal.lock("test"):
            # As if the process had died right before it could note that all went well.
            transaction = scene.journal.runs.transactions("run1")[0]
            transaction.become("applying")


def look(scene: Scene) -> dict[str, tuple[Any, ...]]:
    """Return the tree without the times of new files, and without the timer."""
    tree = {name: what for name, what in scene.tree().items() if not name.startswith("systemd")}
    return {name: what[:6] for name, what in tree.items()}


def whole_states(directory: Path, action: str) -> list[dict[str, tuple[Any, ...]]]:
    """Return how the tree looks at first, before the action, and after it."""
    scene = Scene(directory).build()
    states = [look(scene)]
    prepare(scene, action)
    states.append(look(scene))
    subprocess.run([sys.executable, "-S", "-B", str(DRIVER), str(directory), action], check=True)
    return [*states, look(scene)]


def settle(scene: Scene) -> None:
    """Undo what is left."""
    with scene.journal.lock("test"):
        assert not scene.journal.roll_back().failures


def strike_all(tmp_path: Path, calls: list[str], strike: Strike) -> int:
    """Strike at every occurrence of every call, until each is passed; return how many."""

    def strike_one(call: str) -> int:
        for step in itertools.count(1):
            scene = Scene(tmp_path / f"{call}{step}").build()
            struck = strike(scene, call, step)
            shutil.rmtree(scene.directory)
            if not struck:
                break
        return step - 1

    # The parser of CPython 3.11 and 3.12 fails now and then in two threads at once
    # (https://github.com/python/cpython/issues/106905); this parses once, before there are two.
    program_source()
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(strike_one, calls))


@pytest.mark.parametrize("action", ["apply", "apply again", "rollback", "confirm", "recover"])
def test_killed_at_every_step(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored: list[str] = []
    whole = whole_states(tmp_path / "undisturbed", action)

    def strike(scene: Scene, call: str, step: int) -> bool:
        before = scene.tree()
        prepare(scene, action)
        driven = drive(scene, action, call, "signal=KILL", str(step))
        if not driven.struck:
            assert driven.code == 0
            return False
        if action == "apply" and look(scene) != whole[0]:
            assert scene.timer.armed, f"changed at {call} number {step}, and nobody to undo it"
        RECOVERIES[step % len(RECOVERIES)](scene.journal)
        # What is complete may stand until somebody undoes it; half of something may not.
        assert look(scene) in whole, f"{action} killed at {call} number {step}"
        assert scene.journal.runs.unfinished() == []
        settle(scene)
        assert scene.tree() == before, f"{action} killed at {call} number {step}"
        restored.append(call)
        return True

    steps = strike_all(tmp_path, MUTATING, strike)
    assert len(restored) == steps > 5
    with capsys.disabled():
        print(f"\n{action}: killed, and restored to the byte, {len(restored)} of {steps}")


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("action", ["apply", "rollback", "confirm", "recover"])
def test_disk_full_at_every_step(
    action: str, lasting: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored: list[str] = []

    def strike(scene: Scene, call: str, step: int) -> bool:
        before = scene.tree()
        prepare(scene, action)
        driven = drive(scene, action, call, "error=ENOSPC", f"{step}+" if lasting else str(step))
        if not driven.struck:
            assert driven.code == 0
            return False
        where = f"{action}, disk full at {call} number {step}"
        if action == "apply" and driven.code == REFUSED:
            assert scene.tree() == before, where
        if action in ("rollback", "recover") and lasting:
            assert scene.tree() == before, where
        settle(scene)
        assert scene.tree() == before, where
        restored.append(call)
        return True

    steps = strike_all(tmp_path, ALLOCATING if lasting else ALLOCATING + SYNCING, strike)
    # To undo takes no space at all where the journal lies on the file system of the files.
    assert len(restored) == steps
    assert steps > 0 or action == "recover"
    with capsys.disabled():
        how = "from then on" if lasting else "once"
        print(f"\n{action}: disk full {how}, restored to the byte {len(restored)} of {steps}")
