# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits raised where they do not act."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import limits_trap
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

_PASSWD = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nmysql:x:105:112::/:\n"
_GROUP = "www-data:x:33:\nmysql:x:112:\nweb:x:500:deploy,www-data\n"


class Host:
    """Its files, and the processes that run on it."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base = base
        self.limits: dict[int, int | None] = {}
        self.processes: list[Process] = []
        monkeypatch.setattr(limits_trap, "ROOT", str(base))
        monkeypatch.setattr(limits_trap, "PROC", str(base / "proc"))
        monkeypatch.setattr(limits_trap, "open_file_limits", lambda pid: (self.limits[pid], 8192))
        self.write("/etc/passwd", _PASSWD)
        self.write("/etc/group", _GROUP)

    def write(self, path: str, text: str, modified: float = 1000.0) -> None:
        file = self.base / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (modified, modified))

    def run(
        self,
        service: str,
        limit: int | None,
        uid: int = 33,
        role: str = "worker",
        unit: str | None = "",
        started: float = 2000.0,
    ) -> None:
        pid = 10 + len(self.processes)
        unit = f"{service}.service" if unit == "" else unit
        self.limits[pid] = limit
        self.write(f"/proc/{pid}/status", f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{uid}\t{uid}\n")
        self.processes.append(Process(pid, 1, service, role, "", None, started, unit, False))

    def find(self) -> list[dict[str, Any]]:
        return limits_trap.find(self.processes)


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_incident_with_nginx(host: Host) -> None:
    host.write(
        "/etc/security/limits.conf",
        "# a comment\n*  soft nofile 16384\n*\thard\tnofile 32768 # raised\n* soft nproc 9\n",
    )
    host.run("nginx", 1024, uid=0, role="master")
    host.run("nginx", 1024)
    (trap,) = host.find()
    assert trap["id"] == "limits_conf_ineffective"
    assert (trap["server"], trap["file"], trap["line"]) == (
        "nginx",
        "/etc/security/limits.conf",
        3,
    )
    assert trap["text"] == "*\\thard\\tnofile 32768 # raised"
    assert (trap["site"], trap["size"]) == (None, None)
    assert "asks for 32768 open files for *, but nginx runs with 8192" in trap["detail"]
    assert "LimitNOFILE in a drop-in of nginx.service and a restart" in trap["detail"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("www-data soft nofile 4096", True),
        ("www-data - nofile unlimited", True),
        ("@web soft nofile 4096", True),
        ("* hard nofile 9000", True),
        ("* hard nofile 8192", False),
        ("@mysql soft nofile 4096", False),
        ("mysql soft nofile 4096", False),
        ("root soft nofile 4096", False),
        ("* soft nofile 1024", False),
        ("* soft nofile many", False),
        ("* soft nofile", False),
        ("#* soft nofile 4096", False),
    ],
)
def test_only_a_line_for_the_user_that_asks_for_more(host: Host, line: str, found: bool) -> None:
    host.write("/etc/security/limits.d/90-web.conf", line + "\n")
    host.write("/etc/security/limits.d/README", "* hard nofile 99999\n")
    host.run("php-fpm", 1024)
    assert bool(host.find()) is found


def test_the_wildcard_is_not_for_root(host: Host) -> None:
    host.write("/etc/security/limits.conf", "* soft nofile 4096\n")
    host.run("httpd", 1024, uid=0)
    assert host.find() == []


def test_a_drop_in_that_waits_for_a_restart(host: Host) -> None:
    path = "/etc/systemd/system/php-fpm.service.d/limits.conf"
    host.write(path, "[Service]\nLimitNOFILE=16384\n", modified=3000)
    host.run("php-fpm", 1024, role="master")
    # A reload's new worker.
    host.run("php-fpm", 1024, started=4000.0)
    (trap,) = host.find()
    assert (trap["file"], trap["line"], trap["text"]) == (path, 2, "LimitNOFILE=16384")
    assert "systemctl restart php-fpm.service" in trap["detail"]


def test_a_drop_in_that_something_lowers(host: Host) -> None:
    folder = "/etc/systemd/system/mariadb.service.d"
    host.write(f"{folder}/10.conf", "[Service]\nLimitNOFILE=infinity\n")
    host.write(f"{folder}/20.conf", "[Service]\nLimitNOFILE = 32768:65536\n")
    host.run("mariadb", 20000, uid=105, role="master")
    (trap,) = host.find()
    assert trap["file"] == f"{folder}/20.conf"
    assert "container or kernel does not allow more" in trap["detail"]


def test_a_unit_is_compared_with_its_last_line(host: Host) -> None:
    folder = "/etc/systemd/system/nginx.service.d"
    host.write(f"{folder}/10.conf", "[Service]\nLimitNOFILE=65536\n")
    host.write(f"{folder}/20.conf", "[Service]\nLimitNOFILE=16384\n")
    host.run("nginx", 16384)
    assert host.find() == []


def test_apachectl_sets_its_own(host: Host) -> None:
    host.write("/usr/sbin/apachectl", "#!/bin/sh\n# ulimit -n 1\nulimit -n 8192 || true\n")
    host.write("/etc/systemd/system/apache2.service.d/x.conf", "[Service]\nLimitNOFILE=16384\n")
    host.run("httpd", 8192, unit="apache2.service")
    (trap,) = host.find()
    assert "/usr/sbin/apachectl sets 8192" in trap["detail"]
    assert "APACHE_ULIMIT_MAX_FILES" in trap["detail"]


def test_the_lowest_limit_of_the_workers_counts(host: Host) -> None:
    host.write("/etc/security/limits.conf", "* soft nofile 4096\n")
    host.run("nginx", 16384)
    host.run("nginx", 2048)
    (trap,) = host.find()
    assert "runs with 2048" in trap["detail"]


def test_a_healthy_host_has_none(host: Host) -> None:
    host.write("/etc/security/limits.conf", "* - nofile 65536\n")
    host.write("/usr/lib/systemd/system/mariadb.service", "[Service]\nLimitNOFILE=524288\n")
    host.run("nginx", 65536)
    host.run("php-fpm", None)
    host.run("mariadb", 65536, uid=105, role="master")
    assert host.find() == []
    assert limits_trap.find([]) == []
