# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role endpoints on a real nginx, among server blocks that make it hard."""

from __future__ import annotations

import re
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from integration.endpoints.role import (
    LIST_METHODS,
    Close,
    DenyLog,
    ask,
    closer,
    failures,
    inside,
    play,
    proven,
    refusals,
    write,
)
from testbed import hosts

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# Two server blocks in one file: error pages and a fallback that call PHP, logs in JSON, a rewrite
# and the PHP location before everything; and one on a single line.
HOSTILE = r"""# hostile
server { # the first
    listen 8090;
    server_name hostile.example;
    error_page 403 404 405 /index.php;
    recursive_error_pages on;
    rewrite ^/shortcut$ /xmlrpc.php last;
    location ~* \.php { include snippets/fastcgi-php.conf; fastcgi_pass unix:SOCKET; }
    root /var/www/blog;
    index index.php;
    access_log /var/log/nginx/hostile-access.log;
    location ^~ /wp-includes/ { }
    location / { try_files $uri $uri/ /index.php?$args; }
    location = /xmlrpc.php { include snippets/fastcgi-php.conf; fastcgi_pass unix:SOCKET; }
}
""" + r"""
server { listen 8091; server_name line.example; root /var/www/blog; index index.php;
merge_slashes off; location / { try_files $uri $uri/ /index.php?$args; }
location ~ [^/]\.php(/|$) { fastcgi_split_path_info ^(.+?\.php)(/.*)$; include fastcgi.conf;
fastcgi_param PATH_INFO $fastcgi_path_info; fastcgi_pass unix:SOCKET; } }
""".replace("\n", " ")


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    host: hosts.Host = make_host("endpoints", vhosts=["second", "tls", "sub", "pathinfo", "static"])
    socket = inside(host, "sh", "-c", "ls /run/php/*.sock | head -n 1").strip()
    write(host, "/etc/nginx/sites-enabled/hostile", HOSTILE.replace("SOCKET", socket) + "\n")
    inside(host, "systemctl", "reload", "nginx")
    return host


@pytest.fixture(scope="module")
def close(host: hosts.Host, tmp_path_factory: pytest.TempPathFactory) -> Close:
    return closer(host, tmp_path_factory.mktemp("saved") / "saved.json")


@pytest.fixture(scope="module")
def deny_log(host: hosts.Host) -> DenyLog:
    # nginx writes it at least once a second.
    return DenyLog(host, "/var/log/nginx/wpward-deny.log", 1.5)


@pytest.fixture(scope="module")
def closed(close: Close) -> Any:
    """What the role saved when it closed all; tests with another policy stand behind these."""
    return close()


def test_every_server_block_refuses_every_variant(host: hosts.Host, closed: Any) -> None:
    assert closed["result"]["changed"]
    assert any("location = /xmlrpc.php" in note for note in closed["notes"]), closed["notes"]
    refused = refusals(host, closed, {})
    assert len({check.request.port for check in refused}) == 5
    assert len(refused) > 700
    assert failures(proven(refused)) == []


@pytest.mark.usefixtures("closed")
def test_a_second_run_changes_nothing_and_reloads_nothing(host: hosts.Host, close: Close) -> None:
    workers = inside(host, "pgrep", "-f", "nginx: worker")
    saved = close()
    assert not saved["result"]["changed"]
    assert saved["result"]["commands"] == []
    assert inside(host, "pgrep", "-f", "nginx: worker") == workers


@pytest.mark.usefixtures("closed")
def test_the_sites_own_error_page_brings_no_php_back(host: hosts.Host) -> None:
    for target in ("/xmlrpc.php", "/?author=1", "/wp-includes/wlwmanifest.xml"):
        answer = ask(host, target, 8090, "hostile.example")
        assert (answer.status, answer.body) == (403, b"Forbidden\n")
        assert not answer.header("x-powered-by")


@pytest.mark.usefixtures("closed")
def test_the_internal_location_cannot_be_asked_for(host: hosts.Host, deny_log: DenyLog) -> None:
    deny_log.empty()
    for target in ("/.wpward/deny", "//.wpward//deny", "/%2ewpward/deny", "/.wpward/deny/x"):
        assert ask(host, target).status == 404
    lines = deny_log.lines()
    assert [line.split()[2:] for line in lines] == [["0", "blog.example"]] * 3


@pytest.mark.usefixtures("closed")
def test_refusals_are_in_the_deny_log_only_and_nobody_can_forge_a_line(
    host: hosts.Host, deny_log: DenyLog
) -> None:
    deny_log.empty()
    access_log = "/var/log/nginx/blog-access.log"
    before = inside(host, "cat", access_log)
    forged = "1795299193.239 203.0.113.9 xmlrpc blog.example"
    targets = [
        "/xmlrpc.php",
        "/xmlrpc.php?%0a" + forged.replace(" ", "%20"),
        "/xmlrpc.php/%0a" + forged.replace(" ", "%20"),
        '/xmlrpc.php?"\\x22\x80\xff',
        "http://203.0.113.9/xmlrpc.php",
    ]
    headers = (
        ("User-Agent", f'" {forged}'),
        ("Referer", forged),
        ("X-Forwarded-For", "203.0.113.9"),
    )
    for target in targets:
        assert ask(host, target, method="POST", headers=headers).status == 403, target
    lines = deny_log.lines()
    assert len(lines) == len(targets)
    peer = next(iter({line.split()[1] for line in lines}))
    for line in lines:
        assert re.fullmatch(rf"\d{{10}}\.\d{{3}} {re.escape(peer)} xmlrpc blog\.example", line)
    assert peer != "203.0.113.9"
    assert inside(host, "cat", access_log) == before
    assert inside(host, "stat", "-c", "%a", deny_log.path).strip() == "640"


@pytest.mark.usefixtures("closed")
def test_long_hostile_queries_are_refused_as_fast(host: hosts.Host) -> None:
    inside(host, "sh", "-c", ": > /var/log/nginx/blog-error.log")
    for filler in (
        "a=" + "&" * 7000,
        "author=" + "%30" * 2300,
        "rest" * 1700,
        "+" * 7000,
        "author" + "%00" * 2300 + "=",
        "author=%" * 800,
        "author=0&" * 800,
    ):
        started = time.monotonic()
        assert ask(host, f"/?{filler}&author=1").status == 403, filler[:20]
        assert time.monotonic() - started < 1
    assert inside(host, "cat", "/var/log/nginx/blog-error.log") == ""


def test_a_trusted_client_uses_xmlrpc_through_the_sites_own_php(
    host: hosts.Host, close: Close
) -> None:
    close(xmlrpc="trusted", trusted=("127.9.9.0/24", "::1"))
    body = LIST_METHODS
    for source, served in (("127.9.9.7", True), ("127.0.0.1", False)):
        answer = inside(
            host,
            "curl",
            "--silent",
            "--interface",
            source,
            "--data",
            body,
            "http://127.0.0.1/xmlrpc.php",
        )
        assert ("<methodResponse" in answer) is served, source
    over_ipv6 = inside(host, "curl", "--silent", "--data", body, "http://[::1]/xmlrpc.php")
    assert "<methodResponse" in over_ipv6
    assert ask(host, "/xmlrpc.php", method="POST", body=body.encode()).status == 403

    own = ask(host, "/").source
    close(xmlrpc="trusted", trusted=(own,))
    server = xmlrpc.client.ServerProxy(f"http://{host.address}/xmlrpc.php")
    assert "wp.newPost" in server.system.listMethods()  # type: ignore[operator]
    assert ask(host, "/wp-includes/wlwmanifest.xml").status == 403
    assert "<methodResponse" not in inside(
        host, "curl", "--silent", "--data", body, "http://127.0.0.1//xmlrpc.php"
    )


def test_all_open_removes_every_trace(host: hosts.Host, close: Close) -> None:
    everything = ["xmlrpc", "author_by_id", "rest_users", "users_sitemap", "wlwmanifest", "login"]
    close(**dict.fromkeys(everything, "open"))
    clean = inside(
        host, "sh", "-c", "cd /etc/nginx && find . -type f -o -type l | sort | xargs sha256sum"
    )
    assert "wpward" not in clean
    close()
    closed = inside(
        host, "sh", "-c", "cd /etc/nginx && find . -type f -o -type l | sort | xargs sha256sum"
    )
    assert "wpward" in closed
    close(**dict.fromkeys(everything, "open"))
    assert clean == inside(
        host, "sh", "-c", "cd /etc/nginx && find . -type f -o -type l | sort | xargs sha256sum"
    )


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown policy": (
        {"policy": {"xmlrpc": "shut"}},
        "The policy for xmlrpc is 'shut'; it must be",
    ),
    "unknown endpoint": ({"policy": {"xmlrcp": "closed"}}, "unknown endpoint 'xmlrcp'"),
    "nobody trusted": ({"policy": {"xmlrpc": "trusted"}}, "the list of trusted clients is empty"),
    "everybody trusted": ({"trusted": ["0.0.0.0/0"]}, "'0.0.0.0/0' means everybody"),
    "malformed network": ({"trusted": ["192.0.2.300"]}, "'192.0.2.300' is not an address"),
    "odd log": (
        {"deny_log": "/var/log/x; return 200"},
        'endpoints_deny_log is "/var/log/x; return',
    ),
    "no web server": ({"evidence": {"nginx": None}}, "neither nginx nor Apache httpd was found"),
    "stopped nginx": ({"evidence": {"nginx": {"running": False}}}, "does not run"),
    "broken nginx": (
        {"evidence": {"nginx": {"config_test": {"ok": False, "message": "nginx: [emerg] x\n"}}}},
        "refuses its own configuration already; repair it and run again. Nothing was changed. "
        "It says: nginx: [emerg] x",
    ),
    "no place": ({"evidence": {"nginx": {"http_include_file": None}}}, "includes no directory"),
    "no wordpress": ({"evidence": {"sites": []}}, "no WordPress was found"),
}


def test_input_that_makes_no_sense_is_refused_in_a_sentence(
    host: hosts.Host, tmp_path: Path
) -> None:
    cases = {name: case for name, (case, _) in REFUSALS.items()}
    said = play(host, "refusals", tmp_path / "said.json", cases=cases)
    for name, (_, wanted) in REFUSALS.items():
        assert said[name].startswith("endpoints: "), said[name]
        assert wanted in said[name]
        assert "Nothing was changed." in said[name]
        assert "Traceback" not in said[name]
