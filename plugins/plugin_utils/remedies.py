# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which roles the findings call for, with what, why, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import OPEN
from ansible_collections.wpward.wordpress.plugins.module_utils.serving import cannot_be_closed
from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import Finding, mapping
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_catalogue import BY_ID
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_kind import (
    BANS,
    CAPACITY,
    DATABASE,
    ENDPOINTS,
    GUARD,
    RECORDER,
    ROLES,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import NAMES

_ABOUT_NAMES = ("user_names_told", "user_names_open", "login_attack")


def remedies(findings: Sequence[Finding], case: Case) -> list[dict[str, Any]]:
    """The remedies in order of application. One that cannot be had here by a role says where to
    read how to do it by hand."""
    planned = []
    for role in ROLES:
        calling = [one for one in findings if _calls(one, role, case.policy)]
        if not calling:
            continue
        automated = _possible(role, case)
        planned.append(
            {
                "role": role,
                "automated": automated,
                "parameters": _parameters(role, case),
                "reason": _reason(calling, automated),
                "findings": list(dict.fromkeys(one.id for one in calling)),
            }
        )
    return planned


def _possible(role: str, case: Case) -> bool:
    """Whether the host has what the role works on, as far as the evidence tells."""
    if role == CAPACITY:
        services = mapping(case.evidence.get("capacity")).get("services") or ()
        return any(service.get("manageable") for service in services)
    if role == DATABASE:
        return bool(mapping(case.evidence.get("database")).get("reachable"))
    if role == RECORDER:
        return bool(mapping(case.evidence.get("recorder")))
    # The others rest on the refusals of the web server, so they need one that can refuse.
    return _can_refuse(case)


def _can_refuse(case: Case) -> bool:
    """Whether every web server that serves a site here is one that role endpoints configures."""
    there = case.evidence.get("nginx") or case.evidence.get("httpd")
    return bool(there) and not cannot_be_closed(case.evidence)


def _calls(finding: Finding, role: str, policy: Mapping[str, str]) -> bool:
    if not finding.calls or role not in BY_ID[finding.id].remedies:
        return False
    if role not in (ENDPOINTS, GUARD):
        return True
    # What the operator keeps open on purpose stays open.
    about = NAMES if finding.id in _ABOUT_NAMES else ("xmlrpc",)
    return any(policy[endpoint] != OPEN for endpoint in about)


def _parameters(role: str, case: Case) -> dict[str, Any]:
    """What the role has to be told about this host; the others find out from the evidence."""
    if role not in (ENDPOINTS, GUARD, BANS):
        return {}
    return {f"{role}_policy": dict(case.policy), f"{role}_trusted": list(case.known.trusted)}


def _reason(calling: Sequence[Finding], automated: bool) -> str:
    titles: dict[str, list[str]] = {}
    for one in calling:
        titles.setdefault(one.title, []).append(one.site or "the host")
    reason = "; ".join(
        f"{title} ({', '.join(dict.fromkeys(sites))})" for title, sites in titles.items()
    )
    if automated:
        return f"{reason}."
    anchors = ", ".join(f"docs/findings.md#{one}" for one in dict.fromkeys(f.id for f in calling))
    return f"{reason}. By hand: {anchors}."
