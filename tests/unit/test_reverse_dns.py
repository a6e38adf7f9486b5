# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Forward-confirmed reverse DNS against a name system of the test's own."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import reverse_dns
from ansible_collections.wpward.wordpress.plugins.module_utils.reverse_dns import (
    NoAnswer,
    NotFound,
    verify,
)

NAMES = {
    "192.0.2.1": "crawl-192-0-2-1.googlebot.com",
    "192.0.2.2": "crawl-192-0-2-2.googlebot.com",
    "192.0.2.3": "crawl-1.googlebot.com.evil.example",
    "192.0.2.4": "evilgooglebot.com",
    "192.0.2.5": "google-proxy-192-0-2-5.google.com",
    "192.0.2.6": "msnbot-192-0-2-6.search.msn.com",
    "192.0.2.7": "crawl\n.googlebot.com",
    "2001:db8::1": "CRAWL-X.GOOGLEBOT.COM.",
}
ADDRESSES = {
    "crawl-192-0-2-1.googlebot.com": {"192.0.2.1"},
    # Its owner says so, Google does not.
    "crawl-192-0-2-2.googlebot.com": {"198.51.100.1"},
    "crawl-1.googlebot.com.evil.example": {"192.0.2.3"},
    "evilgooglebot.com": {"192.0.2.4"},
    "google-proxy-192-0-2-5.google.com": {"192.0.2.5"},
    "msnbot-192-0-2-6.search.msn.com": {"192.0.2.6"},
    "crawl-x.googlebot.com": {"2001:db8::1"},
    "www.google.com": {"198.51.100.2"},
    "www.bing.com": {"198.51.100.3"},
}


def find_name(address: str) -> str:
    if address not in NAMES:
        raise NotFound
    return NAMES[address]


def find_addresses(name: str) -> set[str]:
    if name not in ADDRESSES:
        raise NotFound
    return ADDRESSES[name]


@pytest.mark.parametrize(
    ("address", "claim", "verdict"),
    [
        ("192.0.2.1", "googlebot", "genuine"),
        ("2001:db8::1", "googlebot", "genuine"),
        ("192.0.2.2", "googlebot", "false"),
        ("192.0.2.3", "googlebot", "false"),
        ("192.0.2.4", "googlebot", "false"),
        ("192.0.2.5", "googlebot", "false"),
        ("192.0.2.7", "googlebot", "false"),
        ("192.0.2.99", "googlebot", "false"),
        ("192.0.2.6", "bingbot", "genuine"),
        ("192.0.2.6", "googlebot", "false"),
        ("2001:DB8:0::1", "googlebot", "genuine"),
        ("192.0.2.1", "duckduckbot", "unknown"),
        ("blog.example", "googlebot", "unknown"),
        ("no\0address", "googlebot", "unknown"),
        ("192.0.2.1", "wordpress_app", "unknown"),
    ],
)
def test_verdicts(address: str, claim: str, verdict: str) -> None:
    deadline = time.monotonic() + 5
    assert verify({address: claim}, deadline, find_name, find_addresses) == {address: verdict}


def test_without_a_name_system_nobody_is_called_false() -> None:
    def nothing(_name: str) -> set[str]:
        raise NotFound

    def no_answer(_address: str) -> str:
        raise NoAnswer

    deadline = time.monotonic() + 5
    claims = {"192.0.2.99": "googlebot", "192.0.2.1": "googlebot"}
    unknown = dict.fromkeys(claims, "unknown")
    assert verify(claims, deadline, find_name, nothing) == unknown
    assert verify(claims, deadline, no_answer, find_addresses) == unknown


def test_a_look_up_that_hangs_costs_no_more_than_the_deadline() -> None:
    release = threading.Event()

    def hang(address: str) -> str:
        if address == "192.0.2.1":
            return NAMES[address]
        release.wait(20)
        raise NoAnswer

    claims = {"192.0.2.1": "googlebot"}
    claims.update({f"198.51.100.{number}": "googlebot" for number in range(30)})
    began = time.monotonic()
    try:
        verdicts = verify(claims, began + 0.5, hang, find_addresses)
        assert time.monotonic() - began < 3
    finally:
        release.set()
    assert verdicts["192.0.2.1"] == "genuine"
    assert set(verdicts) == set(claims)
    assert verdicts["198.51.100.7"] == "unknown"


def test_the_number_of_look_ups_is_bounded() -> None:
    asked: list[str] = []

    def count(address: str) -> str:
        asked.append(address)
        raise NotFound

    claims = {f"2001:db8::{number:x}": "googlebot" for number in range(500)}
    verdicts = verify(claims, time.monotonic() + 10, count, find_addresses)
    assert len(asked) == 64 and len(verdicts) == 500


def test_every_claim_that_can_be_judged_has_a_control() -> None:
    assert set(reverse_dns._HOST_NAMES) == set(reverse_dns._CONTROLS)


def test_this_machines_own_resolver_answers() -> None:
    assert reverse_dns.addresses_of("localhost") & {"127.0.0.1", "::1"}
    with pytest.raises((NotFound, NoAnswer)):
        reverse_dns.addresses_of("wpward.invalid")
    with pytest.raises((NotFound, NoAnswer)):
        reverse_dns.name_of("192.0.2.1")
