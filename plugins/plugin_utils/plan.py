# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From one host's evidence to what is wrong with it and what to do: a pure function.

First the host itself, since an attack under which it breaks down weighs more; then the sites'
traffic; then what follows from both together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    check_policy,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils import (
    database_findings,
    host_findings,
    name_findings,
    recorder_findings,
    traffic_findings,
    trap_findings,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    AFTERMATH,
    ATTACK,
    QUIET,
    SEVERITIES,
    VERDICTS,
    Finding,
    PlanError,
    mapping,
    worst,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.remedies import remedies
from ansible_collections.wpward.wordpress.plugins.plugin_utils.thresholds import (
    complete_thresholds,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    Known,
    Traffic,
    pool,
)

SCHEMA = 2


def make_plan(
    evidence: Any, policy: Any = None, thresholds: Any = None, trusted: Any = None
) -> dict[str, Any]:
    """The plan of one host.

    policy, trusted: as the operator wrote them, checked here. thresholds: numbers by the names in
    THRESHOLDS, over the defaults.

    Raises PlanError, with one sentence, for settings that make no sense and for what is not a
    document of the probe in the schema this was written for.
    """
    case = _case(evidence, policy, thresholds, trusted)
    try:
        return _plan(case)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PlanError(
            "The evidence does not have the form that the probe gives it "
            f"({type(error).__name__}: {error}); probe the host again with this version."
        ) from error


def _case(evidence: Any, policy: Any, thresholds: Any, trusted: Any) -> Case:
    if not isinstance(evidence, Mapping):
        raise PlanError(
            "The plan is made from the dictionary that the probe returns as evidence, not from "
            f"{type(evidence).__name__}."
        )
    if evidence.get("schema") != SCHEMA:
        raise PlanError(
            f"The evidence has schema {evidence.get('schema')!r} and the plan reads schema "
            f"{SCHEMA}; probe the host again with this version."
        )
    limits = complete_thresholds({} if thresholds is None else thresholds)
    try:
        complete, networks = check_policy(policy, trusted)
    except PolicyError as error:
        raise PlanError(str(error)) from error
    host = mapping(evidence.get("host"))
    known = Known(
        trusted=networks,
        own=frozenset(host.get("addresses") or ()),
        operator=host.get("controller_address"),
        loop=any(trap.get("id") == "self_proxy" for trap in evidence.get("traps") or ()),
    )
    return Case(evidence, complete, known, limits)


def _plan(case: Case) -> dict[str, Any]:
    traffics = pool(case.part("access"))
    judged = traffic_findings.judge_all(traffics, case)
    traffic = traffic_findings.find(judged, case, host_findings.overwhelmed(case))
    database = database_findings.find(case)

    verdicts = _verdicts(case, traffics, traffic, bool(database))
    guessing = _sites(case, traffic_findings.guessing(judged, case))
    past = _sites(case, [one.traffic for one in judged if one.traffic.endpoint == "xmlrpc"])
    past += database_findings.concerned(case) if database else []
    left_behind = [
        site for site, verdict in verdicts.items() if verdict == AFTERMATH and site in past
    ]
    names = name_findings.find(traffics, case, guessing)
    for one in names:
        if one.site is not None:
            verdicts[one.site] = worst((verdicts[one.site], one.verdict))
    traffic += traffic_findings.door_open(case, left_behind, AFTERMATH)
    traffic += traffic_findings.needed(case, traffics, verdicts)

    whole = worst([*verdicts.values(), *(one.verdict for one in traffic + database)])
    attacked = whole in (AFTERMATH, ATTACK)
    host = host_findings.find(case, attacked)
    host += recorder_findings.find(case, attacked, host_findings.breaking_down(host))
    traps = host_findings.weigh_loop(trap_findings.traps(case), host, case)
    traps += trap_findings.gaps(case)
    findings = [
        *traffic,
        *names,
        *database,
        *(replace(one, verdict=verdicts.get(one.site or "", whole)) for one in host + traps),
    ]
    findings.sort(key=lambda one: (SEVERITIES.index(one.severity), -VERDICTS.index(one.verdict)))
    return {
        "verdict": whole,
        "sites": verdicts,
        "findings": [one.describe() for one in findings],
        "remedies": remedies(findings, case),
    }


def _verdicts(
    case: Case, traffics: Sequence[Traffic], found: Sequence[Finding], database: bool
) -> dict[str, str]:
    verdicts: dict[str, str] = {site["id"]: QUIET for site in case.part("sites")}
    for one in found:
        for site in _sites(case, [traffic for traffic in traffics if traffic.site == one.site]):
            verdicts[site] = worst((verdicts.get(site, QUIET), one.verdict))
    for site in database_findings.concerned(case) if database else ():
        verdicts[site] = worst((verdicts[site], AFTERMATH))
    return verdicts


def _sites(case: Case, traffics: Sequence[Traffic]) -> list[str]:
    """The sites that were asked. Where a log does not tell which of its sites was meant, each of
    them may have been."""
    sites: dict[str, None] = {}
    for traffic in traffics:
        if traffic.site is not None:
            sites[traffic.site] = None
            continue
        for vhost in case.part("vhosts"):
            paths = {log["path"] for log in vhost.get("access_logs") or ()}
            if paths & set(traffic.logs):
                sites.update(dict.fromkeys(vhost.get("sites") or ()))
        for log in case.part("logs"):
            if log["path"] in traffic.logs:
                sites.update(dict.fromkeys(log.get("sites") or ()))
    return list(sites)
