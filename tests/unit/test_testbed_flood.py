# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The flood generator against a server of its own on loopback."""

from __future__ import annotations

import ast
import ipaddress
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from testbed import clients, flood, podman

TEST_NETWORK = ipaddress.ip_network("10.89.1.0/24")
RPC = b"<?xml version='1.0'?><methodResponse></methodResponse>"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server: Any = self.server
        server.seen.append((self.client_address[0], self.requestline, dict(self.headers), body))
        time.sleep(server.delay)
        self.send_response(server.status)
        self.end_headers()
        self.wfile.write(RPC if server.status == 200 else b"closed")

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.seen, made.delay, made.status = [], 0.0, 200
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def _options(server: Any, **changes: Any) -> dict[str, Any]:
    options = {
        "pattern": "c", "address": "127.0.0.1", "networks": [], "sources": [],
        "port": server.server_address[1], "host": "blog.example", "target": None, "seconds": 5.0,
        "count": 12, "rate": 0.0, "concurrency": 4, "call": "wp.getUsersBlogs", "interval": 0.01,
    }  # fmt: skip
    return {**options, **changes}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "10.89.1.16"])
def test_destinations_of_ours(address: str) -> None:
    flood.check_destination(address, [TEST_NETWORK])


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "10.89.2.16", "10.0.0.1", "0.0.0.0", "2001:db8::1", "::ffff:10.89.1.1"]
)
def test_every_other_destination_is_refused(address: str) -> None:
    with pytest.raises(flood.RefusedError, match="neither loopback nor in a test network"):
        flood.check_destination(address, [TEST_NETWORK])


@pytest.mark.parametrize("network", ["0.0.0.0/0", "10.0.0.0/8", "8.8.8.0/24", "::/0"])
def test_a_wide_or_public_network_is_no_test_network(network: str) -> None:
    with pytest.raises(flood.RefusedError, match="is no test network"):
        flood.check_destination("8.8.8.8", [ipaddress.ip_network(network)])


def test_a_network_that_this_machine_is_not_on_is_refused() -> None:
    elsewhere = ipaddress.ip_network("10.254.253.0/24")
    with pytest.raises(flood.RefusedError, match=r"not on a network of this machine|no way to"):
        flood.check_attached("10.254.253.1", [elsewhere])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seconds": 601.0}, "seconds 601 is out of bounds"),
        ({"seconds": 0.0}, "seconds 0 is out of bounds"),
        ({"count": 200_001}, "count 200001 is out of bounds"),
        ({"concurrency": 101}, "concurrency 101 is out of bounds"),
        ({"rate": -1.0}, "rate -1 is negative"),
        ({"pattern": "latency", "interval": 0.0}, "interval 0 is out of bounds"),
        ({"sources": ["192.0.2.9"]}, "192.0.2.9 is no address of this machine"),
    ],
)
def test_bounds(server: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(flood.RefusedError, match=message):
        flood.play(_options(server, **changes))
    assert server.seen == []


def test_incident_c_from_several_addresses(server: Any) -> None:
    sources = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    result = flood.play(_options(server, sources=sources))
    assert (result["sent"], result["statuses"], result["sources"]) == (12, {"200": 12}, 3)
    assert result["bodies"] == {"methodResponse": 12}
    assert sorted({address for address, *_ in server.seen}) == sources
    assert {line for _, line, *_ in server.seen} == {"POST //xmlrpc.php HTTP/1.1"}


def test_incident_a_is_one_impatient_address_that_claims_to_be_googlebot(server: Any) -> None:
    server.delay = 0.2
    options = _options(server, pattern="a", sources=["127.0.0.2", "127.0.0.3"], count=3)
    result = flood.play(options)
    assert (result["gave_up"], result["answered"], result["errors"]) == (3, 0, {})
    assert {address for address, *_ in server.seen} == {"127.0.0.2"}
    assert {line for _, line, *_ in server.seen} == {"POST /xmlrpc.php HTTP/1.0"}
    assert all("Googlebot" in headers["User-Agent"] for *_, headers, _ in server.seen)


def test_incident_d_never_uses_an_address_twice_in_a_row(server: Any) -> None:
    sources = [f"127.0.1.{number}" for number in range(1, 13)]
    flood.play(_options(server, pattern="d", sources=sources))
    assert sorted(address for address, *_ in server.seen) == sorted(sources)


@pytest.mark.parametrize("call", sorted(flood.CALLS))
def test_calls_are_well_formed_xmlrpc(server: Any, call: str) -> None:
    flood.play(_options(server, call=call, count=2))
    for *_, body in server.seen:
        params, method = xmlrpc.client.loads(body)
        assert method == call
        if call == "wp.getUsersBlogs":
            assert params[0] == "alice"
        if call == "system.multicall":
            [inner] = params
            assert isinstance(inner, list)
            assert len({str(one["params"]) for one in inner if isinstance(one, dict)}) == 10


def test_a_refused_flood_is_told_by_body_and_status(server: Any) -> None:
    server.status = 403
    result = flood.play(_options(server))
    assert (result["statuses"], result["bodies"]) == ({"403": 12}, {"other": 12})


def test_nobody_listening_is_an_error_count(server: Any) -> None:
    result = flood.play(_options(server, port=9, count=2))
    assert (result["sent"], result["errors"]) == (2, {"Connection refused": 2})


def test_rate_and_time_bound_the_flood(server: Any) -> None:
    started = time.monotonic()
    result = flood.play(_options(server, rate=20.0, seconds=0.5, count=1000))
    assert 5 <= result["sent"] <= 10
    assert time.monotonic() - started < 2


def test_latency_measures_one_after_the_other(server: Any) -> None:
    server.delay = 0.02
    result = flood.play(_options(server, pattern="latency", count=5))
    assert result["answered"] == 5
    assert result["latency_ms"]["p50"] >= 20
    assert server.seen[0][1] == "GET / HTTP/1.1"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n" + RPC, "methodResponse"),
        (b"HTTP/1.1 405 X\r\n\r\nXML-RPC server accepts POST requests only.", "xmlrpc.php"),
        (b'HTTP/1.1 200 OK\r\n\r\n<rsd version="1.0">', "xmlrpc.php"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "other"),
        (b"", "none"),
    ],
)
def test_judge(answer: bytes, verdict: str) -> None:
    assert flood.judge(answer) == verdict


def test_percentiles() -> None:
    values = [number / 1000 for number in range(1, 101)]
    assert flood.percentiles(values) == {
        "p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "max": 100.0,
    }  # fmt: skip
    assert flood.percentiles([0.003, 0.001, 0.002])["p50"] == 2.0
    assert flood.percentiles([]) == {}


def test_the_program_is_one_file_of_standard_library_that_python_3_9_parses() -> None:
    tree = ast.parse(clients.PROGRAM.read_text(), feature_version=(3, 9))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [alias.name for alias in node.names])
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names


def test_the_program_refuses_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "network", lambda name, create: None)
    argv = clients.traffic_command("c", "192.0.2.1")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "flood: 192.0.2.1 is neither loopback nor in a test network; nothing was sent\n"
    )
