# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The container engine, chosen by what the machine can do."""

from __future__ import annotations

import ipaddress
import json
import resource
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.constants import LABEL
from testbed.shell import TestbedError, cache_dir, run

CAP_SYS_RESOURCE = 24
IPv4 = ipaddress.IPv4Address
IPv6 = ipaddress.IPv6Address


def runtime_arguments(cgroup_root: Path = Path("/sys/fs/cgroup")) -> list[str]:
    """crun, podman's first choice, refuses hybrid cgroups and may be missing; runc is neither."""
    unified = (cgroup_root / "cgroup.controllers").exists()
    return [] if unified and shutil.which("crun") else ["--runtime", "runc"]


def limit_arguments(status: Path = Path("/proc/self/status")) -> list[str]:
    """Without CAP_SYS_RESOURCE podman's default limits are out of reach: ask for less than we have.

    podman lowers its own process limit before it starts a container, so the hard limit seen here
    is already too much for nproc.
    """
    for line in status.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff" and int(value, 16) >> CAP_SYS_RESOURCE & 1:
            return []
    arguments = []
    for name, number, usual in (
        ("nofile", resource.RLIMIT_NOFILE, 1048576),
        ("nproc", resource.RLIMIT_NPROC, 10000),
    ):
        hard = resource.getrlimit(number)[1]
        limit = usual if hard == resource.RLIM_INFINITY else min(hard, usual)
        arguments += ["--ulimit", f"{name}={limit}:{limit}"]
    return arguments


def podman(
    *arguments: str, check: bool = True, timeout: float = 600, log: Path | None = None
) -> str:
    """Run podman and return its standard output without the trailing newline."""
    argv = ["podman", *runtime_arguments(), *arguments]
    # conmon leaves a file called oom where podman was started, once a container lacked memory.
    done = run(argv, check=check, timeout=timeout, log=log, cwd=cache_dir())
    return (done.stdout or "").rstrip("\n")


def succeeds(*arguments: str) -> bool:
    return run(["podman", *runtime_arguments(), *arguments], check=False).returncode == 0


def execute(
    container: str, argv: Sequence[str], *, stdin: str | None = None, timeout: float = 600
) -> str:
    """Run a program in a container; TestbedError if it fails."""
    interactive = ["--interactive"] if stdin is not None else []
    command = ["podman", *runtime_arguments(), "exec", *interactive, container, *argv]
    return run(command, stdin=stdin, timeout=timeout).stdout


def inspect(container: str) -> dict[str, Any] | None:
    """What podman knows about a container, or None where there is none of that name."""
    result = run(["podman", *runtime_arguments(), "container", "inspect", container], check=False)
    if result.returncode:
        return None
    found: dict[str, Any] = json.loads(result.stdout)[0]
    return found


def ours() -> list[dict[str, Any]]:
    """Every container that a test bed made, whatever checkout it ran from."""
    listed = podman("ps", "--all", "--quiet", "--filter", f"label={LABEL}")
    # One by one, since another test bed may remove its own between the listing and this.
    found = [inspect(name) for name in listed.split()]
    return [container for container in found if container is not None]


@dataclass(frozen=True)
class Network:
    name: str
    subnet: ipaddress.IPv4Network
    subnet6: ipaddress.IPv6Network | None


def network(name: str, *, create: bool) -> Network | None:
    """The network of that name; with create it is made where missing, dual-stack if possible."""
    found = run(["podman", "network", "inspect", name], check=False)
    if found.returncode:
        if not create:
            return None
        base = ["network", "create", "--label", f"{LABEL}=network"]
        if Path("/proc/net/if_inet6").exists():
            base.append("--ipv6")
        podman(*base, name)
        found = run(["podman", "network", "inspect", name])
    subnets = [
        ipaddress.ip_network(entry["subnet"]) for entry in json.loads(found.stdout)[0]["subnets"]
    ]
    subnet = next((net for net in subnets if isinstance(net, ipaddress.IPv4Network)), None)
    subnet6 = next((net for net in subnets if isinstance(net, ipaddress.IPv6Network)), None)
    if subnet is None or subnet.prefixlen > 24:
        raise TestbedError(
            f"network {name} has no IPv4 subnet of at least 256 addresses; give another --network"
        )
    return Network(name, subnet, subnet6)
