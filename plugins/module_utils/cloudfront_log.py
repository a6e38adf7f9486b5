# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudFront's standard logs, whose ``#Fields`` line names the columns.

Values are percent-encoded and separated by tabs, so that nothing in them can be mistaken for
another column. The client's address is the viewer's own, which the server behind CloudFront does
not see. Old logs have 26 columns, today's 33; some lines end early.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    PERCENT,
    LineFormat,
    Part,
    UnusableFormat,
    Value,
    build,
    chosen,
)

DOCUMENTED = (
    b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status "
    b"cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id "
    b"x-host-header"
)
"""The first columns, which have kept their order; for logs whose header lines are lost."""

_NAMES = {
    "address": ("c-ip",),
    "method": ("cs-method",),
    "target": ("cs-uri-stem",),
    "query": ("cs-uri-query",),
    "status": ("sc-status",),
    # cs(Host) is the distribution's own name, x-host-header the one that the viewer asked for.
    "host": ("x-host-header", "cs(Host)"),
    "agent": ("cs(User-Agent)",),
}
_OPTIONAL = frozenset({"query", "host", "agent"})
_PREFIX = b"#Fields:"


def format_of(header_lines: Sequence[bytes]) -> LineFormat:
    """The format that the first ``#Fields`` line among a log's lines describes.

    A query of ``-`` means that there was none. Raises UnusableFormat where no line, or the line
    found, does not name the date, the time and the request.
    """
    named = [line for line in header_lines if line.startswith(_PREFIX)]
    if not named:
        raise UnusableFormat("the log has no #Fields line, as every CloudFront log has")
    columns = named[0][len(_PREFIX) :].decode("latin-1").split()
    fields = chosen(_NAMES, columns)
    parts: list[Part] = []
    for place, column in enumerate(columns):
        if column == "time" and columns[place - 1] == "date":
            parts[-1] = Value("time", rb"\d{4}-\d\d-\d\d\t\d\d:\d\d:\d\d")
            continue
        name = fields.get(column)
        parts += [
            b"\t" if place else b"",
            Value(name, rb"[^\t\r\n]*", words=False, optional=name in _OPTIONAL),
        ]
    return build(parts, PERCENT)
