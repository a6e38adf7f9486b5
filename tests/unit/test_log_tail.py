# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Blocks of whole lines from the end of a file, and from packed files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import log_tail
from hypothesis import given, settings
from hypothesis import strategies as st

_TEXT = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b" "))).map(b"\n".join)


def _lines(blocks: list[bytes]) -> list[bytes]:
    return [line for block in blocks for line in block.split(b"\n") if line]


def _backwards(path: Path) -> list[bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return list(log_tail.backwards(descriptor))
    finally:
        os.close(descriptor)


def _unpacked(path: Path) -> list[bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return list(log_tail.unpacked(descriptor))
    finally:
        os.close(descriptor)


@given(text=_TEXT, block=st.integers(1, 64))
@settings(max_examples=200, deadline=None)
def test_every_line_comes_once_and_whole(
    tmp_path_factory: pytest.TempPathFactory, text: bytes, block: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "error.log"
    path.write_bytes(text)
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(text))
    expected = [line for line in text.split(b"\n") if line]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_tail, "BLOCK", block)
        assert _lines(_backwards(path)[::-1]) == expected
        patch.setattr(log_tail, "BLOCK", block * 8)
        assert _lines(_unpacked(packed)) == expected


def test_a_line_without_end_takes_no_memory_and_hides_no_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_tail, "BLOCK", 1000)
    monkeypatch.setattr(log_tail, "MAX_LINE", 100)
    path = tmp_path / "error.log"
    path.write_bytes(b"first\nlong " + b"x" * 50000 + b"\nlast\n")
    blocks = _backwards(path)
    assert max(map(len, blocks)) <= 1101
    lines = _lines(blocks[::-1])
    assert (lines[0], lines[-1], len(lines)) == (b"first", b"last", 3)
    assert lines[1].startswith(b"long xxx")


def test_packed_files_that_are_cut_off_or_something_else(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"line %d\n" % number for number in range(1000)))
    path = tmp_path / "error.log.2.gz"
    path.write_bytes(whole + gzip.compress(b"second member\n"))
    assert _lines(_unpacked(path))[-1] == b"second member"
    path.write_bytes(whole[:-20])
    assert _lines(_unpacked(path))[0] == b"line 0"
    path.write_bytes(b"no gzip at all\n")
    assert _unpacked(path) == []


def test_rotated_files_of_the_window_newest_first(tmp_path: Path) -> None:
    ages = {
        "error.log.1": 100,
        "error.log.2.gz": 200,
        "error.log-20261121": 300,
        "error.log-20261120.gz": 5000,
        "error.log.bak": 10,
        "error.logs.1": 10,
    }
    for name, age in ages.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (10000 - age, 10000 - age))
    found = log_tail.rotated(str(tmp_path / "error.log"), 9000)
    assert [Path(one).name for one in found] == [
        "error.log.1",
        "error.log.2.gz",
        "error.log-20261121",
    ]
