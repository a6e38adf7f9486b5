# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a second process may be used, and what this one leaves to others."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import courtesy
from ansible_collections.wpward.wordpress.plugins.module_utils.courtesy import may_fork
from ansible_collections.wpward.wordpress.plugins.module_utils.helper_process import HelperProcess

GIB = 1 << 30


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"cores": 1}, False),
        ({"running": 2}, False),
        ({"running": None}, False),
        ({"cores": 8, "running": 7}, True),
        ({"stall": 5.1}, False),
        ({"stall": None}, True),
        ({"available": 100_000_000}, False),
        ({"available": None}, False),
        ({"threads": 2}, False),
    ],
)
def test_a_second_process_only_where_a_core_is_idle(change: dict[str, Any], allowed: bool) -> None:
    idle = {"cores": 2, "running": 1, "stall": 0.0, "available": GIB, "threads": 1}
    assert may_fork(**{**idle, **change}) is allowed


def test_what_the_kernel_says_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/loadavg": "0.10 0.20 0.30 1/200 4711\n",
        "/proc/pressure/cpu": "some avg10=0.12 avg60=0.00 avg300=0.00 total=1\nfull avg10=9.0\n",
        "/proc/meminfo": "MemTotal: 2000000 kB\nMemAvailable:    1000000 kB\n",
    }
    monkeypatch.setattr(courtesy, "_text", lambda path: files.get(path, ""))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(courtesy.threading, "active_count", lambda: 1)
    assert courtesy.has_idle_core()
    for path, busy in [
        ("/proc/loadavg", "9.10 0.20 0.30 2/200 4711\n"),
        ("/proc/loadavg", ""),
        ("/proc/pressure/cpu", "some avg10=40.00 avg60=0.00 avg300=0.00 total=1\n"),
        ("/proc/meminfo", "MemAvailable:    1000 kB\n"),
        ("/proc/meminfo", "nonsense"),
    ]:
        with monkeypatch.context() as changed:
            changed.setitem(files, path, busy)
            assert not courtesy.has_idle_core()


def test_it_takes_the_lowest_priority() -> None:
    def lowered() -> int:
        courtesy.step_back()
        return os.getpriority(os.PRIO_PROCESS, 0)

    assert HelperProcess(lowered).result(time.monotonic() + 10) == 19


def test_a_helper_brings_its_result_back() -> None:
    helper = HelperProcess(lambda: {"size": b"x" * 1_000_000})
    assert helper.result(time.monotonic() + 30) == {"size": b"x" * 1_000_000}


def test_a_helper_that_fails_or_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(f"{HelperProcess.__module__}._GRACE", 0.1)

    def fail() -> None:
        raise ValueError("nothing of this may reach the operator")

    def die() -> None:
        os._exit(9)

    for work in (fail, die, lambda: time.sleep(60)):
        began = time.monotonic()
        assert HelperProcess(work).result(time.monotonic()) is None
        assert time.monotonic() - began < 10
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert capfd.readouterr() == ("", "")


def claims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    given: list[int] = []
    monkeypatch.setattr(os, "getpriority", lambda *_who: 3)
    monkeypatch.setattr(os, "setpriority", lambda _kind, _who, nice: given.append(nice))
    return given


def test_who_goes_ahead_steps_back_to_where_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = claims(monkeypatch)
    session = tmp_path / "autogroup"
    session.write_text("/autogroup-4711 nice 5\n")
    with pytest.raises(KeyError), courtesy.go_ahead(str(session)):
        assert (given, session.read_text()) == ([-20], "-20")
        raise KeyError
    assert (given, session.read_text()) == ([-20, 3], "5")


def test_a_kernel_without_sessions_of_its_own_is_asked_for_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = claims(monkeypatch)
    with courtesy.go_ahead(str(tmp_path / "autogroup")):
        pass
    assert given == [-20, 3]
    assert list(tmp_path.iterdir()) == []


def test_who_may_not_go_ahead_does_its_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_given: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "setpriority", refuse)
    session = tmp_path / "autogroup"
    session.write_text("/autogroup-4711 nice 0\n")
    with courtesy.go_ahead(str(session)):
        pass
    assert session.read_text() == "/autogroup-4711 nice 0\n"
