# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Time stamps, against the calendar of Python's own datetime."""

from __future__ import annotations

import datetime
import time
from typing import Iterator

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from hypothesis import given
from hypothesis import strategies as st

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MOMENTS = st.datetimes(datetime.datetime(2002, 1, 1), datetime.datetime(2037, 1, 1))
OFFSETS = st.integers(-14 * 60, 14 * 60)


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@given(MOMENTS, OFFSETS)
def test_stamps_with_a_zone(moment: datetime.datetime, offset: int) -> None:
    zone = datetime.timezone(datetime.timedelta(minutes=offset))
    local = moment.replace(microsecond=0, tzinfo=zone)
    expected = int(local.timestamp())
    month = MONTHS[local.month - 1]
    sign, minutes = ("-", -offset) if offset < 0 else ("+", offset)
    basic = f"{sign}{minutes // 60:02}{minutes % 60:02}"
    clf = f"{local.day:02}/{month}/{local.year}:{local:%H:%M:%S}"
    for stamp in (
        f"{clf} {basic}",
        f"{clf}.123 {basic}",
        local.isoformat(),
        f"{local:%Y-%m-%dT%H:%M:%S}.123456{basic}",
        f"{local:%Y-%m-%d %H:%M:%S} {basic}",
    ):
        assert seconds_of(stamp.encode()) == expected, stamp


@given(MOMENTS)
def test_stamps_in_utc(moment: datetime.datetime) -> None:
    local = moment.replace(microsecond=0, tzinfo=datetime.timezone(datetime.timedelta()))
    expected = int(local.timestamp())
    for stamp in (
        f"{local:%Y-%m-%d}\t{local:%H:%M:%S}",
        f"{local:%Y-%m-%dT%H:%M:%S}Z",
        f"{expected}",
        f"{expected}.123",
        f"{expected}123",
        f"{expected}123456",
    ):
        assert seconds_of(stamp.encode()) == expected, stamp


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    "stamp", [b"2026-11-21 10:00:00", b"2026-11-21T10:00:00.5", b"21/Nov/2026:10:00:00"]
)
def test_a_stamp_without_zone_is_local(stamp: bytes) -> None:
    assert seconds_of(stamp) == seconds_of(b"2026-11-21T01:00:00Z")


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize("stamp", [b"2026-11-21\t10:00:00", b"2026-11-21 10:00:00 +0000"])
def test_cloudfront_and_named_zones_are_not_local(stamp: bytes) -> None:
    assert seconds_of(stamp) == seconds_of(b"2026-11-21T10:00:00Z")


@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    ("stamp", "newest", "expected"),
    [
        (b"Nov 21 10:00:00", b"2026-11-21T02:00:00Z", b"2026-11-21T01:00:00Z"),
        # The clock of the machine that reads may be behind.
        (b"Nov 21 10:00:00", b"2026-11-21T00:00:00Z", b"2026-11-21T01:00:00Z"),
        (b"Nov 23 10:00:00", b"2026-11-21T00:00:00Z", b"2025-11-23T01:00:00Z"),
        (b"Jan  1 00:30:00", b"2026-12-31T15:00:00Z", b"2026-12-31T15:30:00Z"),
        (b"Dec 31 23:59:00", b"2027-01-01T03:00:00Z", b"2026-12-31T14:59:00Z"),
        (b"Feb 29 12:00:00", b"2025-01-01T00:00:00Z", b"2024-02-29T03:00:00Z"),
    ],
)
def test_syslog_names_no_year(stamp: bytes, newest: bytes, expected: bytes) -> None:
    assert seconds_of(stamp, seconds_of(newest)) == seconds_of(expected)


@pytest.mark.parametrize(
    "stamp",
    [
        b"",
        b"-",
        b"-1.000",
        b"123",
        b"17000000001",
        b"99/Foo/2015:18:52:00 +0900",
        b"40/Oct/2015:18:52:00 +0900",
        b"31/Nov/2015:18:52:00 +0900",
        b"20/Oct/2015:24:00:00 +0900",
        b"2015-13-01T00:00:00Z",
        b"0000-00-00T00:00:00Z",
        b"2015-10-20T18:52:00Z trailing",
        b"Foo 20 00:00:00",
        b"\xff\x00",
    ],
)
def test_what_is_no_time(stamp: bytes) -> None:
    assert seconds_of(stamp) is None


@given(st.one_of(st.binary(max_size=40), st.text("0123456789-:/TZ+. JanFeb").map(str.encode)))
def test_nothing_raises(stamp: bytes) -> None:
    assert seconds_of(stamp, 1_700_000_000) is None or stamp
