# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bytes of plain and compressed logs, damaged ones included."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import sys
import types
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import log_stream
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import (
    PlainStream,
    Stream,
    UnreadableLog,
    compressed_stream,
)

TEXT = b"".join(b"%d: a line of a log\n" % number for number in range(30_000))
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def read_all(stream: Stream, room: int = 50_000) -> bytes:
    buffer = bytearray(room)
    parts = []
    while True:
        count = stream.readinto(memoryview(buffer))
        if not count:
            return b"".join(parts)
        parts.append(bytes(buffer[:count]))


def read_file(path: Path, room: int = 50_000) -> bytes | None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        stream = compressed_stream(descriptor)
        return None if stream is None else read_all(stream, room)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("room", [7, 50_000, 1_000_000])
@pytest.mark.parametrize("start", [0, 11, len(TEXT), len(TEXT) + 5])
def test_a_plain_file_from_any_place(tmp_path: Path, start: int, room: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(TEXT if room > 7 else TEXT[:1000])
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert read_all(PlainStream(descriptor, start), room) == path.read_bytes()[start:]
    finally:
        os.close(descriptor)


def test_without_the_flag_that_asks_for_cached_pages_it_reads_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "RWF_NOWAIT", 1 << 30, raising=False)
    test_a_plain_file_from_any_place(tmp_path, 11, 50_000)
    monkeypatch.delattr(os, "RWF_NOWAIT")
    test_a_plain_file_from_any_place(tmp_path, 11, 50_000)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compressed_files_of_several_members(tmp_path: Path, name: str) -> None:
    compress = COMPRESSORS[name]
    path = tmp_path / "log"
    path.write_bytes(compress(TEXT[:1000]) + compress(b"") + compress(TEXT[1000:]))
    assert read_file(path) == TEXT
    path.write_bytes(compress(TEXT) + bytes(1024))
    assert read_file(path) == TEXT


def test_an_uncompressed_file_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    for content in (b"", b"1", b"192.0.2.1 - -"):
        (tmp_path / "log.gz").write_bytes(content)
        assert read_file(tmp_path / "log.gz") is None


@pytest.mark.parametrize("name", COMPRESSORS)
@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_file_ends_or_is_refused(tmp_path: Path, name: str, seed: int) -> None:
    choose = random.Random(seed)
    packed = bytearray(COMPRESSORS[name](TEXT[:20_000]))
    for _time in range(choose.randrange(1, 4)):
        packed[choose.randrange(8, len(packed))] = choose.randrange(256)
    path = tmp_path / "log"
    path.write_bytes(packed[: choose.randrange(8, len(packed) + 1)])
    try:
        found = read_file(path)
    except UnreadableLog as error:
        assert "it " in str(error)
    else:
        assert found is not None
        assert len(found) <= 40_000


@pytest.mark.parametrize("name", COMPRESSORS)
def test_what_is_left_of_a_cut_off_file_is_read_first(tmp_path: Path, name: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(COMPRESSORS[name](TEXT)[:-20])
    descriptor = os.open(path, os.O_RDONLY)
    stream = compressed_stream(descriptor)
    assert stream is not None
    room = bytearray(1000)
    read = 0
    with pytest.raises(UnreadableLog, match="cut off"):
        while True:
            read += stream.readinto(memoryview(room))
    os.close(descriptor)
    # bz2 decompresses whole blocks of up to 900 KB.
    assert read > len(TEXT) / 2 or name == "bz2"


def test_a_bomb_takes_no_more_than_the_room(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    descriptor = os.open(path, os.O_RDONLY)
    stream = compressed_stream(descriptor)
    assert stream is not None
    room = memoryview(bytearray(1000))
    assert [stream.readinto(room) for _time in range(100)] == [1000] * 100
    os.close(descriptor)


def test_xz_that_needs_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_stream, "XZ_MEMORY", 1024 * 1024)
    path = tmp_path / "log"
    path.write_bytes(lzma.compress(TEXT, preset=6))
    with pytest.raises(UnreadableLog, match="cannot be decompressed"):
        read_file(path)


ZSTD = bytes.fromhex("28b52ffd")


def _without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_zstd_without_a_library_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, "compression.zstd", "pyzstd", "zstandard")
    path = tmp_path / "log"
    path.write_bytes(ZSTD + b"xxxxxxx")
    with pytest.raises(UnreadableLog, match="this host's Python cannot read zstd"):
        read_file(path)


class FakeZstd:
    """A decompressor of the interface of compression.zstd, for one frame of plain text."""

    def __init__(self) -> None:
        self.eof = False
        self.needs_input = True
        self.unused_data = b""
        self._held = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data.startswith(b"\x28\xb5\x2f\xfdbad"):
            raise ZeroDivisionError("bad frame")
        self._held += data
        output, self._held = self._held[:max_length], self._held[max_length:]
        self.needs_input = not self._held
        self.eof = output.endswith(b"END")
        return output


@pytest.mark.parametrize("name", ["compression.zstd", "pyzstd"])
def test_zstd_by_the_library_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _without(monkeypatch, "compression.zstd", "pyzstd", "zstandard")
    library: Any = types.ModuleType(name)
    library.ZstdDecompressor = FakeZstd
    library.ZstdError = ZeroDivisionError
    monkeypatch.setitem(sys.modules, name, library)
    if "." in name:
        monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    path = tmp_path / "log"
    path.write_bytes(ZSTD + TEXT + b"END")
    assert read_file(path) == ZSTD + TEXT + b"END"
    path.write_bytes(ZSTD + b"bad")
    with pytest.raises(UnreadableLog, match="bad frame"):
        read_file(path)


@pytest.mark.parametrize(("module", "magic"), [("bz2", b"BZh91AY"), ("lzma", b"\xfd7zXZ\0\0")])
def test_a_python_without_a_module_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, magic: bytes
) -> None:
    _without(monkeypatch, module)
    path = tmp_path / "log"
    path.write_bytes(magic)
    with pytest.raises(UnreadableLog, match=f"without {module}"):
        read_file(path)
