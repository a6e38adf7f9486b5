# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one endpoint of one site was asked, over all its logs, and which part of it has a reason.

A flood and an app look alike line by line. What tells them apart is what is left after taking away
those who are known: published networks, trusted clients, genuine search bots, and user agents that
behave as they say.
"""

from __future__ import annotations

import ipaddress
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import claims, known_networks
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import is_trusted
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import epoch, mapping

REFUSALS = ("401", "403", "404", "410", "429", "444")
NAMES = ("author_by_id", "rest_users", "users_sitemap")
HOUR = 3600

# The addresses that a proxy of one's own has. ipaddress's is_private also counts what is set aside
# for documentation.
_LOCAL = tuple(
    ipaddress.ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1")
)

_PROOF_ADDRESSES = 4
"""From which a proof comes at most: loopback and an address of the host's own, of either family."""


@dataclass(frozen=True)
class Known:
    """Whom a host knows: ``trusted`` networks of the policy, ``own`` addresses of the host and the
    address of its operator's session. ``loop``: whether the server passes requests on to itself,
    so that its own address is a client without being a proxy."""

    trusted: Sequence[str] = ()
    own: frozenset[str] = frozenset()
    operator: str | None = None
    loop: bool = False


@dataclass
class Traffic:
    """All requests for one endpoint of one site. ``bins`` counts them per ``step`` seconds from
    ``begin``, in seconds since the epoch."""

    site: str | None
    endpoint: str
    logs: list[str] = field(default_factory=list)
    hits: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)
    parties: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    distinct: int = 0
    peak_minute: int = 0
    peak_at: str | None = None
    peak_second: int = 0
    first: str | None = None
    last: str | None = None
    claimed: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    unconfirmed: set[str] = field(default_factory=set)
    begin: int = 0
    step: int = 60
    bins: list[int] = field(default_factory=list)

    @property
    def posts(self) -> int:
        """Requests that can call a method or try a password; all, where the log has no method."""
        return self.methods["POST"] if self.methods else self.hits

    @property
    def refused(self) -> int:
        """Requests that somebody refused."""
        return sum(self.statuses[status] for status in REFUSALS)

    @property
    def false_bots(self) -> int:
        """Requests in the name of a search engine from addresses that are not its own."""
        return sum(
            counts["hits"] - counts["genuine"]
            for claim, counts in self.claimed.items()
            if claims.KIND.get(claim) == claims.SEARCH_BOT and claim not in self.unconfirmed
        )

    def edges(self) -> int:
        """Requests that came from a delivery network or a proxy of one's own."""
        return sum(self.parties[party] for party in known_networks.EDGES) + self.local()

    def local(self) -> int:
        """Requests that came from loopback or private addresses."""
        return sum(hits for address, hits in self.clients.items() if is_local(address))

    def behind_edge(self, limits: Mapping[str, float]) -> bool:
        """Whether the log shows a proxy's addresses instead of the clients'."""
        return self.hits > 0 and self.edges() >= limits["edge_share"] * self.hits


def strangers(traffic: Traffic, known: Known, limits: Mapping[str, float]) -> list[tuple[str, int]]:
    """The busiest clients with their requests, without those that are known by their address and
    those whose requests may all be of an app or editor that is believed."""
    calm = without_proof(traffic, known, limits)
    believed = [
        (counts, traffic.examples[claim])
        for claim, counts in traffic.claimed.items()
        if _believed(calm, claim, counts, traffic.behind_edge(limits), limits)
    ]
    return [
        (address, hits)
        for address, hits in traffic.clients.most_common()
        if not _has_reason(traffic, address, known, limits)
        and known_networks.party_of(address) in (None, *known_networks.EDGES)
        and not any(
            hits <= counts["hits"] and (address in named or len(named) < counts["addresses"])
            for counts, named in believed
        )
    ]


def _has_reason(traffic: Traffic, address: str, known: Known, limits: Mapping[str, float]) -> bool:
    """Whether an address is trusted, the operator's or the host's own."""
    if address == known.operator or is_trusted(address, known.trusted):
        return True
    if address not in known.own and not is_local(address):
        return False
    # Where most comes through a proxy of one's own, its address says nothing, unless it is so
    # little that it may well be the host's own proof.
    local = traffic.local()
    proxied = local >= limits["edge_share"] * traffic.hits
    proof = (
        local <= limits["proof_requests"]
        and traffic.peak_minute * 4 >= traffic.hits
        and sum(map(is_local, traffic.clients)) <= _PROOF_ADDRESSES
    )
    return known.loop or not proxied or proof or traffic.endpoint in NAMES


def without_proof(traffic: Traffic, known: Known, limits: Mapping[str, float]) -> Traffic:
    """The traffic with its highest bins cut by what the operator's and the host's own addresses
    asked for: a proof is a burst, and what others asked for all day must not be taken for it."""
    left = sum(
        hits
        for address, hits in traffic.clients.items()
        if (address == known.operator or address in known.own or is_local(address))
        and _has_reason(traffic, address, known, limits)
    )
    left = min(left, int(limits["proof_requests"]))
    bins = list(traffic.bins)
    peak = max(traffic.peak_minute - left, 0)
    for number in sorted(range(len(bins)), key=bins.__getitem__, reverse=True):
        cut = min(bins[number], left)
        bins[number] -= cut
        left -= cut
    return replace(traffic, bins=bins, peak_minute=peak)


def is_local(address: str) -> bool:
    """Whether an address is loopback or private."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == one.version and parsed in one for one in _LOCAL)


def pool(rows: Iterable[Mapping[str, Any]]) -> list[Traffic]:
    """The evidence's access rows, those of one site and endpoint put together."""
    grouped: dict[tuple[str | None, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["site"], row["endpoint"]), []).append(row)
    return [_pooled(site, endpoint, parts) for (site, endpoint), parts in grouped.items()]


def _pooled(site: str | None, endpoint: str, rows: Sequence[Mapping[str, Any]]) -> Traffic:
    total = Traffic(site, endpoint)
    for row in rows:
        total.logs.append(row["log"])
        total.hits += row["hits"]
        total.statuses.update(mapping(row.get("statuses")))
        total.methods.update(mapping(row.get("methods")))
        total.parties.update(mapping(row.get("parties")))
        total.distinct += row.get("distinct_clients") or 0
        if _peak(row.get("peak_per_minute")) > total.peak_minute:
            total.peak_minute = _peak(row.get("peak_per_minute"))
            total.peak_at = row["peak_per_minute"].get("at")
        total.peak_second = max(total.peak_second, _peak(row.get("peak_per_second")))
        for client in row.get("clients") or ():
            total.clients[_unmapped(client["address"])] += client["hits"]
        for one in row.get("claims") or ():
            counts = total.claimed.setdefault(one["claim"], Counter())
            counts["hits"] += one["hits"]
            counts["addresses"] += one["addresses"]
            counts["genuine"] += one["genuine_hits"] or 0
            total.examples.setdefault(one["claim"], []).extend(one.get("examples") or ())
            if one["genuine_hits"] is None:
                total.unconfirmed.add(one["claim"])
    times = [row[end] for row in rows for end in ("first", "last") if row.get(end)]
    total.first, total.last = min(times, default=None), max(times, default=None)
    timelines = [mapping(row.get("timeline")) for row in rows]
    total.begin, total.step, total.bins = _timeline(timelines)
    return total


def _unmapped(address: str) -> str:
    """The IPv4 address where a socket that serves both families shows it as an IPv6 one."""
    mapped = address[:7].lower() == "::ffff:" and "." in address
    return address[7:] if mapped else address


def _peak(peak: Any) -> int:
    return mapping(peak).get("count") or 0


def _timeline(parts: Sequence[Mapping[str, Any]]) -> tuple[int, int, list[int]]:
    """The sum of the rows' timelines in the coarsest of their steps: begin, step, counts."""
    drawn = [part for part in parts if part.get("counts") and part.get("from")]
    if not drawn:
        return 0, 60, []
    step = max(part["step"] for part in drawn)
    counts: Counter[int] = Counter()
    for part in drawn:
        start = epoch(part["from"])
        for series in part["counts"].values():
            for number, count in enumerate(series):
                counts[int(start + number * part["step"]) // step] += count
    first = min(counts)
    return first * step, step, [counts[number] for number in range(first, max(counts) + 1)]


def with_reason(traffic: Traffic, known: Known, limits: Mapping[str, float]) -> tuple[int, int]:
    """Requests that somebody known had a reason to send, and from how many addresses."""
    behind = traffic.behind_edge(limits)
    hits = addresses = 0
    for address, count in traffic.clients.items():
        if _has_reason(traffic, address, known, limits):
            hits += count
            addresses += 1
    calm, most = without_proof(traffic, known, limits), limits["known_per_minute"]
    published = _credible(calm, traffic.parties["jetpack"], most)
    for claim, counts in traffic.claimed.items():
        genuine = _credible(calm, counts["genuine"], most)
        if claim == "jetpack":
            published = max(published, genuine)
        else:
            hits += genuine
        addresses += round(counts["addresses"] * genuine / counts["hits"])
        unconfirmed = counts["hits"] - counts["genuine"]
        if unconfirmed and _believed(calm, claim, counts, behind, limits):
            hits += unconfirmed
            addresses += counts["addresses"]
    return min(hits + published, traffic.hits), addresses


def _credible(traffic: Traffic, hits: int, per_minute: float) -> int:
    """The requests of a part of the traffic, as long as that part stays below the rate. What it was
    at most in a minute is not known by itself, but no more than the whole, and than all of it."""
    return hits if min(traffic.peak_minute, hits) <= per_minute else 0


def _believed(
    traffic: Traffic,
    claim: str,
    counts: Counter[str],
    behind: bool,
    limits: Mapping[str, float],
) -> bool:
    """Whether a user agent that nothing confirms behaves as what it claims to be."""
    refuted = claim not in traffic.unconfirmed and not behind
    # Search engines read pages; they have no use for XML-RPC.
    misplaced = claims.KIND.get(claim) != claims.PUBLISHER and traffic.endpoint in (
        "xmlrpc",
        "login",
    )
    step, hours = hourly(trickle(traffic.bins, counts["hits"]), traffic.step)
    busy_hours = len(busy(hours, step, limits["publisher_per_hour"] / 60)) * step / HOUR
    return (
        not refuted
        and not misplaced
        and _credible(traffic, counts["hits"], limits["publisher_per_minute"]) > 0
        and busy_hours < limits["slow_hours"]
        and counts["hits"] >= limits["publisher_hits_per_address"] * counts["addresses"]
    )


def busy(bins: Sequence[float], step: int, per_minute: float) -> list[int]:
    """The bins with at least ``per_minute`` requests a minute, by number."""
    return [number for number, count in enumerate(bins) if count * 60 / step >= per_minute]


def hourly(bins: Sequence[float], step: int) -> tuple[int, list[float]]:
    """The bins put together to hours, as far as they are shorter than that: step, counts."""
    width = max(HOUR // step, 1)
    return width * step, [sum(bins[at : at + width]) for at in range(0, len(bins), width)]


def risen(bins: Sequence[int]) -> int | None:
    """The number of the bin with which the longest, strongest rise above the usual level begins;
    None where the level is not at least doubled."""
    if not sum(bins):
        return None
    line = sum(bins) / len(bins)
    begin, end = 0, len(bins)
    # The line settles half way between the level within and without, mostly at the second time.
    for _ in range(5):
        begin, end = _heaviest([count - line for count in bins])
        outside = len(bins) - (end - begin)
        within = sum(bins[begin:end]) / (end - begin)
        without = (sum(bins) - sum(bins[begin:end])) / outside if outside else 0.0
        line = (within + without) / 2
    return begin if within >= 2 * without else None


def _heaviest(values: Sequence[float]) -> tuple[int, int]:
    """The run of values with the greatest sum: from, up to but without."""
    best, found = values[0], (0, 1)
    total, begin = 0.0, 0
    for number, value in enumerate(values):
        if total <= 0:
            total, begin = 0.0, number
        total += value
        if total > best:
            best, found = total, (begin, number + 1)
    return found


def bursts(bins: Sequence[int], unexplained: int) -> list[float]:
    """How the requests without a reason lie in time if they come in bursts: in the bins that rise
    above the usual level, since who has a reason makes the level."""
    total = sum(bins)
    if unexplained >= total:
        return list(bins)
    level = statistics.median(bins)
    above = [max(count - level, 0) for count in bins]
    share = unexplained / (sum(above) or total)
    return [min(count, part * share) for count, part in zip(bins, above, strict=True)]


def trickle(bins: Sequence[int], unexplained: int) -> list[float]:
    """How they lie in time if they come evenly: everywhere the same share."""
    total = sum(bins)
    return [count * min(unexplained / total, 1) for count in bins] if total else []
