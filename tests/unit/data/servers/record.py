# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records what a real server logs of hostile requests, in many formats: the data of the log
format tests. Run on a test host as root: ``python3 record.py nginx|httpd > nginx.json``.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PORT = 8099

NGINX = {
    "combined": "",
    "main": '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" "$http_x_forwarded_for"',
    "json": 'escape=json {"t":"$time_iso8601","a":"$remote_addr","u":"$remote_user",'
    '"r":"$request","s":$status,"f":"$http_referer","g":"$http_user_agent"}',
    "pieces": "$host $remote_addr [$time_iso8601] $request_method $request_uri $status "
    "$request_time $upstream_response_time",
    "tabs": "$msec\\t$remote_addr\\t$remote_user\\t$request_method\\t$request_uri\\t$status\\t"
    "$http_user_agent",
    "user_first": '$remote_user@$remote_addr "$time_local" "$request" $status',
}
HTTPD = {
    "common": '%h %l %u %t "%r" %>s %b',
    "combined": '%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"',
    "vhost_combined": '%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"',
    "json": '{"t":"%{%Y-%m-%dT%T}t.%{msec_frac}t%{%z}t","a":"%a","u":"%u","r":"%r","s":%>s,'
    '"f":"%{Referer}i","g":"%{User-Agent}i"}',
    "tabs": "%{usec}t\\t%a\\t%u\\t%m\\t%U%q\\t%>s\\t%{User-Agent}i",
    "behind_proxy": '%{X-Forwarded-For}i %{c}a %l %u %{%Y-%m-%d %H:%M:%S %z}t "%r" %!400>s '
    '"%400,404{User-Agent}i" %D',
}

FAKE = b'198.51.100.9 - - [01/Jan/2001:00:00:00 +0000] "GET /fake HTTP/1.1" 200 1 "-" "-"'


def basic(user: bytes) -> bytes:
    return b"Authorization: Basic " + base64.b64encode(user + b":x")


def request(line: bytes, *headers: bytes) -> bytes:
    lines = [line, b"Host: blog.example", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


REQUESTS = [
    request(b"GET / HTTP/1.1", b"User-Agent: plain"),
    request(b"POST //xmlrpc.php HTTP/1.1", b"User-Agent: Mozilla/5.0 (X11; x)"),
    request(b'GET /a"b HTTP/1.1', b'User-Agent: "quoted" \\ back\\', b'Referer: "'),
    request(b"GET /xmlrpc.php?\\ HTTP/1.1", b"User-Agent: \\", b'Referer: \\"\\\\"'),
    request(b"GET /?author=1&x=%22%20200%20 HTTP/1.1", b"Referer: " + FAKE, b"User-Agent: " + FAKE),
    request(b'GET /"] "GET /fake HTTP/1.1" 200 1 HTTP/1.1', b"User-Agent: x"),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b"x [01/Jan/2001:00:00:00 +0000] y")),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b'x [01/Jan/2001:00:00:00 +0000] "GET /f" 200')),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b"")),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b'"')),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b"\\")),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b"a 198.51.100.9 - b")),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b"a@198.51.100.9")),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b"x [20010101T000000] y")),
    request(b"GET /xmlrpc.php HTTP/1.1", basic(b"\r\n" + FAKE), b"User-Agent: \t x \t"),
    request(b"GET /caf\xc3\xa9?\xff\xfe HTTP/1.1", b"User-Agent: \xc3\xa9 \xff", b"Referer: \x7f"),
    request(b"GET /?rest_route=/wp/v2/users HTTP/1.1", b"X-Forwarded-For: 198.51.100.9 - "),
    request(b"GET / HTTP/1.1", b'User-Agent: ","r":"GET /fake HTTP/1.1","s":200,"g":"'),
    b"GET /xmlrpc.php\r\n\r\n",
    b"GET /?author=1&\\\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\r\n\r\n",
    b'" 200 1 "x" "y"\r\n\r\n',
    b"GET / HTTP/1.1\r\nHost: a 198.51.100.9 - - \r\nConnection: close\r\n\r\n",
    request(b"GET /" + b"a" * 5000 + b" HTTP/1.1", b"User-Agent: " + b"b" * 3000),
]


def nginx(directory: Path) -> tuple[list[str], dict[str, str]]:
    lines = [
        f"log_format {n} {t.split()[0]} '{t.split(None, 1)[1]}';"
        if t.startswith("escape")
        else f"log_format {n} '{t}';"
        for n, t in NGINX.items()
        if t
    ]
    lines += [f"access_log {directory}/{name} {name};" for name in NGINX]
    config = directory / "nginx.conf"
    config.write_text(
        f"pid {directory}/pid; error_log {directory}/error; daemon off; worker_processes 1;"
        "events {} http {"
        + "\n".join(lines)
        + f"\nserver {{ listen 127.0.0.1:{PORT}; server_name blog.example; root {directory};"
        " location / { try_files /no =404; } } }"
    )
    config.chmod(0o644)
    return ["nginx", "-c", str(config)], {
        name: text.replace("\\t", "\t") for name, text in NGINX.items()
    }


def httpd(directory: Path) -> tuple[list[str], dict[str, str]]:
    (directory / "xmlrpc.php").write_text("<?php echo 1;")
    modules = Path("/usr/lib/apache2/modules")
    load = "".join(
        f"LoadModule {name}_module {modules}/mod_{name}.so\n"
        for name in ("mpm_prefork", "authz_core")
    )
    php = sorted(modules.glob("libphp*.so"))[-1]
    config = directory / "httpd.conf"
    quoted = {n: t.replace("\\", "\\\\").replace('"', '\\"') for n, t in HTTPD.items()}
    config.write_text(
        f"{load}LoadModule php_module {php}\nServerRoot {directory}\nServerName blog.example\n"
        f"Listen 127.0.0.1:{PORT}\nPidFile {directory}/pid\nErrorLog {directory}/error\n"
        f"User www-data\nGroup www-data\nDocumentRoot {directory}\n"
        "<FilesMatch \\.php$>\nSetHandler application/x-httpd-php\n</FilesMatch>\n"
        + "".join(f'LogFormat "{text}" f_{name}\n' for name, text in quoted.items())
        + "".join(f"CustomLog {directory}/{name} f_{name}\n" for name in HTTPD)
    )
    return ["apache2", "-f", str(config), "-DFOREGROUND"], HTTPD


def send(raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", PORT), timeout=5) as connection:
        connection.sendall(raw)
        connection.settimeout(5)
        while connection.recv(65536):
            pass


def main(server: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        command, formats = {"nginx": nginx, "httpd": httpd}[server](directory)
        version = subprocess.run([command[0], "-v"], capture_output=True, text=True, check=True)
        process = subprocess.Popen(command)
        try:
            time.sleep(2)
            for raw in REQUESTS:
                send(raw)
                # Log lines in the order of the requests.
                time.sleep(0.05)
        finally:
            process.terminate()
            process.wait()
        found = re.search(r"(?:nginx|Apache)/([\d.]+)", version.stdout + version.stderr)
        assert found
        json.dump(
            {
                "version": found.group(1),
                "requests": [raw.decode("latin-1") for raw in REQUESTS],
                "formats": formats,
                "logs": {
                    one: (directory / one).read_bytes().decode("latin-1").split("\n")[:-1]
                    for one in formats
                },
            },
            sys.stdout,
            indent=1,
        )
        sys.stdout.write("\n")


main(sys.argv[1])
