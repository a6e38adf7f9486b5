# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom all hosts refuse, and above all whom they do not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.filter.shared_bans import (
    shared_bans as in_a_template,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import RANGES
from ansible_collections.wpward.wordpress.plugins.plugin_utils.shared_bans import (
    Settings,
    SharedBansError,
    shared_bans,
)

NOW = 1795338000.0  # 2026-11-22T09:00:00Z
LAST = "2026-11-22T08:00:00Z"
WEEK_LATER = "2026-11-29T08:00:00Z"
ATTACKER = "45.155.205.7"
OTHER = "45.155.205.8"
SITE = "blog.example/"


def host(
    *clients: tuple[str, int],
    endpoint: str = "xmlrpc",
    verdict: str = "attack",
    finding: str = "xmlrpc_attack",
    own: dict[str, Any] | None = None,
    **row: Any,
) -> dict[str, Any]:
    """A host whose one site was asked by these clients, with the plan's verdict on it."""
    access = {
        "site": SITE,
        "log": "/var/log/nginx/access.log",
        "endpoint": endpoint,
        "hits": sum(hits for _address, hits in clients),
        "last": LAST,
        "clients": [{"address": address, "hits": hits} for address, hits in clients],
        "distinct_clients": len(clients),
        **row,
    }
    return {
        "evidence": {"collected_at": LAST, "host": own or {}, "access": [access]},
        "plan": {
            "verdict": verdict,
            "findings": [{"id": finding, "site": SITE, "verdict": verdict}],
        },
    }


def listed(*hosts: dict[str, Any], earlier: tuple[str, ...] = (), **settings: Any) -> list[str]:
    named = {f"web{number}": one for number, one in enumerate(hosts, 1)}
    chosen = shared_bans(named, Settings(now=NOW, **settings), earlier)
    return [one["address"] for one in chosen["entries"]]


def test_one_hosts_attackers_reach_all() -> None:
    hosts = {"web1": host((ATTACKER, 40), (OTHER, 3)), "web2": host((ATTACKER, 8)), "web3": host()}
    chosen = shared_bans(hosts, Settings(now=NOW))
    assert chosen == {
        "entries": [
            {
                "address": ATTACKER,
                "expires": WEEK_LATER,
                "hits": 48,
                "hosts": ["web1", "web2"],
                "reason": "",
            },
            {
                "address": OTHER,
                "expires": WEEK_LATER,
                "hits": 3,
                "hosts": ["web1"],
                "reason": "",
            },
        ],
        "text": f"{ATTACKER} {WEEK_LATER} 48\n{OTHER} {WEEK_LATER} 3\n",
        "networks": 0,
        "left_out": 0,
        "notes": [],
    }
    evidence = {name: one["evidence"] for name, one in hosts.items()}
    plans = {name: one["plan"] for name, one in hosts.items()}
    told = in_a_template(evidence, plans, describe=False, now=NOW)
    assert told == {key: chosen[key] for key in chosen if key != "entries"} | {"problem": ""}


def test_only_what_it_asked_itself_and_on_one_host() -> None:
    assert listed(host((ATTACKER, 2)), host((ATTACKER, 2))) == []
    assert listed(host((ATTACKER, 2)), thresholds={"xmlrpc": 2}) == [ATTACKER]


@pytest.mark.parametrize(
    "quiet",
    [
        host((ATTACKER, 400), verdict="aftermath"),
        host((ATTACKER, 400), verdict="probing", finding="xmlrpc_probed"),
        host((ATTACKER, 400), endpoint="login", finding="login_attack"),
        host((ATTACKER, 400), endpoint="rest_users"),
        host((ATTACKER, 400), endpoint="xmlrpc", finding="login_attack"),
    ],
)
def test_nobody_where_that_endpoint_is_not_attacked(quiet: dict[str, Any]) -> None:
    assert listed(quiet) == []


def test_nobody_who_is_known_to_any_host() -> None:
    elsewhere = {"addresses": ["45.0.0.1"], "gateways": ["45.0.0.2"]}
    operator = {"controller_address": "45.0.0.3"}
    clients = [(f"45.0.0.{number}", 500) for number in range(1, 6)]
    hosts = (host(*clients), host(own=elsewhere), host(own=operator))
    assert listed(*hosts, ignore=["45.0.0.4/31"]) == []
    assert listed(*hosts) == ["45.0.0.4", "45.0.0.5"]


@pytest.mark.parametrize("party", sorted(RANGES))
def test_nobody_of_the_published_ranges(party: str) -> None:
    first = RANGES[party].split()[0].partition("/")[0]
    assert listed(host((first, 500), (ATTACKER, 500))) == [ATTACKER]


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "127.0.0.1", "192.168.1.1", "172.16.9.9", "169.254.1.1", "100.64.0.1"),
        *("224.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "fe80::1", "fd00::1", "ff02::1"),
        *("2002:2d9b:cd07::1", "64:ff9b::2d9b:cd07", "::ffff:10.0.0.1", "not-an-address", ""),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"),
    ],
)
def test_nobody_who_cannot_be_a_stranger(address: str) -> None:
    # The others keep the log from looking like that of a host behind a proxy.
    assert listed(host((address, 50), (ATTACKER, 500))) == [ATTACKER]


def test_documentation_addresses_in_tests() -> None:
    assert listed(host(("192.0.2.1", 50)), documentation=True) == ["192.0.2.1"]


def test_nobody_of_a_log_that_shows_a_proxy() -> None:
    assert listed(host(("10.0.0.1", 990), (ATTACKER, 10))) == []


def test_an_app_that_is_believed_is_nobody() -> None:
    claims = [
        {
            "claim": "wordpress_app",
            "kind": "publisher",
            "hits": 30,
            "addresses": 1,
            "genuine_hits": None,
            "examples": [OTHER],
        }
    ]
    calm = {
        "clients": [{"address": ATTACKER, "hits": 9000}, {"address": OTHER, "hits": 30}],
        "claims": claims,
    }
    assert listed(host(hits=9030, **calm)) == [ATTACKER]


def test_mapped_addresses_are_ipv4() -> None:
    assert listed(host((f"::ffff:{ATTACKER}", 2), (ATTACKER, 2))) == [ATTACKER]


def test_networks_of_ipv6() -> None:
    one = host(("2a00:1::1", 2), ("2a00:1::2", 2), ("2a00:2::1", 5))
    assert listed(one) == ["2a00:2::1"]
    assert listed(one, prefix6=64) == ["2a00:1::/64", "2a00:2::/64"]
    # A neighbour is known: then the address alone, and only for what it did itself.
    known = ["2a00:1::ffff", "2a00:2::ffff"]
    assert listed(one, prefix6=64, ignore=known) == ["2a00:2::1"]


def test_the_limit_keeps_the_worst() -> None:
    clients = [(f"45.0.0.{number}", 10 + number) for number in range(20)]
    chosen = shared_bans({"web1": host(*clients)}, Settings(now=NOW, limit=3, own=["46.0.0.1"]))
    assert [one["address"] for one in chosen["entries"]] == ["45.0.0.18", "45.0.0.19", "46.0.0.1"]
    assert chosen["left_out"] == 18
    assert chosen["notes"] == [
        "18 addresses of 21 left out of the shared bans, those with the fewest requests, because "
        "the limit is 3."
    ]


def test_a_ban_ends() -> None:
    assert listed(host((ATTACKER, 40)), expiry=3601) == [ATTACKER]
    assert listed(host((ATTACKER, 40)), expiry=3600) == []


def test_what_is_banned_stays_though_it_is_seen_no_more() -> None:
    earlier = (
        f"{ATTACKER} {WEEK_LATER} 40\n{OTHER} 2026-11-22T08:59:00Z 40\n",
        f"{ATTACKER} 2026-11-25T08:00:00Z 7\n45.0.0.1 - own\n45.0.0.3 {WEEK_LATER} own\n",
        "rubbish\n45.0.0.2 never 3\n",
        f"10.0.0.1 {WEEK_LATER} 4\n",
    )
    chosen = shared_bans({}, Settings(now=NOW), earlier)
    assert chosen["text"] == f"{ATTACKER} {WEEK_LATER} 40\n"
    assert listed(earlier=earlier, ignore=[ATTACKER]) == []


def test_a_second_run_writes_the_same_list() -> None:
    first = shared_bans({"web1": host((ATTACKER, 40), (OTHER, 4))}, Settings(now=NOW))
    # The one is banned and silent, the other goes on elsewhere.
    later = host((OTHER, 9), last="2026-11-22T10:00:00Z")
    second = shared_bans({"web1": later}, Settings(now=NOW + 7200), [first["text"]])
    assert second["text"] == first["text"]
    # When half of its time is over it is worth a change.
    late = host((OTHER, 4), last="2026-11-26T10:00:00Z")
    third = shared_bans({"web1": late}, Settings(now=NOW + 4 * 86400), [first["text"]])
    assert f"{OTHER} 2026-12-03T10:00:00Z 4\n" in third["text"]


def test_an_own_list() -> None:
    chosen = shared_bans(
        {"web1": host((ATTACKER, 40))},
        Settings(
            now=NOW,
            ignore=["46.0.0.128"],
            own=[
                {"address": ATTACKER, "reason": "our lawyer {{ says }} so"},
                {"address": "47.0.0.0/16", "expires": WEEK_LATER},
                {"address": "48.0.0.1", "expires": LAST},
                "46.0.0.0/24",
                "172.0.0.0/8",
            ],
        ),
    )
    assert chosen["text"] == f"{ATTACKER} - own\n47.0.0.0/16 {WEEK_LATER} own\n"
    assert chosen["entries"][0]["reason"] == "our lawyer { { says }} so"
    assert [note.split()[0] for note in chosen["notes"]] == ["46.0.0.0/24", "172.0.0.0/8"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"own": ["blog.example"]}, "'blog.example'"),
        ({"own": ["45.0.0.0/7"]}, "'45.0.0.0/7'"),
        ({"own": [{"address": "45.0.0.1", "expires": "tomorrow"}]}, "'tomorrow'"),
        ({"own": [7]}, "7"),
        ({"ignore": ["0.0.0.0/0"]}, "everybody"),
        ({"ignore": ["x"]}, "'x'"),
        ({"expiry": 5}, "5 seconds"),
        ({"limit": 0}, "is 0"),
        ({"prefix6": 48}, "/48"),
        ({"thresholds": {"login": 3}}, "'login'"),
        ({"thresholds": {"xmlrpc": 0}}, "is 0"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SharedBansError, match=r"^[^\n]+[.]$") as refused:
        shared_bans({}, Settings(now=NOW, **settings))
    assert says in str(refused.value)
    told = in_a_template({}, now=NOW, **settings)
    assert told["problem"] == str(refused.value) and told["text"] == ""


def test_a_long_list_takes_a_second() -> None:
    lines = [f"45.{n >> 8}.{n & 255}.1 {WEEK_LATER} {n}\n" for n in range(20_500)]
    began = time.process_time()
    chosen = shared_bans({}, Settings(now=NOW, limit=20_000), ["".join(lines)])
    assert time.process_time() - began < 10
    assert (len(chosen["entries"]), chosen["left_out"]) == (20_000, 500)
