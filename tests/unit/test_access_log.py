# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log scanner against an independent slow reader, and against what hostile clients write."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    access_log,
    log_buffer,
    log_window,
    request_target,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.access_log import (
    LogResult,
    scan_log,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import LineFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import (
    COMBINED,
    compile_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_lines import target_of
from ansible_collections.wpward.wordpress.plugins.module_utils.log_scanner import Scanner
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import Classes
from hypothesis import given, settings
from hypothesis import strategies as st

LOGS = Path(__file__).parent.parent / "fixtures" / "logs"
START = 1_700_000_000


def classify(target: bytes, host: bytes | None) -> Classes:
    return tuple(("site/", endpoint) for endpoint in request_target.classify(target, True))


def scan(
    path: Path,
    since: int = 0,
    line_format: LineFormat | None = None,
    seconds: float = 60,
    problems: Problems | None = None,
) -> LogResult:
    return scan_log(
        str(path),
        line_format or compile_format(COMBINED),
        classify,
        since,
        time.monotonic() + seconds,
        problems if problems is not None else Problems(),
    )


def counts(result: LogResult) -> dict[str, Any]:
    return {
        endpoint: {**tally.describe(top=1_000_000)}
        for (_site, endpoint), tally in result.tallies.items()
    }


class Row(NamedTuple):
    when: int
    address: str
    status: str
    method: str


def rows_of(lines: list[bytes], since: int = 0) -> dict[str, list[Row]]:
    """endpoint -> its requests, by plain splitting, one line after the other."""
    rows: dict[str, list[Row]] = {}
    for line in lines:
        head, quote, rest = line.partition(b'"')
        request, second_quote, rest = rest.partition(b'"')
        if not quote or not second_quote:
            continue
        try:
            stamp = head[-29:].decode("ascii")
            when = int(datetime.datetime.strptime(stamp, "[%d/%b/%Y:%H:%M:%S %z] ").timestamp())
        except ValueError:
            continue
        address, separator, _user = head[:-29].partition(b" - ")
        status = rest[1:4]
        if not separator or b" " in address or not address or not status.isdigit():
            continue
        if when < since:
            continue
        words = request.split(b" ")
        target = b" ".join(words[1:-1] if words[-1].startswith(b"HTTP/") else words[1:])
        row = Row(when, address.decode(), status.decode(), words[0].decode("latin-1"))
        for endpoint in request_target.classify(target, True):
            rows.setdefault(endpoint, []).append(row)
    return rows


def reference(lines: list[bytes], since: int = 0) -> dict[str, Any]:
    """What the scanner should say, from those rows."""
    found = {}
    for endpoint, hits in rows_of(lines, since).items():
        seconds = Counter(row.when for row in hits)
        clients = Counter(row.address for row in hits)
        found[endpoint] = {
            "hits": len(hits),
            "peak_per_minute": peak(Counter(row.when // 60 * 60 for row in hits)),
            "peak_per_second": peak(seconds),
            "statuses": dict(Counter(row.status for row in hits)),
            "methods": dict(
                Counter(row.method if row.method in ("GET", "POST") else "other" for row in hits)
            ),
            "first": utc(min(seconds)),
            "last": utc(max(seconds)),
            "timeline": timeline(hits),
            "clients": [
                {"address": address, "hits": number}
                for address, number in sorted(clients.items(), key=lambda one: (-one[1], one[0]))
            ],
            "clients_exact": True,
            "distinct_clients": len(clients),
            "distinct_clients_exact": True,
            "networks": networks(clients),
            "parties": {},
            "claims": [],
        }
    return found


def timeline(hits: list[Row]) -> dict[str, Any]:
    for step in (60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400):
        first = min(row.when for row in hits) // 60 * 60 // step * step
        size = (max(row.when for row in hits) // 60 * 60 - first) // step + 1
        if size <= 300:
            break
    counts: dict[str, list[int]] = {}
    for row in hits:
        counts.setdefault(row.status, [0] * size)[(row.when - first) // step] += 1
    return {"from": utc(first), "step": step, "counts": counts}


def networks(clients: Counter[str]) -> list[dict[str, Any]]:
    found: dict[str, list[int]] = {}
    for address, hits in clients.items():
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            continue
        length = 24 if parsed.version == 4 else 48
        network = str(ipaddress.ip_network(f"{address}/{length}", strict=False))
        before = found.get(network, [0, 0])
        found[network] = [before[0] + hits, before[1] + 1]
    return [
        {"network": network, "hits": hits, "clients": number}
        for network, (hits, number) in sorted(
            found.items(), key=lambda item: (-item[1][0], item[0])
        )
    ]


def utc(when: int) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.timezone(datetime.timedelta())).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )


def peak(units: Counter[int]) -> dict[str, Any]:
    when, count = min(units.items(), key=lambda item: (-item[1], item[0]))
    return {"count": count, "at": utc(when)}


TARGETS = [
    "/",
    "/xmlrpc.php",
    "//xmlrpc.php",
    "/%78mlrpc.php",
    "/wp/../xmlrpc.php?x",
    "/?author=1",
    "/?s=/xmlrpc.php",
    "/wp-json/wp/v2/users",
    "/?rest_route=/wp/v2/users&x=\\x22",
    "/wp-login.php",
    "/a b c",
    "/\\xC3\\xA9",
]


def line(
    generator: random.Random, when: int, zone: int = 0, user: str = "-", trailing: str = ""
) -> bytes:
    local = datetime.datetime.fromtimestamp(
        when, datetime.timezone(datetime.timedelta(minutes=zone))
    )
    return (
        f"192.0.2.{generator.randrange(40)} - {user} [{local:%d/%b/%Y:%H:%M:%S %z}] "
        f'"{generator.choice(["GET", "POST"])} {generator.choice(TARGETS)} HTTP/1.1" '
        f'{generator.choice([200, 301, 403, 499])} 12 "{generator.choice(TARGETS)}" '
        f'"POST /xmlrpc.php"{trailing}'
    ).encode()


def test_incident_flood() -> None:
    result = scan(LOGS / "nginx-499-flood.log")
    found = counts(result)
    assert found == reference((LOGS / "nginx-499-flood.log").read_bytes().split(b"\n"))
    assert list(found) == ["xmlrpc"]
    assert found["xmlrpc"]["hits"] == 16
    assert found["xmlrpc"]["statuses"] == {"499": 14, "403": 2}
    assert found["xmlrpc"]["clients"][0] == {"address": "80.82.65.206", "hits": 14}
    assert found["xmlrpc"]["first"] == "2015-10-20T09:52:00Z"
    assert found["xmlrpc"]["peak_per_second"] == {"count": 4, "at": "2015-10-20T09:52:00Z"}


def test_incident_behind_a_cdn() -> None:
    found = counts(scan(LOGS / "httpd-cloudfront-edges.log"))
    assert found["xmlrpc"]["hits"] == 10
    assert found["xmlrpc"]["statuses"] == {"200": 10}
    assert found["xmlrpc"]["distinct_clients"] > 1


@pytest.mark.parametrize("chunk", [None, 300])
@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_the_slow_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, chunk: int | None
) -> None:
    if chunk:
        # Lines then straddle every buffer and every segment.
        monkeypatch.setattr(log_buffer, "CHUNK", chunk)
        monkeypatch.setattr(log_buffer, "MAX_LINE", 400)
        monkeypatch.setattr(access_log, "SEGMENT", 1000)
        monkeypatch.setattr(log_window, "PROBE", 200)
    generator = random.Random(seed)
    lines = []
    when = START
    for _number in range(600):
        when += generator.choice([0, 0, 1, 30, -5])
        lines.append(
            line(
                generator,
                when,
                zone=generator.choice([0, 0, 540, -210]),
                user=generator.choice(["-", "-", "foo bar", "x [01/Jan/2001:00:00:00 +0000] y"]),
            )
        )
        if generator.random() < 0.1:
            lines.append(generator.choice([b"", b"\0\0", b"garbage \xff", b'"""', b"[] " * 5]))
    path = tmp_path / "access.log"
    path.write_bytes(b"\n".join(lines) + generator.choice([b"\n", b""]))
    for since in (0, START + 700, when + 1000):
        assert counts(scan(path, since)) == reference(lines, since), since


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=120), st.integers(0, 300)), max_size=30))
def test_hostile_bytes_never_raise_and_change_no_other_line(pieces: list[bytes | int]) -> None:
    generator = random.Random(1)
    lines: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, int):
            lines.append(line(generator, START + piece))
        else:
            lines.extend(b"!" + part for part in piece.split(b"\n"))
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "access.log")
        path.write_bytes(b"\n".join(lines) + b"\n")
        assert counts(scan(path)) == reference(lines)


def test_a_line_of_any_length_is_passed_over(tmp_path: Path) -> None:
    generator = random.Random(2)
    lines = [line(generator, START) for _number in range(50)]
    path = tmp_path / "access.log"
    hole = b"\0" * (3 * log_buffer.CHUNK)
    path.write_bytes(b"\n".join([*lines[:25], hole, *lines[25:]]) + b"\n")
    assert counts(scan(path)) == reference(lines)


def test_lines_of_the_longest_kind_are_counted(tmp_path: Path) -> None:
    generator = random.Random(3)
    lines = [line(generator, START, trailing="x" * 200_000) for _number in range(20)]
    path = tmp_path / "access.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert counts(scan(path)) == reference(lines)


def test_the_window_begins_by_search_not_by_reading(tmp_path: Path) -> None:
    generator = random.Random(4)
    lines = [line(generator, START + number) for number in range(20_000)]
    path = tmp_path / "access.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    since = START + 19_500
    result = scan(path, since)
    assert counts(result) == reference(lines, since)
    assert result.bytes_read < path.stat().st_size / 4


def test_lines_out_of_order_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_window, "PROBE", 400)
    generator = random.Random(5)
    lines = [line(generator, START + number - generator.randrange(500)) for number in range(5000)]
    path = tmp_path / "access.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert counts(scan(path, START + 3000)) == reference(lines, START + 3000)


def test_rotated_and_compressed_files_belong_to_the_log(tmp_path: Path) -> None:
    generator = random.Random(6)
    parts = [[line(generator, START + day * 100) for _number in range(40)] for day in range(4)]
    members = [gzip.compress(b"\n".join(part) + b"\n") for part in (parts[0][:20], parts[0][20:])]
    (tmp_path / "access.log.3.gz").write_bytes(b"".join(members))
    (tmp_path / "access.log-20261101").write_bytes(b"\n".join(parts[1]) + b"\n")
    (tmp_path / "access.log.1").write_bytes(b"\n".join(parts[2]) + b"\n")
    (tmp_path / "access.log").write_bytes(b"\n".join(parts[3]) + b"\n")
    (tmp_path / "access.log.bak").write_bytes(b"\n".join(parts[3]) + b"\n")
    (tmp_path / "other-access.log.1").write_bytes(b"\n".join(parts[3]) + b"\n")
    for number, name in enumerate(["access.log.3.gz", "access.log-20261101", "access.log.1"]):
        os.utime(tmp_path / name, (START + number * 100, START + number * 100))
    everything = [one for part in parts for one in part]
    assert counts(scan(tmp_path / "access.log")) == reference(everything)
    found = log_window.rotated(str(tmp_path / "access.log"), START + 100, lambda block: None)
    assert [one.path for one in found] == [
        str(tmp_path / "access.log.1"),
        str(tmp_path / "access.log-20261101"),
    ]


def test_when_the_time_is_over_the_newest_part_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "SEGMENT", 10_000)
    generator = random.Random(7)
    lines = [line(generator, START + number) for number in range(1000)]
    path = tmp_path / "access.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    problems = Problems()
    result = scan(path, seconds=-1, problems=problems)
    assert not result.complete
    assert [one["id"] for one in problems.describe()] == ["log_time_budget"]
    tally = result.tallies["site/", "xmlrpc"]
    assert tally.last is not None
    assert tally.last > START + 950
    assert tally.first is not None
    assert tally.first > START + 800


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.symlink_to("/dev/null"), "not a regular file"),
        (lambda path: path.write_bytes(b"\x1f\x8bnot gzip at all"), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, make: Any, message: str) -> None:
    path = tmp_path / "access.log"
    make(path)
    problems = Problems()
    assert scan(path, problems=problems).tallies == {}
    (problem,) = problems.describe()
    assert problem["id"] == "log_unreadable"
    assert message in problem["message"]
    assert str(path) in problem["message"]


def test_a_log_of_another_format_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    problems = Problems()
    scan(path, problems=problems)
    assert [one["id"] for one in problems.describe()] == ["log_format_mismatch"]


def test_a_million_addresses_do_not_grow_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with path.open("wb") as stream:
        for number in range(60_000):
            stream.write(
                b'2001:db8::%x - - [20/Oct/2015:18:52:00 +0900] "POST /xmlrpc.php HTTP/1.1" 200 1\n'
                % number
            )
    found = counts(scan(path))["xmlrpc"]
    assert found["hits"] == 60_000
    assert not found["clients_exact"]
    assert not found["distinct_clients_exact"]
    assert abs(found["distinct_clients"] - 60_000) < 1200
    assert len(found["clients"]) <= 20_000


@pytest.mark.parametrize(
    ("request_line", "target"),
    [
        (b"POST /xmlrpc.php HTTP/1.0", b"/xmlrpc.php"),
        (b"GET /a b HTTP/1.1", b"/a b"),
        (b"GET /xmlrpc.php", b"/xmlrpc.php"),
        (b"-", b"-"),
        (b"", b""),
        (b"GET /x HTTP/1.1 HTTP/1.1", b"/x HTTP/1.1"),
    ],
)
def test_the_target_in_a_request_line(request_line: bytes, target: bytes) -> None:
    assert target_of(request_line) == target


STAMPS = st.one_of(
    st.from_regex(
        rb"[0-3]\d/(Jan|Feb|Dec|Foo)/20[0-2]\d:[0-2]\d:[0-6]\d:[0-6]\d [+-]\d\d\d\d",
        fullmatch=True,
    ),
    st.from_regex(
        rb"20[0-2]\d-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d:[0-6]\d([+-]\d\d:\d\d|Z)?", fullmatch=True
    ),
    st.from_regex(rb"(Jan|Dec) [ 1-3]\d [0-2]\d:[0-6]\d:[0-6]\d", fullmatch=True),
    st.from_regex(rb"\d{10}\.\d{3}", fullmatch=True),
    st.binary(max_size=30),
)


@settings(max_examples=300)
@given(st.lists(STAMPS, max_size=5))
def test_times_are_read_as_one_by_one(stamps: list[bytes]) -> None:
    """Though only each minute is read in full, and its place remembered."""
    scanner = Scanner(
        compile_format(COMBINED), classify, access_log.UNKNOWN, deadline=time.monotonic()
    )
    for stamp in stamps:
        assert scanner._second_of(stamp) == seconds_of(stamp)


def test_a_format_without_addresses_counts_no_clients(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b'1700000000.123 "POST /xmlrpc.php HTTP/1.1" 403 "Googlebot"\n' * 3)
    line_format = compile_format('$msec "$request" $status "$http_user_agent"')
    (row,) = [one.describe() for one in scan(path, line_format=line_format).tallies.values()]
    assert (row["hits"], row["distinct_clients"], row["clients"]) == (3, 0, [])


def test_a_request_that_ends_with_a_backslash_is_no_error(tmp_path: Path) -> None:
    """nginx writes none; a damaged log may hold one, and another server's."""
    path = tmp_path / "access.log"
    line = b'192.0.2.1 - - [20/Nov/2026:10:00:00 +0000] "%s" 200 1 "-" "x"\n'
    path.write_bytes(line % b"GET /x\\" + line % b"POST /xmlrpc.php HTTP/1.1")
    (tally,) = scan(path).tallies.values()
    assert tally.hits == 1
