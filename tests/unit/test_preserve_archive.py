# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The archive can be read, holds what its manifest says, and keeps to its limits."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import time

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_archive import (
    Archive,
    NoRoom,
    NoTime,
    Shorter,
)

NOISE = random.Random(7).getrandbits(8 << 20).to_bytes(1 << 20, "big")


def archive(limit: int = 1 << 24, seconds: float = 60) -> tuple[io.BytesIO, Archive]:
    stream = io.BytesIO()
    return stream, Archive(stream, limit, time.monotonic() + seconds)


def contents(stream: io.BytesIO) -> dict[str, bytes]:
    stream.seek(0)
    found = {}
    with tarfile.open(fileobj=stream, mode="r:gz") as tar:
        for member in tar:
            data = tar.extractfile(member)
            assert data is not None
            assert member.mode == 0o600
            found[member.name] = data.read()
    return found


def test_what_went_in_comes_out() -> None:
    stream, made = archive()
    made.add("logs/a", [b"one\n", b"two\n"], 8, 1e9, {"kind": "access log"})
    made.add("logs/empty", [], 0, 1e9, {})
    made.add("logs/" + "long" * 60, [b"x"], 1, 1e9, {})
    made.add("logs/caf\udce9", [b"y"], 1, 1e9, {})
    made.finish("manifest.json", b"{}")
    found = contents(stream)
    assert found["logs/a"] == b"one\ntwo\n"
    assert found["logs/empty"] == b""
    assert found["logs/" + "long" * 60] == b"x"
    assert found["manifest.json"] == b"{}"
    assert len(found) == 5
    first = made.members[0]
    assert first["sha256"] == hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert first["bytes"] == 8
    assert first["modified"] == "2001-09-09T01:46:40Z"
    assert made.members[3]["name"] == "logs/caf\\xe9"
    assert made.sha256 == hashlib.sha256(stream.getvalue()).hexdigest()
    assert made.size == len(stream.getvalue())


@pytest.mark.parametrize("why", [NoRoom, NoTime, Shorter, OSError])
def test_what_does_not_fit_leaves_no_trace(why: type[Exception]) -> None:
    stream, made = archive(limit=1 << 18)
    made.add("kept", [b"kept"], 4, 1e9, {})
    before = (made.size, made.sha256, len(made.members), stream.getvalue())

    def pieces() -> object:
        yield b"a"
        if why is OSError:
            raise OSError(5, "Input/output error")
        if why is NoTime:
            made.deadline = 0
            yield b"b"
        if why is NoRoom:
            yield NOISE

    with pytest.raises(why):
        made.add("not", pieces(), len(NOISE) + 1, 1e9, {})  # type: ignore[arg-type]
    assert (made.size, made.sha256, len(made.members), stream.getvalue()) == before
    made.finish("manifest.json", b"{}")
    assert list(contents(stream)) == ["kept", "manifest.json"]


def test_a_member_can_be_given_less_room() -> None:
    _stream, made = archive()
    with pytest.raises(NoRoom):
        made.add("not", [NOISE], len(NOISE), 1e9, {}, room=1 << 16)
    made.add("yes", [NOISE], len(NOISE), 1e9, {})


def test_the_manifest_has_room_in_any_case() -> None:
    stream, made = archive(limit=1)
    with pytest.raises(NoRoom):
        made.add("not", [b"x"], 1, 1e9, {})
    made.finish("manifest.json", b"{}")
    assert contents(stream) == {"manifest.json": b"{}"}
