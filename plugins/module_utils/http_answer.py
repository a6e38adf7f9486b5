# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What comes back over a socket after an HTTP/1.x request, however the server behaves.

:func:`read_answer` never raises on anything that is received: an endless header, a lying
Content-Length, a drip of one byte a second or plain garbage all become an :class:`Exchange` that
says so. The limits below bound memory; the caller's deadline bounds time.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import zlib
from dataclasses import dataclass

ANSWERED = "answered"
"""A status line and headers came back; ``complete`` tells whether the body came whole."""
GARBLED = "garbled"
"""Something came back that is not HTTP/1.x; ``body`` holds it."""
CLOSED = "closed"
"""The server closed the connection in good order without sending a byte (nginx's 444)."""
SILENT = "silent"
"""The connection stood, but no answer came: the time was up, or it was reset."""
UNREACHABLE = "unreachable"
"""No connection, or no TLS session: nothing was asked, so nothing is known."""

MAX_BODY = 4 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADER_LINES = 256
_MAX_INTERIM = 8
_MAX_CHUNKS = 100_000
_RECEIVE = 64 * 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.\d ([1-9]\d\d)(?: |$)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?$")
_DECIMAL = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True)
class Exchange:
    """What came back. ``detail`` says in one clause why it is not a whole answer, if it is not.

    ``source`` is the local address the request went out from ("" where there was no connection,
    ``unix:`` for a socket file); ``status`` is 0 without an answer; ``body`` is without its
    content coding.
    """

    outcome: str
    detail: str = ""
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    complete: bool = False
    source: str = ""
    seconds: float = 0.0

    def header(self, name: str) -> str:
        """The first value of header ``name``, or ""."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value
        return ""


def words(error: BaseException) -> str:
    """One clause for an operating system's or TLS library's error."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return "TLS: {}".format(str(error.reason).replace("_", " ").lower())
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


class _EndedError(Exception):
    """Reading stopped early; the message is the clause for :attr:`Exchange.detail`."""


class _NoMoreError(_EndedError):
    """The time is up or the connection broke."""


class _Body:
    """A body as it grows, kept even where reading it ends early."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self._limit = limit

    def add(self, data: bytes) -> None:
        room = self._limit - len(self.data)
        self.data += data[:room]
        if len(data) > room:
            raise _EndedError(f"the body was cut at {self._limit} bytes")


class _Wire:
    """Buffered reading from a socket, all of it before one deadline."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._buffer = bytearray()
        self.received = 0

    def _fill(self) -> bool:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise _NoMoreError("the time was up")
        try:
            self._sock.settimeout(remaining)
            data = self._sock.recv(_RECEIVE)
        except socket.timeout:
            raise _NoMoreError("the time was up") from None
        except (OSError, ValueError) as error:
            raise _NoMoreError(f"the connection broke ({words(error)})") from None
        self._buffer += data
        self.received += len(data)
        return bool(data)

    def take(self) -> bytes:
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def line(self) -> bytes:
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end > MAX_HEADER_BYTES or (end < 0 and len(self._buffer) > MAX_HEADER_BYTES):
                raise _EndedError(f"a line longer than {MAX_HEADER_BYTES} bytes came back")
            if end >= 0:
                break
            searched = len(self._buffer)
            if not self._fill():
                raise _EndedError("the connection closed in the middle of a line")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line[:-1] if line.endswith(b"\r") else line

    def exactly(self, count: int, body: _Body) -> None:
        while count > 0:
            if not self._buffer and not self._fill():
                raise _EndedError(f"the connection closed {count} bytes before the body's end")
            piece = bytes(self._buffer[:count])
            del self._buffer[: len(piece)]
            count -= len(piece)
            body.add(piece)

    def rest(self, body: _Body) -> None:
        body.add(self.take())
        while self._fill():
            body.add(self.take())


def read_answer(
    sock: socket.socket, method: str, source: str, started: float, deadline: float, max_body: int
) -> Exchange:
    """Read one answer to a request with ``method`` until ``deadline`` (``time.monotonic``)."""
    wire = _Wire(sock, deadline)
    first = b""
    try:
        for _interim in range(_MAX_INTERIM):
            first = wire.line()
            matched = _STATUS_LINE.match(first)
            if not matched:
                raise _EndedError("what came back is not HTTP/1.x")
            status = int(matched.group(1))
            headers = _headers(wire)
            if status >= 200 or status == 101:
                break
        else:
            raise _EndedError("interim answers came without end")
    except _EndedError as ended:
        silent = isinstance(ended, _NoMoreError)
        seconds = time.monotonic() - started
        if wire.received == 0:
            detail = f"no answer: {ended}" if silent else "closed without an answer"
            return Exchange(SILENT if silent else CLOSED, detail, source=source, seconds=seconds)
        seen = (first + b"\n" + wire.take())[:max_body]
        return Exchange(GARBLED, str(ended), body=seen, source=source, seconds=seconds)
    body = _Body(max_body)
    detail = ""
    try:
        if method != "HEAD" and status not in (101, 204, 304):
            _read_body(wire, headers, body)
    except _EndedError as ended:
        detail = str(ended)
    content, undecoded = _decoded(bytes(body.data), headers, max_body)
    return Exchange(
        ANSWERED,
        detail or undecoded,
        status,
        tuple(headers),
        content,
        not detail and not undecoded,
        source,
        time.monotonic() - started,
    )


def _headers(wire: _Wire) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    used = 0
    while True:
        line = wire.line()
        if not line:
            return headers
        used += len(line)
        if used > MAX_HEADER_BYTES or len(headers) >= MAX_HEADER_LINES:
            raise _EndedError("headers came without end")
        text = line.decode("latin-1")
        if text[0] in " \t" and headers:
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {text.strip()}")
        else:
            name, _colon, value = text.partition(":")
            headers.append((name.strip(), value.strip()))


def _read_body(wire: _Wire, headers: list[tuple[str, str]], body: _Body) -> None:
    fields = {name.lower(): value for name, value in reversed(headers)}
    if "chunked" not in fields.get("transfer-encoding", "").lower():
        length = fields.get("content-length", "")
        if _DECIMAL.fullmatch(length):
            wire.exactly(int(length), body)
        else:
            wire.rest(body)
        return
    for _chunk in range(_MAX_CHUNKS):
        size = _CHUNK_SIZE.match(wire.line())
        if not size:
            raise _EndedError("a chunk without a size came back")
        count = int(size.group(1), 16)
        if count == 0:
            return
        wire.exactly(count, body)
        wire.line()
    raise _EndedError("chunks came without end")


def _decoded(body: bytes, headers: list[tuple[str, str]], limit: int) -> tuple[bytes, str]:
    """``body`` without its content coding, though none was asked for, and what is wrong with it."""
    codings = [value.lower() for name, value in headers if name.lower() == "content-encoding"]
    coding = codings[-1] if codings else ""
    if coding in ("", "identity") or not body:
        return body, ""
    if coding not in ("gzip", "x-gzip", "deflate"):
        return body, f"the body is encoded as '{coding[:40]}', which was not asked for"
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | (0 if coding == "deflate" else 16))
        unpacked = unpacker.decompress(body, limit)
    except zlib.error:
        return body, f"the body is not the {coding} it claims to be"
    if not unpacker.eof:
        return unpacked, f"the {coding} body was cut"
    return unpacked, ""
