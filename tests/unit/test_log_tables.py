# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which log tables are worked on and when not, whatever the server says; the server itself is in
tests/integration/test_database_role.py."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    log_table_index,
    log_table_purge,
    log_table_server,
    log_table_wait,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Limits,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_index import (
    add_index,
    no_index,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_plan import (
    Age,
    Table,
    age_of,
    large_tables,
    running_on,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_purge import Pace, Purge
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_server import (
    DatabaseServer,
    no_writing,
    short_of_room,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_wait import (
    Busy,
    make_way,
    only_one,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_plugins import (
    LOG_TABLES,
    log_table_of,
)

DAY = 86400
NOW = 1_764_028_800 + 3600.0
MIDNIGHT = 1_764_028_800
AUDIT = log_table_of("wp_aiowps_audit_log")
assert AUDIT is not None
TABLE = Table(
    "blog", "wp_aiowps_audit_log", AUDIT, "innodb", 500_000, 350 << 20, 340 << 20,
    "created", "int", "id", None, None,
)  # fmt: skip
MARIADB = {"version": "10.11.6-MariaDB", "datadir": "/", "tmpdir": "/"}
MYSQL = {"version": "8.0.36", "datadir": "/", "tmpdir": "/"}


class Server:
    """A client whose answers are given: by a part of the statement, a value, an error or both in
    turn."""

    who = "root"

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.asked: list[str] = []
        self.limits: list[Limits | None] = []

    def until(self, _deadline: float) -> Server:
        return self

    def rows(self, statements: str, limits: Limits | None = None) -> Any:
        self.asked.append(statements)
        self.limits.append(limits)
        for part, answer in self._answers.items():
            if part in statements:
                given = answer.pop(0) if isinstance(answer, list) and answer else answer
                if isinstance(given, Exception):
                    raise given
                return given
        return []

    shown = rows


def server(**variables: str) -> DatabaseServer:
    return DatabaseServer({**MARIADB, **variables})


def rows(*given: Any) -> Any:
    """Rows as one answer, however often it is asked for."""
    return tuple(given)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


def test_only_logs_that_their_plugin_purges_by_age_may_be_purged() -> None:
    purged = {known.name for known in LOG_TABLES if known.purge}
    assert "aiowps_audit_log" in purged
    # Statistics, queues, and what rows of another table belong to.
    assert not purged & {
        "slim_stats", "statistics_visitor", "actionscheduler_actions", "actionscheduler_logs",
        "simple_history", "simple_history_contexts", "wsal_occurrences", "wsal_metadata",
        "_stream", "wfhits", "wflogins",
    }  # fmt: skip
    for known in LOG_TABLES:
        if known.purge:
            assert known.purge_columns and known.purge.source and len(known.purge.marks) >= 2
            assert not set(known.purge.marks) & set(known.purge_columns)


def found(
    *columns: tuple[str, str],
    key: int = 1,
    site: int = 2,
    trigger: int = 0,
    child: int = 0,
    name: str = "wp_aiowps_audit_log",
) -> list[Table]:
    marks = [("event_type", "varchar"), ("details", "text"), ("stacktrace", "text")]
    given = [*marks, ("username", "varchar"), ("id", "bigint"), *columns]
    described = [
        *(["column", one, kind] for one, kind in given),
        ["index", "PRIMARY", "id"],
        *([what, str(number), None] for what, number in
          (("key", key), ("site", site), ("trigger", trigger), ("child", child))),
    ]  # fmt: skip
    listed = rows(["blog", name, "InnoDB", "500000", "360000000", "350000000"])
    client: Any = Server(**{"TABLE_TYPE = 'BASE TABLE'": listed, "COLUMNS": rows(*described)})
    return large_tables(client, "INNODB_SYS_FOREIGN", 1, 1, ())


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (lambda: found(("created", "int")), None),
        (lambda: found(("created", "datetime")), None),
        (lambda: found(("created", "int"), site=1), "no WordPress of the prefix 'wp_'"),
        (lambda: found(("logged", "int")), "not those of the log"),
        (lambda: found(("created", "varchar")), "holds no time"),
        (lambda: found(("created", "float")), "holds no time"),
        (lambda: found(("created", "int"), key=2), "no primary key"),
        (lambda: found(("created", "int"), trigger=1), "A trigger"),
        (lambda: found(("created", "int"), child=1), "another table belong"),
    ],
)
def test_a_table_is_told_from_one_that_only_has_its_name(
    table: Callable[[], list[Table]], sentence: str | None
) -> None:
    (only,) = table()
    assert only.refusal is None if sentence is None else sentence in str(only.refusal)
    assert only.index is None


@pytest.mark.parametrize(
    "name", ["wp_my_audit_log", "wp_statistics_visitor", "wp_wsal_occurrences", "wp_posts"]
)
def test_another_table_is_not_even_looked_at(name: str) -> None:
    assert found(("created", "int"), name=name) == []


def aged(kind: str, *values: str | None, table: str = "wp_aiowps_audit_log") -> Age:
    known = log_table_of(table)
    assert known is not None
    ends, looked_up = rows(["1", str(len(values))]), rows(*([value] for value in values))
    client: Any = Server(**{"MIN(": ends, "ORDER BY": looked_up})
    one = replace(TABLE, known=known, column_type=kind, column=known.purge_columns[0])
    return age_of(client, one, 30, NOW)


def test_numbers_count_seconds_or_milliseconds_from_the_epoch() -> None:
    until = MIDNIGHT - 30 * DAY
    old, young = until - 1, until + 1
    seconds = aged("int", str(old), str(old), "0", str(young))
    assert seconds.condition == f"`created` >= 631152000 AND `created` < {until}"
    assert seconds.share == 0.5 and seconds.refusal is None
    milliseconds = aged("bigint", f"{old}000", f"{young}000")
    assert milliseconds.condition.endswith(f"`created` < {until}000")
    assert milliseconds.share == 0.5


def test_a_day_more_is_kept_where_the_time_zone_is_not_known() -> None:
    dates = aged("datetime", "2025-09-01 00:00:00", "2025-11-24 00:00:00")
    day = time.strftime("%Y-%m-%d", time.gmtime(MIDNIGHT - 31 * DAY))
    assert dates.condition == f"`created` >= '1990-01-01' AND `created` < '{day} 00:00:00'"
    assert dates.share == 0.5
    local = aged("int", str(int(NOW)), table="wp_aryo_activity_log")
    assert local.condition.endswith(f"`hist_time` < {MIDNIGHT - 31 * DAY}")
    exact = aged("timestamp", "2025-11-24 00:00:00")
    day = time.strftime("%Y-%m-%d", time.gmtime(MIDNIGHT - 30 * DAY))
    assert exact.condition.endswith(f"< '{day} 00:00:00'")


def test_times_that_make_no_sense_are_refused() -> None:
    assert "still to come" in str(aged("int", str(int(NOW) + 30 * DAY)).refusal)
    assert "holds no times" in str(aged("int", "0", "17").refusal)
    assert "holds no times" in str(aged("datetime", "0000-00-00 00:00:00").refusal)


@pytest.mark.parametrize(
    ("variables", "shown", "sentence"),
    [
        (MARIADB, (), None),
        ({**MARIADB, "read_only": "ON"}, (), "read_only"),
        ({**MYSQL, "super_read_only": "1"}, (), "super_read_only"),
        (MARIADB, ({"Seconds_Behind_Master": "0"},), "follows another one"),
        (MYSQL, ({"Seconds_Behind_Source": "0"},), "follows another one"),
        (MARIADB, Unanswered("no", 1227), "SLAVE MONITOR"),
        (MYSQL, Unanswered("no", 1227), "REPLICATION CLIENT"),
    ],
)
def test_nothing_is_written_on_a_replica(variables: Any, shown: Any, sentence: str | None) -> None:
    client: Any = Server(SHOW=shown)
    reason = no_writing(client, DatabaseServer(variables), allow_replica=False)
    assert reason is None if sentence is None else sentence in str(reason)


@pytest.mark.parametrize(
    ("lags", "sentence"), [(("0",), None), (("3", "600"), "600 seconds"), (("NULL",), "stopped")]
)
def test_a_server_that_also_follows_must_keep_up(
    lags: tuple[str, ...], sentence: str | None
) -> None:
    client: Any = Server(SHOW=tuple({"Seconds_Behind_Source": lag} for lag in lags))
    reason = no_writing(client, DatabaseServer(MYSQL), allow_replica=True)
    assert reason is None if sentence is None else sentence in str(reason)
    assert client.asked == ["SHOW REPLICA STATUS"]


def test_an_old_mysql_is_asked_in_its_own_words() -> None:
    client: Any = Server()
    no_writing(client, DatabaseServer({**MYSQL, "version": "5.7.44-log"}), allow_replica=False)
    assert client.asked == ["SHOW SLAVE STATUS"]


def test_foreign_keys_are_read_where_the_server_lists_them() -> None:
    assert server().foreign_keys == "INNODB_SYS_FOREIGN"
    assert DatabaseServer(MYSQL).foreign_keys == "INNODB_FOREIGN"
    assert DatabaseServer({**MYSQL, "version": "5.7.44"}).foreign_keys == "INNODB_SYS_FOREIGN"


def test_statements_are_logged_by_row_where_the_server_can() -> None:
    assert server().writing_isolation == "READ COMMITTED"
    statement = server(log_bin="ON", binlog_format="STATEMENT")
    assert statement.writing_isolation == "REPEATABLE READ"


def test_no_index_where_the_disk_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    assert no_index(TABLE, server(), lock_tables=False) is None
    monkeypatch.setattr(log_table_index, "free_bytes", lambda _directory: 300 << 20)
    assert "An index needs up to" in str(no_index(TABLE, server(), lock_tables=True))


def test_no_purge_where_the_disk_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"/": 10 << 30, "/var": 20 << 20}
    monkeypatch.setattr(log_table_server, "free_bytes", lambda place: free[place])
    assert short_of_room(server()) is None
    logged = server(log_bin="1", log_bin_basename="/var/binlog")
    assert "/var has 20 MiB left" in str(short_of_room(logged))


@pytest.mark.parametrize(
    ("table", "variables", "sentence"),
    [
        (replace(TABLE, engine="myisam"), {}, "engine myisam locks"),
        (TABLE, {"wsrep_on": "ON"}, "Galera"),
        (replace(TABLE, refusal="It is not."), {}, "It is not."),
    ],
)
def test_no_index_that_would_stop_everybody(table: Table, variables: Any, sentence: str) -> None:
    assert sentence in str(no_index(table, server(**variables), lock_tables=False))
    if not table.refusal:
        assert no_index(table, server(**variables), lock_tables=True) is None


def test_an_index_never_waits_long_for_the_table() -> None:
    locked = [Unanswered("busy", 1205), Unanswered("busy", 1205), ()]
    client: Any = Server(ALTER=locked)
    assert add_index(client, TABLE, online=True, seconds=600) is None
    assert len(client.asked) == 3
    assert all(limits.lock <= 2 for limits in client.limits)
    assert client.asked[0] == (
        "ALTER TABLE `blog`.`wp_aiowps_audit_log` ADD INDEX `wpward_created` (`created`), "
        "ALGORITHM=INPLACE, LOCK=NONE;"
    )
    stubborn: Any = Server(ALTER=Unanswered("busy", 1205))
    assert "holds the table all the time" in str(add_index(stubborn, TABLE, True, 600))
    assert len(stubborn.asked) == 5
    unable: Any = Server(ALTER=Unanswered("no", 1846))
    assert "while others write" in str(add_index(unable, TABLE, True, 600))
    assert len(unable.asked) == 1
    with pytest.raises(Unanswered):
        add_index(Server(ALTER=Unanswered("full", 1114)), TABLE, True, 600)  # type: ignore[arg-type]


def purge(batches: Any, pace: Pace | None = None, **options: Any) -> Any:
    client: Any = Server(
        **{"DELETE": batches, "SELECT HEX(CONVERT(MIN": rows(["1", "1000"]), **options}
    )
    age = Age("`created` < 5", 1.0, None)
    work = Purge(client, server(), TABLE, age, pace or Pace(max_load=1e9), time.monotonic() + 600)
    return client, work


def test_a_purge_goes_on_to_its_end_in_the_order_of_the_keys() -> None:
    client, work = purge([[["400", "500", "90000"]], [["500", "1000", "120000"]]])
    done = work.run()
    assert (done.deleted, done.batches, done.stopped) == (900, 2, None)
    assert round(done.longest, 2) == 0.12
    deletes = [one for one in client.asked if "DELETE" in one]
    assert "`id` > 0 AND `id` <= @wpward_until AND `created` < 5" in deletes[0]
    assert "`id` > 500 AND" in deletes[1] and "GET_LOCK('wpward_log_tables', 5)" in deletes[0]


def test_batches_are_adapted_to_their_time() -> None:
    _client, work = purge([])
    sizes = []
    for took in (0.01, 0.01, 2.0, 2.0, 0.21):
        work._adapt(took)
        sizes.append(work._rows)
    assert sizes == [750, 1125, 281, 70, 70]


def test_a_batch_that_takes_too_long_is_tried_smaller() -> None:
    late = Unanswered("late", 1969)
    client, work = purge([late, late, [["1", "1000", "1"]]])
    done = work.run()
    assert done.stopped is None and done.batches == 1
    limits = [one.split("LIMIT ")[1].split(",")[0] for one in client.asked if "DELETE" in one]
    assert limits == ["499", "124", "30"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Unanswered("gone", 2013), "gone"),
        (Unanswered("locked", 1205), "locked"),
        (rows(["0", None, "5"]), "Another wpward purge"),
    ],
)
def test_what_ends_a_purge_is_told(answer: Any, sentence: str) -> None:
    _client, work = purge(answer)
    done = work.run()
    assert sentence in done.stopped and done.deleted == 0


def test_a_purge_stops_when_replicas_load_or_disk_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = rows(["1", "1", "1"])
    behind = rows(
        ["Sending binlog event to slave"], ["Master has sent all binlog to slave; waiting"]
    )
    _client, work = purge(batch, Pace(max_load=1e9, patience=0), **{"Binlog Dump": behind})
    assert work.run().stopped == "Replicas that have not been sent the newest changes yet: 1."
    _client, work = purge(batch, Pace(max_load=0, patience=0))
    assert "The load is" in work.run().stopped
    monkeypatch.setattr(log_table_purge, "short_of_room", lambda _server: "Full.")
    _client, work = purge(batch)
    assert work.run().stopped == "Full."


def test_nothing_to_purge_is_no_batch() -> None:
    client, work = purge([], **{"SELECT HEX(CONVERT(MIN": rows([None, None])})
    client._answers["SELECT HEX(CONVERT(MIN"] = rows([None, None])
    assert work.run().batches == 0 and not [one for one in client.asked if "DELETE" in one]


RUNNING = (
    ("7", "wp", "blog", "800", "DELETE FROM `wp_aiowps_audit_log` WHERE created < 5", "1000"),
    ("8", "wp", "blog", "9", "DELETE FROM wp_2_aiowps_audit_log WHERE created < 5", None),
    ("9", "wp", "news", "9", "DELETE FROM wp_aiowps_audit_log WHERE created < 5", None),
    ("10", "wp", "blog", "9", "SELECT * FROM wp_aiowps_audit_log", None),
    ("11", "system user", "blog", "9", "DELETE FROM wp_aiowps_audit_log", None),
)


def test_only_statements_that_change_the_table_are_in_the_way() -> None:
    client: Any = Server(PROCESSLIST=RUNNING)
    (only,) = running_on(client, TABLE)
    assert only.id == 7 and only.is_delete
    assert only.cost == "Killing it takes about 800 seconds of rollback and brings back 1000 rows."


def test_nobody_is_killed_unless_asked_for() -> None:
    client: Any = Server(PROCESSLIST=RUNNING)
    killed, busy = make_way(client, TABLE, 0, kill=False)
    assert killed == [] and "800 seconds of rollback" in str(busy)
    assert not [one for one in client.asked if "KILL" in one]
    client = Server(PROCESSLIST=[RUNNING, ()])
    killed, busy = make_way(client, TABLE, 5, kill=True)
    assert [one.id for one in killed] == [7] and busy is None
    assert "KILL QUERY 7;" in client.asked


def test_an_alter_is_never_killed() -> None:
    altering = (("7", "root", "blog", "8", "ALTER TABLE wp_aiowps_audit_log FORCE", None),)
    client: Any = Server(PROCESSLIST=altering)
    killed, busy = make_way(client, TABLE, 0, kill=True)
    assert killed == [] and "Statement 7 of root" in str(busy)


def test_one_process_of_ours_per_host(tmp_path: Path) -> None:
    busy = pytest.raises(Busy, match="at work on this host's log tables")
    with only_one(0, str(tmp_path)), busy, only_one(0, str(tmp_path)):
        pass
    with only_one(0, str(tmp_path)):
        pass
    (tmp_path / "log_tables.lock").unlink()
    (tmp_path / "log_tables.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError), only_one(0, str(tmp_path)):
        pass
    assert not (tmp_path / "victim").exists()


def test_the_lock_is_in_a_directory_of_roots() -> None:
    assert log_table_wait.DIRECTORY == "/run/wpward"
