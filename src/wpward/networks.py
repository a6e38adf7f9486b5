# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward networks``: how old the table of published address ranges is, and bring it up to date.

A wrong table would call an attacker a search bot, so a list is taken only if it can be what it says
it is: public addresses, not wider than anybody's real ranges, not much smaller than the last one,
and nobody else's.
"""

from __future__ import annotations

import argparse
import ast
import ipaddress
import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.wpward.wordpress.plugins.module_utils import known_networks_data
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import SOURCES

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

TIMEOUT = 15.0
_MAX_BYTES = 16 * 1024 * 1024
_WIDEST = {4: 8, 6: 20}
"""Shortest prefix taken for somebody's ranges; the widest published ones are /13 and /28."""
_PUBLIC = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("2000::/3")}
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001:db8::/32",
        "2002::/16",
    )
]


class Refused(Exception):
    """A list that was read but is not taken; the text is the reason."""


class Unreachable(Exception):
    """A list that could not be read; the text is the reason."""


@dataclass(frozen=True)
class Table:
    """What known_networks_data.py holds: party -> date (ISO), party -> merged ranges."""

    dates: Mapping[str, str]
    ranges: Mapping[str, Sequence[Network]]


def shipped() -> Table:
    """The table as it is installed."""
    return Table(
        dates=dict(known_networks_data.DATES),
        ranges={
            party: [ipaddress.ip_network(network) for network in text.split()]
            for party, text in known_networks_data.RANGES.items()
        },
    )


def merged(networks: Iterable[Network]) -> list[Network]:
    """The same addresses in as few networks as possible, IPv4 first, in order."""
    given = list(networks)
    v4 = [network for network in given if isinstance(network, ipaddress.IPv4Network)]
    v6 = [network for network in given if isinstance(network, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)]


# --- reading -------------------------------------------------------------------------------------


def _amazon(document: object) -> list[object]:
    if not isinstance(document, dict):
        return []
    return [
        row.get(key)
        for rows, key in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix"))
        for row in document.get(rows, [])
        # Edges reach an origin from both lists, which overlap only in part.
        if row.get("service") in ("CLOUDFRONT", "CLOUDFRONT_ORIGIN_FACING")
    ]


def _fastly(document: object) -> list[object]:
    if not isinstance(document, dict):
        return []
    return [*document.get("addresses", []), *document.get("ipv6_addresses", [])]


def _prefixes(document: object) -> list[object]:
    if not isinstance(document, dict):
        return []
    return [
        row.get("ipv4Prefix", row.get("ipv6Prefix")) for row in document.get("prefixes", []) if row
    ]


_JSON: dict[str, Callable[[object], list[object]]] = {"cloudfront": _amazon, "fastly": _fastly}
_LINES = ("cloudflare", "jetpack")


def networks_in(party: str, content: bytes) -> list[Network]:
    """The networks of one published list.

    Raises:
        Refused: it does not have the form in which this party publishes.
    """
    try:
        text = content.decode()
        if party in _LINES:
            found: list[object] = [*text.split()]
        else:
            found = _JSON.get(party, _prefixes)(json.loads(text))
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise Refused("it does not have the form that was expected") from error
    networks = []
    for entry in found:
        try:
            if not isinstance(entry, str):
                raise ValueError
            networks.append(ipaddress.ip_network(entry))
        except ValueError as error:
            raise Refused(f"it holds {str(entry)[:60]!r}, which is not a network") from error
    return networks


def _size(networks: Iterable[Network], version: int) -> int:
    return sum(network.num_addresses for network in networks if network.version == version)


def check(party: str, networks: Sequence[Network], table: Table) -> None:
    """Whether a party's new ranges can replace those of the table.

    Raises:
        Refused: they cannot be genuine.
    """
    if not networks:
        raise Refused("it is empty")
    for network in networks:
        if network.prefixlen < _WIDEST[network.version]:
            raise Refused(f"it holds {network}, which is wider than anybody's ranges")
        public = _PUBLIC[network.version]
        if not network.subnet_of(public) or any(  # type: ignore[arg-type]
            network.version == never.version and network.overlaps(never) for never in _NEVER
        ):
            raise Refused(f"it holds {network}, which are not public addresses")
    old = table.ranges.get(party, ())
    for version in (4, 6):
        before, after = _size(old, version), _size(networks, version)
        if after < before / 2:
            raise Refused(
                f"it has shrunk to {100 * after // before} % of its IPv{version} addresses"
            )
    everything = sorted(
        (network.version, int(network[0]), int(network[-1]), owner)
        for owner, ranges in {**table.ranges, party: networks}.items()
        for network in ranges
    )
    # One party's ranges do not overlap, so two parties' can be seen on neighbours.
    for one, other in pairwise(everything):
        if one[0] == other[0] and other[1] <= one[2] and party in (one[3], other[3]):
            address = ipaddress.ip_address(other[1])
            theirs = one[3] if other[3] == party else other[3]
            raise Refused(f"it holds {address}, which {theirs} has published as its own")


def fetch(address: str, timeout: float = TIMEOUT) -> bytes:
    """What an address answers. ``timeout``: seconds for all of it.

    Raises:
        Unreachable: no answer, not in time, not an answer of 200, or too long a one.
    """
    deadline = time.monotonic() + timeout
    request = urllib.request.Request(address, headers={"User-Agent": "wpward"})
    content = bytearray()
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            if urlsplit(answer.geturl()).scheme != urlsplit(address).scheme:
                raise Unreachable("it was redirected to another protocol")
            while chunk := answer.read1(65536):
                content += chunk
                if len(content) > _MAX_BYTES:
                    raise Unreachable(f"it is longer than {_MAX_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise Unreachable(f"it was not complete within {timeout:g} seconds")
    except urllib.error.HTTPError as error:
        raise Unreachable(f"it answered {error.code}") from error
    except urllib.error.URLError as error:
        raise Unreachable(str(getattr(error.reason, "strerror", None) or error.reason)) from error
    except (OSError, HTTPException) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    return bytes(content)


def content_of(place: str, timeout: float) -> bytes:
    """What an address answers, or what a file holds.

    Raises:
        Unreachable: see fetch; a file that cannot be read or is too long.
    """
    if place.startswith(("https://", "http://")):
        return fetch(place, timeout)
    try:
        with Path(place).open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise Unreachable(error.strerror or str(error)) from error
    if len(content) > _MAX_BYTES:
        raise Unreachable(f"it is longer than {_MAX_BYTES} bytes")
    return content


# --- writing -------------------------------------------------------------------------------------

_HEAD = '''\
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Published address ranges, merged. Written by ``wpward networks --refresh``, not by hand.

The dates say when each list was read.
"""

from __future__ import annotations

'''


def render(table: Table) -> str:
    """The source text of known_networks_data.py."""
    lines = ["DATES = {"]
    lines += [f'    "{party}": "{table.dates[party]}",' for party in SOURCES]
    lines += ["}", "", "RANGES = {"]
    for party in SOURCES:
        lines.append(f'    "{party}": (')
        row = ""
        for network in table.ranges[party]:
            word = f"{network} "
            if len(row) + len(word) > 88:
                lines.append(f'        "{row}"')
                row = ""
            row += word
        lines += [f'        "{row.rstrip()}"', "    ),"]
    lines += ["}", ""]
    return _HEAD + "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Replace a Python file as a whole or not at all. Raises OSError, and SyntaxError for a text
    that is none."""
    ast.parse(text)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# --- the command ---------------------------------------------------------------------------------


def _read(party: str, places: Sequence[str], timeout: float) -> list[Network]:
    networks: list[Network] = []
    for place in places:
        content = content_of(place, timeout)
        try:
            found = networks_in(party, content)
            if not found:
                raise Refused("it is empty")
        except Refused as error:
            raise Refused(f"{place}: {error}") from error
        networks += found
    return merged(networks)


def refreshed(
    table: Table, sources: Mapping[str, Sequence[str]], timeout: float, today: str
) -> tuple[Table, list[str]]:
    """A table in which every party whose lists could be read and checked is new, and a sentence
    for each that is left as it was."""
    dates, ranges = dict(table.dates), dict(table.ranges)
    unreachable: dict[str, list[str]] = {}
    sentences: list[str] = []
    with ThreadPoolExecutor(max_workers=len(sources)) as pool:
        pending = {
            party: pool.submit(_read, party, addresses, timeout)
            for party, addresses in sources.items()
        }
    for party, result in pending.items():
        try:
            networks = result.result()
            check(party, networks, Table(dates, ranges))
        except Unreachable as error:
            unreachable.setdefault(str(error), []).append(party)
        except Refused as error:
            sentences.append(
                f"The list of {party} is not taken, as {error}; its table of {dates[party]} stays."
            )
        else:
            dates[party], ranges[party] = today, networks
    if unreachable:
        why = "; ".join(f"{', '.join(parties)} ({error})" for error, parties in unreachable.items())
        sentences.insert(
            0,
            f"Could not read the published lists of {why}; what the table says of them stays as "
            "it was.",
        )
    return Table(dates, ranges), sentences


def main(
    arguments: Sequence[str] | None = None,
    sources: Mapping[str, Sequence[str]] = SOURCES,
    path: Path | None = None,
) -> int:
    """``wpward networks [--refresh]``; the exit code.

    ``sources``: party -> addresses of its lists. ``path``: the table's file.
    """
    parser = argparse.ArgumentParser(
        prog="wpward networks",
        description="How old the table of published address ranges is, and bring it up to date.",
    )
    parser.add_argument(
        "--refresh", action="store_true", help="read the published lists and rewrite the table"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help="for each list (default: %(default)g)",
    )
    options = parser.parse_args(arguments)
    return run(sources if options.refresh else {}, SOURCES, options.timeout, path)


def run(
    sources: Mapping[str, Sequence[str]], shown: Iterable[str], timeout: float, path: Path | None
) -> int:
    """Bring the table up to date from the places of some parties' lists, and show some of it.

    ``sources``: party -> addresses or files. ``shown``: parties. ``timeout``: seconds for each
    list. ``path``: the table's file. Returns the exit code.
    """
    table = shipped()
    sentences: list[str] = []
    if sources:
        target = path or Path(known_networks_data.__file__).resolve()
        today = time.strftime("%Y-%m-%d", time.gmtime())
        new, sentences = refreshed(table, sources, timeout, today)
        if new != table:
            try:
                write(target, render(new))
            except OSError as error:
                reason = error.strerror or str(error)
                print(f"wpward: the table {target} cannot be written: {reason}", file=sys.stderr)
                return 1
            table = new
    for party in shown:
        count = len(table.ranges[party])
        print(f"{table.dates[party]}  {party:12} {count:4} networks  {SOURCES[party][0]}")
    for sentence in sentences:
        print(f"wpward: {sentence}", file=sys.stderr)
    return 1 if sentences else 0
