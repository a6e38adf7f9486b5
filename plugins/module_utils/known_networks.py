# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose published address ranges an address lies in: delivery networks, search bots, Jetpack.

The table is as old as DATED says. An address in it is what it seems; one that is not in it may be
new since then, so an old table can miss a genuine visitor but does not vouch for a false one, as
long as no range has changed hands. What is shipped was taken from dated public copies of the lists;
``wpward networks --refresh`` reads the lists themselves.
"""

from __future__ import annotations

import socket
from bisect import bisect_right
from functools import lru_cache

from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import (
    DATES,
    RANGES,
)

SOURCES = {
    "cloudfront": ("https://ip-ranges.amazonaws.com/ip-ranges.json",),
    "cloudflare": ("https://www.cloudflare.com/ips-v4", "https://www.cloudflare.com/ips-v6"),
    "fastly": ("https://api.fastly.com/public-ip-list",),
    "googlebot": (
        "https://developers.google.com/static/crawling/ipranges/common-crawlers.json",
        "https://developers.google.com/static/crawling/ipranges/special-crawlers.json",
    ),
    "bingbot": ("https://www.bing.com/toolbox/bingbot.json",),
    "applebot": ("https://search.developer.apple.com/applebot.json",),
    "duckduckbot": ("https://duckduckgo.com/duckduckbot.json",),
    "jetpack": ("https://jetpack.com/ips-v4.txt",),
}
"""party -> the addresses of its published lists, which together are all of its ranges."""

EDGES = ("cloudfront", "cloudflare", "fastly")
"""The parties that pass on requests of others: a ban of their addresses bans every visitor."""

DATED = {party: {"date": DATES[party], "source": SOURCES[party][0]} for party in SOURCES}
"""party -> when its list was read, and where it is published."""

_BITS = {socket.AF_INET: 32, socket.AF_INET6: 128}
_MAPPED = b"\0" * 10 + b"\xff\xff"


def range_of(network: str) -> tuple[int, int, int]:
    """Address family, first and last address of "192.0.2.0/24" or "192.0.2.7", as numbers.

    Raises ValueError for anything else, also where bits are set behind the prefix.
    """
    address, slash, length = network.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        first = int.from_bytes(socket.inet_pton(family, address), "big")
    except OSError as error:
        raise ValueError(f"{network} is not an address") from error
    bits = _BITS[family]
    if slash and not (length.isascii() and length.isdigit() and int(length) <= bits):
        raise ValueError(f"{network} is not a network")
    size = 1 << (bits - int(length)) if slash else 1
    if first % size:
        raise ValueError(f"{network} is not a network: it has bits set behind its prefix")
    return family, first, first + size - 1


@lru_cache(maxsize=1)
def _table() -> dict[int, tuple[list[int], list[int], list[str]]]:
    """Per address family: first addresses in order, last addresses, parties."""
    rows: dict[int, list[tuple[int, int, str]]] = {family: [] for family in _BITS}
    for party, networks in RANGES.items():
        for network in networks.split():
            family, first, last = range_of(network)
            rows[family].append((first, last, party))
    table = {}
    for family, ranges in rows.items():
        ranges.sort()
        table[family] = (
            [first for first, _last, _party in ranges],
            [last for _first, last, _party in ranges],
            [party for _first, _last, party in ranges],
        )
    return table


def party_of(address: str) -> str | None:
    """The party in whose published ranges an address lies; None for any other text too."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        packed = socket.inet_pton(family, address)
    except (OSError, ValueError):
        return None
    if packed.startswith(_MAPPED) and len(packed) == 16:
        # How a socket that serves both families shows an IPv4 client.
        family, packed = socket.AF_INET, packed[12:]
    number = int.from_bytes(packed, "big")
    firsts, lasts, parties = _table()[family]
    index = bisect_right(firsts, number) - 1
    if index < 0 or number > lasts[index]:
        return None
    return parties[index]


def party_of_claim(claim: str) -> str | None:
    """The party whose ranges make a claim of claims.py genuine.

    None where no ranges are published: such a claim is neither genuine nor false, but unknown.
    """
    return claim if claim in SOURCES and claim not in EDGES else None
