# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Incident D on a host of little memory: more workers than fit, the flood that kills them, and role
capacity, after which the same flood only makes visitors wait.

XML-RPC stays open and nobody is banned: the number of workers alone is what is tried. The same with
php-fpm is in bench/capacity.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.endpoints.role import inside
from integration.play import play
from testbed import clients, hosts, memory, worker_flood

HERE = Path(__file__).parent
MEMORY = "700m"
PLUGINS = 24
"""MiB that the site's plugins hold in each request."""
RAISED = 200
"""Workers that the operator allows, as the error log advises."""
SECONDS = 12.0
NAME = "fd-httpd"


@dataclass(frozen=True)
class Story:
    """What happened on the host: flooded with the raised number, fitted, flooded again."""

    host: hosts.Host
    before: dict[str, Any]
    said: dict[str, Any]
    after: dict[str, Any]

    @property
    def row(self) -> dict[str, Any]:
        """What the plan says about the PHP workers."""
        [row] = [row for row in self.said["plan"]["workers"] if row["service"] != "nginx"]
        return dict(row)


@pytest.fixture(scope="module")
def several() -> Iterator[clients.Clients]:
    yield clients.up("fd-clients", count=30)
    hosts.down(["fd-clients"])


@pytest.fixture(scope="module")
def story(
    make_host: Callable[..., hosts.Host],
    several: clients.Clients,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    host = make_host(NAME, web="httpd-prefork", memory_limit=MEMORY)
    worker_flood.prepare(host, PLUGINS)
    worker_flood.raise_workers(host, RAISED)
    before = worker_flood.play(host, several, seconds=SECONDS)
    # The hard reset with which the day ended, and visitors, who make the workers grow.
    host = hosts.reboot(NAME, crash=True)
    worker_flood.warm_up(host)
    save_to = tmp_path_factory.mktemp("said") / "said.json"
    play(HERE / "capacity_flood" / "fit.yml", host, capacity_run="flood", save_to=str(save_to))
    after = worker_flood.play(host, several, seconds=SECONDS)
    return Story(host, before, json.loads(save_to.read_text()), after)


def served(visitor: dict[str, Any]) -> int:
    return int(visitor["statuses"].get("200", 0))


def test_raising_the_number_kills_the_database_and_the_site(story: Story) -> None:
    before = story.before
    assert before["oom_kills"] > 0, before
    most = max(one.count for one in before["samples"])
    assert most > story.row["after"], before
    # Fast answers are none: they are an error page of a site without its database.
    late = before["visitor"]["latency_ms"].get("p95", 0) > 5000
    assert late or served(before["visitor"]) < before["visitor"]["sent"] / 2, before


def test_the_number_that_fits_is_lowered_with_the_arithmetic_shown(story: Story) -> None:
    row = story.row
    assert row["before"] == RAISED and 2 <= row["after"] < RAISED / 4, row
    assert row["limit"] == "memory" and row["reason"], row
    first = story.said["plan"]["arithmetic"][0]
    assert first["bytes"] == memory.counters(story.host.pid).limit, first


def test_afterwards_nothing_is_killed_and_visitors_are_served(story: Story) -> None:
    after = story.after
    assert after["oom_kills"] == 0, after
    assert after["database"], after
    assert served(after["visitor"]) == after["visitor"]["sent"] > 0, after


def test_no_worker_is_above_the_budget(story: Story) -> None:
    counts = [one.count for one in story.after["samples"]]
    assert max(counts) == story.row["after"], counts


def test_connections_that_do_not_fit_are_dropped_and_counted(story: Story) -> None:
    assert story.after["refused_connections"] > 0, story.after


def test_the_arithmetic_predicts_the_memory_of_all_workers(story: Story) -> None:
    full = [one.pss for one in story.after["samples"] if one.count == story.row["after"]]
    measured = max(full)
    predicted = story.said["plan"]["predicted"]["bytes"]
    assert abs(predicted - measured) <= 0.2 * measured, (predicted, measured, story.row)


def test_the_site_still_works_when_it_is_over(story: Story) -> None:
    time.sleep(1)
    seen = clients.traffic("latency", story.host.address, seconds=5, count=5, interval=0.1)
    assert served(seen) == 5, seen
    assert inside(story.host, "systemctl", "is-active", "mariadb").strip() == "active"
