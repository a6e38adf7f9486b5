# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence's ``capacity`` as a whole: whose limit is whose, and what a pool takes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    capacity_services,
    capacity_state,
    cgroup_limits,
    open_file_ceiling,
    php_fpm_capacity,
    pressure,
    processes,
    worker_memory,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.capacity_state import Servers
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import Sample

MIB = 1 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
NONE = Servers(None, None)


class Host:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.proc = base / "proc"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "self/mountinfo").write_text(
            f"30 20 0:26 / {base}/cgroup rw - cgroup2 cgroup rw\n"
        )
        (self.proc / "meminfo").write_text("MemTotal: 4194304 kB\nMemAvailable: 2097152 kB\n")
        self.running: list[Process] = []
        self.problems = Problems()

    def add(
        self,
        pid: int,
        service: str,
        parent: int = 1,
        group: str = "/",
        pss: int = 0,
        pool: str | None = None,
    ) -> None:
        folder = self.proc / str(pid)
        folder.mkdir()
        (folder / "cgroup").write_text(f"0::{group}\n")
        (folder / "statm").write_text(f"9 {2 * pss // PAGE} 8\n")
        (folder / "smaps_rollup").write_text(f"Pss: {pss // 1024} kB\n")
        (folder / "environ").write_text("NUMBER=9\0HOME=/\0")
        unit = group.rpartition("/")[2]
        php = service == "php-fpm" and parent == 1
        self.running.append(
            Process(
                pid,
                parent,
                service,
                "master" if parent == 1 else "worker",
                "",
                str(self.base / "php-fpm") if php else None,
                0.0,
                unit if unit.endswith(".service") else None,
                False,
                pool,
                str(self.base / "php-fpm.conf") if php else None,
            )
        )

    def group(self, name: str, **files: object) -> None:
        folder = self.base / "cgroup" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_text(f"{content}\n")

    def describe(self) -> Any:
        memory = Sample(self.running)
        assert memory.read(time.monotonic() + 5)
        found = capacity_state.describe(
            self.running, NONE, memory, time.monotonic() + 5, self.problems
        )
        # It travels as JSON, so it must be plain.
        assert json.loads(json.dumps(found)) == found
        return found


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    modules = (cgroup_limits, open_file_ceiling, php_fpm_capacity, pressure, processes)
    for module in (*modules, worker_memory):
        monkeypatch.setattr(module, "PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(capacity_services, "main_processes", lambda units, seconds: {})
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    return Host(tmp_path)


def test_nothing_runs(host: Host) -> None:
    assert host.describe() is None


def test_without_limits_the_host_is_the_limit(host: Host) -> None:
    host.add(10, "nginx", group="/system.slice/nginx.service")
    host.add(11, "nginx", 10, pss=3 * MIB)
    host.add(12, "nginx", 10, pss=5 * MIB)
    found = host.describe()
    assert found["memory"] == {
        "total": 4096 * MIB,
        "available": 2048 * MIB,
        "limited_by": None,
    }
    assert found["cpus"] == 3.0
    assert (found["nginx"], found["httpd"], found["php_fpm"]) == (None, None, [])
    (row,) = found["services"]
    assert row["worker_pss"] == {
        "mean": 4 * MIB,
        "max": 5 * MIB,
        "private": 0,
        "shared": 8 * MIB,
        "sampled": 2,
    }
    assert row["memory_limit"] is None


def test_a_group_of_all_limits_the_host_and_that_of_one_the_service(host: Host) -> None:
    host.add(10, "nginx", group="/system.slice/nginx.service")
    host.add(20, "httpd", group="/system.slice/apache2.service")
    host.group("system.slice", memory__max=1024 * MIB, memory__current=900 * MIB)
    host.group("system.slice/apache2.service", memory__max=256 * MIB, cpu__max="150000 100000")
    found = host.describe()
    assert found["memory"] == {
        "total": 1024 * MIB,
        "available": 124 * MIB,
        "limited_by": f"{host.base}/cgroup/system.slice",
    }
    limits = {row["service"]: row["memory_limit"] for row in found["services"]}
    assert limits == {"nginx": None, "httpd": 256 * MIB}
    assert found["cpus"] == 1.5


def test_the_unit_of_a_single_service_is_its_own(host: Host) -> None:
    host.add(20, "httpd", group="/httpd.service")
    host.group("httpd.service", memory__max=256 * MIB)
    found = host.describe()
    assert found["memory"]["limited_by"] is None
    assert found["services"][0]["memory_limit"] == 256 * MIB


def test_the_unit_of_a_whole_stack_holds_all(host: Host) -> None:
    host.add(20, "httpd", group="/bitnami.service")
    host.add(30, "nginx", group="/bitnami.service")
    host.group("bitnami.service", memory__max=256 * MIB, memory__current=300 * MIB)
    found = host.describe()
    assert found["memory"] == {
        "total": 256 * MIB,
        "available": 0,
        "limited_by": "bitnami.service",
    }
    assert [row["memory_limit"] for row in found["services"]] == [None, None]


def test_a_limit_above_what_the_host_has_is_none(host: Host) -> None:
    host.add(20, "httpd", group="/a.slice/httpd.service")
    host.group("a.slice", memory__max=5000 * MIB)
    assert host.describe()["memory"]["limited_by"] is None


def test_each_pool_has_its_own_workers(host: Host) -> None:
    (host.base / "php-fpm").write_text("#!/bin/sh\necho 'PHP 8.2.31 (fpm-fcgi) (built: x)'\n")
    (host.base / "php-fpm").chmod(0o755)
    (host.base / "php-fpm.conf").write_text(
        f"[global]\nprocess.max = 40\ninclude={host.base}/pool.d/*.conf\n"
    )
    (host.base / "pool.d").mkdir()
    (host.base / "pool.d/a.conf").write_text(
        "[www]\nuser = www-data\nlisten = /run/$pool.sock\npm = dynamic\n"
        "pm.max_children = ${NUMBER}\nlisten.backlog = 511\nrequest_terminate_timeout = 2m\n"
        "php_admin_value[memory_limit] = 256M\nnonsense\n"
    )
    (host.base / "pool.d/b.conf").write_text("[shop]\npm = static\npm.max_children = 3\n")
    host.add(30, "php-fpm", group="/php-fpm.service")
    host.add(31, "php-fpm", 30, pss=20 * MIB, pool="www")
    host.add(32, "php-fpm", 30, pss=40 * MIB, pool="www")
    host.add(33, "php-fpm", 30, pss=70 * MIB, pool="shop")
    host.add(34, "php-fpm", 99, pss=900 * MIB, pool="shop")
    (found,) = host.describe()["php_fpm"]
    pools = found.pop("pools")
    program, path = str(host.base / "php-fpm"), str(host.base / "php-fpm.conf")
    assert found == {
        "unit": "php-fpm.service",
        "version": "8.2.31",
        "binary": program,
        "config_path": path,
        "include_directory": str(host.base / "pool.d"),
        "process_max": 40,
        "test": [program, "-t", "-y", path],
    }
    assert pools[0] == {
        "name": "www",
        "file": str(host.base / "pool.d/a.conf"),
        "user": "www-data",
        "listen": "/run/www.sock",
        "pm": "dynamic",
        "max_children": 9,
        "start_servers": None,
        "min_spare_servers": None,
        "max_spare_servers": None,
        "backlog": 511,
        "rlimit_files": None,
        "request_terminate_timeout": 120,
        "memory_limit": 256 * MIB,
        "workers": 2,
        "pss_mean": 30 * MIB,
        "pss_max": 40 * MIB,
        "private": 0,
        "shared": 60 * MIB,
    }
    assert (pools[1]["max_children"], pools[1]["workers"]) == (3, 1)
    assert pools[1]["pss_max"] == 70 * MIB
    assert [one["id"] for one in host.problems.describe()] == ["php_fpm_config_unread"]


def test_a_php_that_does_not_say_what_it_reads_is_a_problem(host: Host) -> None:
    host.add(30, "php-fpm")
    host.running[0] = Process(30, 1, "php-fpm", "master", "", None, 0.0, None, False)
    assert host.describe()["php_fpm"] == []
    assert [one["id"] for one in host.problems.describe()] == ["php_fpm_unknown"]
