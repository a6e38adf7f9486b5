# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""nginx ``log_format`` text to the expression that reads its log.

nginx writes a double quote inside any variable as ``\x22``, or as ``\"`` in JSON. With
``escape=none`` it does not, and the result says so.
"""

from __future__ import annotations

import re
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    BACKSLASH,
    HEX,
    NONE,
    LineFormat,
    Part,
    UnusableFormat,
    Value,
    build,
    chosen,
)

__all__ = ["COMBINED", "LineFormat", "UnusableFormat", "compile_format"]

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" '
    '$status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
"""nginx's built-in format, and the beginning of Debian's and most people's own."""

_NAMES: dict[str, tuple[str, ...]] = {
    # Behind a proxy that the realip module trusts, remote_addr is the client already. A header
    # such as X-Forwarded-For never counts: a client can write any address into it.
    "address": ("remote_addr", "proxy_protocol_addr", "realip_remote_addr"),
    "request": ("request",),
    "method": ("request_method",),
    # nginx may have rewritten uri and args; a format that has only those still tells something.
    "target": ("request_uri", "uri_with_args", "uri", "document_uri"),
    "query": ("args", "query_string"),
    "status": ("status",),
    "host": ("host", "server_name", "http_host"),
    "agent": ("http_user_agent",),
}
"""The variables for each field, the best first."""

_TIMES = {
    # By their width, which is fast; what is no time after all is found out when it is read.
    "time_local": rb"\d\d/.{23}",
    "time_iso8601": rb"\d{4}-.{20}",
    "msec": rb"\d+\.\d{3}",
}
_SHAPES = {**_TIMES, "status": rb"\d{3}"}
_NO_BLANKS = re.compile(
    r"(?:realip_)?remote_(?:addr|port)|proxy_protocol_(?:server_)?(?:addr|port)"
    r"|server_(?:addr|port|name|protocol)|hostname|pid|nginx_version|scheme|https|host|http_host"
    r"|request_(?:length|time|method|id|completion)|body_bytes_sent|bytes_sent|content_length"
    r"|connection(?:_requests|_time|s_active)?|pipe|gzip_ratio|is_args|http[23]|tcpinfo_\w+"
    r"|ssl_(?:protocol|cipher|session_reused|server_name)|upstream_cache_status|geoip_\w+_code3?"
)
"""Variables without blanks. A Host header with one gets status 400, and such a line is left out."""
_OF_THE_SERVER = re.compile(
    r"upstream_(?!http_|cookie_|trailer_)\w+\Z|time_|sent_http_content_type"
)
"""Variables that may hold blanks, but not of a client's choice."""

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_WITH_ARGS = re.compile(
    r"\$\{?(?:document_)?uri\}?(?:\$\{?is_args\}?|\?)\$(?:\{(?:args|query_string)\}|(?:args|query_string)\b)"
)
"""A target written in three pieces, which is one value to us."""


def _parts(text: str) -> list[Part]:
    text = _WITH_ARGS.sub("${uri_with_args}", text)
    variables = [first or second for first, second in _VARIABLE.findall(text)]
    fields = chosen(_NAMES, variables)
    if "request_uri" in fields or "uri_with_args" in fields:
        fields = {variable: name for variable, name in fields.items() if name != "query"}
    parts: list[Part] = []
    position = 0
    for match, variable in zip(_VARIABLE.finditer(text), variables):
        parts.append(text[position : match.start()].encode("utf-8", "surrogateescape"))
        position = match.end()
        name = "time" if variable in _TIMES else fields.get(variable)
        parts.append(
            Value(
                name,
                shape=_SHAPES.get(variable),
                words=not _NO_BLANKS.fullmatch(variable),
                forgeable=not _OF_THE_SERVER.match(variable),
                optional=name == "agent",
            )
        )
    parts.append(text[position:].encode("utf-8", "surrogateescape"))
    return parts


def compile_format(text: str, prefix: Sequence[Part] = ()) -> LineFormat:
    """Translate a format (``escape=json`` and the like in front, as in the evidence).

    prefix: what stands before each line, as in syslog_prefix.

    Raises UnusableFormat where the time or the request is not in it. Address, status, host and
    user agent may be missing from ``fields``.
    """
    escape, _space, rest = text.partition(" ")
    if not escape.startswith("escape="):
        escape, rest = "escape=default", text
    escapes = {"escape=json": BACKSLASH, "escape=none": NONE}.get(escape, HEX)
    return build([*prefix, *_parts(rest)], escapes)
