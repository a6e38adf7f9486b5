# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a flood of //xmlrpc.php costs: unprotected, behind the usual snippet, behind wpward.

Three equal hosts, loaded one after the other in turn, in one run; the figures are medians over the
rounds, and the ratios are what to quote, since a machine's speed drifts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import clients, hosts, podman  # noqa: E402

ROUNDS = 3
FLOOD_SECONDS = 8.0
VHOST = "/etc/nginx/sites-available/blog"
SNIPPET = r"s#^server {#server {\n    location = /xmlrpc.php { deny all; }#"


def cpu_seconds(host: hosts.Host) -> float:
    """CPU seconds that all processes of the host have used so far, by its control group."""
    for line in Path(f"/proc/{host.pid}/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        # systemd moves its init into a child group; the container's own stands above it.
        group = path.removesuffix("/init.scope")
        if "cpuacct" in controllers.split(","):
            usage = Path("/sys/fs/cgroup/cpuacct" + group) / "cpuacct.usage"
            return int(usage.read_text()) / 1e9
        if number == "0" and not Path("/sys/fs/cgroup/cpuacct").exists():
            stat = (Path("/sys/fs/cgroup" + group) / "cpu.stat").read_text()
            return int(stat.split("usage_usec ", 1)[1].split()[0]) / 1e6
    raise RuntimeError(
        f"no CPU accounting for {host.name}: its control group has no cpu controller"
    )


def harden(host: hosts.Host) -> None:
    subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", host.inventory),
            *("-e", json.dumps({"report_save": False, "wpward_roles": ["endpoints", "guard"]})),
            str(ROOT / "playbooks" / "harden.yml"),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def measure(
    host: hosts.Host, attackers: clients.Clients, visitor: clients.Clients
) -> dict[str, float]:
    before = cpu_seconds(host)
    attack = clients.start_traffic(
        "c", host.address, clients=attackers, seconds=FLOOD_SECONDS, rate=0, concurrency=50
    )
    seen = clients.traffic("latency", host.address, clients=visitor, seconds=FLOOD_SECONDS - 2)
    output, errors = attack.communicate(timeout=300)
    if attack.returncode:
        raise RuntimeError(errors.strip())
    flooded = json.loads(output)
    answered = max(flooded["answered"], 1)
    return {
        "answered per second": flooded["answered_rate"],
        "of them by XML-RPC": flooded["bodies"].get("methodResponse", 0) / answered,
        "host CPU ms per request": (cpu_seconds(host) - before) * 1000 / answered,
        "visitor's GET / p50 ms": seen["latency_ms"]["p50"],
        "visitor's GET / p95 ms": seen["latency_ms"]["p95"],
    }


def main() -> int:
    attackers = clients.up("bench-attackers", count=10)
    visitor = clients.up("bench-visitor", count=1)
    variants = {
        name: hosts.up(f"bench-{name}", reset=True) for name in ("open", "snippet", "wpward")
    }
    podman.execute(variants["snippet"].container, ["sed", "-i", SNIPPET, VHOST])
    podman.execute(variants["snippet"].container, ["nginx", "-t", "-q"])
    podman.execute(variants["snippet"].container, ["systemctl", "reload", "nginx"])
    harden(variants["wpward"])
    quiet = clients.traffic("latency", variants["open"].address, clients=visitor, seconds=6)

    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(ROUNDS):
        for name, host in variants.items():
            for figure, value in measure(host, attackers, visitor).items():
                figures[figure][name].append(value)

    print(f"quiet host: visitor's GET / p50 {quiet['latency_ms']['p50']:.0f} ms")
    print(f"full-speed flood of POST //xmlrpc.php, 50 connections, median of {ROUNDS} rounds")
    print(f"{'':28}{'open':>10}{'snippet':>10}{'wpward':>10}{'open/wpward':>13}")
    for figure, by_variant in figures.items():
        median = {name: statistics.median(values) for name, values in by_variant.items()}
        ratio = f"{median['open'] / median['wpward']:.3g}" if median["wpward"] else "-"
        cells = "".join(f"{median[name]:10.3g}" for name in variants)
        print(f"{figure:28}{cells}{ratio:>13}")
    hosts.down(["bench-attackers", "bench-visitor", *(f"bench-{name}" for name in variants)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
