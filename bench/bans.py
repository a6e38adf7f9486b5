# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How soon an attacker is banned, what that spares the host, and what a shared list costs.

One host, attacked before hardening, then refused by its web server, then banned by fail2ban; all
in one run, since a machine's speed drifts: quote the ratios. JSON on standard output, a table on
standard error.

The CPU time is that of the host's own processes. What the kernel spends on a dropped packet is
booked to whoever sent it, as all test hosts share one kernel, and is not in it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flood import cpu_seconds
from playbook import play

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import clients, hosts, podman  # noqa: E402

ATTACKERS = 20
FLOOD_SECONDS = 6.0
SHARED = 100_000
BULK_SECONDS = 20.0
ROUNDS = 3
NETWORK = "198.51.100.0/24"
JAIL = "wpward-xmlrpc"
GOT = {"front page": "/", "static file": "/wp-includes/images/blank.gif"}

# Refused three times, one connection each, then connections without a request until none opens.
UNTIL_BANNED = """
import http.client, json, random, socket, sys, time
address, sources = sys.argv[1], sys.argv[2:]
rows = []
for source in sources:
    time.sleep(random.random())
    statuses = []
    for _ in range(3):
        one = http.client.HTTPConnection(address, 80, timeout=5, source_address=(source, 0))
        one.request("POST", "//xmlrpc.php", "<x/>", {"Host": "blog.example"})
        statuses.append(one.getresponse().status)
        one.close()
    third, seconds = time.monotonic(), None
    while time.monotonic() - third < 15:
        began = time.monotonic()
        try:
            socket.create_connection((address, 80), 1, (source, 0)).close()
        except OSError:
            seconds = began - third
            break
        time.sleep(0.01)
    rows.append({"statuses": statuses, "seconds": seconds})
print(json.dumps(rows))
"""

# As many GETs as eight connections at a time get through.
GETS = """
import socket, sys, threading, time
address, target, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
head = "Host: blog.example\\r\\nConnection: close\\r\\n\\r\\n"
request = f"GET {target} HTTP/1.1\\r\\n{head}".encode()
end = time.monotonic() + seconds
counts = []
def work():
    count = 0
    while time.monotonic() < end:
        with socket.create_connection((address, 80), 10) as one:
            one.sendall(request)
            while one.recv(65536):
                pass
        count += 1
    counts.append(count)
threads = [threading.Thread(target=work) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
print(sum(counts) / seconds)
"""


def run_on(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    return podman.execute(host.container, argv, stdin=stdin)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def harden(host: hosts.Host, *roles: str) -> None:
    say(f"hardening: {', '.join(roles)}")
    # The test bed's addresses are private, as those of a proxy would be.
    play(host, "playbooks/harden.yml", report_save=False, wpward_cdn="none", wpward_roles=roles)


def flood(host: hosts.Host, attackers: clients.Clients, sources: list[str]) -> dict[str, float]:
    """What the host's processes spend on a flood at full speed, and how much of it they answer."""
    before = cpu_seconds(host)
    seen = clients.traffic(
        "c", host.address, clients=attackers, sources=sources,
        seconds=FLOOD_SECONDS, rate=0, concurrency=20,
    )  # fmt: skip
    return {
        "cpu": (cpu_seconds(host) - before) / seen["seconds"],
        "attempts per second": seen["rate"],
        "answered": seen["answered"],
        "answered by XML-RPC": seen["bodies"].get("methodResponse", 0),
    }


def requests_of(host: hosts.Host, sources: list[str]) -> int:
    """Lines of these addresses in all logs of nginx: what it served and what it refused."""
    logs = run_on(host, "sh", "-c", "cat /var/log/nginx/*.log")
    wanted = set(sources)
    return sum(not wanted.isdisjoint(line.split(" ", 2)[:2]) for line in logs.splitlines())


def banned(host: hosts.Host) -> int:
    """How many addresses the jails have in the packet filter."""
    ruleset = json.loads(run_on(host, "nft", "--json", "list", "ruleset"))["nftables"]
    sets = [one["set"] for one in ruleset if one.get("set", {}).get("table") == "f2b-table"]
    return sum(len(one.get("elem", ())) for one in sets)


def addresses(count: int, first: int) -> Iterator[str]:
    for number in range(count):
        yield f"{first + (number >> 16)}.{number >> 8 & 255}.{number & 255}.{number % 251 + 1}"


def kernel_memory(host: hosts.Host) -> int | None:
    """Bytes of kernel memory that are booked to the host; None where that is not accounted."""
    for line in Path(f"/proc/{host.pid}/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        group = path.removesuffix("/init.scope")
        usage = Path(f"/sys/fs/cgroup/memory{group}/memory.kmem.usage_in_bytes")
        if controllers == "memory" and usage.exists():
            return int(usage.read_text())
        stat = Path(f"/sys/fs/cgroup{group}/memory.stat")
        if not controllers and stat.exists():
            words = dict(row.split() for row in stat.read_text().splitlines())
            return int(words["kernel"]) if "kernel" in words else None
    return None


def shared(host: hosts.Host, visitor: clients.Clients) -> dict[str, Any]:
    """A hundred thousand shared bans: to load, to hold, to look up."""
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
    full = "".join(f"{address} {expires} 3\n" for address in addresses(SHARED, 45))

    def load(text: str) -> float:
        run_on(host, "tee", "/etc/wpward/shared-bans.list", stdin=text)
        began = time.monotonic()
        run_on(host, "systemctl", "reload", "wpward-shared-bans")
        return time.monotonic() - began

    def rate(target: str) -> float:
        argv = ["python3", "-c", GETS, host.address, target, "3"]
        return float(podman.execute(visitor.container, argv))

    rates: dict[str, list[float]] = {}
    seconds, memory = [], []
    load("")
    for _ in range(ROUNDS):
        for name, text in (("empty", ""), ("full", full)):
            before = kernel_memory(host)
            took = load(text)
            time.sleep(1)
            after = kernel_memory(host)
            if name == "full":
                seconds.append(took)
                memory += [after - before] if before is not None and after is not None else []
            for what, target in GOT.items():
                rates.setdefault(f"{what} {name}", []).append(rate(target))
    median = {name: statistics.median(values) for name, values in rates.items()}
    load("")
    return {
        "entries": SHARED,
        "load seconds": statistics.median(seconds),
        "kernel MiB": statistics.median(memory) / (1 << 20) if memory else None,
        "GET per second": median,
        "full to empty": {what: median[f"{what} full"] / median[f"{what} empty"] for what in GOT},
    }


def bulk(host: hosts.Host) -> dict[str, float]:
    """fail2ban told to ban many addresses at once: how many it has banned after a while."""
    many = list(addresses(3000, 60))
    before = banned(host)
    began = time.monotonic()
    # The client waits until the last of them is banned.
    argv = ["fail2ban-client", "set", JAIL, "banip", *many]
    run_on(host, "sh", "-c", f'timeout {BULK_SECONDS:g} "$@" >/dev/null || true', "bulk", *argv)
    took = time.monotonic() - began
    done = banned(host) - before
    return {"seconds": took, "banned": done, "seconds per address": took / max(done, 1)}


def main() -> int:
    attackers = clients.up("bench-bans-clients", count=1)
    host = hosts.up("bench-bans", reset=True)
    try:
        result = measure(host, attackers)
    finally:
        hosts.down([host.name, attackers.name])
    print(json.dumps(result, indent=2))
    table(result)
    return 0


def measure(host: hosts.Host, attackers: clients.Clients) -> dict[str, Any]:
    # Addresses of the test bed are private, and those are never on a shared list.
    run_on(host, "ip", "route", "add", NETWORK, "dev", "eth0")
    every = [f"198.51.100.{number}" for number in range(1, ATTACKERS + 13)]
    lines = "".join(f"address replace {address}/32 dev eth0\n" for address in every)
    podman.execute(attackers.container, ["ip", "-batch", "-"], stdin=lines)
    fresh, flooders = every[:ATTACKERS], every[ATTACKERS:]

    floods = {"before hardening": flood(host, attackers, flooders)}
    harden(host, "endpoints")
    floods["refused by the web server"] = flood(host, attackers, flooders)
    harden(host, "endpoints", "bans")

    say(f"{len(fresh)} fresh attackers")
    argv = ["python3", "-c", UNTIL_BANNED, host.address]
    rows = json.loads(podman.execute(attackers.container, [*argv, *fresh]))
    clients.traffic(
        "c", host.address, clients=attackers, sources=flooders, seconds=4, rate=100, concurrency=10
    )
    time.sleep(3)
    reached = requests_of(host, every)
    floods["banned"] = flood(host, attackers, every)
    reached = requests_of(host, every) - reached

    say("fail2ban in bulk")
    peer = bulk(host)
    # Taking the bans back one by one would last as long again.
    run_on(host, "systemctl", "mask", "--runtime", "fail2ban")
    run_on(host, "systemctl", "kill", "--signal=KILL", "fail2ban")
    run_on(host, "nft", "delete", "table", "inet", "f2b-table")
    play(
        host, "tests/integration/shared_bans/role.yml",
        run="bench", shared_bans_enabled=True, shared_bans_own=["198.51.100.200"],
    )  # fmt: skip
    say(f"{SHARED} shared bans")
    list_of_all = shared(host, attackers)
    times = [row["seconds"] for row in rows if row["seconds"] is not None]
    per_address = list_of_all["load seconds"] / SHARED
    return {
        "time to ban": {
            "attackers": len(rows),
            "banned": len(times),
            "refusals": sorted({status for row in rows for status in row["statuses"]}),
            "median seconds": statistics.median(times),
            "longest seconds": max(times),
        },
        "requests that reach the web server after the ban": reached,
        "flood": floods,
        "shared": list_of_all,
        "fail2ban in bulk": peer,
        "fail2ban in bulk to shared, per address": peer["seconds per address"] / per_address,
    }


def table(result: dict[str, Any]) -> None:
    ban, shared_list, peer = result["time to ban"], result["shared"], result["fail2ban in bulk"]
    say(
        f"third refusal to ban: median {ban['median seconds']:.2f} s, longest "
        f"{ban['longest seconds']:.2f} s, {ban['banned']} of {ban['attackers']} attackers"
    )
    say(
        "requests that reach the web server (and so PHP) after the ban: "
        f"{result['requests that reach the web server after the ban']}"
    )
    say(f"{'flood at full speed':28}{'CPU':>8}{'a second':>12}{'answered':>12}{'CPU ratio':>12}")
    first = result["flood"]["before hardening"]["cpu"]
    for name, row in result["flood"].items():
        ratio = f"{first / row['cpu']:.3g}" if row["cpu"] else "-"
        attempts = row["attempts per second"]
        say(f"{name:28}{row['cpu']:8.3f}{attempts:12.0f}{row['answered']:12.0f}{ratio:>12}")
    memory = shared_list["kernel MiB"]
    say(
        f"shared list of {SHARED}: {shared_list['load seconds']:.2f} s to load, "
        f"{'unknown' if memory is None else f'{memory:.1f}'} MiB in the kernel; against an empty "
        + ", ".join(f"{what} {ratio:.2f}" for what, ratio in shared_list["full to empty"].items())
    )
    say(
        f"fail2ban banip: {peer['banned']} addresses in {peer['seconds']:.0f} s, "
        f"{result['fail2ban in bulk to shared, per address']:.0f} times as long per address"
    )


if __name__ == "__main__":
    sys.exit(main())
