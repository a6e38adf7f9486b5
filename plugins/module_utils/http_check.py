# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One HTTP check: a request and what must come back, made from plain data.

The plain data (JSON) of a check, as the catalogue writes it::

    id         str, unique in its list
    endpoint   str or null: the catalogue's endpoint id
    kind       "refuse"   the request must not get through
               "work"     the request must do what it did before, or, where nothing was recorded,
                          answer soundly
               "trusted"  the request must get through from a trusted client; nobody else sends it
    site       str: the site's id, for messages
    connect    {"address": str, "port": int, "tls": bool, "host": str, "proxy_protocol": bool}
               address: IP address, host name or unix:/path; host: Host header and SNI
    method     str, "GET" by default
    target     str: the raw request target, one Latin-1 character per byte
    version    "1.1" (default) or "1.0"
    headers    {name: value}; null instead of a value keeps a default header (Host, User-Agent,
               Accept, Accept-Encoding, Connection, Content-Length) from being sent
    body       str, one Latin-1 character per byte
    note       what sets it apart in headers or body from a check with the same target, for reports
    expect     {"status": [int] or null, "must_not_match": [regex], "must_match": [regex]}
               status 444 stands for a connection closed without an answer
    when_trusted  "served" on a "refuse" check: a trusted client is let through, so the check says
               nothing when it comes from one, and is skipped there

A regex is searched in ``Location: ...`` (if there is one), every other header line, an empty line
and the body, in this order. Where it finds something in a "refuse" check, the request got through,
whatever the status says. Of "must_match", one has to find something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import (
    Request,
    RequestError,
    encode,
)

REFUSE = "refuse"
WORK = "work"
TRUSTED = "trusted"
_KINDS = (REFUSE, WORK, TRUSTED)
_SHOWN = 120


class CheckError(ValueError):
    """A check that cannot be used; the message names it and the value."""


@dataclass(frozen=True)
class Check:
    """A check that has been read from plain data and found usable."""

    id: str
    endpoint: str
    kind: str
    site: str
    request: Request
    status: tuple[int, ...]
    must_not_match: tuple[re.Pattern[str], ...]
    must_match: tuple[re.Pattern[str], ...]
    served_when_trusted: bool
    note: str = ""

    @property
    def shown(self) -> str:
        """The request as a human reads it: method, target, what distinguishes it from others."""
        request = self.request
        parts = [request.method, _printable(request.target)]
        if request.version != "1.1":
            parts.append(f"HTTP/{request.version}")
        if self.note:
            parts.append(f"({self.note})")
        elif (
            request.body
            and request.method != "GET"
            and "xml" not in request.body[:8].decode("latin-1")
        ):
            parts.append(f"[{_printable(request.body.decode('latin-1'))}]")
        return " ".join(parts)

    @property
    def server(self) -> str:
        """The virtual host that is asked, as a human reads it."""
        scheme = "https" if self.request.tls else "http"
        usual = self.request.port == (443 if self.request.tls else 80)
        port = "" if usual or ":" in self.request.host else f":{self.request.port}"
        return f"{scheme}://{self.request.host}{port}"


def parse(data: Mapping[str, Any]) -> Check:
    """Read one check. Raises :class:`CheckError` with one sentence for what is wrong with it."""
    name = str(data.get("id") or "")
    if not name:
        raise CheckError(f"a check has no id: {str(dict(data))[:200]}")
    try:
        return _parse(name, data)
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckError(f"check {name}: {type(error).__name__}: {error}") from None
    except (RequestError, ValueError, re.error) as error:
        raise CheckError(f"check {name}: {error}") from None


def parse_all(data: list[dict[str, Any]]) -> list[Check]:
    """Read a list of checks. Raises :class:`CheckError`, also where an id occurs twice."""
    checks = [parse(item) for item in data]
    seen = set()
    for check in checks:
        if check.id in seen:
            raise CheckError(f"check {check.id} occurs twice")
        seen.add(check.id)
    return checks


def _parse(name: str, data: Mapping[str, Any]) -> Check:
    kind = data["kind"]
    if kind not in _KINDS:
        raise ValueError(f"kind '{kind}' is none of {', '.join(_KINDS)}")
    connect = data["connect"]
    expect = data.get("expect") or {}
    headers = data.get("headers") or {}
    request = Request(
        address=str(connect["address"]),
        port=int(connect.get("port") or 0),
        host=str(connect["host"]),
        target=str(data["target"]),
        tls=bool(connect.get("tls", False)),
        proxy_protocol=bool(connect.get("proxy_protocol", False)),
        method=str(data.get("method") or "GET"),
        version=str(data.get("version") or "1.1"),
        headers=tuple((str(k), None if v is None else str(v)) for k, v in headers.items()),
        body=_bytes(str(data.get("body") or "")),
    )
    encode(request)
    return Check(
        id=name,
        endpoint=str(data.get("endpoint") or ""),
        kind=kind,
        site=str(data.get("site") or ""),
        request=request,
        status=tuple(int(status) for status in expect.get("status") or ()),
        must_not_match=tuple(re.compile(p) for p in expect.get("must_not_match") or ()),
        must_match=tuple(re.compile(p) for p in expect.get("must_match") or ()),
        served_when_trusted=data.get("when_trusted") == "served",
        note=str(data.get("note") or ""),
    )


def _bytes(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("the body is not Latin-1, one character per byte") from None


def _printable(text: str) -> str:
    shown = "".join(c if " " < c < "\x7f" else f"\\x{ord(c):02x}" for c in text[:_SHOWN])
    return shown + ("..." if len(text) > _SHOWN else "")
