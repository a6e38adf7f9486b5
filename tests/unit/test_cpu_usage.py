# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The busiest processes, on a real busy process and on a /proc made for the test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import cpu_usage
from ansible_collections.wpward.wordpress.plugins.module_utils.cpu_usage import CpuSample


def _stat(proc: Path, pid: int, name: str, ticks: int, start: int = 7) -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    fields = ["R", "1", *["0"] * 9, str(ticks), "0", *["0"] * 6, str(start)]
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")


def test_what_was_used_between_the_looks_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_usage, "PROC", str(tmp_path))
    _stat(tmp_path, 10, "mysqld", 5000)
    _stat(tmp_path, 11, "idle", 90000)
    _stat(tmp_path, 12, "reused", 400, start=7)
    (tmp_path / "13").mkdir()
    sample = CpuSample()
    _stat(tmp_path, 10, "mysqld", 5030)
    _stat(tmp_path, 12, "php-fpm8.2", 20, start=99)
    _stat(tmp_path, 14, "new) \x1b[31m", 10, start=99)
    rows = sample.busiest(0.05)
    assert [(row["pid"], row["name"]) for row in rows] == [
        (10, "mysqld"),
        (12, "php-fpm8.2"),
        (14, "new) \\x1b[31m"),
    ]


def test_a_process_that_spins_is_found() -> None:
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        rows = CpuSample().busiest(0.5)
    finally:
        spinning.kill()
        spinning.wait()
    mine = [row for row in rows if row["pid"] == spinning.pid]
    assert mine
    share = mine[0]["cpu_share"]
    assert isinstance(share, float)
    assert 0.05 < share <= 1.1
