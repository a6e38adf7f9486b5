# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which processes are a service's, and whether systemd can restart it by itself."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    capacity_services,
    database_client,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.capacity_services import (
    describe,
    find,
    main_processes,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

LIMITS = {10: 1024, 11: 1024, 12: 8192, 20: None, 21: 4096}


def process(
    pid: int,
    service: str = "nginx",
    role: str = "worker",
    parent: int = 1,
    unit: str | None = "nginx.service",
    leaving: bool = False,
) -> Process:
    return Process(pid, parent, service, role, "", None, 0.0, unit, leaving)


MASTER = process(10, role="master")
WORKERS = [process(11, parent=10), process(12, parent=10)]


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        capacity_services, "open_file_limits", lambda pid: (LIMITS.get(pid), LIMITS.get(pid))
    )
    monkeypatch.setattr(capacity_services, "user_of", lambda pid: (f"user{pid}", frozenset()))


def rows(
    running: list[Process], monkeypatch: pytest.MonkeyPatch, known: dict[str, int] | None
) -> list[dict[str, Any]]:
    monkeypatch.setattr(capacity_services, "main_processes", lambda units, seconds: known)
    return list(describe(find(running), running, 5))


def test_a_service_with_a_unit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows([MASTER, *WORKERS], monkeypatch, {"nginx.service": 10}) == [
        {
            "service": "nginx",
            "unit": "nginx.service",
            "manageable": True,
            "refusal": None,
            "account": "user11",
            "nofile": {"lowest": 1024, "highest": 8192, "processes": 3},
            "workers": 2,
            "dropin_directory": "/etc/systemd/system/nginx.service.d",
        }
    ]


def test_only_children_of_the_master_that_stay_are_its_workers() -> None:
    running = [
        MASTER,
        *WORKERS,
        process(13, parent=10, leaving=True),
        # Somebody's own program that bears the name.
        process(14, parent=900, unit="user@1000.service"),
    ]
    (service,) = find(running)
    assert [one.pid for one in service.processes] == [10, 11, 12]


def test_of_several_masters_php_alone_has_all() -> None:
    running = [
        MASTER,
        process(15, role="master"),
        process(20, "php-fpm", "master", unit="php8.1-fpm.service"),
        process(21, "php-fpm", "master", unit="php8.2-fpm.service"),
        process(22, "php-fpm", parent=21),
    ]
    found = [(one.name, one.master.pid, len(one.workers)) for one in find(running)]
    assert found == [("nginx", 10, 0), ("php-fpm", 20, 0), ("php-fpm", 21, 1)]


def test_a_database_of_an_account_that_is_none_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = process(os.getpid(), "mariadb", "master", unit="mariadb.service")
    monkeypatch.setattr(database_client, "_ACCOUNTS", ())
    assert find([server]) == []
    own = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(database_client, "_ACCOUNTS", (own,))
    assert [one.name for one in find([server])] == ["mariadb"]


@pytest.mark.parametrize(
    ("unit", "others", "known", "words"),
    [
        (None, [], {}, "was not started by systemd"),
        ("ssh.service", [], {"ssh.service": 4}, "not the main process of ssh.service"),
        ("nginx.service", [], None, "systemd does not answer"),
        ("nginx.service", [], {}, "not the main process"),
        (
            "bitnami.service",
            [
                process(20, "php-fpm", "master", unit="bitnami.service"),
                process(30, "mariadb", "master", unit="bitnami.service"),
            ],
            {"bitnami.service": 10},
            "would stop mariadb and php-fpm too",
        ),
    ],
)
def test_what_systemd_cannot_restart_by_itself(
    unit: str | None,
    others: list[Process],
    known: dict[str, int] | None,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = rows([process(10, role="master", unit=unit), *others], monkeypatch, known)[0]
    assert row["manageable"] is False
    assert words in row["refusal"]
    assert row["dropin_directory"] is None
    assert (row["unit"], row["account"]) == (unit, "user10")


def test_limits_that_are_not_known_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    running = [process(20, role="master"), process(11, parent=20)]
    row = rows(running, monkeypatch, {"nginx.service": 20})[0]
    assert row["nofile"] == {"lowest": 1024, "highest": 1024, "processes": 2}
    row = rows(running[:1], monkeypatch, {"nginx.service": 20})[0]
    assert row["nofile"] == {"lowest": None, "highest": None, "processes": 1}


def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_main_processes_come_in_the_order_of_the_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(tmp_path, monkeypatch, 'echo MainPID=7; echo; echo MainPID=0; echo "$@" > $0.said')
    assert main_processes(["a.service", "b.service"], 5) == {"a.service": 7, "b.service": 0}
    said = (tmp_path / "systemctl.said").read_text()
    assert said == "show -p MainPID -- a.service b.service\n"
    assert main_processes([], 5) == {}


@pytest.mark.parametrize("script", ["exit 1", "echo MainPID=7", "sleep 5", "echo Bad >&2; exit 4"])
def test_a_systemd_that_does_not_answer(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(tmp_path, monkeypatch, script)
    assert main_processes(["a.service", "b.service"], 0.3) is None
