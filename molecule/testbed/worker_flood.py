# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Incident D: more PHP workers than memory, and a flood that puts all of them to work.

Everything is watched from outside, since a host that has run out of memory cannot start a program.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import clients, hosts, memory, podman

PLUGIN = "/var/www/blog/wp-content/mu-plugins/holds-memory.php"
# The names of the processes, as the kernel has them, begin so.
PROGRAMS = {"httpd-prefork": "apache2", "nginx": "php-fpm"}
_RAISE = {
    "httpd-prefork": """
cat > /etc/apache2/conf-available/operator.conf <<END
ServerLimit {count}
MaxRequestWorkers {count}
END
a2enconf --quiet operator
systemctl restart apache2
""",
    "nginx": """
for pool in /etc/php/*/fpm/pool.d/www.conf; do
    sed -i 's/^pm.max_children = .*/pm.max_children = {count}/' "$pool"
done
systemctl restart 'php*-fpm.service'
""",
}
_INTERVAL = 0.5


@dataclass(frozen=True)
class Workers:
    """The PHP workers of a host at one moment: how many, and their proportional sizes in bytes."""

    count: int
    pss: int


def install_plugins(host: hosts.Host, mebibytes: int) -> None:
    """Have the site hold so much memory in every request, as one with many plugins does."""
    blocks = mebibytes * 256
    code = (
        "<?php\n"
        "add_action('init', function () {\n"
        f"    foreach (range(1, {blocks}) as $block) {{\n"
        "        $GLOBALS['held_memory'][] = str_repeat('x', 4072) . $block;\n"
        "    }\n"
        "});\n"
    )
    script = f"mkdir -p {Path(PLUGIN).parent} && cat > {PLUGIN}"
    podman.execute(host.container, ["sh", "-c", script], stdin=code)


def raise_workers(host: hosts.Host, count: int) -> None:
    """What the error log advises: allow more workers."""
    podman.execute(host.container, ["sh", "-s"], stdin=_RAISE[host.web].format(count=count))


def _processes(host: hosts.Host) -> Iterator[Path]:
    """/proc of this machine, of the host's processes only."""
    space = Path(f"/proc/{host.pid}/ns/pid").readlink()
    for process in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):
            if (process / "ns" / "pid").readlink() == space:
                yield process


def workers(host: hosts.Host) -> Workers:
    """The PHP workers that are there now; those that end meanwhile are left out."""
    sizes = []
    for process in _processes(host):
        with suppress(OSError):
            named = (process / "comm").read_text().startswith(PROGRAMS[host.web])
            # The master, root's own, runs no PHP.
            if named and process.stat().st_uid != 0:
                lines = (process / "smaps_rollup").read_text().splitlines()
                sizes += [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return Workers(len(sizes), sum(sizes) << 10)


def runs(host: hosts.Host, program: str) -> str:
    """When the host's program of that name was started (clock ticks); empty where none runs."""
    for process in _processes(host):
        with suppress(OSError):
            if (process / "comm").read_text().strip() == program:
                return (process / "stat").read_text().rsplit(")", 1)[1].split()[19]
    return ""


def refused_connections(host: hosts.Host) -> int:
    """How many connections the host's kernel has dropped because a listen queue was full."""
    lines = Path(f"/proc/{host.pid}/net/netstat").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("TcpExt:"))
    return int(dict(zip(names, values, strict=True))["ListenOverflows"])


def play(
    host: hosts.Host, several: clients.Clients, *, seconds: float, connections: int
) -> dict[str, Any]:
    """The flood of incident D with a visitor beside it, and what it did to the host.

    The attackers have all of the clients' addresses but the last, which is the visitor's. Returns
    flood and visitor (results of flood.py), samples (each of the workers at one moment), oom_kills,
    refused_connections and database (whether it ran through).
    """
    *attackers, visitor = several.addresses
    killed, refused = memory.counters(host.pid).oom_kills, refused_connections(host)
    database = runs(host, "mariadbd")
    samples: list[Workers] = []
    with (
        clients.start_traffic(
            "d", host.address, clients=several, sources=attackers,
            seconds=seconds, rate=0, concurrency=connections,
        ) as flood,
        clients.start_traffic(
            "latency", host.address, clients=several, sources=[visitor],
            seconds=seconds, interval=0.5,
        ) as visits,
    ):  # fmt: skip
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(_INTERVAL)
            samples.append(workers(host))
        results = [json.loads(one.communicate(timeout=120)[0]) for one in (flood, visits)]
    return {
        "flood": results[0],
        "visitor": results[1],
        "samples": samples,
        "oom_kills": memory.counters(host.pid).oom_kills - killed,
        "refused_connections": refused_connections(host) - refused,
        "database": bool(database) and runs(host, "mariadbd") == database,
    }
