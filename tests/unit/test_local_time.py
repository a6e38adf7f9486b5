# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stamps without a zone, read with the zone of the host."""

from __future__ import annotations

import calendar
import time
from typing import Iterator

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.local_time import Clock, seconds_of

_NOON = calendar.timegm((2026, 11, 21, 12, 0, 0))
_NOW = _NOON + 3600


@pytest.fixture()
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def _set(zone: pytest.MonkeyPatch, name: str) -> None:
    zone.setenv("TZ", name)
    time.tzset()


@pytest.mark.parametrize(
    "stamp",
    [
        b"2026/11/21 12:00:00",
        b"Sat Nov 21 12:00:00.123456 2026",
        b"Sat Nov 21 12:00:00 2026",
        b"21-Nov-2026 12:00:00",
        b"Nov 21 12:00:00",
        b"2026-11-21T12:00:00",
        b"2026-11-21 12:00:00",
    ],
)
def test_every_server_spells_it_its_own_way(zone: pytest.MonkeyPatch, stamp: bytes) -> None:
    assert seconds_of(stamp, _NOW) == _NOON
    _set(zone, "JST-9")
    assert seconds_of(stamp, _NOW) == _NOON - 9 * 3600


@pytest.mark.parametrize(
    "stamp",
    [b"", b"nonsense", b"2026/13/41 12:00:00", b"Sat Xyz 21 12:00:00 2026", b"Feb 31 12:00:00"],
)
def test_what_is_no_time_is_none(zone: pytest.MonkeyPatch, stamp: bytes) -> None:
    assert seconds_of(stamp, _NOW) is None


def test_a_stamp_without_a_year_is_not_in_the_future(zone: pytest.MonkeyPatch) -> None:
    new_year = calendar.timegm((2026, 1, 1, 0, 10, 0))
    assert seconds_of(b"Dec 31 23:50:00", new_year) == new_year - 1200
    assert seconds_of(b"Jan  1 00:05:00", new_year) == new_year - 300


def test_the_repeated_hour_at_the_end_of_summer_time(zone: pytest.MonkeyPatch) -> None:
    _set(zone, "CET-1CEST,M3.5.0,M10.5.0/3")
    # 02:30 comes at 00:30 and again at 01:30 UTC.
    first = calendar.timegm((2026, 10, 25, 0, 30, 0))
    assert seconds_of(b"2026/10/25 02:30:00", first + 600) == first
    assert seconds_of(b"2026/10/25 02:30:00", first + 4200) == first + 3600
    assert seconds_of(b"2026/10/25 01:30:00", first + 4200) == first - 3600
    # 02:30 never came on the day when summer time began.
    assert seconds_of(b"2026/03/29 02:30:00", _NOW) is None


def test_the_clock_says_the_same_again(zone: pytest.MonkeyPatch) -> None:
    clock = Clock(_NOW)
    for _again in range(2):
        assert clock.seconds(b"2026/11/21 12:00:00") == _NOON
        assert clock.seconds(b"odd") is None
