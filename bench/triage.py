# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `wpward triage` takes on a host that is dying, and what else an operator would try there.

httpd with mod_php: 200 workers, all of them at incident C's requests, over 200 connections at full
speed; a tenth of one processor for the whole host, as a burstable machine has that used up its
credits; and so little memory that the workers fill it. Beside it the same host at rest. Every
command gets a host made anew, and is ended at a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import clients, hosts, memory, podman, worker_flood  # noqa: E402
from testbed.shell import TestbedError, say  # noqa: E402
from testbed.waiting import until  # noqa: E402
from under_flood import flooded, no_connections  # noqa: E402

BIN = Path(sys.executable).parent
HOST, CLIENTS = "bench-triage", "bench-triage-clients"
MEMORY = "1400m"
WORKERS = 200
PLUGINS = 4
PERIOD = 100_000
SHARE = 0.1
FULL = 0.97
GRACE = 30.0
MIB = 1 << 20
AT_ONCE = f"""
cat > /etc/apache2/conf-available/at-once.conf <<END
StartServers {WORKERS}
MinSpareServers 10
MaxSpareServers {WORKERS}
END
a2enconf --quiet at-once
apachectl -k stop
systemctl restart apache2
"""
COMMANDS = ("ssh host true", "wpward triage", "ansible-playbook probe.yml")


@dataclass(frozen=True)
class Taken:
    """What a command did: seconds, and how it ended. ``answered``: whether it did its work."""

    seconds: float
    ended: str
    answered: bool


def make() -> hosts.Host:
    host = hosts.up(HOST, web="httpd-prefork", memory_limit=MEMORY, reset=True)
    worker_flood.prepare(host, PLUGINS)
    worker_flood.raise_workers(host, WORKERS)
    podman.execute(host.container, ["sh", "-s"], stdin=AT_ONCE)
    return host


def removed() -> bool:
    """Two hundred processes do not always die while podman waits for it."""
    try:
        hosts.down([HOST])
    except TestbedError:
        return False
    return True


@contextmanager
def dying(several: clients.Clients, limit: float) -> Iterator[hosts.Host]:
    """The host as its operator finds it."""
    host = make()
    seconds = min(limit + 240, 600)
    with flooded(host, several, several.addresses, WORKERS, seconds):

        def full() -> bool:
            seen = memory.counters(host.pid)
            return seen.limit is not None and seen.used >= seen.limit * FULL

        until("The host's memory is full", full, 180, pause=1)
        podman.podman(
            *("update", "--cpu-period", str(PERIOD), "--cpu-quota", str(int(PERIOD * SHARE))),
            host.container,
        )
        time.sleep(5)
        seen, workers = memory.counters(host.pid), worker_flood.workers(host)
        say(
            f"dying: {workers.count} workers with {workers.pss / MIB:.0f} MiB, "
            f"{seen.used / MIB:.0f} of {MEMORY} used, {seen.oom_kills} killed for want of memory"
        )
        try:
            yield host
            say(f"dying: {memory.counters(host.pid).oom_kills} killed by now")
        finally:
            # Or its processes would not even end in time.
            podman.podman("update", "--cpu-quota", "-1", host.container)
    until("The host is gone", removed, 120)


@contextmanager
def resting(_several: clients.Clients, _limit: float) -> Iterator[hosts.Host]:
    yield make()


def argv(name: str, host: hosts.Host, folder: str, limit: float) -> list[str]:
    config = ["-F", host.ssh_config]
    if name == "ssh host true":
        return ["ssh", *config, "-o", "BatchMode=yes", host.name, "true"]
    if name == "wpward triage":
        options = ["--json", "--save", folder, "--timeout", str(int(limit))]
        return [str(BIN / "wpward"), "triage", *config, *options, f"root@{host.name}"]
    return [
        *(str(BIN / "ansible-playbook"), "-i", host.inventory),
        # Its own 10 s for a connection end before sshd has greeted.
        *("--timeout", str(int(limit)), "-e", f"wpward_report_directory={folder}"),
        str(ROOT / "playbooks" / "probe.yml"),
    ]


def how(name: str, code: int, output: str) -> tuple[str, bool]:
    """How it ended, and whether it did its work."""
    if name != "wpward triage":
        return ("answered", True) if code == 0 else (f"failed with {code}", False)
    (told,) = json.loads(output)["hosts"]
    if told["outcome"] != "answered":
        return str(told["failure"]), False
    return f"{told['verdict']}, {'all' if told['complete'] else 'a part'} of the evidence", True


def enter(name: str, host: hosts.Host, limit: float) -> Taken:
    """Run a command as an operator does, at most `limit` seconds long."""
    with tempfile.TemporaryDirectory() as folder, no_connections(host) as environment:
        began = time.monotonic()
        command = subprocess.Popen(
            argv(name, host, folder, limit),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ansible's workers and their ssh are ended with it.
            start_new_session=True,
        )
        try:
            output = command.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            os.killpg(command.pid, signal.SIGINT)
            try:
                command.communicate(timeout=GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(command.pid, signal.SIGKILL)
                command.communicate()
            return Taken(limit, "no end", False)
        seconds = time.monotonic() - began
    return Taken(seconds, *how(name, command.returncode, output))


def cell(taken: list[Taken]) -> str:
    answered = [one.seconds for one in taken if one.answered]
    if not answered:
        return f"never ({taken[0].ended}, {taken[0].seconds:.0f} s)"
    failed = len(taken) - len(answered)
    return (
        f"{statistics.median(answered):.1f} ({min(answered):.1f} to {max(answered):.1f})"
        + (f", {failed} of {len(taken)} failed" if failed else "")
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument(
        "--limit", type=float, default=300, help="seconds for a command (default: %(default)s)"
    )
    options = parser.parse_args()
    states = {"at rest": resting, "dying": dying}
    taken: dict[tuple[str, str], list[Taken]] = defaultdict(list)
    several = clients.up(CLIENTS, count=10)
    try:
        for _ in range(options.rounds):
            for state, prepared in states.items():
                for name in COMMANDS:
                    with prepared(several, options.limit) as host:
                        one = enter(name, host, options.limit)
                    taken[name, state].append(one)
                    say(f"{state}: {name} {one.seconds:.1f} s, {one.ended}")
    finally:
        hosts.down([CLIENTS])
        until("The host is gone", removed, 120)
    swap = sum(int(line.split()[2]) for line in Path("/proc/swaps").read_text().splitlines()[1:])
    print(
        f"{WORKERS} workers and connections, {SHARE:.0%} of a processor, {MEMORY} of memory; "
        + ("the machine has swap" if swap else "the machine has no swap, so the kernel kills")
        + f"; {options.rounds} rounds, at most {options.limit:.0f} s each\n"
    )
    print("| seconds, median (range) | at rest | dying |\n|---|---|---|")
    for name in COMMANDS:
        print(f"| {name} | " + " | ".join(cell(taken[name, state]) for state in states) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
