# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalogue in httpd's language says what nginx's maps and the classifier say."""

from __future__ import annotations

import re
import sys
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_rules import (
    httpd_rules,
    path_expression,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_rules import nginx_rules
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

TRUSTED = ["192.0.2.0/24", "2001:db8::/32"]
CLIENT = "198.51.100.9"

_WORD = r"(?:%\{\w+\}|\w+\('[^']*'\)|'[^']*')"
_TOKENS = re.compile(
    rf"(?P<match>(?P<subject>{_WORD}) =~ m#(?P<regex>[^#]*)#(?P<flags>i?))"
    rf"|(?P<left>{_WORD}) == (?P<right>{_WORD})"
    rf"|-z (?P<empty>{_WORD})"
    rf"|-R '(?P<network>[^']*)'"
    rf"|(?P<peer>{_WORD}) -ipmatch '(?P<peers>[^']*)'"
    r"|(?P<operator>&&|\|\||!|\(|\))"
)

_OPERATORS = {"&&": " and ", "||": " or ", "!": " not ", "(": "(", ")": ")"}


class Conditions:
    """What httpd makes of the rules: its operators are replaced by Python's, word for word."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.rules = [
            (rule["endpoint"], compile(self._python(rule["when"]), "when", "eval"))
            for rule in found["rules"]
        ]

    def _python(self, expression: str) -> str:
        words, at = [], 0
        for found in _TOKENS.finditer(expression):
            # Whatever is not one of the operators above would be skipped silently.
            assert expression[at : found.start()].strip() == "", expression[at : found.start()]
            at = found.end()
            one = found.groupdict()
            if one["match"]:
                flags = re.A | re.I if one["flags"] else re.A
                words.append(f"matches({one['subject']!r}, {one['regex']!r}, {int(flags)})")
            elif one["left"]:
                words.append(f"word({one['left']!r}) == word({one['right']!r})")
            elif one["empty"]:
                words.append(f"word({one['empty']!r}) == ''")
            elif one["network"]:
                words.append(f"within(word('%{{REMOTE_ADDR}}'), {one['network']!r})")
            elif one["peer"]:
                words.append(f"within(word({one['peer']!r}), {one['peers']!r})")
            else:
                words.append(
                    {"&&": " and ", "||": " or ", "!": " not "}.get(*[one["operator"]] * 2)
                )
        assert expression[at:].strip() == ""
        return "".join(words)

    def refused(self, path: str, query: str = "", **words: str) -> list[str]:
        """The endpoints whose rules hold for a request. ``words``: REMOTE_ADDR, Cookie..."""
        known = {
            "REQUEST_URI": path,
            "QUERY_STRING": query,
            "IS_SUBREQ": "false",
            "REMOTE_ADDR": CLIENT,
            "CONN_REMOTE_ADDR": CLIENT,
            **words,
        }

        def word(text: str) -> str:
            return (
                text.strip("'") if text[0] == "'" else known.get(re.findall(r"\w+", text)[-1], "")
            )

        def matches(subject: str, regex: str, flags: int) -> bool:
            return bool(re.search(regex, word(subject), flags))

        def within(address: str, network: str) -> bool:
            return ip_address(address) in ip_network(network)

        names = {"word": word, "matches": matches, "within": within}
        return [endpoint for endpoint, code in self.rules if eval(code, names)]


def conditions(policy: dict[str, str] | None = None, **more: Any) -> Conditions:
    return Conditions(httpd_rules(merge_policy(policy), TRUSTED, **more))


ALL = {"login": "trusted"}
ASKED = {
    "xmlrpc": ("/xmlrpc.php", ""),
    "author_by_id": ("/", "author=1"),
    "rest_users": ("/wp-json/wp/v2/users", ""),
    "users_sitemap": ("/", "sitemap=users"),
    "wlwmanifest": ("/wp-includes/wlwmanifest.xml", ""),
    "login": ("/wp-login.php", ""),
}
LOGGED_IN = {"Cookie": "x=1; wordpress_logged_in_0a=b"}
TRUSTING = {"xmlrpc": "trusted", "rest_users": "trusted"}


@needs_possessive
@pytest.mark.parametrize(
    ("who", "policy", "refused"),
    [
        ({}, {}, "xmlrpc author_by_id rest_users users_sitemap wlwmanifest"),
        (LOGGED_IN, {}, "xmlrpc wlwmanifest"),
        ({"Authorization": "Basic eDp5"}, {}, "xmlrpc wlwmanifest"),
        (
            {"REMOTE_ADDR": "192.0.2.7"},
            {},
            "xmlrpc author_by_id rest_users users_sitemap wlwmanifest",
        ),
        ({"REMOTE_ADDR": "192.0.2.7"}, TRUSTING, "author_by_id users_sitemap wlwmanifest"),
        ({"REMOTE_ADDR": "2001:db8::7"}, TRUSTING, "author_by_id users_sitemap wlwmanifest"),
        ({}, {**TRUSTING, "wlwmanifest": "open"}, "xmlrpc author_by_id rest_users users_sitemap"),
        ({}, ALL, "xmlrpc author_by_id rest_users users_sitemap wlwmanifest login"),
    ],
)
def test_who_is_refused_what(who: dict[str, str], policy: dict[str, str], refused: str) -> None:
    found = conditions(policy)
    got = [endpoint for endpoint, asked in ASKED.items() if found.refused(*asked, **who)]
    assert got == refused.split()


@needs_possessive
def test_the_proxy_in_front_has_judged_its_requests_already() -> None:
    found = conditions(ALL, exempt=["127.0.0.0/8", "::1/128"])
    for asked in ASKED.values():
        assert found.refused(*asked)
        assert not found.refused(*asked, CONN_REMOTE_ADDR="127.0.0.1")
        # A header that names the host as the client does not make the peer one.
        assert found.refused(*asked, REMOTE_ADDR="127.0.0.1")


@needs_possessive
def test_a_query_is_judged_with_the_path_that_the_client_asked_for() -> None:
    found = conditions()
    assert found.refused("/index.php", "author=1") == ["author_by_id"]
    assert not found.refused("/index.php", "author=1", REDIRECT_STATUS="200")
    assert not found.refused("/index.php", "author=1", IS_SUBREQ="true")
    assert not found.refused("/index.php", "author=1", SCRIPT_URL="/wp-json/wp/v2/posts")
    assert found.refused("/index.php", "author=1", SCRIPT_URL="/") == ["author_by_id"]


@needs_possessive
def test_a_path_is_judged_also_where_a_rewrite_or_an_alias_leads_to_it() -> None:
    found = conditions()
    assert found.refused("/xmlrpc.php", REDIRECT_STATUS="200") == ["xmlrpc"]
    assert found.refused("/rpc", REQUEST_FILENAME="/var/www/blog/xmlrpc.php") == ["xmlrpc"]
    # A proxy's target is no file, and may hold the query.
    assert not found.refused("/", REQUEST_FILENAME="proxy:http://192.0.2.1/?s=/xmlrpc.php")


@needs_possessive
@pytest.mark.parametrize(
    "path",
    [
        "/xmlrpc.php%2f",
        "/xmlrpc.php%2Ffoo",
        "/%2fxmlrpc.php",
        "/wp-admin/..%2fxmlrpc.php",
        "/wp-json%2fwp%2fv2%2fusers",
        "/xmlrpc.php\n",
        "/XMLRPC.PHP",
        "//xmlrpc.php//",
    ],
)
def test_paths_that_httpd_leaves_as_they_are(path: str) -> None:
    assert conditions().refused(path)


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        (r"/a\.b(?:[/?]|$)", r"(?:/|%2f)a\.b(?:(?:[/?]|%2f)|\n?$)"),
        (r"/a(?:-[^/]*)?\/", r"(?:/|%2f)a(?:-[^/]*)?\/"),
        (r"/a\[/", r"(?:/|%2f)a\[(?:/|%2f)"),
        (r"/+a[b$]", r"(?:/|%2f)+a[b$]"),
    ],
)
def test_a_slash_may_be_an_encoded_one(pattern: str, expression: str) -> None:
    assert path_expression([pattern]) == expression


def test_nothing_is_active_where_all_is_open() -> None:
    found = httpd_rules(dict.fromkeys(merge_policy({}), "open"))
    assert found == {"active": False, "rules": []}
    assert httpd_rules(merge_policy({}))["active"]


def test_expressions_survive_httpds_quotes_and_buffers() -> None:
    for rule in httpd_rules(merge_policy(ALL), TRUSTED, ["127.0.0.0/8"])["rules"]:
        # Between double quotes httpd itself reads \" and \\, and everywhere ${NAME}.
        assert not re.search(r'"|\\\\|\$\{|[\n\r\t]', rule["when"])
        for regex in re.findall("m#([^#]*)#", rule["when"]):
            assert len(regex) < 8000


def _nginx(found: dict[str, Any], path: str, query: str) -> list[str]:
    """What nginx does with the maps for a stranger."""
    paths = (token for e, token in found["paths"] if re.search(e, path, re.I | re.A))
    queries = (token for e, token in found["parameters"] if re.search(e, query, re.A))
    by_path, by_query = next(paths, ""), next(queries, "")
    if by_path == "elsewhere":
        by_path = by_query if by_query in found["everywhere"] else "elsewhere"
    verdict = dict(found["verdicts"]).get(f"01 {by_path or by_query}")
    return [verdict] if verdict else []


_PATHS = [
    "/",
    "/index.php",
    "/wp-admin/edit.php",
    "/wp-json/wp/v2/posts",
    "/wp-json/wp/v2/users/xmlrpc.php",
    "/xmlrpc.php/wp-login.php",
    "/wp-sitemap-users-1.xml",
    "/wp-admin/wlwmanifest.xml",
    "/xmlrpc.phpx",
]
_PAIRS = [
    "author=1",
    "author=0",
    "%61uthor=1",
    "author_name=bob",
    "rest_route=/wp/v2/users",
    "rest.route=%2fwp%2fv2%2fusers",
    "rest_route=/wp/v2/posts",
    "rest_route=x",
    "sitemap=users",
    "sitemap=posts",
    "s=/xmlrpc.php",
]
_POLICIES: list[dict[str, str]] = [
    {},
    ALL,
    {"xmlrpc": "open"},
    {"rest_users": "open"},
    {"rest_users": "trusted", "xmlrpc": "trusted", "author_by_id": "open"},
]
_BOTH = (
    [(conditions(one), nginx_rules(merge_policy(one), TRUSTED)) for one in _POLICIES]
    if sys.version_info >= (3, 11)
    else []
)


@needs_possessive
@given(
    st.integers(0, len(_POLICIES) - 1),
    st.sampled_from(_PATHS),
    st.lists(st.sampled_from(_PAIRS), max_size=3),
)
@example(0, "/wp-admin/", ["author=1", "rest_route=/wp/v2/users"])
@example(1, "/xmlrpc.php/wp-login.php", ["author=1"])
def test_both_servers_refuse_alike_and_by_one_rule(
    policy: int, path: str, pairs: list[str]
) -> None:
    httpd, nginx = _BOTH[policy]
    query = "&".join(pairs)
    refused = httpd.refused(path, query)
    assert refused == _nginx(nginx, path, query)
    if policy == 1:
        target = f"{path}?{query}"
        assert parse(target) is not None
        assert set(refused) <= set(classify(target))
        assert bool(refused) is bool(classify(target))
