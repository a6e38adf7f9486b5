# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalogue in nginx's language says what the classifier says."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Parameter
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_rules import (
    args_expression,
    nginx_rules,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import merge_policy
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import (
    classify,
    parse,
)
from hypothesis import example, given
from hypothesis import strategies as st

needs_possessive = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="re knows possessive quantifiers since Python 3.11"
)


def rules(policy: dict[str, str] | None = None) -> dict[str, Any]:
    return nginx_rules(merge_policy(policy), ["192.0.2.7/32"])


class Maps:
    """What nginx does with the maps of the template, for one request."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.paths = [(re.compile(e, re.I | re.A), token) for e, token in found["paths"]]
        self.parameters = [(re.compile(e, re.A), token) for e, token in found["parameters"]]
        self.everywhere = found["everywhere"]
        self.verdicts: dict[str, str] = dict(found["verdicts"])

    def rule(self, path: str, args: str, trusted: bool = False, anonymous: bool = True) -> str:
        by_path = next((token for e, token in self.paths if e.search(path)), "")
        by_query = next((token for e, token in self.parameters if e.search(args)), "")
        endpoint = {
            "": by_query,
            "elsewhere": by_query if by_query in self.everywhere else "",
        }.get(by_path, by_path)
        return self.verdicts.get(f"{trusted:d}{anonymous:d} {endpoint}", "")


@needs_possessive
@pytest.mark.parametrize(
    ("who", "policy", "refused"),
    [
        ({}, {}, "xmlrpc author_by_id rest_users users_sitemap wlwmanifest"),
        ({"anonymous": False}, {}, "xmlrpc wlwmanifest"),
        ({"trusted": True}, {}, "xmlrpc author_by_id rest_users users_sitemap wlwmanifest"),
        (
            {"trusted": True},
            {"xmlrpc": "trusted", "rest_users": "trusted"},
            "author_by_id users_sitemap wlwmanifest",
        ),
        (
            {},
            {"xmlrpc": "trusted", "rest_users": "trusted", "wlwmanifest": "open"},
            "xmlrpc author_by_id rest_users users_sitemap",
        ),
        (
            {},
            {"login": "trusted", "author_by_id": "open"},
            "xmlrpc rest_users users_sitemap wlwmanifest login",
        ),
    ],
)
def test_who_is_refused_what(who: dict[str, bool], policy: dict[str, str], refused: str) -> None:
    maps = Maps(rules(policy))
    asked = {
        "xmlrpc": ("/xmlrpc.php", ""),
        "author_by_id": ("/", "author=1"),
        "rest_users": ("/wp-json/wp/v2/users", ""),
        "users_sitemap": ("/", "sitemap=users"),
        "wlwmanifest": ("/wp-includes/wlwmanifest.xml", ""),
        "login": ("/wp-login.php", ""),
    }
    options: dict[str, Any] = dict(who)
    got = [endpoint for endpoint, request in asked.items() if maps.rule(*request, **options)]
    assert got == refused.split()


def test_nothing_is_active_where_all_is_open() -> None:
    everything = dict.fromkeys(merge_policy({}), "open")
    found = rules(everything)
    assert not found["active"]
    assert not found["verdicts"]
    assert rules()["active"]


def test_later_maps_see_fixed_words_only() -> None:
    found = rules({"xmlrpc": "trusted", "login": "trusted"})
    words = {token for _, token in (*found["paths"], *found["parameters"])}
    assert all(re.fullmatch(r"[a-z_]+", word) for word in (*words, *found["everywhere"]))
    for key, endpoint in found["verdicts"]:
        assert re.fullmatch(f"[01][01] {endpoint}", key)
        # nginx's hash has room for this much by default, even with lines of 32 bytes.
        assert len(key) <= 18


def test_expressions_survive_nginxs_quotes_and_buffer() -> None:
    for expression, _ in (*rules()["paths"], *rules()["parameters"]):
        # Inside quotes nginx itself reads \" \\ \n \r \t, and a word holds 4096 bytes.
        assert not re.search(r'"|\\[nrt"\\]|\s\s|[\n\r\t]', expression)
        assert len(expression) < 2000


@needs_possessive
@pytest.mark.parametrize(
    ("parameter", "args", "matches"),
    [
        (Parameter("a"), "a=1", True),
        (Parameter("a"), "a=", False),
        (Parameter("a"), "a", False),
        (Parameter("a"), "b=1&%61=x", True),
        (Parameter("a"), "A=1", False),
        (Parameter("a"), "a%00x=1", True),
        (Parameter("a"), "++%20a=1", True),
        (Parameter("a_b"), "a%2Eb=1", True),
        (Parameter("a_b"), "ab=1", False),
        (Parameter("a", starts_with="xy"), "a=XYz", True),
        (Parameter("a", starts_with="xy", followed_by=""), "a=xyz", False),
        (Parameter("a", starts_with="xy", followed_by=""), "a=%58y&b", True),
        (Parameter("a", starts_with="x", followed_by="/"), "a=x%2F", True),
        (Parameter("a", contains="7"), "a=%37", True),
        (Parameter("a", contains="7"), "a=%7x", True),
        (Parameter("a", contains="7"), "a=%71", False),
        (Parameter("a", contains="7"), "a=%%37", True),
        (Parameter("a", contains="7"), "a=x&b=7", False),
        (Parameter("a", starts_with="x", contains="7"), "a=x%37", True),
        (Parameter("a", starts_with="x", contains="7"), "a=7x", False),
        (Parameter("a", contains=" "), "a=x+y", True),
    ],
)
def test_a_parameter_is_matched_as_php_reads_it(
    parameter: Parameter, args: str, matches: bool
) -> None:
    assert bool(re.search(args_expression(parameter), args)) is matches


_NAMES = ["author", "author_name", "rest_route", "sitemap", "x"]
_VALUES = ["1", "0", "alice", "", "/wp/v2/users", "/wp/v2/users/1", "/wp/v2/posts", "users", "a1"]
_ODD = st.sampled_from(
    ["%", "%4", "%zz", "+", "%20", ".", "[", "]", "%00", "=", ";", "%0a", "_", "1"]
)


@st.composite
def queries(draw: st.DrawFn) -> str:
    def hostile(text: str) -> str:
        out = ""
        for character in text:
            form = draw(st.integers(0, 11))
            if form == 0:
                out += f"%{ord(character):02x}"
            elif form == 1:
                out += f"%{ord(character):02X}"
            elif form == 2:
                out += character.swapcase()
            elif form == 3:
                out += draw(_ODD)
            elif form == 4:
                out += character + draw(_ODD)
            else:
                out += character
        return out

    pairs = draw(
        st.lists(
            st.tuples(st.sampled_from(_NAMES), st.sampled_from(_VALUES)), min_size=1, max_size=3
        )
    )
    return "&".join(f"{hostile(name)}={hostile(value)}" for name, value in pairs)


MAPS = Maps(rules({"login": "trusted"})) if sys.version_info >= (3, 11) else None


@needs_possessive
@given(
    queries(), st.sampled_from(["/", "/wp-admin/edit.php", "/wp-json/wp/v2/posts", "/xmlrpc.php"])
)
@example("author=1&rest_route=/", "/")
@example("rest_route=/wp/v2/users&author=1", "/wp-admin/")
def test_the_maps_and_the_classifier_agree(query: str, path: str) -> None:
    assert MAPS is not None
    target = f"{path}?{query}"
    parsed = parse(target)
    assert parsed is not None
    rule = MAPS.rule(parsed.path, parsed.query)
    classes = classify(target)
    assert (rule in classes) if rule else not classes
