# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Open files for each service, and nginx's numbers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_settings import Settings
from ansible_collections.wpward.wordpress.plugins.plugin_utils.open_file_limits import (
    NginxNumbers,
    nginx_numbers,
    wanted_files,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.capacity_evidence import MAIN, SUM, evidence, nginx, service


def limited(lowest: int, highest: int | None = None, **changes: Any) -> dict[str, Any]:
    has = {"lowest": lowest, "highest": highest or lowest, "processes": 3}
    return service("nginx", "nginx.service", nofile=has, **changes)


def numbers(
    row: dict[str, Any], nofile: int | None, wanted: int = 16384, **changes: Any
) -> NginxNumbers:
    capacity = evidence(nginx=nginx(**changes))["capacity"]
    return nginx_numbers(capacity, row, nofile, Settings(nofile=wanted))


@pytest.mark.parametrize(
    ("row", "ceiling", "found"),
    [
        (limited(1024), 524288, 16384),
        (limited(1024), 10000, 10000),
        (limited(16384), 524288, None),
        (limited(65536), 524288, None),
        (limited(1024, 65536), 524288, 65536),
        # What is above the ceiling cannot be had again after a restart.
        (limited(1024, 20000), 10000, None),
        (limited(1024, manageable=False), 524288, None),
        (limited(1024) | {"nofile": None}, 524288, None),
    ],
)
def test_no_more_than_the_host_allows_and_no_less_than_there_is(
    row: dict[str, Any], ceiling: int, found: int | None
) -> None:
    assert wanted_files(row, 16384, ceiling) == found


def test_a_unit_that_gives_enough_is_not_restarted_for_its_configuration() -> None:
    assert wanted_files(limited(8192, 20000), 16384, 524288, own=8192) is None
    assert wanted_files(limited(1024), 16384, 524288, own=8192) == 16384


@given(
    st.integers(1, 100000),
    st.integers(0, 100000),
    st.integers(1, 200000),
    st.none() | st.integers(1, 100000),
)
def test_always_within_bounds(lowest: int, more: int, ceiling: int, own: int | None) -> None:
    row = limited(lowest, lowest + more)
    found = wanted_files(row, 16384, ceiling, own)
    if found is not None:
        assert lowest + more <= found <= ceiling
        assert wanted_files(limited(found), 16384, ceiling, own) is None


def test_debians_nginx_gets_both_numbers_in_one_file() -> None:
    found = numbers(limited(1024), 16384)
    assert found.entries == [
        {
            "path": MAIN,
            "sha256": SUM,
            "edits": [
                {"offset": 138, "remove": 0, "insert": "worker_rlimit_nofile 16384;\n"},
                {"offset": 148, "remove": 23, "insert": "worker_connections 4096;"},
            ],
        }
    ]
    assert found.settings == {
        "worker_processes": "auto",
        "worker_rlimit_nofile": 16384,
        "worker_connections": 4096,
    }


def test_a_second_time_there_is_nothing_to_edit() -> None:
    done = numbers(limited(1024), 16384)
    again = numbers(limited(16384), None, **done.settings)
    assert (again.entries, again.settings) == ([], done.settings)


def test_a_lower_limit_of_nginx_own_is_raised_where_it_stands() -> None:
    directive = {"file": "/etc/nginx/limits", "sha256": "b" * 64, "offset": 7, "length": 27}
    directives = nginx()["directives"] | {"worker_rlimit_nofile": directive}
    found = numbers(limited(1000, 20000), None, worker_rlimit_nofile=1000, directives=directives)
    assert found.entries[0]["edits"] == [
        {"offset": 7, "remove": 27, "insert": "worker_rlimit_nofile 16384;"}
    ]
    assert [entry["path"] for entry in found.entries] == ["/etc/nginx/limits", MAIN]


def test_a_higher_limit_of_nginx_own_stays() -> None:
    found = numbers(limited(65536), None, worker_rlimit_nofile=65536, worker_connections=20000)
    assert found.entries == []


@pytest.mark.parametrize(
    ("files", "now", "then"), [(1024, 768, 512), (6000, 768, 3000), (16384, 10000, 8192)]
)
def test_each_connection_takes_two_files(files: int, now: int, then: int) -> None:
    found = numbers(limited(files), None, wanted=files, worker_connections=now)
    assert found.settings["worker_connections"] == then


def test_what_is_nowhere_yet_is_put_where_it_belongs() -> None:
    found = numbers(limited(1024), 16384, worker_processes="1", directives={})
    assert found.entries[0]["edits"] == [
        {
            "offset": 138,
            "remove": 0,
            "insert": "worker_rlimit_nofile 16384;\nworker_processes auto;\n",
        },
        {"offset": 146, "remove": 0, "insert": "\n    worker_connections 4096;"},
    ]
    assert ("worker_processes", "1", "auto") in found.changes


def test_without_a_place_the_operator_is_told() -> None:
    found = numbers(limited(1024), 16384, directives={}, events=None, main=None)
    assert found.entries == [] and len(found.notes) == 2
    assert "`worker_rlimit_nofile 16384;`" in found.notes[0]


@pytest.mark.parametrize("processes", ["auto", "2", "8"])
def test_enough_processes_stay(processes: str) -> None:
    found = numbers(limited(1024), 16384, worker_processes=processes)
    assert found.settings["worker_processes"] == processes


def test_an_nginx_that_cannot_be_restarted_is_left_alone() -> None:
    assert numbers(limited(1024, manageable=False), None).entries == []
