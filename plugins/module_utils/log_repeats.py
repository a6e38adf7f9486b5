# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests that stand in more than one log, so that they are counted once.

httpd writes what it refuses to the access log of the site as well as to our deny log; and behind an
nginx of the same host, httpd writes once more what nginx has written already.
"""

from __future__ import annotations

from typing import Any, Dict, Sequence

Row = Dict[str, Any]

_REFUSED = "403"
_MOST = 2
"""Times as many requests as the other logs have, up to which a log is taken for a repetition. The
logs of one server end at different moments; beyond that, somebody came another way."""


def _counts(row: Row, status: str | None) -> int:
    statuses = row["statuses"]
    return int(row["hits"] if status is None or not statuses else statuses.get(status, 0))


def _seen(row: Row, others: Sequence[Row], status: str | None) -> int:
    """What the others count for the same endpoint of the same site, or may count for it where one
    of the two logs does not tell the site."""
    return sum(
        _counts(one, status)
        for one in others
        if one["endpoint"] == row["endpoint"]
        and (row["site"] is None or one["site"] in (row["site"], None))
    )


def refusals(refused: Sequence[Row], access: Sequence[Row]) -> list[Row]:
    """Those rows of httpd's deny log that its access logs, ``access``, have counted. The others are
    of sites that have no log, or one that leaves such requests out."""
    return [row for row in refused if row["hits"] <= _seen(row, access, _REFUSED)]


def requests(inner: Sequence[Row], outer: Sequence[Row]) -> list[Row]:
    """Those rows of the logs behind another server, ``inner``, that the logs of that server,
    ``outer``, have counted. The others count so much more that somebody came past it."""
    return [row for row in inner if row["hits"] <= _MOST * _seen(row, outer, None)]
