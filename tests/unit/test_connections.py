# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections: captured tables, hostile amounts, and real sockets."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import connections
from ansible_collections.wpward.wordpress.plugins.module_utils.connections import count

_HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
_REST = "00000000:00000000 00:00000000 00000000    33        0 5079432 1 000000002a087c90 20 0 0"


def _words(address: str) -> str:
    packed = ipaddress.ip_address(address).packed
    return "".join(
        f"{struct.unpack('=I', packed[at : at + 4])[0]:08X}" for at in range(0, len(packed), 4)
    )


def row(number: int, port: int, peer: str, state: str, local: str = "192.0.2.1") -> str:
    return f"{number:4}: {_words(local)}:{port:04X} {_words(peer)}:C350 {state} {_REST}\n"


@pytest.fixture()
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(connections, "PROC", str(tmp_path))
    (tmp_path / "net").mkdir()
    return tmp_path / "net"


def _count(*ports: int) -> dict[str, Any]:
    counted, complete = count(ports, time.monotonic() + 10)
    assert complete
    return counted


def test_a_captured_table(tables: Path) -> None:
    (tables / "tcp").write_text(
        _HEADING
        + row(0, 80, "0.0.0.0", "0A")
        + row(1, 80, "198.51.100.7", "01")
        + row(2, 443, "198.51.100.7", "01")
        + row(3, 443, "203.0.113.9", "03")
        + row(4, 443, "203.0.113.9", "06")
        + row(5, 22, "198.51.100.7", "01")
        + row(6, 8080, "198.51.100.8", "01")
    )
    (tables / "tcp6").write_text(
        _HEADING
        + row(0, 443, "2001:db8::1:2", "01", "2001:db8::80")
        + row(1, 443, "::ffff:198.51.100.7", "01", "::ffff:192.0.2.1")
    )
    assert _count(80, 443) == {
        "established": 4,
        "half_open": 1,
        "peers": [
            {"address": "198.51.100.7", "count": 3},
            {"address": "2001:db8::1:2", "count": 1},
        ],
    }
    assert _count(8080)["established"] == 1


def test_no_tables(tables: Path) -> None:
    assert _count(80) == {"established": 0, "half_open": 0, "peers": []}


def test_a_hundred_thousand_sockets(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MAX_PEERS", 2000)
    rows = [
        row(number, 80, str(ipaddress.ip_address(0xC6120000 + number)), "01")
        for number in range(50000)
    ]
    rows += [row(number, 80, "203.0.113.66", "01") for number in range(50000)]
    (tables / "tcp").write_text(_HEADING + "".join(rows))
    began = time.process_time()
    counted = _count(80)
    assert time.process_time() - began < 3
    assert counted["established"] == 100000
    assert counted["peers"][0] == {"address": "203.0.113.66", "count": 50000}
    assert len(counted["peers"]) == 20


def test_rows_at_every_place_of_a_piece_are_counted(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tables / "tcp").write_text(
        _HEADING + "".join(row(number, 80, "198.51.100.7", "01") for number in range(40))
    )
    for size in (100, 101, 149, 150, 151, 4096):
        monkeypatch.setattr(connections, "_PIECE", size)
        assert _count(80)["established"] == 40


def test_the_deadline_ends_the_reading(tables: Path) -> None:
    (tables / "tcp").write_text(_HEADING + row(1, 80, "198.51.100.7", "01"))
    counted, complete = count([80], time.monotonic() - 1)
    assert not complete
    assert counted["established"] == 0


@contextlib.contextmanager
def _connected(family: socket.AddressFamily, number: int) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket(family))
        server.bind(("::" if family == socket.AF_INET6 else "127.0.0.1", 0))
        server.listen(number)
        port = server.getsockname()[1]
        for _connection in range(number):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            stack.enter_context(server.accept()[0])
        yield port


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_fifty_real_connections(family: socket.AddressFamily) -> None:
    if family == socket.AF_INET6 and not Path("/proc/net/if_inet6").exists():
        pytest.skip("needs IPv6")
    with _connected(family, 50) as port:
        assert _count(port) == {
            "established": 50,
            "half_open": 0,
            "peers": [{"address": "127.0.0.1", "count": 50}],
        }


@pytest.mark.skipif(shutil.which("ss") is None, reason="needs ss (iproute2)")
def test_ss_counts_the_same() -> None:
    with _connected(socket.AF_INET, 7) as port:
        shown = subprocess.run(
            ["ss", "-Htn", "state", "established", f"( sport = :{port} )"],
            capture_output=True,
            check=True,
            env=dict(os.environ, LC_ALL="C"),
        ).stdout
        # The kernel shows a socket twice where others of the machine come and go meanwhile.
        counted = min(_count(port)["established"] for _time in range(5))
        assert counted == len(shown.splitlines()) == 7
