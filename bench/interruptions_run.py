# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of incident.yml that is interrupted at a point of its course."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.shell import TestbedError, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed import hosts

ROOT = Path(__file__).resolve().parents[1]

SIGINT, SIGKILL, CUT = "sigint", "sigkill", "cut"
KINDS = {SIGINT: "SIGINT", SIGKILL: "SIGKILL", CUT: "network cut"}
RUN_SECONDS = 900.0
END_SECONDS = 120.0


@dataclass(frozen=True)
class Point:
    """Where to interrupt: so many seconds after the task of that name begins, as it is printed.

    contain_seconds: how long first aid holds then, 60 at least; no longer than this point needs, as
    it is waited for.
    """

    name: str
    task: str
    delay: float
    contain_seconds: int


POINTS = {
    point.name: point
    for point in (
        Point("first aid being applied", "contain : Close XML-RPC on every virtual host", 2, 60),
        Point("evidence being kept", "preserve : Preserve the evidence", 2, 60),
        Point("probe", "probe : Read the host", 2, 60),
        Point(
            "sites at work recorded", "verify : Record how the sites work, seen on the host", 2, 75
        ),
        Point("endpoints being closed", "endpoints : Close the endpoints", 2, 90),
        Point("services restarting", "capacity : Change it", 2, 180),
        Point("first aid being lifted", "contain : End first aid", 1, 300),
        Point("proof", "verify : Attack and use the sites on the host", 3, 300),
        Point("confirmation being sent", "harden : Confirm the run", 0.7, 300),
        Point("confirmed", "harden : Note that it is proven", 0, 300),
    )
}


@dataclass
class Controller:
    """ansible-playbook at work; `lines` is what it printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def output(self) -> str:
        return "".join(self.lines)


def command(of: Sequence[hosts.Host], playbook: str, variables: dict[str, Any]) -> list[str]:
    inventories = [word for host in of for word in ("--inventory", host.inventory)]
    return [
        str(Path(sys.executable).parent / "ansible-playbook"),
        *(*inventories, "--extra-vars", json.dumps(variables)),
        str(ROOT / "playbooks" / f"{playbook}.yml"),
    ]


def start(of: Sequence[hosts.Host], point: Point | None, variables: dict[str, Any]) -> Controller:
    """Begin incident.yml in a process group of its own."""
    process = subprocess.Popen(
        command(of, "incident", variables),
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    controller = Controller(process)
    head = f"TASK [wpward.wordpress.{point.task}]" if point else None

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            controller.lines.append(f"{time.strftime('%T')} {line}")
            if head and line.startswith(head):
                controller.reached.set()
        controller.ended.set()
        controller.reached.set()

    threading.Thread(target=read, daemon=True).start()
    return controller


def interrupt(
    controller: Controller, kind: str, point: Point, of: Sequence[hosts.Host], cut_seconds: float
) -> str:
    """Wait for the point and interrupt there, until the controller has ended; why it failed."""
    try:
        if not controller.reached.wait(RUN_SECONDS) or controller.ended.is_set():
            return f"the run never came to {point.task!r}"
        # A host that the run has left alone would be as it was whatever is done.
        if "FAILED!" in controller.output:
            return "a task failed before the interruption"
        time.sleep(point.delay)
        if kind == CUT:
            with network_cut(of, cut_seconds):
                time.sleep(cut_seconds)
            patience = RUN_SECONDS
        else:
            (kill if kind == SIGKILL else press_control_c)(controller.process.pid)
            patience = END_SECONDS
        if not controller.ended.wait(patience):
            return f"the controller did not end within {patience:g} s"
        return ""
    finally:
        if controller.process.poll() is None:
            kill(controller.process.pid)
        controller.process.wait()


def press_control_c(pid: int) -> None:
    """As a terminal does: to the process group, of which Ansible's workers are not."""
    os.killpg(pid, signal.SIGINT)


def kill(pid: int) -> None:
    """Kill the controller at once with its workers, which have sessions of their own."""
    os.kill(pid, signal.SIGSTOP)
    family = [pid, *_descendants(pid)]
    for one in family:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in parentheses may hold anything; the parent is the second word after it.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family[1:]


CUT_RULES = """
table inet interruption {
    chain in { type filter hook input priority -400; iifname != "lo" drop; }
    chain out { type filter hook output priority -400; oifname != "lo" drop; }
}
"""


@contextmanager
def network_cut(of: Sequence[hosts.Host], seconds: float) -> Iterator[None]:
    """Nothing comes in or goes out of the hosts but by loopback, established connections too.

    The rules are in the hosts' own network namespaces; a process of its own takes them away should
    this one not live to do it.
    """
    later = f"sleep {seconds + 30:g}; nft delete table inet interruption"
    fallback = [
        subprocess.Popen(_namespace(host, "sh", "-c", later), start_new_session=True) for host in of
    ]
    try:
        for host in of:
            run(_namespace(host, "nft", "-f", "-"), stdin=CUT_RULES)
        yield
    finally:
        for host in of:
            run(_namespace(host, "nft", "delete", "table", "inet", "interruption"), check=False)
        for process in fallback:
            kill(process.pid)
            process.wait()


def _namespace(host: hosts.Host, *argv: str) -> list[str]:
    return ["nsenter", f"--net=/proc/{host.pid}/ns/net", *argv]


def roll_back(of: Sequence[hosts.Host]) -> None:
    done = run(command(of, "rollback", {}), check=False, cwd=ROOT)
    if done.returncode:
        raise TestbedError(f"rollback.yml failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
