# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""nginx settings that do something else than their author meant, and the like that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import load
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_traps import find
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import find_vhosts
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import find_sites

PHP = r"location ~ \.php$ { include fastcgi.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }"
FRONT = "location / { try_files $uri $uri/ /index.php?$args; }"


class Host:
    """An nginx with one WordPress in ``blog`` and one below ``sub``."""

    def __init__(self, base: Path) -> None:
        self.base = base
        for path in ("blog", "sub/wp"):
            (base / path / "wp-includes").mkdir(parents=True)
            (base / path / "wp-load.php").touch()
            (base / path / "wp-includes/version.php").write_text("<?php\n$wp_version = '6.1';")
        (base / "fastcgi.conf").write_text("fastcgi_param A b;\n")

    def traps(self, *servers: str, http: str = "", main: str = "") -> list[dict[str, Any]]:
        text = "".join(f"server {{\n{server}\n}}\n" for server in servers)
        text = text.replace("BLOG", str(self.base / "blog")).replace("SUB", str(self.base / "sub"))
        (self.base / "nginx.conf").write_text(f"{main}\nhttp {{\n{http}\n{text}}}\n")
        config = load(str(self.base / "nginx.conf"))
        assert config.problems == []
        build = Build("1.22.1", str(self.base), config.path, "/x/access.log", "/x/error.log")
        vhosts = find_vhosts(config, build, Problems())
        sites = find_sites(vhosts, Problems())
        return find(config, build, vhosts, sites, ["192.0.2.7"])

    def blog(self, *lines: str, http: str = "", main: str = "") -> list[dict[str, Any]]:
        head = "listen 80 default_server; server_name blog.example; root BLOG;\n"
        return self.traps(head + "\n".join(lines), http=http, main=main)


@pytest.fixture()
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def ids(traps: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in traps]


def test_a_correct_configuration_has_no_trap(host: Host) -> None:
    assert (
        host.blog(
            "access_log /var/log/nginx/blog.log; error_log /var/log/nginx/blog.error.log warn;",
            "location = /xmlrpc.php {",
            "  allow 192.0.2.7; deny all;",
            "  include fastcgi.conf; fastcgi_pass unix:/run/php/php-fpm.sock;",
            "}",
            FRONT,
            PHP,
            "location ^~ /api/ { proxy_pass http://127.0.0.1:8080; }",
        )
        == []
    )


# Incident A, in the order in which its operator tried.
FIRST_FIX = "location = /xmlrpc.php { deny all; access_log off; error_log off; }"
TRY_1 = "location = /xmlrpc.php { allow 203.0.113.7; deny all; }"
TRY_2 = "location = /xmlrpc.php { allow 203.0.113.7; deny all; error_page 405 =200 $uri; }"
TRY_3 = (
    "location = /xmlrpc.php {\nallow 203.0.113.7; deny all;\n"
    "proxy_pass http://127.0.0.1/xmlrpc.php;\n}"
)


def test_the_first_fix_of_incident_a_is_blind_and_fills_a_file(host: Host) -> None:
    traps = host.blog(FIRST_FIX, FRONT, PHP)
    assert ids(traps) == ["error_log_off", "xmlrpc_log_off"]
    off, blind = traps
    assert off["file"] == str(host.base / "nginx.conf")
    assert off["line"] == 6
    assert off["text"] == FIRST_FIX
    assert off["server"] == "nginx"
    assert f"{host.base}/off" in off["detail"]
    assert blind["site"] == "blog.example/"
    (host.base / "off").write_bytes(b"x" * 4711)
    traps = host.blog(FIRST_FIX, FRONT, PHP)
    (file,) = [one for one in traps if one["id"] == "off_file"]
    assert (file["file"], file["size"], file["line"]) == (f"{host.base}/off", 4711, None)


def test_the_file_named_off_outlives_its_directive(host: Host) -> None:
    (host.base / "off").write_bytes(b"x")
    assert ids(host.blog(FRONT, PHP)) == ["off_file"]


@pytest.mark.parametrize("level", ["main", "http"])
def test_error_log_off_outside_of_servers(host: Host, level: str) -> None:
    traps = host.blog(FRONT, PHP, **{level: "error_log off;"})
    assert [(one["id"], one["site"]) for one in traps] == [("error_log_off", None)]


@pytest.mark.parametrize("location", [TRY_1, TRY_2])
def test_an_allowlist_that_does_not_reach_php(host: Host, location: str) -> None:
    (one,) = host.blog(location, FRONT, PHP)
    assert (one["id"], one["site"], one["text"]) == (
        "xmlrpc_without_php",
        "blog.example/",
        location,
    )


@pytest.mark.parametrize(
    "location",
    [
        "location = /xmlrpc.php { deny all; }",
        "location = /xmlrpc.php { return 403; }",
        "location = /xmlrpc.php { allow 203.0.113.7; deny all; fastcgi_pass 127.0.0.1:9000; }",
        "location = /xmlrpc.php { allow 203.0.113.7; deny all; proxy_pass http://192.0.2.9; }",
        "location = /xmlrpc.php { allow 203.0.113.7; deny all; error_page 405 = @php; }"
        " location @php { fastcgi_pass 127.0.0.1:9000; }",
        "location = /xmlrpc.php { allow 203.0.113.7; deny all; rewrite ^ /index.php last; }",
        r"location ~* xmlrpc\.php { allow 203.0.113.7; deny all; fastcgi_pass 127.0.0.1:9000; }",
        # The prefix location holds one that passes.
        r"location ^~ /xmlrpc.php { location ~ \.php$ { fastcgi_pass 127.0.0.1:9000; } }",
    ],
)
def test_rules_that_do_what_they_say(host: Host, location: str) -> None:
    assert host.blog(location, FRONT, PHP) == []


@pytest.mark.parametrize(
    "location",
    [
        "location ^~ /xmlrpc.php { limit_req zone=x; }",
        'location = /xmlrpc.php { satisfy any; allow 203.0.113.7; deny all; auth_basic "x"; }',
        r"location ~* ^/xmlrpc\.php$ { allow 203.0.113.7; deny all; }",
        "location = /xmlrpc.php { if ($bad) { return 403; } }",
        "location = /xmlrpc.php { error_page 405 = @x; } location @x { return 403; }"
        " location @php { fastcgi_pass 127.0.0.1:9000; }",
    ],
)
def test_other_forms_without_php(host: Host, location: str) -> None:
    assert ids(host.blog(location, FRONT, PHP)) == ["xmlrpc_without_php"]


def test_the_third_try_of_incident_a_calls_itself(host: Host) -> None:
    (one,) = host.blog(TRY_3, FRONT, PHP)
    assert one["id"] == "self_proxy"
    assert one["text"] == "proxy_pass http://127.0.0.1/xmlrpc.php;"
    assert one["site"] == "blog.example/"


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1",
        "http://localhost:80/xmlrpc.php",
        "http://127.0.0.1$request_uri",
        "http://192.0.2.7/xmlrpc.php",
        "http://[::1]:80/xmlrpc.php",
        "http://$server_addr:$server_port$request_uri",
        "http://itself",
    ],
)
def test_other_ways_to_call_oneself(host: Host, target: str) -> None:
    location = f"location = /xmlrpc.php {{ proxy_pass {target}; }}"
    traps = host.blog(location, FRONT, PHP, http="upstream itself { server 127.0.0.1; }")
    assert ids(traps) == ["self_proxy"]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:8080/xmlrpc.php",
        "http://198.51.100.1/xmlrpc.php",
        "http://127.0.0.1/index.php",
        "http://unix:/run/other.sock:/xmlrpc.php",
        "http://other",
        "$backend",
    ],
)
def test_proxies_that_lead_elsewhere(host: Host, target: str) -> None:
    location = f"location = /xmlrpc.php {{ proxy_pass {target}; }}"
    traps = host.blog(location, FRONT, PHP, http="upstream other { server 127.0.0.1:8080; }")
    assert traps == []


def test_another_server_block_answers_the_proxied_request(host: Host) -> None:
    back = "listen 80; server_name back.example; root BLOG;\n" + PHP
    front = (
        "listen 80 default_server; server_name blog.example; root BLOG;\n"
        "location = /xmlrpc.php { proxy_set_header Host back.example;"
        " proxy_pass http://127.0.0.1; }\n" + PHP
    )
    assert host.traps(front, back) == []
    loop = front.replace("back.example", "$host")
    assert ids(host.traps(loop, back)) == ["self_proxy"]
    # Without a Host header of its own the proxied request has the target's.
    plain = front.replace("proxy_set_header Host back.example;", "")
    assert ids(host.traps(plain, back)) == ["self_proxy"]
    # One that is set for all servers.
    assert host.traps(plain, back, http="proxy_set_header Host back.example;") == []


def test_the_default_server_block_answers_an_address(host: Host) -> None:
    first = "listen 80; server_name back.example; root BLOG;\n" + PHP
    second = "listen 80 default_server; server_name blog.example; root BLOG;\n" + TRY_3 + PHP
    assert ids(host.traps(first, second)) == ["self_proxy"]
    assert host.traps(first, second.replace(" default_server", "")) == []


def test_a_loop_over_two_server_blocks(host: Host) -> None:
    first = "listen 80; server_name a.example; location / { proxy_pass http://127.0.0.1:81; }"
    second = "listen 81; server_name b.example; location / { proxy_pass http://127.0.0.1:80; }"
    assert ids(host.traps(first, second)) == ["self_proxy", "self_proxy"]


@pytest.mark.parametrize(
    "rule",
    [
        r"location ~* xmlrpc\.php { deny all; }",
        "location /xmlrpc.php { deny all; }",
        "location = /wp/xmlrpc.php { deny all; }",
    ],
)
def test_a_rule_that_another_location_beats(host: Host, rule: str) -> None:
    (one,) = host.blog(FRONT, PHP, rule)
    assert (one["id"], one["text"], one["site"]) == (
        "xmlrpc_rule_never_fires",
        rule,
        "blog.example/",
    )
    assert r'/xmlrpc.php is taken by "location ~ \.php$" at ' in one["detail"]


@pytest.mark.parametrize(
    "rule",
    [
        r"location ~* xmlrpc\.php { deny all; }",
        r"location ~ ^/xmlrpc\.php$ { deny all; }",
        "location ^~ /xmlrpc.php { deny all; }",
        "location = /xmlrpc.php { deny all; }",
        # They let something through, but they do fire.
        "if ($request_uri = /xmlrpc.php) { return 403; }",
        r"location ~ ^/xmlrpc\.php/ { deny all; }",
    ],
)
def test_rules_that_fire(host: Host, rule: str) -> None:
    assert host.blog(rule, FRONT, PHP) == []


def test_an_exact_location_fires_wherever_it_stands(host: Host) -> None:
    assert host.blog(FRONT, PHP, "location = /xmlrpc.php { deny all; }") == []


def test_the_rule_of_the_front_page_is_not_that_of_the_directory(host: Host) -> None:
    server = "listen 80; server_name sub.example; root SUB;\n" + PHP
    (one,) = host.traps(server + "location = /xmlrpc.php { deny all; }")
    assert one["id"] == "xmlrpc_rule_never_fires"
    assert host.traps(server + "location = /wp/xmlrpc.php { deny all; }") == []


def test_a_rule_in_another_server_block(host: Host) -> None:
    other = "listen 81; server_name static.example; root /srv/none;\n"
    other += "location = /xmlrpc.php { deny all; }"
    blog = "listen 80; server_name blog.example; root BLOG;\n" + PHP
    (one,) = host.traps(blog, other)
    assert (one["id"], one["site"]) == ("xmlrpc_rule_never_fires", "blog.example/")
    assert host.traps(blog + "location = /xmlrpc.php { deny all; }", other) == []
    # The rule may be a map's.
    assert host.traps(blog, other, http="map $uri $x { /xmlrpc.php 1; }") == []


def test_a_log_that_is_off_for_all_is_off_for_xmlrpc_too(host: Host) -> None:
    assert ids(host.blog("access_log off;", FRONT, PHP)) == ["xmlrpc_log_off"]
    assert host.blog("access_log off;", PHP.replace("{", "{ access_log /x/a.log;", 1)) == []


@pytest.mark.parametrize(
    ("value", "buffered"),
    [
        ("/x/a.log combined buffer=32k", True),
        ("/x/a.log combined buffer=32k flush=5m", True),
        ("/x/a.log combined gzip", True),
        ("/x/a.log combined gzip=1", True),
        ("/x/a.log combined if=$x", False),
        ("/x/a.log", False),
        ("/var/log/b.log combined buffer=64k flush=1s", False),
        ("/var/log/b.log combined buffer=64k flush=500ms", False),
        ("/var/log/b.log combined buffer=64k flush=10s", True),
    ],
)
def test_buffered_access_logs(host: Host, value: str, buffered: bool) -> None:
    traps = host.blog(f"access_log {value};", PHP)
    assert ids(traps) == (["access_log_buffered"] if buffered else [])
    traps = host.blog(PHP, http=f"access_log {value};")
    assert [(one["id"], one["site"]) for one in traps] == (
        [("access_log_buffered", None)] if buffered else []
    )


def test_nginx_reads_no_htaccess(host: Host) -> None:
    path = host.base / "blog/.htaccess"
    path.write_text("# BEGIN WordPress\n<Files xmlrpc.php>\nRequire all denied\n</Files>\n")
    (one,) = host.blog(FRONT, PHP)
    assert (one["id"], one["server"], one["file"], one["line"], one["text"], one["site"]) == (
        "htaccess_ignored",
        "nginx",
        str(path),
        2,
        "<Files xmlrpc.php>",
        "blog.example/",
    )
    assert host.blog("location / { proxy_pass http://127.0.0.1:8080; }") == []
    # It is of no matter where nginx has a rule of its own.
    assert host.blog("location = /xmlrpc.php { deny all; }", FRONT, PHP) == []
    path.write_text("# xmlrpc.php\nRewriteEngine On\n")
    assert host.blog(FRONT, PHP) == []


def test_a_line_that_two_server_blocks_include_is_one_trap(host: Host) -> None:
    (host.base / "fix.conf").write_text(TRY_1)
    server = "listen {}; server_name blog.example; root BLOG; include fix.conf;\n" + PHP
    (one,) = host.traps(server.replace("{}", "80", 1), server.replace("{}", "81", 1))
    assert one["file"] == str(host.base / "fix.conf")


def test_what_is_not_understood_is_not_called_a_trap(host: Host) -> None:
    assert host.blog(r"location ~ ^/(?>xml)(?&x)rpc\.php { deny all; }", TRY_3, PHP) == []
    assert host.blog(r"location ~ ^/(?<name>[a-z]+)\.css$ { expires 1d; }", PHP) == []
    assert host.blog('location ~ "[" { deny all; }', "location { deny all; }", PHP) == []
