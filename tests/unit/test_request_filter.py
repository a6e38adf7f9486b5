# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No request that the classifier recognises may be passed over."""

from __future__ import annotations

import random

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import request_filter
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint
from ansible_collections.wpward.wordpress.plugins.module_utils.request_filter import (
    RequestFilter,
    candidates,
    words_of,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import classify
from hypothesis import given, settings
from hypothesis import strategies as st

TARGETS = [
    request.target.format(base="/", host="blog.example", login="anna", site_url="https://x/")
    for endpoint in ENDPOINTS
    for request in (*endpoint.refused, *endpoint.served)
]


def mangle(target: str, choose: random.Random) -> bytes:
    """The same with some characters encoded, in the other case, or escaped as a log does."""
    mangled = []
    for character in target:
        number = choose.random()
        if number < 0.1:
            mangled.append(f"%{ord(character):02x}")
        elif number < 0.13:
            mangled.append(f"\\x{ord(character):02X}")
        elif number < 0.3:
            mangled.append(character.swapcase())
        else:
            mangled.append(character)
    return "".join(mangled).encode("utf-8", "replace").replace(b"\n", b"")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(TARGETS), st.integers(0, 10**6)), max_size=20),
    st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), max_size=20),
)
def test_every_request_for_an_endpoint_is_a_candidate(
    attacks: list[tuple[str, int]], others: list[bytes]
) -> None:
    requests = {mangle(target, random.Random(seed)) for target, seed in attacks} | set(others)
    found = candidates(requests)
    assert found <= requests
    for request in requests:
        assert request in found or not classify(request, True), request


def test_each_request_of_the_catalogue_is_a_candidate() -> None:
    requests = {target.encode() for target in TARGETS}
    assert {one for one in requests if classify(one, True)} <= candidates(requests)


def test_ordinary_requests_are_none() -> None:
    harmless = {b"GET / HTTP/1.1", b"", b"GET /%e6%97%a5/?a=%20b HTTP/2.0", b"-"}
    assert candidates(harmless) == set()
    assert candidates(set()) == set()


def test_an_endpoint_without_a_word_is_refused() -> None:
    nameless = Endpoint("x", "x", "x", (), "open", "server", (), (), (), paths=(r"/a(?:b|c)",))
    with pytest.raises(ValueError, match=r"x: no word in /a"):
        words_of([nameless])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sets(st.sampled_from([b"a", b"users", b"xmlrpc", b"login1", b"c\\", b"d\ne"]))))
def test_what_was_seen_before_is_not_asked_again(chunks: list[set[bytes]]) -> None:
    asked = []

    def matters(request: bytes) -> bool:
        asked.append(request)
        return request != b"login1"

    requests = RequestFilter(matters)
    for chunk in chunks:
        assert requests.wanted(chunk) == chunk & {b"users", b"xmlrpc", b"c\\", b"d\ne"}
    assert len(asked) == len(set(asked))
    assert set(asked) <= {b"users", b"xmlrpc", b"login1"}


def test_a_flood_of_different_requests_takes_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RequestFilter, "_SIZE", 50_000)
    requests = RequestFilter(lambda request: True)
    for start in range(0, 20_000, 100):
        chunk = {b"/xmlrpc.php?%d" % number for number in range(start, start + 100)} | {b"/"}
        assert requests.wanted(chunk) == chunk - {b"/"}
        assert len(requests._known) <= 500
        assert len(requests._wanted) <= 500


def test_the_words_come_from_the_catalogue() -> None:
    assert set(request_filter.WORDS) == {
        b"author",
        b"login",
        b"route",
        b"sitemap",
        b"users",
        b"wlwmanifest",
        b"xmlrpc",
    }
