# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a probe costs a host with 5 GiB of logs: at rest, and with a busy CPU and stuck PHP workers.

The probe runs as it does for an operator, by ansible-playbook over SSH; time, CPU time and peak
memory are those of its module on the host.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from playbook import play

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import hosts, strain  # noqa: E402

GIB = 1 << 30
DAY = 86400
LOG = "/var/log/nginx/blog-access.log"


def probe(host: hosts.Host, python: str) -> dict[str, Any]:
    """The evidence of one run of the playbook."""
    with tempfile.TemporaryDirectory() as folder:
        play(
            host,
            "playbooks/probe.yml",
            wpward_report_directory=folder,
            ansible_python_interpreter=python,
        )
        (document,) = Path(folder).glob("*/*.json")
        evidence: dict[str, Any] = json.loads(document.read_text())["evidence"]
        return evidence


def describe(name: str, evidence: dict[str, Any], cost: dict[str, Any], wall: float) -> str:
    read = sum(log["bytes_read"] for log in evidence["logs"])
    complete = all(part["complete"] for part in evidence["budget"])
    return (
        f"{name:12}{wall:9.1f}{cost['seconds']:9.1f}{cost['cpu_seconds']:9.1f}"
        f"{cost['peak_kib'] / 1024:9.0f}{read / GIB:9.2f}{'yes' if complete else 'no':>9}"
    )


def main() -> int:
    host = hosts.up("bench-probe", reset=True)
    python = strain.install_measuring_python(host)
    now = time.time()
    size = 5 * GIB
    began = time.monotonic()
    older = strain.fill_log(host, f"{LOG}.1", size * 2 // 5, now - DAY, now - DAY * 3 / 5)
    newer = strain.fill_log(host, LOG, size * 3 // 5, now - DAY * 3 / 5, now)
    total = {name: older[name] + newer[name] for name in newer}
    print(
        f"{total['bytes'] / GIB:.2f} GiB, {total['lines']:,} lines of the last 24 hours, "
        f"{total['attacks']:,} for //xmlrpc.php (written in {time.monotonic() - began:.0f} s)"
    )
    print(f"{'':12}{'run s':>9}{'module s':>9}{'CPU s':>9}{'peak MiB':>9}{'GiB read':>9}{'all':>9}")
    for name, strained in (("at rest", False), ("strained", True)):
        with strain.strained(host) if strained else nullcontext():
            before = time.monotonic()
            evidence = probe(host, python)
            wall = time.monotonic() - before
        print(describe(name, evidence, strain.costs(host)[-1], wall))
        slowest = sorted(evidence["budget"], key=lambda part: -part["seconds"])[:3]
        parts = ", ".join(f"{part['part']} {part['seconds']:.1f} s" for part in slowest)
        print(f"{'':12}{parts}")
    hosts.down([host.name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
