# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Count the modules that ran on each host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: executions
type: aggregate
short_description: Count the modules that ran on each host
version_added: 0.1.0
author: The wpward maintainers
description:
  - Every module that is started on a server costs it 0.2 to 0.35 CPU seconds before its own code
    runs (measured with ansible-core 2.19 and Python 3.11), which is what hurts a server that is
    under attack. This callback prints how many were started on each host in a playbook run.
  - Tasks that run on the controller only (C(set_fact), C(assert), includes, and whatever is
    delegated) are not counted. An action plugin that starts several modules for one task is
    counted once.
options:
  save_to:
    description: File on the controller that receives the counts as JSON, host by host.
    type: path
    env:
      - name: WPWARD_EXECUTIONS_SAVE_TO
    ini:
      - section: callback_executions
        key: save_to
requirements:
  - Enable it with C(callbacks_enabled = wpward.wordpress.executions).
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

_CONTROLLER_ONLY = frozenset(
    {
        "add_host",
        "assert",
        "debug",
        "fail",
        "group_by",
        "import_role",
        "import_tasks",
        "include_role",
        "include_tasks",
        "include_vars",
        "meta",
        "pause",
        "report",
        "set_fact",
        "set_stats",
        "validate_argument_spec",
    }
)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Aggregate callback: one line per host at the end of the run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "wpward.wordpress.executions"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._count(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._count(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for host in sorted(self._counts):
            self._display.display(f"{host}: {self._counts[host]} modules started on the host")
        save_to = self.get_option("save_to")
        if save_to:
            Path(save_to).write_text(json.dumps(self._counts, sort_keys=True) + "\n")

    def _count(self, result: Any) -> None:
        task, outcome = result._task, result._result
        if task.action.rpartition(".")[2] in _CONTROLLER_ONLY or task.delegate_to:
            return
        items = outcome.get("results") if task.loop else None
        started = [outcome] if items is None else items
        self._counts[result._host.get_name()] += sum(
            1 for item in started if not item.get("skipped")
        )
