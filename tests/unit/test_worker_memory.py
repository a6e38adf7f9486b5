# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory of workers: the sample, the estimate, and this very process."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import processes, worker_memory
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import (
    MAX_SAMPLE,
    Memory,
    Sample,
)

_PAGE = os.sysconf("SC_PAGE_SIZE")


def _process(pid: int, service: str = "httpd", role: str = "worker") -> Process:
    return Process(pid, 1, service, role, "", None, 0.0, None, False)


@pytest.fixture()
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(worker_memory, "PROC", str(tmp_path))
    return tmp_path


def _add(
    proc: Path, pid: int, resident: int, pss: int | None, private: int = 0, freed: int = 0
) -> None:
    base = proc / str(pid)
    base.mkdir()
    (base / "statm").write_text(f"90000 {resident // _PAGE} 800 1 0 1 0\n")
    if pss is not None:
        (base / "smaps_rollup").write_text(
            "5500-7fff ---p 0 00:00 0 [rollup]\n"
            f"Rss: 1 kB\nPss:  {pss // 1024} kB\nPss_Dirty: 9 kB\n"
            f"Private_Clean: 0 kB\nPrivate_Dirty: {private // 1024} kB\nSwapPss: 0 kB\n"
        )
        (base / "status").write_text(
            f"Name:\tphp\nVmHWM:\t {(resident + freed) // 1024} kB\n"
            f"VmRSS:\t {resident // 1024} kB\n"
        )


def _rows(processes_: list[Process]) -> list[dict[str, Any]]:
    sample = Sample(processes_)
    assert sample.read(time.monotonic() + 5)
    return sample.rows()


def test_each_service_by_itself(proc: Path) -> None:
    _add(proc, 10, 8 << 20, 4 << 20)
    _add(proc, 11, 80 << 20, 60 << 20)
    _add(proc, 12, 40 << 20, 20 << 20)
    _add(proc, 30, 600 << 20, 590 << 20)
    rows = _rows(
        [
            _process(10, role="master"),
            _process(11),
            _process(12),
            _process(13),
            _process(30, "mariadb", "master"),
        ]
    )
    assert rows == [
        {
            "service": "httpd",
            "count": 2,
            "pss_total": 80 << 20,
            "pss_mean": 40 << 20,
            "pss_max": 60 << 20,
            "private_mean": 0,
            "shared_total": 80 << 20,
            "sampled": 2,
        },
        {
            "service": "mariadb",
            "count": 1,
            "pss_total": 590 << 20,
            "pss_mean": 590 << 20,
            "pss_max": 590 << 20,
            "private_mean": 0,
            "shared_total": 590 << 20,
            "sampled": 1,
        },
    ]


def test_of_hundreds_a_sample_is_asked_and_the_total_is_estimated(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in range(100, 312):
        _add(proc, pid, (40 + pid % 50) << 20, ((40 + pid % 50) << 20) // 2)
    asked: list[str] = []
    original = processes.text_of

    def text_of(path: str) -> str | None:
        asked.append(path)
        return original(path)

    monkeypatch.setattr(worker_memory, "text_of", text_of)
    (row,) = _rows([_process(pid) for pid in range(100, 312)])
    assert row["count"] == 212
    assert row["sampled"] == MAX_SAMPLE
    assert sum(path.endswith("smaps_rollup") for path in asked) == MAX_SAMPLE
    truth = sum(((40 + pid % 50) << 20) // 2 for pid in range(100, 312))
    assert row["pss_total"] == pytest.approx(truth, rel=0.01)
    assert row["pss_max"] == (89 << 20) // 2


def test_a_kernel_without_rollup_counts_only(proc: Path) -> None:
    _add(proc, 10, 8 << 20, None)
    assert _rows([_process(10)]) == [
        {
            "service": "httpd",
            "count": 1,
            "pss_total": None,
            "pss_mean": None,
            "pss_max": None,
            "private_mean": None,
            "shared_total": None,
            "sampled": 0,
        }
    ]


def test_a_process_that_hangs_does_not_hold_the_probe(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _add(proc, 10, 80 << 20, 40 << 20)
    _add(proc, 11, 40 << 20, 20 << 20)

    def memory_of(pid: int) -> Memory | None:
        if pid == 11:
            time.sleep(4)
        return Memory(40 << 20, 0, 0)

    monkeypatch.setattr(worker_memory, "memory_of", memory_of)
    began = time.monotonic()
    sample = Sample([_process(10), _process(11)])
    complete = sample.read(began + 0.1)
    rows = sample.rows()
    assert time.monotonic() - began < 3
    assert not complete
    assert (rows[0]["count"], rows[0]["sampled"], rows[0]["pss_total"]) == (2, 1, 60 << 20)


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux 4.14 or newer"
)
def test_this_process_agrees_with_the_sum_over_its_mappings() -> None:
    mappings = Path("/proc/self/smaps").read_text().splitlines()
    truth = sum(int(line.split()[1]) * 1024 for line in mappings if line.startswith("Pss:"))
    (row,) = _rows([_process(os.getpid())])
    assert row["pss_total"] == pytest.approx(truth, rel=0.02)
    resident = worker_memory.resident(os.getpid())
    assert resident is not None
    assert row["pss_total"] <= resident * 1.01


def test_of_each_pool_some_are_asked(proc: Path) -> None:
    running = []
    for pid in range(100, 400):
        _add(proc, pid, 40 << 20, (30 if pid == 399 else 10) << 20)
        pool = "small" if pid == 399 else "large"
        running.append(Process(pid, 1, "php-fpm", "worker", "", None, 0.0, None, False, pool=pool))
    sample = Sample(running)
    assert sample.read(time.monotonic() + 5)
    assert sample.of({399}) == {
        "pss_total": 30 << 20,
        "pss_mean": 30 << 20,
        "pss_max": 30 << 20,
        "private_mean": 0,
        "shared_total": 30 << 20,
        "sampled": 1,
    }
    large = sample.of(set(range(100, 399)))
    assert (large["pss_mean"], large["sampled"]) == (10 << 20, MAX_SAMPLE // 2)
    assert sample.of(set())["pss_total"] is None


def test_what_each_has_for_itself_and_what_all_share(proc: Path) -> None:
    # The first has not worked yet, the third has given memory back since its largest request.
    _add(proc, 10, 12 << 20, 8 << 20, private=1 << 20)
    _add(proc, 11, 60 << 20, 37 << 20, private=30 << 20)
    _add(proc, 12, 50 << 20, 27 << 20, private=20 << 20, freed=12 << 20)
    (row,) = _rows([_process(10), _process(11), _process(12)])
    assert row["private_mean"] == 31 << 20
    assert row["shared_total"] == (8 + 37 + 27 - 1 - 30 - 20) << 20


def test_what_is_swapped_out_is_a_processs_own(proc: Path) -> None:
    _add(proc, 10, 12 << 20, 8 << 20, private=4 << 20)
    path = proc / "10" / "smaps_rollup"
    path.write_text(path.read_text().replace("SwapPss: 0 kB", f"SwapPss: {40 << 10} kB"))
    (row,) = _rows([_process(10)])
    assert row["private_mean"] == 44 << 20
