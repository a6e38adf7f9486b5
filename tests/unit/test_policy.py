# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator may ask for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    check_policy,
    is_trusted,
    parse_trusted,
)

DEFAULT = {
    "xmlrpc": "closed",
    "author_by_id": "closed",
    "rest_users": "closed",
    "users_sitemap": "closed",
    "wlwmanifest": "closed",
    "login": "open",
}


def test_defaults_hold_where_nothing_is_said() -> None:
    assert check_policy({}, []) == (DEFAULT, [])
    assert check_policy(None, None) == (DEFAULT, [])


def test_the_operators_words_win() -> None:
    policy, trusted = check_policy(
        {"xmlrpc": "trusted", "users_sitemap": "open"}, ["192.0.2.7", " 2001:db8::/32 "]
    )
    assert policy == {**DEFAULT, "xmlrpc": "trusted", "users_sitemap": "open"}
    assert trusted == ["192.0.2.7/32", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("policy", "trusted", "said"),
    [
        ({"xml-rpc": "closed"}, [], "unknown endpoint 'xml-rpc'; known are: xmlrpc, author_by_id"),
        ({1: "closed"}, [], "unknown endpoint 1;"),
        ({"xmlrpc": "shut"}, [], "xmlrpc is 'shut'; it must be one of: closed, trusted, open."),
        ({"xmlrpc": None}, [], "xmlrpc is None; it must be one of"),
        ({"xmlrpc": ["closed"]}, [], "xmlrpc is ['closed']; it must be one of"),
        ({"login": "closed"}, [], "login is 'closed'; it must be one of: trusted, open."),
        ({"xmlrpc": "trusted"}, [], "xmlrpc is trusted, but the list of trusted clients is empty"),
        ("closed", [], "must be a dictionary such as {xmlrpc: closed}, not 'closed'"),
        ({}, ["0.0.0.0/0"], "'0.0.0.0/0' means everybody"),
        ({}, ["::/0"], "'::/0' means everybody"),
        ({}, ["::ffff:0:0/96"], "'::ffff:0:0/96' means everybody"),
        ({}, ["192.0.2.0/33"], "'192.0.2.0/33' is not an address or a network"),
        ({}, ["192.0.2.1/24"], "'192.0.2.1/24' is not an address or a network in CIDR notation: "),
        ({}, ["blog.example"], "'blog.example' is not an address"),
        ({}, ["192.0.2.1; allow all"], "is not an address"),
        ({}, [""], "'' is not an address"),
        ({}, [1], "1 is not text"),
        ({}, [None], "None is not text"),
        ({}, "192.0.2.1", "must be a list such as [192.0.2.7/32], not '192.0.2.1'"),
        ({}, {"192.0.2.1": 1}, "must be a list"),
        ({}, 7, "must be a list"),
    ],
)
def test_refuses_in_one_sentence(policy: Any, trusted: Any, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        check_policy(policy, trusted)
    assert said in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_networks_are_said_once_and_in_the_form_that_nginx_compares() -> None:
    networks = parse_trusted(["192.0.2.7", "192.0.2.7/32", "::ffff:192.0.2.7", "2001:DB8::1"])
    assert [str(network) for network in networks] == ["192.0.2.7/32", "2001:db8::1/128"]


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_tells_who_is_trusted(address: str, trusted: bool) -> None:
    assert is_trusted(address, ["192.0.2.7/32", "2001:db8::/32"]) is trusted
