# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work that may hang."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.patience import gather


def _work(items: list[int]) -> None:
    items.extend([1, 2])


def test_work_that_ends() -> None:
    assert gather(_work, time.monotonic() + 5) == ([1, 2], True)


def test_work_that_hangs_is_left_behind() -> None:
    release = threading.Event()

    def work(items: list[int]) -> None:
        items.append(1)
        release.wait(10)
        items.append(2)

    began = time.monotonic()
    items, done = gather(work, began + 0.05)
    assert time.monotonic() - began < 1
    assert (items, done) == ([1], False)
    release.set()


def test_no_room_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert gather(_work, time.monotonic() + 5) == ([], False)
