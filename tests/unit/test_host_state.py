# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of this very host, as one document."""

from __future__ import annotations

import json
import time

from ansible_collections.wpward.wordpress.plugins.module_utils import host_state
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import running
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import Sample


def test_the_document_is_complete_and_plain() -> None:
    began = time.monotonic()
    state = host_state.collect(Sample(running()), [8443], began + 10)
    assert time.monotonic() - began < 5
    assert json.loads(json.dumps(state)) == state
    assert set(state) == {
        "load",
        "cpus",
        "pressure",
        "memory",
        "disks",
        "workers",
        "connections",
        "busiest",
        "open_files",
        "incomplete",
    }
    assert state["incomplete"] == []
    assert state["cpus"] >= 1
    assert len(state["busiest"]) <= 5


def test_without_time_it_says_what_is_missing() -> None:
    state = host_state.collect(Sample(running()), [], time.monotonic() - 1)
    assert "connections" in state["incomplete"]
    assert state["memory"]["total"] > 0
