# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes as /proc shows them, on a /proc made for the test and on the real one."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import processes
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    controller_address,
    describe,
    open_file_limits,
    open_files,
    running,
)

_LIMITS = (
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             10                   20                   processes \n"
    "Max open files            {soft:<20} {hard:<20} files     \n"
)


class Proc:
    """A /proc with the files that are read."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "uptime").write_text("1000.00 1.00\n")
        (base / "self/ns").mkdir(parents=True)
        (base / "self/ns/pid").symlink_to("pid:[1]")

    def add(
        self,
        pid: int,
        command: str,
        title: str,
        parent: int = 1,
        ticks: int = 100,
        binary: str = "/usr/sbin/x",
        namespace: str = "pid:[1]",
        cgroup: str = "0::/system.slice/nginx.service",
        state: str = "S",
        environ: str = "",
        users: str = "0 0 0 0",
    ) -> None:
        base = self.base / str(pid)
        (base / "ns").mkdir(parents=True)
        (base / "fd").mkdir()
        for number in range(3):
            (base / "fd" / str(number)).touch()
        (base / "ns/pid").symlink_to(namespace)
        fields = [state, str(parent), *["0"] * 17, str(ticks), "0"]
        (base / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n")
        (base / "cmdline").write_text(title.replace(" ", "\0") + "\0")
        (base / "exe").symlink_to(binary)
        (base / "cgroup").write_text(cgroup + "\n")
        (base / "limits").write_text(_LIMITS.format(soft=1024, hard=20000))
        (base / "environ").write_text(environ)
        (base / "status").write_text(f"Name: {command}\nUid:\t{users}\nGid:\t0\t0\t0\t0\n")


@pytest.fixture()
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    monkeypatch.setattr(processes, "PROC", str(tmp_path))
    return Proc(tmp_path)


@pytest.mark.parametrize(
    ("users", "is_roots"),
    [("0 0 0 0", True), ("33 33 33 33", False), ("33 0 0 0", False), ("0 33 33 33", False)],
)
def test_a_name_does_not_make_a_process_roots(proc: Proc, users: str, is_roots: bool) -> None:
    proc.add(10, "nginx", "nginx: master process /tmp/nginx", users=users)
    (process,) = running()
    assert process.is_roots is is_roots


def test_own_accounts() -> None:
    assert processes.accounts(os.getpid()) == {os.getuid(), os.geteuid()}
    assert processes.accounts(2**22 + 1) == frozenset()


def test_the_web_stack_is_found_by_what_it_is(proc: Proc) -> None:
    proc.add(10, "nginx", "nginx: master process /usr/sbin/nginx -g daemon on;", ticks=100)
    proc.add(11, "nginx", "nginx: worker process", parent=10, ticks=200)
    proc.add(12, "nginx", "nginx: worker process is shutting down", parent=10, ticks=150)
    proc.add(13, "nginx", "nginx -t", ticks=300)
    proc.add(20, "php-fpm8.2", "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)")
    proc.add(21, "php-fpm8.2", "php-fpm: pool www", parent=20)
    proc.add(30, "mariadbd", "/usr/sbin/mariadbd")
    proc.add(40, "bash", "grep nginx: master process")
    proc.add(41, "nginx", "", state="Z")
    proc.add(50, "nginx", "nginx: master process nginx", namespace="pid:[2]")
    found = {one.pid: (one.service, one.role, one.leaving) for one in running()}
    assert found == {
        10: ("nginx", "master", False),
        11: ("nginx", "worker", False),
        12: ("nginx", "worker", True),
        20: ("php-fpm", "master", False),
        21: ("php-fpm", "worker", False),
        30: ("mariadb", "master", False),
    }


def test_httpd_under_its_names(proc: Proc) -> None:
    proc.add(10, "apache2", "/usr/sbin/apache2 -k start")
    proc.add(11, "apache2", "/usr/sbin/apache2 -k start", parent=10)
    proc.add(12, "apache2", "/usr/sbin/apache2 -t", parent=1)
    proc.add(20, "httpd", "/opt/bitnami/apache/bin/httpd -f /opt/bitnami/apache/conf/httpd.conf")
    proc.add(21, "httpd.bin", "httpd.bin", parent=20)
    proc.add(30, "httpd", "httpd -p 8080", binary="/bin/busybox")
    proc.add(40, "mysqld.bin", "mysqld.bin")
    proc.add(41, "httpd-helper", "httpd-helper")
    found = {one.pid: (one.service, one.role) for one in running()}
    assert found == {
        10: ("httpd", "master"),
        11: ("httpd", "worker"),
        20: ("httpd", "master"),
        21: ("httpd", "worker"),
        40: ("mariadb", "master"),
    }


def test_php_fpm_names_its_pools_and_configuration(proc: Proc) -> None:
    proc.add(20, "php-fpm8.2", "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)")
    proc.add(21, "php-fpm8.2", "php-fpm: pool www", parent=20)
    master, worker = running()
    assert (master.config_path, master.pool) == ("/etc/php/8.2/fpm/php-fpm.conf", None)
    assert (worker.config_path, worker.pool) == (None, "www")


def test_the_title_of_a_process_that_waits_for_the_disk_is_not_read(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.add(10, "nginx", "nginx: master process nginx")
    proc.add(11, "nginx", "nginx: worker process", parent=10, state="D")
    proc.add(20, "php-fpm8.2", "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)")
    proc.add(21, "php-fpm8.2", "php-fpm: pool www", parent=20, state="D")
    proc.add(30, "apache2", "apache2")
    proc.add(31, "apache2", "apache2", parent=30)
    read: list[str] = []
    original = processes.text_of

    def text_of(path: str) -> str | None:
        read.append(path)
        return original(path)

    monkeypatch.setattr(processes, "text_of", text_of)
    assert {one.pid: one.role for one in running()} == {
        10: "master",
        11: "worker",
        20: "master",
        21: "worker",
        30: "master",
        31: "worker",
    }
    titles = {path.split("/")[-2] for path in read if path.endswith("/cmdline")}
    assert titles == {"10", "20", "30"}


def test_hundreds_of_workers_make_a_bounded_description(proc: Proc) -> None:
    proc.add(10, "apache2", "apache2")
    for pid in range(100, 150):
        proc.add(pid, "apache2", "apache2", parent=10)
    proc.add(200, "mariadbd", "mariadbd")
    assert len(running()) == 52
    services = [row["service"] for row in describe(running())]
    assert (services.count("httpd"), services.count("mariadb")) == (33, 1)


def test_unit_start_and_binary(proc: Proc) -> None:
    proc.add(10, "nginx", "nginx: master process nginx", binary="/usr/sbin/nginx (deleted)")
    proc.add(11, "nginx", "nginx: worker process", ticks=5000, cgroup="1:name=systemd:/user.slice")
    master, worker = running()
    assert (master.unit, worker.unit) == ("nginx.service", None)
    assert master.binary == "/usr/sbin/nginx"
    expected = 4900 / os.sysconf("SC_CLK_TCK")
    assert worker.started - master.started == pytest.approx(expected, abs=0.01)


def test_limits_and_descriptors_come_from_proc(proc: Proc) -> None:
    proc.add(10, "nginx", "nginx: master process nginx")
    assert list(describe(running())) == [
        {
            "service": "nginx",
            "role": "master",
            "pid": 10,
            "nofile": {"soft": 1024, "hard": 20000},
            "open_fds": 3,
        }
    ]
    (proc.base / "10/limits").write_text(_LIMITS.format(soft=1024, hard="unlimited"))
    assert open_file_limits(10) == (1024, None)


def test_a_process_that_ends_meanwhile_is_no_error(proc: Proc) -> None:
    assert open_file_limits(99) == (None, None)
    assert open_files(99) is None
    (proc.base / "77").mkdir()
    (proc.base / "78").mkdir()
    (proc.base / "78/stat").write_text("78 (nginx")
    assert running() == []


def test_the_real_limits_of_this_process() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    expected = tuple(None if one == resource.RLIM_INFINITY else one for one in (soft, hard))
    assert open_file_limits(os.getpid()) == expected
    assert (open_files(os.getpid()) or 0) > 2


def test_the_controller_is_found_through_sudo(proc: Proc) -> None:
    own = os.getpid()
    proc.add(own, "python3", "python3", parent=31, environ="SUDO_USER=deploy\0")
    proc.add(31, "sudo", "sudo", parent=30)
    proc.add(30, "sh", "sh", environ="A=1\0SSH_CONNECTION=192.0.2.7 5000 192.0.2.1 22\0B=2\0")
    assert controller_address() == "192.0.2.7"


def test_without_ssh_there_is_no_controller_address(proc: Proc) -> None:
    proc.add(os.getpid(), "python3", "python3", parent=1)
    assert controller_address() is None
