# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What server blocks say: addresses, roots, logs and rules, with what they inherit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import load
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import (
    Vhost,
    find_vhosts,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems


class Nginx:
    """A configuration in a directory of its own."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.problems = Problems()

    def vhosts(self, http: str, main: str = "", **files: str) -> list[Vhost]:
        (self.base / "nginx.conf").write_text(main + "http {\n" + http + "\n}\n")
        for name, text in files.items():
            (self.base / name).write_text(text)
        config = load(str(self.base / "nginx.conf"))
        assert config.problems == []
        build = Build(
            version="1.22.1",
            prefix="/usr/share/nginx",
            config_path=config.path,
            access_log="/var/log/nginx/access.log",
            error_log="/var/log/nginx/error.log",
        )
        return find_vhosts(config, build, self.problems)

    def vhost(self, server: str, http: str = "", main: str = "", **files: str) -> Vhost:
        (vhost,) = self.vhosts(http + "\nserver {\n" + server + "\n}", main, **files)
        return vhost


@pytest.fixture()
def nginx(tmp_path: Path) -> Nginx:
    return Nginx(tmp_path)


def listens(vhost: Vhost) -> list[tuple[Any, ...]]:
    return [(one.address, one.port, one.tls, one.default) for one in vhost.listens]


@pytest.mark.parametrize(
    ("value", "address", "port"),
    [
        ("80", "*", 80),
        ("*:8080", "*", 8080),
        ("192.0.2.1", "192.0.2.1", 80),
        ("192.0.2.1:8080", "192.0.2.1", 8080),
        ("[::]:80", "::", 80),
        ("[2001:db8::1]", "2001:db8::1", 80),
        ("localhost", "localhost", 80),
        ("web1.example:81", "web1.example", 81),
        ("127.1:80", "127.1", 80),
    ],
)
def test_listen_addresses(nginx: Nginx, value: str, address: str, port: int) -> None:
    assert listens(nginx.vhost(f"listen {value};")) == [(address, port, False, True)]


def test_listen_options(nginx: Nginx) -> None:
    vhost = nginx.vhost(
        "listen 443 ssl http2; listen unix:/run/x.sock; listen 8080 proxy_protocol;"
    )
    assert [one.describe() for one in vhost.listens] == [
        {"address": "*", "port": 443, "tls": True, "default": True, "proxy_protocol": False},
        {"unix": "/run/x.sock"},
        {"address": "*", "port": 8080, "tls": False, "default": True, "proxy_protocol": True},
    ]
    assert listens(nginx.vhost("listen 443; ssl on;")) == [("*", 443, True, True)]
    assert listens(nginx.vhost("server_name x;")) == [("*", 80, False, True)]
    assert [one.port for one in nginx.vhost("listen 8000-8003;").listens] == list(range(8000, 8004))


def test_the_default_is_the_marked_server_or_the_first(nginx: Nginx) -> None:
    first, second, third = nginx.vhosts(
        "server { listen 80; listen 81; } server { listen 80 default_server; }server { listen 81; }"
    )
    assert listens(first) == [("*", 80, False, False), ("*", 81, False, True)]
    assert listens(second) == [("*", 80, False, True)]
    assert listens(third) == [("*", 81, False, False)]
    assert len({vhost.id for vhost in (first, second, third)}) == 3


def test_identity_is_the_real_file_and_line(nginx: Nginx, tmp_path: Path) -> None:
    (tmp_path / "enabled").mkdir()
    (tmp_path / "blog").write_text("# one\nserver { listen 80; }\n")
    (tmp_path / "enabled/blog").symlink_to(tmp_path / "blog")
    (vhost,) = nginx.vhosts("include enabled/*;")
    assert vhost.id == f"nginx:{tmp_path}/blog:2"
    assert vhost.file == f"{tmp_path}/blog"
    assert (tmp_path / "blog").read_bytes()[: vhost.insert_offset].endswith(b"server {")


@pytest.mark.parametrize(
    ("text", "indent", "comment"),
    [
        ("server {\n    listen 80;\n}", "    ", True),
        ("server {\n\tlisten 80;\n}", "\t", True),
        ("  server {\n      listen 80;\n}", "      ", True),
        ("  server { listen 80; }", "      ", False),
        ("server {}", "    ", False),
        ("server { # c\n  listen 80;\n}", "  ", True),
        ("x; server {\n\n  # c\n   listen 80;\n}", "   ", True),
    ],
)
def test_where_and_how_to_insert(nginx: Nginx, text: str, indent: str, comment: bool) -> None:
    (vhost,) = nginx.vhosts("include one;", one=text)
    assert (vhost.indent, vhost.insert_comment) == (indent, comment)


def test_roots_of_server_locations_and_aliases(nginx: Nginx) -> None:
    vhost = nginx.vhost(
        "root /var/www/blog/; location /shop { alias /srv/shop/; }"
        "location ^~ /news/ { root /srv/news; location ~ x { root /srv/deep; } }"
        "location =/e { root /srv/exact; } location @n { root /srv/named; }"
        "location ^~/docs { root /srv; } location / { root /srv/all; }"
        "location ~ ^/u/ { alias /srv/u; } if ($x) { root /srv/if; } location = /f { return 200; }"
    )
    assert sorted((root.url_path, root.path) for root in vhost.roots) == [
        ("/", "/srv/all"),
        ("/", "/srv/deep"),
        ("/", "/srv/if"),
        ("/", "/srv/named"),
        ("/", "/var/www/blog"),
        ("/docs/", "/srv/docs"),
        ("/news/", "/srv/news/news"),
        ("/shop/", "/srv/shop"),
    ]


def test_roots_are_inherited_and_relative_to_the_prefix(nginx: Nginx) -> None:
    assert [one.path for one in nginx.vhost("listen 80;").roots] == ["/usr/share/nginx/html"]
    inherited = nginx.vhost("listen 80;", http="root sites;")
    assert [one.path for one in inherited.roots] == ["/usr/share/nginx/sites"]


def test_a_root_by_name_is_resolved_and_any_other_variable_is_a_problem(nginx: Nginx) -> None:
    vhost = nginx.vhost("server_name a.example *.b.example ~x _; root /var/www/$host/htdocs;")
    assert [one.path for one in vhost.roots] == ["/var/www/a.example/htdocs"]
    assert nginx.problems.describe() == []
    assert nginx.vhost("server_name a.example; root /var/www/$dir;").roots == []
    (problem,) = nginx.problems.describe()
    assert problem["id"] == "root_unknown"
    assert "/var/www/$dir" in problem["message"]


def logs(vhost: Vhost) -> list[tuple[str, str]]:
    return [(log.path, log.format) for log in vhost.access_logs]


def test_access_logs_are_inherited_replaced_and_switched_off(nginx: Nginx) -> None:
    assert logs(nginx.vhost("listen 80;")) == [("/var/log/nginx/access.log", "combined")]
    http = "access_log /l/http.log main; error_log /l/http-error.log;"
    inherited = nginx.vhost("listen 80;", http)
    assert logs(inherited) == [("/l/http.log", "main")]
    assert inherited.error_logs == ["/l/http-error.log"]
    own = nginx.vhost(
        "access_log logs/own.log; access_log /l/b main buffer=32k; error_log e;", http
    )
    assert logs(own) == [("/usr/share/nginx/logs/own.log", "combined"), ("/l/b", "main")]
    assert own.error_logs == ["/usr/share/nginx/e"]
    assert logs(nginx.vhost("access_log off;", http)) == []
    assert logs(nginx.vhost("access_log /l/a buffer=32k flush=1s;", http)) == [("/l/a", "combined")]
    located = nginx.vhost(
        "location = /xmlrpc.php { access_log /l/x.log; error_log off; }"
        "location / { access_log off; }",
        http,
    )
    assert logs(located) == [("/l/http.log", "main"), ("/l/x.log", "combined")]
    assert located.error_logs == ["/l/http-error.log", "/usr/share/nginx/off"]
    by_main = nginx.vhost("listen 80;", main="error_log /l/main.log;")
    assert by_main.error_logs == ["/l/main.log"]


def test_a_log_by_name_is_one_log_a_name(nginx: Nginx) -> None:
    vhost = nginx.vhost("server_name a.example b.example; access_log /l/$host.log;")
    assert logs(vhost) == [("/l/a.example.log", "combined"), ("/l/b.example.log", "combined")]


def test_rules_that_mention_xmlrpc(nginx: Nginx, tmp_path: Path) -> None:
    vhost = nginx.vhost(
        "\nlocation = /xmlrpc.php { deny all; }\nlocation / {\n"
        'if ($request_uri ~* "XMLRPC\\.php") { return 403; } }\ninclude block;\n'
        "include xmlrpc-nothing;\nlocation /x { rewrite ^ /index.php; }",
        block="location ~* xmlrpc { deny all; }",
        **{"xmlrpc-nothing": ""},
    )
    main = str(tmp_path / "nginx.conf")
    assert vhost.xmlrpc_rules == [
        {"file": main, "line": 5, "text": "location = /xmlrpc.php"},
        {"file": main, "line": 7, "text": "if ($request_uri ~* XMLRPC\\.php )"},
        {"file": str(tmp_path / "block"), "line": 1, "text": "location ~* xmlrpc"},
    ]


def test_our_own_include_is_recognised_and_its_rules_and_log_are_not_the_sites(
    nginx: Nginx, tmp_path: Path
) -> None:
    (tmp_path / "wpward").mkdir()
    (tmp_path / "wpward/server.conf").write_text(
        "location = /.wpward/deny { access_log /l/deny.log wpward; internal; } # xmlrpc\n"
        "location = /xmlrpc.php.wpward { return 403; }"
    )
    (vhost,) = nginx.vhosts(
        "include one;",
        one=f"server {{\n    include {tmp_path}/wpward/server.conf;  # wpward\n    listen 80;\n}}",
    )
    text = f"\n    include {tmp_path}/wpward/server.conf;  # wpward"
    assert vhost.wpward_include == {
        "offset": len("server {"),
        "length": len(text),
        "path": f"{tmp_path}/wpward/server.conf",
    }
    assert vhost.insert_offset == len("server {")
    assert vhost.xmlrpc_rules == []
    assert logs(vhost) == [("/var/log/nginx/access.log", "combined")]


def test_the_evidence_form_is_plain(nginx: Nginx) -> None:
    described = nginx.vhost("listen 80; server_name blog.example;").describe()
    assert described["server"] == "nginx"
    assert described["server_names"] == ["blog.example"]
    assert described["wpward_include"] is None
    assert described["roots"] == ["/usr/share/nginx/html"]
