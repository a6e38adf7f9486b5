# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stamps of error logs, which servers write in the host's local time and without a zone."""

from __future__ import annotations

import re
import time

from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import MONTHS

_STAMP = re.compile(
    rb"(?P<year>\d{4})[/-](?P<month>\d\d)[/-](?P<day>\d\d)[ T](?P<time>\d\d:\d\d:\d\d)"
    # httpd: Sat Nov 21 12:00:00.123456 2026; httpd 2.2 without the fraction.
    rb"|(?:[A-Z][a-z]{2} )?(?P<month2>[A-Z][a-z]{2}) (?P<day2>[ \d]\d) (?P<time2>\d\d:\d\d:\d\d)"
    rb"(?:\.\d{1,9})?(?: (?P<year2>\d{4}))?"
    rb"|(?P<day3>\d\d)-(?P<month3>[A-Z][a-z]{2})-(?P<year3>\d{4}) (?P<time3>\d\d:\d\d:\d\d)"
)
_FUTURE = 60
"""Seconds by which a stamp may lie ahead: clocks are set."""


def _readings(year: int, month: int, day: int, clock: bytes) -> list[int]:
    """Every moment at which the local clock shows this: two in the hour that is repeated when
    summer time ends, none for what is not a time."""
    hour, minute, second = (int(part) for part in clock.split(b":"))
    wanted = (year, month, day, hour, minute, second)
    found: set[int] = set()
    for summer in (0, 1):
        try:
            moment = int(time.mktime((*wanted, 0, 0, summer)))
        except (OverflowError, ValueError):
            continue
        if time.localtime(moment)[:6] == wanted:
            found.add(moment)
    return sorted(found)


def seconds_of(stamp: bytes, now: float) -> int | None:
    """Seconds since the epoch of a stamp of nginx, httpd, php-fpm or syslog; None for anything
    else. A stamp without a year is of the year that ends ``now``; of two possible moments the
    later one that is not in the future is taken."""
    match = _STAMP.match(stamp)
    if match is None:
        return None
    field = match.groupdict()
    month = field["month2"] or field["month3"]
    number = int(field["month"]) if month is None else MONTHS.get(month, 0)
    day = int(field["day"] or field["day2"] or field["day3"])
    clock = field["time"] or field["time2"] or field["time3"]
    year = field["year"] or field["year2"] or field["year3"]
    this_year = time.localtime(now).tm_year
    years = [int(year)] if year else [this_year, this_year - 1]
    for one in years:
        readings = _readings(one, number, day, clock)
        past = [moment for moment in readings if moment <= now + _FUTURE]
        if past:
            return past[-1]
        if year and readings:
            return readings[0]
    return None


class Clock:
    """Translates stamps; remembers the last one, since a busy log has many of each second."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._stamp = b""
        self._seconds: int | None = None

    def seconds(self, stamp: bytes) -> int | None:
        """As seconds_of()."""
        if stamp != self._stamp:
            self._stamp, self._seconds = stamp, seconds_of(stamp, self._now)
        return self._seconds
