# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Kills by the kernel: its buffer, the journal, the syslog daemon's files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Callable, Sequence

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import journal_reader, kernel_log
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

_HOST = (
    "Out of memory: Killed process 842 (mysqld) total-vm:1806208kB, anon-rss:409124kB, "
    "file-rss:0kB, shmem-rss:0kB, UID:105 pgtables:1204kB oom_score_adj:0"
)
_OLD = "Out of memory: Kill process 842 (mysqld) score 412 or sacrifice child"
_SERVICE = (
    "Memory cgroup out of memory: Killed process 2343 (php-fpm8.2) total-vm:317635kB, "
    "anon-rss:139280kB, file-rss:12208kB, shmem-rss:0kB, UID:33 pgtables:280kB oom_score_adj:0"
)
_NOISE = (
    "mysqld invoked oom-killer: gfp_mask=0x100cca(GFP_HIGHUSER_MOVABLE), order=0",
    "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
    "task_memcg=/system.slice/mariadb.service,task=mysqld,pid=842,uid=105",
    "oom_reaper: reaped process 842 (mysqld), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    "IN=eth0 OUT= SRC=198.51.100.7 Out of memory: Killed process 1 (init)",
)


class Buffer:
    """A kernel buffer: gives one record for each read, as the real one does."""

    def __init__(self, records: Sequence[bytes], end: type[OSError] = BlockingIOError) -> None:
        self.records = list(records)
        self.end = end

    def read(self, _descriptor: int, _size: int) -> bytes:
        if not self.records:
            raise self.end
        record = self.records.pop(0)
        if record == b"overwritten":
            raise BrokenPipeError
        return record


Install = Callable[..., None]


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A host that booted 1000 seconds ago, with a kernel buffer of these records."""

    def install(records: Sequence[bytes] | None, end: type[OSError] = BlockingIOError) -> None:
        path = tmp_path / "kmsg"
        if records is not None:
            path.touch()
            buffer = Buffer(records, end)
            read = os.read

            def read_record(descriptor: int, size: int) -> bytes:
                if os.readlink(f"/proc/self/fd/{descriptor}") == str(path):
                    return buffer.read(descriptor, size)
                return read(descriptor, size)

            monkeypatch.setattr(os, "read", read_record)
        monkeypatch.setattr(kernel_log, "BUFFER", str(path))

    monkeypatch.setattr(kernel_log, "FILES", (str(tmp_path / "kern.log"),))
    monkeypatch.setattr(journal_reader, "PERSISTENT", str(tmp_path / "journal"))
    monkeypatch.setattr(journal_reader, "VOLATILE", str(tmp_path / "volatile"))
    return install


def _record(text: str, sequence: int, ago: float, priority: int = 3) -> bytes:
    stamp = int((time.monotonic() - ago) * 1e6)
    return f"{priority},{sequence},{stamp},-;{text}\n SUBSYSTEM=x\n".encode()


def _collect(since_ago: float) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    problems = Problems()
    rows = kernel_log.collect(time.time() - since_ago, time.monotonic() + 5, problems)
    return rows, problems.describe()


def test_the_buffer_is_enough_where_it_reaches_back(host: Install) -> None:
    host(
        [
            _record("old", 7, 90),
            b"overwritten",
            *[_record(text, 8, 40) for text in _NOISE],
            _record(_HOST, 10, 30),
            _record(_OLD, 11, 20),
            _record(_SERVICE, 12, 10),
            _record(_HOST, 13, 5, priority=12),
        ]
    )
    rows, problems = _collect(60)
    assert {row["kind"]: row["count"] for row in rows} == {
        "kernel_oom": 2,
        "kernel_oom_service": 1,
    }
    assert {row["service"] for row in rows} == {"kernel"}
    assert rows[0]["sample"] == _OLD
    assert problems == []


def test_what_the_buffer_no_longer_holds_comes_from_the_file(host: Install, tmp_path: Path) -> None:
    host([_record("the oldest that is left", 700, 100), _record(_HOST, 701, 50)])

    def line(text: str, ago: float) -> str:
        stamp = time.strftime("%b %e %H:%M:%S", time.localtime(time.time() - ago))
        return f"{stamp} web1 kernel: [ 4711.123456] {text}\n"

    (tmp_path / "kern.log").write_text(
        line(_HOST, 9000) + line(_HOST, 2000) + line(_SERVICE, 1500) + line(_HOST, 50)
    )
    rows, problems = _collect(3600)
    assert [(row["kind"], Path(row["log"]).name, row["count"]) for row in rows] == [
        ("kernel_oom", "kmsg", 1),
        ("kernel_oom", "kern.log", 1),
        ("kernel_oom_service", "kern.log", 1),
    ]
    assert problems == []


def test_the_journal_comes_before_the_file(
    host: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(None)
    (tmp_path / "journal").mkdir()
    (tmp_path / "kern.log").write_text("unread\n")

    def read(
        matches: Sequence[str],
        since: float,
        until: float | None,
        deadline: float,
        take: Callable[[bytes, float], None],
    ) -> str | None:
        assert (matches, until) == (["_TRANSPORT=kernel"], None)
        take(_HOST.encode(), since + 10)
        return None

    monkeypatch.setattr(journal_reader, "read", read)
    rows, problems = _collect(3600)
    assert [(row["kind"], row["log"], row["count"]) for row in rows] == [
        ("kernel_oom", "journal", 1)
    ]
    assert problems == []


@pytest.mark.parametrize("end", [BlockingIOError, PermissionError])
def test_a_host_that_tells_nothing_says_so(host: Install, end: type[OSError]) -> None:
    host([_record("young", 700, 10)] if end is BlockingIOError else [], end)
    rows, problems = _collect(3600)
    assert rows == []
    assert [problem["id"] for problem in problems] == ["kernel_log_incomplete"]


def test_this_kernel_answers_or_says_why_not() -> None:
    problems = Problems()
    began = time.monotonic()
    rows = kernel_log.collect(time.time() - 60, began + 5, problems)
    assert time.monotonic() - began < 6
    assert isinstance(rows, list)
