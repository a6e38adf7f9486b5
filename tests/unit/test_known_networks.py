# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose published ranges an address lies in."""

from __future__ import annotations

import datetime
import ipaddress
import re
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import (
    DATED,
    EDGES,
    SOURCES,
    party_of,
    range_of,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import (
    DATES,
    RANGES,
)
from hypothesis import given
from hypothesis import strategies as st

EDGE_LOG = Path(__file__).resolve().parents[1] / "fixtures" / "logs" / "httpd-cloudfront-edges.log"


def test_the_edges_of_the_published_incident_are_cloudfront() -> None:
    edges = set(re.findall(r"^(\S+) ", EDGE_LOG.read_text(), re.MULTILINE))
    assert edges and {party_of(edge) for edge in edges} == {"cloudfront"}
    assert party_of("168.62.29.77") is None


@pytest.mark.parametrize(
    ("address", "party"),
    [
        ("66.249.66.1", "googlebot"),
        ("2001:4860:4801:10::1", "googlebot"),
        ("157.55.39.1", "bingbot"),
        ("17.241.75.1", "applebot"),
        ("192.0.80.0", "jetpack"),
        ("192.0.63.255", None),
        ("122.248.245.244", "jetpack"),
        ("122.248.245.245", None),
        ("104.16.0.1", "cloudflare"),
        ("2606:4700::1111", "cloudflare"),
        ("::ffff:104.16.0.1", "cloudflare"),
        ("151.101.1.6", "fastly"),
        ("192.0.2.7", None),
        ("2001:db8::1", None),
        ("0.0.0.0", None),
        ("255.255.255.255", None),
    ],
)
def test_addresses_have_their_party(address: str, party: str) -> None:
    assert party_of(address) == party


@pytest.mark.parametrize("text", ["", "-", "blog.example", "104.16.0.1:80", "104.16.1", "\0", "é"])
def test_what_is_no_address_has_no_party(text: str) -> None:
    assert party_of(text) is None


@given(st.text(max_size=60))
def test_any_text_is_an_answer(text: str) -> None:
    assert party_of(text) is None or party_of(text) in SOURCES


@given(st.sampled_from([n for text in RANGES.values() for n in text.split()]), st.data())
def test_the_lookup_agrees_with_a_plain_search(network: str, data: st.DataObject) -> None:
    found = ipaddress.ip_network(network)
    first, last = int(found.network_address), int(found.broadcast_address)
    offset = data.draw(st.sampled_from([first, last, (first + last) // 2, first - 1, last + 1]))
    address = type(found.network_address)(offset)
    expected: list[str | None] = [
        party
        for party, text in RANGES.items()
        if any(address in ipaddress.ip_network(candidate) for candidate in text.split())
    ]
    assert [party_of(str(address))] == (expected or [None])


def test_no_range_belongs_to_two_parties_and_each_is_public() -> None:
    ranges = sorted(
        (range_of(network), party) for party, text in RANGES.items() for network in text.split()
    )
    for (one, first_party), (other, second_party) in zip(ranges, ranges[1:]):
        assert one[0] != other[0] or one[2] < other[1], (first_party, second_party)
    for text in RANGES.values():
        for network in text.split():
            assert ipaddress.ip_network(network).is_global, network


def test_every_party_is_dated_and_has_a_source() -> None:
    assert set(SOURCES) == set(DATES) == set(RANGES) == set(DATED)
    for party, dated in DATED.items():
        datetime.date.fromisoformat(dated["date"])
        assert dated["source"].startswith("https://")
        assert RANGES[party].split()
    assert set(EDGES) < set(SOURCES)


@pytest.mark.parametrize("text", ["192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "x/8", "::/129"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        range_of(text)
