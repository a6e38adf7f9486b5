# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a log shows a delivery network or a proxy instead of the clients, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from ansible_collections.wpward.wordpress.plugins.module_utils import known_networks
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import quote
from ansible_collections.wpward.wordpress.plugins.plugin_utils.judgement import judge
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    Known,
    Traffic,
    is_local,
)

PASSWORD_ENDPOINTS = ("xmlrpc", "login")
"""What can be attacked with passwords, and so what is judged."""

_ENOUGH = 10
"""Requests from a delivery network's published ranges that cannot be chance."""


@dataclass(frozen=True)
class Edge:
    """Who passes requests on.

    parties: delivery networks. proxies: local addresses. hits: requests. addresses: of those that
    the evidence lists. all_listed: whether there are no more of them.
    """

    parties: tuple[str, ...]
    proxies: tuple[str, ...]
    hits: int
    addresses: int
    all_listed: bool

    @property
    def certain(self) -> bool:
        """Whether all of them are known to pass requests on."""
        return all(ip_address(address).is_loopback for address in self.proxies)

    @property
    def whose(self) -> str:
        """Who that is, in words."""
        return " and ".join([*self.parties, *map(_local_proxy, self.proxies[:1])])


def _local_proxy(address: str) -> str:
    if ip_address(address).is_loopback:
        return f"a proxy of your own ({quote(address)})"
    return f"a private network, most likely a proxy of your own ({quote(address)})"


def edge_of(traffic: Traffic, limits: Mapping[str, float]) -> Edge:
    """Who passes on the requests of traffic that is behind an edge."""
    parties = tuple(party for party in known_networks.EDGES if traffic.parties[party])
    hits = sum(traffic.parties[party] for party in parties)
    listed = {
        address: count
        for address, count in traffic.clients.items()
        if known_networks.party_of(address) in parties
    }
    proxies: tuple[str, ...] = ()
    # Beside a delivery network some requests from the host's own network make no proxy.
    if hits < limits["edge_share"] * traffic.hits:
        local = {address: count for address, count in traffic.clients.items() if is_local(address)}
        proxies = tuple(local)
        hits += sum(local.values())
        listed |= local
    return Edge(parties, proxies, hits, len(listed), sum(listed.values()) >= hits)


def delivery_networks(
    traffics: Sequence[Traffic], known: Known, limits: Mapping[str, float]
) -> list[str]:
    """The delivery networks through which most requests of some site and endpoint came, attack or
    not, the busiest first. What the host and its operator asked for themselves does not count."""
    hits = dict.fromkeys(known_networks.EDGES, 0)
    for traffic in traffics:
        ours = sum(
            count
            for address, count in traffic.clients.items()
            if address in known.own or address == known.operator or is_local(address)
        )
        through = sum(traffic.parties[party] for party in known_networks.EDGES)
        if through >= max(_ENOUGH, limits["edge_share"] * (traffic.hits - ours)):
            for party in known_networks.EDGES:
                hits[party] += traffic.parties[party]
    return sorted((party for party in hits if hits[party]), key=lambda party: -hits[party])


def local_proxies(
    traffics: Sequence[Traffic], known: Known, limits: Mapping[str, float]
) -> list[str]:
    """The local addresses that pass requests on, where what the log shows of them stands out. That
    little else is asked for from a private network tells nothing."""
    found: dict[str, None] = {}
    for traffic in traffics:
        if traffic.endpoint in PASSWORD_ENDPOINTS and traffic.behind_edge(limits):
            judgement = judge(traffic, known, limits)
            if judgement.pattern:
                found |= dict.fromkeys(edge_of(traffic, limits).proxies)
    return list(found)
