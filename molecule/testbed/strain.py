# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host on its knees: huge logs, a busy CPU, stuck PHP workers; and what a module costs on it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbed import clients, hosts, podman

FILL = Path(__file__).resolve().parent / "big_log.py"
STUCK_PAGE = "/stuck.php"
MEASURING_PYTHON = "/usr/local/bin/measuring-python"
_COSTS = "/root/costs.jsonl"
_LONGEST = 900
_BUSY = "busy-cpu.service"
_MEASURE = f"""#!/usr/bin/python3
import json, resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.call(["/usr/bin/python3", *sys.argv[1:]])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open("{_COSTS}", "a") as file:
    json.dump({{"seconds": time.monotonic() - began, "peak_kib": used.ru_maxrss,
               "cpu_seconds": used.ru_utime + used.ru_stime}}, file)
    file.write("\\n")
sys.exit(code)
"""


def fill_log(
    host: hosts.Host, path: str, size: int, begin: float, end: float, share: float = 0.2
) -> dict[str, int]:
    """Fill a log on the host with about `size` bytes between two times (seconds since the epoch).

    share: of attack lines. Returns its bytes, lines and attacks.
    """
    options = {"path": path, "size": size, "begin": int(begin), "end": int(end), "share": share}
    output = podman.execute(
        host.container, ["python3", "-", json.dumps(options)], stdin=FILL.read_text()
    )
    found: dict[str, int] = json.loads(output)
    return found


def install_measuring_python(host: hosts.Host) -> str:
    """Path of an interpreter for Ansible that books what every module costs."""
    script = f"cat > {MEASURING_PYTHON}; chmod 755 {MEASURING_PYTHON}; : > {_COSTS}"
    podman.execute(host.container, ["sh", "-c", script], stdin=_MEASURE)
    return MEASURING_PYTHON


def costs(host: hosts.Host) -> list[dict[str, Any]]:
    """What each module cost since the installation, in order: seconds, cpu_seconds, peak_kib.

    peak_kib is that of its largest process.
    """
    text = podman.execute(host.container, ["cat", _COSTS])
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def strained(host: hosts.Host, workers: int = 5) -> Iterator[None]:
    """One CPU busy and `workers` PHP workers stuck, for the length of the block."""
    page = f"echo '<?php sleep({_LONGEST});' > /var/www/blog{STUCK_PAGE}"
    podman.execute(host.container, ["sh", "-c", page])
    podman.execute(
        host.container,
        [
            *("systemd-run", "--quiet", "--collect", f"--unit={_BUSY}"),
            f"--property=RuntimeMaxSec={_LONGEST}",
            *("python3", "-c", "while True: pass"),
        ],
    )
    # The workers stay stuck when the clients have given up.
    with clients.start_traffic(
        "c", host.address, target=STUCK_PAGE, count=workers, rate=0, concurrency=workers
    ) as stuck:
        try:
            time.sleep(1)
            yield
        finally:
            stuck.terminate()
            podman.execute(host.container, ["systemctl", "stop", _BUSY])
            podman.execute(host.container, ["systemctl", "restart", "php*-fpm.service"])
