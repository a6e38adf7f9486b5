# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say which bytes of the virtual hosts' files have to change."""

from __future__ import annotations

DOCUMENTATION = r"""
name: vhost_edits
version_added: 0.1.0
author: The wpward maintainers
short_description: Say which bytes of the virtual hosts' files have to change
description:
  - Every nginx server block that serves WordPress shall begin with one C(include); no other server
    block shall have it. Returns what is to be done for that, in the form that
    M(wpward.wordpress.transaction) takes; files in which all is well do not appear.
positional: _input, path
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  path:
    description: Absolute path of the file to include.
    type: path
    required: true
  wanted:
    description: Whether WordPress's server blocks shall include it; if not, no server block shall.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Show which files would be edited
  ansible.builtin.debug:
    msg: "{{ probe_evidence | wpward.wordpress.vhost_edits('/etc/nginx/wpward/server.conf') }}"
"""

RETURN = r"""
_value:
  description: Files with their edits, for O(wpward.wordpress.transaction#module:files).
  type: list
  elements: dict
"""

from typing import Any


def vhost_edits(evidence: dict[str, Any], path: str, wanted: bool = True) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    files: dict[str, dict[str, Any]] = {}
    for vhost in evidence["vhosts"]:
        if vhost["server"] != "nginx":
            continue
        edits = _edits(vhost, path, wanted and bool(vhost["sites"]))
        if edits:
            entry = {"path": vhost["file"], "sha256": vhost["sha256"], "edits": []}
            files.setdefault(vhost["file"], entry)["edits"].extend(edits)
    return list(files.values())


def _edits(vhost: dict[str, Any], path: str, wanted: bool) -> list[dict[str, Any]]:
    there = vhost["wpward_include"]
    place = vhost["insert_offset"]
    # Behind somebody's rewrite the include would see the rewritten path.
    if there and wanted and there["path"] == path and there["offset"] == place:
        return []
    edits: dict[int, dict[str, Any]] = {}
    if there:
        edits[there["offset"]] = {"offset": there["offset"], "remove": there["length"]}
    if wanted:
        # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
        from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
            server_include,
        )

        text = server_include(vhost["indent"], path, vhost["insert_comment"])
        edits.setdefault(place, {"offset": place})["insert"] = text
    return [edits[offset] for offset in sorted(edits)]


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"vhost_edits": vhost_edits}
