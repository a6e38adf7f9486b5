# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of bench/bypass.py that need no host: rows, judging, snippets, tables."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import catalogue
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Request
from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    CLOSED,
    SILENT,
    UNREACHABLE,
    Exchange,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import encode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench import bypass_hosts, bypass_snippets
from bench.bypass_ask import next_request
from bench.bypass_rows import OPEN, SHUT, UNKNOWN, Row, Server, lookalikes, rows
from bench.bypass_snippets import Left, Snippet
from bench.bypass_table import Measured, code, render, unproven

SERVER = Server("192.0.2.10", 8081, "pathinfo.example:8081")
ROWS = rows()


def answer(status: int, body: str = "", *headers: tuple[str, str], whole: bool = True) -> Exchange:
    return Exchange(ANSWERED, "", status, headers, body.encode(), whole)


def row(label: str, section: str = "xmlrpc") -> Row:
    (found,) = [one for one in ROWS if one.section == section and one.label == label]
    return found


def test_every_request_of_the_catalogue_is_a_row() -> None:
    asked = {(one.section, one.request) for one in ROWS}
    labels = {(one.section, one.label) for one in ROWS}
    for endpoint in catalogue.ENDPOINTS:
        for request in (*endpoint.refused, *endpoint.guarded):
            listed = (endpoint.id, request) in asked
            same = (endpoint.id, Row(endpoint.id, request, ()).label) in labels
            assert (listed or same) == (endpoint.default == "closed"), request


def test_no_two_rows_look_alike() -> None:
    labels = [(one.section, one.label) for one in ROWS]
    assert len(set(labels)) == len(labels) > 200


def test_every_row_can_be_sent() -> None:
    for one in (*ROWS, *lookalikes()):
        data = encode(one.to(SERVER))
        assert b"{" not in data.split(b"\r\n", 1)[0]
        assert b"blog.example" not in data.split(b"\r\n\r\n")[0] or "nosuch" in one.request.body


def test_labels_are_for_a_site_at_the_root_and_show_what_is_not_seen() -> None:
    assert row("POST //xmlrpc.php (chunked)").request.target == "{base}/xmlrpc.php"
    shown = {one.label for one in ROWS}
    assert {
        r"POST /xmlrpc.php\x20",
        r"POST /xmlrpc.php\x00",
        "POST http://blog.example/xmlrpc.php",
        "GET /?author_name=alice",
        "POST /xmlrpc.php HTTP/1.0 (no Host)",
    } <= shown


def test_a_chunked_body_holds_the_whole_call() -> None:
    head, body = encode(row("POST /xmlrpc.php (chunked)").to(SERVER)).split(b"\r\n\r\n", 1)
    assert b"content-length" not in head.lower()
    pieces = body.split(b"\r\n")
    sizes, texts = pieces[0:6:2], pieces[1:6:2]
    assert [int(size, 16) for size in sizes] == [len(text) for text in texts]
    assert sizes[-1] == b"0"
    assert b"".join(texts).decode() == row("POST /xmlrpc.php").request.body.replace(
        "</methodName></methodCall>", "</methodName><params></params></methodCall>"
    )


@pytest.mark.parametrize(
    ("label", "section", "exchange", "verdict"),
    [
        ("POST /xmlrpc.php", "xmlrpc", answer(200, "<methodResponse>"), OPEN),
        ("POST /xmlrpc.php", "xmlrpc", answer(403, "<methodResponse>"), OPEN),
        ("GET /xmlrpc.php", "xmlrpc", answer(405, "XML-RPC server accepts POST"), OPEN),
        ("GET /xmlrpc.php?rsd", "xmlrpc", answer(200, '<rsd version="1.0">'), OPEN),
        ("POST /xmlrpc.php", "xmlrpc", answer(200, "<html>home page"), SHUT),
        ("POST /xmlrpc.php", "xmlrpc", answer(403, "Forbidden"), SHUT),
        ("POST /xmlrpc.php", "xmlrpc", answer(403, "Forb", whole=False), UNKNOWN),
        ("POST /xmlrpc.php", "xmlrpc", answer(200, "<methodResponse", whole=False), OPEN),
        ("POST /xmlrpc.php", "xmlrpc", Exchange(CLOSED), SHUT),
        ("POST /xmlrpc.php", "xmlrpc", Exchange(SILENT), UNKNOWN),
        ("POST /xmlrpc.php", "xmlrpc", Exchange(UNREACHABLE), UNKNOWN),
        ("HEAD /xmlrpc.php", "xmlrpc", answer(405, "", ("Allow", "POST")), OPEN),
        ("HEAD /xmlrpc.php", "xmlrpc", answer(405, "", ("Allow", "GET,POST")), SHUT),
        ("GET /?author=1", "author_by_id", answer(301, "", ("Location", "/author/bob/")), OPEN),
        ("GET /?author=1", "author_by_id", answer(301, "", ("Location", "/author/")), SHUT),
        ("GET /feed/atom/", "author_by_id", answer(200, "<name>bob</name>"), OPEN),
        ("GET /feed/atom/", "author_by_id", answer(200, "<name>Zoe</name>"), SHUT),
        ("HEAD /wp-json/wp/v2/users", "rest_users", answer(200, "", ("X-WP-Total", "2")), OPEN),
        ("GET /wp-json/wp/v2/users", "rest_users", answer(404, '{"slug":"alice"}'), OPEN),
    ],
)
def test_answers_are_judged_by_what_they_say(
    label: str, section: str, exchange: Exchange, verdict: str
) -> None:
    assert row(label, section).judge(exchange) == verdict


def test_what_stands_at_the_end_of_a_redirect_counts() -> None:
    one = row("GET /?sitemap=users", "users_sitemap")
    moved = answer(301, "", ("Location", "/wp-sitemap-users-1.xml"))
    named = answer(200, "<loc>http://blog.example/author/alice/</loc>")
    assert one.judge(moved, named) == OPEN
    assert one.judge(moved, answer(404)) == SHUT
    assert one.judge(moved, Exchange(SILENT)) == UNKNOWN


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/here/?x", "/here/?x"),
        ("http://pathinfo.example:8081/here/", "/here/"),
        ("http://elsewhere.example/", None),
        ("//elsewhere.example/", None),
        ("", None),
    ],
)
def test_redirects_are_followed_within_the_site(location: str, target: str | None) -> None:
    asked = row("POST /xmlrpc.php").to(SERVER)
    found = next_request(asked, answer(301, "", ("Location", location)))
    assert (found.target if found else None) == target
    if found:
        assert (found.method, found.body, found.host) == ("GET", b"", SERVER.host)
    assert next_request(asked, answer(200, "", ("Location", location))) is None


ONE = row("POST /xmlrpc.php")
TWO = row("GET /?author=1", "author_by_id")


def measured(before: str, alone: str, after: str) -> Measured:
    return Measured("a column", "httpd 2.4", {ONE: before}, {ONE: alone}, {ONE: after})


@pytest.mark.parametrize(
    ("before", "alone", "after", "cell"),
    [
        (OPEN, SHUT, SHUT, "server"),
        (OPEN, OPEN, SHUT, "guard"),
        (SHUT, SHUT, SHUT, "-"),
        (OPEN, OPEN, OPEN, "**OPEN**"),
        (SHUT, SHUT, OPEN, "**OPEN**"),
        (OPEN, SHUT, OPEN, "**OPEN**"),
        (UNKNOWN, SHUT, SHUT, "**no answer**"),
        (OPEN, UNKNOWN, SHUT, "**no answer**"),
        (OPEN, SHUT, UNKNOWN, "**no answer**"),
    ],
)
def test_a_cell_says_who_closed_it(before: str, alone: str, after: str, cell: str) -> None:
    column = measured(before, alone, after)
    assert column.cell(ONE) == cell
    assert unproven([column]) == (
        [f"a column: POST /xmlrpc.php: {cell.strip('*')}"] if "*" in cell else []
    )


def test_a_row_that_was_never_open_is_not_asked_of_the_server_alone() -> None:
    column = Measured("a column", "", {ONE: SHUT}, {}, {ONE: SHUT})
    assert column.cell(ONE) == "-"


def table(document: str, head: str) -> list[list[str]]:
    """The cells of the table whose first head is that, heads and rule left out."""
    lines = document[document.index(f"| {head} |") :].split("\n\n", 1)[0].splitlines()
    return [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in lines[2:]]


def test_the_document() -> None:
    piped = Row("xmlrpc", Request("{base}x|y", note="a note"), ())
    before = {ONE: OPEN, TWO: OPEN, piped: SHUT}
    alone = {ONE: SHUT, TWO: OPEN}
    after = dict.fromkeys(before, SHUT)
    wrongly = ("GET /?p=x",)
    left = {"a | block": Left(1, 1, ("GET /?s=x",)), "another": Left(1, 0)}
    column = Measured("a column", "httpd 2.4", before, alone, after, wrongly, left, "httpd")
    snippets = [
        Snippet("a | block", "httpd", "xmlrpc", {}),
        Snippet("another", "any", "users", {}),
        Snippet("of nginx", "nginx", "xmlrpc", {}),
    ]
    document = render(list(before), [column, replace(column, title="b", snippets={})], snippets)
    assert table(document, "column") == [
        ["a column", "3", "2", "1", "1", "0", "httpd 2.4"],
        ["b", "3", "2", "1", "1", "0", "httpd 2.4"],
    ]
    assert table(document, "request") == [
        ["`POST /xmlrpc.php`", "server", "server"],
        [r"`GET /x\|y` a note", "-", "-"],
    ]
    assert table(document, "block") == [
        ["nothing", "1"],
        [r"a \| block", "1", "`GET /?s=x`"],
        ["wpward's rules on the web server alone", "0"],
        ["**wpward**", "**0**", "`GET /?p=x`"],
    ]
    assert "another" in document
    assert "of nginx" not in document
    assert "Published" not in render(list(before), [replace(column, snippets={})])


def test_a_harmless_request_is_refused_where_it_worked_before() -> None:
    usual = {ONE: 200, TWO: 302}
    assert bypass_snippets.refused(usual, {ONE: 204, TWO: 301}) == ()
    assert bypass_snippets.refused(usual, {ONE: 301, TWO: 403}) == (ONE.label, TWO.label)
    assert bypass_snippets.refused(usual, {ONE: 0}) == (ONE.label,)
    assert bypass_snippets.refused({ONE: 404}, {ONE: 403}) == ()


def test_code_may_hold_what_a_table_is_made_of() -> None:
    assert code("a|b") == r"`a\|b`"
    assert code("a`b") == "`` a`b ``"


def test_every_snippet_has_a_place_on_every_host_made_for_its_server() -> None:
    snippets = bypass_snippets.load()
    names = [(snippet.closes, snippet.name) for snippet in snippets]
    assert len(set(names)) == len(names) > 30
    for bed in bypass_hosts.BEDS:
        for snippet in snippets:
            if bed.open_places and snippet.server in (bed.server, "any"):
                assert set(snippet.places) <= set(bed.places), snippet.name
                assert all(snippet.places.values()), snippet.name


@pytest.mark.parametrize(("field", "value"), [("closes", "everything"), ("server", "lighttpd")])
def test_a_snippet_of_no_use_is_named(tmp_path: Path, field: str, value: str) -> None:
    entry = {"name": "mine", "server": "nginx", "closes": "xmlrpc", field: value}
    lines = [f"  {key}: {text}" for key, text in entry.items()]
    text = "\n".join(["-", *lines, "  places:", "    http: deny all;", ""])
    (tmp_path / "some.yml").write_text(text)
    with pytest.raises(ValueError, match=f"'mine'.*'{value}'"):
        bypass_snippets.load(tmp_path)


def test_the_column_titles_are_unique() -> None:
    titles = [column.title for bed in bypass_hosts.BEDS for column in bed.columns]
    assert len(set(titles)) == len(titles)
