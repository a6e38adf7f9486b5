# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database evidence on a real MariaDB: half a million audit rows, a purge that runs, a server
that does not answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testbed import hosts, podman

from .conftest import ROOT, MakeHost

SCHEMA = "blog`s\t\ndb"
QUOTED = "`blog``s\t\ndb`"
ROWS = 500_000
PURGE = "DELETE FROM bl_aiowps_audit_log WHERE created < 1700400000 AND 'secret' <> SLEEP(0.001)"
AUDIT_LOG = f"""
CREATE DATABASE {QUOTED};
USE {QUOTED};
CREATE TABLE bl_aiowps_audit_log (
    id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, username varchar(60) NOT NULL,
    ip varchar(45) NOT NULL, event_type varchar(25) NOT NULL, details text NOT NULL,
    stacktrace text NOT NULL, created int unsigned) ENGINE=InnoDB;
INSERT INTO bl_aiowps_audit_log (username, ip, event_type, details, stacktrace, created)
    SELECT 'admin', '198.51.100.7', 'failed_login', '{{"known":true}}', REPEAT('x', 100),
    1700000000 + seq FROM seq_1_to_{ROWS};
CREATE TABLE `x``; DROP TABLE y; -- \t\n_wfhits` (
    id int PRIMARY KEY, ctime varchar(200), UA text) ENGINE=InnoDB;
INSERT INTO `x``; DROP TABLE y; -- \t\n_wfhits`
    SELECT seq, '1700000000\t\nERROR 1045 NULL', REPEAT('y', 4000) FROM seq_1_to_1000;
CREATE TABLE wp_simple_history (id int PRIMARY KEY, date datetime) ENGINE=InnoDB;
ANALYZE TABLE bl_aiowps_audit_log, `x``; DROP TABLE y; -- \t\n_wfhits`;
"""
# Times each of many inserts, as a visitor's failed login does one.
TIMING = f"""
USE {QUOTED};
CREATE TABLE IF NOT EXISTS timing (id int AUTO_INCREMENT PRIMARY KEY, at datetime(6));
DELIMITER //
CREATE OR REPLACE PROCEDURE timed(times int) BEGIN
    DECLARE n int DEFAULT 0; DECLARE began datetime(6); DECLARE worst, total double DEFAULT 0;
    WHILE n < times DO
        SET began = SYSDATE(6); INSERT INTO timing (at) VALUES (began);
        SET @took = TIMESTAMPDIFF(MICROSECOND, began, SYSDATE(6)) / 1000;
        SET total = total + @took, worst = GREATEST(worst, @took), n = n + 1;
    END WHILE;
    SELECT ROUND(total / times, 2), ROUND(worst, 1);
END //
"""
PROBE = """
import json, sys, time
sys.path.insert(0, "/root/wpward")
from ansible_collections.wpward.wordpress.plugins.module_utils import database
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
for _number in range({times}):
    problems = Problems()
    began = time.monotonic()
    described = database.collect(began + {seconds}, {credentials!r}, problems)
    took = time.monotonic() - began
print(json.dumps([described, problems.describe(), took]))
"""


def inside(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    output: str = podman.execute(host.container, list(argv), stdin=stdin)
    return output


def probe(
    host: hosts.Host, credentials: str | None = None, seconds: float = 10.0
) -> tuple[Any, list[dict[str, str]], float]:
    code = PROBE.format(seconds=seconds, credentials=credentials, times=1)
    described, problems, took = json.loads(inside(host, "python3", "-I", "-", stdin=code))
    return described, problems, took


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    host = make_host("database")
    place = "/root/wpward/ansible_collections/wpward/wordpress/plugins"
    inside(host, "mkdir", "-p", place)
    podman.podman("cp", str(ROOT / "plugins" / "module_utils"), f"{host.container}:{place}/")
    # A file that would break every question, if the client read it.
    hostile = "[client]\nuser=nobody\nsocket=/nonexistent\n[mysql]\ninit-command=SELECT 'NULL'\n"
    inside(host, "sh", "-c", "cat > /root/.my.cnf", stdin=hostile)
    for statements in (AUDIT_LOG, TIMING):
        inside(host, "mariadb", "--no-defaults", stdin=statements)
    return host


@contextmanager
def purge(host: hosts.Host) -> Iterator[None]:
    """A purge of the audit log that does not end by itself."""
    program = ("mariadb", "--no-defaults", SCHEMA, f"--execute={PURGE}")
    inside(host, "systemd-run", "--quiet", "--collect", "--unit=purge", *program)
    try:
        yield
    finally:
        kill = (
            "SELECT CONCAT('KILL ', ID, ';') FROM information_schema.PROCESSLIST "
            "WHERE INFO LIKE 'DELETE FROM bl_aiowps%'"
        )
        statements = inside(host, "mariadb", "--no-defaults", "-N", f"--execute={kill}")
        inside(host, "mariadb", "--no-defaults", stdin=statements)


def table(described: Any, name: str) -> Any:
    return next(found for found in described["tables"] if found["table"] == name)


def test_the_running_purge_and_the_missing_index_are_seen(
    host: hosts.Host, capsys: pytest.CaptureFixture[str]
) -> None:
    def inserts(times: int) -> str:
        return inside(
            host, "mariadb", "--no-defaults", "-N", SCHEMA, f"--execute=CALL timed({times})"
        ).replace("\t", " ms mean, ")

    with purge(host):
        alone = inserts(2000)
        time.sleep(5.5)
        described, problems, took = probe(host)
        code = PROBE.format(seconds=10.0, credentials=None, times=20)
        inside(host, "sh", "-c", "cat > /root/probe.py", stdin=code)
        inside(host, "systemd-run", "--quiet", "--collect", "python3", "-I", "/root/probe.py")
        beside = inserts(2000)
    with capsys.disabled():
        print(
            f"\ndatabase evidence: {took * 1000:.0f} ms; inserts alone {alone.strip()} ms worst; "
        )
        print(f"beside 20 collections {beside.strip()} ms worst")
    assert problems == []
    assert described["reachable"] is True and "MariaDB" in described["version"]
    [statement] = described["statements"]
    assert statement["text"] == PURGE.replace("'secret'", "?")
    assert statement["user"] == "root" and 5 < statement["seconds"] < 60
    assert statement["schema"] == "blog`s\\t\\ndb"
    audit = table(described, "bl_aiowps_audit_log")
    assert audit["schema"] == "blog`s\\t\\ndb"
    assert audit["purge_column"] == "created" and audit["indexed"] is False
    assert audit["oldest"] == "2023-11-14T22:13:21Z"
    assert 0.5 < audit["rows"] / ROWS < 2 and audit["bytes"] > 50_000_000
    assert took < 2


def test_hostile_names_and_contents_are_only_shown(host: hosts.Host) -> None:
    described, problems, _took = probe(host)
    hostile = table(described, "x`; DROP TABLE y; -- \\t\\n_wfhits")
    assert hostile["plugin"] == "wordfence" and hostile["oldest"] is None
    assert hostile["indexed"] is False
    # Too small to matter.
    assert len(described["tables"]) == 2
    assert problems == []


def test_no_table_is_opened_that_is_no_log(host: hosts.Host) -> None:
    tables = "".join(f"CREATE TABLE many_{n} (id int) ENGINE=MyISAM;" for n in range(300))
    flush = "FLUSH TABLES;"
    opened = "SHOW GLOBAL STATUS LIKE 'Opened_tables';"
    program = ("mariadb", "--no-defaults", "-N", SCHEMA)
    before = int(inside(host, *program, stdin=tables + flush + opened).split()[1])
    probe(host)
    after = int(inside(host, *program, stdin=opened).split()[1])
    assert after - before < 40


def test_an_index_on_the_purge_column_is_seen(host: hosts.Host) -> None:
    inside(
        host,
        "mariadb",
        "--no-defaults",
        SCHEMA,
        "--execute=ALTER TABLE bl_aiowps_audit_log ADD INDEX (created)",
    )
    described, _problems, _took = probe(host)
    audit = table(described, "bl_aiowps_audit_log")
    assert audit["indexed"] is True and audit["oldest"] == "2023-11-14T22:13:21Z"


def test_accounts(host: hosts.Host) -> None:
    inside(
        host,
        "mariadb",
        "--no-defaults",
        stdin="""
        CREATE USER probe@localhost IDENTIFIED BY 'right';
        GRANT PROCESS, SELECT ON *.* TO probe@localhost;
        CREATE USER small@localhost IDENTIFIED BY 'right';
    """,
    )
    for user, password in (("probe", "right"), ("small", "right"), ("probe", "wrong")):
        inside(
            host,
            "sh",
            "-c",
            f"umask 077; cat > /root/{user}-{password}.cnf",
            stdin=f"[client]\nuser={user}\npassword={password}\n",
        )
    described, problems, _took = probe(host, "/root/probe-right.cnf")
    assert table(described, "bl_aiowps_audit_log") and problems == []
    described, problems, _took = probe(host, "/root/small-right.cnf")
    assert described["reachable"] and described["tables"] == []
    assert "only its own statements and tables" in problems[0]["message"]
    described, problems, _took = probe(host, "/root/probe-wrong.cnf")
    assert described["reachable"] is False
    assert "refuses the account in /root/probe-wrong.cnf" in described["reason"]
    assert "wrong" not in described["reason"].replace("probe-wrong.cnf", "")
    assert problems == [{"id": "database_unreachable", "message": described["reason"]}]


def test_a_server_that_hangs_costs_no_more_than_the_deadline(host: hosts.Host) -> None:
    inside(host, "systemctl", "kill", "--signal=STOP", "mariadb")
    try:
        described, problems, took = probe(host, seconds=1.5)
    finally:
        inside(host, "systemctl", "kill", "--signal=CONT", "mariadb")
    assert described["reachable"] is False and took < 4
    assert "still at work when its time was over" in problems[0]["message"]


def test_a_socket_that_was_moved_away_is_a_sentence(host: hosts.Host) -> None:
    inside(host, "mv", "/run/mysqld/mysqld.sock", "/run/mysqld/away.sock")
    try:
        described, _problems, _took = probe(host)
    finally:
        inside(host, "mv", "/run/mysqld/away.sock", "/run/mysqld/mysqld.sock")
    assert described["reachable"] is False
    assert "does not answer at its socket /run/mysqld/mysqld.sock" in described["reason"]


def test_a_socket_elsewhere_is_found(host: hosts.Host) -> None:
    place = "/etc/mysql/mariadb.conf.d/99-socket.cnf"
    inside(
        host,
        "sh",
        "-c",
        f"cat > {place}",
        stdin="[mariadbd]\nsocket=/var/lib/mysql/odd name.sock\n",
    )
    try:
        inside(host, "systemctl", "restart", "mariadb")
        described, problems, _took = probe(host)
    finally:
        inside(host, "rm", place)
    assert described["reachable"] is True and problems == []


def test_a_stopped_server_is_a_sentence_and_an_impostor_is_not_asked(host: hosts.Host) -> None:
    inside(host, "systemctl", "stop", "mariadb")
    described, _problems, _took = probe(host)
    assert described["reachable"] is False
    assert "is installed (/usr/sbin/mariadbd), but none runs" in described["reason"]
    inside(host, "cp", "/bin/sleep", "/tmp/mysqld")
    inside(host, "systemd-run", "--quiet", "--collect", "--uid=www-data", "/tmp/mysqld", "30")
    described, problems, _took = probe(host)
    assert described is None
    assert "runs as www-data, so it is not asked anything" in problems[0]["message"]
