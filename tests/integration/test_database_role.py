# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role database on a real MariaDB: what it indexes and deletes, what it leaves alone, and how it
goes on after whatever interrupted it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from testbed import audit_table, hosts, podman

from .conftest import ROOT, MakeHost
from .play import play

HERE = Path(__file__).parent / "database"
NAME = "db-role"
AUDIT = "wp_aiowps_audit_log"
PLACE = "/root/wpward/ansible_collections/wpward/wordpress/plugins"
# Small batches, so that a purge of so few rows takes a while.
SLOWLY = {"batch": 0.01}
OLD = 20_000 - 2 * 20


def inside(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    output: str = podman.execute(host.container, list(argv), stdin=stdin)
    return output


def sql(host: hosts.Host, statements: str, schema: str = "wordpress") -> list[list[str]]:
    output = inside(host, "mariadb", "--no-defaults", "-N", schema, stdin=statements)
    return [line.split("\t") for line in output.splitlines()]


def run(host: hosts.Host, **options: Any) -> Any:
    """What the module returns for these options."""
    return json.loads(inside(host, "python3", "-I", "/root/on_host.py", json.dumps(options)))


def start(host: hosts.Host, **options: Any) -> str:
    """Begin that in the background; its client outlives it, as it does where nobody is left to end
    it. The unit's name."""
    unit = f"work-{time.monotonic_ns()}"
    inside(
        host,
        *("systemd-run", "--quiet", "--collect", f"--unit={unit}", "--property=KillMode=process"),
        *("python3", "-I", "/root/on_host.py", json.dumps(options)),
    )
    return unit


def end(host: hosts.Host, unit: str, *, kill: bool = False) -> None:
    """Wait until it has ended by itself, or kill it and nothing else."""
    if kill:
        inside(host, "systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)
    until(lambda: inside(host, "sh", "-c", f"systemctl is-active {unit} || true") != "active\n")


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def of(result: Any, table: str = AUDIT) -> Any:
    return next(one for one in result["tables"] if one["table"] == table)


def count(host: hosts.Host, condition: str = "1") -> int:
    return int(sql(host, f"SELECT COUNT(*) FROM {AUDIT} WHERE {condition}")[0][0])


def old_rows(host: hosts.Host) -> int:
    return count(host, "created > 0 AND created < UNIX_TIMESTAMP() - 31 * 86400")


def left_alone(host: hosts.Host) -> list[list[str]]:
    """Fingerprints of what no purge may touch."""
    return sql(
        host,
        "CHECKSUM TABLE wp_posts, wp_users, wp_options, wp_my_audit_log, bak_aiowps_audit_log, "
        "wp_redirection_404, `other``s`.`x y7options`; "
        f"SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS(',', id, created, details))) FROM {AUDIT} "
        "WHERE created = 0 OR created > UNIX_TIMESTAMP() - 30 * 86400;",
    )


def serving(host: hosts.Host) -> bool:
    done = subprocess.run(
        [
            *("podman", *podman.runtime_arguments(), "exec", host.container),
            *("mariadb", "--no-defaults", "-e", "SELECT 1"),
        ],
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@contextmanager
def session(host: hosts.Host, statements: str, shows: str) -> Iterator[None]:
    """Somebody else's session: it has begun when ``shows`` can be read, and ends with the block."""
    command = ["podman", *podman.runtime_arguments(), "exec", "-i", host.container]
    with subprocess.Popen(
        [*command, "mariadb", "--no-defaults", "-N", "--unbuffered", "wordpress"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as other:  # fmt: skip
        assert other.stdin and other.stdout
        other.stdin.write(statements)
        other.stdin.flush()
        while shows not in other.stdout.readline():
            assert other.poll() is None
        yield
        other.stdin.close()


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    host = make_host(NAME)
    inside(host, "mkdir", "-p", PLACE)
    podman.podman("cp", str(ROOT / "plugins" / "module_utils"), f"{host.container}:{PLACE}/")
    podman.podman("cp", str(HERE / "on_host.py"), f"{host.container}:/root/on_host.py")
    return host


@pytest.fixture
def filled(host: hosts.Host) -> Iterator[hosts.Host]:
    """The host with its log tables as an attack has left them."""
    sql(host, audit_table.LAYOUT + (HERE / "tables.sql").read_text())
    yield host
    names = ("wp_my_audit_log", "bak_aiowps_audit_log", "wp_redirection_404", AUDIT)
    sql(host, f"DROP TABLE {', '.join(names)}; DROP VIEW wp_2_aiowps_audit_log;")
    sql(host, "DROP DATABASE `other``s`;")


def test_a_dry_run_tells_and_changes_nothing(filled: hosts.Host) -> None:
    before = left_alone(filled), count(filled)
    described = run(filled, state="purged", check=True)
    audit = of(described)
    assert 0.8 < audit["old_rows"] / OLD < 1.2 and audit["deleted"] == audit["old_rows"]
    assert audit["estimated_seconds"]["purge"] > 1 and audit["index"] == "missing"
    assert described["changed"]
    # Neither what only looks like a log, nor a view, nor a copy.
    assert {one["table"] for one in described["tables"] if one["stopped"] is None} == {
        AUDIT,
        "x y7aiowps_failed_logins",
    }
    assert "no WordPress of the prefix 'bak_'" in of(described, "bak_aiowps_audit_log")["stopped"]
    assert (left_alone(filled), count(filled)) == before


def test_old_rows_and_nothing_else_are_deleted(filled: hosts.Host) -> None:
    before = left_alone(filled)
    result = run(filled)
    audit = of(result)
    assert (audit["deleted"], audit["remaining"], audit["stopped"]) == (OLD, 0, None)
    assert old_rows(filled) == 0 and left_alone(filled) == before
    assert audit["batches"] > 3 and audit["longest_batch_ms"] < 2000
    # A day more where nobody knows the time zone, and the row without a date.
    logins = of(result, "x y7aiowps_failed_logins")
    assert logins["stopped"] is None
    kept = sql(filled, "SELECT COUNT(*) FROM `x y7aiowps_failed_logins`", "other`s")[0][0]
    assert 31 * 24 <= int(kept) - 1 <= 32 * 24
    assert "MyISAM".lower() in of(result, "wp_redirection_404")["stopped"]
    again = run(filled)
    assert not again["changed"] and of(again)["deleted"] == 0


def test_whatever_interrupts_a_purge_the_next_one_finishes_it(filled: hosts.Host) -> None:
    before, rows = left_alone(filled), count(filled)
    run(filled, state="indexed")

    def begun(at_least: int) -> str:
        unit = start(filled, pace=SLOWLY)
        until(lambda: count(filled) < at_least)
        return unit

    end(filled, begun(rows), kill=True)
    after_module = count(filled)
    unit = begun(after_module)
    inside(filled, "sh", "-c", "kill -KILL $(pidof mariadbd)")
    end(filled, unit)
    until(lambda: serving(filled))
    after_server = count(filled)
    assert rows > after_module > after_server > rows - OLD
    assert left_alone(filled) == before

    # The connection is lost with Ansible's module at work.
    ansible = subprocess.Popen(
        [
            *(str(Path(sys.executable).parent / "ansible"), "all", "-i", filled.inventory),
            *("-b", "-m", "wpward.wordpress.log_tables", "-a"),
            "state=purged large_rows=1000 max_load=1000 batch_seconds=0.02",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with ansible:
        until(lambda: count(filled) < after_server)
        inside(filled, "pkill", "-KILL", "-f", "^sshd: [a-z]")
        assert ansible.wait(60) != 0
    # The module may live on without anybody to tell; the lock keeps others away from its work.
    until(lambda: "msg" not in run(filled), 60)
    last = run(filled)
    assert of(last)["stopped"] is None and not last["changed"]
    assert old_rows(filled) == 0 and left_alone(filled) == before


def test_an_index_that_was_interrupted_is_made_by_the_next_run(filled: hosts.Host) -> None:
    before, rows = left_alone(filled), count(filled)
    alter = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE%'"

    def altering() -> bool:
        return sql(filled, alter) == [["1"]]

    # A backup has the table: nobody waits behind us for longer than it takes us to give up.
    with session(filled, f"BEGIN; SELECT COUNT(*) FROM {AUDIT} WHERE id = 1;\n", "1"):
        unit = start(filled, state="indexed", time_budget=30.0)
        until(altering)
        began = time.monotonic()
        count(filled, "id = 2")
        assert time.monotonic() - began < 4
        until(altering)
        inside(filled, "sh", "-c", "kill -KILL $(pidof mariadbd)")
    end(filled, unit)
    until(lambda: serving(filled))
    assert of(run(filled, state="indexed", check=True))["index"] == "created"
    assert of(run(filled, state="indexed"))["index"] == "created"
    again = run(filled, state="indexed")
    assert of(again)["index"] == "present" and not again["changed"]
    assert left_alone(filled) == before and count(filled) == rows


def test_what_is_in_the_way_is_a_sentence_and_nothing_is_deleted(filled: hosts.Host) -> None:
    rows = count(filled)

    def stopped(**options: Any) -> str:
        audit = of(run(filled, **options))
        assert audit["deleted"] == 0 and audit["remaining"] > 15_000
        return str(audit["stopped"])

    sql(filled, "SET GLOBAL read_only = 1;")
    assert "read_only" in stopped()
    sql(filled, "SET GLOBAL read_only = 0;")
    assert "The load is" in stopped(pace={"max_load": 0.001, "patience": 0.0})
    assert (
        "locks the table for everybody"
        in of(run(filled, state="indexed"), "wp_redirection_404")["index"]
    )
    sql(filled, f"CREATE TRIGGER t BEFORE DELETE ON {AUDIT} FOR EACH ROW SET @x = 1;")
    assert "A trigger" in of(run(filled))["stopped"]
    sql(
        filled,
        f"DROP TRIGGER t; CREATE TABLE child (a bigint, FOREIGN KEY (a) REFERENCES {AUDIT} (id));",
    )
    assert "Rows of another table" in of(run(filled))["stopped"]
    sql(filled, "DROP TABLE child;")
    sql(
        filled,
        "CREATE USER small@localhost IDENTIFIED BY 'right'; "
        "GRANT SELECT ON wordpress.* TO small@localhost;",
    )
    inside(
        filled,
        *("sh", "-c", "umask 077; cat > /root/small.cnf"),
        stdin="[client]\nuser=small\npassword=right\n",
    )
    refused = run(filled, credentials="/root/small.cnf")["msg"]
    assert refused.startswith("The database server refuses the account in /root/small.cnf")
    assert "PROCESS privilege" in refused and "\n" not in refused
    sql(filled, "GRANT PROCESS ON *.* TO small@localhost;")
    refusal = run(filled, credentials="/root/small.cnf")["refusal"]
    assert "grant it SLAVE MONITOR" in refusal
    assert count(filled) == rows


def test_somebody_elses_purge_is_waited_for_or_killed(filled: hosts.Host) -> None:
    delete = f"DELETE FROM {AUDIT} WHERE created < 0 OR SLEEP(0.01);\n"
    with session(filled, f"SELECT 'begun'; {delete}", "begun"):
        sleeping = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'"
        until(lambda: sql(filled, sleeping) == [["1"]])
        waited = of(run(filled, pace={"patience": 0.0}))
        assert waited["deleted"] == 0 and "seconds of rollback" in waited["stopped"]
        told = run(filled, check=True)
        assert of(told)["running"] and any("rollback" in note for note in told["notes"])
        killed = of(run(filled, pace={"kill": True}))
    assert len(killed["killed"]) == 1 and killed["deleted"] == OLD


def test_the_role_indexes_follows_and_takes_its_file_back(
    filled: hosts.Host, tmp_path: Path
) -> None:
    def apply(number: int, **variables: Any) -> Any:
        place = tmp_path / f"{number}.json"
        play(
            HERE / "apply.yml",
            filled,
            run=f"db-{number}",
            save_to=str(place),
            wpward_database_max_load=1000,
            **{"wpward_database_large_rows": 1000, **variables},
        )
        return json.loads(place.read_text())

    asked = "SELECT @@GLOBAL.slow_query_log, @@GLOBAL.long_query_time;"
    before = sql(filled, asked)
    first = apply(1, purge=True)
    assert sql(filled, asked) == [["1", "4.000000"]]
    assert of(first["indexed"])["index"] == "created" and old_rows(filled) == 0
    assert any("MyISAM".lower() in note for note in first["notes"])
    started = inside(filled, "systemctl", "show", "-p", "MainPID", "mariadb")
    second = apply(2)
    assert not second["result"]["changed"] and not second["indexed"]["changed"]
    inside(filled, "python3", "/var/lib/wpward/rollback.py", "rollback")
    assert sql(filled, asked) == before
    assert of(run(filled, state="described"))["index"] == "present"
    # None of it was by a restart.
    assert inside(filled, "systemctl", "show", "-p", "MainPID", "mariadb") == started
