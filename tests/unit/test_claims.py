# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a user agent claims to be."""

from __future__ import annotations

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.claims import KIND, claim_of
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import (
    party_of_claim,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("agent", "claim"),
    [
        (b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "googlebot"),
        (b"mozilla/5.0 (COMPATIBLE; GOOGLEBOT/2.1)", "googlebot"),
        (b"AdsBot-Google (+http://www.google.com/adsbot.html)", "googlebot"),
        (b"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "bingbot"),
        (b"Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "yandexbot"),
        (b"Mozilla/5.0 (compatible; Baiduspider/2.0)", "baiduspider"),
        (b"DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)", "duckduckbot"),
        (b"facebookexternalhit/1.1", "facebook"),
        (b"Jetpack by WordPress.com", "jetpack"),
        (b"Jetpack/13.0; WordPress/6.3; http://blog.example", "jetpack"),
        (b"wp-iphone/4.8.1 (iPhone OS 8.1.3, iPad) Mobile", "wordpress_app"),
        (b"Mozilla/5.0 (Linux; Android 14) wp-android/24.1", "wordpress_app"),
        (
            b"Mozilla/4.0 (compatible; MSIE 9.11; Windows NT 6.1; Windows Live Writer 1.0)",
            "live_writer",
        ),
        (
            b"Mozilla/4.0 (compatible; MSIE 9.11; Windows NT 10.0; Open Live Writer 1.0)",
            "live_writer",
        ),
        (b"MarsEdit/4.4.3 (Mac OS X/10_13_3; https://redsweater.com/marsedit/)", "marsedit"),
        (b"The Incutio XML-RPC PHP Library -- WordPress/6.1", "pingback"),
        (b"WordPress/6.1; https://blog.example; verifying pingback from 192.0.2.1", "pingback"),
    ],
)
def test_published_agents_are_recognised(agent: bytes, claim: str) -> None:
    assert claim_of(agent) == claim


@pytest.mark.parametrize(
    "agent",
    [
        b"",
        b"-",
        b"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0",
        b"Mozilla/4.0 (compatible: MSIE 7.0; Windows NT 6.0)",
        b"python-requests/2.31",
        b"WordPress/attack",
        b"\x00\xff\x16\x03\x01",
    ],
)
def test_other_agents_claim_nothing(agent: bytes) -> None:
    assert claim_of(agent) is None


def test_a_claim_far_behind_the_beginning_is_not_searched_for() -> None:
    assert claim_of(b"x" * 100_000 + b"Googlebot") is None


@given(st.binary(max_size=2000))
def test_any_bytes_are_an_answer(agent: bytes) -> None:
    claim = claim_of(agent)
    assert claim is None or KIND[claim] in ("search_bot", "publisher")


def test_only_claims_with_published_ranges_can_be_judged() -> None:
    judged = {claim for claim in KIND if party_of_claim(claim)}
    assert judged == {"googlebot", "bingbot", "applebot", "duckduckbot", "jetpack"}
    # A delivery network is a party too, but nobody claims to be one.
    assert party_of_claim("cloudfront") is None
