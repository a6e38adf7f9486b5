# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The format of a log is found out from its lines alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_log_format,
    log_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import UnusableFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.log_detection import (
    detect,
    json_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from ansible_collections.wpward.wordpress.plugins.module_utils.syslog_prefix import PREFIXES
from hypothesis import given, settings
from hypothesis import strategies as st

INCIDENTS = Path(__file__).parents[1] / "fixtures" / "logs"
LINE = b'192.0.2.1 - - [20/Sep/2020:22:41:09 +0900] "POST //xmlrpc.php HTTP/1.1" 200 497'
COMBINED = LINE + b' "-" "Mozilla/5.0 (X11)"'
JSON = (
    rb'{"@timestamp": "2026-11-21T10:00:00+00:00", "source": {"remote_addr": "2001:db8::1"}, '
    rb'"request_method":"POST","request_uri":"/\"xmlrpc.php?a={\"status\":1}","status":200,'
    rb'"request_time":0.010,"http_user_agent":"x","cached":null,"tags":["a",1]}'
)
BEFORE = {
    "rfc3164": b"<190>Nov  1 10:00:00 web1 nginx[4711]: ",
    "rsyslog": b"2026-11-21T10:00:00.123456+00:00 web1 nginx: ",
    "rfc5424": b'<190>1 2026-11-21T10:00:00Z web1 nginx 4711 - [meta sequenceId="1"] ',
}


def read(sample: bytes) -> tuple[str, list[dict[str, bytes]]]:
    found = detect(sample)
    assert found is not None
    rows = found.format.pattern.findall(b"\n" + sample)
    return found.name, [dict(zip(found.format.fields, row)) for row in rows]


@pytest.mark.parametrize(
    ("log", "name", "lines"),
    [("nginx-499-flood.log", "main", 16), ("httpd-cloudfront-edges.log", "combined", 10)],
)
def test_incidents(log: str, name: str, lines: int) -> None:
    found, rows = read((INCIDENTS / log).read_bytes())
    assert found == name
    assert len(rows) == lines
    assert {row["request"].split()[1].replace(b"//", b"/") for row in rows} == {b"/xmlrpc.php"}


@pytest.mark.parametrize("log", ["nginx-errors.log", "apache-errors.log"])
def test_error_logs_are_none(log: str) -> None:
    assert detect((INCIDENTS / log).read_bytes()) is None


@pytest.mark.parametrize(
    ("line", "name", "host"),
    [
        (LINE, "common", None),
        (COMBINED, "combined", None),
        (COMBINED + b' "-"', "main", None),
        (COMBINED + b" 0.012 0.010 .", "combined and more", None),
        (b"blog.example:443 " + COMBINED, "vhost_combined", b"blog.example"),
        (b"blog.example " + COMBINED, "host and combined", b"blog.example"),
        (b"blog.example " + LINE, "host and common", b"blog.example"),
    ],
)
@pytest.mark.parametrize("before", [None, *BEFORE])
def test_usual_formats_with_and_without_syslog(
    line: bytes, name: str, host: bytes | None, before: str | None
) -> None:
    if before:
        line = BEFORE[before] + line
        name = f"{name} after {before}"
    found, rows = read(line + b"\n")
    assert found == name
    assert len(rows) == 1
    assert rows[0]["address"] == b"192.0.2.1"
    assert rows[0]["time"] == b"20/Sep/2020:22:41:09 +0900"
    assert rows[0]["request"] == b"POST //xmlrpc.php HTTP/1.1"
    assert rows[0].get("host") == host
    assert rows[0].get("agent", b"") == (b"Mozilla/5.0 (X11)" if b"X11" in line else b"")


@pytest.mark.parametrize("address", [b"2001:db8::1", b"client.example", b"::ffff:192.0.2.1"])
def test_any_form_of_address(address: bytes) -> None:
    found, rows = read(COMBINED.replace(b"192.0.2.1", address) + b"\n")
    assert found == "combined"
    assert rows[0]["address"] == address


@pytest.mark.parametrize("before", [None, *BEFORE])
def test_json(before: str | None) -> None:
    line = BEFORE[before] + JSON if before else JSON
    found, rows = read(line + b"\n" + line.replace(b'"x"', b'"\\"} \xff"') + b"\n")
    assert found == (f"JSON after {before}" if before else "JSON")
    assert [row["agent"] for row in rows] == [b"x", b'\\"} \xff']
    assert rows[0] == {
        "time": b"2026-11-21T10:00:00+00:00",
        "address": b"2001:db8::1",
        "method": b"POST",
        "target": rb"/\"xmlrpc.php?a={\"status\":1}",
        "status": b"200",
        "agent": b"x",
    }


def test_json_without_what_counts_is_unusable() -> None:
    with pytest.raises(UnusableFormat, match="no time and no request"):
        json_format(b'{"level":"info","time":"yesterday","msg":"x"}')


def test_cloudfront() -> None:
    header = (
        b"#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) "
        b"cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query\n"
    )
    line = (
        b"2020-09-20\t13:41:09\tNRT57-C3\t497\t192.0.2.77\tPOST\td1.cloudfront.net\t//xmlrpc.php"
        b"\t200\t-\tMozilla/5.0%2520(X11)\t-\n"
    )
    for sample in (header + line, line, line + header + line):
        found, rows = read(sample)
        assert found == "CloudFront"
        assert rows[0]["address"] == b"192.0.2.77"
        assert rows[0]["target"] == b"//xmlrpc.php"


@pytest.mark.parametrize("share", [0.4, 0.6])
def test_half_of_the_lines_must_fit(share: float) -> None:
    good = int(share * 10)
    lines = [COMBINED] * good + [b"something else \xff\x00"] * (10 - good)
    assert (detect(b"\n".join(lines) + b"\n") is not None) == (share > 0.5)


def test_of_two_formats_the_more_frequent_is_found() -> None:
    vhost = b"blog.example:80 " + COMBINED
    assert read(b"\n".join([COMBINED] * 3 + [vhost] * 5) + b"\n")[0] == "vhost_combined"
    assert read(b"\n".join([COMBINED] * 5 + [vhost] * 3) + b"\n")[0] == "combined"


def test_a_client_cannot_pass_off_another_format() -> None:
    hostile = [
        b'192.0.2.1 - a 198.51.100.9 b [20/Sep/2020:22:41:09 +0900] "GET / HTTP/1.1" 200 5 "-" "-"',
        b'192.0.2.1 - - [20/Sep/2020:22:41:09 +0900] "{\\"time\\":1}" 400 5 "-" "#Fields: date"',
        b'192.0.2.1 - - [20/Sep/2020:22:41:09 +0900] "#Fields: date time" 400 5 "-" "{}"',
    ]
    found, rows = read(b"\n".join(hostile * 5) + b"\n")
    assert found == "combined"
    assert {row["address"] for row in rows} == {b"192.0.2.1"}


@pytest.mark.parametrize("sample", [b"", b"\n\n", b"# x\n", b"\xff\xfe\x00\n", b"a" * 70_000])
def test_nothing_to_go_by(sample: bytes) -> None:
    assert detect(sample) is None


def test_the_last_line_of_a_sample_may_be_cut_off() -> None:
    assert read(COMBINED + b"\n" + COMBINED[:30])[0] == "combined"
    assert read(COMBINED)[0] == "combined"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.text('\\" []{}:,#-1:0/\t', max_size=60).map(str.encode),
            st.sampled_from([COMBINED, JSON, b"#Fields: date time", b'{"a":']),
        ),
        max_size=12,
    )
)
def test_nothing_raises(lines: list[bytes]) -> None:
    found = detect(b"\n".join(lines))
    assert found is None or "time" in found.format.fields


@pytest.mark.parametrize(
    "line",
    [
        b'192.0.2.1 - - [20/Sep/2020:22:41:09 +0900] "' + b'\\"' * 30_000,
        b"192.0.2.1 - " + b" [1" * 20_000,
        b"192.0.2.1 - " + b"a - " * 15_000,
        b'{"time":"' + b'\\"' * 30_000 + b"}",
        b'{"time":"' + b'\\"' * 2_000 + b"}",
        b'{"a":1,' * 8_000 + b"}",
        b"\t" * 60_000,
        b'"' * 60_000,
    ],
    ids=["quotes", "stamps", "words", "json", "short json", "members", "tabs", "raw quotes"],
)
def test_long_hostile_lines_take_no_time(line: bytes) -> None:
    begin = time.process_time()
    detect(line + b"\n")
    assert time.process_time() - begin < 3


@pytest.mark.parametrize(("style", "before"), BEFORE.items())
def test_syslog_has_the_time_where_the_line_has_none(style: str, before: bytes) -> None:
    prefix = PREFIXES[style]
    for line_format in (
        log_format.compile_format('$remote_addr "$request" $status', prefix),
        httpd_log_format.compile_format('%h "%r" %>s', prefix),
    ):
        text = b"\n" + before + b'192.0.2.1 "GET / HTTP/1.1" 200\n'
        (row,) = line_format.pattern.findall(text)
        found = dict(zip(line_format.fields, row))
        assert found["address"] == b"192.0.2.1"
        newest = seconds_of(b"2026-11-21T12:00:00Z")
        assert seconds_of(found["time"], newest) is not None
        assert line_format.pattern.findall(b'\n192.0.2.1 "GET / HTTP/1.1" 200\n') == []


def test_what_nginx_sends_to_syslog() -> None:
    # Received from nginx 1.22: access_log syslog:server=... combined, and with nohostname,tag=web.
    whole = (
        b'<190>Nov 22 01:58:57 web1 nginx: 127.0.0.1 - - [22/Nov/2026:01:58:57 +0000] "GET /x '
        b'HTTP/1.1" 404 153 "-" "x\\x22y"\n'
    )
    found, rows = read(whole)
    assert found == "combined after rfc3164"
    assert rows[0]["agent"] == b"x\\x22y"
    assert rows[0]["address"] == b"127.0.0.1"
    bare = b'\n<190>Nov 22 01:58:57 web: 127.0.0.1 "GET /x HTTP/1.1" 404\n'
    line_format = log_format.compile_format('$remote_addr "$request" $status', PREFIXES["rfc3164"])
    (row,) = line_format.pattern.findall(bare)
    assert row == (b"Nov 22 01:58:57", b"127.0.0.1", b"GET /x HTTP/1.1", b"404")
