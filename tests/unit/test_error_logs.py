# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Error logs: real lines count, a client's words do not."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    error_logs,
    kernel_log,
    log_tail,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.error_kinds import KINDS
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

_NOON = 1795262400
"""2026-11-21T12:00:00Z"""

NGINX = "2026/11/21 12:00:00 [%s] 8386#8386: %s"
HTTPD = "[Sat Nov 21 12:00:00.123456 2026] [%s] [pid 77:tid 140] %s"
FPM = "[21-Nov-2026 12:00:00] %s"
_UPSTREAM = (
    ' while connecting to upstream, client: 198.51.100.7, server: blog.example, request: "POST '
    '/xmlrpc.php HTTP/1.1", upstream: "fastcgi://unix:/run/php/php8.2-fpm.sock:", host: "b"'
)

# Captured from nginx 1.22, httpd 2.4 (event and prefork) and 2.2, and php-fpm 8.2.
REAL = [
    (
        "nginx",
        "nginx_worker_connections",
        NGINX % ("alert", "768 worker_connections are not enough"),
    ),
    (
        "nginx",
        "nginx_worker_connections",
        NGINX % ("alert", "*1015 40 worker_connections are not enough" + _UPSTREAM),
    ),
    (
        "nginx",
        "nginx_worker_connections",
        NGINX % ("warn", "768 worker_connections are not enough, reusing connections"),
    ),
    ("nginx", "nginx_open_files", NGINX % ("crit", "accept4() failed (24: Too many open files)")),
    (
        "nginx",
        "nginx_open_files",
        NGINX % ("alert", "*55 socket() failed (24: Too many open files)" + _UPSTREAM),
    ),
    (
        "nginx",
        "nginx_upstream_timeout",
        NGINX
        % (
            "error",
            "*9 upstream timed out (110: Connection timed out) while reading response header from "
            'upstream, client: 198.51.100.7, server: blog.example, request: "GET / HTTP/1.1"',
        ),
    ),
    (
        "nginx",
        "nginx_upstream_refused",
        NGINX
        % (
            "error",
            "*9 connect() to unix:/run/php/php8.2-fpm.sock failed (11: Resource temporarily "
            "unavailable)" + _UPSTREAM,
        ),
    ),
    (
        "nginx",
        "nginx_upstream_refused",
        NGINX % ("error", "*9 connect() failed (111: Connection refused)" + _UPSTREAM),
    ),
    (
        "httpd",
        "httpd_max_request_workers",
        HTTPD
        % (
            "mpm_event:error",
            "AH00484: server reached MaxRequestWorkers setting, consider raising the "
            "MaxRequestWorkers setting",
        ),
    ),
    (
        "httpd",
        "httpd_max_request_workers",
        "[Sat Nov 21 12:00:00.123456 2026] [mpm_prefork:error] [pid 77] AH00161: server reached "
        "MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting",
    ),
    (
        "httpd",
        "httpd_max_request_workers",
        "[Sat Nov 21 12:00:00 2026] [error] server reached MaxClients setting, consider raising "
        "the MaxClients setting",
    ),
    (
        "httpd",
        "httpd_min_spare_threads",
        HTTPD
        % (
            "mpm_event:error",
            "AH10159: server is within MinSpareThreads of MaxRequestWorkers, consider raising the "
            "MaxRequestWorkers setting",
        ),
    ),
    (
        "httpd",
        "httpd_scoreboard_full",
        HTTPD % ("mpm_event:error", "AH00485: scoreboard is full, not at MaxRequestWorkers"),
    ),
    (
        "httpd",
        "httpd_scoreboard_full",
        HTTPD
        % (
            "mpm_event:error",
            "AH03490: scoreboard is full, not at MaxRequestWorkers.Increase ServerLimit.",
        ),
    ),
    (
        "httpd",
        "httpd_open_files",
        HTTPD
        % ("core:crit", "(24)Too many open files: [client 198.51.100.7:4711] AH00529: /.htaccess"),
    ),
    (
        "php-fpm",
        "fpm_max_children",
        FPM
        % ("WARNING: [pool www] server reached pm.max_children setting (5), consider raising it"),
    ),
    (
        "php-fpm",
        "fpm_max_children",
        FPM % "WARNING: [pool www] server reached max_children setting (5), consider raising it",
    ),
]

_REQUEST = (
    '*7 open() "/var/www/x" failed (2: No such file or directory), client: 198.51.100.7, '
    'server: blog.example, request: "GET /%s HTTP/1.1", host: "%s", referrer: "%s"'
)
_TEXTS = [line.split("] ", 1)[-1] for _service, _kind, line in REAL]


@pytest.fixture()
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture()
def problems(monkeypatch: pytest.MonkeyPatch) -> Problems:
    monkeypatch.setattr(kernel_log, "collect", lambda *_arguments: [])
    return Problems()


def _collect(
    service: str, path: Path, problems: Problems, since: float = _NOON - 60, seconds: float = 5
) -> list[dict[str, Any]]:
    return error_logs.collect({service: [str(path)]}, since, time.monotonic() + seconds, problems)


@pytest.mark.parametrize(("service", "kind", "line"), REAL)
def test_real_lines(
    tmp_path: Path, utc: None, problems: Problems, service: str, kind: str, line: str
) -> None:
    path = tmp_path / "error.log"
    path.write_text("noise\n" + line + "\n" + line)
    assert _collect(service, path, problems) == [
        {
            "service": service,
            "kind": kind,
            "log": str(path),
            "count": 2,
            "first": "2026-11-21T12:00:00Z",
            "last": "2026-11-21T12:00:00Z",
            "sample": line if len(line) <= 300 else line[:297] + "...",
        }
    ]
    assert problems.describe() == []


def test_every_kind_has_a_real_line_and_a_description() -> None:
    assert {kind for _service, kind, _line in REAL} == {kind.id for kind in KINDS}
    assert all(kind.description.endswith(".") for kind in KINDS)


@pytest.mark.parametrize("text", [line for _service, _kind, line in REAL] + _TEXTS)
def test_what_a_client_sends_counts_nothing(
    tmp_path: Path, utc: None, problems: Problems, text: str
) -> None:
    """The URL, the host, the referrer, a header that a module quotes, a user agent in a PHP
    message: behind the place where the server speaks itself."""
    lines = {
        "nginx": [
            NGINX % ("error", _REQUEST % (text, "b", "r")),
            NGINX % ("error", _REQUEST % ("", text, "r")),
            NGINX % ("error", _REQUEST % ("", "b", text)),
            NGINX % ("error", f'*7 open() "/var/www/{text}" failed (2: No such file or directory)'),
            NGINX % ("error", f'*7 FastCGI sent in stderr: "PHP message: {text}" while reading'),
            NGINX % ("info", f'*7 client sent invalid header line: "{text}" while reading'),
        ],
        "httpd": [
            HTTPD % ("core:error", f"[client 198.51.100.7:4711] AH00126: Invalid URI {text}"),
            HTTPD % ("php:notice", f"[client 198.51.100.7:4711] {text}"),
            HTTPD % ("authz_core:error", f"[client 198.51.100.7:4711] denied, referer: {text}"),
            f"[Sat Nov 21 12:00:00 2026] [error] [client 198.51.100.7] {text}",
        ],
        "php-fpm": [
            FPM % f'WARNING: [pool www] child 12 said into stderr: "{text}"',
            FPM % f"NOTICE: PHP message: {text}",
        ],
    }
    for service, written in lines.items():
        path = tmp_path / f"{service}.log"
        path.write_text("\n".join(written) + "\n")
        assert _collect(service, path, problems) == []


def test_the_published_lines_of_the_incidents(
    tmp_path: Path, utc: None, problems: Problems
) -> None:
    path = tmp_path / "error.log"
    upstream = (
        ' while connecting to upstream, client: 127.0.0.1, server: , request: "POST /xmlrpc.php '
        'HTTP/1.0", upstream: "http://127.0.0.1:80/xmlrpc.php", host: "127.0.0.1"'
    )
    path.write_text(
        "2015/10/23 11:41:44 [crit] 1608#0: accept4() failed (24: Too many open files)\n"
        "2015/10/23 11:41:44 [crit] 1608#0: accept4() failed (24: Too many open files)\n"
        "2015/10/23 11:41:45 [alert] 1608#0: *2102 socket() failed (24: Too many open files)"
        f"{upstream}\n"
        "2015/10/23 17:25:39 [alert] 8386#0: 4096 worker_connections are not enough\n"
        "2015/10/23 17:25:39 [error] 8386#0: *10182 recv() failed (104: Connection reset by peer)"
        f"{upstream}\n"
    )
    rows = {row["kind"]: row for row in _collect("nginx", path, problems, since=0)}
    assert {kind: row["count"] for kind, row in rows.items()} == {
        "nginx_worker_connections": 1,
        "nginx_open_files": 3,
    }
    assert rows["nginx_open_files"]["first"] == "2015-10-23T11:41:44Z"
    assert rows["nginx_open_files"]["last"] == "2015-10-23T11:41:45Z"


def test_the_sample_is_printable_short_and_without_queries(
    tmp_path: Path, utc: None, problems: Problems
) -> None:
    path = tmp_path / "error.log"
    path.write_bytes(
        b"2026/11/21 12:00:00 [alert] 1#1: *5 40 worker_connections are not enough, request: "
        b'"GET /wp-login.php?key=s3cret&x HTTP/1.1", \x1b]0;x\x07\xe2\x80\xae\xff'
        + b"y" * 9000
        + b"\n"
    )
    (row,) = _collect("nginx", path, problems)
    assert len(row["sample"]) <= 300
    assert row["sample"].isprintable()
    assert "s3cret" not in row["sample"]
    assert '"GET /wp-login.php?... HTTP/1.1"' in row["sample"]


def test_the_window_and_the_rotated_files(tmp_path: Path, utc: None, problems: Problems) -> None:
    message = " [alert] 1#1: 40 worker_connections are not enough\n"
    path = tmp_path / "error.log"
    path.write_text("2026/11/21 12:00:00" + message)
    (tmp_path / "error.log.1").write_text("2026/11/21 11:59:59" + message)
    (tmp_path / "error.log.2.gz").write_bytes(
        gzip.compress(f"2026/11/21 11:00:00{message}2026/11/21 11:30:00{message}".encode())
    )
    (tmp_path / "error.log.3.gz").write_bytes(
        gzip.compress(f"2026/11/21 11:40:00{message}".encode())
    )
    for name, hour in ((".1", 0), (".2.gz", 0), (".3.gz", 7200)):
        when = _NOON - hour
        os.utime(f"{path}{name}", (when, when))
    (row,) = _collect("nginx", path, problems, since=_NOON - 2400)
    assert (row["count"], row["first"]) == (3, "2026-11-21T11:30:00Z")
    (row,) = _collect("nginx", path, problems, since=_NOON - 1)
    assert (row["count"], row["first"]) == (2, "2026-11-21T11:59:59Z")


def test_a_large_log_costs_its_window_only(
    tmp_path: Path, utc: None, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter hour at the end of 4 GiB (sparse, so that the test is quick: NUL bytes have no
    stamp, and reading them would take seconds)."""
    path = tmp_path / "error.log"
    with path.open("wb") as stream:
        stream.truncate(4 << 30)
        stream.seek(0, os.SEEK_END)
        stream.write(b"\n2026/11/21 11:00:00 [notice] 1#1: old\n")
        stream.write(b"2026/11/21 12:00:00 [alert] 1#1: 40 worker_connections are not enough\n" * 9)
    read: list[int] = []
    original = os.pread

    def pread(descriptor: int, size: int, position: int) -> bytes:
        read.append(size)
        return original(descriptor, size, position)

    monkeypatch.setattr(os, "pread", pread)
    (row,) = _collect("nginx", path, problems, since=_NOON - 900)
    assert row["count"] == 9
    assert sum(read) == log_tail.BLOCK
    assert problems.describe() == []


def test_when_time_runs_out_the_newest_part_is_known(
    tmp_path: Path, utc: None, problems: Problems
) -> None:
    message = b"2026/11/21 12:00:00 [alert] 1#1: 40 worker_connections are not enough\n"
    path = tmp_path / "error.log"
    path.write_bytes(message * 40000)
    (row,) = _collect("nginx", path, problems, seconds=-1)
    assert 10000 < row["count"] < 40000
    assert [problem["id"] for problem in problems.describe()] == ["errors_incomplete"]


def test_logs_that_cannot_be_read(tmp_path: Path, utc: None, problems: Problems) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "custom.log").write_text("12:00 something else\n")
    logs = [str(tmp_path / "absent"), str(tmp_path / "fifo"), "syslog:server=192.0.2.1", "stderr"]
    logs += ["|/usr/bin/rotatelogs /var/log/x 86400", str(tmp_path / "custom.log")]
    assert error_logs.collect({"httpd": logs}, 0, time.monotonic() + 5, problems) == []
    told = "\n".join(problem["message"] for problem in problems.describe())
    assert "absent" not in told
    for name in ("fifo", "syslog:", "stderr", "rotatelogs", "custom.log"):
        assert name in told


def test_a_log_that_two_names_lead_to_is_read_once(
    tmp_path: Path, utc: None, problems: Problems
) -> None:
    path = tmp_path / "error.log"
    path.write_text(NGINX % ("alert", "768 worker_connections are not enough"))
    (tmp_path / "link.log").symlink_to(path)
    logs = {"nginx": [str(path), str(path), str(tmp_path / "link.log")]}
    (row,) = error_logs.collect(logs, 0, time.monotonic() + 5, problems)
    assert row["count"] == 1


def test_where_php_fpm_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_logs, "ROOT", str(tmp_path))
    files = {
        "etc/php/8.2/fpm/php-fpm.conf": "[global]\n;error_log = /no\nerror_log = /var/log/82.log\n",
        "etc/php-fpm.conf": 'error_log="/var/log/php-fpm/error.log" ; words\n',
        "opt/bitnami/php/etc/php-fpm.conf": "  error_log = syslog\n",
        "srv/fpm.conf": "error_log = /srv/fpm.log\nphp_admin_value[error_log] = /srv/pool.log\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    master = Process(
        1, 0, "php-fpm", "master", "", None, 0, None, False, None, str(tmp_path / "srv/fpm.conf")
    )
    assert error_logs.fpm_error_logs([master]) == [
        "/srv/fpm.log",
        "/var/log/82.log",
        "/var/log/php-fpm/error.log",
        "syslog",
    ]


def test_the_main_log_of_a_server_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_logs, "ROOT", str(tmp_path))
    monkeypatch.setattr(error_logs, "PROC", str(tmp_path))
    targets = {
        10: ("nginx", "master", "/var/log/nginx/error.log"),
        11: ("nginx", "worker", "/var/log/nginx/other.log"),
        20: ("httpd", "master", "/var/log/httpd/error_log"),
        21: ("httpd", "master", "/var/log/httpd/error_log"),
        30: ("php-fpm", "master", "pipe:[4711]"),
        40: ("mariadb", "master", "/var/log/mysql.err"),
        50: ("nginx", "master", "/dev/null"),
        60: ("nginx", "master", ""),
    }
    running = []
    for pid, (service, role, target) in targets.items():
        (tmp_path / str(pid) / "fd").mkdir(parents=True)
        if target:
            (tmp_path / str(pid) / "fd/2").symlink_to(target)
        running.append(Process(pid, 1, service, role, "", None, 0, None, False))
    assert error_logs.logs_of(running) == {
        "nginx": ["/var/log/nginx/error.log"],
        "httpd": ["/var/log/httpd/error_log"],
        "php-fpm": [],
    }


def test_a_flood_is_counted_quickly(tmp_path: Path, utc: None, problems: Problems) -> None:
    """64 MiB of refused requests, each with the texts of two kinds in its URL."""
    line = NGINX % ("error", _REQUEST % ("worker_connections are not enough", "connect() ", "r"))
    path = tmp_path / "error.log"
    path.write_text((line + "\n") * ((64 << 20) // len(line)))
    began = time.process_time()
    assert _collect("nginx", path, problems, since=0, seconds=60) == []
    assert time.process_time() - began < 10
