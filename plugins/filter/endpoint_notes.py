# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what an operator should know about a host before its endpoints are closed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: endpoint_notes
version_added: 0.1.0
author: The wpward maintainers
short_description: Say what an operator should know before a host's endpoints are closed
description:
  - One sentence for each thing on the host that does not fit the policy or already does part of it.
positional: _input, checked
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  checked:
    description: What P(wpward.wordpress.policy#filter) returns.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the notes
  ansible.builtin.debug:
    msg: "{{ probe_evidence | wpward.wordpress.endpoint_notes({} | wpward.wordpress.policy) }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import (
    CLOSED,
    OPEN,
    TRUSTED,
)

_RULES = {
    CLOSED: "it stays, and the endpoint is closed with or without it.",
    TRUSTED: "it stays, and may refuse trusted clients too: remove it if they need XML-RPC.",
    OPEN: "it stays, although the policy for xmlrpc is open: remove it if XML-RPC is needed.",
}


def endpoint_notes(evidence: dict[str, Any], checked: dict[str, Any]) -> list[str]:
    """See DOCUMENTATION."""
    wanted = checked["policy"]["xmlrpc"]
    # One snippet can be part of several server blocks.
    rules = {
        (rule["file"], rule["line"]): rule["text"]
        for vhost in evidence["vhosts"]
        if vhost["sites"]
        for rule in vhost["xmlrpc_rules"]
    }
    notes = [
        f"{file}:{line} already has a rule for XML-RPC (`{text}`); {_RULES[wanted]}"
        for (file, line), text in rules.items()
    ]
    if wanted != OPEN:
        but = "" if wanted == CLOSED else " unless their servers are among the trusted clients"
        notes += [
            f"{site['id']} has plugins that use XML-RPC ({', '.join(site['xmlrpc_plugins'])}); "
            f"they stop working{but}."
            for site in evidence["sites"]
            if site["xmlrpc_plugins"]
        ]
    return notes + _judged_twice(evidence, checked["policy"])


def _judged_twice(evidence: dict[str, Any], policy: dict[str, str]) -> list[str]:
    """httpd lets nginx's requests through only where none of its virtual hosts has others."""
    rows = [row for row in evidence["vhosts"] if row["server"] == "httpd" and row["sites"]]
    fronted = [f"{row['file']}:{row['line']}" for row in rows if row.get("fronted")]
    if not fronted or len(fronted) == len(rows) or TRUSTED not in policy.values():
        return []
    return [
        f"nginx stands in front of {', '.join(fronted)}, but not in front of all of httpd, so "
        "httpd judges what nginx passes on too: it must know the real client (mod_remoteip), or it "
        "refuses trusted clients there."
    ]


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"endpoint_notes": endpoint_notes}
