# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Traffic of known intent, as the rows that the probe makes of it.

A request is (second of the day, address, status, method, agent's claim). The rows are counted here
in the plainest way, apart from the scanner.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

LOGS = Path(__file__).parent.parent / "fixtures" / "logs"
DAY = 86400
MIDNIGHT = 1_795_219_200
"""Times count from here, the beginning of a day in UTC."""

SITE = "blog.example/"
LOG = "/var/log/nginx/access.log"
PARTIES = {"70.132.": "cloudfront", "66.249.": "googlebot", "192.0.80.": "jetpack"}
GENUINE = {"googlebot": "googlebot", "bingbot": "bingbot", "jetpack": "jetpack"}
SEARCH_BOTS = ("googlebot", "bingbot", "baiduspider")

Request = tuple[float, str, str, str, str | None]


def iso(second: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def party(address: str) -> str | None:
    return next((name for start, name in PARTIES.items() if address.startswith(start)), None)


def incident(name: str) -> list[tuple[str, str]]:
    """(address, status) of a published incident's lines."""
    lines = (LOGS / name).read_text().splitlines()
    found = [re.match(r'(\S+) .*?" (\d{3}) ', line) for line in lines if "/xmlrpc.php" in line]
    return [(one.group(1), one.group(2)) for one in found if one]


def evenly(
    per_hour: float,
    hours: float,
    addresses: list[str],
    status: str = "200",
    method: str = "POST",
    claim: str | None = None,
    start: float = 0,
) -> list[Request]:
    """Requests at one rate, each from the next of the addresses."""
    return [
        (
            start + number * 3600 / per_hour,
            addresses[number % len(addresses)],
            status,
            method,
            claim,
        )
        for number in range(round(per_hour * hours))
    ]


def many(count: int, network: str = "203.0") -> list[str]:
    """That many addresses."""
    return [f"{network}.{number // 250}.{number % 250 + 1}" for number in range(count)]


def sessions(
    count: int, requests: int, addresses: list[str], claim: str | None, seed: int = 1
) -> list[Request]:
    """People who use XML-RPC now and then: sessions of so many requests within two minutes."""
    chance = random.Random(seed)
    made: list[Request] = []
    for number in range(count):
        begins = chance.uniform(0, DAY - 200)
        made += [
            (
                begins + chance.uniform(0, 120),
                addresses[number % len(addresses)],
                "200",
                "POST",
                claim,
            )
            for _ in range(requests)
        ]
    return made


def row(
    requests: list[Request],
    endpoint: str = "xmlrpc",
    window: int = DAY,
    step: int = 300,
    **changes: Any,
) -> dict[str, Any]:
    """The access row of these requests over the window, in seconds."""
    requests = sorted(requests)
    minutes = Counter(int(one[0]) // 60 for one in requests)
    seconds = Counter(int(one[0]) for one in requests)
    addresses = Counter(one[1] for one in requests)
    claimed: dict[str, Counter[str]] = {}
    for one in requests:
        if one[4]:
            claimed.setdefault(one[4], Counter())[one[1]] += 1
    counts = [0] * (window // step)
    for one in requests:
        counts[int(one[0]) // step] += 1
    return {
        "site": SITE,
        "log": LOG,
        "endpoint": endpoint,
        "hits": len(requests),
        "peak_per_minute": {"count": max(minutes.values()), "at": iso(MIDNIGHT)},
        "peak_per_second": {"count": max(seconds.values()), "at": iso(MIDNIGHT)},
        "statuses": dict(Counter(one[2] for one in requests)),
        "methods": dict(Counter(one[3] for one in requests)),
        "first": iso(MIDNIGHT + requests[0][0]),
        "last": iso(MIDNIGHT + requests[-1][0]),
        "clients": [
            {"address": address, "hits": hits} for address, hits in addresses.most_common(20)
        ],
        "clients_exact": True,
        "distinct_clients": len(addresses),
        "distinct_clients_exact": True,
        "timeline": {"from": iso(MIDNIGHT), "step": step, "counts": {"200": counts}},
        "networks": [],
        "parties": dict(Counter(name for one in requests if (name := party(one[1])))),
        "claims": [
            {
                "claim": claim,
                "kind": "search_bot" if claim in SEARCH_BOTS else "publisher",
                "hits": sum(hits.values()),
                "addresses": len(hits),
                "genuine_hits": sum(
                    count for address, count in hits.items() if party(address) == GENUINE[claim]
                )
                if claim in GENUINE
                else None,
                "examples": list(hits)[:5],
            }
            for claim, hits in claimed.items()
        ],
        **changes,
    }


def evidence(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A host with one site, nothing wrong but what is given, right after the last request."""
    return {
        "schema": 2,
        "collected_at": max((one["last"] for one in rows), default=iso(MIDNIGHT + DAY)),
        "since": iso(MIDNIGHT),
        "host": {
            "name": "web1",
            "addresses": ["192.0.2.10"],
            "controller_address": "192.0.2.200",
            "init": "systemd",
        },
        "nginx": {"version": "1.22.1"},
        "httpd": None,
        "vhosts": [
            {
                "id": "nginx:/etc/nginx/sites-enabled/blog:1",
                "server": "nginx",
                "access_logs": [{"path": LOG, "format": "combined"}],
                "xmlrpc_rules": [],
                "wpward_include": None,
                "sites": [SITE],
            }
        ],
        "sites": [
            {
                "id": SITE,
                "plugins": ["akismet"],
                "xmlrpc_plugins": [],
                "locking_plugins": [],
                "guarded": False,
            }
        ],
        "processes": [],
        "logs": [{"path": LOG, "sites": [SITE]}],
        "access": list(rows),
        "errors": [],
        "now": None,
        "traps": [],
        "database": None,
        "budget": [],
        "problems": [],
        **changes,
    }
