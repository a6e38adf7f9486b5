# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading checks, and believing a refusal only where it is one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    CLOSED,
    GARBLED,
    SILENT,
    UNREACHABLE,
    Exchange,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import (
    CheckError,
    parse,
    parse_all,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_fingerprint import fingerprint
from ansible_collections.wpward.wordpress.plugins.module_utils.http_judge import (
    FAILED,
    NOT_REACHED,
    PASSED,
    SKIPPED,
    judge,
    record,
)

PLAIN: dict[str, Any] = {
    "id": "rpc",
    "endpoint": "xmlrpc",
    "kind": "refuse",
    "site": "blog.example/",
    "connect": {"address": "192.0.2.10", "port": 80, "tls": False, "host": "blog.example"},
    "method": "POST",
    "target": "//xmlrpc.php",
    "headers": {"Content-Type": "text/xml"},
    "body": "<methodCall/>",
    "expect": {"status": [403], "must_not_match": ["<methodResponse>", "^Location: .*/author/"]},
}


def check(**change: Any) -> Any:
    return parse({**PLAIN, **change})


def answer(
    status: int, body: str = "", complete: bool = True, headers: tuple[tuple[str, str], ...] = ()
) -> Exchange:
    detail = "" if complete else "the body was cut at 9 bytes"
    return Exchange(ANSWERED, detail, status, headers, body.encode(), complete)


REFUSED = "<html>\n<head><title>403 Forbidden</title></head></html>"
RPC = '<?xml version="1.0"?>\n<methodResponse>\n</methodResponse>'


@pytest.mark.parametrize(
    ("exchange", "outcome", "said"),
    [
        (answer(403, REFUSED), PASSED, "403"),
        (answer(403, RPC), FAILED, "403 with '<methodResponse>'"),
        (answer(200, RPC), FAILED, "<methodResponse>"),
        (answer(200, "something else"), FAILED, "200, not 403"),
        (answer(405, "XML-RPC server accepts POST requests only."), FAILED, "405, not 403"),
        (answer(403, REFUSED, complete=False), FAILED, "cannot be judged"),
        (answer(403, headers=(("X", "1"), ("location", "/author/x"))), FAILED, "/author/"),
        (answer(301, headers=(("Location", "/elsewhere"),)), FAILED, "301 to /elsewhere, not 403"),
        (Exchange(UNREACHABLE, "connection refused"), NOT_REACHED, "refused"),
        (Exchange(SILENT, "no answer: the time was up"), FAILED, "time was up"),
        (Exchange(CLOSED, "closed without an answer"), FAILED, "closed"),
        (Exchange(GARBLED, "what came back is not HTTP/1.x", body=b"x"), FAILED, "not HTTP"),
        (Exchange(GARBLED, "not HTTP", body=RPC.encode()), FAILED, "<methodResponse>"),
    ],
)
def test_refusals(exchange: Exchange, outcome: str, said: str) -> None:
    verdict = judge(check(), exchange)
    assert verdict.outcome == outcome and said in verdict.reason


def test_refusal_judged_by_content_alone() -> None:
    by_content = check(expect={"status": None, "must_not_match": ["/author/[a-z]", "alice"]})
    assert judge(by_content, answer(200, "nothing")).outcome == PASSED
    assert judge(by_content, answer(404, "gone")).outcome == PASSED
    assert judge(by_content, answer(200, "by alice")).outcome == FAILED
    link = (("Link", '</author/alice>; rel="author"'),)
    assert judge(by_content, answer(404, "gone", headers=link)).outcome == FAILED
    assert judge(by_content, Exchange(CLOSED, "closed")).outcome == FAILED


def test_closing_the_connection_is_a_refusal_only_where_expected() -> None:
    closed = Exchange(CLOSED, "closed without an answer")
    assert judge(check(expect={"status": [403, 444]}), closed).outcome == PASSED
    assert judge(check(expect={"status": [444]}), Exchange(SILENT, "reset")).outcome == FAILED


SERVED: dict[str, Any] = {
    "kind": "trusted",
    "expect": {"status": [200], "must_match": ["<methodResponse>", "never"]},
}


@pytest.mark.parametrize(
    ("exchange", "outcome"),
    [
        (answer(200, RPC), PASSED),
        (answer(403, REFUSED), FAILED),
        # An allowlist that does not reach PHP: nginx's own 405, and the source of xmlrpc.php.
        (answer(405, "<html><h1>405 Not Allowed</h1></html>"), FAILED),
        (answer(200, "<?php\n/** XML-RPC protocol support */"), FAILED),
        (answer(302, headers=(("Location", "/"),)), FAILED),
        (Exchange(UNREACHABLE, "no"), NOT_REACHED),
    ],
)
def test_service_for_the_trusted(exchange: Exchange, outcome: str) -> None:
    assert judge(check(**SERVED), exchange).outcome == outcome


WORK: dict[str, Any] = {
    "kind": "work",
    "method": "GET",
    "target": "/",
    "body": "",
    "expect": {"status": [200]},
}
PAGE = "<!DOCTYPE html><html><title>A</title><p>one</p><p>two</p></html>"
FATAL = "<b>Fatal error</b>:  Uncaught Error in <b>/x.php</b> on line <b>3</b>"


@pytest.mark.parametrize(
    ("exchange", "outcome"),
    [
        (answer(200, PAGE), PASSED),
        (answer(301, headers=(("Location", "https://blog.example/"),)), PASSED),
        (answer(302, headers=(("Location", "/wp-admin/install.php"),)), FAILED),
        (answer(403, REFUSED), FAILED),
        (answer(500, PAGE), FAILED),
        (answer(200, PAGE[:-9]), FAILED),
        (answer(200, PAGE + FATAL), FAILED),
        (answer(200, PAGE, complete=False), FAILED),
        (Exchange(UNREACHABLE, "no"), NOT_REACHED),
    ],
)
def test_work_without_a_record(exchange: Exchange, outcome: str) -> None:
    assert judge(check(**WORK), exchange).outcome == outcome


def test_work_that_expects_no_status_takes_no_error() -> None:
    anything = check(**{**WORK, "expect": {}})
    assert judge(anything, answer(200, PAGE)).outcome == PASSED
    assert judge(anything, answer(404, PAGE)).outcome == FAILED


def recorded(first: Exchange, second: Exchange | None = None) -> dict[str, Any]:
    second = second or first
    return record(check(**WORK), second, fingerprint(first, second))


def compared(before: Exchange, after: Exchange) -> str:
    return judge(check(**WORK), after, recorded(before)).outcome


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (answer(200, PAGE), answer(200, PAGE), PASSED),
        (answer(200, PAGE), answer(403, REFUSED), FAILED),
        (answer(200, PAGE), answer(200, PAGE + FATAL), FAILED),
        (answer(200, PAGE), Exchange(UNREACHABLE, "no"), NOT_REACHED),
        (answer(200, PAGE), Exchange(SILENT, "no"), FAILED),
        # What did not work before cannot have been broken ...
        (answer(404, PAGE), answer(404, PAGE), PASSED),
        (answer(404, PAGE), answer(503, PAGE), SKIPPED),
        (Exchange(SILENT, "no answer"), Exchange(SILENT, "no answer"), SKIPPED),
        (Exchange(UNREACHABLE, "no"), Exchange(UNREACHABLE, "no"), SKIPPED),
        (Exchange(SILENT, "no answer"), answer(200, PAGE), PASSED),
        (answer(502, "x"), answer(200, PAGE), PASSED),
        (answer(502, "x"), answer(504, "x"), SKIPPED),
        (answer(500, PAGE + FATAL), answer(500, PAGE + FATAL), PASSED),
        # ... but an error of PHP that was not there is our doing.
        (Exchange(SILENT, "no answer"), answer(500, "x"), FAILED),
        (Exchange(SILENT, "no answer"), answer(200, PAGE + FATAL), FAILED),
        (answer(502, "x"), answer(500, ""), FAILED),
    ],
)
def test_work_compared_with_the_record(before: Exchange, after: Exchange, outcome: str) -> None:
    assert compared(before, after) == outcome


def test_a_flapping_site_has_no_record_and_says_so() -> None:
    entry = recorded(answer(502, "x"), answer(200, PAGE))
    assert "502" in entry["broken"]
    verdict = judge(check(**WORK), answer(504, "x"), entry)
    assert verdict.outcome == SKIPPED and "did not work before" in verdict.reason


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": ""}, "no id"),
        ({"kind": "attack"}, "'attack'"),
        ({"connect": None}, "check rpc"),
        ({"connect": {"address": "x"}}, "host"),
        ({"target": "/a\r\nb"}, "target"),
        ({"target": "/\u20ac"}, "Latin-1"),
        ({"body": "\u20ac"}, "Latin-1"),
        ({"expect": {"must_not_match": ["("]}}, "check rpc"),
        ({"expect": {"status": ["x"]}}, "check rpc"),
        ({"headers": ["x"]}, "check rpc"),
        ({"version": "2.0"}, "'2.0'"),
    ],
)
def test_a_bad_check_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckError, match=said):
        parse({**PLAIN, **change})


def test_an_id_that_occurs_twice_is_named() -> None:
    with pytest.raises(CheckError, match="rpc occurs twice"):
        parse_all([PLAIN, PLAIN])


def test_a_request_reads_as_it_goes_out() -> None:
    assert check(target="/x y\x00\xe9", method="GET", body="").shown == "GET /x\\x20y\\x00\\xe9"
    assert check(target="/", body="author=1", version="1.0").shown == "POST / HTTP/1.0 [author=1]"
    assert check(body='<?xml version="1.0"?><methodCall/>').shown == "POST //xmlrpc.php"
    assert len(check(target="/" + "a" * 5000).shown) < 200
    tls = {**PLAIN["connect"], "tls": True, "port": 443}
    assert check(connect=tls).server == "https://blog.example"
    assert check(connect={**tls, "port": 8443}).server == "https://blog.example:8443"
    assert check(connect={**tls, "port": 1, "host": "a:1"}).server == "https://a:1"
