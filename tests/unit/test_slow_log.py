# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the slow log's drop-in file belongs, and how a running server follows its option files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.slow_log import (
    include_directories,
    option_files,
)

PROGRAM = Path(__file__).parents[2] / "roles" / "database" / "files" / "follow_option_files.py"


@pytest.fixture(scope="module")
def program() -> Any:
    spec = importlib.util.spec_from_file_location("follow_option_files", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_directory_that_is_read_last(tmp_path: Path) -> None:
    for name in ("conf.d", "mariadb.conf.d"):
        (tmp_path / name).mkdir()
    (tmp_path / "more.cnf").write_text("[mysqld]\n!includedir mariadb.conf.d/\n")
    main = tmp_path / "my.cnf"
    main.write_text(
        f"#!includedir /nonexistent\n!includedir {tmp_path}/conf.d/\n!include {tmp_path}/more.cnf\n"
        "!includedir /nonexistent/either\n"
    )
    assert include_directories([str(tmp_path / "none.cnf"), str(main)]) == [
        str(tmp_path / "conf.d"),
        str(tmp_path / "mariadb.conf.d"),
    ]


def test_a_file_that_includes_itself_has_an_end(tmp_path: Path) -> None:
    main = tmp_path / "my.cnf"
    main.write_text(f"!include {main}\n")
    assert include_directories([str(main)]) == []


def test_a_server_that_is_given_its_option_file() -> None:
    own = ["mysqld", "--defaults-file=/opt/bitnami/mariadb/conf/my.cnf", ""]
    assert option_files(own) == ([own[1].partition("=")[2]], own[1].partition("=")[2])
    assert option_files(["mariadbd"]) == (["/etc/my.cnf", "/etc/mysql/my.cnf"], None)
    files, only = option_files(["mysqld", "--defaults-extra-file=/etc/extra.cnf"])
    assert files[-1] == "/etc/extra.cnf" and only is None


@pytest.mark.parametrize(
    ("options", "statements"),
    [
        (
            ["--slow_query_log=1", "--long_query_time=4"],
            ["slow_query_log_file = DEFAULT", "long_query_time = 4.0", "slow_query_log = 1"],
        ),
        # The last word counts, in whatever spelling.
        (
            ["--slow-query-log", "--long-query-time=4", "--log_slow_query_time=2.5",
             "--skip-slow-query-log", "--loose-slow-query-log-file=/var/log/mysql/s.log"],
            ["slow_query_log_file = '/var/log/mysql/s.log'", "long_query_time = 2.5",
             "slow_query_log = 0"],
        ),
        (
            ["--datadir=/x", "--slow_query_log_file=a'; DROP DATABASE wordpress; --"],
            ["slow_query_log_file = DEFAULT", "long_query_time = DEFAULT",
             "slow_query_log = DEFAULT"],
        ),
    ],
)  # fmt: skip
def test_a_running_server_is_told_what_its_files_say(
    program: Any, options: list[str], statements: list[str]
) -> None:
    given = list(program.statements(program.told(options)))
    assert given == [f"SET GLOBAL {one};" for one in statements]


@pytest.mark.parametrize(
    ("options", "running", "follows"),
    [
        ({"slow_query_log": "1", "long_query_time": "4.0"}, ["1", "4.000000", "h-slow.log"], True),
        ({"slow_query_log": "1", "long_query_time": "4.0"}, ["0", "4.000000", "h-slow.log"], False),
        ({"slow_query_log": "1"}, ["1", "4.000000", "h-slow.log"], False),
        ({}, ["0", "10.000000", "h-slow.log"], True),
        ({"slow_query_log_file": "/a"}, ["0", "10.000000", "/b"], False),
    ],
)
def test_whether_it_follows(
    program: Any, options: dict[str, str], running: list[str], follows: bool
) -> None:
    assert program.follows(options, running) is follows
