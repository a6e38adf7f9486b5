# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe's evidence against what a real host says of itself, over real SSH."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from testbed import hosts, podman

from .conftest import BIN, ROOT, MakeHost, Playbook

# A log format that puts what clients send first, one in JSON, and one with the trailing field that
# most distributions' "main" has.
FORMATS = """
log_format main '$remote_addr - $remote_user [$time_local] "$request" '
                '$status $body_bytes_sent "$http_referer" '
                '"$http_user_agent" "$http_x_forwarded_for"';
log_format json escape=json '{"ua":"$http_user_agent","at":"$time_iso8601","ip":"$remote_addr",'
                            '"request":"$request","status":$status}';
log_format odd '"$http_x_forwarded_for" $host $msec $request_method "$request_uri" $status';
"""
SERVER = """
server {{ listen {port}; server_name {name}.example; access_log /var/log/nginx/{name}.log {name};
    location / {{ return 404; }} }}
"""
PORTS = {"main": 8101, "json": 8102, "odd": 8103}

XMLRPC = ["/xmlrpc.php", "//xmlrpc.php", "/%78mlrpc.php", '/x/../xmlrpc.php?"\\', "/xmlrpc.php#é"]
USERS = ["/wp-json/wp/v2/users", "/?rest%5Froute=/wp/v2/USERS"]
INNOCENT = ["/", "/?s=/xmlrpc.php", '/"] "POST xmlrpc.php', "/my-xmlrpc.php-story/", "/a b"]
BAIT = '"] "POST /xmlrpc.php HTTP/1.1" 200 [20/Oct/2015:18:52:00 +0900] "'


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    host = make_host("probe", vhosts=["second", "tls", "sub", "pathinfo", "static"])
    servers = "".join(SERVER.format(name=name, port=port) for name, port in PORTS.items())
    write(host, "/etc/nginx/conf.d/formats.conf", FORMATS + servers)
    inside(host, "systemctl", "reload", "nginx")
    time.sleep(1.5)
    return host


def inside(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    output: str = podman.execute(host.container, list(argv), stdin=stdin)
    return output


def write(host: hosts.Host, path: str, text: str) -> None:
    inside(host, "sh", "-c", f"cat > {path}", stdin=text)


def probe(playbook: Playbook, host: hosts.Host, *arguments: str) -> Any:
    run = playbook(host, "probe", *arguments).proven()
    assert run.executions == {host.name: 1}
    assert run.changed(host.name) == 0
    (report,) = run.reports.values()
    return report["evidence"]


def problem_ids(evidence: Any) -> list[str]:
    return [problem["id"] for problem in evidence["problems"]]


def test_the_evidence_is_what_the_host_says(
    host: hosts.Host, playbook: Playbook, tree: Callable[[hosts.Host], str]
) -> None:
    before = tree(host)
    evidence = probe(playbook, host)
    assert tree(host) == before
    assert evidence["problems"] == []

    facts = evidence["host"]
    assert facts["init"] == "systemd"
    assert facts["controller_address"] is not None
    assert {host.address, host.address6} <= set(facts["addresses"])
    assert facts["os"]["codename"] == host.suite

    nginx = evidence["nginx"]
    version = inside(host, "sh", "-c", "nginx -v 2>&1")
    assert f"nginx/{nginx['version']}" in version
    assert nginx["running"]
    assert nginx["unit"] == "nginx.service"
    assert nginx["config_newer_than_workers"] == []
    dump = inside(host, "sh", "-c", "nginx -T 2>/dev/null")
    loaded = re.findall(r"^# configuration file (.+):$", dump, re.MULTILINE)
    real = inside(host, "realpath", *loaded).split()
    assert sorted(nginx["files"]) == sorted(set(real))
    sums = inside(host, "sha256sum", *nginx["files"]).splitlines()
    assert {line.split()[1]: line.split()[0] for line in sums} == {
        path: entry["sha256"] for path, entry in nginx["files"].items()
    }

    for vhost in evidence["vhosts"]:
        text = inside(host, "cat", vhost["file"]).encode()
        assert text[: vhost["insert_offset"]].rstrip().endswith(b"{")
        assert b"server" in text[: vhost["insert_offset"]].splitlines()[-1]
    assert {site["id"]: site["path"] for site in evidence["sites"]} == {
        "blog.example/": "/var/www/blog",
        "second.example/": "/var/www/second",
        "sub.example/blog/": "/var/www/sub/blog",
        "pathinfo.example:8081/": "/var/www/pathinfo",
    }
    php = "require '/var/www/blog/wp-load.php'; echo $wp_version, ' ', WPMU_PLUGIN_DIR;"
    version, must_use = inside(host, "php", "-r", php).split()
    (blog,) = [site for site in evidence["sites"] if site["id"] == "blog.example/"]
    assert (blog["version"], blog["mu_plugins_dir"]) == (version, must_use)
    assert len(blog["vhosts"]) == 2


def test_limits_are_those_of_the_running_processes(host: hosts.Host, playbook: Playbook) -> None:
    evidence = probe(playbook, host)
    masters = {
        entry["service"]: entry for entry in evidence["processes"] if entry["role"] == "master"
    }
    units = inside(host, "sh", "-c", "systemctl list-units --plain --no-legend 'php*-fpm.service'")
    for service, unit in [
        ("nginx", "nginx.service"),
        ("mariadb", "mariadb.service"),
        ("php-fpm", units.split()[0]),
    ]:
        pid = inside(host, "systemctl", "show", "-p", "MainPID", "--value", unit).strip()
        assert str(masters[service]["pid"]) == pid
        limits = inside(host, "grep", "Max open files", f"/proc/{pid}/limits").split()
        assert masters[service]["nofile"] == {"soft": int(limits[3]), "hard": int(limits[4])}
    workers = [one for one in evidence["processes"] if one["role"] == "worker"]
    assert {one["service"] for one in workers} == {"nginx", "php-fpm"}
    assert all(one["open_fds"] > 0 for one in evidence["processes"])


MORE_POOLS = """
[www]
pm.max_children = "7" ; continued
php_admin_value[memory_limit] = 96M
request_terminate_timeout = 2m
[Shop]
user = www-data
listen = /run/php/$pool.sock
listen.backlog = 64
pm = ondemand
pm.max_children = 3
rlimit_files = 4096
[WWW]
pm.max_spare_servers = 4
"""


def test_capacity_is_what_the_servers_say_of_themselves(
    host: hosts.Host, playbook: Playbook
) -> None:
    (folder,) = inside(host, "sh", "-c", "ls -d /etc/php/*/fpm/pool.d").split()
    write(host, f"{folder}/x-more.conf", MORE_POOLS)
    try:
        capacity = probe(playbook, host)["capacity"]
        (fpm,) = capacity["php_fpm"]
        said = inside(host, "sh", "-c", f"{fpm['binary']} -tt -y {fpm['config_path']} 2>&1")
    finally:
        inside(host, "rm", f"{folder}/x-more.conf")

    assert fpm["include_directory"] == folder
    assert inside(host, fpm["binary"], "-v").startswith(f"PHP {fpm['version']} ")
    sections = re.findall(r"NOTICE: +\[([^]]+)]\n(.*?)NOTICE: +\n", said, re.DOTALL)
    truth = {
        name: dict(re.findall(r"\t([^\s=]+) = ([^\n]*)", text))
        for name, text in sections
        if name != "global"
    }
    assert [pool["name"] for pool in fpm["pools"]] == list(truth) == ["www", "Shop"]
    assert [pool["memory_limit"] for pool in fpm["pools"]] == [96 << 20, None]
    # What is not configured has the value that php-fpm has for it.
    for field, entry, unset in [
        ("user", "user", None),
        ("listen", "listen", None),
        ("pm", "pm", None),
        ("max_children", "pm.max_children", None),
        ("start_servers", "pm.start_servers", "0"),
        ("min_spare_servers", "pm.min_spare_servers", "0"),
        ("max_spare_servers", "pm.max_spare_servers", "0"),
        ("backlog", "listen.backlog", "-1"),
        ("rlimit_files", "rlimit_files", "0"),
        ("request_terminate_timeout", "request_terminate_timeout", "0"),
    ]:
        for pool in fpm["pools"]:
            expected = truth[pool["name"]].get(entry)
            if entry == "request_terminate_timeout":
                expected = (expected or "").rstrip("s")
            assert (unset if pool[field] is None else str(pool[field])) == expected, entry

    ceiling = int(inside(host, "cat", "/proc/sys/fs/nr_open"))
    for service in capacity["services"]:
        show = ["systemctl", "show", "-p", "MainPID", "--value", service["unit"]]
        main = inside(host, *show).strip()
        children = inside(host, "sh", "-c", f"cat /proc/{main}/task/*/children").split()
        pids = [main, *(children if service["service"] != "mariadb" else [])]
        lines = inside(host, "grep", "-h", "open files", *(f"/proc/{pid}/limits" for pid in pids))
        soft = [int(line.split()[3]) for line in lines.splitlines()]
        ceiling = min(ceiling, *(int(line.split()[4]) for line in lines.splitlines()))
        assert service["manageable"]
        assert service["nofile"] == {
            "lowest": min(soft),
            "highest": max(soft),
            "processes": len(pids),
        }
        owner = inside(host, "ps", "-o", "user=", "-p", pids[-1]).strip()
        assert (service["account"], service["workers"]) == (owner, len(pids) - 1)
    assert capacity["nofile_ceiling"] >= ceiling

    dump = inside(host, "sh", "-c", "nginx -T 2>/dev/null")
    nginx = capacity["nginx"]
    assert f"worker_processes {nginx['worker_processes']};" in dump
    assert f"worker_connections {nginx['worker_connections']};" in dump
    for place in filter(None, nginx["directives"].values()):
        text = inside(host, "cat", place["file"]).encode()
        assert text[place["offset"] :][: place["length"]].decode() == place["text"]
    main_file = inside(host, "cat", nginx["main"]["file"]).encode()
    assert main_file[nginx["main"]["offset"] :].startswith(b"events {")

    ask = "SELECT @@max_connections, @@innodb_buffer_pool_size, @@sort_buffer_size"
    most, pool_size, sort_size = map(int, inside(host, "mariadb", "-BNe", ask).split())
    database = capacity["database"]
    assert database["max_connections"] == most
    assert database["buffers"] > pool_size
    assert database["per_connection"] > sort_size


@pytest.mark.parametrize("name", PORTS)
def test_counts_are_those_of_the_requests_sent(
    host: hosts.Host, playbook: Playbook, name: str
) -> None:
    inside(host, "truncate", "--size=0", f"/var/log/nginx/{name}.log")
    headers = (
        ("User-Agent", BAIT),
        ("Referer", BAIT),
        ("X-Forwarded-For", BAIT),
        ("Authorization", "Basic eCBbMDEvSmFuLzIwMDE6MDA6MDA6MDAgKzAwMDBdIHk6eA=="),
    )
    for target in [*XMLRPC, *USERS, *INNOCENT]:
        request = Request(
            host.address, PORTS[name], "blog.example", target, method="POST", headers=headers
        )
        fetch(request, 5)
    rows = {
        row["endpoint"]: row
        for row in probe(playbook, host)["access"]
        if row["log"] == f"/var/log/nginx/{name}.log"
    }
    log = inside(host, "cat", "-v", f"/var/log/nginx/{name}.log")
    assert {endpoint: row["hits"] for endpoint, row in rows.items()} == {
        "xmlrpc": len(XMLRPC),
        "rest_users": len(USERS),
    }, log
    assert rows["xmlrpc"]["statuses"] == {"404": len(XMLRPC)}
    # The format "odd" has no address of the client's own.
    assert rows["xmlrpc"]["distinct_clients"] == (0 if name == "odd" else 1)


def test_an_edit_that_nobody_activated_is_seen(host: hosts.Host, playbook: Playbook) -> None:
    inside(host, "touch", "/etc/nginx/sites-available/static")
    evidence = probe(playbook, host)
    assert evidence["nginx"]["config_newer_than_workers"] == ["/etc/nginx/sites-enabled/static"]
    inside(host, "systemctl", "reload", "nginx")
    time.sleep(1.5)
    assert probe(playbook, host)["nginx"]["config_newer_than_workers"] == []


def test_a_broken_configuration_is_told_in_nginx_own_words(
    host: hosts.Host, playbook: Playbook
) -> None:
    write(host, "/etc/nginx/conf.d/broken.conf", "nonsense on;\n")
    try:
        evidence = probe(playbook, host)
    finally:
        inside(host, "rm", "/etc/nginx/conf.d/broken.conf")
    assert not evidence["nginx"]["config_test"]["ok"]
    assert 'unknown directive "nonsense"' in evidence["nginx"]["config_test"]["message"]
    assert problem_ids(evidence) == ["nginx_config_invalid"]
    assert len(evidence["sites"]) == 4


def test_a_name_that_is_not_utf8_comes_through_ansible(
    host: hosts.Host, playbook: Playbook
) -> None:
    inside(
        host,
        "sh",
        "-c",
        r"""f=$(printf '/etc/nginx/conf.d/\377.conf'); d=$(printf '/srv/\351t\351');
        mkdir -p "$d"; printf 'server { listen 8104; root "%s"; }' "$d" > "$f" """,
    )
    try:
        evidence = probe(playbook, host)
    finally:
        inside(host, "sh", "-c", r"rm -f /etc/nginx/conf.d/?.conf; rm -rf /srv/?t?")
    (vhost,) = [one for one in evidence["vhosts"] if one["listens"][0].get("port") == 8104]
    assert vhost["file"] == "/etc/nginx/conf.d/\\xff.conf"
    assert vhost["roots"] == ["/srv/\\xe9t\\xe9"]
    assert set(problem_ids(evidence)) == {"name_not_utf8"}


def test_an_nginx_that_does_not_run_and_an_unreadable_log(
    host: hosts.Host, playbook: Playbook
) -> None:
    log = "/var/log/nginx/static-access.log"
    inside(host, "systemctl", "stop", "nginx")
    inside(host, "sh", "-c", f"rm -f {log}; mkdir {log}")
    try:
        evidence = probe(playbook, host)
    finally:
        inside(host, "rmdir", log)
        inside(host, "systemctl", "start", "nginx")
    assert not evidence["nginx"]["running"]
    assert {"nginx_not_running", "log_unreadable"} <= set(problem_ids(evidence))
    assert len(evidence["sites"]) == 4


def ad_hoc(host: hosts.Host, *arguments: str) -> str:
    done = subprocess.run(
        [
            str(BIN / "ansible"),
            *("all", "-i", host.inventory, "-m", "wpward.wordpress.probe"),
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_without_root_it_says_so(host: hosts.Host) -> None:
    output = ad_hoc(host, "-e", "ansible_user=visitor")
    assert "FAILED" in output
    assert "needs root to read nginx's configuration" in output
    assert "become: true" in output
    assert "Traceback" not in output


def test_sudo_does_not_hide_the_controller(host: hosts.Host) -> None:
    output = ad_hoc(host, "-e", "ansible_user=deploy", "--become", "-a", "since=1h")
    document = json.loads(output.partition("=>")[2])
    assert document["evidence"]["host"]["controller_address"] is not None


@pytest.mark.parametrize(
    ("argument", "words"),
    [("since=yesterday", "since is 'yesterday'"), ("time_budget=0", "time_budget is 0")],
)
def test_options_that_make_no_sense(host: hosts.Host, argument: str, words: str) -> None:
    output = ad_hoc(host, "-a", argument)
    assert "FAILED" in output
    assert words in output
