# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that do not answer as they should: never a wait without an end, always one sentence."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wpward import triage_session, triage_ssh
from wpward.triage_config import Place
from wpward.triage_session import Failed, Options, Result, Session
from wpward.triage_stream import Request


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server on loopback; its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    open_ones = []

    def accept() -> None:
        while True:
            try:
                connection, _address = listening.accept()
            except OSError:
                return
            open_ones.append(connection)
            serve(connection)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
        for one in open_ones:
            one.close()


def session(tmp_path: Path, port: int, timeout: float = 1.0, more: str = "") -> Session:
    config = tmp_path / "config"
    config.write_text(
        f"Host *\n  UserKnownHostsFile {tmp_path}/known\n  IdentityAgent none\n{more}"
    )
    options = Options(Request(60, 1, 60), config, "a secret", timeout)
    return Session("blog", Place("127.0.0.1", "root", port), options)


def test_a_host_that_never_greets_ends_with_the_time(tmp_path: Path) -> None:
    with server(lambda _connection: None) as port:
        began = time.monotonic()
        result = session(tmp_path, port).run()
    assert time.monotonic() - began < 5
    assert result.outcome == triage_session.UNREACHABLE
    assert result.failure.startswith("blog: no answer within 1 s, the last of them waiting for ")
    assert result.failure.endswith("try again with a longer --timeout.")


def test_an_sshd_that_drops_connections_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triage_ssh, "_PAUSE", 0.01)
    asked = []

    def drop(connection: socket.socket) -> None:
        asked.append(connection)
        connection.close()

    with server(drop) as port:
        result = session(tmp_path, port, 20).run()
    assert len(asked) == triage_ssh._TRIES
    assert "takes connections but its SSH does not greet" in result.failure


def test_what_is_no_ssh_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triage_ssh, "_PAUSE", 0.01)
    with server(lambda connection: connection.sendall(b"HTTP/1.1 400 no\r\n\r\n" * 200)) as port:
        result = session(tmp_path, port, 10).run()
    assert result.outcome == triage_session.UNREACHABLE
    assert result.failure.count("\n") == 0


def test_what_a_proxy_command_says_is_not_lost(tmp_path: Path) -> None:
    more = '  ProxyCommand sh -c "echo no way to %h >&2"\n'
    result = session(tmp_path, 22, 10, more).run()
    assert result.failure == (
        "blog: its ProxyCommand leads to no SSH (no way to 127.0.0.1); run it by hand."
    )


def test_a_proxy_command_that_waits_is_ended_with_the_time(tmp_path: Path) -> None:
    more = f"  ProxyCommand sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60'\n"
    result = session(tmp_path, 22, 1, more).run()
    assert result.failure.startswith("blog: no answer within 1 s")
    pid = (tmp_path / "pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()


def test_ending_a_session_ends_its_wait(tmp_path: Path) -> None:
    with server(lambda _connection: None) as port:
        one = session(tmp_path, port, 60)
        results: list[Result] = []
        thread = threading.Thread(target=lambda: results.append(one.run()))
        thread.start()
        time.sleep(0.3)
        one.end()
        thread.join(5)
    assert results and results[0].failure == "blog: interrupted"


def test_a_session_that_is_ended_before_its_turn_does_not_begin(tmp_path: Path) -> None:
    one = session(tmp_path, 1)
    one.end()
    assert one.run().failure == "blog: interrupted"


def test_the_password_is_in_no_representation() -> None:
    assert "a secret" not in repr(Options(Request(60, 1, 60), None, "a secret", 1))


def answer(*pieces: bytes) -> triage_session._Answer:
    taken = triage_session._Answer("mark")
    for piece in pieces:
        taken.take(piece)
    return taken


PACKED = zlib.compress(json.dumps({"schema": 2}).encode())
WHOLE = b"Welcome!\nmark shell\nmark ready 3.11.2\nmark part now\nmark evidence %d\n" % len(PACKED)


def test_an_answer_is_read_in_whatever_pieces_it_comes() -> None:
    whole = WHOLE + PACKED
    for taken in (answer(whole), answer(*(whole[at : at + 1] for at in range(len(whole))))):
        assert (taken.shell, taken.python, taken.part) == (True, "3.11.2", "now")
        assert taken.noise == b"Welcome!\n"
        assert taken.evidence() == {"schema": 2}


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((WHOLE, PACKED[:-1]), "broke off"),
        ((WHOLE, b"x" * len(PACKED)), "cannot be read"),
        ((b"mark evidence 4\n", b"abcd"), "cannot be read"),
    ],
)
def test_a_broken_answer_is_one_sentence(pieces: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        answer(*pieces).evidence()


@pytest.mark.parametrize("length", [b"-1", b"x", b"", b"99999999999"])
def test_an_impossible_length_is_refused(length: bytes) -> None:
    with pytest.raises(Failed, match="impossible length"):
        answer(b"mark evidence " + length + b"\n")


def test_an_answer_that_unpacks_to_more_than_is_possible_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(triage_session, "_MOST_EVIDENCE", 1000)
    packed = zlib.compress(json.dumps({"x": "y" * 100_000}).encode())
    with pytest.raises(Failed, match="cannot be read"):
        answer(b"mark evidence %d\n" % len(packed) + packed).evidence()


@pytest.mark.parametrize(
    "told", [1, [], {"ways": 1}, {"open": [1]}, {"failure": {}}, {"until": 7}, {"notes": "x"}]
)
def test_first_aid_of_another_form_is_refused_like_a_broken_answer(told: object) -> None:
    said = base64.b64encode(json.dumps(told).encode())
    with pytest.raises(Failed, match="another form"):
        answer(b"mark contained " + said + b"\n")


def test_what_a_host_says_of_first_aid_is_kept() -> None:
    told = {"run": "contain-1", "until": None, "ways": ["nginx"], "notes": [], "open": []}
    said = base64.b64encode(json.dumps(told).encode())
    assert answer(b"mark contained " + said + b"\n").first_aid == told
