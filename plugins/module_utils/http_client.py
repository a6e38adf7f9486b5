# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small HTTP client for questions that an ordinary client would tidy up before asking.

The request target is sent byte for byte: ``//xmlrpc.php``, ``/x/../xmlrpc.php`` and a raw space
all reach the server as written. ``http.client`` and ``urllib`` refuse or rewrite such targets, and
an attacker's client does not.

Certificates are not verified: these requests carry nothing secret, they go to an address that the
operator named, a self-signed virtual host is normal, and the answer's content is what is judged.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Tuple, Union

from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    MAX_BODY,
    UNREACHABLE,
    Exchange,
    read_answer,
    words,
)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSIONS = ("1.0", "1.1")

_SocketAddress = Union[str, Tuple[str, int], Tuple[str, int, int, int]]


class RequestError(ValueError):
    """The request itself cannot be sent as written; the message is one clause naming the value."""


@dataclass(frozen=True)
class Request:
    """One request, as raw as it goes out.

    ``address`` is an IP address, a host name or ``unix:/path``; ``host`` is what the Host header
    and SNI say, and is independent of it. A header whose value is ``None`` is not sent at all,
    not even where it would be by default (``("Host", None)``). Text is Latin-1, one byte per
    character. ``proxy_protocol`` tells whether the port expects that protocol's line first.
    """

    address: str
    port: int
    host: str
    target: str
    tls: bool = False
    proxy_protocol: bool = False
    method: str = "GET"
    version: str = "1.1"
    headers: tuple[tuple[str, str | None], ...] = ()
    body: bytes = b""


def encode(request: Request) -> bytes:
    """The bytes of ``request``.

    Raises :class:`RequestError` for what could not go out as one request: a line break in the
    target, a header that would start another one, text beyond Latin-1, an unknown version.
    """
    if request.version not in _VERSIONS:
        raise RequestError(f"HTTP version '{request.version}' is neither 1.0 nor 1.1")
    if not _TOKEN.fullmatch(request.method):
        raise RequestError(f"method {request.method!r} is not a token")
    if not request.target or "\r" in request.target or "\n" in request.target:
        raise RequestError(f"target {request.target!r} is empty or holds a line break")
    fields: dict[str, tuple[str, str | None]] = {
        "host": ("Host", request.host),
        "user-agent": ("User-Agent", "wpward"),
        "accept": ("Accept", "*/*"),
        "accept-encoding": ("Accept-Encoding", "identity"),
        "connection": ("Connection", "close"),
    }
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        fields["content-length"] = ("Content-Length", str(len(request.body)))
    for name, value in request.headers:
        if not _TOKEN.fullmatch(name):
            raise RequestError(f"header name {name!r} is not a token")
        fields[name.lower()] = (name, value)
    lines = [f"{request.method} {request.target} HTTP/{request.version}"]
    for name, value in fields.values():
        if value is None:
            continue
        if "\r" in value or "\n" in value or "\0" in value:
            raise RequestError(f"header {name} holds a line break or a NUL")
        lines.append(f"{name}: {value}")
    try:
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    except UnicodeEncodeError as error:
        raise RequestError(f"{error.object[error.start : error.end]!r} is not Latin-1") from None
    return head + request.body


def host_name(host: str) -> str:
    """``host`` without its port and without the brackets of an IPv6 literal."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def fetch(request: Request, timeout: float, source: str = "", max_body: int = MAX_BODY) -> Exchange:
    """Send ``request`` and read the answer, all within ``timeout`` seconds.

    ``source`` is the local address to come from, used where its family fits the destination's.
    Raises :class:`RequestError` (see :func:`encode`) before anything is sent, and nothing else.
    """
    data = encode(request)
    started = time.monotonic()
    deadline = started + timeout
    sock: socket.socket | None = None
    try:
        try:
            sock = _open(request, source, deadline)
            if request.proxy_protocol:
                # Names no client, so the server takes the connection's own addresses.
                sock.sendall(b"PROXY UNKNOWN\r\n")
            if request.tls:
                sock = _wrap(sock, request.host, deadline)
            local = sock.getsockname()
        except socket.timeout:
            return _unreachable(f"no connection within {timeout:g} s", started)
        except (OSError, ValueError) as error:
            return _unreachable(words(error), started)
        came_from = "unix:" if isinstance(local, (str, bytes)) else _plain(local[0])
        try:
            sock.settimeout(_left(deadline))
            sock.sendall(data)
        except (OSError, ValueError):
            # A server may answer and close before it has read everything: the answer counts.
            pass
        return read_answer(sock, request.method, came_from, started, deadline, max_body)
    finally:
        if sock is not None:
            sock.close()


def source_towards(address: str, port: int, source: str = "") -> str:
    """The local address that a connection to ``address`` would come from; "" if there is none.

    Sends nothing: connecting a datagram socket only asks the kernel for a route.
    """
    if address.startswith("unix:"):
        return "unix:"
    try:
        for family, target in _candidates(address, port):
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                if _fits(source, family):
                    probe.bind((source, 0))
                probe.connect(target)
                return _plain(probe.getsockname()[0])
    except (OSError, ValueError):
        pass
    return ""


def _plain(address: object) -> str:
    """An address without the zone of a link-local one."""
    return str(address).partition("%")[0]


def _left(deadline: float) -> float:
    # A time-out of 0 would make the socket non-blocking.
    return max(0.001, deadline - time.monotonic())


def _unreachable(detail: str, started: float) -> Exchange:
    return Exchange(UNREACHABLE, detail, seconds=time.monotonic() - started)


def _candidates(address: str, port: int) -> list[tuple[int, _SocketAddress]]:
    if address.startswith("unix:"):
        return [(socket.AF_UNIX, address[len("unix:") :])]
    name = host_name(address) if address.startswith("[") else address
    return [
        (int(family), target)  # type: ignore[misc]
        for family, _kind, _protocol, _name, target in socket.getaddrinfo(
            name, port, type=socket.SOCK_STREAM
        )
    ]


def _fits(source: str, family: int) -> bool:
    if not source or family == socket.AF_UNIX:
        return False
    return (":" in source) == (family == socket.AF_INET6)


def _open(request: Request, source: str, deadline: float) -> socket.socket:
    failure: Exception = OSError("no address")
    for family, target in _candidates(request.address, request.port):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(_left(deadline))
            if _fits(source, family):
                sock.bind((source, 0))
            sock.connect(target)
            return sock
        except (OSError, ValueError) as error:
            sock.close()
            failure = error
    raise failure


def _wrap(sock: socket.socket, host: str, deadline: float) -> ssl.SSLSocket:
    sock.settimeout(_left(deadline))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # An old server needs its proof too, and nothing secret crosses this session.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    # Without a choice by ALPN some servers speak HTTP/2 first.
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(sock, server_hostname=_sni(host))


def _sni(host: str) -> str | None:
    """The name for SNI, or None where SNI cannot carry it: then the default vhost answers."""
    try:
        name = host_name(host).encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return None if not name or name.startswith(".") or "\0" in name else name
