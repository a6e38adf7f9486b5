# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that may use only so much memory, and what the kernel counts there.

The limit is that of the container's cgroup, as a small virtual machine's memory: all of the host's
processes and its page cache are in it. /proc/meminfo keeps showing the machine's memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed import podman
from testbed.shell import TestbedError

# With less a host does not boot in time: MariaDB alone has 85 MiB.
LEAST = 256 << 20
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_FILES = """
cd /sys/fs/cgroup
if [ -e memory/memory.limit_in_bytes ]; then
    cd memory
    echo limit "$(cat memory.limit_in_bytes)"
    echo used "$(cat memory.usage_in_bytes)"
    echo max "$(cat memory.failcnt)"
    cat memory.oom_control
else
    echo limit "$(cat memory.max)"
    echo used "$(cat memory.current)"
    cat memory.events
fi
"""


@dataclass(frozen=True)
class Counters:
    """What the kernel says of a host's memory.

    limit (None: without) and used are bytes, the latter with page cache. at_limit is how often
    memory had to be taken from somebody because of the limit, oom_kills how many processes were
    killed since the host was started.
    """

    limit: int | None
    used: int
    at_limit: int
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


def parse(text: str) -> Counters:
    """Counters from what the files of a memory cgroup of either version hold."""
    values = dict(line.split(" ", 1) for line in text.splitlines())
    limit = values["limit"]
    # Version 1 has no word for "none": it says the largest multiple of a page.
    unlimited = limit == "max" or int(limit) >= 1 << 62
    return Counters(
        limit=None if unlimited else int(limit),
        used=int(values["used"]),
        at_limit=int(values["max"]),
        oom_kills=int(values["oom_kill"]),
    )


def counters(container: str) -> Counters:
    return parse(podman.execute(container, ["sh", "-c", _FILES]))
