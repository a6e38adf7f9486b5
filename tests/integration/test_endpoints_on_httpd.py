# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role endpoints on a real httpd, among virtual hosts and .htaccess files that make it hard."""

from __future__ import annotations

import re
import time
import xmlrpc.client
from collections import Counter
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
EVERYTHING = ["xmlrpc", "author_by_id", "rest_users", "users_sitemap", "wlwmanifest", "login"]

# What each virtual host has beside its port, its name and its document root.
HARD = {
    "redirect": "Redirect permanent / https://redirect.example/",
    "certbot": r"""
        RewriteEngine On
        RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]""",
    "passthrough": r"""
        RewriteEngine On
        RewriteRule ^/wp-json/ /index.php [PT]
        RewriteRule ^/api/passed$ /xmlrpc.php [PT]
        RewriteRule ^/api/rpc$ /xmlrpc.php""",
    "fallback": r"""
        <Directory /var/www/pathinfo>
            FallbackResource /index.php
        </Directory>""",
    "multiviews": r"""
        AddType text/html .php
        Alias /api/rpc /var/www/pathinfo/xmlrpc.php
        <Directory /var/www/pathinfo>
            Options +MultiViews
        </Directory>""",
    "nodecode": r"""
        AllowEncodedSlashes NoDecode
        ProxyPassMatch "^/(.*\.php.*)$" "unix:/run/php/php-fpm.sock|fcgi://localhost/var/www/pathinfo/$1"
        <Directory /var/www/pathinfo>
            FallbackResource /index.php
        </Directory>""",
    "htaccess": r"""
        RewriteEngine Off
        <If "true">
            ErrorDocument 403 /index.php
        </If>
        <Location "/">
            ErrorDocument 403 /index.php
        </Location>""",
    "remoteip": r"""
        RemoteIPHeader X-Forwarded-For
        RemoteIPInternalProxy 127.0.0.0/8""",
}
PORTS = {name: 8101 + number for number, name in enumerate(HARD)}
ROOTS = {
    **dict.fromkeys(HARD, "/var/www/blog"),
    **dict.fromkeys(["fallback", "multiviews", "nodecode"], "/var/www/pathinfo"),
    "htaccess": "/var/www/htaccess",
}
VHOSTS = "<Directory /var/www/htaccess>\n    AllowOverride All\n</Directory>\n" + "".join(
    f"Listen {PORTS[name]}\n<VirtualHost *:{PORTS[name]}>\n"
    f"    ServerName {name}.example\n    DocumentRoot {ROOTS[name]}\n{text}\n</VirtualHost>\n"
    for name, text in HARD.items()
)
HTACCESS = r"""
SetEnvIf Request_URI . wpward=xmlrpc wpward_xmlrpc=1 REDIRECT_STATUS=200
SetEnv SCRIPT_URL /wp-admin/
ErrorDocument 403 /index.php
RewriteEngine On
RewriteRule ^forbidden$ - [F]
RewriteRule ^api/rpc$ xmlrpc.php [L]
RewriteRule ^api/end$ xmlrpc.php [END]
RewriteRule ^xmlrpc\.php$ - [L]
<Files xmlrpc.php>
    Require all granted
    Satisfy any
    ErrorDocument 403 /index.php
</Files>
<If "true">
    Require all granted
    Satisfy any
    ErrorDocument 403 /index.php
</If>
<If "%{REQUEST_URI} =~ m#xmlrpc#">
    Redirect 302 /wp-admin/
</If>
"""


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    host: hosts.Host = make_host(
        "endpoints-httpd",
        web="httpd",
        vhosts=["second", "tls", "sub", "pathinfo", "static", "twin"],
    )
    inside(host, "cp", "--archive", "/var/www/blog", "/var/www/htaccess")
    htaccess = "/var/www/htaccess/.htaccess"
    write(host, htaccess, HTACCESS + inside(host, "cat", htaccess))
    write(host, "/etc/apache2/sites-enabled/hard.conf", VHOSTS)
    inside(host, "systemctl", "reload", "apache2")
    return host


@pytest.fixture(scope="module")
def close(host: hosts.Host, tmp_path_factory: pytest.TempPathFactory) -> Close:
    return closer(host, tmp_path_factory.mktemp("saved") / "saved.json")


@pytest.fixture(scope="module")
def deny_log(host: hosts.Host) -> DenyLog:
    # httpd writes the line once the answer is on its way.
    return DenyLog(host, "/var/log/apache2/wpward-deny.log", 0.5)


def configuration(host: hosts.Host) -> str:
    return inside(
        host,
        "sh",
        "-c",
        "cd /etc/apache2 && find . | sort && find . -type f | sort | xargs sha256sum",
    )


@pytest.fixture(scope="module")
def untouched(host: hosts.Host) -> str:
    """The configuration before the first run."""
    return configuration(host)


@pytest.fixture(scope="module")
def closed(untouched: str, close: Close) -> Any:
    """What the role saved when it closed all; tests with another policy stand behind these."""
    assert "wpward" not in untouched
    return close()


def test_every_virtual_host_refuses_every_variant_and_notes_it(
    host: hosts.Host, deny_log: DenyLog, closed: Any
) -> None:
    assert closed["result"]["changed"]
    assert [entry["path"] for entry in closed["result"]["files"]] == [
        "/etc/apache2/conf-available/wpward.conf",
        "/etc/apache2/conf-enabled/wpward.conf",
    ]
    assert any("RewriteRule ^/api/rpc$" in note for note in closed["notes"]), closed["notes"]
    deny_log.empty()
    refused = refusals(host, closed, {})
    assert {check.request.port for check in refused} >= {80, 8081, 8099, 8443, *PORTS.values()}
    assert len(refused) > 1600
    results = proven(refused)
    assert failures(results) == []
    answered = sum(result.verdict.reason == "403" for result in results)
    lines = deny_log.lines()
    assert answered > 1500
    assert len(lines) == answered
    rules = Counter(line.split()[2] for line in lines)
    assert set(rules) == {*EVERYTHING} - {"login"}


@pytest.mark.usefixtures("closed")
def test_a_second_run_changes_nothing_and_reloads_nothing(host: hosts.Host, close: Close) -> None:
    children = inside(host, "pgrep", "apache2")
    saved = close()
    assert not saved["result"]["changed"]
    assert saved["result"]["commands"] == []
    assert inside(host, "pgrep", "apache2") == children


@pytest.mark.usefixtures("closed")
def test_neither_error_documents_nor_rewrites_bring_php_back(host: hosts.Host) -> None:
    # (virtual host, path): by .htaccess, by a rule of the virtual host, by Alias.
    for name, target in (
        ("htaccess", "/xmlrpc.php"),
        ("htaccess", "/xmlrpc.php/index.php"),
        ("htaccess", "/?author=1"),
        ("htaccess", "/wp-json/wp/v2/users"),
        ("htaccess", "/api/rpc"),
        ("htaccess", "/api/end"),
        ("passthrough", "/api/rpc"),
        ("passthrough", "/api/passed"),
        ("multiviews", "/api/rpc"),
    ):
        answer = ask(host, target, PORTS[name], f"{name}.example", method="POST")
        assert (answer.status, answer.body) == (403, b"Forbidden\n"), (name, target)
        assert not answer.header("x-powered-by")
    # The file that MultiViews would have chosen is not there for it.
    answer = ask(host, "/xmlrpc?rsd", PORTS["multiviews"], "multiviews.example")
    assert answer.status in (403, 404)
    assert b"<rsd" not in answer.body


@pytest.mark.usefixtures("closed")
def test_harmless_requests_are_served_and_not_noted(host: hosts.Host, deny_log: DenyLog) -> None:
    deny_log.empty()
    ports = {8081: "pathinfo", **{PORTS[name]: name for name in ("passthrough", "fallback")}}
    for port, name in {80: "blog", **ports}.items():
        for target in (
            "/wp-json/wp/v2/posts?author=1",
            "/?rest_route=/wp/v2/posts&author=1",
            "/?s=/xmlrpc.php",
            "/?author=0",
            "/",
        ):
            answer = ask(host, target, port, f"{name}.example")
            # WordPress sends visitors from a site's other names to its own.
            assert answer.status in (200, 301), (name, target)
            assert "Cookie" not in (answer.header("vary") or "")
    for header in (("Cookie", "wordpress_logged_in_x=1"), ("Authorization", "Basic eDp5")):
        assert ask(host, "/wp-json/wp/v2/users", headers=(header,)).status == 200
    assert deny_log.lines() == []


@pytest.mark.usefixtures("closed")
def test_nobody_can_forge_a_line_in_the_deny_log(host: hosts.Host, deny_log: DenyLog) -> None:
    deny_log.empty()
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
        ("wpward", "xmlrpc"),
    )
    for target in targets:
        assert ask(host, target, method="POST", headers=headers).status == 403, target
    # Refused for another reason, and a .htaccess file that sets variables at will.
    assert ask(host, "/.htaccess").status == 403
    assert ask(host, "/forbidden", PORTS["htaccess"], "htaccess.example").status >= 400
    lines = deny_log.lines()
    assert len(lines) == len(targets)
    peer = next(iter({line.split()[1] for line in lines}))
    for line in lines:
        assert re.fullmatch(rf"\d{{10}}\.\d{{3}} {re.escape(peer)} xmlrpc blog\.example", line)
    assert peer != "203.0.113.9"
    assert inside(host, "stat", "-c", "%a", deny_log.path).strip() == "640"


@pytest.mark.usefixtures("closed")
def test_long_hostile_queries_are_refused_as_fast(host: hosts.Host) -> None:
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


def test_a_trusted_client_uses_xmlrpc_through_the_sites_own_php(
    host: hosts.Host, deny_log: DenyLog, close: Close
) -> None:
    own = ask(host, "/").source
    close(xmlrpc="trusted", trusted=("127.9.9.0/24", "::1", "2001:db8::/32", own))

    def served(source: str, url: str, *headers: str) -> bool:
        options = [word for header in headers for word in ("--header", header)]
        body = ("--data", LIST_METHODS)
        answer = inside(host, "curl", "--silent", "--interface", source, *options, *body, url)
        return "<methodResponse" in answer

    for port in (80, 8081, PORTS["fallback"], PORTS["nodecode"]):
        url = f"http://127.0.0.1:{port}//xmlrpc.php"
        assert served("127.9.9.7", url), port
        assert not served("127.0.0.1", url), port
        assert not served("127.0.0.1", url, "X-Forwarded-For: 127.9.9.7"), port
    assert served("::1", "http://[::1]/xmlrpc.php")

    behind = f"http://127.0.0.1:{PORTS['remoteip']}/xmlrpc.php"
    assert served("127.0.0.1", behind, "X-Forwarded-For: 127.9.9.7")
    assert served("127.0.0.1", behind, "X-Forwarded-For: 2001:db8::7")
    assert not served("127.9.9.7", behind, "X-Forwarded-For: 203.0.113.9")
    assert deny_log.lines()[-1].split()[1:] == ["203.0.113.9", "xmlrpc", "remoteip.example"]

    server = xmlrpc.client.ServerProxy(f"http://{host.address}/xmlrpc.php")
    assert "wp.newPost" in server.system.listMethods()  # type: ignore[operator]
    assert ask(host, "/wp-includes/wlwmanifest.xml").status == 403


@pytest.mark.usefixtures("closed")
def test_all_open_removes_every_trace(host: hosts.Host, untouched: str, close: Close) -> None:
    assert configuration(host) != untouched
    close(**dict.fromkeys(EVERYTHING, "open"))
    assert configuration(host) == untouched


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no web server": ({"evidence": {"httpd": None}}, "neither nginx nor Apache httpd was found"),
    "stopped": ({"evidence": {"httpd": {"running": False}}}, "httpd is installed but does not run"),
    "broken": (
        {"evidence": {"httpd": {"config_test": {"ok": False, "message": "AH00526: x\n"}}}},
        "refuses its own configuration already; repair it and run again. Nothing was changed. "
        "It says: AH00526: x",
    ),
    "generated": (
        {"evidence": {"httpd": {"conf_file": None, "conf_refusal": "It is generated."}}},
        "It is generated. Nothing was changed.",
    ),
    "no place": ({"evidence": {"httpd": {"conf_file": None}}}, "no place was found where one file"),
    "too old": ({"evidence": {"httpd": {"version": "2.4.18"}}}, "httpd is 2.4.18, and the rules"),
    "without a module": (
        {"evidence": {"httpd": {"modules": ["log_config_module"]}}},
        "httpd runs without alias_module, which the rules need",
    ),
    "odd log": (
        {"httpd_deny_log": "|/bin/sh"},
        'endpoints_httpd_deny_log is "|/bin/sh"; it must be',
    ),
    "no place for logs": (
        {"evidence": {"httpd": {"log_directory": None}}},
        'endpoints_httpd_deny_log is "/wpward-deny.log"; it must be',
    ),
}


def test_what_cannot_be_closed_is_refused_in_a_sentence(host: hosts.Host, tmp_path: Path) -> None:
    cases = {name: case for name, (case, _) in REFUSALS.items()}
    said = play(host, "refusals", tmp_path / "said.json", cases=cases)
    for name, (_, wanted) in REFUSALS.items():
        assert said[name].startswith("endpoints-httpd: "), said[name]
        assert wanted in said[name]
        assert "Nothing was changed." in said[name]
        assert "Traceback" not in said[name]
