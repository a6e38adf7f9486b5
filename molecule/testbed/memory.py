# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that may use only so much memory, and what the kernel counts there.

The limit is that of the container's cgroup, as a small virtual machine's memory: all of the host's
processes and its page cache are in it. /proc/meminfo keeps showing the machine's memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from testbed.shell import TestbedError

# With less a host does not boot in time: MariaDB alone has 85 MiB.
LEAST = 256 << 20
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Counters:
    """What the kernel says of a host's memory.

    limit (None: without) and used are bytes, the latter with page cache; oom_kills is the number of
    processes that were killed for want of memory since the host was started.
    """

    limit: int | None
    used: int
    oom_kills: int


def limit_arguments(memory: str | None) -> list[str]:
    """podman's arguments for a host of that much memory ("700m"), without any swap.

    Raises TestbedError where it is no size or too small for a host.
    """
    if not memory:
        return []
    found = re.fullmatch(r"([1-9][0-9]*)([kmg])", memory)
    if not found:
        raise TestbedError(f"memory {memory!r} is no size: write it like 700m or 2g")
    if int(found[1]) * _UNITS[found[2]] < LEAST:
        raise TestbedError(f"memory {memory} is too little for a host: give at least 256m")
    return ["--memory", memory, "--memory-swap", memory]


def read(root: Path) -> Counters:
    """Counters of the memory cgroup, of either version, that is mounted below root."""
    if (root / "memory" / "memory.limit_in_bytes").exists():
        folder, names = root / "memory", ("memory.usage_in_bytes", "memory.oom_control")
        # It has no word for "none": it says the largest multiple of a page.
        limit = int((folder / "memory.limit_in_bytes").read_text())
        unlimited = limit >= 1 << 62
    else:
        folder, names = root, ("memory.current", "memory.events")
        text = (folder / "memory.max").read_text().strip()
        unlimited = text == "max"
        limit = 0 if unlimited else int(text)
    used, events = ((folder / name).read_text() for name in names)
    counts = dict(line.split() for line in events.splitlines())
    return Counters(None if unlimited else limit, int(used), int(counts["oom_kill"]))


def counters(pid: int) -> Counters:
    """Counters of a host by the number of its init.

    They are read from outside: a host without memory may be unable to start a program.
    """
    return read(Path(f"/proc/{pid}/root/sys/fs/cgroup"))
