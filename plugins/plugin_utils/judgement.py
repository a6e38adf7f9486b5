# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what an endpoint was asked is an attack: by the site, not only by the address.

An attack from addresses that change with every request is below any count per address. So what is
judged is the site's traffic without what has a reason: how much of it, for how long, how far above
the site's own level, and from how many addresses.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    Known,
    Traffic,
    bursts,
    busy_hours,
    busy_minutes,
    trickle,
    with_reason,
)

FLOOD = "flood"
RISE = "rise"
SLOW = "slow"
FALSE_BOTS = "false_bots"
STEADY = "steady"


@dataclass(frozen=True)
class Judgement:
    """pattern: one of the five, None where nothing stands out. unexplained: requests without a
    reason. refused: share of all requests that somebody refused. behind_edge: whether the log
    hides the clients behind a proxy."""

    pattern: str | None
    unexplained: int
    refused: float
    behind_edge: bool


def judge(traffic: Traffic, known: Known, limits: Mapping[str, float]) -> Judgement:
    """Judge the traffic of xmlrpc.php or of the login page."""
    reasoned, reasoned_addresses = with_reason(traffic, known, limits)
    unexplained = traffic.hits - reasoned
    posts = max(traffic.posts - reasoned, 0)
    if traffic.endpoint == "login":
        # Showing the form is no attempt, and a right password is answered with a redirect.
        posts = min(posts, _failed_logins(traffic, limits))
        unexplained = posts
    refused = traffic.refused / traffic.hits if traffic.hits else 0.0
    behind = traffic.behind_edge(limits)
    addresses = max(traffic.distinct - reasoned_addresses, 0)
    spread = behind or addresses >= limits["slow_spread"] * posts
    pattern = None
    if _flood(traffic, unexplained, limits):
        pattern = FLOOD
    elif _rise(traffic, unexplained, limits):
        pattern = RISE
    elif _lasting(traffic, posts, limits):
        pattern = SLOW if spread else STEADY
    elif _false_bots(traffic, behind, limits):
        pattern = FALSE_BOTS
    return Judgement(pattern, unexplained, refused, behind)


def _failed_logins(traffic: Traffic, limits: Mapping[str, float]) -> int:
    failed = max(traffic.posts - traffic.statuses["302"], 0)
    return failed if failed >= limits["failed_logins"] * traffic.posts else 0


def _flood(traffic: Traffic, unexplained: int, limits: Mapping[str, float]) -> bool:
    share = unexplained / traffic.hits if traffic.hits else 0
    if traffic.peak_minute * share >= limits["peak_per_minute"]:
        return True
    minutes = busy_minutes(
        bursts(traffic.bins, unexplained), traffic.step, limits["flood_per_minute"]
    )
    return minutes >= limits["flood_minutes"]


def _rise(traffic: Traffic, unexplained: int, limits: Mapping[str, float]) -> bool:
    if not traffic.bins:
        return False
    suspicious = bursts(traffic.bins, unexplained)
    level = statistics.median(suspicious) * 60 / traffic.step
    risen = max(limits["rise_per_minute"], limits["rise_factor"] * level)
    return busy_minutes(suspicious, traffic.step, risen) >= limits["rise_minutes"]


def _lasting(traffic: Traffic, posts: int, limits: Mapping[str, float]) -> bool:
    hours = busy_hours(trickle(traffic.bins, posts), traffic.step, limits["slow_per_hour"])
    return hours >= limits["slow_hours"]


def _false_bots(traffic: Traffic, behind: bool, limits: Mapping[str, float]) -> bool:
    """Search engines read; one that posts is none. Behind a proxy nobody can tell."""
    posting = traffic.posts * 2 >= traffic.hits
    return not behind and posting and traffic.false_bots >= limits["false_bot_posts"]
