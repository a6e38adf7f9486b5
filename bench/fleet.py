# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fleet costs: probe.yml and harden.yml on 1, 10 and 50 hosts, beside published roles.

The names of the inventory stand for a few real hosts, in turn. Each name has an SSH connection of
its own, so it costs the controller what a host of its own would. But all hosts share the machine
with the controller: wall time is bounded by its processors, and would be shorter where hosts
compute for themselves. That is why the CPU seconds of the hosts stand beside those of the
controller.

- `first`: a run that changes everything, on fresh hosts, once on each real one. It downloads and
  installs fail2ban.
- `again`: the run that changes nothing, on all names. Names of one real host cannot be hardened at
  the same time: harden.yml bans an address to prove that bans work and lifts the ban again, and two
  names would refute each other. So both sides work in batches (`serial`) of as many names as there
  are real hosts, each batch with each real host once. More forks than that would change nothing.

The peer is described in fleet_peer.py. It has real hosts of its own, in the same run, and its turn
right after wpward's. A Markdown table goes to standard output, progress to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fleet_peer
from fleet_run import Run, measure
from flood import cpu_seconds

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import hosts, podman  # noqa: E402

ROUNDS_OF_ONE = 3
REAL = 5
# A host of a real fleet has one connection of Ansible's; here it has one for each of its names.
SSHD = "MaxStartups 300\nLogLevel VERBOSE\n"
SESSION = "Starting session: "
OURS, PEER = "wpward", fleet_peer.NAME


@dataclass(frozen=True)
class Figures:
    """One run on so many names; times and counts are per name, memory is of the whole run."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    modules: float
    sessions: float
    host_cpu_seconds: float


@dataclass(frozen=True)
class Row:
    who: str
    what: str
    names: int
    forks: int
    figures: Figures


def grid(names: Sequence[int], forks: Sequence[int]) -> list[tuple[int, int]]:
    """Pairs of names and forks worth a run: more forks than names do what as many forks do."""
    pairs = []
    for count in sorted(names):
        for fork in sorted(forks):
            pairs.append((count, fork))
            if fork >= count:
                break
    return pairs


def middle(figures: Sequence[Figures]) -> Figures:
    """The median of each figure by itself."""
    return Figures(
        **{
            field: statistics.median(getattr(one, field) for one in figures)
            for field in Figures.__dataclass_fields__
        }
    )


class Fleet:
    """Names that stand for real hosts, and playbook runs on them."""

    def __init__(self, real: Sequence[hosts.Host], folder: Path) -> None:
        self.real = real
        self._folder = folder
        for host in real:
            script = "cat > /etc/ssh/sshd_config.d/00-bench.conf; systemctl reload ssh"
            podman.execute(host.container, ["sh", "-c", script], stdin=SSHD)

    def play(
        self, program: Path, playbook: Path, environment: dict[str, str], names: int, forks: int,
        changes: bool, **variables: Any,
    ) -> Figures:  # fmt: skip
        """One run; a RuntimeError with the end of what it said unless every name succeeded, and
        changed something or nothing as expected."""
        counts = self._folder / "executions.json"
        counts.unlink(missing_ok=True)
        sessions, host_cpu = self._sessions(), self._host_cpu()
        argv = [
            *(str(program), "-i", str(self._inventory(names)), "--forks", str(forks)),
            *("-e", json.dumps(variables), str(playbook)),
        ]
        own = {
            "ANSIBLE_CALLBACKS_ENABLED": "wpward.wordpress.executions",
            "ANSIBLE_DEPRECATION_WARNINGS": "false",
            "ANSIBLE_NOCOLOR": "1",
            "WPWARD_EXECUTIONS_SAVE_TO": str(counts),
        }
        run = measure(argv, {**os.environ, **own, **environment}, ROOT, self._folder / "log")
        expect(run, names, changes)
        modules = json.loads(counts.read_text())
        return Figures(
            seconds=run.seconds / names,
            cpu_seconds=run.cpu_seconds / names,
            peak_bytes=run.peak_bytes,
            modules=sum(modules.values()) / names,
            sessions=(self._sessions() - sessions) / names,
            host_cpu_seconds=(self._host_cpu() - host_cpu) / names,
        )

    def _inventory(self, names: int) -> Path:
        """An inventory of so many names, each with a connection of its own."""
        entries = {}
        for number in range(names):
            host = self.real[number % len(self.real)]
            entries[f"web{number:02}"] = {
                "ansible_host": host.address,
                "ansible_user": "root",
                "ansible_ssh_common_args": f"-F {host.ssh_config}",
                "ansible_control_path": f"{self._folder}/ssh-{number}",
                "ansible_python_interpreter": "/usr/bin/python3",
            }
        path = self._folder / "inventory" / "hosts.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"all": {"hosts": entries}}))
        return path

    def _sessions(self) -> int:
        """Commands and file transfers that sshd has started so far, on all real hosts."""
        count = ["sh", "-c", f"journalctl -t sshd -o cat --no-pager | grep -c '^{SESSION}' || true"]
        return sum(int(podman.execute(host.container, count)) for host in self.real)

    def _host_cpu(self) -> float:
        used: float = sum(cpu_seconds(host) for host in self.real)
        return used


def expect(run: Run, names: int, changes: bool) -> None:
    """A RuntimeError unless the recap has so many names, none failed, all changed or none."""
    pattern = r"^\S+ +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 "
    changed = [int(number) for number in re.findall(pattern, run.output, re.MULTILINE)]
    if run.code or len(changed) != names or any((number > 0) != changes for number in changed):
        raise RuntimeError(f"not the run that was to be measured:\n{run.output[-6000:]}")


class Bench:
    """Both sides' hosts, and the rows measured so far."""

    def __init__(self, folder: Path, real: int, peer: bool) -> None:
        self.rows: list[Row] = []
        self.left_out: list[str] = []
        self._folder = folder
        self._reports = folder / "reports"
        self._own_program = Path(sys.executable).parent / "ansible-playbook"
        self.names = [
            f"bench-fleet-{side}{number}" for side in "ab"[: 1 + peer] for number in range(real)
        ]
        self._fleets = {}
        for who, side in ((OURS, "a"), (PEER, "b"))[: 1 + peer]:
            up = [hosts.up(f"bench-fleet-{side}{number}", reset=True) for number in range(real)]
            (folder / side).mkdir()
            self._fleets[who] = Fleet(up, folder / side)

    def run(self, who: str, what: str, names: int, forks: int, rounds: int = 1) -> None:
        say(f"{who}: {what}, {names} names, {forks} forks")
        fleet = self._fleets[who]
        variables: dict[str, Any]
        seen = []
        for _ in range(rounds):
            if who == PEER:
                program, playbook = fleet_peer.prepare(), fleet_peer.write_playbook(self._folder)
                environment, variables = fleet_peer.environment(), {"batch": len(fleet.real)}
            else:
                name = "probe.yml" if what == "probe" else "harden.yml"
                program, playbook = self._own_program, ROOT / "playbooks" / name
                environment = {}
                variables = {
                    "wpward_report_directory": str(self._reports),
                    # The test bed's addresses are private, as those of a proxy would be.
                    "wpward_cdn": "none",
                    "wpward_serial": [len(fleet.real)],
                }
            began = time.monotonic()
            changes = what == "first"
            seen.append(
                fleet.play(program, playbook, environment, names, forks, changes, **variables)
            )
            say(f"  {time.monotonic() - began:.0f} s")
        self.rows.append(Row(who, what, names, forks, middle(seen)))

    def seconds(self, who: str, what: str, names: int) -> float:
        """What a run will take by the one before it."""
        alike = [row for row in self.rows if (row.who, row.what) == (who, what)]
        return alike[-1].figures.seconds * names if alike else 0

    def refused(self) -> None:
        """A RuntimeError unless each side's hosts refuse XML-RPC and still serve the site."""
        for who, fleet in self._fleets.items():
            for host in fleet.real:
                if not hosts.answers_wordpress(host.address):
                    raise RuntimeError(f"{who}: {host.name} does not serve its site any more")
                ask = (
                    "curl -s -o /dev/null -w '%{http_code}' -d x -H 'Host: blog.example' "
                    f"http://{host.address}/xmlrpc.php; "
                    "systemctl is-active fail2ban"
                )
                answer = podman.execute(host.container, ["sh", "-c", ask])
                if not answer.startswith("403") or "inactive" in answer:
                    raise RuntimeError(f"{who}: {host.name} is not hardened: {answer}")


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| run | names | forks | s | s per name | controller CPU s per name | "
        "controller peak MiB | modules per name | SSH sessions per name | host CPU s per name |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        one = row.figures
        lines.append(
            f"| {row.who} {row.what} | {row.names} | {row.forks} | {one.seconds * row.names:.0f} | "
            f"{one.seconds:.1f} | {one.cpu_seconds:.1f} | {one.peak_bytes / (1 << 20):.0f} | "
            f"{one.modules:.0f} | {one.sessions:.0f} | {one.host_cpu_seconds:.1f} |"
        )
    return "\n".join(lines)


def ratios(rows: Sequence[Row]) -> str:
    """The peer's figures by wpward's, of the runs that both have."""
    ours = {(row.what, row.names, row.forks): row.figures for row in rows if row.who == OURS}
    lines = [
        f"| {PEER} to {OURS} | names | forks | s | controller CPU s | modules | SSH sessions | "
        "host CPU s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        own = ours.get((row.what, row.names, row.forks))
        if row.who == PEER and own:
            fields = ("seconds", "cpu_seconds", "modules", "sessions", "host_cpu_seconds")
            cells = [f"{getattr(row.figures, field) / getattr(own, field):.2f}" for field in fields]
            lines.append(f"| {row.what} | {row.names} | {row.forks} | {' | '.join(cells)} |")
    return "\n".join(lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def numbers(text: str) -> list[int]:
    found = [int(word) for word in text.split(",")]
    if not found or min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of positive numbers")
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--hosts", type=numbers, default=[1, 10, 50], help="names, as 1,10,50")
    parser.add_argument("--forks", type=numbers, default=[5, 25, 50], help="as 5,25,50")
    parser.add_argument("--minutes", type=float, default=15, help="leave out what takes longer")
    parser.add_argument("--quick", action="store_true", help="one real host a side, one round")
    parser.add_argument("--no-peer", action="store_true", help="wpward only")
    return parser.parse_args()


def plan(
    names: Sequence[int], forks: Sequence[int], real: int, peer: bool
) -> list[tuple[str, str, int, int]]:
    """Runs as (who, what, names, forks), in an order that can end early."""
    sides = (OURS, PEER) if peer else (OURS,)
    probes = [(OURS, "probe", *pair) for pair in grid(names, forks)]
    return probes + [(who, "again", count, real) for count in sorted(names) for who in sides]


def main() -> int:
    wanted = arguments()
    peer = not wanted.no_peer
    if peer:
        fleet_peer.prepare()
    deadline = time.monotonic() + wanted.minutes * 60
    # A path of a control socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        real = 1 if wanted.quick else REAL
        bench = Bench(Path(folder), real, peer)
        try:
            for who in (OURS, PEER)[: 1 + peer]:
                bench.run(who, "first", real, real)
            bench.refused()
            for who, what, names, forks in plan(wanted.hosts, wanted.forks, real, peer):
                if time.monotonic() + bench.seconds(who, what, names) > deadline:
                    bench.left_out.append(f"{who} {what}, {names} names, {forks} forks")
                    continue
                rounds = ROUNDS_OF_ONE if names == 1 and not wanted.quick else 1
                bench.run(who, what, names, forks, rounds)
            bench.refused()
        finally:
            hosts.down(bench.names)
    print(
        f"ansible-core {fleet_peer.core_version()}; {os.cpu_count()} processors for the controller "
        f"and {real * (1 + peer)} real hosts; "
        f"memory is the sum of proportional set sizes; medians of {ROUNDS_OF_ONE} where there is "
        "one name, single runs otherwise.\n"
    )
    print(table(bench.rows))
    if peer:
        print(f"\n{ratios(bench.rows)}")
    for text in bench.left_out:
        print(f"\nLeft out, as it would not have ended within {wanted.minutes:g} minutes: {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
