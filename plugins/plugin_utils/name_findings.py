# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings about user names: asked for by strangers, and told.

One request for the list of users is no finding. An editor's own browser sends it, search engines
read author pages, and the log cannot tell who is logged in. What tells a scanner is that it goes
through the user numbers in one go, or that one address asks by several ways. Where passwords are
being guessed, every name that was told matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import known_networks
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import OPEN
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import is_trusted
from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case, make
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    HIGH,
    PROBING,
    Finding,
    plural,
    quote,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    NAMES,
    Traffic,
    is_local,
    with_reason,
)

_TOLD = {
    # A redirect from ?author=1 goes to /author/NAME/.
    "author_by_id": ("200", "301", "302"),
    "rest_users": ("200",),
    "users_sitemap": ("200",),
}


def find(traffics: Sequence[Traffic], case: Case, attacked: Sequence[str]) -> list[Finding]:
    """``attacked``: ids of the sites on which passwords are being guessed, unrefused."""
    if all(case.policy[endpoint] == OPEN for endpoint in NAMES):
        return []
    findings = []
    for site in case.part("sites"):
        if site.get("guarded"):
            continue
        asked = [one for one in traffics if one.site == site["id"] and one.endpoint in NAMES]
        editors = _editors(site["id"], traffics, case)
        told = {one.endpoint: count for one in asked if (count := _told(one, case, editors))}
        scanners = _scanners(asked, case)
        enumerated = [one for one in asked if _in_one_go(one, case)]
        under_attack = site["id"] in attacked and sum(told.values()) >= case.limits["names_told"]
        if told and (scanners or enumerated or under_attack):
            findings.append(_names_told(site["id"], told, scanners, enumerated, attacked))
        elif site["id"] in attacked:
            findings.append(
                make(
                    "user_names_open",
                    site["id"],
                    PROBING,
                    "Passwords are or were being guessed, and nothing on the "
                    "site keeps its login names from visitors.",
                    ["sites: guarded"],
                )
            )
    return findings


def _editors(site: str, traffics: Sequence[Traffic], case: Case) -> set[str]:
    """Addresses that log in on a site where that mostly succeeds: the block editor needs names."""
    addresses: set[str] = set()
    for one in traffics:
        if (one.site, one.endpoint) == (site, "login"):
            failed = max(one.posts - one.statuses["302"], 0)
            if failed < case.limits["failed_logins"] * one.posts:
                addresses.update(one.clients)
    return addresses


def _told(traffic: Traffic, case: Case, editors: set[str]) -> int:
    reasoned, _addresses = with_reason(traffic, case.known, case.limits)
    theirs = sum(hits for address, hits in traffic.clients.items() if address in editors)
    answered = sum(traffic.statuses[status] for status in _TOLD[traffic.endpoint])
    return max(answered - reasoned - theirs, 0)


def _in_one_go(traffic: Traffic, case: Case) -> bool:
    if traffic.endpoint != "author_by_id":
        return False
    reasoned, _addresses = with_reason(traffic, case.known, case.limits)
    unexplained = (traffic.hits - reasoned) / traffic.hits
    return traffic.peak_minute * unexplained >= case.limits["enumeration_per_minute"]


def _scanners(asked: Sequence[Traffic], case: Case) -> list[str]:
    """Addresses of strangers that asked in more than one way."""
    ways = Counter(address for one in asked for address in one.clients)
    return [
        address
        for address, count in ways.items()
        if count > 1
        and address != case.known.operator
        and address not in case.known.own
        and not is_local(address)
        and not is_trusted(address, case.known.trusted)
        and known_networks.party_of(address) is None
    ]


def _names_told(
    site: str,
    told: dict[str, int],
    scanners: Sequence[str],
    enumerated: Sequence[Traffic],
    attacked: Sequence[str],
) -> Finding:
    ways = ", ".join(f"{endpoint} {plural(count, 'time')}" for endpoint, count in told.items())
    why = []
    if enumerated:
        why.append(f"up to {enumerated[0].peak_minute} user numbers were tried in one minute")
    if scanners:
        why.append(f"{quote(scanners[0])} asked in more than one way")
    if site in attacked:
        why.append("passwords are or were being guessed on this site")
    return make(
        "user_names_told",
        site,
        PROBING,
        f"Requests that list users were answered ({ways}): {'; '.join(why)}.",
        [f"access: {endpoint} on {quote(site)}" for endpoint in told],
        severity=HIGH if site in attacked else None,
    )
