# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WordPress hosts: made, waited for, reused, reset, removed."""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import shutil
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed import images, memory, podman, virtual_hosts
from testbed.constants import (
    CONTAINER_PREFIX,
    DEFAULT_NETWORK,
    LABEL,
    PLAIN_USER,
    ROOT_USER,
    SUDO_USER,
)  # fmt: skip
from testbed.shell import TestbedError, cache_dir, locked, run, say
from testbed.waiting import until

HOST_NUMBERS = range(10, 100)
BOOT_SECONDS = 90


@dataclass(frozen=True)
class Host:
    """A running test host. Addresses are text; `pid` is its init, seen from the controller."""

    name: str
    container: str
    image: str
    suite: str
    web: str
    vhosts: list[str]
    address: str
    address6: str | None
    pid: int
    inventory: str
    ssh_config: str
    private_key: str

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def container_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise TestbedError(
            f"{name!r} is no host name: use up to 40 of a-z, 0-9 and -, not starting with -"
        )
    return CONTAINER_PREFIX + name


def free_number(numbers: range, taken: Iterable[int], count: int = 1, after: int = 0) -> int:
    """The first of `count` consecutive numbers that nobody has, searched from `after` on, round.

    Raises TestbedError if there are none.
    """
    free = set(numbers) - set(taken)
    starts = sorted(free, key=lambda number: (number <= after, number))
    for start in starts:
        if all(start + step in free for step in range(count)):
            return start
    raise TestbedError(
        f"no {count} free address(es) left in the test network; `testbed down --all` frees them"
    )


def next_number(numbers: range, taken: Iterable[int], count: int = 1) -> int:
    """free_number() after the one given out last.

    SSH connections that Ansible keeps open for a minute must not meet another host at the address
    of one that is gone.
    """
    memory = cache_dir() / f"last-number-{numbers.start}"
    last = int(memory.read_text()) if memory.exists() else 0
    number = free_number(numbers, taken, count, after=last)
    memory.write_text(str(number + count - 1))
    return number


def numbers_in_use(containers: Iterable[dict[str, Any]], network: str) -> set[int]:
    """Last octets that containers on that network hold, by their labels."""
    used: set[int] = set()
    for container in containers:
        labels = container["Config"]["Labels"]
        if labels.get(f"{LABEL}.network") == network:
            first = int(labels[f"{LABEL}.number"])
            used.update(range(first, first + int(labels.get(f"{LABEL}.count", "1"))))
    return used


def addresses(network: podman.Network, number: int) -> tuple[str, str | None]:
    address6 = network.subnet6[number] if network.subnet6 else None
    return str(network.subnet[number]), str(address6) if address6 else None


def address_arguments(network: podman.Network, number: int) -> list[str]:
    address, address6 = addresses(network, number)
    # A hardware address that goes with the number: with podman's random ones a restarted host is
    # out of reach for up to 45 s, until its neighbours give up the old one.
    hardware = f"02:77:70:00:00:{number:02x}"
    arguments = ["--network", network.name, "--ip", address, "--mac-address", hardware]
    return arguments + (["--ip6", address6] if address6 else [])


def private_key() -> Path:
    """The key that opens every test host, made once per cache."""
    key = cache_dir() / "id_ed25519"
    with locked("key"):
        if not key.exists():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", str(key)]
            run(argv)
    return key


def _create(
    name: str, image: str, labels: dict[str, str], network: podman.Network, limits: list[str]
) -> None:
    container = container_name(name)
    with locked("addresses"):
        number = next_number(HOST_NUMBERS, numbers_in_use(podman.ours(), network.name))
        labels = {
            **labels,
            LABEL: "host",
            f"{LABEL}.network": network.name,
            f"{LABEL}.number": str(number),
        }
        podman.podman(
            "create", "--name", container, "--hostname", name,
            *address_arguments(network, number),
            "--add-host", "blog.example:127.0.0.1",
            "--systemd=always", *podman.limit_arguments(), *limits,
            # What root has on a real server: for firewalls, immutable files, strace and priorities.
            "--cap-add", "NET_ADMIN,SYS_PTRACE,LINUX_IMMUTABLE,SYS_NICE",
            *(f"--label={key}={value}" for key, value in labels.items()),
            image,
        )  # fmt: skip


def _authorize(container: str, key: Path) -> None:
    script = """
    set -eu
    umask 077
    key=$(cat)
    for user in "$@"; do
        home=$(getent passwd "$user" | cut -d: -f6)
        mkdir -p "$home/.ssh"
        keys="$home/.ssh/authorized_keys"
        grep -sqxF "$key" "$keys" || echo "$key" >> "$keys"
        chown -R "$user:$user" "$home/.ssh"
    done
    """
    podman.execute(
        container,
        ["sh", "-c", script, "authorize", ROOT_USER, SUDO_USER, PLAIN_USER],
        stdin=key.with_suffix(".pub").read_text(),
    )


def _wait_booted(container: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    state = "not started"
    while time.monotonic() < deadline:
        argv = ["exec", container, "systemctl", "is-system-running"]
        state = podman.podman(*argv, check=False) or state
        if state == "running":
            return
        if state == "degraded":
            failed = podman.execute(container, ["systemctl", "--failed", "--no-legend", "--plain"])
            raise TestbedError(f"{container} booted with failed units:\n{failed.rstrip()}")
        time.sleep(0.2)
    raise TestbedError(f"{container} did not boot within {BOOT_SECONDS} s (systemd says: {state})")


def answers_ssh(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=3) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def answers_wordpress(address: str) -> bool:
    connection = http.client.HTTPConnection(address, 80, timeout=10)
    try:
        connection.request("GET", "/wp-json/", headers={"Host": "blog.example"})
        response = connection.getresponse()
        return response.status == 200 and b'"namespaces"' in response.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_answering(name: str, address: str) -> None:
    until(f"sshd on {name} ({address}) answers", lambda: answers_ssh(address), BOOT_SECONDS)
    until(f"WordPress on {name} answers", lambda: answers_wordpress(address), BOOT_SECONDS)


def inventory(name: str, address: str, folder: Path, private_key: Path) -> str:
    """An Ansible inventory of one host, in group `wordpress`, reached by real SSH."""
    options = {
        "UserKnownHostsFile": folder / "known_hosts",
        "ServerAliveInterval": 5,
        # Half of a new connection's time goes into the default post-quantum key exchange.
        "KexAlgorithms": "curve25519-sha256",
    }
    variables = {
        "ansible_host": address,
        "ansible_user": ROOT_USER,
        "ansible_ssh_private_key_file": str(private_key),
        "ansible_ssh_common_args": " ".join(f"-o {key}={value}" for key, value in options.items()),
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    # A JSON string is a YAML string, so this needs no YAML library on a bare machine.
    lines = [f"      {variable}: {json.dumps(value)}" for variable, value in variables.items()]
    return "\n".join(["---", "wordpress:", "  hosts:", f"    {json.dumps(name)}:", *lines, ""])


def _describe(name: str) -> Host:
    container = container_name(name)
    found = podman.inspect(container)
    if found is None or not found["State"]["Running"]:
        raise TestbedError(f"host {name} is not up; `testbed up {name}` starts it")
    labels = found["Config"]["Labels"]
    if labels.get(LABEL) != "host":
        raise TestbedError(
            f"container {container} is not a host of the test bed; take another name"
        )
    net = found["NetworkSettings"]["Networks"][labels[f"{LABEL}.network"]]
    folder = cache_dir() / "hosts" / name
    return Host(
        name=name,
        container=container,
        image=labels[f"{LABEL}.image"],
        suite=labels[f"{LABEL}.suite"],
        web=labels[f"{LABEL}.web"],
        vhosts=virtual_hosts.parse(labels[f"{LABEL}.vhosts"]),
        address=net["IPAddress"],
        address6=net["GlobalIPv6Address"] or None,
        pid=found["State"]["Pid"],
        inventory=str(folder / "inventory.yml"),
        ssh_config=str(folder / "ssh_config"),
        private_key=str(private_key()),
    )


def _write_access_files(host: Host) -> None:
    """What SSH and Ansible need to reach the host; written anew for every container."""
    folder = Path(host.inventory).parent
    folder.mkdir(parents=True, exist_ok=True)
    host_key = podman.execute(host.container, ["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
    (folder / "known_hosts").write_text(f"{host.address} {host_key}")
    key = Path(host.private_key)
    (folder / "inventory.yml").write_text(inventory(host.name, host.address, folder, key))
    (folder / "ssh_config").write_text(
        f"Host {host.name} {host.address}\n"
        f"  HostName {host.address}\n"
        f"  User {ROOT_USER}\n"
        f"  IdentityFile {key}\n"
        f"  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder / 'known_hosts'}\n"
        f"  KexAlgorithms curve25519-sha256\n"
    )


def _reusable(found: dict[str, Any], labels: dict[str, str], network: str) -> bool:
    have = found["Config"]["Labels"]
    wanted = {**labels, LABEL: "host", f"{LABEL}.network": network}
    # A host that an older test bed made has no label of a newer option, which then is not used.
    return all(have.get(key, "") == value for key, value in wanted.items())


def up(
    name: str,
    *,
    suite: str = "bookworm",
    web: str = "nginx",
    vhosts: Sequence[str] = (),
    network: str = DEFAULT_NETWORK,
    memory_limit: str | None = None,
    reset: bool = False,
) -> Host:
    """A healthy host of that name: the one that runs if it is what is asked for, else a new one.

    vhosts are names of constants.VHOSTS and MORE_VHOSTS, memory_limit is a size like 700m. With
    reset the host is made anew from its image in any case. Raises TestbedError where it cannot be
    had.
    """
    container = container_name(name)
    image = images.web_image(suite, web)
    virtual_hosts.check(web, vhosts)
    limits = memory.limit_arguments(memory_limit)
    labels = {
        f"{LABEL}.image": image,
        f"{LABEL}.suite": suite,
        f"{LABEL}.web": web,
        f"{LABEL}.vhosts": ",".join(vhosts),
        f"{LABEL}.more": virtual_hosts.fingerprint(vhosts),
        f"{LABEL}.memory": memory_limit or "",
    }
    with locked("network"):
        net = podman.network(network, create=True)
    assert net is not None
    with locked(f"host-{name}"):
        found = podman.inspect(container)
        if found and LABEL not in found["Config"]["Labels"]:
            raise TestbedError(
                f"container {container} exists and is not the test bed's; take another name"
            )
        if found and not reset and _reusable(found, labels, network):
            if found["State"]["Running"]:
                host = _describe(name)
                if answers_ssh(host.address) and answers_wordpress(host.address):
                    # It may have been made from another cache, with another key.
                    _authorize(container, private_key())
                    _write_access_files(host)
                    return host
                say(f"{name} runs but does not answer: making it anew")
            else:
                say(f"{name} was stopped: making it anew")
        if found:
            podman.podman("rm", "--force", "--time", "0", container)
        started = time.monotonic()
        _create(name, image, labels, net, limits)
        podman.podman("start", container)
        _wait_booted(container)
        _authorize(container, private_key())
        virtual_hosts.enable(container, web, vhosts)
        host = _describe(name)
        _write_access_files(host)
        _wait_answering(name, host.address)
        say(f"{name} is up at {host.address} after {time.monotonic() - started:.1f} s")
        return host


def reboot(name: str, *, crash: bool = False) -> Host:
    """Restart the host and wait until it answers again: orderly, or as after a power cut."""
    host = _describe(name)
    with locked(f"host-{name}"):
        if crash:
            podman.podman("kill", host.container)
            podman.podman("wait", host.container)
        else:
            podman.podman("stop", "--time", "60", host.container)
        podman.podman("start", host.container)
        _wait_booted(host.container)
        _wait_answering(name, host.address)
    return _describe(name)


def down(names: Sequence[str]) -> list[str]:
    """Remove the hosts and clients of these names; returns those that were there."""
    removed = []
    for name in names:
        container = container_name(name)
        with locked(f"host-{name}"):
            found = podman.inspect(container)
            if found and LABEL in found["Config"]["Labels"]:
                podman.podman("rm", "--force", "--time", "0", container)
                removed.append(name)
            shutil.rmtree(cache_dir() / "hosts" / name, ignore_errors=True)
    return removed


def down_all() -> list[str]:
    """Remove every host, client and network that a test bed made on this machine."""
    names = [found["Name"].removeprefix(CONTAINER_PREFIX) for found in podman.ours()]
    removed = down(names)
    for net in podman.podman(
        "network", "ls", "--quiet", "--filter", f"label={LABEL}=network"
    ).split():
        podman.podman("network", "rm", net)
    return removed


def status() -> list[dict[str, Any]]:
    """Hosts and clients of the test bed on this machine, as plain data."""
    rows = []
    for found in podman.ours():
        labels = found["Config"]["Labels"]
        net = found["NetworkSettings"]["Networks"].get(labels[f"{LABEL}.network"], {})
        rows.append(
            {
                "name": found["Name"].removeprefix(CONTAINER_PREFIX),
                "kind": labels[LABEL],
                "state": found["State"]["Status"],
                "address": net.get("IPAddress") or None,
                "image": labels[f"{LABEL}.image"],
                "vhosts": virtual_hosts.parse(labels.get(f"{LABEL}.vhosts", "")),
            }
        )
    return rows


def named(name: str) -> Host:
    """The running host of that name; TestbedError where there is none."""
    return _describe(name)


def in_network(address: str, network: podman.Network) -> bool:
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return network.subnet6 is not None and parsed in network.subnet6
    return parsed in network.subnet
