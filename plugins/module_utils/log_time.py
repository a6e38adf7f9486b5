# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The time stamps of access logs to seconds since the epoch, and back to the evidence's form."""

from __future__ import annotations

import calendar
import re
import time

MONTHS = {
    name: number
    for number, name in enumerate(
        b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}
_CLOCK = rb"(\d\d):(\d\d):(\d\d)(?:[.,]\d+)?"
_ZONE = rb" ?(Z|[+-]\d\d:?\d\d)?\Z"
_LOCAL = re.compile(rb"(\d\d)/([A-Z][a-z]{2})/(\d{4})[: ]" + _CLOCK + _ZONE)
_ISO = re.compile(rb"(\d{4})-(\d\d)-(\d\d)([T \t])" + _CLOCK + _ZONE)
_SYSLOG = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) " + _CLOCK + rb"\Z")
_COUNT = re.compile(rb"(\d{10})(?:\.\d+|\d{3}|\d{6})?\Z")
_DAY = 86400


def _epoch(date: tuple[int, int, int], clock: tuple[bytes, ...], zone: bytes | None) -> int | None:
    """``zone`` None: this machine's own."""
    year, month, day = date
    hour, minute, second = (int(part) for part in clock)
    if not (year >= 1970 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 61):
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    if zone is None:
        return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))
    utc = calendar.timegm((year, month, day, hour, minute, second))
    if zone == b"Z":
        return utc
    offset = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return utc - offset if zone[:1] == b"+" else utc + offset


def _this_or_last_year(match: re.Match[bytes], newest: float) -> int | None:
    month = MONTHS.get(match.group(1), 0)
    year = time.localtime(newest).tm_year
    for candidate in (year + 1, year, year - 1):
        second = _epoch((candidate, month, int(match.group(2))), match.group(3, 4, 5), None)
        if second is not None and second <= newest + _DAY:
            return second
    return None


def seconds_of(stamp: bytes, newest: float | None = None) -> int | None:
    """Seconds since the epoch of a log's time stamp; None where it is none.

    Understood: nginx's ``$time_local``, ``$time_iso8601`` and ``$msec``; httpd's ``%t``, seconds,
    milliseconds and microseconds since the epoch; ISO 8601 with or without fraction and zone, and
    with a blank instead of the ``T``; CloudFront's date and time with their tab (UTC); syslog's
    ``Nov 21 10:00:00``.

    A stamp that names no zone is taken for this machine's local time, as that is what a server
    writes. A syslog stamp names no year either: it gets the latest one that does not put it more
    than a day after ``newest`` (when its log was last written to, in seconds since the epoch; by
    default now).
    """
    match = _LOCAL.match(stamp)
    if match:
        month = MONTHS.get(match.group(2), 0)
        date = (int(match.group(3)), month, int(match.group(1)))
        return _epoch(date, match.group(4, 5, 6), match.group(7))
    match = _ISO.match(stamp)
    if match:
        year, number, day, separator = match.group(1, 2, 3, 4)
        zone = b"Z" if separator == b"\t" else match.group(8)
        return _epoch((int(year), int(number), int(day)), match.group(5, 6, 7), zone)
    match = _SYSLOG.match(stamp)
    if match:
        return _this_or_last_year(match, time.time() if newest is None else newest)
    match = _COUNT.match(stamp)
    return int(match.group(1)) if match else None


def iso(seconds: float) -> str:
    """A moment, in seconds since the epoch, as the evidence writes it: UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
