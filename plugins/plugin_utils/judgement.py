# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what an endpoint was asked is an attack: by the site, not only by the address.

An attack from addresses that change with every request is below any count per address. So what is
judged is the site's traffic without what has a reason: how much of it, for how long, how far above
the site's own level, and from how many addresses.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import epoch
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    HOUR,
    Known,
    Traffic,
    bursts,
    busy,
    hourly,
    risen,
    trickle,
    with_reason,
    without_proof,
)

FLOOD = "flood"
RISE = "rise"
SLOW = "slow"
FALSE_BOTS = "false_bots"
STEADY = "steady"

Period = tuple[float, float]
"""From and to, in seconds since the epoch."""


@dataclass(frozen=True)
class Judgement:
    """pattern: one of the five, None where nothing stands out. since, until: seconds since the
    epoch between which it was seen. unexplained: requests without a reason. addresses: how many
    sent those. refused: share of all
    requests that somebody refused. behind_edge: whether the log hides the clients behind a proxy.
    """

    pattern: str | None
    since: float
    until: float
    unexplained: int
    addresses: int
    refused: float
    behind_edge: bool


def judge(traffic: Traffic, known: Known, limits: Mapping[str, float]) -> Judgement:
    """Judge the traffic of xmlrpc.php or of the login page."""
    reasoned, reasoned_addresses = with_reason(traffic, known, limits)
    traffic = without_proof(traffic, known, limits)
    unexplained = traffic.hits - reasoned
    posts = max(traffic.posts - reasoned, 0)
    if traffic.endpoint == "login":
        # Showing the form is no attempt, and a right password is answered with a redirect.
        posts = min(posts, _failed_logins(traffic, limits))
        unexplained = posts
    behind = traffic.behind_edge(limits)
    addresses = max(traffic.distinct - reasoned_addresses, 0)
    spread = behind or addresses >= limits["slow_spread"] * posts
    periods = {
        FLOOD: _flood(traffic, unexplained, limits),
        RISE: _rise(traffic, unexplained, limits),
        SLOW if spread else STEADY: _lasting(traffic, posts, limits),
        FALSE_BOTS: _false_bots(traffic, behind, limits),
    }
    seen = [(name, period) for name, period in periods.items() if period]
    pattern, (since, until) = seen[0] if seen else (None, (0, 0))
    return Judgement(
        pattern,
        since,
        until,
        unexplained,
        addresses,
        traffic.refused / traffic.hits if traffic.hits else 0.0,
        behind,
    )


def _failed_logins(traffic: Traffic, limits: Mapping[str, float]) -> int:
    failed = max(traffic.posts - traffic.statuses["302"], 0)
    return failed if failed >= limits["failed_logins"] * traffic.posts else 0


# Each of these says from when to when the pattern was seen; None where it was not.


def _flood(traffic: Traffic, unexplained: int, limits: Mapping[str, float]) -> Period | None:
    suspicious = bursts(traffic.bins, unexplained)
    lasted = _lasted(
        traffic, suspicious, traffic.step, limits["flood_per_minute"], limits["flood_minutes"] * 60
    )
    share = unexplained / traffic.hits if traffic.hits else 0
    if lasted or not traffic.peak_at or traffic.peak_minute * share < limits["peak_per_minute"]:
        return lasted
    return epoch(traffic.peak_at), epoch(traffic.peak_at) + 60


def _rise(traffic: Traffic, unexplained: int, limits: Mapping[str, float]) -> Period | None:
    if not traffic.bins:
        return None
    suspicious = bursts(traffic.bins, unexplained)
    level = statistics.median(suspicious) * 60 / traffic.step
    risen = max(limits["rise_per_minute"], limits["rise_factor"] * level)
    return _lasted(traffic, suspicious, traffic.step, risen, limits["rise_minutes"] * 60)


def _lasting(traffic: Traffic, posts: int, limits: Mapping[str, float]) -> Period | None:
    step, hours = hourly(trickle(traffic.bins, posts), traffic.step)
    lasted = _lasted(
        traffic, hours, step, limits["slow_per_hour"] / 60, limits["slow_hours"] * HOUR
    )
    return _from_its_rise(traffic, lasted) if lasted else None


def _from_its_rise(traffic: Traffic, period: Period) -> Period:
    """Who has a reason asks all day long: what is seen in the sum of all began where that rises."""
    begin = risen(traffic.bins)
    if begin is None:
        return period
    since, until = period
    at = traffic.begin + begin * traffic.step
    return (max(since, at), until) if at < until else period


def _lasted(
    traffic: Traffic, bins: Sequence[float], step: int, per_minute: float, seconds: float
) -> Period | None:
    numbers = busy(bins, step, per_minute)
    if len(numbers) * step < seconds or not numbers:
        return None
    return traffic.begin + numbers[0] * step, traffic.begin + (numbers[-1] + 1) * step


def _false_bots(traffic: Traffic, behind: bool, limits: Mapping[str, float]) -> Period | None:
    """Search engines read; one that posts is none. Behind a proxy nobody can tell."""
    posting = traffic.posts * 2 >= traffic.hits
    many = traffic.false_bots >= limits["false_bot_posts"]
    if behind or not (posting and many and traffic.first and traffic.last):
        return None
    return _from_its_rise(traffic, (epoch(traffic.first), epoch(traffic.last)))
