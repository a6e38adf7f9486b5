# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is made of a database server's settings; the server itself is asked in
tests/integration/test_probe_on_host.py."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    database,
    database_client,
    database_memory,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Server,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import Sample

ALWAYS = ["151", "1", "2", "3", "4", "5", "6", "7", "1000", "2000", "3000"]


class Client:
    def __init__(self, answer: list[list[str | None]] | None) -> None:
        self.answer = answer

    def rows(self, statements: str) -> list[list[str | None]]:
        assert statements.count("@@GLOBAL.") == 13
        if self.answer is None:
            raise Unanswered("It is asleep.")
        return self.answer


def collect(
    answer: list[list[str | None]] | None, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, list[str]]:
    problems = Problems()
    server = Process(os.getpid(), 1, "mariadb", "master", "", None, 0.0, None, False)
    monkeypatch.setattr(database, "connect", lambda *_arguments: Client(answer))
    monkeypatch.setattr(
        database_client, "servers", lambda running: ([Server(os.getpid(), None, None)], [])
    )
    memory = Sample([server])
    assert memory.read(time.monotonic() + 5)
    found = database_memory.collect([server], memory, None, time.monotonic() + 5, problems)
    return found, [one["message"] for one in problems.describe()]


def test_mariadb_has_more_buffers_than_mysql(monkeypatch: pytest.MonkeyPatch) -> None:
    found, told = collect([[*ALWAYS, "10000", "20000"]], monkeypatch)
    assert found.pop("pss") > 0
    assert found == {"buffers": 36000, "per_connection": 28, "max_connections": 151}
    assert told == []
    found, _told = collect([list(ALWAYS)], monkeypatch)
    assert found["buffers"] == 6000


@pytest.mark.parametrize("answer", [None, [], [["151"]]])
def test_a_server_that_does_not_answer_is_a_sentence(
    answer: list[list[str | None]] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, told = collect(answer, monkeypatch)
    assert found is None
    assert told[0].startswith("The database's buffers are not known: ")
