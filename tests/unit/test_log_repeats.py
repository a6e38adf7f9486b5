# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A request that stands in two logs is counted once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import access_evidence
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import load
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import find_vhosts
from ansible_collections.wpward.wordpress.plugins.module_utils.log_repeats import (
    refusals,
    requests,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    load as load_nginx,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import (
    find_vhosts as find_server_blocks,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import find_sites

BLOG, SECOND = "blog.example/", "second.example/"


def row(site: str | None, hits: int, refused: int | None = None) -> dict[str, Any]:
    statuses = {} if refused is None else {"403": refused, "200": hits - refused}
    return {"site": site, "endpoint": "xmlrpc", "hits": hits, "statuses": statuses}


@pytest.mark.parametrize(
    ("denied", "access", "repeats"),
    [
        (row(BLOG, 5), [row(BLOG, 9, refused=5)], True),
        (row(BLOG, 5), [row(BLOG, 9, refused=4)], False),
        (row(BLOG, 5), [row(BLOG, 9)], True),  # a log without statuses
        (row(BLOG, 5), [row(SECOND, 9, refused=9)], False),
        (row(BLOG, 5), [row(None, 9, refused=9)], True),
        (row(None, 5), [row(BLOG, 3, refused=3), row(SECOND, 2, refused=2)], True),
        (row(BLOG, 5), [{**row(BLOG, 9, refused=9), "endpoint": "login"}], False),
        (row(BLOG, 5), [], False),
    ],
)
def test_what_the_access_log_counts_the_deny_log_repeats(
    denied: dict[str, Any], access: list[dict[str, Any]], repeats: bool
) -> None:
    assert refusals([denied], access) == ([denied] if repeats else [])


def test_what_came_past_the_front_is_no_repetition() -> None:
    outer = [row(BLOG, 100)]
    assert requests([row(BLOG, 101)], outer) == [row(BLOG, 101)]
    assert requests([row(BLOG, 201), row(SECOND, 1)], outer) == []


HTTPD = """
Listen 127.0.0.1:8080
LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
LogFormat "%{{end:sec}}t.%{{end:msec_frac}}t %a xmlrpc %v" wpward_xmlrpc
GlobalLog {base}/deny.log wpward_xmlrpc "expr=%{{REQUEST_STATUS}} -eq 403"
<VirtualHost *:8080>
ServerName blog.example
DocumentRoot {base}/blog
CustomLog {base}/httpd.log common
</VirtualHost>
<VirtualHost *:8080>
ServerName quiet.example
DocumentRoot {base}/quiet
CustomLog {base}/quiet.log common env=!xmlrpc
</VirtualHost>
"""
LINE = '192.0.2.{} - - [21/Oct/2015:07:28:00 +0000] "POST /xmlrpc.php HTTP/1.1" {} 9\n'
DENIED = "1445412480.000 192.0.2.7 xmlrpc {}.example\n"


class Host:
    """Two sites on httpd, of which one does not log what is refused; an nginx in front of it."""

    def __init__(self, base: Path) -> None:
        for name in ("blog", "quiet"):
            (base / name / "wp-includes").mkdir(parents=True)
            (base / name / "wp-load.php").touch()
            (base / name / "wp-config.php").touch()
            (base / name / "wp-includes/version.php").write_text("<?php\n$wp_version = '6.1';\n")
        (base / "httpd.conf").write_text(HTTPD.format(base=base))
        (base / "nginx.conf").write_text(
            f"http {{ server {{ listen 80; server_name blog.example; access_log {base}/nginx.log "
            "combined; location / { proxy_pass http://127.0.0.1:8080; } } }"
        )
        problems = Problems()
        config = load(str(base / "httpd.conf"), Known("/etc/httpd", "2.4.62"), {})
        self.httpd, self.formats = find_vhosts(config, None, problems)
        nginx = load_nginx(str(base / "nginx.conf"))
        build = Build("1.22.1", str(base), str(base / "nginx.conf"), "/none", "/none")
        self.nginx = find_server_blocks(nginx, build, problems)
        self.base = base

    def counted(self, fronted: bool, **logs: str) -> tuple[dict[str, int], list[str]]:
        """The refused requests by log, and the logs that repeat others."""
        for name in ("httpd", "quiet", "nginx", "deny"):
            (self.base / f"{name}.log").write_text(logs.get(name, ""))
        problems = Problems()
        sites = find_sites(self.httpd, problems)
        for vhost in self.httpd:
            vhost.fronted = fronted
        for server in self.nginx:
            server.sites = [sites[0].id]
            sites[0].vhosts.append(server.id)
        read, rows = access_evidence.collect(
            [*self.nginx, *self.httpd],
            sites,
            {"httpd": self.formats, "nginx": {}},
            access_evidence.DenyLogs((), (f"{self.base}/deny.log",)),
            0,
            time.monotonic() + 60,
            problems,
        )
        assert problems.describe() == []

        def short(path: str) -> str:
            return path.rpartition("/")[2].partition(".")[0]

        return {short(one["log"]): one["hits"] for one in rows}, [
            short(one["path"]) for one in read if one["repeats"]
        ]


@pytest.fixture()
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_httpd_logs_what_it_refuses_twice(host: Host) -> None:
    denied = DENIED.format("blog") * 2
    assert host.counted(False, httpd=LINE.format(7, 403) * 2, deny=denied) == (
        {"httpd": 2},
        ["deny"],
    )
    quiet = denied + DENIED.format("quiet") * 3
    assert host.counted(False, httpd=LINE.format(7, 403) * 2, deny=quiet) == (
        {"httpd": 2, "deny": 3},
        ["deny"],
    )


def test_what_nginx_passed_on_is_counted_in_its_log(host: Host) -> None:
    outer = LINE.format(7, 200).rstrip() + ' "-" "-"\n'
    logs = {"nginx": outer * 5, "httpd": LINE.format(7, 200) * 5}
    assert host.counted(True, **logs) == ({"nginx": 5}, ["httpd"])
    assert host.counted(False, **logs) == ({"nginx": 5, "httpd": 5}, [])
    past = {"nginx": outer * 5, "httpd": LINE.format(8, 200) * 50}
    assert host.counted(True, **past) == ({"nginx": 5, "httpd": 50}, [])
