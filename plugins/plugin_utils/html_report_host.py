# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One host's part of the report: the verdict first, then why, what was done, and the proof."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_access import (
    access_rows,
    busiest,
    peak,
    sources,
    timeline,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_details import (
    sections,
    table,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_repairs import (
    capacity,
    log_tables,
    recorder,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    NOTHING,
    count,
    mapping,
    rows,
    texts,
    visible,
    whole,
)

VERDICTS = {
    "attack": ("bad", "Attack"),
    "aftermath": ("warn", "Aftermath"),
    "probing": ("warn", "Probing"),
    "quiet": ("good", "Quiet"),
}
OUTCOMES = {
    "confirmed": ("good", "Hardened, proven and confirmed"),
    "proven_unchanged": ("good", "Hardened already, proven again"),
    "would_change": ("plain", "Check mode: would change, nothing proven"),
    "would_not_change": ("plain", "Check mode: would not change, nothing proven"),
    "rolled_back": ("bad", "NOT hardened: put back as it was"),
    "rollback_failed": ("bad", "NOT hardened, putting back failed"),
    "failed": ("bad", "NOT hardened, nothing changed"),
    "lost": ("bad", "NOT proven: contact was lost"),
    "unreachable": ("bad", "NOT reached: nothing changed"),
    "not_reached": ("bad", "NOT hardened: the rollout did not come to it"),
    "nothing_to_do": ("plain", "Nothing calls for a remedy"),
    "probed": ("plain", "Probed, nothing changed"),
    "proven": ("good", "Proven: shut, and the sites work"),
    "unproven": ("bad", "NOT proven"),
    "analysed": ("plain", "Logs read, no server touched"),
    "unreported": ("bad", "No result"),
}
SEVERITIES = ("critical", "high", "medium", "low")
_UNDONE = ("rolled_back", "failed")
MOST_FINDINGS = 50


def verdict_of(document: Mapping[str, Any]) -> str:
    """The plan's verdict on the host; empty where it has none."""
    verdict = str(mapping(document.get("plan")).get("verdict") or "")
    return verdict if verdict in VERDICTS else ""


def urgency(document: Mapping[str, Any]) -> tuple[int, int, str]:
    """Sorts hosts: what needs somebody first."""
    tone, _words = OUTCOMES.get(str(document.get("outcome")), ("plain", ""))
    verdict = verdict_of(document)
    order = list(VERDICTS).index(verdict) if verdict else len(VERDICTS)
    return (0 if tone == "bad" else 1, order, str(document.get("host")))


def _state_of(role: str, document: Mapping[str, Any], automated: bool) -> str:
    """What became of a remedy in this run, in words."""
    result = mapping(mapping(document.get("remedies")).get(role))
    outcome = str(document.get("outcome"))
    if result.get("failed"):
        return "failed in this run"
    if result and not result.get("skipped"):
        if not result.get("changed"):
            return "in place already"
        if outcome in _UNDONE:
            return "applied, then put back"
        return "would be applied" if outcome == "would_change" else "applied in this run"
    if outcome == "analysed":
        return "to do on the server"
    return "not applied yet; harden.yml does it" if automated else "by hand"


def _undo(document: Mapping[str, Any], role: str = "") -> str:
    """The command that puts back what this run changed; empty where nothing of it is left."""
    run = document.get("run")
    if not run or document.get("outcome") != "confirmed":
        return ""
    words = ["ansible-playbook", "playbooks/rollback.yml", "-i", "INVENTORY"]
    words += ["--limit", str(document.get("host")), "-e", f"wpward_run={run}"]
    words += ["-e", f"wpward_role={role}"] if role else []
    return shlex.join(words)


def _remedies(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    results = mapping(document.get("remedies"))
    found = []
    for remedy in rows(mapping(document.get("plan")).get("remedies")):
        role = str(remedy.get("role"))
        result = mapping(results.get(role))
        # An index or a purged table is a change that no rollback takes back.
        changed = result.get("changed") is True and bool(rows(result.get("files")))
        found.append(
            {
                "role": role,
                "state": _state_of(role, document, remedy.get("automated") is True),
                "reason": remedy.get("reason") or "",
                "undo": _undo(document, role) if changed else "",
                "findings": texts(remedy.get("findings")),
            }
        )
    return found


def _findings(
    document: Mapping[str, Any], remedies: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    found = []
    for finding in rows(mapping(document.get("plan")).get("findings")):
        name = str(finding.get("id"))
        severity = str(finding.get("severity"))
        found.append(
            {
                "id": name,
                "severity": severity if severity in SEVERITIES else "low",
                "title": finding.get("title") or name,
                "site": finding.get("site") or "",
                "message": finding.get("message") or "",
                "rests_on": texts(finding.get("rests_on")),
                "remedies": [one for one in remedies if name in one["findings"]],
            }
        )
    found.sort(key=lambda one: SEVERITIES.index(str(one["severity"])))
    return found[:MOST_FINDINGS]


def _changes(document: Mapping[str, Any]) -> dict[str, Any] | None:
    lines = []
    for role, result in mapping(document.get("remedies")).items():
        sizes = {str(one.get("path")): one for one in rows(mapping(result).get("diff_summary"))}
        for file in rows(mapping(result).get("files")):
            path = str(file.get("path"))
            if file.get("action") != "unchanged":
                differs = sizes.get(path, {})
                added, removed = whole(differs.get("added")), whole(differs.get("removed"))
                lines.append(
                    (path, file.get("action"), role, f"+{added} -{removed}" if differs else NOTHING)
                )
    return table("", ("File", "Action", "Remedy", "Lines"), lines, (3,)) if lines else None


def _checks(document: Mapping[str, Any]) -> dict[str, Any] | None:
    checks = mapping(document.get("checks"))
    if "passed" not in checks:
        return None
    kinds = {"refuse": "open", "trusted": "shut to trusted", "work": "broken"}
    failures = table(
        "Checks that do not hold",
        ("What", "Request", "Server", "Seen from", "What came back"),
        (
            (
                f"{kinds.get(str(one.get('kind')), one.get('kind'))} {one.get('endpoint') or ''}",
                one.get("request"),
                one.get("server"),
                " ".join(texts([one.get("vantage"), one.get("source")])),
                ("not reached: " if one.get("outcome") == "unreachable" else "")
                + str(one.get("reason")),
            )
            for one in rows(checks.get("failures"))
        ),
    )
    asked = {
        "refuse": "must be refused",
        "trusted": "must reach trusted clients",
        "work": "must work as before",
    }
    held = table(
        "Checks by endpoint",
        (
            "Endpoint",
            "What is asked",
            "Seen from",
            "Passed",
            "Failed",
            "Not reached",
            "Not telling",
        ),
        (
            (
                one.get("endpoint") or "pages of the site",
                asked.get(str(one.get("kind")), one.get("kind")),
                vantage,
                count(one.get("passed")),
                count(one.get("failed")),
                count(one.get("unreachable")),
                count(one.get("skipped")),
            )
            for vantage, seen in mapping(checks.get("endpoints")).items()
            for one in rows(seen)
        ),
        (3, 4, 5, 6),
    )
    return {
        "proven": checks.get("proven") is True,
        "passed": count(checks.get("passed")),
        "failed": count(checks.get("failed")),
        "any_failed": whole(checks.get("failed")) > 0,
        "failures": failures,
        "gaps": texts(checks.get("gaps")),
        "first_aid": visible(checks.get("first_aid") or ""),
        "notes": texts(checks.get("notes")),
        "held": held,
    }


def _fastest(evidence: Mapping[str, Any]) -> str:
    found = max(access_rows(evidence), key=busiest, default=None)
    return f"{peak(found)} ({found.get('endpoint')})" if found and peak(found) else ""


def host_view(document: Mapping[str, Any], anchor: str, file: str) -> dict[str, Any]:
    """What the template shows of one host.

    anchor: the id of its section. file: where its JSON lies beside the report; empty without one.
    """
    evidence = mapping(document.get("evidence"))
    outcome = str(document.get("outcome"))
    tone, words = OUTCOMES.get(outcome, ("plain", outcome))
    verdict = verdict_of(document)
    verdict_tone, verdict_words = VERDICTS.get(verdict, ("plain", "Not judged"))
    remedies = _remedies(document)
    findings = _findings(document, remedies)
    checks = _checks(document)
    changes = _changes(document)
    hits = sum(whole(row.get("hits")) for row in access_rows(evidence))
    return {
        "anchor": anchor,
        "file": file,
        "name": str(document.get("host")),
        "run": document.get("run") or "",
        "verdict": verdict_words,
        "verdict_tone": verdict_tone,
        "outcome": words,
        "outcome_tone": tone,
        "failure": str(document.get("failure") or "").strip().splitlines(),
        "sites": [
            (str(site), *VERDICTS.get(str(judged), ("plain", str(judged))))
            for site, judged in mapping(mapping(document.get("plan")).get("sites")).items()
        ]
        or [(str(site.get("id")), "plain", "") for site in rows(evidence.get("sites"))],
        "top_finding": findings[0]["title"] if findings else "",
        "judged": bool(verdict),
        "findings": findings,
        "remedies": remedies,
        "requests": count(hits) if evidence else NOTHING,
        "peak": _fastest(evidence),
        "timeline": timeline(document),
        "sources": sources(document),
        "changes": changes,
        "changed_files": len(changes["rows"]) + changes["more"] if changes else 0,
        "check_mode": outcome in ("would_change", "would_not_change"),
        "undone": outcome in _UNDONE,
        "undo": _undo(document) if changes else "",
        "notes": texts(document.get("notes")),
        "capacity": capacity(document),
        "log_tables": log_tables(document),
        "recorder": recorder(document),
        "checks": checks,
        "sections": sections(document),
    }
