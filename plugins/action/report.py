# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write hosts' documents and the run's HTML page, in the controller's own process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.wpward.wordpress.plugins.plugin_utils.fleet_stage import (
    Fleet,
    begun,
    ended,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_directory import save
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_document import (
    host_document,
)


class ActionModule(ActionBase):  # type: ignore[misc]
    """The report, as Ansible looks for it; documented beside the module of the same name."""

    # A report changes no server: check mode leaves one as well.
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write both files; the path of the page is in ``path``."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "stage": {
                    "type": "str",
                    "choices": ["begun", "host", "ended", "unreachable"],
                    "default": "host",
                },
                "hosts": {"type": "list", "elements": "str", "default": []},
                "directory": {"type": "path"},
                "run": {"type": "str", "default": ""},
                "confirm_within": {"type": "int", "default": 300},
                "outcome": {"type": "str", "default": ""},
                "failure": {"type": "str", "default": ""},
                "evidence": {"type": "dict", "default": {}},
                "plan": {"type": "dict", "default": {}},
                "remedies": {"type": "dict", "default": {}},
                "checks": {"type": "dict", "default": {}},
                "seen": {"type": "dict", "default": {}},
                "notes": {"type": "list", "elements": "str", "default": []},
                "capacity_plan": {"type": "dict", "default": {}},
                "database_tables": {"type": "list", "elements": "dict", "default": []},
                "recorder_plan": {"type": "dict", "default": {}},
            }
        )
        host = variables["inventory_hostname"]
        stage = options.pop("stage")
        if stage == "unreachable":
            # Counted as any other host that does not answer, once its report is written.
            result.update(unreachable=True, msg=options["failure"])
            return result
        given = options.pop("directory")
        directory = Path(given) if given else None
        confirm_within = options.pop("confirm_within")
        fleet = Fleet(
            all=options.pop("hosts") or variables.get("ansible_play_hosts_all", [host]),
            running=variables.get("ansible_play_hosts", [host]),
            batch=variables.get("ansible_play_batch", [host]),
            known=variables.get("hostvars", {}),
        )
        if stage == "ended":
            result.update(ended(directory, fleet, options["run"], confirm_within), changed=False)
            return result
        if directory is None:
            raise AnsibleActionFail(f"stage {stage} needs a directory")
        try:
            if stage == "begun":
                page = begun(directory, fleet, options["run"])
            else:
                page = save(
                    directory,
                    host_document(host, **options),
                    fleet=fleet.all,
                    running=fleet.running,
                )
        except OSError as error:
            # Returned, not raised: a role may decide that this is no failure of the host.
            result.update(
                failed=True,
                msg=f"{host}: the report could not be written to {error.filename or directory}: "
                f"{error.strerror or error}. Set wpward_report_directory to a directory that can "
                "be written to.",
            )
            return result
        result.update(changed=False, path=str(page))
        return result
