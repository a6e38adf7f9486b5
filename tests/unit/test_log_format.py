# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Formats become expressions that a client's own text cannot lead astray."""

from __future__ import annotations

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import (
    COMBINED,
    UnusableFormat,
    compile_format,
)

MAIN = COMBINED + ' "$http_x_forwarded_for"'


def fields(text: str, line: str | bytes) -> dict[str, bytes] | None:
    line_format = compile_format(text)
    raw = line if isinstance(line, bytes) else line.encode()
    found = line_format.pattern.findall(b"\n" + raw + b"\n")
    assert len(found) < 2
    return (
        {name: found[0][place] for place, name in enumerate(line_format.fields)} if found else None
    )


@pytest.mark.parametrize(("text", "end"), [(COMBINED, ""), (MAIN, ' "-"')])
def test_combined_and_main(text: str, end: str) -> None:
    line = '192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "POST /xmlrpc.php HTTP/1.0" 499 0 "-" "x"'
    assert fields(text, line + end) == {
        "address": b"192.0.2.1",
        "time": b"20/Oct/2015:18:52:00 +0900",
        "request": b"POST /xmlrpc.php HTTP/1.0",
        "status": b"499",
        "agent": b"x",
    }


@pytest.mark.parametrize(
    "user",
    [
        "-",
        "foo bar",
        "x [01/Jan/2001:00:00:00 +0000] y",
        "x [01/Jan/2001:00:00:00 +0000]",
        "] [",
        "\\x22 [01/Jan/2001:00:00:00 +0000] \\x22GET / HTTP/1.1\\x22 200 ",
        " - ",
        "",
    ],
)
def test_a_user_name_cannot_move_the_other_fields(user: str) -> None:
    line = f'2001:db8::1 - {user} [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200 5 "-" "-"'
    found = fields(COMBINED, line)
    assert found is not None
    assert found["address"] == b"2001:db8::1"
    assert found["time"] == b"20/Oct/2015:18:52:00 +0900"
    assert found["request"] == b"GET / HTTP/1.1"


def test_text_in_referer_and_user_agent_is_not_a_request() -> None:
    line = (
        '192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200 5 '
        '"] \\x22POST /xmlrpc.php HTTP/1.1\\x22 200 " "POST /xmlrpc.php"'
    )
    found = fields(COMBINED, line)
    assert found is not None
    assert found["request"] == b"GET / HTTP/1.1"


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (
            "$host $remote_addr [$time_iso8601] $request_method $request_uri $status",
            "blog.example 192.0.2.1 [2026-11-21T10:00:00+00:00] GET /?author=1 301",
            {"host": b"blog.example", "target": b"/?author=1", "method": b"GET", "status": b"301"},
        ),
        (
            '$msec|$remote_addr|"$request"|$status|$upstream_response_time',
            '1700000000.123|192.0.2.1|"GET / HTTP/1.1"|200|0.001, 0.002',
            {"time": b"1700000000.123", "request": b"GET / HTTP/1.1", "status": b"200"},
        ),
        (
            'escape=json {"t":"$time_iso8601","a":"$remote_addr","r":"$request","s":$status}',
            r'{"t":"2026-11-21T10:00:00+00:00","a":"192.0.2.1","r":"GET /\"x HTTP/1.1","s":404}',
            {"request": rb"GET /\"x HTTP/1.1", "status": b"404", "address": b"192.0.2.1"},
        ),
        (
            '"$http_x_forwarded_for" - [$time_local] "$request" $status',
            '"192.0.2.9, 192.0.2.8" - [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200',
            {"request": b"GET / HTTP/1.1", "status": b"200"},
        ),
        (
            '${remote_addr}: [$time_local] "$request" ($status)',
            '192.0.2.1: [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" (200)',
            {"address": b"192.0.2.1", "status": b"200"},
        ),
    ],
)
def test_configured_formats(text: str, line: str, expected: dict[str, bytes]) -> None:
    found = fields(text, line)
    assert found is not None
    assert {name: found[name] for name in expected} == expected


def test_lines_of_another_format_are_left_out() -> None:
    assert fields(COMBINED, "blog.example 192.0.2.1 something else") is None
    assert fields(COMBINED, b"\xff\x00\x01") is None
    broken = (
        '192.0.2.1 - - [now] "GET / HTTP/1.1" 200 5 "-" "x [01/Jan/2001:00:00:00 +0000] " " 200 "'
    )
    assert fields(COMBINED, broken) is None


def test_a_line_never_borrows_from_the_next() -> None:
    pattern = compile_format(COMBINED).pattern
    text = (
        b'\n192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "GET /first'
        b'\n192.0.2.2 - - [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200 5 "-" "-"\n'
    )
    assert [found[0] for found in pattern.findall(text)] == [b"192.0.2.2"]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("$remote_addr $request $status", "no time"),
        ("$remote_addr [$time_local] $status", "no request"),
        ("hello", "no time and no request"),
        ("", "no time and no request"),
    ],
)
def test_a_format_without_the_essentials_says_so(text: str, missing: str) -> None:
    with pytest.raises(UnusableFormat, match=missing):
        compile_format(text)


def test_escape_none_is_told_apart() -> None:
    assert compile_format("escape=none " + COMBINED).forgeable
    assert not compile_format(COMBINED).forgeable
