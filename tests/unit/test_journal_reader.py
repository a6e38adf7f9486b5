# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""journalctl: what it prints, and what happens when it hangs or is not there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import journal_reader

_PRINTED = """\
1795262400.123456 web1 kernel: Out of memory: Killed process 842 (mysqld)
1795262399.000001 web1 php-fpm8.2[77]: [WARNING] [pool www] server reached
    a second line of the same message
-- Boot 0123456789abcdef --
1795262398.5 web1 kernel: caf\\xe9
"""


@pytest.fixture()
def journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for journalctl; its arguments are in the file ``arguments`` beside it."""
    program = tmp_path / "journalctl"
    monkeypatch.setattr(journal_reader, "PERSISTENT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return program


def _install(program: Path, script: str) -> None:
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {program.parent}/arguments\n{script}\n')
    program.chmod(0o755)


def _read(seconds: float = 5) -> tuple[list[tuple[bytes, float]], str | None]:
    taken: list[tuple[bytes, float]] = []
    reason = journal_reader.read(
        ["_TRANSPORT=kernel"],
        1000.7,
        2000.9,
        time.monotonic() + seconds,
        lambda message, when: taken.append((message, when)),
    )
    return taken, reason


def test_messages_with_their_times(journalctl: Path, tmp_path: Path) -> None:
    (tmp_path / "printed").write_text(_PRINTED)
    _install(journalctl, f"cat {tmp_path}/printed")
    taken, reason = _read()
    assert taken == [
        (b"Out of memory: Killed process 842 (mysqld)", 1795262400),
        (b"[WARNING] [pool www] server reached", 1795262399),
        (b"caf\\xe9", 1795262398),
    ]
    assert reason is None
    arguments = (tmp_path / "arguments").read_text().split()
    assert {"--since=@1000", "--until=@2000", "--reverse", "_TRANSPORT=kernel"} <= set(arguments)


def test_one_that_hangs_is_ended_and_what_it_said_counts(journalctl: Path, tmp_path: Path) -> None:
    (tmp_path / "printed").write_text(_PRINTED)
    _install(journalctl, f"cat {tmp_path}/printed; exec sleep 30")
    began = time.monotonic()
    taken, reason = _read(0.5)
    assert time.monotonic() - began < 3
    assert (len(taken), reason) == (3, "the time ran out")


def test_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_reader, "PERSISTENT", str(tmp_path / "absent"))
    monkeypatch.setattr(journal_reader, "VOLATILE", str(tmp_path / "absent"))
    assert _read() == ([], "there is no journal")
    monkeypatch.setattr(journal_reader, "PERSISTENT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _read() == ([], "there is no journalctl")
