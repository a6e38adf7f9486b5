# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Labelled hosts: what each is, and what a plan has to find on it.

The attacks are the published lines of real incidents at their published rates, and scaled; the
benign traffic is what legitimate users of the same endpoints send, at several sizes. The label is
the verdict on the site and the ids of all findings, with the severity where it is unusual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from unit.plan_traffic import (
    MIDNIGHT,
    Request,
    evenly,
    evidence,
    incident,
    iso,
    many,
    row,
    sessions,
)

GIB = 1 << 30
STRANGER = ["203.0.113.9"]


@dataclass(frozen=True)
class Labelled:
    make: Callable[[], dict[str, Any]]
    verdict: str
    findings: frozenset[str]


CASES: dict[str, Labelled] = {}


def labelled(verdict: str, *findings: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def note(make: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        CASES[make.__name__] = Labelled(make, verdict, frozenset(findings))
        return make

    return note


def jetpack(per_hour: float = 60, hours: float = 24) -> list[Request]:
    return evenly(per_hour, hours, _jetpack_addresses(), claim="jetpack")


def _jetpack_addresses() -> list[str]:
    return [f"192.0.80.{number}" for number in range(1, 21)]


def flood(name: str, per_second: float, minutes: float, status: str | None = None) -> list[Request]:
    """The incident's own lines over and over."""
    lines = incident(name)
    return [
        (
            48000 + number / per_second,
            lines[number % len(lines)][0],
            status or lines[number % len(lines)][1],
            "POST",
            "googlebot" if name.startswith("nginx-499") else None,
        )
        for number in range(round(per_second * minutes * 60))
    ]


# --- attacks


@labelled("attack", "xmlrpc_attack", "claims_false", "user_names_open")
def one_address_three_a_second() -> Any:
    return evidence(row(flood("nginx-499-flood.log", 3, 120)))


@labelled("attack", "xmlrpc_attack", "behind_cdn", "user_names_open")
def ten_edges_36_a_second() -> Any:
    return evidence(row(flood("httpd-cloudfront-edges.log", 36.7, 40)))


@labelled("attack", "xmlrpc_attack medium", "behind_cdn")
def ten_edges_refused() -> Any:
    return evidence(row(flood("httpd-cloudfront-edges.log", 36.7, 40, "403")))


@labelled("attack", "xmlrpc_attack medium")
def refused_but_for_some_in_a_hundred() -> Any:
    passed = evenly(144, 1, many(9))
    return evidence(row(evenly(3456, 1, many(9), "403") + passed))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def half_refused() -> Any:
    return evidence(row(evenly(3600, 1, many(9), "403") + evenly(3600, 1, many(9))))


@labelled("attack", "xmlrpc_attack", "behind_cdn", "user_names_open")
def three_in_five_through_edges() -> Any:
    edges = [f"70.132.61.{number}" for number in range(10)]
    return evidence(row(evenly(4320, 1, edges) + evenly(2880, 1, many(5))))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def one_in_five_through_edges() -> Any:
    edges = [f"70.132.61.{number}" for number in range(10)]
    return evidence(row(evenly(1440, 1, edges) + evenly(5760, 1, many(5))))


@labelled("attack", "xmlrpc_low_and_slow", "claims_false", "user_names_open")
def a_request_a_minute_from_1400_addresses() -> Any:
    return evidence(row(evenly(60, 24, many(1400), claim="googlebot")))


@labelled("attack", "xmlrpc_low_and_slow", "user_names_open")
def half_a_request_a_minute_from_new_addresses() -> Any:
    return evidence(row(evenly(30, 12, many(360))))


@labelled("attack", "xmlrpc_low_and_slow", "user_names_open")
def one_address_for_every_second_request() -> Any:
    return evidence(row(evenly(60, 24, many(720))))


@labelled("attack", "xmlrpc_low_and_slow", "user_names_open")
def the_same_in_the_name_of_an_app() -> Any:
    return evidence(row(evenly(60, 24, many(720), claim="wordpress_app")))


@labelled("attack", "xmlrpc_low_and_slow", "behind_cdn", "user_names_open")
def a_request_a_minute_behind_edges() -> Any:
    edges = [f"70.132.61.{number}" for number in range(10)]
    return evidence(row(evenly(60, 24, edges)))


@labelled("attack", "xmlrpc_low_and_slow", "user_names_open", "xmlrpc_needed")
def low_and_slow_beneath_jetpack() -> Any:
    return evidence(row(evenly(60, 24, many(1400)) + jetpack(200)))


@labelled("attack", "xmlrpc_attack", "user_names_open", "xmlrpc_needed")
def ten_minutes_beneath_jetpack() -> Any:
    return evidence(row(evenly(30000, 1 / 6, many(9), start=85000) + jetpack(2400)))


@labelled("aftermath", "xmlrpc_attack", "xmlrpc_open", "user_names_open", "xmlrpc_needed")
def the_same_some_hours_ago() -> Any:
    return evidence(row(evenly(30000, 1 / 6, many(9), start=70000) + jetpack(2400)))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_that_pauses_since_half_an_hour() -> Any:
    return evidence(row(evenly(7200, 1, many(9), start=80000)), collected_at=iso(MIDNIGHT + 85400))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_in_the_name_of_an_app() -> Any:
    return evidence(row(evenly(7200, 0.5, many(5), claim="wordpress_app")))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def two_a_second_for_ten_minutes() -> Any:
    return evidence(row(evenly(7200, 1 / 6, many(3))))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def four_and_a_half_a_second_for_a_minute() -> Any:
    return evidence(row(evenly(16200, 1 / 60, STRANGER)))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def twenty_a_minute_for_forty_minutes() -> Any:
    return evidence(row(evenly(1200, 2 / 3, many(10), start=36000)))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def twenty_a_minute_above_a_level_of_three() -> Any:
    own = evenly(180, 24, STRANGER)
    return evidence(row(own + evenly(1200, 2 / 3, many(10), start=82000)))


@labelled("attack", "xmlrpc_attack", "claims_false", "user_names_open")
def sixty_posts_of_a_false_search_engine() -> Any:
    return evidence(row(evenly(10, 6, many(20), claim="googlebot")))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_of_get_requests() -> Any:
    return evidence(row(evenly(18000, 1, many(5), "405", "GET")))


@labelled("attack", "login_attack", "user_names_open")
def passwords_at_the_login_page() -> Any:
    return evidence(row(evenly(3600, 1, many(30)), "login"))


@labelled("attack", "login_attack", "user_names_open")
def one_password_a_minute_from_new_addresses() -> Any:
    return evidence(row(evenly(60, 24, many(1400)), "login"))


@labelled("attack", "login_attack", "user_names_open")
def passwords_of_which_one_in_ten_is_right() -> Any:
    right = evenly(9, 24, many(40, "198.51"), "302")
    return evidence(row(evenly(60, 24, many(1400)) + right, "login"))


@labelled("attack", "xmlrpc_attack", "user_names_told high")
def a_flood_after_the_names_were_told() -> Any:
    names = row(evenly(10, 2, many(4, "198.51"), "200", "GET"), "rest_users")
    return evidence(names, row(evenly(7200, 1, many(9))))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_that_does_not_say_which_site() -> Any:
    return evidence(row(evenly(7200, 1, many(9)), site=None))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_while_an_editor_writes() -> Any:
    editor = row(evenly(3, 2, ["198.51.100.20"], "200", "GET"), "rest_users")
    return evidence(editor, row(evenly(7200, 1, many(9))))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_while_a_newsroom_writes() -> Any:
    editors = many(12, "198.51")
    return evidence(
        row(evenly(60, 10, editors, "200", "GET"), "rest_users"),
        row(evenly(3, 10, editors, "302"), "login"),
        row(evenly(7200, 1, many(9), start=32400)),
    )


@labelled("attack", "xmlrpc_attack", "user_names_told high")
def a_flood_by_who_asks_for_names_and_fails_to_log_in() -> Any:
    addresses = many(4, "198.51")
    return evidence(
        row(evenly(10, 2, addresses, "200", "GET"), "rest_users"),
        row(evenly(5, 2, addresses), "login"),
        row(evenly(7200, 1, many(9), start=3600)),
    )


@labelled("attack", "xmlrpc_attack", "behind_cdn", "user_names_open")
def a_flood_of_two_minutes_through_a_proxy_of_ones_own() -> Any:
    return evidence(row(evenly(60_000, 1 / 30, ["127.0.0.1"])))


# --- what nobody can tell


@labelled("probing", "xmlrpc_probed")
def a_program_every_minute_and_its_evening_peak() -> Any:
    return evidence(row(evenly(240, 24, STRANGER) + evenly(600, 1, STRANGER, start=68400)))


@labelled("probing", "xmlrpc_probed")
def an_app_that_never_rests() -> Any:
    return evidence(row(evenly(300, 24, ["198.51.100.4"], claim="wordpress_app")))


@labelled("attack", "xmlrpc_attack", "user_names_open", "xmlrpc_needed")
def addresses_of_jetpack_that_somebody_forges() -> Any:
    return evidence(row(evenly(130_000, 0.2, _jetpack_addresses(), claim="jetpack")))


@labelled("probing", "xmlrpc_probed")
def few_addresses_forty_an_hour() -> Any:
    return evidence(row(evenly(40, 24, many(100))))


@labelled("probing", "user_names_told")
def user_numbers_in_one_go() -> Any:
    return evidence(row(evenly(3600, 10 / 3600, STRANGER, "301", "GET"), "author_by_id"))


@labelled("probing", "user_names_told")
def one_address_asks_in_two_ways() -> Any:
    return evidence(
        row(evenly(2, 1, STRANGER, "301", "GET"), "author_by_id"),
        row(evenly(2, 1, STRANGER, "200", "GET"), "rest_users"),
    )


# --- benign


@labelled("quiet")
def jetpack_all_day() -> Any:
    return evidence(row(jetpack(120)))


@labelled("quiet")
def jetpack_synchronises_a_shop() -> Any:
    return evidence(row(jetpack(120) + evenly(18000, 0.5, _jetpack_addresses(), claim="jetpack")))


@labelled("quiet")
def jetpack_behind_edges() -> Any:
    return evidence(
        row(evenly(60, 24, [f"70.132.61.{number}" for number in range(10)], claim="jetpack"))
    )


@labelled("quiet")
def one_phone() -> Any:
    return evidence(row(sessions(4, 25, ["198.51.100.4"], "wordpress_app")))


@labelled("quiet")
def a_newsroom_of_phones() -> Any:
    return evidence(row(sessions(120, 12, many(120, "198.51"), "wordpress_app")))


@labelled("quiet")
def phones_that_change_their_address() -> Any:
    return evidence(row(sessions(300, 4, many(300, "198.51"), "wordpress_app")))


@labelled("quiet")
def a_phone_uploads_pictures() -> Any:
    return evidence(row(evenly(900, 0.2, ["198.51.100.4"], claim="wordpress_app")))


@labelled("quiet")
def an_unknown_editor_synchronises() -> Any:
    return evidence(row(evenly(4800, 1 / 20, ["198.51.100.4"])))


@labelled("quiet")
def the_same_within_the_last_half_hour() -> Any:
    busy = evenly(6000, 1 / 20, ["198.51.100.4"], start=600)
    return evidence(row(busy, window=1800, step=60))


@labelled("quiet")
def an_unknown_editor_at_work() -> Any:
    return evidence(row(evenly(720, 0.25, ["198.51.100.4"], start=30000)))


@labelled("quiet")
def a_writer_once_a_day() -> Any:
    return evidence(row(sessions(1, 12, ["198.51.100.4"], "live_writer")))


@labelled("quiet")
def a_writer_through_the_evening() -> Any:
    return evidence(row(evenly(12, 4, ["198.51.100.4"], start=64800)))


@labelled("quiet")
def pingbacks_of_a_popular_post() -> Any:
    ebb = [(60, 0), (40, 1), (30, 2), (22, 3), (15, 4), (10, 5), (8, 6), (5, 7), (4, 8)]
    senders = many(200, "198.51")
    return evidence(
        row(
            [
                one
                for rate, hour in ebb
                for one in evenly(rate, 1, senders[hour * 20 :], start=36000 + hour * 3600)
            ]
        )
    )


@labelled("quiet")
def a_monitor_every_minute() -> Any:
    return evidence(row(evenly(60, 24, ["198.51.100.4"], "405", "HEAD")))


@labelled("quiet")
def crawlers_follow_the_link_in_the_head() -> Any:
    return evidence(row(evenly(4, 24, many(9), "200", "GET", "googlebot")))


@labelled("quiet")
def the_noise_that_every_site_gets() -> Any:
    return evidence(
        row(evenly(4, 24, many(90), "403") + evenly(0.5, 24, many(9), claim="googlebot")),
        row(evenly(3, 24, many(70), "404", "GET"), "author_by_id"),
        row(evenly(1, 24, many(20, "198.51"), "200", "GET"), "rest_users"),
        row(evenly(5, 24, many(80)), "login"),
    )


@labelled("quiet")
def the_operators_own_proof() -> Any:
    matrix = evenly(18000, 60 / 18000, ["192.0.2.200"])
    names = evenly(18000, 40 / 18000, ["192.0.2.200", "127.8.8.8"], "200", "GET")
    return evidence(row(matrix), row(names, "author_by_id"), row(names, "rest_users"))


@labelled("quiet")
def the_hosts_own_proof_through_loopback() -> Any:
    own = ["127.0.0.1", "192.0.2.10"]
    return evidence(row(evenly(18000, 300 / 18000, own)), row(evenly(9000, 1 / 60, own), "login"))


@labelled("quiet")
def the_hosts_own_proof_beside_edges() -> Any:
    edges = [f"70.132.61.{number}" for number in range(10)]
    proof = evenly(18000, 300 / 18000, ["127.0.0.1", "192.0.2.10"])
    return evidence(row(proof + evenly(20, 17, edges, claim="jetpack")))


@labelled("quiet")
def a_task_of_the_hosts_own_beside_edges() -> Any:
    edges = [f"70.132.61.{number}" for number in range(10)]
    task = evenly(30, 10, ["127.0.0.1"])
    return evidence(row(task + evenly(40, 10, edges, claim="jetpack")))


@labelled("quiet")
def editors_use_the_list_of_users() -> Any:
    editors = evenly(60, 10, many(12, "198.51"), "200", "GET")
    logins = evenly(3, 10, many(12, "198.51"), "302")
    return evidence(row(editors, "rest_users"), row(logins, "login"))


@labelled("quiet")
def a_search_engine_reads_author_pages() -> Any:
    bot = evenly(600, 0.5, ["66.249.66.1", "66.249.66.2"], "301", "GET", "googlebot")
    sitemap = evenly(1, 24, ["66.249.66.1"], "200", "GET", "googlebot")
    return evidence(row(bot, "author_by_id"), row(sitemap, "users_sitemap"))


@labelled("quiet")
def known_addresses_ask_in_two_ways_among_visitors() -> Any:
    known = ["66.249.66.1", "192.0.2.200"]
    links = evenly(60, 12, many(500, "198.51"), "301", "GET")
    return evidence(
        row(links + evenly(5, 4, known, "301", "GET"), "author_by_id"),
        row(evenly(5, 4, known, "200", "GET"), "users_sitemap"),
    )


@labelled("quiet")
def a_claim_that_nobody_can_check_behind_edges() -> Any:
    edges = [f"70.132.61.{number}" for number in range(10)]
    return evidence(row(evenly(10, 6, edges, claim="googlebot")))


@labelled("quiet")
def visitors_follow_author_links() -> Any:
    return evidence(row(evenly(60, 12, many(500, "198.51"), "301", "GET"), "author_by_id"))


@labelled("quiet")
def a_membership_site_in_the_morning() -> Any:
    members = many(2000, "198.51")
    return evidence(
        row(
            evenly(600, 10, members, "200", "GET")
            + evenly(450, 10, members, "302")
            + evenly(150, 10, members, "200"),
            "login",
        )
    )


# --- hosts


def now(**changes: Any) -> dict[str, Any]:
    return {
        "load": [0.5, 0.4, 0.3],
        "cpus": 2,
        "pressure": None,
        "memory": {"total": 2 * GIB, "available": GIB, "swap_total": GIB, "swap_free": GIB},
        "disks": [
            {"mount": "/", "size": 40 * GIB, "available": 9 * GIB, "inodes": 100, "inodes_free": 90}
        ],
        "workers": [],
        "connections": {"established": 3, "half_open": 0, "peers": []},
        "busiest": [],
        "open_files": {"used": 1000, "max": 100000},
        **changes,
    }


def errors(kind: str, count: int) -> list[dict[str, Any]]:
    return [
        {
            "service": "php-fpm",
            "kind": kind,
            "log": "/var/log/php8.2-fpm.log",
            "count": count,
            "first": None,
            "last": None,
            "sample": "server reached pm.max_children setting (5), consider raising it",
        }
    ]


def memory(available: float, swap_free: int, pressure: float | None = None) -> dict[str, Any]:
    some = {"avg10": 0.0, "avg60": pressure, "avg300": 0.0}
    return now(
        memory={
            "total": 2 * GIB,
            "available": int(available * 2 * GIB),
            "swap_total": GIB,
            "swap_free": swap_free,
        },
        pressure=None if pressure is None else {"memory": {"some": some, "full": some}},
    )


def prefork(limit: int) -> dict[str, Any]:
    return {
        "httpd": {"mpm": "prefork", "limits": {"MaxRequestWorkers": limit}},
        "now": now(
            workers=[
                {
                    "service": "httpd",
                    "count": 11,
                    "pss_total": 11 * 40 << 20,
                    "pss_mean": 40 << 20,
                    "pss_max": 50 << 20,
                    "sampled": 11,
                }
            ]
        ),
    }


def database(rows: int, indexed: bool, **changes: Any) -> dict[str, Any]:
    return {
        "reachable": True,
        "reason": None,
        "version": "10.11.19-MariaDB",
        "statements": [],
        "tables": [
            {
                "schema": "blog",
                "table": "wp_aiowps_audit_log",
                "plugin": "all-in-one-wp-security-and-firewall",
                "rows": rows,
                "bytes": rows * 800,
                "purge_column": "created",
                "indexed": indexed,
                "oldest": "2026-09-01T00:00:00Z",
            }
        ],
        "slow_log": {"enabled": True, "file": None, "seconds": 4.0},
        **changes,
    }


def statement(seconds: float, text: str) -> list[dict[str, Any]]:
    return [
        {
            "id": 222,
            "user": "blog",
            "schema": "blog",
            "seconds": seconds,
            "state": "Updating",
            "text": text,
        }
    ]


@labelled("quiet", "fpm_exhausted")
def workers_taken_again_and_again() -> Any:
    return evidence(errors=errors("fpm_max_children", 12))


@labelled("quiet", "fpm_exhausted medium")
def workers_taken_once() -> Any:
    return evidence(errors=errors("fpm_max_children", 1))


@labelled("attack", "xmlrpc_attack", "user_names_open", "fpm_exhausted")
def workers_taken_once_under_a_flood() -> Any:
    return evidence(row(evenly(7200, 1, many(9))), errors=errors("fpm_max_children", 1))


@labelled("attack", "xmlrpc_attack critical", "user_names_open", "fpm_exhausted")
def workers_taken_again_and_again_under_a_flood() -> Any:
    return evidence(row(evenly(7200, 1, many(9))), errors=errors("fpm_max_children", 12))


@labelled("quiet", "php_not_answering")
def php_often_too_late() -> Any:
    return evidence(errors=errors("nginx_upstream_timeout", 60))


@labelled("quiet")
def php_too_late_now_and_then() -> Any:
    return evidence(errors=errors("nginx_upstream_timeout", 6))


@labelled("quiet", "workers_exhausted")
def httpd_says_it_once_per_start() -> Any:
    return evidence(errors=errors("httpd_max_request_workers", 1))


@labelled("quiet", "swapping")
def processes_wait_for_memory() -> Any:
    return evidence(now=memory(0.2, GIB // 2, 30))


@labelled("quiet")
def swap_full_of_what_nobody_needs() -> Any:
    return evidence(now=memory(0.2, 0, 3))


@labelled("quiet", "swapping")
def no_memory_left_on_an_old_kernel() -> Any:
    return evidence(now=memory(0.02, 0))


@labelled("quiet")
def enough_memory_on_an_old_kernel() -> Any:
    return evidence(now=memory(0.15, 0))


def _disk(available: float) -> Any:
    disk = {"mount": "/", "size": 15 * GIB, "available": int(available * 15 * GIB)}
    return evidence(now=now(disks=[{**disk, "inodes": 0, "inodes_free": 0}]))


@labelled("quiet", "disk_full")
def a_disk_with_two_per_cent_left() -> Any:
    return _disk(0.02)


@labelled("quiet")
def a_disk_with_six_per_cent_left() -> Any:
    return _disk(0.06)


@labelled("quiet")
def a_boot_partition_that_is_full_by_design() -> Any:
    disk = {"mount": "/boot", "size": 500 << 20, "available": 10 << 20}
    return evidence(now=now(disks=[{**disk, "inodes": 0, "inodes_free": 0}]))


@labelled("quiet", "workers_oversized")
def workers_for_more_memory_than_there_is() -> Any:
    return evidence(**prefork(45))


@labelled("quiet")
def workers_that_fit() -> Any:
    return evidence(**prefork(30))


def _files(used: int) -> Any:
    return evidence(
        processes=[
            {
                "service": "nginx",
                "role": "worker",
                "pid": 77,
                "nofile": {"soft": 1024, "hard": 4096},
                "open_fds": used,
            }
        ]
    )


@labelled("quiet", "open_files_exhausted")
def nearly_all_files_open() -> Any:
    return _files(950)


@labelled("quiet")
def half_of_the_files_open() -> Any:
    return _files(600)


@labelled("aftermath", "audit_table_large", "audit_index_missing", "xmlrpc_open")
def an_audit_table_of_half_a_million_rows() -> Any:
    return evidence(database=database(500_000, False))


@labelled("aftermath", "audit_index_missing", "xmlrpc_open")
def a_growing_table_without_an_index() -> Any:
    return evidence(database=database(90_000, False))


@labelled("aftermath", "audit_table_large low", "xmlrpc_open")
def a_large_table_with_an_index() -> Any:
    return evidence(database=database(500_000, True))


@labelled("quiet")
def an_activity_log_in_order() -> Any:
    return evidence(database=database(150_000, True))


@labelled("quiet")
def a_small_table_without_an_index() -> Any:
    return evidence(database=database(30_000, False))


def _short_rows(rows: int, indexed: bool) -> Any:
    made = database(rows, indexed)
    made["tables"][0]["bytes"] = rows * 100
    return evidence(database=made)


@labelled("aftermath", "audit_table_large low", "xmlrpc_open")
def a_large_table_of_short_rows() -> Any:
    return _short_rows(500_000, True)


@labelled("aftermath", "audit_index_missing", "xmlrpc_open")
def a_growing_table_of_short_rows() -> Any:
    return _short_rows(90_000, False)


@labelled("aftermath", "audit_table_large", "audit_index_missing", "xmlrpc_open")
def a_table_whose_rows_are_deleted_but_not_cleared_away() -> Any:
    late = database(24_407, False)
    late["tables"][0]["bytes"] = 187 << 20
    return evidence(database=late)


@labelled("aftermath", "audit_index_missing critical", "xmlrpc_open")
def a_database_that_takes_a_core() -> Any:
    return evidence(database=database(90_000, False), now=_busiest(1.1))


@labelled("aftermath", "audit_index_missing", "xmlrpc_open")
def an_idle_hosts_busiest_process() -> Any:
    return evidence(database=database(90_000, False), now=_busiest(0.2))


def _busiest(share: float) -> dict[str, Any]:
    return now(busiest=[{"pid": 5, "name": "mariadbd", "cpu_share": share}])


@labelled(
    "aftermath",
    *("database_long_statement", "audit_table_large", "audit_index_missing", "xmlrpc_open"),
)
def a_purge_that_runs_and_runs() -> Any:
    purge = "DELETE FROM wp_aiowps_audit_log WHERE created < ?"
    return evidence(database=database(30_000, False, statements=statement(90, purge)))


@labelled("quiet")
def a_purge_that_takes_ten_seconds() -> Any:
    purge = "DELETE FROM wp_aiowps_audit_log WHERE created < ?"
    return evidence(database=database(30_000, False, statements=statement(10, purge)))


@labelled("quiet")
def a_backup_reads_the_posts() -> Any:
    dump = "SELECT /*!40001 SQL_NO_CACHE */ * FROM `wp_posts`"
    return evidence(database=database(30_000, False, statements=statement(600, dump)))


# --- what there is to understand an attack later


def recorder(program: str | None, interval: int | None = None) -> dict[str, Any]:
    return {
        "program": program,
        "active": interval is not None,
        "interval": interval,
        "kept_days": None,
        "samples": [],
    }


def rotation(days: int | None) -> list[dict[str, Any]]:
    return [
        {
            "file": "/etc/logrotate.d/nginx",
            "server": "nginx",
            "frequency": "daily",
            "rotate": days,
            "kept_days": days,
        }
    ]


@labelled("attack", "xmlrpc_attack", "user_names_open", "recorder_missing")
def a_flood_that_nothing_records() -> Any:
    return evidence(row(evenly(7200, 1, many(9))), recorder=recorder(None))


@labelled("attack", "xmlrpc_attack", "user_names_open", "recorder_missing")
def a_flood_between_two_samples() -> Any:
    return evidence(row(evenly(7200, 1, many(9))), recorder=recorder("sysstat", 600))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_that_is_recorded() -> Any:
    return evidence(row(evenly(7200, 1, many(9))), recorder=recorder("atop", 60))


@labelled("quiet", "fpm_exhausted", "recorder_missing")
def a_host_in_trouble_that_nothing_records() -> Any:
    return evidence(errors=errors("fpm_max_children", 12), recorder=recorder("atop"))


@labelled("quiet", "fpm_exhausted medium")
def a_burst_of_visitors_that_nothing_records() -> Any:
    burst = errors("fpm_max_children", 1)
    return evidence(errors=burst, recorder=recorder(None), log_rotation=rotation(3))


@labelled("quiet")
def a_healthy_host_without_a_recorder_and_with_short_logs() -> Any:
    phone = sessions(4, 25, ["198.51.100.4"], "wordpress_app")
    return evidence(row(phone), recorder=recorder(None), log_rotation=rotation(3))


@labelled("attack", "xmlrpc_attack", "user_names_open", "logs_kept_short")
def a_flood_whose_beginning_is_soon_deleted() -> Any:
    return evidence(row(evenly(7200, 1, many(9))), log_rotation=rotation(14))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_with_four_weeks_of_logs() -> Any:
    return evidence(row(evenly(7200, 1, many(9))), log_rotation=rotation(28))


@labelled("attack", "xmlrpc_attack", "user_names_open")
def a_flood_that_nobody_looked_for_a_recorder_at() -> Any:
    flood = row(evenly(7200, 1, many(9)))
    return evidence(flood, recorder=None, log_rotation=rotation(None))


@labelled("aftermath", "audit_table_large", "audit_index_missing", "xmlrpc_open", "slow_log_off")
def a_large_table_and_no_slow_log() -> Any:
    off = {"enabled": False, "file": None, "seconds": 10.0}
    return evidence(database=database(500_000, False, slow_log=off))
