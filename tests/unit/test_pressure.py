# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pressure figures, from captured files and from this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import pressure

_MEMINFO = """MemTotal:        2014320 kB
MemFree:           61268 kB
MemAvailable:      90120 kB
HugePages_Total:       0
SwapTotal:        524284 kB
SwapFree:           1204 kB
"""
_STALL = """some avg10=24.61 avg60=10.39 avg300=3.94 total=6030641747
full avg10=1.50 avg60=0.25 avg300=0.00 total=12
"""


@pytest.fixture()
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pressure, "PROC", str(tmp_path))
    (tmp_path / "pressure").mkdir()
    (tmp_path / "sys/fs").mkdir(parents=True)
    return tmp_path


def test_a_host_that_swaps(proc: Path) -> None:
    (proc / "meminfo").write_text(_MEMINFO)
    (proc / "loadavg").write_text("212.40 98.02 40.11 14/530 4711\n")
    assert pressure.memory() == {
        "total": 2014320 * 1024,
        "available": 90120 * 1024,
        "swap_total": 524284 * 1024,
        "swap_free": 1204 * 1024,
    }
    assert pressure.load() == [212.4, 98.02, 40.11]


def test_stalls(proc: Path) -> None:
    (proc / "pressure/memory").write_text(_STALL)
    # Before Linux 5.13 there is no "full" for the processors.
    (proc / "pressure/cpu").write_text(_STALL.splitlines()[0] + "\n")
    assert pressure.stalls() == {
        "cpu": {"some": {"avg10": 24.61, "avg60": 10.39, "avg300": 3.94}, "full": None},
        "memory": {
            "some": {"avg10": 24.61, "avg60": 10.39, "avg300": 3.94},
            "full": {"avg10": 1.5, "avg60": 0.25, "avg300": 0.0},
        },
    }


def test_a_kernel_that_tells_nothing(proc: Path) -> None:
    assert pressure.stalls() is None
    assert pressure.memory() is None
    assert pressure.load() is None
    assert pressure.open_files() is None
    (proc / "meminfo").write_text("MemTotal:  1000 kB\nodd\n:\nMemAvailable: much kB\n")
    assert (pressure.memory() or {})["available"] is None


def test_open_files_of_the_host(proc: Path) -> None:
    (proc / "sys/fs/file-nr").write_text("1859\t59\t2465620\n")
    assert pressure.open_files() == {"used": 1800, "max": 2465620}
    (proc / "sys/fs/file-nr").write_text("1859\t0\t9223372036854775807\n")
    assert pressure.open_files() == {"used": 1859, "max": None}


def test_this_machine() -> None:
    load = pressure.load()
    assert load is not None
    assert load == pytest.approx(list(os.getloadavg()), abs=2)
    memory = pressure.memory()
    assert memory is not None
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory["total"] == pytest.approx(pages, rel=0.05)


@pytest.mark.skipif(shutil.which("free") is None, reason="needs free (procps)")
def test_memory_agrees_with_free() -> None:
    shown = subprocess.run(["free", "-b"], capture_output=True, check=True, text=True).stdout
    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[1:]}
    memory = pressure.memory()
    assert memory is not None
    assert memory["total"] == int(lines["Mem:"][0])
    assert memory["available"] == pytest.approx(int(lines["Mem:"][-1]), rel=0.2)
    assert memory["swap_total"] == int(lines["Swap:"][0])
