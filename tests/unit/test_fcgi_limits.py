# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many requests a process of httpd may have with php-fpm, and where no limit is given."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_plan import capacity_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.fcgi_limits import (
    Threads,
    limit_of_a_process,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.capacity_evidence import applied, event, of, pool

DEBIAN = Threads(processes=6, start=2, threads=25, spare=25)
RHEL = Threads(processes=16, start=3, threads=25, spare=75)


@pytest.mark.parametrize(
    ("threads", "children", "most"),
    [
        (DEBIAN, 5, 13),
        (DEBIAN, 16, 19),
        (DEBIAN, 40, 20),
        # Threads that hardly exceed the children are the limit themselves.
        (DEBIAN, 60, None),
        (RHEL, 5, 8),
        (RHEL, 50, 20),
        (Threads(1, 1, 1, 1), 1, None),
    ],
)
def test_the_limit_follows_from_the_processes_that_will_run(
    threads: Threads, children: int, most: int | None
) -> None:
    assert limit_of_a_process(threads, children) == most


@given(st.builds(Threads, *(st.integers(1, 400) for _ in range(4))), st.integers(1, 500))
def test_every_child_is_kept_busy_and_threads_are_left(threads: Threads, children: int) -> None:
    most = limit_of_a_process(threads, children)
    if most is not None:
        assert 0 < most < threads.threads
        assert threads.running(most) * most >= children
        assert threads.running(most) <= threads.processes


def worker(*sockets: str, name: str = "fcgi://localhost", **changes: Any) -> dict[str, Any]:
    return {"name": name, "sockets": list(sockets), "defined": None, "limit": None, **changes}


def asking(*workers: dict[str, Any], pools: Any = (), **fcgi: Any) -> dict[str, Any]:
    """httpd with the event MPM that asks php-fpm through these workers."""
    made = event(150, 6, StartServers=2, MinSpareThreads=25)
    made["capacity"]["httpd"]["fcgi"] = {
        "workers": list(workers),
        "passed": [],
        "passes": [],
        **fcgi,
    }
    if pools:
        made["capacity"]["php_fpm"][0]["pools"] = list(pools)
    return made


WWW = worker("/run/php/www.sock")
SHOP = pool("shop", children=5)


def test_a_worker_of_one_pool_gets_a_limit_and_a_second_run_changes_nothing() -> None:
    made = asking(WWW)
    plan = capacity_plan(made)
    settings = of(plan, "httpd")["settings"]
    assert settings == {"fcgi": [{"name": "fcgi://localhost", "max": 17, "acquire": 1000}]}
    row = plan["workers"][-1]
    assert (row["pool"], row["before"], row["after"], row["limit"]) == ("www", 25, 17, "queue")
    assert "10 PHP workers and a queue of 40" in row["reason"] and "503" in row["reason"]
    again = capacity_plan(applied(made, plan))
    assert of(again, "httpd")["settings"] == {} and plan["notes"] == again["notes"] == []


def test_numbers_that_an_earlier_run_set_stay_in_the_file() -> None:
    made = asking(WWW)
    made["capacity"]["httpd"]["ours"] = True
    assert of(capacity_plan(made), "httpd")["settings"]["MaxRequestWorkers"] == 150


def test_a_socket_below_var_run_is_the_same() -> None:
    pools = [{**pool(), "listen": "/var/run/php/www.sock"}]
    assert of(capacity_plan(asking(WWW, pools=pools)), "httpd")["settings"]["fcgi"]


def test_pools_with_names_of_their_own_have_limits_of_their_own() -> None:
    shop = worker("/run/php/shop.sock", name="fcgi://shop")
    plan = capacity_plan(asking(WWW, shop, pools=[pool(), SHOP]))
    names = [one["name"] for one in of(plan, "httpd")["settings"]["fcgi"]]
    assert names == ["fcgi://localhost", "fcgi://shop"]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (
            asking(worker("/run/php/www.sock", "/run/php/shop.sock"), pools=[pool(), SHOP]),
            "the pools www and shop share the worker fcgi://localhost",
        ),
        (asking(WWW, pools=[pool(), SHOP]), "does not tell how pool shop is reached"),
        (
            asking({**WWW, "defined": "/etc/apache2/conf-enabled/own.conf:3"}),
            "own.conf:3 sets the worker fcgi://localhost itself, and stays as it is",
        ),
        (asking(worker("/run/other.sock")), "no pool of php-fpm is known to listen at"),
    ],
)
def test_what_a_limit_would_harm_is_left_alone_and_told(made: dict[str, Any], why: str) -> None:
    plan = capacity_plan(made)
    assert of(plan, "httpd")["settings"] == {}
    assert why in " ".join(plan["notes"])


def test_what_only_its_own_line_can_limit_is_told() -> None:
    plan = capacity_plan(asking(passed=["/run/php/www.sock"], passes=["/etc/x.conf:9"]))
    assert of(plan, "httpd")["settings"] == {}
    [note] = plan["notes"]
    assert note.startswith("/etc/x.conf:9 has a worker of its own") and "add max=17 acquire" in note


def test_no_limits_without_workers_nor_for_an_httpd_without_threads() -> None:
    assert of(capacity_plan(asking(WWW), {"workers": False}), "httpd")["settings"] == {}
    made = asking(WWW)
    made["capacity"]["httpd"]["mpm"] = "prefork"
    assert "fcgi" not in of(capacity_plan(made), "httpd")["settings"]
