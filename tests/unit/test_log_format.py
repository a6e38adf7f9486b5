# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Formats become expressions that a client's own text cannot lead astray."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import (
    COMBINED,
    UnusableFormat,
    compile_format,
)
from hypothesis import given
from hypothesis import strategies as st

MAIN = COMBINED + ' "$http_x_forwarded_for"'
STAMP = b"20/Oct/2015:18:52:00 +0900"
JSON = (
    'escape=json {"time":"$time_iso8601","user":"$remote_user","request":"$request",'
    '"status":$status,"rt":$upstream_response_time,"client":"$remote_addr",'
    '"agent":"$http_user_agent"}'
)
TEXT = st.one_of(
    st.binary(max_size=40),
    st.text('\\" []-:/x\x01\n\t', max_size=30).map(str.encode),
    st.sampled_from(
        [
            b"x [20010101T000000] y",
            b'"] "GET /fake HTTP/1.1" 200 5 "-" "-"',
            b'192.0.2.9 - - [01/Jan/2001:00:00:00 +0000] "GET /fake HTTP/1.1" 200 5 "-" "-"',
            b'","request":"GET /fake HTTP/1.1","status":200,"client":"192.0.2.9',
            b"\\",
        ]
    ),
)


def escaped(text: bytes) -> bytes:
    """As ngx_http_log_escape() writes it; a hyphen for nothing."""
    plain = set(range(0x20, 0x7F)) - {0x22, 0x5C}
    return b"".join(b"%c" % code if code in plain else b"\\x%02X" % code for code in text) or b"-"


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


@given(user=TEXT, request=TEXT, referer=TEXT, agent=TEXT, forwarded=TEXT)
def test_whatever_a_client_sends_stays_in_its_field(
    user: bytes, request: bytes, referer: bytes, agent: bytes, forwarded: bytes
) -> None:
    line = b'2001:db8::1 - %s [%s] "%s" 200 497 "%s" "%s"' % (
        escaped(user),
        STAMP,
        escaped(request),
        escaped(referer),
        escaped(agent),
    )
    expected = {
        "address": b"2001:db8::1",
        "time": STAMP,
        "request": escaped(request),
        "status": b"200",
        "agent": escaped(agent),
    }
    assert fields(COMBINED, line) == expected
    assert fields(MAIN, line + b' "%s"' % escaped(forwarded)) == expected
    assert compile_format(MAIN).text_of(escaped(agent)) == (agent or b"-")


@given(user=st.text(), request=st.text(), agent=st.text())
def test_json_is_read_as_json(user: str, request: str, agent: str) -> None:
    values = {
        "time": "2026-11-21T10:00:00+00:00",
        "user": user,
        "request": request,
        "status": 200,
        "rt": 0.5,
        "client": "192.0.2.1",
        "agent": agent,
    }
    line = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    raw = line.encode("utf-8", "surrogatepass").replace(b"0.5,", b"0.001, 0.002 : 0.001,", 1)
    found = fields(JSON, raw)
    assert found is not None
    assert found["address"] == b"192.0.2.1"
    assert found["status"] == b"200"
    for name, value in (("request", request), ("agent", agent)):
        text = compile_format(JSON).text_of(found[name])
        assert text == value.encode("utf-8", "surrogatepass")


@given(st.lists(st.one_of(st.integers(0, 120), st.none()), max_size=12))
def test_a_line_that_was_cut_off_takes_no_other_with_it(cuts: list[int | None]) -> None:
    lines = [
        (b'192.0.2.1 - - [%s] "GET /%d HTTP/1.1" 200 49 "-" "agent"' % (STAMP, number))[:cut]
        for number, cut in enumerate(cuts)
    ]
    rows = compile_format(COMBINED).pattern.findall(b"\n" + b"\n".join(lines) + b"\n")
    whole = [number for number, line in enumerate(lines) if b'HTTP/1.1" 200' in line]
    assert [row[2] for row in rows] == [b"GET /%d HTTP/1.1" % number for number in whole]
    # Two lines that were both cut off may make up an agent; a whole line keeps its own.
    agents = [row[4] for row, number in zip(rows, whole) if lines[number].endswith(b'agent"')]
    assert agents == [b"agent"] * len(agents)


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        # With the realip module remote_addr is the client, realip_remote_addr the proxy.
        (
            '$realip_remote_addr $remote_addr $http_x_forwarded_for [$time_local] "$request"',
            '192.0.2.250 198.51.100.1 203.0.113.9, 192.0.2.250 [20/Oct/2015:18:52:00 +0900] "-"',
            {"address": b"198.51.100.1", "request": b"-"},
        ),
        (
            '$realip_remote_addr [$time_local] "$request"',
            '192.0.2.250 [20/Oct/2015:18:52:00 +0900] "GET / HTTP/2.0"',
            {"address": b"192.0.2.250"},
        ),
        (
            '"$request_method $scheme://$host$request_uri $server_protocol" $msec $status',
            '"GET https://blog.example/a b?c HTTP/2.0" 1700000000.123 200',
            {"method": b"GET", "host": b"blog.example", "target": b"/a b?c", "status": b"200"},
        ),
        (
            "$msec $request_method $uri$is_args$args $status",
            "1700000000.123 GET /a b?c=200 404",
            {"target": b"/a b?c=200", "status": b"404"},
        ),
        (
            "$msec\t$request_method\t${uri}\t${args}\t$status",
            "1700000000.123\tGET\t/a b\tc=200\t404",
            {"target": b"/a b", "query": b"c=200", "status": b"404"},
        ),
        (
            '$remote_addr $unknown_variable [$time_local] "$request" $status',
            '192.0.2.1 any thing [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200',
            {"address": b"192.0.2.1", "request": b"GET / HTTP/1.1"},
        ),
        (
            '$remote_user@$remote_addr:$remote_port "$time_local" "$request" $status',
            'a@192.0.2.9@2001:db8::1:4711 "20/Oct/2015:18:52:00 +0900" "GET / HTTP/1.1" 200',
            {"address": b"2001:db8::1", "request": b"GET / HTTP/1.1"},
        ),
    ],
)
def test_the_best_of_several_variables_counts(
    text: str, line: str, expected: dict[str, bytes]
) -> None:
    found = fields(text, line)
    assert found is not None
    assert {name: found[name] for name in expected} == expected
    assert ("query" in found) == ("query" in expected)


@pytest.mark.parametrize(
    ("text", "forgeable"),
    [
        (MAIN, False),
        (JSON, False),
        # A Host header with blanks is refused before anything runs, and its line left out.
        ('$http_host $remote_addr - $remote_user [$time_local] "$request"', False),
        ('$http_x_forwarded_for $remote_addr - $remote_user [$time_local] "$request"', True),
        ('$upstream_addr $remote_addr - $remote_user [$time_local] "$request"', False),
        ("$remote_addr $remote_user $time_local $request_uri $status", True),
        ("$remote_addr\t$remote_user\t$time_local\t$request_uri\t$status", False),
    ],
)
def test_two_free_texts_side_by_side_are_forgeable(text: str, forgeable: bool) -> None:
    assert compile_format(text).forgeable == forgeable


def test_fewer_fields_of_the_same_lines() -> None:
    whole = compile_format(MAIN)
    line = b'\n192.0.2.1 - - [%s] "GET / HTTP/1.1" 200 5 "-" "x" "-"\n' % STAMP
    fewer = whole.only("request", "address", "host")
    assert fewer.fields == ("address", "request")
    assert fewer.pattern.findall(line) == [(b"192.0.2.1", b"GET / HTTP/1.1")]
    assert whole.only("agent").pattern.findall(line) == [b"x"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        # Many quoted values, then one that does not fit.
        (
            "escape=json {"
            + ",".join(f'"n{number}":"$http_n{number}"' for number in range(40))
            + ',"t":"$time_iso8601","r":"$request"}',
            b"{" + b",".join(b'"n%d":"\\n\\"\\\\"' % number for number in range(40)) + b"}",
        ),
        (
            "$remote_addr $remote_user [$time_local] $request_uri $http_referer $http_user_agent "
            "$status",
            b"192.0.2.1 - [20/Oct/2015:18:52:00 +0900] " + b"a " * 4000,
        ),
        (
            '$http_x_forwarded_for $remote_addr - $remote_user [$time_local] "$request"',
            b"192.0.2.1 - - " * 600,
        ),
        (COMBINED, b"192.0.2.1 - " + b"[20/Oct/2015:18:52:00 +0900] " * 400),
    ],
)
def test_a_line_that_does_not_fit_takes_no_time(text: str, line: bytes) -> None:
    pattern = compile_format(text).pattern
    begin = time.process_time()
    assert pattern.findall(b"\n" + line + b"\n") == []
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("name", ["my-blog.example", "a_b.example", "[2001:db8::1]", "blog"])
def test_names_hold_the_signs_that_stand_around_them(name: str) -> None:
    found = fields('b-$host:$server_port $msec "$request"', f'b-{name}:80 1700000000.123 "GET /"')
    assert found is not None
    assert found["host"] == name.encode()
