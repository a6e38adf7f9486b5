# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is made of a database client's answers, whatever it answers; the server itself is in
tests/integration/test_database_on_host.py."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import socket
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import database, database_client
from ansible_collections.wpward.wordpress.plugins.module_utils.database import collect, iso_of
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_plugins import (
    LOG_TABLES,
    log_table_of,
)


def row(*fields: object) -> str:
    return "\t".join("NULL" if f is None else str(f).encode().hex().upper() for f in fields)


SERVER = row("10.11.6-MariaDB", 1, "slow.log", "2.500000", "FILE", "/var/lib/mysql/", 3)
STATEMENTS = row(7, "wp", "blog", 812, "Updating", "DELETE FROM t WHERE a < 5 AND b = 'secret'")
TABLES = row("blog", "wp_aiowps_audit_log", "InnoDB", 726029, 681_000_000)
PRIMARY = "\n".join((row(None, "created"), row("PRIMARY", "id")))
OLDEST = row(1700000000)


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """This process, listening like a server and taken for one."""
    monkeypatch.setattr(database_client, "_ACCOUNTS", (pwd.getpwuid(os.geteuid()).pw_name,))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "with space.sock"))
        listening.listen(1)
        yield server_process(os.getpid())


def server_process(pid: int) -> Process:
    return Process(pid, 1, "mariadb", "master", "mariadbd", None, 0.0, None, False)


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A client that runs a script of the test's own; it writes its arguments to a file."""
    program = tmp_path / "client"
    script = tmp_path / "script"
    seen = tmp_path / "arguments"
    program.write_text(
        "#!/bin/sh\n"
        f"for word; do printf '%s\\n' \"$word\" >> {shlex.quote(str(seen))}; done\n"
        f"for sql; do :; done\n. {shlex.quote(str(script))}\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(database, "client_program", lambda _server: str(program))
    return script


def answer(script: Path, **parts: str) -> None:
    """Answer each question by what it asks for."""
    given = {
        "VERSION": SERVER,
        "PROCESSLIST": "",
        "information_schema.TABLES": "",
        "STATISTICS": PRIMARY,
        "ORDER": OLDEST,
        **parts,
    }
    cases = "".join(
        f"*{shlex.quote(key)}*) cat <<'END'\n{value}\nEND\n;;\n" if value else f"*{key}*) ;;\n"
        for key, value in given.items()
    )
    script.write_text(f'case "$sql" in\n{cases}esac\n')


def asked(process: Process, credentials: str | None = None, seconds: float = 10.0) -> Any:
    problems = Problems()
    described = collect(time.monotonic() + seconds, credentials, problems, [process])
    assert described is not None
    return {**described, "problems": problems.describe()}


def test_a_running_purge_and_its_table_are_described(process: Process, answers: Path) -> None:
    answer(answers, PROCESSLIST=STATEMENTS, **{"information_schema.TABLES": TABLES})
    assert asked(process) == {
        "reachable": True,
        "reason": None,
        "version": "10.11.6-MariaDB",
        "slow_log": {"enabled": True, "file": "/var/lib/mysql/slow.log", "seconds": 2.5},
        "statements": [
            {
                "id": 7,
                "user": "wp",
                "schema": "blog",
                "seconds": 812,
                "state": "Updating",
                "text": "DELETE FROM t WHERE a < 5 AND b = ?",
            }
        ],
        "tables": [
            {
                "schema": "blog",
                "table": "wp_aiowps_audit_log",
                "plugin": "all-in-one-wp-security-and-firewall",
                "rows": 726029,
                "bytes": 681_000_000,
                "purge_column": "created",
                "indexed": False,
                "oldest": "2023-11-14T22:13:20Z",
            }
        ],
        "problems": [],
    }
    arguments = (answers.parent / "arguments").read_text().splitlines()
    assert arguments[0] == "--no-defaults"
    assert f"--socket={answers.parent / 'with space.sock'}" in arguments
    assert {"--skip-password", "--local-infile=0"} <= set(arguments)


def test_an_index_on_the_purge_column_is_seen(process: Process, answers: Path) -> None:
    indexes = "\n".join((PRIMARY, row("created", "created")))
    answer(answers, STATISTICS=indexes, **{"information_schema.TABLES": TABLES})
    assert asked(process)["tables"][0]["indexed"] is True


def test_a_table_of_another_engine_is_not_read(process: Process, answers: Path) -> None:
    table = row("blog", "wp_aiowps_audit_log", "MyISAM", 5, 10_000_000)
    answer(
        answers, ORDER="rubbish that was never asked for", **{"information_schema.TABLES": table}
    )
    described = asked(process)
    assert described["tables"][0]["oldest"] is None and not described["problems"]


def test_a_table_whose_purge_column_is_unknown_is_only_measured(
    process: Process, answers: Path
) -> None:
    answer(answers, STATISTICS=row("PRIMARY", "id"), **{"information_schema.TABLES": TABLES})
    table = asked(process)["tables"][0]
    assert (table["purge_column"], table["indexed"], table["oldest"]) == (None, None, None)
    assert table["rows"] == 726029


def test_hostile_names_stay_names(process: Process, answers: Path) -> None:
    name = "x`; DROP TABLE y; -- \t\n\x1b[2J_wfhits"
    answer(answers, **{"information_schema.TABLES": row("b`d", name, "InnoDB", 1, 2_000_000)})
    described = asked(process)
    assert described["tables"][0]["table"] == "x`; DROP TABLE y; -- \\t\\n\\x1b[2J_wfhits"
    sql = (answers.parent / "arguments").read_text()
    assert "DROP" not in sql.replace("x``; DROP", "")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "echo \"ERROR 1045 (28000): Access denied for user 'root'@'localhost'\" >&2; exit 1",
            "refuses root at .*with space.sock .*credentials file",
        ),
        ('echo "ERROR 2002 (HY000): Can\'t connect" >&2; exit 1', "does not answer at its socket"),
        ("printf 'ERROR 9999: \\033[31m' >&2; exit 1", r"did not answer .*\\x1b\[31m"),
        ("exit 3", "no word of it"),
        ("echo hello", "answered in another form"),
        ("printf '\\377\\n'", "answered in another form"),
        ("printf '41\\t42\\n'", "answered in another form"),
        ("", "answered in another form"),
        ("sleep 30 & sleep 30", "still at work"),
        ("yes 4141414141414141414141414141414141414141414141414141", "far too long"),
        ("yes >&2", "far too long"),
    ],
)
def test_whatever_the_client_does_is_a_sentence(
    process: Process, answers: Path, script: str, reason: str
) -> None:
    answers.write_text(script)
    began = time.monotonic()
    described = asked(process, seconds=1.0)
    assert time.monotonic() - began < 6
    assert described["reachable"] is False
    assert re.search(reason, described["reason"]), described["reason"]
    assert described["problems"] == [{"id": "database_unreachable", "message": described["reason"]}]


def test_what_was_learnt_before_the_time_was_over_stays(process: Process, answers: Path) -> None:
    answer(answers)
    text = answers.read_text().replace("*PROCESSLIST*) ;;", "*PROCESSLIST*) sleep 30 ;;")
    answers.write_text(text)
    described = asked(process, seconds=1.0)
    assert described["reachable"] is True and described["version"]
    messages = [problem["message"] for problem in described["problems"]]
    assert [message.split(":")[0] for message in messages] == [
        "The database's statements are not known",
        "The database's large tables are not known",
    ]


def test_statements_that_are_not_told_do_not_hide_the_tables(
    process: Process, answers: Path
) -> None:
    answer(answers, **{"information_schema.TABLES": TABLES})
    text = answers.read_text().replace("*PROCESSLIST*) ;;", "*PROCESSLIST*) exit 1 ;;")
    answers.write_text(text)
    described = asked(process)
    assert described["statements"] == [] and len(described["tables"]) == 1
    assert len(described["problems"]) == 1


def test_many_tables_and_no_time_are_one_sentence(process: Process, answers: Path) -> None:
    answer(answers, **{"information_schema.TABLES": "\n".join([TABLES] * 9)})
    answers.write_text(f'case "$sql" in *STATISTICS*) sleep 30 ;; esac\n{answers.read_text()}')
    described = asked(process, seconds=1.0)
    assert described["tables"] == []
    [problem] = described["problems"]
    assert "9 of 9 large log tables are not described" in problem["message"]


def test_one_table_that_cannot_be_described_does_not_hide_the_others(
    process: Process, answers: Path
) -> None:
    other = row("shop", "wp_wfhits", "InnoDB", 5, 5_000_000)
    answer(answers, **{"information_schema.TABLES": f"{TABLES}\n{other}"})
    broken = "*0x73686f70*) echo 'ERROR 1969: max_statement_time exceeded' >&2; exit 1 ;;"
    start = 'case "$sql" in\n'
    answers.write_text(answers.read_text().replace(start, f"{start}{broken}\n"))
    described = asked(process)
    assert [table["schema"] for table in described["tables"]] == ["blog"]
    assert "shop.wp_wfhits" in described["problems"][0]["message"]


def test_a_credentials_file_replaces_root(process: Process, answers: Path, tmp_path: Path) -> None:
    file = tmp_path / "client.cnf"
    file.write_text("[client]\nuser=probe\n")
    answer(answers, VERSION=SERVER.rpartition("\t")[0] + "\t" + row(0))
    described = asked(process, str(file))
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[0] == f"--defaults-file={file}"
    assert not {"--user=root", "--skip-password"} & set(arguments)
    assert "only its own statements" in described["problems"][0]["message"]


def test_a_missing_credentials_file_is_named(process: Process, answers: Path) -> None:
    described = asked(process, "/nonexistent/client.cnf")
    assert "/nonexistent/client.cnf cannot be read: No such file" in described["reason"]


def test_a_process_of_another_account_is_not_asked(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_client, "_ACCOUNTS", ("nobody-at-all",))
    problems = Problems()
    assert collect(time.monotonic() + 5, None, problems, [process]) is None
    assert "calls itself a database server but runs as" in problems.describe()[0]["message"]


def test_without_a_server_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = Problems()
    monkeypatch.setattr(database, "installed_server", lambda: None)
    assert collect(time.monotonic() + 5, None, problems, []) is None
    monkeypatch.setattr(database, "installed_server", lambda: "/usr/sbin/mariadbd")
    described = collect(time.monotonic() + 5, None, problems, [])
    assert described is not None and "none runs" in str(described["reason"])


def test_a_server_that_went_away_meanwhile_is_no_server() -> None:
    problems = Problems()
    described = collect(time.monotonic() + 5, None, problems, [server_process(2**22 + 1)])
    assert described is None or described["reachable"] is False


def test_a_client_that_others_may_have_put_there_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mariadb"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    server = database_client.Server(1, None, str(tmp_path / "sbin" / "mariadbd"))
    assert database_client.client_program(server) != str(program)


@pytest.mark.parametrize(
    ("value", "iso"),
    [
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("1700000000.123456", "2023-11-14T22:13:20Z"),
        ("2024-02-29 01:02:03", "2024-02-29T01:02:03Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("0000-00-00 00:00:00", None),
        ("1000-10-10 10:00:00", None),
        ("0", None),
        ("99999999999999999999", None),
        ("<script>", None),
        ("", None),
        (None, None),
    ],
)
def test_times_of_log_tables(value: str | None, iso: str | None) -> None:
    assert iso_of(value) == iso


@pytest.mark.parametrize(
    ("table", "plugin"),
    [
        ("wp_aiowps_audit_log", "all-in-one-wp-security-and-firewall"),
        ("odd7aiowps_audit_log", "all-in-one-wp-security-and-firewall"),
        ("wp_2_wfHits", "wordfence"),
        ("wp_stream", "stream"),
        ("wp_upstream", None),
        ("wp_posts", None),
        ("wp_wfhits_backup", None),
    ],
)
def test_log_tables_are_known_by_the_end_of_their_name(table: str, plugin: str | None) -> None:
    known = log_table_of(table)
    assert (known.plugin if known else None) == plugin


def test_the_names_of_log_tables_can_stand_in_a_pattern() -> None:
    for known in LOG_TABLES:
        assert known.name.replace("_", "").isalnum() and known.name == known.name.lower()
