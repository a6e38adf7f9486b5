# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""First aid, applied and proven on the host: what module contain and ``wpward triage`` do."""

from __future__ import annotations

import time
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    containment,
    host_facts,
    processes,
    web_servers,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.budget import Budget
from ansible_collections.wpward.wordpress.plugins.module_utils.containment import Aid, Evidence
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import parse_all
from ansible_collections.wpward.wordpress.plugins.module_utils.http_judge import FAILED
from ansible_collections.wpward.wordpress.plugins.module_utils.http_rounds import (
    Runner,
    Settings,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Refused,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_runs import (
    CONFIRMED,
    is_temporary,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_apply import (
    Failed,
    Request,
    apply,
)

LONGEST = 24 * 3600
"""Seconds that first aid holds unless told otherwise, and at most."""
_DISCOVERY_SECONDS = 30.0
_SETTLE = 5.0
_CHECK_SECONDS = 30.0


def servers_of_host() -> dict[str, Any]:
    """The part of the evidence document that first aid needs; reads no log."""
    problems = Problems()
    host = host_facts.describe()
    running = web_servers.roots_only(processes.running(), problems)
    budget = Budget(_DISCOVERY_SECONDS, problems)
    found = web_servers.discover(running, host["addresses"], budget, problems)
    return {"host": host, **found.describe(), "problems": problems.describe()}


def contain(
    journal: Journal,
    evidence: Evidence,
    trusted: Sequence[str] = (),
    seconds: int = LONGEST,
    check_mode: bool = False,
    want_diff: bool = False,
) -> dict[str, Any]:
    """Close XML-RPC on this host until ``seconds`` have gone by.

    evidence: `servers_of_host`, or a whole evidence document that is new enough.
    trusted: networks as `policy.parse_trusted` gives them, for which it stays open.

    Returns ``changed``, ``run``, ``until`` (UTC, None where nothing holds), ``ways``, ``files``,
    ``notes``, ``open`` (a sentence per request that still gets through) and, with ``want_diff``,
    ``diff``. Where the host is hardened, and refuses XML-RPC when it is asked, nothing is done, and
    ``run`` and ``ways`` name the run that did it. Raises `Refused`, `Failed` where nothing could be
    closed; then nothing is changed.
    """
    if not evidence["sites"]:
        raise Refused("No WordPress was found on this host, so there is nothing to close.")
    hardened = _hardened(journal)
    if hardened and not _open_run(journal) and not _open(evidence, trusted, Aid()):
        return _needless(hardened, want_diff)
    run = _open_run(journal) or time.strftime("contain-%Y%m%dT%H%M%SZ", time.gmtime())
    aid = containment.plan(evidence, trusted)

    def carry_out(part: Aid) -> dict[str, Any]:
        request = Request(
            run,
            containment.ROLE,
            part.files,
            part.validate,
            part.activate,
            confirm_within=seconds,
            temporary=True,
        )
        return apply(journal, request, check_mode, want_diff)

    try:
        applied = [carry_out(aid)]
    except Failed as error:
        paths = [site["path"] for site in evidence["sites"]]
        aid = containment.plan_to_rename(paths, trusted)
        aid.notes.append(f"The web server did not take first aid: {sentence(error)}")
        applied = [carry_out(aid)]
    open_sites = {} if check_mode else _open(evidence, trusted, aid)
    if open_sites:
        paths = [site["path"] for site in evidence["sites"] if site["id"] in open_sites]
        more = containment.plan_to_rename(paths, trusted)
        aid.notes.append(
            "Still open in spite of the web server's rule, so that xmlrpc.php is taken away there: "
            + ", ".join(open_sites)
        )
        applied.append(carry_out(more))
        aid.ways += more.ways
        open_sites = _open(evidence, trusted, aid)
    result: dict[str, Any] = {
        "changed": any(one["changed"] for one in applied),
        "run": run,
        "until": applied[-1]["deadline"],
        "ways": aid.ways,
        "files": [file for one in applied for file in one["files"]],
        "notes": [*aid.notes, *(warning for one in applied for warning in one["warnings"])],
        "open": [text for texts in open_sites.values() for text in texts],
    }
    if want_diff:
        result["diff"] = [entry for one in applied for entry in one["diff"]]
    return result


def lift(journal: Journal, check_mode: bool = False) -> dict[str, Any]:
    """End first aid now. Returns ``changed`` and ``failures`` (sentences)."""
    chosen = journal.chosen(role=containment.ROLE)
    if check_mode or not chosen:
        return {"changed": bool(chosen), "failures": []}
    outcome = journal.roll_back(role=containment.ROLE)
    return {"changed": bool(outcome.transactions), "failures": outcome.failures}


def _open_run(journal: Journal) -> str | None:
    """First aid that holds already: more of it is part of the same run."""
    for record in journal.runs.expiring():
        if is_temporary(record):
            return str(record["run"])
    return None


def _hardened(journal: Journal) -> str | None:
    """The newest confirmed run that closed the endpoints for good."""
    for record in journal.runs.all():
        if record["state"] != CONFIRMED:
            continue
        if any(one.role == "endpoints" for one in journal.runs.transactions(record["run"])):
            return str(record["run"])
    return None


def _needless(run: str, want_diff: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "changed": False,
        "run": run,
        "until": None,
        "ways": [f"run {run}"],
        "files": [],
        "notes": ["This host is hardened and refuses XML-RPC already; it needs no first aid."],
        "open": [],
    }
    if want_diff:
        result["diff"] = []
    return result


def _open(evidence: Evidence, trusted: Sequence[str], aid: Aid) -> dict[str, list[str]]:
    """Site to a sentence per request that is not refused there."""
    asked = parse_all(containment.checks(evidence, trusted, aid))
    settings = Settings(
        timeout=5.0, time_limit=_CHECK_SECONDS, settle=_SETTLE, trusted=tuple(trusted)
    )
    found: dict[str, list[str]] = {}
    for result in Runner(settings).prove(asked):
        if result.verdict.outcome == FAILED:
            check = result.check
            found.setdefault(check.site, []).append(
                f"{check.shown} at {check.server} came back with {result.status}: "
                f"{result.verdict.reason}."
            )
    return found
