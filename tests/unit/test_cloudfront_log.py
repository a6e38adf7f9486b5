# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFront's standard logs, against a reader that splits each line at its tabs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.cloudfront_log import (
    DOCUMENTED,
    format_of,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    UnusableFormat,
    with_query,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from hypothesis import given
from hypothesis import strategies as st

# The fields of the developer guide's "Standard logging reference", in its order.
DOCUMENTATION = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header "
    "cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher "
    "x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port "
    "time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end"
)
COLUMNS = DOCUMENTATION.split()
NEEDED = 9
"""Lines with fewer columns lack the status."""
NAMES = {
    "c-ip": "address",
    "cs-method": "method",
    "cs-uri-stem": "target",
    "sc-status": "status",
    "cs(User-Agent)": "agent",
    "cs-uri-query": "query",
    "x-host-header": "host",
}


def header(count: int) -> list[bytes]:
    return [b"#Version: 1.0", b"#Fields: " + " ".join(COLUMNS[:count]).encode()]


def values(number: int, agent: bytes, query: bytes, forwarded: str) -> list[str]:
    row = dict.fromkeys(COLUMNS, "-")
    row.update(
        {
            "date": "2020-09-20",
            "time": f"13:41:{number % 60:02}",
            "x-edge-location": "NRT57-C3",
            "c-ip": f"2001:db8::{number:x}" if number % 2 else f"192.0.2.{number % 256}",
            "cs-method": "POST",
            "cs(Host)": "d111111abcdef8.cloudfront.net",
            "cs-uri-stem": "//xmlrpc.php",
            "sc-status": "000" if number % 7 == 0 else "200",
            "cs(User-Agent)": quote(quote(agent)) or "-",
            "cs-uri-query": quote(query) or "-",
            "x-host-header": "blog.example",
            "x-forwarded-for": forwarded or "-",
        }
    )
    return [row[column] for column in COLUMNS]


def reference(lines: list[str]) -> list[dict[str, str]]:
    rows = []
    for line in lines:
        cells = line.split("\t")
        if line.startswith("#") or len(cells) < NEEDED:
            continue
        row = {"time": "\t".join(cells[:2])}
        for column, name in NAMES.items():
            place = COLUMNS.index(column)
            row[name] = cells[place] if place < len(cells) else ""
        rows.append(row)
    return rows


ROWS = st.tuples(
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.sampled_from(["", "192.0.2.9", "192.0.2.9, 198.51.100.1", "[2001:db8::1]"]),
    st.integers(1, 33),
    st.booleans(),
)


@pytest.mark.parametrize("count", [26, 33])
@given(rows=st.lists(ROWS, max_size=8))
def test_lines_equal_the_slow_reader(
    count: int, rows: list[tuple[bytes, bytes, str, int, bool]]
) -> None:
    lines = []
    for number, (agent, query, forwarded, length, comment) in enumerate(rows):
        if comment:
            lines += [line.decode() for line in header(count)]
        full = number % 3 != 0
        lines.append(
            "\t".join(values(number, agent, query, forwarded)[: count if full else length])
        )
    line_format = format_of(header(count))
    text = "\n" + "\n".join(lines) + "\n"
    found = line_format.pattern.findall(text.encode())
    assert [
        {name: value.decode() for name, value in zip(line_format.fields, row)} for row in found
    ] == reference(lines)
    for row in found:
        assert seconds_of(row[line_format.fields.index("time")]) is not None


@given(st.binary(min_size=1, max_size=30))
def test_a_user_agent_is_encoded_twice(agent: bytes) -> None:
    line_format = format_of(header(33))
    row = "\t".join(values(1, agent, b"", ""))
    (found,) = line_format.pattern.findall(b"\n" + row.encode() + b"\n")
    logged = found[line_format.fields.index("agent")]
    if b"%" not in agent:
        assert line_format.text_of(logged) == agent


def test_a_published_line() -> None:
    # The head of a log that an operator published in 2020, with a documentation address.
    line = (
        b"2020-12-10\t02:42:28\tIAD89-C3\t335\t192.0.2.144\tHEAD\td111111abcdef8.cloudfront.net\t"
        b"/rss/ecs-us-east-1.rss\t200\t-\tSlackbot%201.0%20(+https://api.slack.com/robots)\t"
        b"author=1\t-\tMiss"
    )
    line_format = format_of([DOCUMENTED])
    (row,) = line_format.pattern.findall(b"\n" + line + b"\r\n")
    found = dict(zip(line_format.fields, row))
    assert found["address"] == b"192.0.2.144"
    assert with_query(found["target"], found["query"]) == b"/rss/ecs-us-east-1.rss?author=1"
    assert line_format.text_of(found["agent"]) == b"Slackbot 1.0 (+https://api.slack.com/robots)"
    assert found["host"] == b""
    assert seconds_of(found["time"]) == 1_607_568_148


def test_other_columns_in_other_places() -> None:
    line_format = format_of([b"#Fields: sc-status cs-uri-stem date time cs(Host)"])
    (row,) = line_format.pattern.findall(b"\n403\t/x\t2020-12-10\t02:42:28\td1.example\n")
    assert dict(zip(line_format.fields, row)) == {
        "status": b"403",
        "target": b"/x",
        "time": b"2020-12-10\t02:42:28",
        "host": b"d1.example",
    }
    assert not line_format.forgeable


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no #Fields line"),
        ([b"#Version: 1.0", b"2020-12-10\t02:42:28"], "no #Fields line"),
        ([b"#Fields:"], "no time and no request"),
        ([b"#Fields: time date c-ip cs-uri-stem"], "no time"),
        ([b"#Fields: date time c-ip"], "no request"),
        ([b"#Fields: \xff\x00"], "no time and no request"),
    ],
)
def test_what_is_unusable_says_why(lines: list[bytes], message: str) -> None:
    with pytest.raises(UnusableFormat, match=message):
        format_of(lines)
