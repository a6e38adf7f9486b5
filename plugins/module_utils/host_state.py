# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host as it is now: the evidence's ``now``.

Everything comes from /proc and the file systems themselves. No process is started: on a host that
swaps, starting one can take seconds.
"""

from __future__ import annotations

import time
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    connections,
    disks,
    pressure,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.cpu_usage import CpuSample
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import Sample

_SAMPLE_SECONDS = 0.5
WEB_PORTS = (80, 443)


def _share(deadline: float, part: float) -> float:
    """The moment when ``part`` of the time that is left will have gone."""
    now = time.monotonic()
    return now + max(deadline - now, 0) * part


def collect(workers: Sample, ports: Sequence[int], deadline: float) -> dict[str, Any]:
    """Read the state.

    ``workers``: those of the web stack, whose memory is read here. ``ports``: local ports beside
    80 and 443 that the web server listens on. ``deadline``: ``time.monotonic()``; what is not known
    by then is left out, and ``incomplete`` names the parts that it was left out of.
    """
    sample = CpuSample()
    counted, connections_complete = connections.count([*WEB_PORTS, *ports], _share(deadline, 0.5))
    room, disks_complete = disks.room(_share(deadline, 0.3))
    workers_complete = workers.read(_share(deadline, 0.8))
    complete = {
        "connections": connections_complete,
        "disks": disks_complete,
        "workers": workers_complete,
    }
    return {
        "load": pressure.load(),
        "cpus": pressure.processors(),
        "pressure": pressure.stalls(),
        "memory": pressure.memory(),
        "disks": room,
        "workers": workers.rows(),
        "connections": counted,
        "busiest": sample.busiest(_SAMPLE_SECONDS),
        "open_files": pressure.open_files(),
        "incomplete": [part for part, done in complete.items() if not done],
    }
