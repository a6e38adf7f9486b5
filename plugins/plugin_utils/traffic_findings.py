# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings in what the sites were asked: floods, trickles, guessed passwords, and who asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.wpward.wordpress.plugins.module_utils import claims, known_networks
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import CLOSED, OPEN
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import RANGES
from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case, make
from ansible_collections.wpward.wordpress.plugins.plugin_utils.edges import edge_of
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    AFTERMATH,
    ATTACK,
    CRITICAL,
    HIGH,
    LOW,
    MEDIUM,
    PROBING,
    Finding,
    clock,
    percent,
    plural,
    quote,
    worst,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.judgement import (
    FALSE_BOTS,
    SLOW,
    STEADY,
    Judgement,
    judge,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    Traffic,
    strangers,
)

_NAMES = {"xmlrpc": "XML-RPC", "login": "the login page"}


@dataclass(frozen=True)
class Judged:
    """Traffic of XML-RPC or of the login page, with the judgement on it."""

    traffic: Traffic
    judgement: Judgement


def judge_all(traffics: Sequence[Traffic], case: Case) -> list[Judged]:
    """Judge what can be attacked with passwords; only what stands out is returned."""
    judged = [
        Judged(traffic, judge(traffic, case.known, case.limits))
        for traffic in traffics
        if traffic.endpoint in _NAMES
    ]
    return [one for one in judged if one.judgement.pattern]


def find(judged: Sequence[Judged], case: Case, breaking_down: bool) -> list[Finding]:
    """The findings of judged traffic. ``breaking_down``: whether the host shows that it is
    overwhelmed."""
    findings = []
    for one in judged:
        if one.traffic.endpoint == "login":
            findings.append(_login(one, case, breaking_down))
        elif one.judgement.pattern == STEADY:
            findings.append(_steady(one, case))
        else:
            findings.append(_xmlrpc(one, case, breaking_down))
            findings += _not_enough(one, case)
    for site in {one.traffic.site: None for one in judged}:
        here = [one for one in judged if one.traffic.site == site]
        verdict = worst(finding.verdict for finding in findings if finding.site == site)
        findings += _false_claims(here, verdict)
        findings += _behind_edge(here, case, verdict)
    return findings


def guessing(judged: Sequence[Judged], case: Case) -> list[Traffic]:
    """The attacks that try passwords: those that nobody refuses."""
    return [
        one.traffic
        for one in judged
        if one.judgement.pattern != STEADY and not _refused(one.judgement, case)
    ]


def seen(traffic: Traffic) -> str:
    """Where in the evidence a finding on this traffic rests."""
    return (
        f"access: {traffic.endpoint} on {where(traffic)}, {plural(traffic.hits, 'request')}, "
        f"{traffic.peak_second} a second at most"
    )


def where(traffic: Traffic) -> str:
    """The site; the logs where they do not tell which site was meant."""
    return quote(traffic.site or ", ".join(traffic.logs))


def _in_log(traffic: Traffic) -> str:
    """The beginning of a sentence that no site stands above."""
    return "" if traffic.site else f"{where(traffic)}: "


def _when(judgement: Judgement, case: Case) -> str:
    if case.over(judgement.until):
        return f"from {clock(judgement.since)} to {clock(judgement.until)}, over since then"
    return f"since {clock(judgement.since)}, still going on"


def _verdict(judgement: Judgement, case: Case) -> str:
    return AFTERMATH if case.over(judgement.until) else ATTACK


def _refused(judgement: Judgement, case: Case) -> bool:
    return judgement.refused >= case.limits["refused_share"]


def _answers(traffic: Traffic, judgement: Judgement, case: Case) -> str:
    common = traffic.statuses.most_common(2)
    told = " and ".join(f"{status} ({plural(hits, 'time')})" for status, hits in common)
    if _refused(judgement, case):
        return f"{percent(judgement.refused)} of them are refused already, with {told}"
    left = (
        "; 499 means that the client left before PHP had answered"
        if any(status == "499" for status, _hits in common)
        else ""
    )
    return f"the answers were {told}{left}"


def _who(one: Judged, case: Case) -> str:
    if one.judgement.behind_edge:
        edge = edge_of(one.traffic, case.limits)
        share = "" if edge.hits == one.traffic.hits else "mostly "
        return f"{share}through {edge.whose}, which hides the clients"
    addresses = max(one.judgement.addresses, 1)
    busiest = strangers(one.traffic, case.known, case.limits)
    if not busiest:
        return f"from {plural(addresses, 'address')}"
    address, hits = busiest[0]
    if addresses == 1:
        return f"from one address, {quote(address)}"
    return f"from {addresses} addresses (most from {quote(address)}: {hits})"


def _severity(judgement: Judgement, case: Case, site: str | None, breaking_down: bool) -> str:
    if _refused(judgement, case):
        return LOW if case.xmlrpc_ruled(site) else MEDIUM
    return CRITICAL if breaking_down and not case.over(judgement.until) else HIGH


def _xmlrpc(one: Judged, case: Case, breaking_down: bool) -> Finding:
    traffic, judgement = one.traffic, one.judgement
    refused = _refused(judgement, case)
    slow = judgement.pattern == SLOW
    rate = (
        f"never more than {traffic.peak_minute} a minute but hour after hour"
        if slow
        else f"{traffic.peak_second} a second and {traffic.peak_minute} a minute at most"
    )
    reason = (
        f", {traffic.false_bots} of them in the name of a search engine"
        if judgement.pattern == FALSE_BOTS
        else ""
    )
    return make(
        "xmlrpc_low_and_slow" if slow else "xmlrpc_attack",
        traffic.site,
        _verdict(judgement, case),
        f"{_in_log(traffic)}{plural(judgement.unexplained, 'request')} for XML-RPC without a known "
        f"reason{reason}, {_when(judgement, case)}, {rate}, {_who(one, case)}; "
        f"{_answers(traffic, judgement, case)}.",
        [seen(traffic)],
        severity=_severity(judgement, case, traffic.site, breaking_down),
        title="A flood of XML-RPC is being refused already" if refused and not slow else None,
        # A plugin's refusals cost nearly what answers cost; a rule of the web server does it.
        calls=not (refused and case.xmlrpc_ruled(traffic.site)),
    )


def _steady(one: Judged, case: Case) -> Finding:
    traffic, judgement = one.traffic, one.judgement
    return make(
        "xmlrpc_probed",
        traffic.site,
        PROBING,
        f"{_in_log(traffic)}{plural(judgement.unexplained, 'request')} for XML-RPC without a known "
        f"reason, {_when(judgement, case)}, {_who(one, case)}; "
        "if that is yours, name it in wpward_trusted.",
        [seen(traffic)],
    )


def _login(one: Judged, case: Case, breaking_down: bool) -> Finding:
    traffic, judgement = one.traffic, one.judgement
    return make(
        "login_attack",
        traffic.site,
        _verdict(judgement, case),
        f"{_in_log(traffic)}{judgement.unexplained} of {plural(traffic.posts, 'posted password')} "
        f"failed at the login page, {_when(judgement, case)}, {traffic.peak_minute} requests a "
        f"minute at most, {_who(one, case)}; "
        f"{_answers(traffic, judgement, case)}.",
        [seen(traffic)],
        severity=_severity(judgement, case, traffic.site, breaking_down),
    )


def _not_enough(one: Judged, case: Case) -> list[Finding]:
    traffic = one.traffic
    plugins = [
        plugin
        for site in case.part("sites")
        if site["id"] == traffic.site
        for plugin in site.get("locking_plugins") or ()
    ]
    if not plugins or case.xmlrpc_ruled(traffic.site):
        return []
    return [
        make(
            "plugin_not_enough",
            traffic.site,
            _verdict(one.judgement, case),
            f"{_in_log(traffic)}{quote(', '.join(plugins))} says that it closes XML-RPC, and "
            f"{plural(traffic.hits - traffic.refused, 'request')} of {traffic.hits} were not "
            "refused; what it does refuse starts PHP all the same.",
            [seen(traffic)],
        )
    ]


def _false_claims(here: Sequence[Judged], verdict: str) -> list[Finding]:
    findings = []
    for one in here:
        traffic = one.traffic
        if one.judgement.behind_edge or not traffic.false_bots:
            continue
        names = sorted(
            claim
            for claim, counts in traffic.claimed.items()
            if claims.KIND.get(claim) == claims.SEARCH_BOT
            and claim not in traffic.unconfirmed
            and counts["hits"] > counts["genuine"]
        )
        examples = [
            address
            for claim in names
            for address in traffic.examples[claim]
            if known_networks.party_of(address) != known_networks.party_of_claim(claim)
        ]
        for_example = f", for example {quote(', '.join(examples[:3]))}" if examples else ""
        findings.append(
            make(
                "claims_false",
                traffic.site,
                verdict,
                f"{_in_log(traffic)}{plural(traffic.false_bots, 'request')} for "
                f"{_NAMES[traffic.endpoint]} came in the name of {quote(', '.join(names))} from "
                f"addresses that are not theirs{for_example}.",
                [f"access: claims of {traffic.endpoint} on {where(traffic)}"],
            )
        )
    return findings


def _behind_edge(here: Sequence[Judged], case: Case, verdict: str) -> list[Finding]:
    hidden = [one.traffic for one in here if one.judgement.behind_edge]
    if not hidden:
        return []
    traffic = max(hidden, key=lambda one: one.hits)
    edge = edge_of(traffic, case.limits)
    least = "" if edge.all_listed else "at least "
    return [
        make(
            "behind_cdn",
            traffic.site,
            verdict,
            f"{_in_log(traffic)}{edge.hits} of {plural(traffic.hits, 'request')} came through "
            f"{edge.whose}, from {least}{plural(edge.addresses, 'address')}: the log hides the "
            "real clients, and a ban of what it shows would ban every visitor.",
            [f"access: parties of {traffic.endpoint} on {where(traffic)}"],
            severity=None if edge.certain else MEDIUM,
        )
    ]


def needed(case: Case, traffics: Sequence[Traffic], verdicts: Mapping[str, str]) -> list[Finding]:
    """Who would miss XML-RPC where it is about to be closed for everybody: on the sites of
    ``verdicts`` that are or were attacked."""
    if case.policy["xmlrpc"] != CLOSED:
        return []
    findings = []
    for site in case.part("sites"):
        if verdicts[site["id"]] not in (ATTACK, AFTERMATH):
            continue
        plugins = [quote(plugin) for plugin in site.get("xmlrpc_plugins") or ()]
        jetpack = sum(
            one.parties["jetpack"]
            for one in traffics
            if one.site == site["id"] and one.endpoint == "xmlrpc"
        )
        uses = [f"plugins that use it ({', '.join(plugins)})"] if plugins else []
        if jetpack:
            uses.append(f"{plural(jetpack, 'request')} from Jetpack's own addresses")
        if uses:
            hint = (
                f" (Jetpack's: {RANGES['jetpack'].replace(' ', ', ')})"
                if jetpack or any("jetpack" in plugin for plugin in plugins)
                else ""
            )
            findings.append(
                make(
                    "xmlrpc_needed",
                    site["id"],
                    verdicts[site["id"]],
                    f"XML-RPC is wanted here, by {' and '.join(uses)}; under "
                    "policy closed that stops. Set xmlrpc to trusted and name who needs it in "
                    f"wpward_trusted{hint}.",
                    ["sites: xmlrpc_plugins", "access: parties"],
                )
            )
    return findings


def door_open(case: Case, sites: Sequence[str], verdict: str) -> list[Finding]:
    """The ``sites`` that suffer from an earlier attack and have no rule against the next one."""
    if case.policy["xmlrpc"] == OPEN:
        return []
    return [
        make(
            "xmlrpc_open",
            site,
            verdict,
            f"Nothing in the configuration of its "
            f"{plural(len(case.vhosts(site)), 'virtual host')} refuses xmlrpc.php.",
            ["vhosts: xmlrpc_rules"],
        )
        for site in sites
        if not case.xmlrpc_ruled(site)
    ]
