# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have the host write its evidence into one file, fetch it as a stream, and remove it there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_place import NAME
from ansible_collections.wpward.wordpress.plugins.plugin_utils.preserved_evidence import (
    Damaged,
    keep,
)

_NAMED = 3


def _notes(manifest: dict[str, Any]) -> list[str]:
    left_out = manifest["left_out"]
    if not left_out:
        return []
    named = ", ".join(f"{one['source']} ({one['reason']})" for one in left_out[:_NAMED])
    more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    return [f"Not preserved: {named}{more}; manifest.json names everything."]


class ActionModule(ActionBase):  # type: ignore[misc]
    """Preserves the evidence, as Ansible looks for it; documented beside the module of that
    name."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what the module's documentation says. Fails, instead of calling the host
        unreachable, where the connection ends: whether evidence matters that much is the role's
        decision."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        host = variables["inventory_hostname"]
        try:
            result.update(self._preserve(host, variables))
        except Damaged as error:
            msg = f"{host}: the evidence did not arrive whole, {error}; run it again."
            result.update(failed=True, msg=msg)
        except OSError as error:
            msg = (
                f"{host}: the evidence could not be kept at {error.filename}: {error.strerror}. "
                "Set wpward_report_directory to a directory that can be written to."
            )
            result.update(failed=True, msg=msg)
        except AnsibleError as error:
            msg = f"{host}: the evidence could not be fetched: {error}"
            result.update(failed=True, msg=msg)
        return result

    def _preserve(self, host: str, variables: dict[str, Any]) -> dict[str, Any]:
        arguments = dict(self._task.args)
        directory = Path(str(arguments.get("directory") or ""))
        if self._task.check_mode:
            return self._execute(arguments, variables)
        place = self._make_tmp_path()
        try:
            remote = self._connection._shell.join_path(place, NAME)
            answer = self._execute({**arguments, "archive": remote}, variables)
            if answer.get("failed"):
                return answer
            manifest = answer.pop("manifest")
            kept = keep(
                directory,
                host,
                manifest,
                lambda local: self._connection.fetch_file(remote, local),
            )
        finally:
            self._tidy(place)
        return {
            **answer,
            "path": str(kept),
            "bytes": manifest["archive"]["bytes"],
            "sha256": manifest["archive"]["sha256"],
            "members": len(manifest["members"]),
            "left_out": manifest["left_out"],
            "notes": answer["notes"] + _notes(manifest),
        }

    def _execute(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="wpward.wordpress.preserve",
            module_args=arguments,
            task_vars=variables,
        )
        return answer

    def _tidy(self, place: str) -> None:
        """Remove the archive from the host even where temporary files are kept."""
        try:
            self._remove_tmp_path(place, force=True)
        except AnsibleConnectionFailure:
            # The host removes it by itself after a while.
            return
