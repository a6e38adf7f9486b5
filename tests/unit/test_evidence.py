# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The whole document, on a host made of files and a stand-in for nginx."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    database,
    error_logs,
    evidence,
    fail2ban_state,
    host_facts,
    host_state,
    httpd_discovery,
    kernel_log,
    limits_trap,
    nginx_discovery,
    packet_filter,
    processes,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Config
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

LOGS = Path(__file__).parent.parent / "fixtures" / "logs"
PROBE = Path(__file__).parent.parent.parent / "plugins" / "modules" / "probe.py"


class Host:
    """A host with nginx (not running) and one WordPress."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "log").mkdir()
        (base / "conf.d").mkdir()
        site = base / "www"
        (site / "wp-includes").mkdir(parents=True)
        (site / "wp-load.php").touch()
        (site / "wp-includes/version.php").write_text("<?php\n$wp_version = '6.1.9';\n")
        (site / "wp-config.php").write_text("<?php define('DB_PASSWORD', 'secret');")
        (base / "log/access.log").write_bytes((LOGS / "nginx-499-flood.log").read_bytes())
        (base / "nginx.conf").write_text(
            "http {\n"
            "log_format main '$remote_addr - $remote_user [$time_local] \"$request\" '\n"
            '  \'$status $body_bytes_sent "$http_referer" "$http_user_agent" \'\n'
            "  '\"$http_x_forwarded_for\"';\n"
            f"access_log {base}/log/access.log main;\n"
            "include conf.d/*.conf;\n"
            f"server {{ server_name blog.example; root {site};\n"
            "  location = /xmlrpc.php { deny all; } }\n"
            "}\n"
        )
        self.nginx(
            f'for f in {base}/nginx.conf; do echo "# configuration file $f:"; cat $f; echo; done'
        )

    def nginx(self, test: str) -> None:
        path = self.base / "bin" / "nginx"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "#!/bin/sh\n"
            "if [ \"$1\" = -V ]; then echo 'nginx version: nginx/1.22.1' >&2;\n"
            f"echo 'configure arguments: --prefix={self.base} --conf-path={self.base}/nginx.conf "
            f"--http-log-path={self.base}/log/access.log' >&2; exit; fi\n{test}\n"
        )
        path.chmod(0o755)

    def collect(self, since: int = 0) -> dict[str, Any]:
        document = evidence.collect(evidence.Request(since, 20))
        # It travels as JSON, so it must be plain.
        copy: dict[str, Any] = json.loads(json.dumps(document))
        assert copy == document
        return copy


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(processes, "running", list)
    monkeypatch.setattr(host_facts, "init_system", lambda: "systemd")
    # Nothing of the machine that runs the test.
    find_httpd = httpd_discovery.find_binary
    monkeypatch.setattr(
        httpd_discovery, "find_binary", lambda running: find_httpd(running) if running else None
    )
    monkeypatch.setattr(error_logs, "ROOT", str(tmp_path))
    monkeypatch.setattr(kernel_log, "collect", lambda *_arguments: [])
    monkeypatch.setattr(limits_trap, "find", lambda running: [])
    monkeypatch.setattr(database, "collect", lambda *_arguments: None)
    monkeypatch.setattr(packet_filter, "program", lambda name: None)
    monkeypatch.setattr(fail2ban_state, "program", lambda name: None)
    monkeypatch.setattr(host_state, "_SAMPLE_SECONDS", 0)
    return Host(tmp_path)


def problem_ids(document: dict[str, Any]) -> list[str]:
    return [problem["id"] for problem in document["problems"]]


def test_the_document(host: Host) -> None:
    document = host.collect()
    assert document["schema"] == 2
    assert problem_ids(document) == ["nginx_not_running"]
    nginx = document["nginx"]
    assert nginx["version"] == "1.22.1"
    assert nginx["config_test"]["ok"]
    assert nginx["http_include_file"] == f"{host.base}/conf.d/wpward.conf"
    assert list(nginx["files"]) == [f"{host.base}/nginx.conf"]
    (vhost,) = document["vhosts"]
    assert vhost["sha256"] == nginx["files"][vhost["file"]]["sha256"]
    assert vhost["xmlrpc_rules"][0]["text"] == "location = /xmlrpc.php"
    (site,) = document["sites"]
    assert (site["id"], site["vhosts"]) == ("blog.example/", [vhost["id"]])
    (row,) = document["access"]
    assert (row["site"], row["endpoint"], row["hits"]) == ("blog.example/", "xmlrpc", 16)
    assert row["statuses"] == {"403": 2, "499": 14}
    (claim,) = row["claims"]
    assert (claim["claim"], claim["hits"], claim["genuine_hits"]) == ("googlebot", 14, 0)
    (log,) = document["logs"]
    assert (log["path"], log["format"]) == (row["log"], "main")
    assert (log["sites"], log["complete"]) == (["blog.example/"], True)
    assert "secret" not in json.dumps(document)


def test_every_key_is_documented(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fail2ban_state, "program", lambda name: "/nonexistent/" + name)
    returned = PROBE.read_text().partition('RETURN = r"""')[2].partition('"""')[0]
    documented = set(re.findall(r"^ +(\w+):$", returned, re.MULTILINE))
    document = host.collect()

    for section in [
        document,
        document["host"],
        document["nginx"],
        document["vhosts"][0],
        document["sites"][0],
        document["access"][0],
        document["logs"][0],
        document["fail2ban"],
    ]:
        assert set(section) <= documented, set(section) - documented
    prose = set(re.findall(r"V\((\w+)\)", returned))
    library = PROBE.parent.parent / "module_utils"
    source = "".join(path.read_text() for path in library.glob("*.py"))
    used = set(re.findall(r'(?:problems\.add|self\._fail)\(\s*"(\w+)"', source))
    assert len(used) > 30
    assert used <= prose, used - prose


def test_every_part_is_accounted_for(host: Host) -> None:
    document = host.collect()
    parts = [(one["part"], one["complete"]) for one in document["budget"]]
    assert parts == [
        (part, True)
        for part in (
            "nginx",
            "httpd",
            "wordpress",
            "now",
            "traps",
            "firewall",
            "fail2ban",
            "database",
            "capacity",
            "recorder",
            "log_rotation",
            "errors",
            "access",
        )
    ]


def test_what_fails_leaves_the_rest(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("what nobody thought of")

    monkeypatch.setattr(database, "collect", fail)
    monkeypatch.setattr(host_state, "collect", fail)
    document = host.collect()
    assert document["now"] is None
    assert problem_ids(document).count("part_failed") == 2
    assert document["access"][0]["hits"] == 16


def test_a_host_whose_filter_and_bans_cannot_be_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host.collect()["fail2ban"] is None
    for module in (packet_filter, fail2ban_state):
        monkeypatch.setattr(module, "program", lambda name: "/nonexistent/" + name)
    document = host.collect()
    assert document["firewall"] == {"manager": "nftables", "nft": True, "iptables": True}
    assert document["fail2ban"]["config_ok"] is False
    assert {"packet_filter_unread", "fail2ban_unread"} <= set(problem_ids(document))
    assert document["access"][0]["hits"] == 16

    def fail(*_arguments: object) -> None:
        raise RuntimeError("what nobody thought of")

    monkeypatch.setattr(packet_filter, "describe", fail)
    assert host.collect()["firewall"] == {"manager": None, "nft": False, "iptables": False}


def test_traps_of_the_configuration_are_told(host: Host) -> None:
    (host.base / "conf.d/logs.conf").write_text("error_log off;\n")
    (trap,) = [one for one in host.collect()["traps"] if one["id"] == "error_log_off"]
    assert trap["file"] == f"{host.base}/conf.d/logs.conf"


def test_the_window_is_kept(host: Host) -> None:
    document = host.collect(since=1_445_500_000)
    assert document["since"] == "2015-10-22T07:46:40Z"
    assert document["access"][0]["hits"] == 2


def test_a_broken_configuration_is_reported_with_nginx_own_words(host: Host) -> None:
    host.nginx("echo 'nginx: [emerg] unknown directive \"x\" in /a:1' >&2; exit 1")
    document = host.collect()
    assert document["nginx"]["config_test"] == {
        "ok": False,
        "message": 'nginx: [emerg] unknown directive "x" in /a:1',
    }
    assert "nginx_config_invalid" in problem_ids(document)
    assert document["access"][0]["hits"] == 16


def test_a_file_that_only_nginx_sees_is_reported(host: Host) -> None:
    host.nginx("echo '# configuration file /etc/nginx/other.conf:'")
    (problem,) = [one for one in host.collect()["problems"] if one["id"] == "nginx_files_differ"]
    assert "/etc/nginx/other.conf" in problem["message"]


def test_a_missing_log_and_a_strange_format_are_problems(host: Host) -> None:
    (host.base / "log/access.log").unlink()
    (host.base / "conf.d/more.conf").write_text(
        "log_format odd '$bytes_sent';\n"
        "server { listen 81; access_log /l/odd odd; }\n"
        "server { listen 82; access_log syslog:server=192.0.2.1 main; }\n"
        "server { listen 83; access_log /l/$uri main; access_log /l/x nosuch; }\n"
    )
    document = host.collect()
    assert problem_ids(document)[-5:] == [
        "log_format_unusable",
        "log_not_a_file",
        "log_not_a_file",
        "log_format_unusable",
        "log_unreadable",
    ]
    assert document["access"] == []


def test_a_host_without_anything(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_discovery, "find_binary", lambda running: None)
    monkeypatch.setattr(host_facts, "init_system", lambda: "init")
    document = host.collect()
    assert problem_ids(document) == [
        "systemd_missing",
        "web_server_not_found",
        "wordpress_not_found",
    ]
    assert document["nginx"] is None
    assert document["vhosts"] == document["sites"] == document["access"] == []


def test_what_is_refused_already_is_still_seen(host: Host) -> None:
    lines = [f"1445500000.00{number} 192.0.2.{number} xmlrpc blog.example" for number in range(3)]
    lines += ["1445500001.000 192.0.2.7 rest_users ", "1445500001.000 192.0.2.7 0 blog.example"]
    (host.base / "log/wpward-deny.log").write_text("\n".join(lines) + "\n")
    (host.base / "conf.d/wpward.conf").write_text(
        "log_format wpward '$msec $remote_addr $wpward_rule $server_name';\n"
        "server { server_name other.example; location = /.wpward/deny {\n"
        f"access_log {host.base}/log/wpward-deny.log wpward buffer=16k flush=1s; }} }}\n"
    )
    document = host.collect()
    refused = [row for row in document["access"] if row["log"].endswith("wpward-deny.log")]
    assert [(row["site"], row["endpoint"], row["statuses"]) for row in refused] == [
        ("blog.example/", "rest_users", {"403": 1}),
        ("blog.example/", "xmlrpc", {"403": 3}),
    ]
    assert refused[1]["timeline"]["counts"] == {"403": [3]}
    assert refused[1]["distinct_clients"] == 3
    assert document["logs"][0]["format"] == "wpward"
    assert "log_format_unusable" not in problem_ids(document)
    assert document["traps"] == []


@pytest.mark.parametrize("service", ["nginx", "httpd"])
def test_a_program_that_a_user_started_is_not_run(
    host: Host, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    program = host.base / "impostor"
    program.write_text(f"#!/bin/sh\ntouch {host.base}/was-run\n")
    program.chmod(0o755)
    master = Process(
        pid=4321,
        parent=1,
        service=service,
        role="master",
        title=f"{service}: master process",
        binary=str(program),
        started=0.0,
        unit=None,
        leaving=False,
        is_roots=False,
    )
    monkeypatch.setattr(processes, "running", lambda: [master])
    document = host.collect()
    assert not (host.base / "was-run").exists()
    (problem,) = [one for one in document["problems"] if one["id"] == "server_not_roots"]
    assert "4321" in problem["message"]
    assert document["access"][0]["hits"] == 16


def test_a_server_that_only_lies_there_serves_nobody(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config("/nowhere/httpd.conf", Known("/nowhere", "2.4.62"))
    server = httpd_discovery.HttpdServer(config, [], {"running": True, "log_formats": {}})
    monkeypatch.setattr(httpd_discovery, "discover", lambda *_arguments: server)
    assert host.collect()["sites"] == []


def test_one_log_of_two_server_blocks_is_counted_once(host: Host) -> None:
    (host.base / "log/link.log").symlink_to(host.base / "log/access.log")
    (host.base / "conf.d/tls.conf").write_text(
        f"server {{ listen 443 ssl; server_name blog.example; root {host.base}/www;\n"
        f"access_log {host.base}/log/link.log main; }}"
    )
    document = host.collect()
    assert len(document["vhosts"]) == 2
    assert [(row["site"], row["hits"]) for row in document["access"]] == [("blog.example/", 16)]


def test_a_name_that_is_not_utf8_is_shown_and_told(host: Host) -> None:
    name = os.fsencode(host.base) + b"/conf.d/\xff.conf"
    with open(name, "wb") as stream:  # noqa: PTH123
        stream.write(b"server { listen 81; server_name \xff.example; root /srv/\xff; }")
    document = host.collect()
    json.dumps(document, ensure_ascii=False).encode("utf-8")
    (vhost,) = [one for one in document["vhosts"] if one["listens"][0]["port"] == 81]
    assert vhost["file"] == f"{host.base}/conf.d/\\xff.conf"
    assert vhost["roots"] == ["/srv/\\xff"]
    strange = [one["message"] for one in document["problems"] if one["id"] == "name_not_utf8"]
    assert any(f"{host.base}/conf.d/\\xff.conf" in message for message in strange)
