# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host under a flood that ends when the block does, and commands as an operator enters them."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from testbed import clients, hosts, podman

MOST_AT_ONCE = 100
"""Connections that one flood program has at a time, at most."""


def end_programs(several: clients.Clients) -> None:
    """End what runs in the clients' container: podman exec does not hand a signal on."""
    found = podman.inspect(several.container)
    assert found is not None
    init = found["State"]["Pid"]
    space = Path(f"/proc/{init}/ns/pid").readlink()
    for process in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):
            if (process / "ns" / "pid").readlink() == space and process.name != str(init):
                os.kill(int(process.name), signal.SIGKILL)


@contextmanager
def flooded(
    host: hosts.Host, several: clients.Clients, sources: list[str], connections: int, seconds: float
) -> Iterator[None]:
    """Incident C's requests at full speed over so many connections, at most `seconds` long."""
    programs = [
        clients.start_traffic(
            "c",
            host.address,
            clients=several,
            sources=sources,
            seconds=seconds,
            rate=0,
            concurrency=min(MOST_AT_ONCE, connections - begun),
        )
        for begun in range(0, connections, MOST_AT_ONCE)
    ]
    try:
        yield
    finally:
        end_programs(several)
        for program in programs:
            program.communicate(timeout=60)


@contextmanager
def no_connections(host: hosts.Host) -> Iterator[dict[str, str]]:
    """An environment in which Ansible finds no connection of an earlier run; its own outlive it."""
    with tempfile.TemporaryDirectory(prefix="wpw") as sockets:
        try:
            yield {**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets}
        finally:
            for path in Path(sockets).glob("*"):
                subprocess.run(
                    ["ssh", "-O", "exit", "-o", f"ControlPath={path}", host.address],
                    capture_output=True,
                    check=False,
                )
