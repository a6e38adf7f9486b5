# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``--since``: a span back from now, or a UTC time."""

from __future__ import annotations

import calendar
import re
import time

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class SinceError(Exception):
    """It is neither; the text says what to give."""


def beginning(since: str, now: float) -> int:
    """Seconds since the epoch of a span back from now, or of a UTC time; 0 for an empty text.

    Raises:
        SinceError: it is neither.
    """
    span = re.fullmatch(r"(\d{1,6})([smhd])", since)
    if span:
        return int(now) - int(span.group(1)) * _UNITS[span.group(2)]
    try:
        return calendar.timegm(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ")) if since else 0
    except ValueError:
        raise SinceError(
            f"--since is '{since}'; give a span such as 30m, 24h or 7d, or a UTC time such as "
            "2026-11-21T12:00:00Z."
        ) from None
