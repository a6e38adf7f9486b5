# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients with many addresses of their own, and the traffic that they send."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed import hosts, images, podman
from testbed.constants import DEFAULT_NETWORK, LABEL
from testbed.shell import TestbedError, locked, run

CLIENT_NUMBERS = range(100, 250)
CLIENT_SUITE = "bookworm"
PROGRAM = Path(__file__).resolve().parent / "flood.py"


@dataclass(frozen=True)
class Clients:
    """One container that owns several client addresses; `addresses6` is empty without IPv6."""

    name: str
    container: str
    network: str
    addresses: list[str]
    addresses6: list[str]

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def named(name: str) -> Clients:
    """The running clients of that name; TestbedError where there are none."""
    container = hosts.container_name(name)
    found = podman.inspect(container)
    labels = found["Config"]["Labels"] if found else {}
    if not found or labels.get(LABEL) != "clients" or not found["State"]["Running"]:
        raise TestbedError(f"there are no clients {name}; `testbed clients {name}` makes them")
    network = podman.network(labels[f"{LABEL}.network"], create=False)
    assert network is not None
    first, count = int(labels[f"{LABEL}.number"]), int(labels[f"{LABEL}.count"])
    pairs = [hosts.addresses(network, number) for number in range(first, first + count)]
    return Clients(
        name=name,
        container=container,
        network=network.name,
        addresses=[address for address, _ in pairs],
        addresses6=[address6 for _, address6 in pairs if address6],
    )


def up(name: str, *, count: int = 10, network: str = DEFAULT_NETWORK) -> Clients:
    """Clients with `count` addresses each of IPv4 and IPv6; reused where they are there already."""
    if not 1 <= count <= len(CLIENT_NUMBERS):
        raise TestbedError(f"{count} addresses: give 1 to {len(CLIENT_NUMBERS)}")
    container = hosts.container_name(name)
    image = images.base_image(CLIENT_SUITE)
    with locked("network"):
        net = podman.network(network, create=True)
    assert net is not None
    wanted = {
        LABEL: "clients",
        f"{LABEL}.image": image,
        f"{LABEL}.network": network,
        f"{LABEL}.count": str(count),
    }
    with locked(f"host-{name}"):
        found = podman.inspect(container)
        if found:
            labels = found["Config"]["Labels"]
            if LABEL not in labels:
                raise TestbedError(
                    f"container {container} exists and is not the test bed's; take another name"
                )
            same = all(labels.get(key) == value for key, value in wanted.items())
            if same and found["State"]["Running"]:
                return named(name)
            podman.podman("rm", "--force", "--time", "0", container)
        first = create(container, name, net, count, wanted, image)
        podman.podman("start", container)
        add_addresses(container, net, range(first + 1, first + count))
    return named(name)


def create(
    container: str,
    name: str,
    network: podman.Network,
    count: int,
    labels: dict[str, str],
    image: str,
) -> int:
    """Make a container that may have `count` addresses; returns the number of the first."""
    with locked("addresses"):
        used = hosts.numbers_in_use(podman.ours(), network.name)
        first = hosts.next_number(CLIENT_NUMBERS, used, count)
        podman.podman(
            "create", "--name", container, "--hostname", name,
            *hosts.address_arguments(network, first), *podman.limit_arguments(),
            "--cap-add", "NET_ADMIN",
            *(f"--label={key}={value}" for key, value in labels.items()),
            f"--label={LABEL}.number={first}",
            image, "sleep", "infinity",
        )  # fmt: skip
    return first


def add_addresses(container: str, network: podman.Network, numbers: range) -> None:
    lines = []
    for number in numbers:
        address, address6 = hosts.addresses(network, number)
        lines.append(f"address add {address}/{network.subnet.prefixlen} dev eth0")
        if address6 and network.subnet6:
            lines.append(f"address add {address6}/{network.subnet6.prefixlen} dev eth0 nodad")
    podman.execute(container, ["ip", "-batch", "-"], stdin="\n".join(lines) + "\n")


def traffic_command(
    pattern: str,
    address: str,
    *,
    clients: Clients | None = None,
    sources: Sequence[str] | None = None,
    network: str = DEFAULT_NETWORK,
    port: int = 80,
    host: str = "blog.example",
    target: str | None = None,
    seconds: float = 10,
    count: int | None = None,
    rate: float | None = None,
    concurrency: int = 50,
    call: str = "wp.getUsersBlogs",
    headers: Sequence[str] = (),
    interval: float = 0.2,
) -> list[str]:
    """The program that plays a pattern of flood.py, or "latency", and prints its JSON.

    It runs in the clients' container from all of their addresses of the destination's kind, or
    without clients on the controller. It ends by itself after `seconds`; start it with
    subprocess.Popen to do something else meanwhile.
    """
    net = podman.network(network, create=False)
    subnets = [str(subnet) for subnet in (net.subnet, net.subnet6) if subnet] if net else []
    if sources is None:
        six = ipaddress.ip_address(address).version == 6
        sources = (clients.addresses6 if six else clients.addresses) if clients else []
    options = {
        "pattern": pattern, "address": address, "networks": subnets, "sources": list(sources),
        "port": port, "host": host, "target": target, "seconds": seconds,
        "count": 200_000 if count is None else count, "rate": rate, "concurrency": concurrency,
        "call": call, "headers": list(headers), "interval": interval,
    }  # fmt: skip
    program = ["-c", PROGRAM.read_text(), json.dumps(options)]
    if clients is None:
        return [sys.executable, *program]
    return ["podman", *podman.runtime_arguments(), "exec", clients.container, "python3", *program]


def traffic(pattern: str, address: str, **options: Any) -> dict[str, Any]:
    """Run traffic_command() to its end and return what it printed."""
    argv = traffic_command(pattern, address, **options)
    done = run(argv, timeout=900, check=False)
    if done.returncode:
        # Not the command itself: it holds a whole program.
        raise TestbedError(done.stderr.strip().removeprefix("flood: ") or f"{pattern} failed")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def start_traffic(pattern: str, address: str, **options: Any) -> subprocess.Popen[str]:
    """Start traffic_command() and return at once; its standard output is the JSON result."""
    argv = traffic_command(pattern, address, **options)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
