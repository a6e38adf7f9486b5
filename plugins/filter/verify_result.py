# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put together what the vantages saw."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verify_result
version_added: 0.1.0
author: The wpward maintainers
short_description: Put together what the vantages saw
description:
  - Adds up what M(wpward.wordpress.http_checks) returned at each vantage, and looks for gaps that
    no single check can see. A site of which nothing was answered, or a restricted endpoint for
    which no vantage was a stranger, is not proven.
  - An address that one vantage cannot reach is a note where another vantage reached it, unless the
    first one reached it before the change. So is one of an httpd behind an nginx of the same host,
    which a firewall may rightly hide.
positional: _input, evidence
options:
  _input:
    description: What the module returned, by the vantage's name.
    type: dict
    required: true
  evidence:
    description: The evidence that the checks were made from.
    type: dict
    required: true
  before:
    description:
      - What the module returned before the change, by the vantage's name.
    type: dict
    default: {}
  first_aid:
    description:
      - What the evidence says of first aid, where it is in force. What it refuses is refused, but
        not for good, so that nothing is proven before the host is hardened.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Sum up
  ansible.builtin.set_fact:
    verify_result: >-
      {{ {'controller': seen_from_controller, 'host': seen_on_host}
      | wpward.wordpress.verify_result(probe_evidence) }}
"""

RETURN = r"""
_value:
  description:
    - C(proven) (bool), C(passed) and C(failed) (numbers of checks, where a gap counts as one that
      failed), C(table) (text; empty where there is nothing to show), C(failures), C(gaps) and
      C(notes).
    - C(first_aid) says until when first aid holds and that the host is not hardened yet; empty
      where it is not in force. It is no check, so it counts neither as passed nor as failed.
  type: dict
"""

from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.http_connections import (
    connections,
    vhost_connections,
)

_WHO_AM_I = (
    "If the web server sees the controller by another address than SSH does (a jump host, address "
    "translation), say so in verify_seen_as: who is trusted decides what must come back."
)


def verify_result(
    seen: dict[str, dict[str, Any]],
    evidence: dict[str, Any],
    before: dict[str, dict[str, Any]] | None = None,
    first_aid: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    failures: list[dict[str, Any]] = []
    notes: list[str] = []
    passed = 0
    for vantage, run in seen.items():
        passed += run["counts"]["passed"]
        reached_elsewhere = {
            server for name, other in seen.items() for server in other["servers"] if name != vantage
        }
        reached_elsewhere |= _behind_a_front(evidence)
        reached_before = set((before or {}).get(vantage, {}).get("servers", []))
        not_reached = set()
        for row in run["results"]:
            named = {**row, "vantage": vantage}
            elsewhere_only = row["server"] in reached_elsewhere - reached_before
            never_answered = row["outcome"] == "unreachable" or (
                row["outcome"] == "skipped" and row["server"] not in run["servers"]
            )
            if never_answered and elsewhere_only:
                not_reached.add(row["server"])
            elif row["outcome"] in ("failed", "unreachable"):
                failures.append(named)
            elif row["outcome"] == "skipped" and row["kind"] == "work":
                notes.append(
                    f"{row['request']} at {row['server']}, seen from the {vantage}: {row['reason']}"
                )
        notes += [
            f"{server} was not reached from the {vantage}, and is judged from elsewhere"
            for server in sorted(not_reached)
        ]
    gaps = _gaps(seen, evidence)
    notes += _unseen_service(seen) + _unasked(seen, evidence)
    held = ""
    if first_aid:
        held = (
            f"xmlrpc: held by first aid until {first_aid['until']}; not hardened yet (first aid "
            "closes nothing else)"
        )
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.module_utils.http_report import table

    lines = [table(failures)] if failures else []
    if any(
        row["vantage"] == "controller" and row["endpoint"] in _restricted(seen) for row in failures
    ):
        lines.append(_WHO_AM_I)
    return {
        "proven": passed > 0 and not failures and not gaps and not held,
        "passed": passed,
        "failed": len(failures) + len(gaps),
        "table": "\n".join(lines + gaps),
        "failures": failures,
        "gaps": gaps,
        "first_aid": held,
        "notes": notes,
    }


def _behind_a_front(evidence: dict[str, Any]) -> set[str]:
    """The ports of httpd that are meant for the nginx in front of it, as URLs."""
    return {
        f"{'https' if connect['tls'] else 'http'}://{connect['host']}"
        for site in evidence["sites"]
        for vhost, connect in connections(evidence, site, "any")
        if vhost.get("fronted")
    }


def _restricted(seen: dict[str, dict[str, Any]]) -> set[str]:
    """Endpoints that look different to trusted clients."""
    return {
        row["endpoint"]
        for run in seen.values()
        for row in run["endpoints"]
        if row["kind"] == "trusted"
    }


def _unasked(seen: dict[str, dict[str, Any]], evidence: dict[str, Any]) -> list[str]:
    members = {
        (vhost["id"], site["id"])
        for site in evidence["sites"]
        for vhost in evidence["vhosts"]
        if vhost["id"] in site["vhosts"]
        and not vhost.get("fronted")
        and not any(
            vhost_connections(evidence, site, vhost, "any" if vantage == "controller" else "")
            for vantage in seen
        )
    }
    return [
        f"{site}: virtual host {vhost} was not asked; nothing reaches it from {' or '.join(seen)}"
        for vhost, site in sorted(members)
    ]


def _gaps(seen: dict[str, dict[str, Any]], evidence: dict[str, Any]) -> list[str]:
    answered = {site for run in seen.values() for site in run["sites"]}
    gaps = [
        f"{site['id']}: none of its requests was answered from any vantage ({', '.join(seen)})"
        for site in evidence["sites"]
        if site["id"] not in answered
    ]
    for endpoint, (asked, skipped) in _sums(seen, "refuse").items():
        if skipped and not asked:
            gaps.append(
                f"{endpoint}: nobody saw it refused, since every vantage ({', '.join(seen)}) is "
                "trusted; add a vantage that is not"
            )
    return gaps


def _unseen_service(seen: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"{endpoint}: that trusted clients are served was not seen, since no vantage "
        f"({', '.join(seen)}) is trusted"
        for endpoint, (asked, skipped) in _sums(seen, "trusted").items()
        if skipped and not asked
    ]


def _sums(seen: dict[str, dict[str, Any]], kind: str) -> dict[str, tuple[int, int]]:
    """By endpoint, how many checks of ``kind`` were made and how many say nothing anywhere."""
    sums: dict[str, tuple[int, int]] = {}
    for run in seen.values():
        for row in run["endpoints"]:
            if row["kind"] == kind:
                asked, skipped = sums.get(row["endpoint"], (0, 0))
                made = row["passed"] + row["failed"] + row["unreachable"]
                sums[row["endpoint"]] = (asked + made, skipped + row["skipped"])
    return sums


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"verify_result": verify_result}
