# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading raw request targets as nginx and PHP do."""

from __future__ import annotations

import random
import time
from urllib.parse import quote

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import (
    RequestTarget,
    classify,
    decode_log_escapes,
    parse,
    php_name,
    php_parameters,
)
from hypothesis import given
from hypothesis import strategies as st

# Measured on nginx 1.22 with PHP 8.2 and WordPress 6.1: what came back from XML-RPC unhardened.
XMLRPC = [
    "/xmlrpc.php",
    "//xmlrpc.php",
    "///xmlrpc.php",
    "/./xmlrpc.php",
    "/%2e/xmlrpc.php",
    "/xmlrpc.php?x",
    "/xmlrpc.php??",
    "/xmlrpc%2ephp",
    "/%78mlrpc.php",
    "/xmlrp%63.php",
    "/%78%6d%6c%72%70%63%2e%70%68%70",
    "/wp/../xmlrpc.php",
    "/wp-admin/../xmlrpc.php",
    "/wp-admin/%2e%2e/xmlrpc.php",
    "/index.php/../xmlrpc.php",
    "/xmlrpc.php/index.php",
    "/xmlrpc.php/",
    "/xmlrpc.php/foo",
    "/xmlrpc.php/x.css",
    "/xmlrpc.php//",
    "/xmlrpc.php%2f",
    "/xmlrpc.php%2ffoo",
    "/%2fxmlrpc.php",
    "/%2f/xmlrpc.php",
    "/wp-admin/..%2fxmlrpc.php",
    "/xmlrpc.php#a",
    "/xmlrpc.php ",
    " /xmlrpc.php",
    "/xmlrpc.php%3fooo.php",
    "http://blog.example/xmlrpc.php",
    "https://other.example:8443//xmlrpc.php",
    "HTTP://[2001:db8::1]:80/xmlrpc.php",
    "http://a_b.example/xmlrpc.php",
    "https://blog.e%78ample/xmlrpc.php",
    "https://a%2fb/xmlrpc.php",
    'https://a"b\\c\xe4|{}/xmlrpc.php',
    "http:/xmlrpc.php",
    "https:/./%78mlrpc.php",
    "/blog/xmlrpc.php",
    "/XMLRPC.PHP",
]
NOT_XMLRPC = [
    "/",
    "/xmlrpc.php.bak",
    "/my-xmlrpc.php-story/",
    "/xmlrpc.phpx",
    "/?s=/xmlrpc.php",
    "/?u=http://x/xmlrpc.php",
    "/xmlrpc%252ephp",
    "/xmlrpc.php;",
    "/xmlrpc.php;.css",
    "/xmlrpc.php%20",
    "/xmlrpc.php%23",
    "/xmlrpc;.php",
    "/#/xmlrpc.php",
    "/xmlrpc.php%00",
    "/xmlrpc.php%zz",
    "xmlrpc.php",
    "\\xmlrpc.php",
    "*",
    "blog.example:443",
    "",
]


@pytest.mark.parametrize("target", XMLRPC)
def test_reaches_xmlrpc(target: str) -> None:
    assert classify(target) == ("xmlrpc",)


@pytest.mark.parametrize("target", NOT_XMLRPC)
def test_does_not_reach_xmlrpc(target: str) -> None:
    assert classify(target) == ()


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        ("/?author=1", "author_by_id"),
        ("//?author=1", "author_by_id"),
        ("/index.php?author=1", "author_by_id"),
        ("/first/?author=1", "author_by_id"),
        ("/?%61uthor=1", "author_by_id"),
        ("/?author=01", "author_by_id"),
        ("/?author=%31", "author_by_id"),
        ("/?author=1%20", "author_by_id"),
        ("/?author=+1", "author_by_id"),
        ("/?author=1,2", "author_by_id"),
        ("/?author=x%1", "author_by_id"),
        ("/?author=%41%31", "author_by_id"),
        ("/?x=y&author=1", "author_by_id"),
        ("/?author%00=1", "author_by_id"),
        ("/?author_name=alice", "author_by_id"),
        ("/?author%5Bname=alice", "author_by_id"),
        ("/wp-json/wp/v2/users", "rest_users"),
        ("/wp-json/wp/v2/users/01?_jsonp=x", "rest_users"),
        ("/%77p-json/wp/v2/%75sers", "rest_users"),
        ("/wp-json/WP/V2/USERS", "rest_users"),
        ("/index.php/wp-json/wp/v2/users", "rest_users"),
        ("/wp-json%2fwp%2fv2%2fusers", "rest_users"),
        ("/wp-json/wp/v2/users?author=1", "rest_users"),
        ("/wp-json/?rest_route=/wp/v2/users", "rest_users"),
        ("/?rest_route=%2Fwp%2Fv2%2Fusers", "rest_users"),
        ("/?rest_route=/WP/v2/users/", "rest_users"),
        ("/?rest_route=a&rest_route=/wp/v2/users", "rest_users"),
        ("/?rest.route=/wp/v2/users", "rest_users"),
        ("/?rest+route=/wp/v2/users", "rest_users"),
        ("/?rest%5Broute=/wp/v2/users", "rest_users"),
        ("/?rest%5Froute=/wp/v2/%75sers", "rest_users"),
        ("/?+rest_route=/wp/v2/users", "rest_users"),
        ("/?rest_route=/wp/v2/users%0a", "rest_users"),
        ("/wp-admin/?rest_route=/wp/v2/users", "rest_users"),
        ("/wp-sitemap-users-1.xml", "users_sitemap"),
        ("/?sitemap=users", "users_sitemap"),
        ("/wp-includes/wlwmanifest.xml", "wlwmanifest"),
        ("/blog/wp-login.php?action=lostpassword", "login"),
    ],
)
def test_reaches(target: str, endpoint: str) -> None:
    assert classify(target) == (endpoint,)


@pytest.mark.parametrize(
    "target",
    [
        "/?author=",
        "/?author=0",
        "/?author=%41",
        "/?AUTHOR=1",
        "/?author[]=1",
        "/?author%5B%5D=1",
        "/?x=y;author=1",
        "/?author",
        "/?=1",
        "/?coauthor=1",
        "/?author.x=1",
        "/?author_name=",
        "/author=1",
        "/wp-admin/edit.php?author=1",
        "/wp-json/wp/v2/posts?author=1",
        "/?rest_route=/wp/v2/posts&author=1",
        "/wp-admin/?sitemap=users",
        "/wp-json/wp/v2/usersx",
        "/wp-json/wp/v2/posts",
        "/?rest_route=/wp/v2/users2",
        "/?rest_route=wp/v2/users",
        "/?rest_route[]=/wp/v2/users",
        "/?REST_ROUTE=/wp/v2/users",
        "/?sitemap=users2",
        "/wp-sitemap.xml",
        "/wp-sitemap-posts-post-1.xml",
        "/wp-login.phpx",
    ],
)
def test_reaches_nothing(target: str) -> None:
    assert classify(target) == ()


def test_names_all_endpoints_in_the_catalogues_order() -> None:
    target = "/wp-login.php?sitemap=users&author=1&rest_route=/wp/v2/users"
    assert classify(target) == ("rest_users", "login")
    assert classify("/xmlrpc.php?sitemap=users&author=1") == (
        "xmlrpc",
        "author_by_id",
        "users_sitemap",
    )


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a/b/../c/./d", "/a/c/d", ""),
        ("/a//b///", "/a/b/", ""),
        ("/a/..", "/", ""),
        ("/a/b/..", "/a/", ""),
        ("/a/.", "/a/", ""),
        ("/..a/...", "/..a/...", ""),
        ("//../a", "/a", ""),
        ("/a%3fb?c%3fd", "/a?b", "c%3fd"),
        ("/a%23b", "/a#b", ""),
        ("/a?b#c", "/a", "b"),
        ("/a#b?c", "/a", ""),
        ("/%25%32%65", "/%2e", ""),
        ("/%C3%A9", "/\xc3\xa9", ""),
        ("http://h.example", "/", ""),
        ("http://h.example?a", "/", "a"),
        ("http:?a", "/", "a"),
        ("http:////a", "/a", ""),
    ],
)
def test_normalises(target: str, path: str, query: str) -> None:
    assert parse(target) == RequestTarget(path, query)


def test_reads_text_bytes_and_undecodable_names_alike() -> None:
    assert parse("/é".encode()) == parse("/é") == parse("/\udcc3\udca9")
    assert parse("/\ud800") is not None


@pytest.mark.parametrize(
    ("logged", "raw"),
    [
        (r"/a\x22b", '/a"b'),
        (r"/a\x5Cb", "/a\\b"),
        (r"/a\"b\\c\n", '/a"b\\c\n'),
        (r"/a\xZZ", "/axZZ"),
        ("/a\\", "/a\\"),
    ],
)
def test_undoes_log_escapes(logged: str, raw: str) -> None:
    assert decode_log_escapes(logged) == raw


def test_classifies_what_a_log_holds() -> None:
    assert classify(r"/\x01/../xmlrpc.php", log_escaped=True) == ("xmlrpc",)
    assert classify(r"/\x78mlrpc.php") == ()


@pytest.mark.parametrize(
    ("name", "filed"),
    [
        ("a b.c", "a_b_c"),
        ("  a", "a"),
        ("a[b", "a_b"),
        ("a[b]", None),
        ("a[b]c", None),
        ("a\0[]", "a"),
        ("[a", None),
        ("", None),
        (" ", None),
    ],
)
def test_mangles_names_as_php_does(name: str, filed: str | None) -> None:
    assert php_name(name) == filed


def test_splits_a_query_as_php_does() -> None:
    assert list(php_parameters("a=1&&b&=c&d=%3D+%2b&e=%zz=")) == [
        ("a", "1"),
        ("b", ""),
        ("d", "= +"),
        ("e", "%zz="),
    ]


# Pieces of which hostile targets are made, so that random ones get beyond the first check.
# fmt: off
_PIECES = st.sampled_from(
    [
        "/", "//", ".", "..", "/../", "%", "%2", "%2f", "%2e", "%00", "?", "&", "=", "#", "+",
        "[", "]", " ", "\\", "\\x2f", "\0", "\x7f", "\xff", "\ud800", "\U0001f600",
        "xmlrpc.php", "wp-json", "author", "rest_route", "1", "http://", "h.example", ":80",
    ]
)
# fmt: on


@given(st.lists(_PIECES, max_size=20).map("".join), st.booleans())
def test_never_raises_on_text(target: str, log_escaped: bool) -> None:
    assert isinstance(classify(target, log_escaped), tuple)


@given(st.binary(max_size=200), st.booleans())
def test_never_raises_on_bytes(target: bytes, log_escaped: bool) -> None:
    assert isinstance(classify(target, log_escaped), tuple)


@given(st.lists(_PIECES, max_size=20).map("".join))
def test_a_normalised_path_is_normal(target: str) -> None:
    parsed = parse("/" + target)
    if parsed is not None:
        assert parsed.path.startswith("/")
        assert "//" not in parsed.path
        assert not {".", ".."} & set(parsed.path.split("/"))
        # What a decoded slash, question mark or percent sign means, encoding it again keeps.
        assert parse(quote(parsed.path.encode("latin-1"))) == RequestTarget(parsed.path, "")


@given(st.data(), st.sampled_from(["/xmlrpc.php", "/wp-json/wp/v2/users", "/wp-login.php"]))
def test_encoding_and_detours_change_nothing(data: st.DataObject, path: str) -> None:
    encoded = "".join(
        data.draw(st.sampled_from([c, f"%{ord(c):02x}", f"%{ord(c):02X}"])) for c in path
    )
    detours = ["", "/", "/.", "/x/..", "/%2e", "//x/%2e%2e", "/a/b/../.."]
    detour = data.draw(st.sampled_from(detours))
    tail = data.draw(st.sampled_from(["", "/", "/x", "?", "?a=b", "#a"]))
    # The first slash has to be a plain one, or it is no path.
    assert classify(f"{detour}/{encoded}{tail}") == classify(path)


def test_long_targets_take_linear_time() -> None:
    generator = random.Random(1)
    targets = [
        "/" + "../" * 20_000,
        "/" + "%2e%2e/" * 9_000,
        "/?" + "author=&" * 8_000,
        "/?" + "author" + "[" * 60_000 + "=1",
        "/?" + "%5B" * 20_000 + "=1",
        "http://" + "a" * 64_000,
        "/" + "".join(generator.choice("./%2e?&=") for _ in range(64_000)),
    ]
    started = time.process_time()
    for target in targets:
        classify(target)
    assert time.process_time() - started < 2
