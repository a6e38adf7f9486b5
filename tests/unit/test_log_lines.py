# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The short cuts to the lines that matter find what reading every line finds."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_log_format, log_lines
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import LineFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import (
    COMBINED,
    compile_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_lines import (
    REQUEST_AND_STATUS,
    LineFinder,
    lead_of,
    quick_pattern,
)
from hypothesis import given, settings
from hypothesis import strategies as st

JSON = (
    'escape=json {"t":"$time_iso8601","a":"$remote_addr","user":"$remote_user",'
    '"request":"$request","s":$status,"agent":"$http_user_agent"}'
)
FORMATS = {
    "combined": compile_format(COMBINED),
    "main": compile_format(COMBINED + ' "$http_x_forwarded_for"'),
    "json": compile_format(JSON),
    "common": httpd_log_format.compile_format('%h %l %u %t "%r" %>s %b'),
    "httpd": httpd_log_format.compile_format(
        '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"'
    ),
}

# What a client can put into its line: as nginx and httpd write it, and as they never would.
TEXTS = st.one_of(
    st.sampled_from(
        [
            "-",
            "",
            'x [01/Jan/2001:00:00:00 +0000] \\"POST /xmlrpc.php HTTP/1.1\\" 200 1',
            "x [01/Jan/2001:00:00:00 +0000] \\x22POST /xmlrpc.php",
            '\\" \\"',
            "\\\\",
            "[",
            "] ",
            'request\\":\\"POST /xmlrpc.php',
        ]
    ),
    st.text(st.sampled_from('ab \\"[]\\x22'), max_size=12).map(
        lambda text: text.replace('"', '\\"')
    ),
)
REQUESTS = st.sampled_from(
    [
        "POST //xmlrpc.php HTTP/1.1",
        "GET / HTTP/1.1",
        "GET /xmlrpc.php?a=\\",
        'GET /\\" 200 5 \\"xmlrpc.php HTTP/1.1',
        'POST /xmlrpc.php?\\" HTTP/1.1',
        "",
        "-",
        "GET /wp-login.php HTTP/1.1",
    ]
)
LINES = st.one_of(
    st.tuples(TEXTS, REQUESTS, TEXTS, TEXTS).map(
        lambda values: (
            f"192.0.2.1 - {values[0]} [20/Oct/2015:18:52:00 +0900] "
            f'"{values[1]}" 200 12 "{values[2]}" "{values[3]}"'
        )
    ),
    st.tuples(TEXTS, REQUESTS, TEXTS).map(
        lambda values: (
            '{"t":"2026-11-21T10:00:00+01:00","a":"192.0.2.1","user":"'
            f'{values[0]}","request":"{values[1]}","s":403,"agent":"{values[2]}"}}'
        )
    ),
    st.tuples(TEXTS, REQUESTS, TEXTS, TEXTS).map(
        lambda values: (
            f"blog.example:80 192.0.2.1 - {values[0]} [20/Oct/2015:18:52:00 +0900] "
            f'"{values[1]}" 200 12 "{values[2]}" "{values[3]}"'
        )
    ),
    st.text(st.sampled_from('ab "[]\\\0'), max_size=30),
)


def matters(request: bytes) -> bool:
    return b"xmlrpc" in request


def apart(fields: tuple[str, ...], line: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """With request and status in two values."""
    values: list[bytes] = []
    for name, value in zip(fields, line):
        values += value.rsplit(log_lines.BETWEEN, 1) if name == REQUEST_AND_STATUS else [value]
    return tuple(values)


def wanted(line_format: LineFormat, lines: list[tuple[bytes, ...]]) -> list[tuple[bytes, ...]]:
    place = line_format.fields.index("request")
    return sorted(line for line in lines if matters(line[place]))


WAYS = {
    "each searched": {"_DENSE": 2.0, "_SEARCH_COST": -1000, "_PICK_COST": 0},
    "picked": {"_DENSE": 2.0, "_SEARCH_COST": 1000},
    "all, by a sample": {"_DENSE": -1.0, "_SAMPLE": 200},
    "as it comes": {"_SAMPLE": 200},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(LINES, max_size=12),
    cut=st.integers(0, 60),
    rest=st.sampled_from(["", '1 - - [20/Oct/2015:18:52:00 +0900] "POST /xmlrpc.php" 200 1']),
)
def test_all_lines_for_an_endpoint_are_found(
    name: str, way: str, lines: list[str], cut: int, rest: str
) -> None:
    """In each of the ways, whatever comes before the first whole line."""
    line_format = FORMATS[name]
    text = (rest + "\n" + "\n".join(lines)).encode("latin-1")
    text = text[: len(text) - cut] if cut < 30 else text + b"\n"
    finder = LineFinder(line_format, matters)
    with mock.patch.multiple(log_lines, **WAYS[way]):
        finder.lines(bytearray(text), len(text))
        # What was seen once may be looked for in another way.
        found = [apart(finder.fields, line) for line in finder.lines(bytearray(text), len(text))]
    expected = line_format.pattern.findall(text)
    assert wanted(line_format, found) == wanted(line_format, expected)


USUAL = b'192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200 1'
USUAL_LINES = {
    "combined": USUAL + b' "-" "x"',
    "main": USUAL + b' "-" "x" "-"',
    "common": USUAL,
    "httpd": b"blog.example:80 " + USUAL + b' "-" "x"',
    "json": b'{"t":"2026-11-21T10:00:00+01:00","a":"192.0.2.1","user":"","request":"GET / '
    b'HTTP/1.1","s":403,"agent":"x"}',
}


@pytest.mark.parametrize("name", FORMATS)
def test_usual_lines_are_read_by_the_quick_expression(name: str) -> None:
    quick = quick_pattern(FORMATS[name])
    assert quick is not None
    line = b"\n" + USUAL_LINES[name]
    expected = FORMATS[name].pattern.findall(line)
    assert len(expected) == 1
    assert quick.findall(line + line) == expected * 2


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        (COMBINED, b'] "'),
        ('$time_local [$host] "$request"', b'] "'),
        ('[$time_local] "$http_referer] " "$request"', None),
        ('$time_local "$request"', None),
        ('[$time_local] "$host" "$request"', None),
        ('escape=none [$time_local] "$request"', None),
        ('escape=json {"request": "$request", "t": "$time_iso8601"}', b'request": "'),
    ],
)
def test_what_stands_before_a_request_is_used_only_where_nothing_can_forge_it(
    text: str, lead: bytes | None
) -> None:
    assert lead_of(compile_format(text)) == lead
