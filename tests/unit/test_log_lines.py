# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The short cuts to the lines that matter find what reading every line finds."""

from __future__ import annotations

from unittest import mock

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_log_format,
    quoted_lines,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import LineFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import (
    COMBINED,
    compile_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_lines import (
    ExpressionLines,
    Lines,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.quoted_lines import (
    QuotedLines,
    pieces_of,
)
from hypothesis import example, given, settings
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


def matters(target: bytes) -> bool:
    return b"xmlrpc" in target


def parts(*values: bytes | None) -> tuple[bytes | None, ...]:
    return values


def rows(lines: Lines | None) -> list[tuple[object, ...]]:
    """Each line's values, for endpoints only."""
    if lines is None:
        return []
    times = [time[1:] + lines.zone if lines.zone else time for time in lines.times]
    found = zip(lines.kinds, times, lines.addresses or times, lines.agents or times)
    return sorted(row for row in found if matters(row[0][0]))


def quick_reader(line_format: LineFormat) -> QuotedLines:
    quoted = pieces_of(line_format)
    assert quoted is not None
    return QuotedLines(line_format, *quoted, parts, matters)


# As many quotes as the format has, but not where it has them.
QUOTES_IN_THE_AGENT = (
    '192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "POST //xmlrpc.php HTTP/1.1" 200 12 "-" '
    '"x [01/Jan/2001:00:00:00 +0000] \\"POST /xmlrpc.php HTTP/1.1\\" 200 1"'
)


@pytest.mark.parametrize("dense", [0.0, 2.0])
@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(LINES, max_size=12),
    cut=st.integers(0, 60),
    rest=st.sampled_from(["", '1 - - [20/Oct/2015:18:52:00 +0900] "POST /xmlrpc.php" 200 1']),
)
@example(lines=[QUOTES_IN_THE_AGENT], cut=0, rest="")
def test_all_lines_for_an_endpoint_are_found(
    name: str, dense: float, lines: list[str], cut: int, rest: str
) -> None:
    """As by the format's expression, whatever comes before the first whole line."""
    line_format = FORMATS[name]
    text = (rest + "\n" + "\n".join(lines)).encode("latin-1")
    text = text[: len(text) - cut] if cut < 30 else text + b"\n"
    reader = quick_reader(line_format)
    with mock.patch.object(quoted_lines, "_DENSE", dense):
        reader.read(bytearray(text), len(text))
        # What was seen once is remembered.
        found = rows(reader.read(bytearray(text), len(text)))
    slow = ExpressionLines(line_format, parts)
    assert found == rows(slow.read(bytearray(text), len(text)))


USUAL = (
    '192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "POST /xmlrpc.php HTTP/1.1" 200 1',
    '2001:db8::1 - - [20/Oct/2015:18:52:01 +0900] "GET /xmlrpc.php HTTP/1.1" 403 12',
    '192.0.2.1 - - [20/Oct/2015:18:53:00 +0900] "GET / HTTP/1.1" 200 1',
)
USUAL_LINES = {
    "combined": [f'{line} "-" "x"' for line in USUAL],
    "main": [f'{line} "-" "x" "-"' for line in USUAL],
    "common": list(USUAL),
    "httpd": [f'blog.example:80 {line} "-" "x\\x16"' for line in USUAL],
    "json": [
        '{"t":"2026-11-21T10:00:00+01:00","a":"192.0.2.1","user":"","request":"POST '
        f'/xmlrpc.php{number} HTTP/1.1","s":403,"agent":"x"}}'
        for number in range(2)
    ],
}


@pytest.mark.parametrize("name", FORMATS)
def test_usual_lines_are_read_without_the_formats_expression(name: str) -> None:
    reader = quick_reader(FORMATS[name])
    text = ("\n" + "\n".join(USUAL_LINES[name]) + "\n").encode()
    expected = rows(ExpressionLines(FORMATS[name], parts).read(text, len(text)))
    assert len(expected) == 2
    with mock.patch.object(ExpressionLines, "read", side_effect=AssertionError("the slow way")):
        assert rows(reader.read(text, len(text))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "escape=none " + COMBINED,
        '[$time_local] "$uri$args" "$request_method $request_uri" "$host"',
        '[$time_local] $request "$http_user_agent"',
    ],
)
def test_other_formats_are_left_to_the_expression(text: str) -> None:
    assert pieces_of(compile_format(text)) is None


@pytest.mark.parametrize(
    "odd",
    [
        # Cut off, so that the next line's pieces stand where this one's should.
        '192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200 1',
        '192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "GET / HTTP/1.1" 200 1 "-" "x" 0.5',
        "garbage",
        '" " " " " "',
        '192.0.2.1 - - [20/Oct/2015:18:52:00 +0900] "POST /xmlrpc.php HTTP/1.1" abc 1 "-" "x"',
        '192.0.2.1 - an na [20/Oct/2015:18:52:00 +0900] "POST /xmlrpc.php HTTP/1.1" 200 1 "-" "x"',
        '192.0.2.1 - [20/Oct/2015:18:52:00 - "POST /xmlrpc.php HTTP/1.1" 200 1 "-" "x"',
        '192.0.2.1 - - [20/Oct/2015:18:52:00 +0200] "POST /xmlrpc.php HTTP/1.1" 200 1 "-" "x"',
    ],
)
def test_a_line_that_is_not_usual_changes_no_other(odd: str) -> None:
    usual = USUAL_LINES["combined"]
    text = ("\n" + "\n".join([*usual, odd, *usual])).encode()
    expected = rows(ExpressionLines(FORMATS["combined"], parts).read(text, len(text)))
    assert len(expected) >= 4
    assert rows(quick_reader(FORMATS["combined"]).read(text, len(text))) == expected
