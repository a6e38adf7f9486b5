# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The catalogue is consistent with itself, and every reader follows it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ELSEWHERE_PARAMETERS,
    ENDPOINTS,
    SITE_WORK,
    by_id,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import (
    CLOSED,
    OPEN,
    PREFILTER,
    SERVER,
    TRUSTED,
    Endpoint,
    Parameter,
    Request,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_matrix import checks_for_site
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_rules import nginx_rules
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    merge_policy,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import (
    Classifier,
    classify,
)

each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.id)
each_base = pytest.mark.parametrize("base", ["/", "/blog/"])


def fill(request: Request, base: str) -> str:
    return (
        request.target.replace("{base}", base)
        .replace("{host}", "blog.example")
        .replace("{login}", "alice")
        .replace("{site_url}", f"http://blog.example{base}")
    )


def test_names_the_endpoints() -> None:
    assert [endpoint.id for endpoint in ENDPOINTS] == [
        "xmlrpc",
        "author_by_id",
        "rest_users",
        "users_sitemap",
        "wlwmanifest",
        "login",
    ]
    assert by_id("login").title.startswith("Login page")
    with pytest.raises(KeyError):
        by_id("nosuch")


@each_endpoint
def test_an_entry_is_complete(endpoint: Endpoint) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*[a-z]", endpoint.id)
    assert endpoint.title
    assert endpoint.legitimate_use.endswith(".")
    assert endpoint.default in endpoint.policies
    assert set(endpoint.policies) <= {CLOSED, TRUSTED, OPEN}
    assert endpoint.layer in (SERVER, PREFILTER)
    assert endpoint.paths or endpoint.parameters
    assert endpoint.refused
    assert endpoint.served
    assert endpoint.lookalikes


@each_endpoint
def test_expressions_suit_python_pcre_and_the_files_they_are_written_to(endpoint: Endpoint) -> None:
    for path in endpoint.paths:
        re.compile(path)
        assert not re.search(r'["\s]|\\[nrt"\\]', path)
    for leak in (*endpoint.leaks, *endpoint.served_shows):
        re.compile(leak.replace("{login}", "alice"))
    for parameter in endpoint.parameters:
        assert re.fullmatch(r"[a-z_]+", parameter.name)


@each_base
@each_endpoint
def test_what_the_web_server_refuses_is_recognised(endpoint: Endpoint, base: str) -> None:
    for request in endpoint.refused:
        assert endpoint.id in classify(fill(request, base)), request


@each_base
@each_endpoint
def test_what_is_left_to_the_guard_cannot_be_recognised(endpoint: Endpoint, base: str) -> None:
    for request in endpoint.guarded:
        signed_in = {"Cookie", "Authorization"} & {name for name, _ in request.headers}
        if not signed_in and "rest_route=" not in request.target:
            assert classify(fill(request, base)) == (), request


@each_base
def test_work_is_not_taken_for_an_attack(base: str) -> None:
    work = [*SITE_WORK, *(request for endpoint in ENDPOINTS for request in endpoint.lookalikes)]
    for request in work:
        assert classify(fill(request, base)) == (), request


# Answers that were seen, shortened.
@pytest.mark.parametrize(
    ("identity", "answer"),
    [
        ("xmlrpc", "\n\n<?xml version='1.0'?>\n<methodResponse>\n  <params>"),
        ("xmlrpc", "\n\nXML-RPC server accepts POST requests only."),
        ("xmlrpc", '\n\n<rsd version="1.0" xmlns="http://archipelago...">'),
        ("author_by_id", "Location: http://blog.example/author/alice/\n\n"),
        ("author_by_id", '\n\n<body class="archive author author-alice author-1 wp-embed">'),
        ("author_by_id", "\n\n<dc:creator><![CDATA[bob]]></dc:creator>"),
        ("author_by_id", '\n\n{"author_url":"http:\\/\\/blog.example\\/author\\/alice\\/"}'),
        ("rest_users", '\n\n[{"id":1,"slug":"alice","avatar_urls":{"24":"x"}}]'),
        ("rest_users", '\n\n{"_embedded":{"author":[{"name":"x","avatar_urls":{}}]}}'),
        ("rest_users", '\n\n{"author_name":"x","link":"http:\\/\\/b\\/author\\/someone\\/"}'),
        ("rest_users", '\n\n{"slug": "bob"}'),
        ("users_sitemap", "\n\n<url><loc>http://blog.example/author/alice/</loc></url>"),
        ("wlwmanifest", '\n\n<manifest xmlns="http://schemas.microsoft.com/wlw/manifest/weblog">'),
        ("login", '\n\n<form name="loginform" id="loginform" action="x">'),
    ],
)
def test_leaks_are_seen(identity: str, answer: str) -> None:
    assert leaks(identity, answer)


@pytest.mark.parametrize(
    ("identity", "answer"),
    [
        ("xmlrpc", "\n\nForbidden\n"),
        ("xmlrpc", "\n\n<p>How to switch xmlrpc.php off</p>"),
        ("author_by_id", "Location: http://blog.example/wp-login.php\n\n"),
        ("author_by_id", '\n\n<body class="home blog"><a href="/authors/">Our authors</a>'),
        ("author_by_id", "\n\n<dc:creator><![CDATA[Zoe Display]]></dc:creator>"),
        ("author_by_id", '\n\n<link rel="stylesheet" href="/wp-includes/author/">'),
        ("rest_users", '\n\n{"author_avatar_urls":{"24":"x"},"slug":"bobsled"}'),
        ("rest_users", '\n\n{"code":"rest_no_route","message":"No route was found"}'),
    ],
)
def test_harmless_answers_are_no_leaks(identity: str, answer: str) -> None:
    assert not leaks(identity, answer)


def leaks(identity: str, answer: str) -> bool:
    patterns = [
        leak.replace("{login}", login)
        for leak in by_id(identity).leaks
        for login in ("alice", "bob")
    ]
    return any(re.search(pattern, answer) for pattern in patterns)


def test_only_a_full_value_counts_as_elsewhere() -> None:
    assert all(parameter.starts_with for parameter in ELSEWHERE_PARAMETERS)


WIDGET = Endpoint(
    id="widget",
    title="A throw-away endpoint",
    legitimate_use="This test.",
    policies=(CLOSED, TRUSTED, OPEN),
    default=CLOSED,
    layer=SERVER,
    paths=(r"/widget\.php(?:/|$)",),
    parameters=(Parameter("widget_id", starts_with="w", followed_by=""),),
    leaks=(r"WIDGET",),
    refused=(Request("{base}widget.php"), Request("{base}?widget.id=w", "POST", body="x")),
    served=(Request("{base}widget.php"),),
    served_shows=(r"WIDGET",),
    lookalikes=(Request("{base}widget.phpx"),),
)


def test_one_entry_is_all_that_a_new_endpoint_needs() -> None:
    endpoints = (*ENDPOINTS, WIDGET)
    classifier = Classifier(endpoints)
    assert classifier.classify("//%77idget.php/x") == ("widget",)
    assert classifier.classify("/?widget%5Bid=%57") == ("widget",)
    assert classifier.classify("/?widget_id=w2") == ()

    policy = merge_policy({"widget": TRUSTED}, endpoints)
    assert policy == {**merge_policy({}), "widget": "trusted"}
    with pytest.raises(PolicyError):
        merge_policy({"widget": TRUSTED})

    rules = nginx_rules(policy, ["192.0.2.7/32"], endpoints)
    assert [r"/widget\.php(?:/|$)", "widget"] in rules["paths"]
    assert "widget" in [token for _, token in rules["parameters"]]
    assert ["00 widget", "widget"] in rules["verdicts"]
    assert ["10 widget", "widget"] not in rules["verdicts"]

    site: dict[str, Any] = {"id": "blog.example/", "url_path": "/"}
    connect = {"address": "192.0.2.1", "port": 80, "tls": False, "host": "blog.example"}
    checks = checks_for_site(site, connect, policy, endpoints=endpoints)
    assert [
        (check["kind"], check["method"], check["target"], check["expect"]["status"])
        for check in checks
        if check["endpoint"] == "widget"
    ] == [
        ("work", "GET", "/widget.phpx", None),
        ("refuse", "GET", "/widget.php", [403]),
        ("refuse", "POST", "/?widget.id=w", [403]),
        ("trusted", "GET", "/widget.php", [200]),
    ]
