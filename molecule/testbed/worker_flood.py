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
DATABASE = "/etc/mysql/mariadb.conf.d/zz-small.cnf"
_SMALL_DATABASE = """
[mariadbd]
innodb_buffer_pool_size = 64M
key_buffer_size = 8M
aria_pagecache_buffer_size = 8M
"""
# The names of the processes, as the kernel has them, begin so.
PROGRAMS = {"httpd-prefork": "apache2", "nginx": "php-fpm"}
_RAISE = {
    "httpd-prefork": """
cat > /etc/apache2/conf-available/operator.conf <<END
ServerLimit {count}
MaxRequestWorkers {count}
END
a2enconf --quiet operator
# The unit's own stop waits for requests under way, up to 90 s.
apachectl -k stop
systemctl restart apache2
""",
    "nginx": """
# With Debian's spare servers php-fpm starts one worker a second.
sed -i -e 's/^pm.max_children = .*/pm.max_children = {count}/' \\
    -e 's/^pm.start_servers = .*/pm.start_servers = 10/' \\
    -e 's/^pm.min_spare_servers = .*/pm.min_spare_servers = 10/' \\
    -e 's/^pm.max_spare_servers = .*/pm.max_spare_servers = 40/' /etc/php/*/fpm/pool.d/www.conf
systemctl restart 'php*-fpm.service'
""",
}
_INTERVAL = 0.5
RATE = 30.0
"""Requests per second. Each takes a second or more, so that thirty workers and more are at it."""


@dataclass(frozen=True)
class Workers:
    """The PHP workers of a host at one moment: how many, and their proportional sizes in bytes."""

    count: int
    pss: int


def prepare(host: hosts.Host, mebibytes: int) -> None:
    """Make the site one of many plugins on a small host.

    Each request holds so much memory, a failed login waits a second for somebody else's server, and
    the database has small buffers.
    """
    code = (
        "<?php\n"
        "add_action('init', function () {\n"
        f"    foreach (range(1, {mebibytes * 256}) as $block) {{\n"
        "        $GLOBALS['held_memory'][] = str_repeat('x', 4000) . $block;\n"
        "    }\n"
        "});\n"
        "add_action('wp_login_failed', function () {\n"
        "    sleep(1);\n"
        "});\n"
    )
    for path, text in ((PLUGIN, code), (DATABASE, _SMALL_DATABASE)):
        script = f"mkdir -p {Path(path).parent} && cat > {path}"
        podman.execute(host.container, ["sh", "-c", script], stdin=text)
    podman.execute(host.container, ["systemctl", "restart", "mariadb"])


def raise_workers(host: hosts.Host, count: int) -> None:
    """What the error log advises: allow more workers."""
    podman.execute(host.container, ["sh", "-s"], stdin=_RAISE[host.web].format(count=count))


def warm_up(host: hosts.Host) -> None:
    """Requests enough that the workers have grown: PHP gives back half of its memory after a
    worker's first request, and less after each further one."""
    clients.traffic("c", host.address, target="/", seconds=20, count=100, rate=0, concurrency=8)


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
    host: hosts.Host, several: clients.Clients, *, seconds: float, rate: float = RATE
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
            seconds=seconds, rate=rate, concurrency=100,
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
