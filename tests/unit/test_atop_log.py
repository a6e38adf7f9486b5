# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Iterator, Sequence

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import atop_log
from ansible_collections.wpward.wordpress.plugins.module_utils.recorder_sample import (
    Sample,
    thinned,
)

DATA = Path(__file__).parent / "data" / "recorder"
PAGE = 4096


def recorded(version: str) -> list[Sample]:
    return list(atop_log.samples_of((DATA / f"atop-{version}.txt").read_bytes()))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_sample_of_2_6() -> None:
    (sample,) = recorded("2.6.0")
    available = (4577673 + 1136635 + 25444 + 170614 - 38586) * PAGE
    assert sample == Sample(1795351994, 1.66, 0.529, 0.0, 2, 0, available, 0, 0)


def test_2_11_tells_the_available_memory_itself() -> None:
    (sample,) = recorded("2.11.1")
    assert sample.memory_available == 5619570 * PAGE
    assert (sample.processes, sample.web_workers) == (3, 0)


def test_the_first_sample_after_a_start_has_no_shares() -> None:
    first, *others = recorded("2.8.1")
    assert (first.cpu_busy, first.io_busy) == (None, None)
    assert first.load and first.processes and first.memory_available
    assert len(others) >= 2
    assert all(one.cpu_busy is not None and one.io_busy is not None for one in others)


def test_threads_are_not_processes_and_masters_are_not_workers() -> None:
    text = (DATA / "atop-2.8.1.txt").read_text()
    for sample in recorded("2.8.1"):
        lines = [
            line
            for line in text.splitlines()
            if line.startswith(f"PRG web1 {sample.at} ") and " y 0 0 " in line
        ]
        assert sample.processes == len(lines) > 10
        assert sample.web_workers == sum("php-fpm: pool www" in line for line in lines) == 2


def process(pid: int, name: str, state: str, user: int, tgid: int) -> str:
    who = f"{pid} ({name}) {state} {user} 0 {tgid}"
    return f"PRG web1 1795351994 2026/11/22 12:53:14 2 {who} 1 0 0 (x)"


def test_processes_are_told_apart_whatever_they_call_themselves() -> None:
    rows = [
        process(1, "init", "S", 0, 1),
        process(2, "a) R 5 (b", "R", 33, 2),
        process(3, "gone", "E", 0, 3),
        process(4, "atop", "R", 0, 4),
        process(5, "apache2", "S", 0, 5),
        process(6, "apache2", "R", 33, 6),
        process(6, "apache2", "R", 33, 6),
        process(7, "apache2", "R", 33, 6),
        process(8, "httpd", "D", 48, 8),
        process(9, "httpd-tool", "S", 48, 9),
        "PRG web1 garbage",
    ]
    head = "CPL web1 1795351994 2026/11/22 12:53:14 2 2 1.66 0.99 1.77 954 973"
    (sample,) = atop_log.samples_of("\n".join([head, *rows, "SEP", ""]).encode())
    assert (sample.processes, sample.running, sample.web_workers) == (7, 3, 2)


def test_what_breaks_off_or_is_no_number_is_left_out() -> None:
    whole = (DATA / "atop-2.6.0.txt").read_bytes()
    assert list(atop_log.samples_of(whole[: whole.rindex(b"SEP")])) == []
    (sample,) = atop_log.samples_of(whole.replace(b"CPL web1 1795351994", b"CPL web1 x"))
    assert (sample.at, sample.load) == (1795351994, 1.66)
    (sample,) = atop_log.samples_of(whole.replace(b" 1.66 0.99", b" nan? 0.99"))
    assert sample.load is None and sample.cpu_busy == 0.529
    assert list(atop_log.samples_of(b"\xff\x00\nSEP\nSEP\nRESET\nSEP\n")) == []


class Atop:
    """Answers as the program does; each hour asked for has one sample, at its beginning."""

    def __init__(self, answers: int = 1000) -> None:
        self.asked: list[Sequence[str]] = []
        self._answers = answers

    def __call__(self, argv: Sequence[str], _deadline: float) -> tuple[int | None, bytes, bytes]:
        self.asked.append(argv)
        if len(self.asked) > self._answers:
            return None, b"", b""
        begin = time.strptime(argv[argv.index("-b") + 1], "%Y%m%d%H%M")
        at = int(time.mktime(begin))
        return 0, f"CPL web1 {at} x x 60 2 1.5 1.0 1.0 1 1\nSEP\n".encode(), b""


@pytest.fixture
def days(tmp_path: Path) -> str:
    for name in ("atop_20261121", "atop_20261122", "atop_20261122.gz", "daily.log", "atop_2026"):
        (tmp_path / name).touch()
    return str(tmp_path)


NOW = 1795351994
"""2026-11-22 12:53:14"""


def test_the_window_is_read_by_the_hour_the_newest_first(
    days: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    atop = Atop()
    monkeypatch.setattr(atop_log, "ask", atop)
    found, complete = atop_log.read("/usr/bin/atop", days, NOW - 14 * 3600, NOW, 0)
    assert complete
    assert [one.at for one in found] == [NOW - NOW % 3600 - hour * 3600 for hour in range(14)]
    assert atop.asked[0] == [
        *("/usr/bin/atop", "-r", f"{days}/atop_20261122"),
        *("-b", "202611221200", "-e", "202611221300", "-P", "CPU,CPL,MEM,SWP,DSK,PRG"),
    ]
    # The last hour of a day is open: its last sample is written at midnight.
    assert atop.asked[13][2:6] == [f"{days}/atop_20261121", "-b", "202611212300", "-P"]


def test_what_could_be_read_in_time_is_kept(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atop_log, "ask", Atop(answers=3))
    found, complete = atop_log.read("/usr/bin/atop", days, NOW - 14 * 3600, NOW, 0)
    assert not complete and len(found) == 3


def test_days_without_a_file_are_not_asked_for(days: str, monkeypatch: pytest.MonkeyPatch) -> None:
    atop = Atop()
    monkeypatch.setattr(atop_log, "ask", atop)
    found, complete = atop_log.read("atop", days, NOW - 30 * 24 * 3600, NOW, 0)
    assert complete and len(found) == len(atop.asked) == 37


def test_of_too_many_samples_the_worst_neighbours_stay() -> None:
    samples = [Sample(at, load=float(at % 7)) for at in range(4000, 0, -1)]
    kept = thinned(samples + samples[:100])
    assert len(kept) == 1334 and [one.at for one in kept] == sorted(one.at for one in kept)
    assert {one.load for one in kept} <= {2.0, 3.0, 4.0, 5.0, 6.0}
    assert thinned(samples[:3]) == samples[2::-1]


def test_the_evidences_form() -> None:
    described: dict[str, Any] = recorded("2.6.0")[0].describe()
    assert described["at"] == "2026-11-22T12:53:14Z" and described["web_workers"] == 0
