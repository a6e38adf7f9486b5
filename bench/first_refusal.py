# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From pressing Enter to the first refused request, on a host that the flood has all of.

nginx with php-fpm, incident C's requests over 50 connections at full speed: all workers busy and
their queue full. A client that is not the flood asks for xmlrpc.php every 20 ms; what counts is
when the first of its requests is refused, by status and body. Each way is taken in turn, several
rounds in one run, and the host is put back between. Controller, host and flood share one machine:
the ratios are what to quote.

By hand means an operator who knows what to write, has it in the clipboard and types no letter: one
file by three executions of ssh. incident.yml is interrupted once the first request is refused, the
other commands run to their end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import clients, hosts, podman  # noqa: E402
from testbed.shell import TestbedError  # noqa: E402
from testbed.waiting import until  # noqa: E402
from under_flood import flooded, no_connections  # noqa: E402

BIN = Path(sys.executable).parent
HOST, CLIENTS = "bench-refusal", "bench-refusal-clients"
CONNECTIONS = 50
BACKLOG = 32
"""Requests that may wait for a PHP worker, fewer than the flood has connections. Debian's php-fpm
lets as many wait as the kernel does, which 50 connections would not fill."""
FLOOD_SECONDS = 120.0
INTERVAL = 0.02
PATIENCE = 90.0
WATCH = Path(__file__).with_name("refusal_watch.py")
BY_HAND = "/etc/nginx/conf.d/deny-xmlrpc.conf"
DENY = """\
map $uri $xmlrpc_realm {
    default off;
    /xmlrpc.php closed;
}
auth_basic $xmlrpc_realm;
auth_basic_user_file /dev/null;
"""
POOL = "/etc/php/*/fpm/pool.d/www.conf"
HAND = "by hand: three executions of ssh"


@dataclass(frozen=True)
class Way:
    """One way to close XML-RPC. interrupted: whether it is stopped at the first refusal."""

    argv: list[str]
    interrupted: bool = False


def ways(host: hosts.Host, folder: Path) -> dict[str, Way]:
    """What the operator enters; first aid of three kinds, and the same by hand."""
    ssh = shlex.join(["ssh", "-F", host.ssh_config, "-o", "BatchMode=yes", f"root@{host.name}"])
    steps = (
        f"printf %s {shlex.quote(DENY)} | {ssh} 'cat > {BY_HAND}'",
        f"{ssh} nginx -t",
        f"{ssh} systemctl reload nginx",
    )
    config, inventory = ["-F", host.ssh_config], ["-i", host.inventory]
    reports = ["-e", f"wpward_report_directory={folder}"]
    wpward = str(BIN / "wpward")
    return {
        HAND: Way(["sh", "-c", " && ".join(steps)]),
        "wpward triage --contain": Way(
            [wpward, "triage", "--contain", *config, "--save", str(folder), f"root@{host.name}"]
        ),
        "wpward contain": Way([wpward, "contain", *inventory]),
        "ansible-playbook incident.yml": Way(
            [
                *(str(BIN / "ansible-playbook"), *inventory, *reports),
                str(ROOT / "playbooks" / "incident.yml"),
            ],
            interrupted=True,
        ),
    }


def inside(host: hosts.Host, script: str) -> str:
    return podman.execute(host.container, ["sh", "-ec", script])


def tree(host: hosts.Host) -> str:
    """What nginx reads and what the site is, as one digest."""
    listed = inside(host, "find /etc/nginx /var/www -type f -exec sha256sum {} + | sort")
    return hashlib.sha256(listed.encode()).hexdigest()


def waiting(host: hosts.Host) -> int:
    """Requests that wait for a PHP worker."""
    return int(inside(host, "ss -xlnH | grep fpm.sock").split()[2])


def prepare(host: hosts.Host) -> None:
    inside(
        host,
        f"sed -i 's/^;*listen.backlog =.*/listen.backlog = {BACKLOG}/' {POOL};"
        f"grep -q '^listen.backlog = {BACKLOG}' {POOL};"
        "systemctl restart 'php*-fpm.service'",
    )


def is_open(host: hosts.Host, several: clients.Clients) -> bool:
    """Whether PHP itself answers a call of XML-RPC; not to be asked under the flood."""
    answered = clients.traffic(
        *("c", host.address), clients=several, count=1, rate=0, concurrency=1, call="demo.sayHello"
    )
    return bool(answered["bodies"].get("methodResponse"))


def rolled_back(host: hosts.Host) -> bool:
    """A module that was left behind may have the lock for some seconds still."""
    try:
        inside(host, "python3 /var/lib/wpward/rollback.py rollback")
    except TestbedError:
        return False
    return True


def put_back(host: hosts.Host, several: clients.Clients, name: str, before: str) -> None:
    """As it was: the same files, and XML-RPC open."""
    if name == HAND:
        inside(host, f"rm {BY_HAND}; nginx -t -q; systemctl reload nginx")
    else:
        until(f"{name} rolled back", lambda: rolled_back(host), 60)
    until(f"XML-RPC open again after {name}", lambda: is_open(host, several), 60)
    if tree(host) != before:
        raise RuntimeError(f"{name}: the host's files are not what they were")


def enter(way: Way, host: hosts.Host, watcher: subprocess.Popen[str]) -> float:
    """Seconds from Enter to the first refusal; the command has ended after it."""
    with no_connections(host) as environment, tempfile.TemporaryFile() as said:
        began = time.monotonic()
        command = subprocess.Popen(
            way.argv,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            seen: dict[str, Any] = json.loads(watcher.communicate(timeout=PATIENCE + 30)[0])
            if way.interrupted:
                command.send_signal(signal.SIGINT)
            command.wait(PATIENCE)
        finally:
            command.kill()
            command.wait()
        if not seen["refused_at"] or not seen["confirmed"]:
            said.seek(0)
            raise RuntimeError(
                f"{shlex.join(way.argv)}: {seen}\n{said.read().decode('utf-8', 'replace')[-4000:]}"
            )
    return float(seen["refused_at"]) - began


def measure(way: Way, host: hosts.Host, several: clients.Clients) -> tuple[float, int]:
    """Seconds to the first refusal, and how many requests waited for PHP when Enter was pressed."""
    *attackers, own = several.addresses
    options = {
        "address": host.address,
        "source": own,
        "host": "blog.example",
        "target": "/xmlrpc.php",
        "interval": INTERVAL,
        "seconds": PATIENCE,
    }
    with flooded(host, several, attackers, CONNECTIONS, FLOOD_SECONDS):
        until("PHP's queue is full", lambda: waiting(host) >= BACKLOG, 30)
        watcher = subprocess.Popen(
            [
                *("podman", *podman.runtime_arguments(), "exec", several.container),
                *("python3", "-c", WATCH.read_text(), json.dumps(options)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert watcher.stdout
        watcher.stdout.readline()
        time.sleep(0.5)
        queue = waiting(host)
        return enter(way, host, watcher), queue


def table(seconds: dict[str, list[float]]) -> str:
    hand = statistics.median(seconds[HAND])
    rows = [
        "| Enter to first refused request | median s | least | most | median to by hand |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {statistics.median(taken):.2f} | {min(taken):.2f} | {max(taken):.2f} "
        f"| {statistics.median(taken) / hand:.2f} |"
        for name, taken in seconds.items()
    ]
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="of each way (default: %(default)s)")
    rounds = parser.parse_args().rounds
    several = clients.up(CLIENTS, count=11)
    host = hosts.up(HOST, reset=True)
    seconds: dict[str, list[float]] = defaultdict(list)
    queues: list[int] = []
    try:
        prepare(host)
        until("XML-RPC open", lambda: is_open(host, several), 60)
        before = tree(host)
        with tempfile.TemporaryDirectory() as folder:
            for number in range(rounds):
                for name, way in ways(host, Path(folder)).items():
                    taken, queue = measure(way, host, several)
                    seconds[name].append(taken)
                    queues.append(queue)
                    print(f"round {number + 1}: {name} {taken:.2f} s", file=sys.stderr, flush=True)
                    put_back(host, several, name, before)
    finally:
        hosts.down([HOST, CLIENTS])
    print(
        f"{os.cpu_count()} processors for controller, host and flood; {rounds} rounds; "
        f"{min(queues)} to {max(queues)} requests waited for PHP, of {BACKLOG} that may\n"
    )
    print(table(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
