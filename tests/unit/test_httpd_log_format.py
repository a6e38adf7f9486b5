# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""httpd's formats, against lines written here by the rules of its own manual and escaping."""

from __future__ import annotations

import time

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_log_format import (
    COMBINED,
    COMMON,
    VHOST_COMBINED,
    compile_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import UnusableFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from hypothesis import given
from hypothesis import strategies as st

STAMP = b"20/Sep/2020:22:41:09 +0900"
_LETTERS = {8: b"b", 9: b"t", 10: b"n", 11: b"v", 13: b"r", 0x22: b'"', 0x5C: b"\\"}

TEXT = st.one_of(
    st.binary(max_size=40),
    st.text('\\" []-:/x\x01\n\t', max_size=30).map(str.encode),
    st.sampled_from(
        [
            b"x [20010101T000000] y",
            b'"] "GET /fake HTTP/1.1" 200 5 "-" "-"',
            b'192.0.2.9 - - [01/Jan/2001:00:00:00 +0000] "GET /fake HTTP/1.1" 200 5 "-" "-"',
            b"\\",
            b'\\" 404 ',
            b'" 404 ',
        ]
    ),
)


def escaped(text: bytes) -> bytes:
    """As ap_escape_logitem() writes it."""
    result = b""
    for code in text:
        if code in _LETTERS:
            result += b"\\" + _LETTERS[code]
        elif 0x20 <= code < 0x7F:
            result += b"%c" % code
        else:
            result += b"\\x%02x" % code
    return result


def user(text: bytes) -> bytes:
    return escaped(text) or b'""'


def fields(text: str, line: bytes) -> dict[str, bytes] | None:
    line_format = compile_format(text)
    rows = line_format.pattern.findall(b"\n" + line + b"\n")
    assert len(rows) < 2
    return dict(zip(line_format.fields, rows[0])) if rows else None


@given(user_name=TEXT, request=TEXT, referer=TEXT, agent=TEXT, status=st.integers(100, 599))
def test_whatever_a_client_sends_stays_in_its_field(
    user_name: bytes, request: bytes, referer: bytes, agent: bytes, status: int
) -> None:
    line = b'2001:db8::1 - %s [%s] "%s" %d 497' % (
        user(user_name),
        STAMP,
        escaped(request),
        status,
    )
    expected = {
        "address": b"2001:db8::1",
        "time": STAMP,
        "request": escaped(request),
        "status": b"%d" % status,
    }
    assert fields(COMMON, line) == expected
    line += b' "%s" "%s"' % (escaped(referer), escaped(agent))
    assert fields(COMMON, line) == expected
    expected["agent"] = escaped(agent)
    assert fields(COMBINED, line) == expected
    assert fields(VHOST_COMBINED, b"blog.example:443 " + line) == {
        "host": b"blog.example",
        **expected,
    }
    assert compile_format(COMBINED).text_of(escaped(agent)) == agent


@given(user_name=TEXT, request=TEXT, agent=TEXT)
def test_the_same_in_json(user_name: bytes, request: bytes, agent: bytes) -> None:
    text = '{"u":"%u","t":"%{%Y-%m-%dT%H:%M:%S%z}t","r":"%r","a":"%a","s":%>s,"g":"%{User-Agent}i"}'
    line = (
        b'{"u":"%s","t":"2020-09-20T22:41:09+0900","r":"%s","a":"192.0.2.1","s":200,"g":"%s"}'
        % (
            user(user_name),
            escaped(request),
            escaped(agent),
        )
    )
    assert fields(text, line) == {
        "time": b"2020-09-20T22:41:09+0900",
        "request": escaped(request),
        "address": b"192.0.2.1",
        "status": b"200",
        "agent": escaped(agent),
    }


@given(st.lists(st.one_of(st.integers(0, 120), st.none()), max_size=12))
def test_a_line_that_was_cut_off_takes_no_other_with_it(cuts: list[int | None]) -> None:
    lines = []
    for number, cut in enumerate(cuts):
        line = b'192.0.2.1 - - [%s] "GET /%d HTTP/1.1" 200 497 "http://\\"" "agent"' % (
            STAMP,
            number,
        )
        lines.append(line[:cut])
    rows = compile_format(COMBINED).only("request").pattern.findall(b"\n" + b"\n".join(lines))
    requests = [b"GET /%d HTTP/1.1" % number for number in range(len(cuts))]
    # The status tells that the request is whole.
    whole = [b'HTTP/1.1" ' in line for line in lines]
    assert rows == [request for request, there in zip(requests, whole) if there]


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (
            "%v %a %{c}a %m %U %q %H %s %{User-Agent}i",
            b"blog.example 192.0.2.1 198.51.100.1 POST /a b ?x=1 HTTP/1.1 200 Mozilla/5.0 (X11)",
            "no time",
        ),
        (
            '%{c}a %a %t "%m %U%q %H" %>s',
            b'198.51.100.1 192.0.2.1 [20/Sep/2020:22:41:09 +0900] "POST /a b?x=1 HTTP/1.1" 200',
            {
                "address": b"192.0.2.1",
                "time": STAMP,
                "method": b"POST",
                "target": b"/a b?x=1",
                "status": b"200",
            },
        ),
        (
            r"%{sec}t\t%V\t%h\t%m\t%U\t%q\t%s\t%>s",
            b"1600000000\tblog.example\tclient.example\tGET\t/x\t?author=1\t200\t301",
            {
                "time": b"1600000000",
                "host": b"blog.example",
                "address": b"client.example",
                "method": b"GET",
                "target": b"/x",
                "query": b"?author=1",
                "status": b"301",
            },
        ),
        (
            '[%{%d/%b/%Y:%H:%M:%S}t.%{msec_frac}t %{%z}t] %!200,304{Referer}i %h "%r" %<s',
            b'[20/Sep/2020:22:41:09.123 +0900] - 192.0.2.1 "GET / HTTP/1.1" 200',
            {
                "time": b"20/Sep/2020:22:41:09.123 +0900",
                "address": b"192.0.2.1",
                "request": b"GET / HTTP/1.1",
                "status": b"200",
            },
        ),
        (
            '%{begin:msec}t %{end:usec}t %{X-Forwarded-For}i "%r" %>s %D %{remote}p 100%%',
            b'1600000000123 1600000000123456 192.0.2.9, 192.0.2.8 "GET / HTTP/1.1" 200 1 8 100%',
            {"time": b"1600000000123", "request": b"GET / HTTP/1.1", "status": b"200"},
        ),
        (
            r"%h \"%r\" %{begin}t %>s %400,501{User-agent}i",
            b'192.0.2.1 "GET / HTTP/1.1" [20/Sep/2020:22:41:09 +0900] 200 -',
            {
                "address": b"192.0.2.1",
                "request": b"GET / HTTP/1.1",
                "time": STAMP,
                "status": b"200",
                "agent": b"-",
            },
        ),
        (
            "combinedio",
            b'[2001:db8::1] - - [20/Sep/2020:22:41:09 +0900] "-" 408 0 "-" "-" 0 0',
            {
                "address": b"[2001:db8::1]",
                "time": STAMP,
                "request": b"-",
                "status": b"408",
                "agent": b"-",
            },
        ),
    ],
)
def test_configured_formats(text: str, line: bytes, expected: dict[str, bytes] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(UnusableFormat, match=expected):
            compile_format(text)
        return
    found = fields(text, line)
    assert found == expected
    assert seconds_of(found["time"]) in (1600609269, 1600000000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("agent", "no time and no request"),
        ("referer", "no time"),
        ("%h %t %>s", "no request"),
        ('%{%c}t "%r"', "writes the time in a way that is not understood"),
        ('%{%d.%m.%Y}t "%r"', "writes the time in a way that is not understood"),
        ('%{%H:%M:%S}t "%r"', "writes the time in a way that is not understood"),
        (r'%t\n"%r"', "several lines for one request"),
        ("", None),
    ],
)
def test_what_is_unusable_says_why(text: str, message: str | None) -> None:
    if message is None:
        assert compile_format(text) == compile_format(COMMON)
        return
    with pytest.raises(UnusableFormat, match=message):
        compile_format(text)


@pytest.mark.parametrize(
    ("text", "forgeable"),
    [
        (COMMON, False),
        (COMBINED, False),
        ('%{X-Forwarded-For}i %l %u %t "%r" %>s', False),
        ('"%{X-Forwarded-For}i" %h %l %u %t "%r" %>s', False),
        ('%{X-Forwarded-For}i %h %l %u %t "%r" %>s', True),
        ('%{X-Forwarded-For}i %h %t "%r" %>s', False),
        ("%t %h %U %>s %{User-Agent}i", True),
        (r"%t\t%h\t%U\t%>s\t%{User-Agent}i", False),
    ],
)
def test_two_free_texts_side_by_side_are_forgeable(text: str, forgeable: bool) -> None:
    assert compile_format(text).forgeable == forgeable


@pytest.mark.parametrize("word", [b"a ", b'\\" ', b"\\\\", b" 200 -"])
@pytest.mark.parametrize(
    "text",
    [
        "%h %u %t %U %{Referer}i %{User-Agent}i %>s",
        '%{X-Forwarded-For}i %h %l %u %t "%r" %>s',
        COMBINED,
        "%t" + ' "%{X}i"' * 40 + ' "%r" %>s',
    ],
)
def test_a_line_that_does_not_fit_takes_no_time(text: str, word: bytes) -> None:
    pattern = compile_format(text).pattern
    begin = time.process_time()
    line = b"192.0.2.1 - [%s] %s" % (STAMP, word * (8000 // len(word)))
    pattern.findall(b"\n" + line + b"\n")
    quoted = b'[%s]%s "' % (STAMP, b' "\\n%s"' % (word * 10) * 39)
    pattern.findall(b"\n" + quoted + b"\n")
    assert time.process_time() - begin < 2
