# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What httpd is configured for, what it makes of it, and who has the last word."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_config
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_capacity import (
    SETTINGS,
    describe,
    effective,
    overriding,
    values,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Config

MAIN = """Timeout 300
IncludeOptional mods/*.conf
MaxKeepAliveRequests 100
IncludeOptional conf/*.conf
IncludeOptional sites/*.conf
<VirtualHost *:80>
Timeout 7
</VirtualHost>
"""


class Host:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.write("httpd.conf", MAIN)
        self.write("mods/mpm.conf", "MaxRequestWorkers 150\nThreadsPerChild 25\n")
        (base / "conf").mkdir()

    def write(self, name: str, text: str) -> None:
        path = self.base / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def load(self) -> Config:
        path = self.base / "httpd.conf"
        return httpd_config.load(str(path), Known(str(self.base), "2.4.62"), {})

    def overriding(self) -> str | None:
        found = overriding(self.load(), str(self.base / "conf/wpward.conf"))
        return found.replace(f"{self.base}/", "") if found else None


@pytest.fixture()
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_last_value_of_the_main_server_counts(host: Host) -> None:
    host.write(
        "conf/a.conf",
        "<IfModule !no.c>\nmaxclients 120\nServerLimit x\n</IfModule>\nListenBackLog 90\n"
        "<IfModule no.c>\nThreadsPerChild 3\n</IfModule>\n",
    )
    assert values(host.load()) == {
        **dict.fromkeys(SETTINGS),
        "MaxRequestWorkers": 120,
        "ThreadsPerChild": 25,
        "ListenBacklog": 90,
        "Timeout": 300,
    }


@pytest.mark.parametrize(
    ("mpm", "given", "workers", "servers", "threads"),
    [
        ("event", {}, 400, 16, 25),
        ("worker", {"MaxRequestWorkers": 150}, 150, 16, 25),
        ("event", {"MaxRequestWorkers": 160}, 150, 16, 25),
        ("event", {"MaxRequestWorkers": 1000}, 400, 16, 25),
        ("event", {"MaxRequestWorkers": 1000, "ServerLimit": 40}, 1000, 40, 25),
        ("event", {"MaxRequestWorkers": 10}, 25, 16, 25),
        ("event", {"ThreadsPerChild": 100}, 384, 16, 64),
        ("event", {"ThreadsPerChild": 100, "ThreadLimit": 100}, 400, 16, 100),
        ("prefork", {}, 256, 256, 1),
        ("prefork", {"MaxRequestWorkers": 400, "ThreadsPerChild": 25}, 256, 256, 1),
        ("prefork", {"MaxRequestWorkers": 400, "ServerLimit": 500}, 400, 500, 1),
        ("prefork", {"MaxRequestWorkers": 0, "ServerLimit": 0}, 1, 1, 1),
    ],
)
def test_what_httpd_makes_of_them(
    mpm: str, given: dict[str, int], workers: int, servers: int, threads: int
) -> None:
    assert effective(mpm, {**dict.fromkeys(SETTINGS), **given}) == {
        "max_request_workers": workers,
        "server_limit": servers,
        "threads_per_child": threads,
    }


def test_an_unknown_mpm_has_no_arithmetic(host: Host) -> None:
    found = describe(host.load(), None, None)
    assert (found["mpm"], found["effective"], found["overriding"]) == (None, None, None)


def test_what_is_read_before_a_file_of_ours_does_not_override_it(host: Host) -> None:
    host.write("conf/a.conf", "MaxRequestWorkers 5\n")
    assert host.overriding() is None
    host.write("conf/wpward.conf", "MaxRequestWorkers 5\n")
    assert host.overriding() is None


@pytest.mark.parametrize(
    ("name", "line"),
    [("conf/zz.conf", "MaxClients 5"), ("sites/blog.conf", "Timeout 3")],
)
def test_what_is_read_behind_it_does(name: str, line: str, host: Host) -> None:
    host.write(name, f"# first\n{line}\n")
    assert host.overriding() == f"{name}:2"


def test_a_line_of_the_main_file_behind_the_include_does(host: Host) -> None:
    host.write("httpd.conf", MAIN + "ServerLimit 20\n")
    assert host.overriding() == "httpd.conf:9"
    host.write("httpd.conf", "ServerLimit 20\n" + MAIN)
    assert host.overriding() is None


def test_an_include_within_an_include_is_followed(host: Host) -> None:
    host.write("conf/zz.conf", "Include deep/*.conf\n")
    host.write("deep/one.conf", "MaxRequestWorkers 9\n")
    assert host.overriding() == "deep/one.conf:1"
    (host.base / "conf/zz.conf").rename(host.base / "conf/aa.conf")
    assert host.overriding() is None


def test_a_directory_behind_a_link_is_the_same_one(host: Host) -> None:
    (host.base / "link").symlink_to("conf")
    host.write("httpd.conf", MAIN.replace("conf/*.conf", "link/*.conf"))
    host.write("conf/zz.conf", "Timeout 9\n")
    assert host.overriding() == "link/zz.conf:1"


def test_of_a_file_that_is_read_twice_the_second_time_counts(host: Host) -> None:
    host.write("sites/blog.conf", "ServerLimit 20\n")
    host.write("httpd.conf", "Include sites/blog.conf\n" + MAIN)
    assert host.overriding() == "sites/blog.conf:1"


def test_a_place_that_nothing_reads_overrides_nothing(host: Host) -> None:
    assert overriding(host.load(), "/nowhere/wpward.conf") is None
