# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is counted of one site's endpoint, in bounded memory, and how the evidence shows it."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import eq, not_
from typing import Callable, Iterable, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.wpward.wordpress.plugins.module_utils.bounded import (
    DistinctCounter,
    PeakCounter,
    Room,
    Timeline,
    TopCounter,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso

OTHER = b"other"
METHODS = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE CONNECT PROPFIND REPORT MKCOL".split()
)
"""Those that get a count of their own: the word in a request line is the client's to choose."""
POINTS = 300
"""Of a time line in the evidence."""
_SHOWN = 20
_LABELS = 8
"""Statuses in a time line; the rest are added up as "other"."""
_EXAMPLES = 5


def text_of(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def network_of(address: str) -> str | None:
    """The /24 of an IPv4 address, the /48 of an IPv6 one; None for other text."""
    try:
        if ":" not in address:
            return socket.inet_ntoa(socket.inet_pton(socket.AF_INET, address)[:3] + b"\0") + "/24"
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return None
    return socket.inet_ntop(socket.AF_INET6, packed[:6] + b"\0" * 10) + "/48"


def _nobody(_text: object) -> None:
    return None


class Identities(NamedTuple):
    """How addresses and user agents are recognised; by default they are not."""

    party_of: Callable[[str], str | None] = _nobody
    """Address -> whose published range it lies in."""
    claim_of: Callable[[bytes], str | None] = _nobody
    """User agent -> what it claims to be."""
    kind_of: Mapping[str, str] = {}
    """Claim -> its kind."""
    party_of_claim: Callable[[str], str | None] = _nobody
    """Claim -> the party whose ranges make it genuine."""


UNKNOWN = Identities()

Group = Tuple[Optional[str], str]
"""Site id or None, and endpoint id."""
Classes = Tuple[Group, ...]

Joint = Tuple[int, bytes, bytes, bytes]
"""Minute since the epoch, client, status, method."""


@dataclass
class Claim:
    """Requests whose user agent claims to be one thing."""

    hits: int = 0
    genuine_hits: int = 0
    distinct: DistinctCounter = field(default_factory=DistinctCounter)
    examples: dict[bytes, None] = field(default_factory=dict)

    def add_examples(self, addresses: Iterable[bytes]) -> None:
        for address in addresses:
            if len(self.examples) >= _EXAMPLES:
                return
            self.examples[address] = None


class Target:
    """What lines count for: pairs of a site and an endpoint. It is compared by identity: fast."""

    __slots__ = ("groups",)

    def __init__(self, groups: Classes) -> None:
        self.groups = groups


class Kind:
    """What lines have in common that count for the same; compared by identity as well."""

    __slots__ = ("method", "status", "target")

    def __init__(self, target: Target, status: bytes, method: bytes) -> None:
        self.target = target
        self.status = status
        self.method = method


def _by_claim() -> defaultdict[str, dict[bytes, int]]:
    return defaultdict(dict)


@dataclass
class Hits:
    """Requests for one endpoint, counted within a piece of a log."""

    seconds: dict[int, int] = field(default_factory=dict)
    """By second since the epoch."""
    minutes: Counter[int] = field(default_factory=Counter)
    """By minute since the epoch."""
    times: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    """By (the first second of a minute, status)."""
    methods: Counter[bytes] = field(default_factory=Counter)
    clients: dict[bytes, int] = field(default_factory=dict)
    claims: defaultdict[str, dict[bytes, int]] = field(default_factory=_by_claim)
    """Claim -> client -> requests."""
    joint: Counter[Joint] = field(default_factory=Counter)
    """Left empty once ``Tally.joint`` is None."""

    def add_minute(self, minute: int, status: bytes, method: bytes, count: int) -> None:
        """``minute``: since the epoch."""
        self.minutes[minute] += count
        self.times[minute * 60, status] += count
        self.methods[method] += count


@dataclass
class Tally:
    """What is counted of one site's endpoint.

    ``joint`` has the exact number of requests by minute, client, status and method while those
    fit; it is None after that. Totals, minutes, seconds, statuses and methods always are exact;
    clients are as exact as they say.
    """

    room: Room
    identities: Identities
    party_of: Callable[[bytes], str | None]
    """What identities say of a logged address."""
    hits: int = 0
    first: int | None = None
    last: int | None = None
    joint: dict[Joint, int] | None = field(default_factory=dict)
    seconds: PeakCounter = field(default_factory=PeakCounter)
    minutes: PeakCounter = field(default_factory=PeakCounter)
    timeline: Timeline = field(default_factory=Timeline)
    methods: Counter[bytes] = field(default_factory=Counter)
    clients: TopCounter = field(default_factory=TopCounter)
    distinct: DistinctCounter = field(default_factory=DistinctCounter)
    claims: dict[str, Claim] = field(default_factory=dict)
    _networks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Hits and clients of the networks whose addresses no longer fit."""
    _parties: Counter[str] = field(default_factory=Counter)

    def __getstate__(self) -> dict[str, object]:
        """What travels between processes: room and identities are each one's own."""
        return {**self.__dict__, "room": None, "identities": None, "party_of": None}

    def add(self, hits: Hits) -> None:
        share = self.room.share
        self.hits += sum(hits.minutes.values())
        self._spread(min(hits.seconds), max(hits.seconds))
        self.seconds.update(hits.seconds, share)
        self.minutes.update(hits.minutes, share)
        self.timeline.update(hits.times, share)
        self.methods.update(hits.methods)
        self.distinct.update(hits.clients, share)
        self._add_clients(hits.clients)
        for claim, clients in hits.claims.items():
            self._add_claim(claim, clients)
        if hits.joint:
            self._add_joint(hits.joint)

    def _spread(self, first: int | None, last: int | None) -> None:
        if first is not None:
            self.first = first if self.first is None else min(self.first, first)
        if last is not None:
            self.last = last if self.last is None else max(self.last, last)

    def _add_clients(self, clients: Mapping[bytes, int]) -> None:
        for address, count in self.clients.update(clients, self.room.share):
            self._place(address, count, self._networks, self._parties)

    def _add_claim(self, name: str, clients: Mapping[bytes, int]) -> None:
        claim = self.claims.setdefault(name, Claim())
        claim.hits += sum(clients.values())
        claim.distinct.update(clients, self.room.share)
        party = self.identities.party_of_claim(name)
        # Those that are not what they claim to be are the ones to show.
        false: Iterable[bytes] = clients
        if party is not None:
            genuine = list(map(eq, map(self.party_of, clients), repeat(party)))
            claim.genuine_hits += sum(compress(clients.values(), genuine))
            false = list(compress(clients, map(not_, genuine)))
        claim.add_examples(false)

    def _add_joint(self, joint: Mapping[Joint, int] | None) -> None:
        if self.joint is None or joint is None:
            self.joint = None
            return
        mine = self.joint
        for key, count in joint.items():
            mine[key] = mine.get(key, 0) + count
        if len(mine) > self.room.share:
            self.joint = None

    def _place(
        self,
        address: bytes,
        count: int,
        networks: dict[str, tuple[int, int]],
        parties: Counter[str],
    ) -> None:
        """Count an address for its network and its party."""
        party = self.party_of(address)
        if party is not None:
            parties[party] += count
        network = network_of(text_of(address))
        if network is None:
            return
        hits, clients = networks.get(network, (0, 0))
        networks[network] = (hits + count, clients + 1)
        if len(networks) > self.room.share:
            ranked = sorted(networks.items(), key=lambda item: item[1], reverse=True)
            networks.clear()
            networks.update(ranked[: self.room.share // 2])

    def merge(self, other: Tally) -> None:
        """Take in what another process counted of the same site and endpoint."""
        share = self.room.share
        self.hits += other.hits
        self._spread(other.first, other.last)
        self.seconds.merge(other.seconds, share)
        self.minutes.merge(other.minutes, share)
        self.timeline.merge(other.timeline, share)
        self.methods.update(other.methods)
        self.distinct.merge(other.distinct, share)
        self.clients.exact = self.clients.exact and other.clients.exact
        self._add_clients(other.clients.counts)
        for network, (hits, clients) in other._networks.items():
            mine = self._networks.get(network, (0, 0))
            self._networks[network] = (mine[0] + hits, mine[1] + clients)
        self._parties.update(other._parties)
        for name, claim in other.claims.items():
            own = self.claims.setdefault(name, Claim())
            own.hits += claim.hits
            own.genuine_hits += claim.genuine_hits
            own.distinct.merge(claim.distinct, share)
            own.add_examples(claim.examples)
        self._add_joint(other.joint)

    def describe(self, top: int = _SHOWN) -> dict[str, object]:
        """The evidence's form; addresses, methods and statuses as text. ``top``: how many clients
        and networks."""
        minute, per_minute = self.minutes.peak()
        second, per_second = self.seconds.peak()
        networks, parties = dict(self._networks), Counter(self._parties)
        for address, count in self.clients.counts.items():
            self._place(address, count, networks, parties)
        largest = sorted(networks.items(), key=lambda item: (-item[1][0], item[0]))[:top]
        statuses = self.timeline.totals()
        return {
            "hits": self.hits,
            "peak_per_minute": {"count": per_minute, "at": iso(minute * 60)},
            "peak_per_second": {"count": per_second, "at": iso(second)},
            "statuses": {text_of(status): statuses[status] for status in sorted(statuses)},
            "methods": {text_of(method): self.methods[method] for method in sorted(self.methods)},
            "first": iso(self.first or 0),
            "last": iso(self.last or 0),
            "timeline": self._timeline(statuses),
            "clients": [
                {"address": text_of(address), "hits": hits}
                for address, hits in self.clients.top(top)
            ],
            "clients_exact": self.clients.exact,
            "distinct_clients": self.distinct.count,
            "distinct_clients_exact": self.distinct.exact,
            "networks": [
                {"network": network, "hits": hits, "clients": clients}
                for network, (hits, clients) in largest
            ],
            "parties": dict(sorted(parties.items())),
            "claims": [self._claim(name) for name in sorted(self.claims)],
        }

    def _timeline(self, statuses: Mapping[bytes, int]) -> dict[str, object]:
        start, step, rows = self.timeline.dense(POINTS)
        usual = sorted(statuses, key=lambda status: (-statuses[status], status))[:_LABELS]
        counts: dict[str, list[int]] = {}
        for status, row in sorted(rows.items()):
            label = text_of(status if status in usual else OTHER)
            before = counts.get(label)
            counts[label] = [sum(pair) for pair in zip(before, row)] if before else row
        return {"from": iso(start), "step": step, "counts": counts}

    def _claim(self, name: str) -> dict[str, object]:
        claim = self.claims[name]
        known = self.identities.party_of_claim(name) is not None
        return {
            "claim": name,
            "kind": self.identities.kind_of.get(name),
            "hits": claim.hits,
            "addresses": claim.distinct.count,
            "genuine_hits": claim.genuine_hits if known else None,
            "examples": [text_of(address) for address in claim.examples],
        }
