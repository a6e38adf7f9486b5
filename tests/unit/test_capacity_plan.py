# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits and numbers of workers, planned from evidence."""

from __future__ import annotations

from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_plan import capacity_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.worker_numbers import pool_numbers
from hypothesis import given
from hypothesis import strategies as st
from unit.capacity_evidence import (
    GIB,
    MIB,
    applied,
    event,
    evidence,
    httpd,
    line,
    master,
    mod_php,
    of,
    pool,
    service,
)
from unit.plan_traffic import evidence as host_evidence


def pools(plan: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = of(plan, "php-fpm")["settings"]["pools"]
    return found


# --- incident D


def test_212_workers_on_a_small_host_are_lowered_and_the_arithmetic_says_why() -> None:
    plan = capacity_plan(mod_php(212, 40, total=2 * GIB))
    [row] = plan["workers"]
    assert (row["setting"], row["before"], row["after"]) == ("MaxRequestWorkers", 212, 30)
    assert (row["limit"], row["each"]) == ("memory", 40 * MIB)
    assert [(one["what"], one["bytes"] // MIB) for one in plan["arithmetic"]] == [
        ("usable memory", 2048),
        ("less the reserve for the system", 512),
        ("less the database", 240),
        ("left for PHP workers", 1296),
        ("one worker of httpd", 43),
        ("30 workers of httpd", 1290),
    ]
    assert plan["arithmetic"][-1]["how"] == (
        "212 workers of 43 MiB each may take 8.9 GiB, but 1.3 GiB are left for PHP, which carry 30."
    )
    assert "(wpward_capacity_reserve)" in plan["arithmetic"][1]["how"]
    assert "176 MiB) and 64 MiB for the program itself" in plan["arithmetic"][2]["how"]
    assert "PSS 40 MiB on average" in plan["arithmetic"][4]["how"]
    assert plan["predicted"] == {"bytes": 30 * 40 * MIB}
    assert of(plan, "httpd")["settings"] == {
        "MaxRequestWorkers": 30,
        "ListenBacklog": 120,
    }
    assert (plan["refusal"], plan["notes"]) == ("", [])


def test_even_the_minimum_may_not_fit() -> None:
    plan = capacity_plan(mod_php(212, 40, total=GIB // 4))
    assert plan["workers"][0]["after"] == 2
    assert plan["refusal"] == ""
    assert plan["notes"] == [
        "The PHP workers do not fit in memory even at 2 in all: they may take 86 MiB, and 0 bytes "
        "are left for them, 86 MiB too little. Give the host more memory, or lower the buffers of "
        "the database."
    ]
    assert all(one["bytes"] >= 0 for one in plan["arithmetic"])


def test_spare_servers_fit_under_a_low_maximum() -> None:
    made = mod_php(
        150, 40, total=600 * MIB, MinSpareServers=5, MaxSpareServers=None, ServerLimit=400
    )
    numbers = of(capacity_plan(made), "httpd")["settings"]
    assert numbers == {
        "MaxRequestWorkers": 4,
        "ServerLimit": 400,
        "MinSpareServers": 2,
        "MaxSpareServers": 4,
        "ListenBacklog": 32,
    }


def test_more_workers_than_server_limit_need_it_raised() -> None:
    made = mod_php(10, 40, total=400 * GIB, cpus=64, ServerLimit=16)
    numbers = of(capacity_plan(made), "httpd")["settings"]
    assert (numbers["MaxRequestWorkers"], numbers["ServerLimit"]) == (512, 512)


def test_what_httpd_reads_later_wins_and_the_operator_is_told() -> None:
    made = mod_php(212, 40, total=2 * GIB)
    made["capacity"]["httpd"]["overriding"] = "/etc/apache2/sites-enabled/a.conf:3"
    plan = capacity_plan(made)
    assert of(plan, "httpd")["settings"] == {}
    assert plan["workers"][0]["after"] == 212
    assert (
        "httpd reads /etc/apache2/sites-enabled/a.conf:3 after any file of ours"
        in (plan["notes"][0])
    )
    assert "set MaxRequestWorkers to 30 yourself" in plan["notes"][0]
    assert "do not fit in memory" in plan["notes"][1]


# --- php-fpm


def test_debians_pool_is_raised_and_its_queue_shortened() -> None:
    plan = capacity_plan(evidence(total=8 * GIB))
    assert pools(plan) == [
        {
            "name": "www",
            "max_children": 16,
            "start_servers": 2,
            "min_spare_servers": 1,
            "max_spare_servers": 3,
            "backlog": 64,
            "request_terminate_timeout": None,
            "rlimit_files": None,
        }
    ]
    assert line(plan, "less nginx")["bytes"] == 4 * MIB


@given(
    pm=st.sampled_from(["dynamic", "static", "ondemand"]),
    children=st.integers(1, 300),
    start=st.none() | st.integers(1, 100),
    least=st.none() | st.integers(1, 100),
    most=st.none() | st.integers(1, 100),
)
def test_php_fpm_accepts_the_spare_numbers(
    pm: str, children: int, start: int | None, least: int | None, most: int | None
) -> None:
    made = pool(pm=pm, start_servers=start, min_spare_servers=least, max_spare_servers=most)
    found = pool_numbers(made, children, 16384, True)
    spare = [found[f"{name}_servers"] for name in ("min_spare", "start", "max_spare")]
    if pm == "dynamic":
        assert 1 <= spare[0] <= spare[1] <= spare[2] <= children
    else:
        assert spare == [None, None, None]


def test_a_static_pool_is_lowered_too() -> None:
    made = evidence(pool(children=100, pm="static"), total=GIB)
    assert pools(capacity_plan(made))[0]["max_children"] == 12


def test_a_short_queue_stays_and_one_over_tcp_too() -> None:
    made = evidence(pool(backlog=20), pool("tcp", listen="127.0.0.1:9000", backlog=511))
    assert of(capacity_plan(made), "php-fpm")["settings"] == {}
    made["capacity"]["php_fpm"][0]["pools"].append(pool("long"))
    assert [one["backlog"] for one in pools(capacity_plan(made))] == [20, 511, 32]


def test_a_pools_own_limit_of_files_is_raised() -> None:
    made = evidence(pool(rlimit_files=4096), pool("big", rlimit_files=100000))
    found = pools(capacity_plan(made))
    assert [one["rlimit_files"] for one in found] == [16384, 100000]


def test_a_pool_at_rest_is_taken_for_like_the_others() -> None:
    idle = pool("idle", children=10, pm="ondemand", workers=0, pss_mean=None, pss_max=None)
    plan = capacity_plan(evidence(pool(children=10), idle))
    assert [one["each"] for one in plan["workers"]] == [40 * MIB, 40 * MIB]
    assert "as in another pool" in line(plan, "one worker of pool idle")["how"]
    alone = capacity_plan(evidence(idle))
    assert alone["workers"][0]["each"] == 6 * MIB


def test_workers_that_hardly_worked_are_not_believed() -> None:
    plan = capacity_plan(evidence(pool(children=200, pss=2), total=GIB))
    assert plan["workers"][0]["each"] == 6 * MIB
    assert plan["workers"][0]["after"] == 58
    assert "hardly worked yet" in line(plan, "one worker")["how"]


def test_what_workers_share_is_taken_off_once() -> None:
    """Of workers that share much, many more fit than their PSS says while there are few."""
    few = pool(children=25, pss=16, private=4 * MIB + 1, shared=24 * MIB)
    plan = capacity_plan(evidence(few, total=GIB))
    assert plan["workers"][0]["each"] == 6 * MIB
    assert line(plan, "less what PHP workers share")["bytes"] == 24 * MIB
    large = pool(children=25, pss=40, private=30 * MIB, shared=20 * MIB)
    plan = capacity_plan(evidence(large, total=4 * GIB))
    assert plan["workers"][0]["each"] == 30 * MIB
    assert plan["predicted"]["bytes"] == 25 * 30 * MIB + 20 * MIB + 2 * 2 * MIB
    assert line(plan, "one worker")["how"].startswith("its own memory at its largest")


def test_the_largest_worker_counts() -> None:
    made = evidence(pool(pss=20, pss_max=100 * MIB))
    plan = capacity_plan(made)
    assert plan["workers"][0]["each"] == 80 * MIB
    assert line(plan, "one worker")["how"].startswith(
        "PSS 20 MiB on average, 100 MiB the largest: 80 % of the largest; and 3.0 MiB of the "
    )


def test_weights_divide_what_is_short() -> None:
    made = evidence(pool("a", children=90), pool("b", children=90), total=4 * GIB)
    plan = capacity_plan(made, {"pool_weights": {"b": "3", "gone": 2}})
    first, second = (one["after"] for one in plan["workers"])
    assert first == 16 and 3 * first <= second <= 3 * first + 3
    assert line(plan, "share of pool b")["how"].startswith("weight 3 of 4")
    assert plan["notes"] == [
        "wpward_capacity_pool_weights names gone, which this host has not; it has a, b."
    ]


def test_two_masters_share_the_memory() -> None:
    made = evidence(total=2 * GIB)
    made["capacity"]["php_fpm"] = [
        master(pool(children=60)),
        master(pool(children=60), unit="php7.4-fpm.service"),
    ]
    made["capacity"]["services"].append(
        service("php-fpm", "php7.4-fpm.service", nofile={"lowest": 16384, "highest": 16384})
    )
    plan = capacity_plan(made)
    assert [one["after"] for one in plan["workers"]] == [15, 15]
    second = plan["services"][-1]
    assert (second["unit"], second["nofile"], second["dropin"]) == (
        "php7.4-fpm.service",
        None,
        None,
    )
    assert second["settings"]["pools"][0]["max_children"] == 15


def test_where_no_file_would_act_the_number_is_told() -> None:
    made = evidence(total=GIB)
    made["capacity"]["php_fpm"] = [master(pool(children=60), include_directory=None)]
    plan = capacity_plan(made)
    assert of(plan, "php-fpm")["settings"] == {}
    assert plan["workers"][0]["after"] == 60
    assert plan["notes"][0].startswith("pm.max_children of pool www stays 60: 60 workers of 43 MiB")
    assert "php-fpm.conf includes no directory in which a file would come last" in plan["notes"][0]


def test_a_whole_stack_in_one_unit_is_left_alone() -> None:
    made = evidence(pool(children=60), total=GIB)
    for row in made["capacity"]["services"]:
        row |= {"manageable": False, "refusal": "bitnami.service runs the whole stack"}
    plan = capacity_plan(made)
    assert all(
        (one["nofile"], one["dropin"], one["file_entries"]) == (None, None, [])
        for one in plan["services"]
    )
    assert of(plan, "php-fpm")["settings"] == {}
    assert (
        "The limits of nginx stay as they are: bitnami.service runs the whole stack."
        in (plan["notes"])
    )
    assert any("set pm.max_children to 12 yourself" in note for note in plan["notes"])


# --- memory


def test_a_smaller_limit_than_the_host_has_is_named() -> None:
    made = evidence()
    made["capacity"]["memory"]["limited_by"] = "web.slice"
    assert "the limit of web.slice" in line(capacity_plan(made), "usable memory")["how"]


def test_a_database_that_takes_more_than_it_says_is_believed() -> None:
    made = evidence()
    made["capacity"]["database"]["pss"] = 900 * MIB
    assert line(capacity_plan(made), "the database") == {
        "what": "less the database",
        "bytes": 900 * MIB,
        "how": "its PSS now",
    }
    made["capacity"]["database"] = None
    made["capacity"]["services"][2]["worker_pss"] = {"mean": 300 * MIB, "max": 300 * MIB}
    assert line(capacity_plan(made), "the database")["bytes"] == 300 * MIB


def test_without_a_database_here_there_is_no_line_for_it() -> None:
    made = evidence(database=None)
    made["capacity"]["services"].pop()
    assert not any("database" in one["what"] for one in capacity_plan(made)["arithmetic"])


def test_other_programs_count_beyond_the_reserve() -> None:
    made = evidence(total=4 * GIB)
    made["capacity"]["memory"]["available"] = 2 * GIB
    other = line(capacity_plan(made), "other programs")
    # In use: 2 GiB, of them 8 MiB by the stack's workers and 90 MiB by the database.
    assert other["bytes"] == 2 * GIB - 8 * MIB - 90 * MIB - GIB
    made["capacity"]["memory"]["available"] = None
    assert not any("other" in one["what"] for one in capacity_plan(made)["arithmetic"])


def test_the_units_own_limit_is_part_of_the_arithmetic() -> None:
    made = evidence(pool(children=60))
    made["capacity"]["services"][1]["memory_limit"] = 500 * MIB
    plan = capacity_plan(made)
    assert plan["workers"][0]["after"] == 11
    assert line(plan, "limit of php8.2-fpm.service")["bytes"] == 500 * MIB


# --- httpd in front of php-fpm


def test_threads_are_cheap() -> None:
    plan = capacity_plan(event(150, 6))
    row = plan["workers"][1]
    assert (row["before"], row["after"], row["limit"]) == (150, 150, "kept")
    assert of(plan, "httpd")["settings"] == {}
    assert line(plan, "less httpd")["bytes"] == 36 * MIB
    # httpd waits in connect() when the queue is full: a short one gains nothing.
    assert pools(plan)[0]["backlog"] is None


def test_too_many_processes_of_httpd_are_lowered_by_whole_processes() -> None:
    plan = capacity_plan(event(4000, 20, ServerLimit=160, MinSpareThreads=75))
    row = plan["workers"][1]
    assert row["limit"] == "memory" and row["after"] % 25 == 0
    processes = row["after"] // 25
    assert processes == 35
    assert of(plan, "httpd")["settings"] == {
        "MaxRequestWorkers": row["after"],
        "ServerLimit": 160,
        "MinSpareThreads": 75,
    }


def test_php_workers_do_not_take_every_thread() -> None:
    made = event(150, 6, children=300)
    made["capacity"]["memory"] = {"total": 128 * GIB, "available": 120 * GIB, "limited_by": None}
    plan = capacity_plan(made)
    assert of(plan, "httpd")["settings"] == {
        "MaxRequestWorkers": 600,
        "ServerLimit": 24,
    }
    again = capacity_plan(applied(made, plan))
    assert of(again, "httpd")["settings"] == {}
    made["capacity"]["httpd"]["overriding"] = "/etc/httpd/conf.d/z.conf:1"
    told = capacity_plan(made)
    assert of(told, "httpd")["settings"] == {}
    assert (
        "z.conf:1 after any file of ours; set MaxRequestWorkers to 600 yourself"
        in (told["notes"][0])
    )


def test_prefork_in_front_of_php_fpm_is_no_php() -> None:
    made = event(400, 6)
    made["capacity"]["httpd"] = httpd("prefork", 400, ServerLimit=400)
    plan = capacity_plan(made)
    assert [one["setting"] for one in plan["workers"]] == ["pm.max_children", "MaxRequestWorkers"]
    assert plan["workers"][1]["after"] == 118
    assert "ListenBacklog" not in of(plan, "httpd")["settings"]


# --- open files


def test_each_service_gets_its_files() -> None:
    made = mod_php(20, 40)
    made["capacity"]["services"].append(service("php-fpm", "php8.2-fpm.service"))
    plan = capacity_plan(made)
    assert [
        (one["service"], one["nofile"], one["apachectl_ulimit"]) for one in plan["services"]
    ] == [
        ("httpd", 16384, True),
        ("mariadb", 16384, False),
        ("php-fpm", 16384, False),
    ]
    assert plan["services"][0]["dropin"] == "/etc/systemd/system/apache2.service.d/wpward.conf"
    assert plan["accounts"] == ["mysql", "www-data"]


def test_a_host_that_allows_less_is_told() -> None:
    plan = capacity_plan(evidence(nofile_ceiling=4096))
    assert {one["nofile"] for one in plan["services"]} == {4096}
    assert (
        "nginx is given 4096 open files instead of 16384 (wpward_capacity_nofile): this host "
        "allows no more." in plan["notes"]
    )


def test_lines_without_effect_are_pointed_out() -> None:
    made = evidence()
    made["traps"] = [
        {"id": "other", "file": "/a", "line": 1, "detail": "No."},
        {
            "id": "limits_conf_ineffective",
            "file": "/etc/security/limits.conf",
            "line": 7,
            "detail": "limits.conf asks for 65535 open files for {{ evil }}, but nginx has 1024.",
        },
    ]
    [note] = capacity_plan(made)["notes"]
    assert note.startswith("/etc/security/limits.conf:7 has no effect: limits.conf asks for 65535")
    assert "{{" not in note


# --- the finding


def findings(made: dict[str, Any]) -> list[dict[str, Any]]:
    whole = host_evidence(capacity=made["capacity"], httpd=made["httpd"])
    return [one for one in make_plan(whole)["findings"] if one["id"] == "workers_oversized"]


def test_the_finding_says_what_the_role_would_do() -> None:
    made = mod_php(212, 40, total=2 * GIB)
    [one] = findings(made)
    assert one["severity"] == "high" and one["title"].startswith("More httpd workers")
    assert one["message"] == f"httpd: {capacity_plan(made)['workers'][0]['reason']}"
    assert findings(applied(made, capacity_plan(made))) == []


def test_pools_that_do_not_fit_are_found_too() -> None:
    made = evidence(pool(children=40), pool("shop", children=40), total=2 * GIB)
    [one] = findings(made)
    assert one["severity"] == "medium" and one["title"].startswith("More PHP workers")
    for name in ("www", "shop"):
        assert f"php-fpm, pool {name}: 40 workers of 43 MiB each" in one["message"]
    # What would be raised is no finding, even if memory is what bounds it.
    assert findings(evidence(pool(children=5), cpus=64)) == []


def test_what_cannot_be_changed_is_found_with_what_to_set() -> None:
    made = evidence(pool(children=60), total=GIB)
    made["capacity"]["php_fpm"][0]["include_directory"] = None
    assert "set pm.max_children to 12 yourself" in findings(made)[0]["message"]
