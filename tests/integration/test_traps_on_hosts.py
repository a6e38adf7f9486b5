# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A rule is called a trap if, and only if, a real server lets the request through all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testbed import hosts, podman

from .conftest import ROOT, MakeHost

LIBRARY = "/tmp/library/ansible_collections/wpward/wordpress/plugins"
# Writes the files, restarts the server, asks for XML-RPC, and prints what the library says.
PROGRAM = """
import http.client, json, pathlib, subprocess, sys, time
from importlib import import_module
sys.path.insert(0, "/tmp/library")
PACKAGE = "ansible_collections.wpward.wordpress.plugins.module_utils."
def load(name):
    return import_module(PACKAGE + name)
web, files = json.load(sys.stdin)
for path, text in files.items():
    pathlib.Path(path).write_text(text)
service = "nginx" if web == "nginx" else "apache2"
# systemd refuses the sixth start within ten seconds.
subprocess.run(["systemctl", "reset-failed", service], check=True)
subprocess.run(["systemctl", "restart", service], check=True)
problems = load("problems").Problems()
find_sites = load("wordpress_discovery").find_sites
if web == "nginx":
    discovery = load("nginx_discovery")
    build = discovery.read_build("/usr/sbin/nginx", None)
    config = load("nginx_config").load(build.config_path)
    vhosts = load("nginx_vhosts").find_vhosts(config, build, problems)
    traps = load("nginx_traps").find(config, build, vhosts, find_sites(vhosts, problems))
else:
    running = load("processes").running()
    vhosts = load("httpd_discovery").discover(running, problems).vhosts
    traps = load("httpd_traps").find(vhosts, find_sites(vhosts, problems))
def ask(method, body):
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=20)
    connection.request(method, "/xmlrpc.php", body, {"Host": "blog.example"})
    response = connection.getresponse()
    return [response.status, response.read().decode("utf-8", "replace")]
hello = "<methodCall><methodName>demo.sayHello</methodName></methodCall>"
print(json.dumps([[one["id"] for one in traps], *ask("POST", hello), *ask("GET", None)]))
"""
NGINX = """server {
    listen 80 default_server; server_name blog.example; root /var/www/blog; index index.php;
    access_log /var/log/nginx/blog-access.log; error_log /var/log/nginx/blog-error.log;
    BEFORE
    location / { try_files $uri $uri/ /index.php?$args; }
    location ~ \\.php$ { include snippets/fastcgi-php.conf;
        fastcgi_pass unix:/run/php/php-fpm.sock; }
    AFTER
}
"""
HTTPD = """MAIN
<VirtualHost *:80>
ServerName blog.example
DocumentRoot /var/www/blog
ErrorLog ${APACHE_LOG_DIR}/blog-error.log
OWN
</VirtualHost>
"""
ALL = "<Directory /var/www/blog>\nAllowOverride All\n</Directory>\n"
PASS = (
    'ProxyPassMatch "^/(.*\\.php)$" "unix:/run/php/php-fpm.sock|fcgi://localhost/var/www/blog/$1"\n'
)
FILES = "<Files xmlrpc.php>\nRequire all denied\n</Files>\n"
REWRITE = "RewriteEngine On\nRewriteRule ^/?xmlrpc\\.php$ - [F]\n"
LOCATION = "<Location /xmlrpc.php>\nRequire all denied\n</Location>\n"
REDIRECT = "RedirectMatch 403 ^/xmlrpc\\.php\n"
NEVER = ["xmlrpc_rule_never_fires"]
IGNORED = ["htaccess_ignored"]


class Server:
    """A host whose configuration each test writes anew."""

    def __init__(self, host: hosts.Host, web: str) -> None:
        self.host = host
        self.web = web
        podman.execute(host.container, ["mkdir", "-p", LIBRARY])
        source = str(ROOT / "plugins/module_utils")
        podman.podman("cp", source, f"{host.container}:{LIBRARY}/module_utils")

    def ask(self, files: dict[str, str]) -> Any:
        """[ids of traps, status and body of a POST, status and body of a GET]."""
        answer = podman.execute(
            self.host.container, ["python3", "-c", PROGRAM], stdin=json.dumps([self.web, files])
        )
        return json.loads(answer)


@pytest.fixture(scope="module")
def nginx(make_host: MakeHost) -> Server:
    return Server(make_host("traps-nginx"), "nginx")


@pytest.fixture(scope="module")
def httpd(make_host: MakeHost) -> Server:
    return Server(make_host("traps-httpd", web="httpd"), "httpd")


def on_nginx(server: Server, before: str = "", after: str = "") -> Any:
    text = NGINX.replace("BEFORE", before).replace("AFTER", after)
    podman.execute(server.host.container, ["sh", "-c", "rm -f /etc/nginx/sites-enabled/*"])
    return server.ask({"/etc/nginx/sites-enabled/blog.conf": text})


@pytest.mark.parametrize(
    ("before", "after", "traps"),
    [
        ("", "", []),
        ("", "location ~* xmlrpc\\.php { deny all; }", NEVER),
        ("", "location /xmlrpc.php { deny all; }", NEVER),
        ("", "location = /xmlrpc.php { deny all; }", []),
        ("location ~* xmlrpc\\.php { deny all; }", "", []),
        ("", "location ^~ /xmlrpc.php { deny all; }", []),
        ("location = /wp/xmlrpc.php { deny all; }", "", NEVER),
    ],
)
def test_nginx_rules(nginx: Server, before: str, after: str, traps: list[str]) -> None:
    found, _status, body, *_get = on_nginx(nginx, before, after)
    assert found == traps
    is_open = bool(traps) or not before + after
    assert ("methodResponse" in body) == is_open


@pytest.mark.parametrize(
    ("rule", "reaches"),
    [
        ("allow 127.0.0.1; deny all;", False),
        ("allow 127.0.0.1; deny all; error_page 405 =200 $uri;", False),
        ("allow 127.0.0.1; deny all; error_page 405 = @php;", True),
        (
            "allow 127.0.0.1; deny all; include snippets/fastcgi-php.conf;"
            " fastcgi_pass unix:/run/php/php-fpm.sock;",
            True,
        ),
    ],
)
def test_nginx_allowlists(nginx: Server, rule: str, reaches: bool) -> None:
    php = "location @php { include fastcgi.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }"
    found, _status, body, _get_status, source = on_nginx(
        nginx, f"location = /xmlrpc.php {{ {rule} }}", php
    )
    assert found == ([] if reaches else ["xmlrpc_without_php"])
    assert ("methodResponse" in body) == reaches
    if not reaches:
        assert "XML-RPC protocol support for WordPress" in source


def test_nginx_that_calls_itself(nginx: Server) -> None:
    proxy = "location = /xmlrpc.php { proxy_pass http://127.0.0.1/xmlrpc.php; }"
    found, status, _body, *_get = on_nginx(nginx, proxy)
    assert found == ["self_proxy"]
    assert status in (500, 502)


@pytest.mark.parametrize(
    ("main", "own", "htaccess", "traps", "is_open"),
    [
        ("", "", "", [], True),
        ("", FILES, "", [], False),
        ("", PASS + FILES, "", NEVER, True),
        ("", REDIRECT, "", [], False),
        ("", PASS + REDIRECT, "", NEVER, True),
        ("", PASS + LOCATION, "", [], False),
        ("", PASS + REWRITE, "", [], False),
        ("", REWRITE.partition("\n")[2], "", NEVER, True),
        ("", f"<Directory /var/www/blog>\n{REWRITE}</Directory>\n", "", [], False),
        ("", PASS + f"<Directory /var/www/blog>\n{REWRITE}</Directory>\n", "", NEVER, True),
        (REWRITE, "", "", NEVER, True),
        (REWRITE, "RewriteEngine On\n", "", NEVER, True),
        (REWRITE, "RewriteEngine On\nRewriteOptions Inherit\n", "", [], False),
        ("RewriteOptions InheritDown\n" + REWRITE, "", "", NEVER, True),
        ("RewriteOptions InheritDown\n" + REWRITE, "RewriteEngine On\n", "", [], False),
        (FILES, "", "", [], False),
        (FILES, PASS, "", NEVER, True),
        (LOCATION, PASS, "", [], False),
        ("", LOCATION.replace("/xmlrpc", "/wp/xmlrpc"), "", NEVER, True),
        ("", "", FILES, IGNORED, True),
        ("", ALL, FILES, [], False),
        (ALL, "", FILES, [], False),
        ("", ALL + PASS, FILES, IGNORED, True),
        ("", ALL + PASS, REWRITE, IGNORED, True),
        ("", ALL, REWRITE, [], False),
        (ALL, ALL.replace(" All", " None"), FILES, IGNORED, True),
        ("<Directory />\nAllowOverride All\n</Directory>\n", "", FILES, IGNORED, True),
    ],
)
def test_httpd_rules(
    httpd: Server, main: str, own: str, htaccess: str, traps: list[str], is_open: bool
) -> None:
    text = HTTPD.replace("MAIN", main).replace("OWN", own)
    found, _status, body, *_get = httpd.ask(
        {
            "/etc/apache2/sites-enabled/blog.conf": text,
            "/var/www/blog/.htaccess": htaccess,
        }
    )
    assert found == traps
    assert ("methodResponse" in body) == is_open
