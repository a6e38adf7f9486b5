# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of a host's document, whatever a host put there, and the words a report writes them in.

A document comes from a server that may belong to the attacker by now: nothing in it is taken to
have the type it should have, and nothing in it reaches the page as anything but visible text.
"""

from __future__ import annotations

import datetime
import unicodedata
from typing import Any

MAX_TEXT = 2000
NOTHING = "\N{EN DASH}"
"""Stands where there is no value."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def mapping(value: object) -> dict[str, Any]:
    """The value where it is a dictionary, else an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, Any]]:
    """The dictionaries of a list; an empty list for anything else."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """The strings of a list; an empty list for anything else."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def numbers(value: object) -> list[float]:
    """The numbers of a list; an empty list for anything else."""
    found = [number(one) for one in value] if isinstance(value, list) else []
    return [one for one in found if one is not None]


def number(value: object) -> float | None:
    """The value where it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) < 1e18 else None


def whole(value: object) -> int:
    """The value as a count; 0 where it is none."""
    found = number(value)
    return max(int(found), 0) if found is not None else 0


def seconds_of(value: object) -> float | None:
    """Seconds since the epoch of an ISO time of the evidence, None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    try:
        return moment.timestamp()
    except OverflowError:
        return None


def visible(value: object) -> str:
    r"""The value as text in which nothing is hidden.

    Control characters, line breaks and characters that turn the writing direction round become
    ``\xHH`` or ``\uHHHH``: a logged request must not be able to look like another one.
    """
    text = str(value)
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode("ascii")
        if unicodedata.category(one) in _INVISIBLE
        else one
        for one in text
    )


def count(value: object) -> str:
    """A count with thousands separators; a dash where there is none."""
    found = number(value)
    return NOTHING if found is None else f"{int(found):,}"


def plural(amount: int, thing: str) -> str:
    """``1 log``, ``2 logs``, ``2 addresses``."""
    ending = "" if amount == 1 else "es" if thing.endswith("s") else "s"
    return f"{amount:,} {thing}{ending}"


def decimal(value: object) -> str:
    """A measured number with as many digits as tell something."""
    found = number(value)
    if found is None:
        return NOTHING
    return f"{found:,.0f}" if abs(found) >= 100 or found == int(found) else f"{found:.2g}"


def size(value: object) -> str:
    """Bytes in binary units."""
    found = number(value)
    if found is None:
        return NOTHING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(found) < 1024:
            return (
                f"{found:.0f} {unit}" if abs(found) >= 10 or unit == "B" else f"{found:.1f} {unit}"
            )
        found /= 1024
    return f"{found:.1f} TiB"


def span(value: object) -> str:
    """A duration in the two largest units that matter."""
    found = number(value)
    if found is None:
        return NOTHING
    if 0 < found < 10:
        return f"{found:.1f} s"
    left = round(found)
    parts = []
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, left = divmod(left, length)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2]) or "0 s"


def share(part: object, whole_of: object) -> str:
    """A part of a whole in percent; empty where there is no whole."""
    part_of, total = number(part), number(whole_of)
    if part_of is None or not total:
        return ""
    percent = 100 * part_of / total
    if 0 < percent < 0.1:
        return "under 0.1 %"
    if 99.5 <= percent < 100:
        return "over 99 %"
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def moment(value: object) -> str:
    """A time of the evidence as people write it, in UTC; other text as it is."""
    seconds = seconds_of(value)
    if seconds is None:
        return str(value) if value else NOTHING
    return clock(seconds, "%-d %b %H:%M:%S")


def clock(seconds: float, layout: str) -> str:
    """A time in UTC by a strftime layout."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime(layout)
