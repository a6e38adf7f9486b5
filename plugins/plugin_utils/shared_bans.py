# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From the evidence of all hosts to the addresses that every one of them refuses: a pure function.

An address is on the list because of what it asked for itself on a host that its plan calls
attacked, never because of its neighbours. Who is known for any reason is not: one wrong entry here
shuts somebody out of a whole fleet.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import (
    IPv4Network,
    IPv6Network,
    collapse_addresses,
    ip_network,
)
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import XMLRPC
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import RANGES
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    parse_trusted,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    ATTACK,
    epoch,
    mapping,
    plural,
    quote,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.thresholds import (
    complete_thresholds,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    Known,
    Traffic,
    pool,
    strangers,
)

Network = IPv4Network | IPv6Network

WEEK = 7 * 24 * 3600
THRESHOLDS = {one.id: one.ban.max_refusals for one in (XMLRPC,) if one.ban}
"""Requests from which on an address is an attacker, by endpoint. Only of these: the evidence does
not tell which visits to the login page failed, and editors ask for user names all day."""

_FINDINGS = {"xmlrpc_attack": "xmlrpc", "xmlrpc_low_and_slow": "xmlrpc"}
_WIDEST = {4: 8, 6: 19}
"""No registry gives anybody more than a /8 or a /19: a shorter prefix is a slip of the keyboard."""

# Whom strangers on the Internet cannot be: private, shared behind a provider (100.64.0.0/10),
# special; of IPv6 all that is not handed out, and what carries somebody else's IPv4 (6to4, Teredo).
_NOBODYS = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
    "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/3 "
    "::/3 4000::/2 8000::/1 2001::/32 2002::/16"
)
_DOCUMENTATION = "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32"
OWN = "own"


class SharedBansError(ValueError):
    """A setting makes no sense; the text says what and what to do."""


@dataclass(frozen=True)
class Settings:
    """What the operator decides.

    ignore: networks that are never banned, of every host. expiry: seconds from the last request.
    thresholds: requests by endpoint. limit: entries at most. prefix6: 64 to ban the /64 of an IPv6
    attacker, 128 for the address alone. own: addresses and networks of the operator's own list.
    documentation: whether addresses set aside for documentation are banned, for tests. now: seconds
    since the epoch.
    """

    ignore: Sequence[str] = ()
    expiry: int = WEEK
    thresholds: Mapping[str, int] = field(default_factory=lambda: dict(THRESHOLDS))
    limit: int = 100_000
    prefix6: int = 128
    own: Sequence[Any] = ()
    documentation: bool = False
    now: float = field(default_factory=time.time)


@dataclass
class _Entry:
    network: Network
    expires: float | None
    hits: int = 0
    hosts: tuple[str, ...] = ()
    reason: str = ""
    own: bool = False

    @cached_property
    def text(self) -> str:
        """The address alone where it is one."""
        whole = self.network.prefixlen == self.network.max_prefixlen
        return str(self.network.network_address if whole else self.network)

    @cached_property
    def order(self) -> tuple[int, int, int]:
        return self.network.version, int(self.network.network_address), self.network.prefixlen


class _Ignored:
    """Networks, merged so that one search answers whether an address lies in any of them."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._ranges: dict[int, tuple[list[int], list[int]]] = {}
        given = list(networks)
        for version in (4, 6):
            merged = list(collapse_addresses(one for one in given if one.version == version))  # type: ignore[type-var]
            self._ranges[version] = (
                [int(one.network_address) for one in merged],
                [int(one.broadcast_address) for one in merged],
            )

    def touches(self, network: Network) -> bool:
        firsts, lasts = self._ranges[network.version]
        index = bisect_right(firsts, int(network.broadcast_address)) - 1
        return index >= 0 and lasts[index] >= int(network.network_address)


def shared_bans(
    hosts: Mapping[str, Mapping[str, Any]], settings: Settings, earlier: Iterable[str] = ()
) -> dict[str, Any]:
    """The bans that all hosts share.

    hosts: by name, ``evidence`` and ``plan`` of each. earlier: the lists that are in force on the
    hosts (as ``text`` of an earlier result): whoever is banned is not seen again, and stays on the
    list until the time is over.

    Returns ``entries``, in the order of their addresses, with ``address`` (or a network),
    ``expires`` (None for ever), ``hits``, ``hosts`` and ``reason``; the same as the ``text`` of a
    list; how many are ``networks``; how many were ``left_out`` for the limit; and ``notes``.
    Raises SharedBansError for settings that make no sense.
    """
    _check(settings)
    ignored = _Ignored(_everybody_known(hosts, settings))
    notes: list[str] = []
    own = _own(settings, ignored, notes)
    found = _seen(hosts, settings, ignored)
    for entry in _parsed(earlier, settings, ignored):
        kept = found.get(entry.network)
        if kept is None:
            found[entry.network] = entry
        elif entry.expires and entry.expires - settings.now > settings.expiry / 2:
            # Else every run would write every host's list anew for a few minutes more.
            kept.expires, kept.hits = entry.expires, entry.hits
    for entry in own:
        found.pop(entry.network, None)
    worst = sorted(found.values(), key=lambda one: (-one.hits, one.order))
    room = max(settings.limit - len(own), 0)
    left_out = len(worst[room:])
    if left_out:
        notes.append(
            f"{plural(left_out, 'address')} of {len(worst) + len(own)} left out of the shared "
            f"bans, those with the fewest requests, because the limit is {settings.limit}."
        )
    entries = sorted(own + worst[:room], key=lambda one: one.order)
    return {
        "entries": [
            {
                "address": one.text,
                "expires": None if one.expires is None else _iso(one.expires),
                "hits": one.hits,
                "hosts": list(one.hosts),
                "reason": one.reason,
            }
            for one in entries
        ],
        "text": "".join(_line(one) for one in entries),
        "networks": sum("/" in one.text for one in entries),
        "left_out": left_out,
        "notes": notes,
    }


def _check(settings: Settings) -> None:
    if not 60 <= settings.expiry <= 366 * 24 * 3600:
        raise SharedBansError(
            f"The shared bans expire after {settings.expiry} seconds; take 60 to 31622400."
        )
    if not 1 <= settings.limit <= 1_000_000:
        raise SharedBansError(
            f"The limit of the shared bans is {settings.limit}; take 1 to 1000000."
        )
    if settings.prefix6 not in (64, 128):
        raise SharedBansError(
            f"The shared bans of IPv6 are for /{settings.prefix6}; take 64 (the network of an "
            "attacker) or 128 (the address alone)."
        )
    for endpoint, number in settings.thresholds.items():
        if endpoint not in THRESHOLDS:
            raise SharedBansError(
                f"The shared bans have no threshold for {endpoint!r}; known are: "
                f"{', '.join(THRESHOLDS)}."
            )
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise SharedBansError(
                f"The threshold of the shared bans for {endpoint} is {number!r}; write a whole "
                "number above 0."
            )


def _everybody_known(
    hosts: Mapping[str, Mapping[str, Any]], settings: Settings
) -> Iterable[Network]:
    for given in settings.ignore:
        try:
            yield from parse_trusted([given])
        except PolicyError as error:
            raise SharedBansError(str(error)) from error
    special = _NOBODYS if settings.documentation else f"{_NOBODYS} {_DOCUMENTATION}"
    yield from map(ip_network, special.split())
    for ranges in RANGES.values():
        yield from map(ip_network, ranges.split())
    for document in hosts.values():
        host = mapping(mapping(document.get("evidence")).get("host"))
        for address in (
            *(host.get("addresses") or ()),
            *(host.get("gateways") or ()),
            host.get("controller_address"),
        ):
            parsed = _network(address)
            if parsed is not None:
                yield parsed


def _network(text: Any) -> Network | None:
    """The network; None for anything else. What a socket of both families says is IPv4."""
    if not isinstance(text, str):
        return None
    try:
        return parse_trusted([text])[0]
    except PolicyError:
        return None


def _own(settings: Settings, ignored: _Ignored, notes: list[str]) -> list[_Entry]:
    entries: dict[Network, _Entry] = {}
    for given in settings.own:
        one = given if isinstance(given, Mapping) else {"address": given}
        network = _network(one.get("address"))
        if network is None or network.prefixlen < _WIDEST[network.version]:
            raise SharedBansError(
                f"The list of your own bans names {one.get('address')!r}, which is not an address "
                "or a network (CIDR) of at most a /8 of IPv4 or a /19 of IPv6."
            )
        expires = _time(one.get("expires"))
        if ignored.touches(network):
            notes.append(
                f"{network} of your own bans is left out, because it holds an address that is "
                "trusted, of a host, of a delivery network, of a search engine, or not public."
            )
        elif expires is None or expires > settings.now:
            reason = quote(one.get("reason") or "")
            entries[network] = _Entry(network, expires, reason=reason, own=True)
    return list(entries.values())


def _time(text: Any) -> float | None:
    if text is None:
        return None
    try:
        return epoch(text)
    except (TypeError, ValueError):
        raise SharedBansError(
            f"The list of your own bans has the time {text!r}; write it as 2026-11-29T08:00:00Z."
        ) from None


def _seen(
    hosts: Mapping[str, Mapping[str, Any]], settings: Settings, ignored: _Ignored
) -> dict[Network, _Entry]:
    found: dict[Network, _Entry] = {}
    for name in sorted(hosts):
        here: dict[tuple[str, Network], tuple[int, float]] = {}
        for traffic, last, address, hits in _attackers(hosts[name], settings):
            for network in _candidates(address, settings, ignored):
                before, latest = here.get((traffic.endpoint, network), (0, 0.0))
                here[traffic.endpoint, network] = before + hits, max(latest, last)
        for (endpoint, network), (hits, last) in here.items():
            expires = last + settings.expiry
            if hits < settings.thresholds[endpoint] or expires <= settings.now:
                continue
            entry = found.setdefault(network, _Entry(network, expires))
            entry.expires = max(entry.expires or 0, expires)
            entry.hits += hits
            if name not in entry.hosts:
                entry.hosts += (name,)
    return found


def _attackers(
    document: Mapping[str, Any], settings: Settings
) -> Iterable[tuple[Traffic, float, str, int]]:
    """Traffic under attack, when it was last seen, and each stranger in it with the requests."""
    evidence, plan = mapping(document.get("evidence")), mapping(document.get("plan"))
    attacked = {
        (_FINDINGS[one["id"]], one["site"])
        for one in plan.get("findings") or ()
        if one["id"] in _FINDINGS and one["verdict"] == ATTACK
    }
    host = mapping(evidence.get("host"))
    known = Known(
        own=frozenset(host.get("addresses") or ()),
        operator=host.get("controller_address"),
    )
    limits = complete_thresholds({})
    for traffic in pool(evidence.get("access") or ()):
        if (traffic.endpoint, traffic.site) not in attacked:
            continue
        # Through a proxy the log has the proxy's address for everybody.
        if traffic.endpoint not in settings.thresholds or traffic.behind_edge(limits):
            continue
        last = epoch(traffic.last or evidence["collected_at"])
        for address, hits in strangers(traffic, known, limits):
            yield traffic, last, address, hits


def _candidates(address: str, settings: Settings, ignored: _Ignored) -> Iterable[Network]:
    """The network to ban for an address, none where that would hit somebody known."""
    network = _network(address)
    if network is None or network.prefixlen != network.max_prefixlen:
        return
    wider = network.supernet(new_prefix=64) if network.version == 6 else network
    if settings.prefix6 == 64 and not ignored.touches(wider):
        network = wider
    if not ignored.touches(network):
        yield network


def _line(entry: _Entry) -> str:
    expires = "-" if entry.expires is None else _iso(entry.expires)
    return f"{entry.text} {expires} {OWN if entry.own else entry.hits}\n"


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


@lru_cache(maxsize=1024)
def _listed_time(text: str) -> float:
    # A list has few different times, as an attack ends for all its addresses at once.
    return epoch(text)


def _parsed(texts: Iterable[str], settings: Settings, ignored: _Ignored) -> Iterable[_Entry]:
    """What is still in force of earlier lists. The operator's own entries stand in the settings; a
    line that nobody of ours wrote is not taken over."""
    best: dict[Network, _Entry] = {}
    for line in {line for text in texts for line in text.splitlines()}:
        words = line.split()
        network = _network(words[0]) if len(words) == 3 else None
        if network is None or not words[2].isdecimal():
            continue
        try:
            expires = _listed_time(words[1])
        except ValueError:
            continue
        hits = int(words[2])
        # The longest that this run could give: a list that was written by hand ends, too.
        expires = min(expires, settings.now + settings.expiry)
        if expires <= settings.now or ignored.touches(network):
            continue
        entry = best.setdefault(network, _Entry(network, expires, hits))
        entry.expires, entry.hits = max(entry.expires or 0, expires), max(entry.hits, hits)
    return best.values()
