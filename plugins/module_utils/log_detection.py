# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds out the format of a log whose server's configuration is not at hand."""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    cloudfront_log,
    httpd_log_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    BACKSLASH,
    LineFormat,
    Part,
    UnusableFormat,
    Value,
    build,
    chosen,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of
from ansible_collections.wpward.wordpress.plugins.module_utils.syslog_prefix import PREFIXES

_TEXTS = {
    # httpd's expressions read nginx's escapes too. Of equally good ones the first is taken.
    "common": httpd_log_format.COMMON,
    "host and common": "%V " + httpd_log_format.COMMON,
    "vhost_combined": httpd_log_format.VHOST_COMBINED,
    "combined": httpd_log_format.COMBINED,
    "main": httpd_log_format.COMBINED + ' "%{X-Forwarded-For}i"',
    "combined and more": httpd_log_format.COMBINED + " %X",
    "host and combined": "%V " + httpd_log_format.COMBINED,
}
_NAMES = {
    "time": ("time", "timestamp", "timelocal", "timeiso8601", "datetime", "date", "ts", "msec"),
    "address": ("remoteaddr", "remoteip", "remotehost", "clientip", "clientaddr", "client", "ip"),
    "request": ("request", "requestline"),
    "method": ("requestmethod", "method", "httpmethod", "verb"),
    "target": ("requesturi", "requesturl", "uri", "url", "requestpath", "path"),
    "query": ("args", "querystring", "query"),
    "status": ("status", "statuscode", "httpstatus", "responsecode", "response"),
    "host": ("host", "httphost", "servername", "virtualhost", "vhost", "domain"),
    "agent": ("httpuseragent", "useragent", "agent", "ua"),
}
"""What people call the fields in JSON logs, in lower case and without signs."""
_MEMBER = re.compile(
    rb'"((?:[^"\\]|\\.)*)"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|(-?\d[\d.eE+-]*|true|false|null))'
)
_ADDRESS = re.compile(rb"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]+\Z")
_TEMPLATES = 3
"""Of so many JSON lines, the shortest, the form is tried on the others."""
_TEMPLATE_LENGTH = 4096
"""Bytes. A client can make its line long, and one without a closing quote slow to take apart."""


class Detected(NamedTuple):
    """name: for people."""

    name: str
    format: LineFormat


def json_format(line: bytes, prefix: Sequence[Part] = ()) -> LineFormat:
    """The format of a log with one JSON object per line, from one of its lines.

    Members are known by their names; their order is the server's, the same on every line. Raises
    UnusableFormat where a time or a request is not among them.
    """
    members = list(_MEMBER.finditer(line))
    names = []
    for member in members:
        key = re.sub(r"[^a-z0-9]", "", member.group(1).decode("latin-1").lower())
        readable = seconds_of(member.group(2) or member.group(3) or b"") is not None
        names.append("" if key in _NAMES["time"] and not readable else key)
    fields = chosen(_NAMES, names)
    parts: list[Part] = list(prefix)
    position = 0
    for member, key in zip(members, names):
        group = 3 if member.group(2) is None else 2
        parts.append(line[position : member.start(group)])
        position = member.end(group)
        name = fields.get(key)
        shape = None if group == 2 else rb'[^",}\s]+'
        parts.append(Value(name, shape, optional=name == "agent"))
    return build([*parts, line[position:]], BACKSLASH)


def _json_formats(lines: Sequence[bytes]) -> Iterator[Detected]:
    objects = [
        line
        for line in sorted(lines, key=len)
        if len(line) <= _TEMPLATE_LENGTH and line.rstrip().endswith(b"}") and b'{"' in line
    ]
    for line in objects[:_TEMPLATES]:
        start = line.index(b"{")
        prefixes = PREFIXES.items() if start else [("", ())]
        for style, prefix in prefixes:
            try:
                line_format = json_format(line[start:].rstrip(), prefix)
            except UnusableFormat:
                continue
            yield Detected("JSON" + (f" after {style}" if style else ""), line_format)


def _candidates(lines: Sequence[bytes]) -> Iterator[Detected]:
    headers = [line for line in lines if line.startswith(b"#Fields:")]
    try:
        cloudfront = cloudfront_log.format_of(headers or [cloudfront_log.DOCUMENTED])
        yield Detected("CloudFront", cloudfront)
    except UnusableFormat:
        pass
    yield from _json_formats([line for line in lines if not line.startswith(b"#")])
    for name, text in _TEXTS.items():
        yield Detected(name, httpd_log_format.compile_format(text))
        for style, prefix in PREFIXES.items():
            yield Detected(f"{name} after {style}", httpd_log_format.compile_format(text, prefix))


def detect(sample: bytes) -> Detected | None:
    """The format that fits most lines of a log's beginning (or of any piece of it, from the start
    of a line), if it fits at least every second one."""
    lines = sample.split(b"\n")
    if len(lines) > 1:
        # The last one may be cut off.
        lines.pop()
    counted = [line for line in lines if line.strip() and not line.startswith(b"#")]
    text = b"\n" + b"\n".join(counted) + b"\n"
    best, best_score = None, (0, 0, 0)
    for candidate in _candidates(lines):
        line_format = candidate.format
        found = line_format.pattern.findall(text)
        if 2 * len(found) < len(counted):
            continue
        address = line_format.fields.index("address") if "address" in line_format.fields else None
        # Where a host's name stands in its place, an address is not where it should be.
        addresses = [] if address is None else [row[address] for row in found]
        score = (
            sum(1 for one in addresses if _ADDRESS.match(one)),
            len(found),
            sum(1 for row in found for value in row if value),
        )
        if score > best_score:
            best, best_score = candidate, score
    return best
