# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client sends what it is told to the byte, and survives whatever comes back."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    CLOSED,
    GARBLED,
    MAX_HEADER_BYTES,
    SILENT,
    UNREACHABLE,
    Exchange,
    read_answer,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import (
    Request,
    RequestError,
    encode,
    fetch,
    host_name,
    source_towards,
)
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    Behave = Callable[[socket.socket], None]


class Server:
    """Accepts connections on 127.0.0.1 and treats each as the test wants it."""

    def __init__(self, behave: Behave, reads: bool = True) -> None:
        self.received = b""
        self.peer = ""
        self._behave = behave
        self._reads = reads
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            self.peer = peer[0]
            try:
                connection.settimeout(5)
                while self._reads and b"\r\n\r\n" not in self.received:
                    data = connection.recv(65536)
                    if not data:
                        break
                    self.received += data
                self._behave(connection)
            except OSError:
                pass
            finally:
                connection.close()

    def close(self) -> None:
        # A blocked accept() is woken by shutdown, not by close.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(behave: Behave | bytes, reads: bool = True) -> Server:
        if isinstance(behave, bytes):
            data = behave
            servers.append(Server(lambda connection: connection.sendall(data), reads))
        else:
            servers.append(Server(behave, reads))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(server: Server, timeout: float = 5.0, **more: Any) -> Exchange:
    target = more.pop("target", "/")
    limits = {name: more.pop(name) for name in ("source", "max_body") if name in more}
    request = Request("127.0.0.1", server.port, "blog.example", target, **more)
    return fetch(request, timeout, **limits)


@pytest.mark.parametrize(
    "target",
    [
        "//xmlrpc.php",
        "/x/../xmlrpc.php",
        "/%2e/./xmlrpc.php",
        "http://wpward.invalid/xmlrpc.php",
        "/xmlrpc.php ",
        "/xmlrpc.php#a",
        "\\xmlrpc.php",
        "/caf\xe9\x00\x7f",
        "*",
    ],
)
def test_target_goes_out_byte_for_byte(serve: Callable[..., Server], target: str) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert ask(server, target=target).body == b"ok"
    assert server.received.startswith(b"GET " + target.encode("latin-1") + b" HTTP/1.1\r\n")


@given(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), min_size=1))
def test_any_target_is_the_first_line(target: str) -> None:
    data = encode(Request("192.0.2.1", 80, "blog.example", target))
    first, _, rest = data.partition(b"\r\n")
    assert first == b"GET " + target.encode("latin-1") + b" HTTP/1.1"
    assert rest.startswith(b"Host: blog.example\r\n") and rest.endswith(b"\r\n\r\n")


@given(
    target=st.text(max_size=20),
    method=st.text(max_size=10),
    host=st.text(max_size=20),
    header=st.tuples(st.text(max_size=10), st.one_of(st.none(), st.text(max_size=10))),
)
def test_what_goes_out_is_one_request_or_nothing(
    target: str, method: str, host: str, header: tuple[str, str | None]
) -> None:
    request = Request("192.0.2.1", 80, host, target, method=method, headers=(header,))
    try:
        data = encode(request)
    except RequestError:
        return
    assert data.count(b"\r\n\r\n") == 1 and data.endswith(b"\r\n\r\n")
    assert data.replace(b"\r\n", b"").count(b"\n") == 0


def test_default_headers_can_be_replaced_and_kept_back() -> None:
    request = Request(
        "192.0.2.1",
        80,
        "blog.example",
        "/",
        version="1.0",
        headers=(("host", None), ("user-agent", "x"), ("X-A", "1")),
    )
    lines = encode(request).split(b"\r\n")
    assert lines[0] == b"GET / HTTP/1.0"
    assert b"user-agent: x" in lines and b"X-A: 1" in lines
    assert not any(line.lower().startswith(b"host:") for line in lines)


def test_post_always_has_a_length() -> None:
    assert b"\r\nContent-Length: 0\r\n" in encode(Request("a", 1, "b", "/", method="POST"))
    data = encode(Request("a", 1, "b", "/", method="POST", body=b"abc"))
    assert b"\r\nContent-Length: 3\r\n" in data and data.endswith(b"\r\n\r\nabc")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"target": "/\r\nX: y"}, "target"),
        ({"target": ""}, "target"),
        ({"target": "/\u20ac"}, "'\u20ac' is not Latin-1"),
        ({"method": "GET /"}, "method"),
        ({"version": "2"}, "'2'"),
        ({"headers": (("X", "a\nb"),)}, "header X"),
        ({"headers": (("X:", "a"),)}, "header name"),
        ({"host": "a\r\nb"}, "header Host"),
    ],
)
def test_what_cannot_be_one_request_is_refused(change: dict[str, Any], named: str) -> None:
    arguments = {"address": "a", "port": 1, "host": "b", "target": "/", **change}
    with pytest.raises(RequestError, match=named):
        encode(Request(**arguments))


def test_content_length(serve: Callable[..., Server]) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nX: a\r\n\r\nnoGARBAGE"
    exchange = ask(serve(answer))
    assert (exchange.outcome, exchange.status, exchange.body) == (ANSWERED, 403, b"no")
    assert exchange.complete and exchange.header("x") == "a" and exchange.source == "127.0.0.1"


def test_chunked_with_extensions_and_small_pieces(serve: Callable[..., Server]) -> None:
    def drip(connection: socket.socket) -> None:
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA \r\n"
        for byte in answer + b"0123456789\r\n0\r\n\r\n":
            connection.sendall(bytes([byte]))

    exchange = ask(serve(drip))
    assert exchange.complete and exchange.body == b"abc0123456789"


def test_until_the_connection_closes(serve: Callable[..., Server]) -> None:
    exchange = ask(serve(b"HTTP/1.0 200 OK\r\n\r\nall of it"))
    assert exchange.complete and exchange.body == b"all of it"


def test_head_has_no_body(serve: Callable[..., Server]) -> None:
    def hold(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        connection.recv(1)

    exchange = ask(serve(hold), method="HEAD")
    assert exchange.complete and exchange.body == b"" and exchange.seconds < 2


def test_interim_answers_are_passed_over(serve: Callable[..., Server]) -> None:
    answer = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nyes"
    exchange = ask(serve(answer))
    assert (exchange.status, exchange.body) == (200, b"yes")


def test_folded_header(serve: Callable[..., Server]) -> None:
    exchange = ask(serve(b"HTTP/1.1 200 OK\r\nLocation: /author/\r\n alice\r\n\r\n"))
    assert exchange.header("location") == "/author/ alice"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip"])
def test_a_coding_that_nobody_asked_for_is_undone(
    serve: Callable[..., Server], coding: str
) -> None:
    import zlib

    packed = zlib.compress(b"<methodResponse>") if coding == "deflate" else b""
    packed = packed or gzip.compress(b"<methodResponse>")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding.encode() + b"\r\n\r\n"
    exchange = ask(serve(head + packed))
    assert exchange.complete and exchange.body == b"<methodResponse>"


def test_a_bomb_stays_within_the_limit(serve: Callable[..., Server]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    exchange = ask(serve(head + gzip.compress(b"\0" * 1_000_000)), max_body=10_000)
    assert len(exchange.body) <= 10_000 and not exchange.complete and "cut" in exchange.detail


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nxx", "'br'"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nxx", "not the gzip"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxx", "7 bytes before"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "3 bytes before"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "middle of a line"),
    ],
)
def test_half_an_answer_says_so(serve: Callable[..., Server], answer: bytes, why: str) -> None:
    exchange = ask(serve(answer))
    assert exchange.outcome == ANSWERED and exchange.status == 200
    assert not exchange.complete and why in exchange.detail


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<methodResponse>no status line</methodResponse>\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"\x00\xff\x00\n\n",
        b"HTTP/1.1 200 OK\r\nA: b",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * (2 * MAX_HEADER_BYTES) + b"\r\n\r\n",
        b"x" * (2 * MAX_HEADER_BYTES),
    ],
)
def test_what_is_not_http_is_garbled(serve: Callable[..., Server], answer: bytes) -> None:
    exchange = ask(serve(answer))
    assert (exchange.outcome, exchange.status, exchange.complete) == (GARBLED, 0, False)
    assert exchange.detail


def test_garbage_is_kept_to_be_judged(serve: Callable[..., Server]) -> None:
    exchange = ask(serve(b"<methodResponse>\n<params/>"))
    assert b"<methodResponse>\n<params/>" in exchange.body


def test_closed_without_a_byte_is_not_silence(serve: Callable[..., Server]) -> None:
    assert ask(serve(b"")).outcome == CLOSED


def test_reset_is_silence(serve: Callable[..., Server]) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    exchange = ask(serve(reset))
    assert exchange.outcome == SILENT and "broke" in exchange.detail


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nA", b"HTTP/1.1 200 OK\r\n\r\nhalf"])
def test_no_more_comes(serve: Callable[..., Server], sent: bytes) -> None:
    def hold(connection: socket.socket) -> None:
        connection.sendall(sent)
        connection.recv(1)

    started = time.monotonic()
    exchange = ask(serve(hold), timeout=0.3)
    assert time.monotonic() - started < 2
    assert not exchange.complete and "time was up" in exchange.detail
    assert exchange.outcome == (SILENT if not sent else ANSWERED if b"half" in sent else GARBLED)


def test_a_drip_ends_at_the_deadline(serve: Callable[..., Server]) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    exchange = ask(serve(drip), timeout=0.5)
    assert time.monotonic() - started < 2
    assert not exchange.complete and 0 < len(exchange.body) < 100


def test_an_endless_body_is_cut(serve: Callable[..., Server]) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    exchange = ask(serve(flood), max_body=100_000)
    assert len(exchange.body) == 100_000 and not exchange.complete
    assert "cut at 100000 bytes" in exchange.detail


def test_an_answer_before_the_request_is_read_counts(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", reads=False)
    exchange = ask(server, method="POST", body=b"x" * 200_000)
    assert exchange.status in (413, 0) and exchange.outcome in (ANSWERED, SILENT)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    exchange = fetch(Request("127.0.0.1", port, "blog.example", "/"), 2)
    assert exchange.outcome == UNREACHABLE and "refused" in exchange.detail


def test_a_name_that_does_not_resolve() -> None:
    exchange = fetch(Request("wpward.invalid", 80, "blog.example", "/"), 2)
    assert exchange.outcome == UNREACHABLE and exchange.detail


@pytest.mark.parametrize("address", ["", "\0", "a" * 300, "..", "\u20ac" * 70, "unix:/nowhere"])
def test_an_address_that_is_none(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.close()
        exchange = fetch(Request(address, 1, "blog.example", "/"), 2)
    assert exchange.outcome == UNREACHABLE


def test_tls_on_a_plain_port_is_unreachable(serve: Callable[..., Server]) -> None:
    exchange = ask(serve(b"HTTP/1.1 400 Bad Request\r\n\r\n", reads=False), tls=True)
    assert exchange.outcome == UNREACHABLE and "TLS" in exchange.detail


@pytest.mark.parametrize(
    "host", ["*.blog.example", "_", ".blog.example", "a" * 70, "\xe9t\xe9.example"]
)
def test_a_host_that_sni_cannot_carry_does_not_raise(
    serve: Callable[..., Server], host: str
) -> None:
    server = serve(b"", reads=False)
    request = Request("127.0.0.1", server.port, host, "/", tls=True)
    assert fetch(request, 2).outcome == UNREACHABLE


def test_the_source_is_chosen(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\n\r\n")
    exchange = ask(server, source="127.8.8.8")
    assert (exchange.source, server.peer) == ("127.8.8.8", "127.8.8.8")
    assert source_towards("127.0.0.1", server.port, "127.8.8.8") == "127.8.8.8"
    assert source_towards("127.0.0.1", server.port) == "127.0.0.1"


def test_a_source_of_another_family_is_left_alone(serve: Callable[..., Server]) -> None:
    assert ask(serve(b"HTTP/1.1 200 OK\r\n\r\n"), source="::1").source == "127.0.0.1"


def test_a_source_that_is_not_ours_is_unreachable(serve: Callable[..., Server]) -> None:
    assert ask(serve(b""), source="192.0.2.1").outcome == UNREACHABLE


def test_proxy_protocol_goes_first(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\n\r\n")
    ask(server, proxy_protocol=True)
    assert server.received.startswith(b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n")


def test_a_socket_file(tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nfile")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        exchange = fetch(Request(f"unix:{path}", 0, "blog.example", "/"), 5)
        thread.join(5)
    assert (exchange.body, exchange.source) == (b"file", "unix:")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("blog.example", "blog.example"),
        ("blog.example:8443", "blog.example"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_host_name(host: str, name: str) -> None:
    assert host_name(host) == name


_pieces = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 304 \r\n",
        b"HTTP/1.1 100 x\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Encoding: gzip\r\n",
        b"\r\n",
        b"\n",
        b": \r\n",
        b" folded\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(_pieces, st.binary(max_size=20)), max_size=12).map(b"".join))
def test_no_bytes_make_it_raise(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        now = time.monotonic()
        exchange = read_answer(ours, "GET", "", now, now + 5, 1000)
    assert exchange.outcome in (ANSWERED, GARBLED, CLOSED)
    assert (exchange.outcome == CLOSED) == (answer == b"")
    assert (exchange.status >= 100) == (exchange.outcome == ANSWERED)
    assert exchange.complete != bool(exchange.detail)
    assert len(exchange.body) <= 1000
