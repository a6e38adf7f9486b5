# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the number of PHP workers does to a host of little memory in the flood of incident D.

Each host is flooded with the number that the error log advises and again with the number that role
capacity has fitted; all in one run, since a machine's speed drifts: quote counts and ratios. JSON
on standard output, a table on standard error.

XML-RPC stays open and nobody is banned: that is what the other roles are for. ``--quick`` floods
one of the hosts for a few seconds: its figures only show that everything works.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playbook import play

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import clients, hosts, worker_flood  # noqa: E402

PLAYBOOK = "tests/integration/capacity_flood/fit.yml"
MEMORY = "700m"
PLUGINS = 24
RAISED = 200
SECONDS, QUICK_SECONDS = 20.0, 6.0
WEBS = {"httpd, mod_php": "httpd-prefork", "nginx, php-fpm": "nginx"}
MIB = 1 << 20


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fit(host: hosts.Host) -> dict[str, Any]:
    """Apply role capacity; what it planned."""
    with tempfile.TemporaryDirectory() as folder:
        save_to = Path(folder) / "said.json"
        play(host, PLAYBOOK, capacity_run="bench", save_to=str(save_to))
        plan: dict[str, Any] = json.loads(save_to.read_text())["plan"]
        return plan


def row(seen: dict[str, Any]) -> dict[str, Any]:
    """The figures of one flood."""
    visitor, flood = seen["visitor"], seen["flood"]
    largest = max(seen["samples"], key=lambda one: (one.count, one.pss))
    return {
        "GETs asked": visitor["sent"],
        "GETs answered 200": visitor["statuses"].get("200", 0),
        "GET p95 ms": visitor["latency_ms"].get("p95"),
        "OOM kills": seen["oom_kills"],
        "database ran through": seen["database"],
        "most workers": largest.count,
        "their PSS MiB": round(largest.pss / MIB),
        "connections dropped": seen["refused_connections"],
        "refused with 502 or 503": sum(flood["statuses"].get(one, 0) for one in ("502", "503")),
        "flood sent": flood["sent"],
        "flood timed out": flood["errors"].get("timeout", 0),
    }


def measure(name: str, web: str, several: clients.Clients, seconds: float) -> dict[str, Any]:
    """Both floods of one kind of host, each of so many seconds."""
    host = hosts.up("bench-capacity", web=web, memory_limit=MEMORY, reset=True)
    worker_flood.prepare(host, PLUGINS)
    worker_flood.raise_workers(host, RAISED)
    say(f"{name}: flood with {RAISED} workers allowed")
    before = row(worker_flood.play(host, several, seconds=seconds))
    # As the operator did: with the power switch.
    host = hosts.reboot(host.name, crash=True)
    worker_flood.warm_up(host)
    plan = fit(host)
    say(f"{name}: flood with what fits")
    after = row(worker_flood.play(host, several, seconds=seconds))
    predicted = plan["predicted"]["bytes"] / MIB
    return {
        "before": before,
        "after": after,
        "predicted PSS MiB": round(predicted),
        "predicted / measured PSS": round(predicted / max(after["their PSS MiB"], 1), 2),
        "arithmetic": plan["arithmetic"],
    }


def table(results: dict[str, Any]) -> str:
    """Both floods of each host side by side."""
    lines = []
    for name, found in results.items():
        lines.append(f"\n{name}, {MEMORY}, {RAISED} workers allowed -> fitted")
        lines += [
            f"  {what:24} {found['before'][what]!s:>8} {found['after'][what]!s:>8}"
            for what in found["before"]
        ]
        for what in ("predicted PSS MiB", "predicted / measured PSS"):
            lines.append(f"  {what:24} {'':>8} {found[what]!s:>8}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one host, a few seconds")
    quick = parser.parse_args().quick
    webs = dict(list(WEBS.items())[:1]) if quick else WEBS
    seconds = QUICK_SECONDS if quick else SECONDS
    several = clients.up("bench-capacity-clients", count=30)
    try:
        results = {name: measure(name, web, several, seconds) for name, web in webs.items()}
    finally:
        hosts.down(["bench-capacity", "bench-capacity-clients"])
    say(table(results))
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
