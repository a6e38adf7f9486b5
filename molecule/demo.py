# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The show: a real WordPress under a real flood, hardened, proven, put back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from testbed import clients, editor, flood, hosts, podman
from testbed.shell import TestbedError

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "wpward-reports"
HOST = "demo"
ATTACKERS = "demo-attackers"
VISITOR = "demo-visitor"


class DemoFailed(Exception):
    """A step of the show did not do what it should; the message says which."""


def say(text: str) -> None:
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def play(
    host: hosts.Host, attackers: clients.Clients, visitor: clients.Clients, rate: float
) -> dict[str, Any]:
    """Flood //xmlrpc.php for 10 seconds and measure meanwhile what a visitor sees."""
    attack = clients.start_traffic(
        "c", host.address, clients=attackers, seconds=10, rate=rate, concurrency=50
    )
    try:
        seen = clients.traffic("latency", host.address, clients=visitor, seconds=8)
        output, errors = attack.communicate(timeout=120)
    finally:
        attack.kill()
    if attack.returncode:
        raise DemoFailed(f"the flood did not run: {errors.strip()}")
    return {"flood": json.loads(output), "visitor": seen}


def show(label: str, measured: dict[str, Any]) -> None:
    attack, seen = measured["flood"], measured["visitor"]["latency_ms"]
    answers = ", ".join(f"{count} x {status}" for status, count in attack["statuses"].items())
    reached = attack["bodies"].get("methodResponse", 0)
    print(
        f"   {label}: {attack['sent']} attack requests, answered {answers or 'none'}; "
        f"{reached} reached XML-RPC; a visitor's GET / took {seen['p50']:.0f} ms "
        f"(median), {seen['p95']:.0f} ms (95th percentile)",
        flush=True,
    )


def playbook(host: hosts.Host, name: str, **variables: Any) -> None:
    variables["wpward_report_directory"] = str(REPORTS)
    argv = [
        *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", host.inventory),
        *("-e", json.dumps(variables), str(ROOT / "playbooks" / f"{name}.yml")),
    ]
    if subprocess.run(argv, cwd=ROOT, check=False).returncode:
        raise DemoFailed(f"{name}.yml failed; its last message says why")


def publish(host: hosts.Host) -> None:
    title = f"Published at {time.strftime('%H:%M:%S')}"
    number = editor.publish(host.address, title)
    if title not in editor.read(host.address, number):
        raise DemoFailed("the post that the trusted client published is not on the site")
    print(f"   the trusted client published post {number}, “{title}”; visitors can read it")


def main() -> int:
    say("A WordPress server (nginx, php-fpm, MariaDB), ten attackers and one visitor")
    host = hosts.up(HOST, reset=True)
    attackers = clients.up(ATTACKERS, count=10)
    visitor = clients.up(VISITOR, count=1)
    controller = podman.network(clients.DEFAULT_NETWORK, create=False)
    assert controller is not None
    own_address = str(controller.subnet[1])

    say("Before: a quiet moment, then POST //xmlrpc.php at 36 a second")
    quiet = clients.traffic("latency", host.address, clients=visitor, seconds=4)
    print(f"   quiet: GET / takes {quiet['latency_ms']['p50']:.0f} ms (median)")
    before = play(host, attackers, visitor, flood.PATTERNS["c"].rate)
    show("under attack", before)

    say("harden.yml, while the flood goes on; XML-RPC stays open for the trusted client")
    settings = {
        "wpward_policy": {"xmlrpc": "trusted"},
        "wpward_trusted": [own_address],
        # The attackers' addresses are private ones, as those of a proxy would be.
        "wpward_cdn": "none",
    }
    attack = clients.start_traffic("c", host.address, clients=attackers, seconds=60)
    try:
        playbook(host, "harden", **settings)
    finally:
        attack.kill()
        attack.wait()

    say("After: the same flood, then the same at full speed")
    after = play(host, attackers, visitor, flood.PATTERNS["c"].rate)
    show("same flood", after)
    show("full speed", play(host, attackers, visitor, 0))
    if after["flood"]["bodies"].get("methodResponse", 0):
        raise DemoFailed("requests of the flood still reach XML-RPC")

    say("The trusted client still publishes over XML-RPC")
    publish(host)

    say("rollback.yml: everything as it was, and the hole is open again")
    playbook(host, "rollback")
    reopened = clients.traffic("c", host.address, clients=attackers, seconds=3)
    reached = reopened["bodies"].get("methodResponse", 0)
    print(f"   {reached} of {reopened['sent']} requests reach XML-RPC")
    if not reached:
        raise DemoFailed("after the rollback XML-RPC should be open again, as it was found")

    say("harden.yml again, and once more: the last run changes nothing")
    playbook(host, "harden", **settings)
    playbook(host, "harden", **settings)
    pages = sorted(REPORTS.glob("*/report.html"))
    print(f"\nThe report of the run under attack: {pages[-3]}")
    print(f"The host stays up at {host.address} (inventory: {host.inventory}).")
    print("Remove it with: make clean")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DemoFailed, TestbedError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
