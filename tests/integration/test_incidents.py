# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The four incidents on real hosts: each is found out from its own traces, and remedied rightly.

Every host has its everyday traffic in the log, too; two hosts have nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from testbed import clients, editor, hosts

from . import log_lines, replay
from .conftest import MakeHost, Playbook

HOUR = 3600
DAY = 24 * HOUR
BLOG = "blog.example/"
SECOND = "second.example/"
NGINX_LOG = "/var/log/nginx/blog-access.log"
HTTPD_LOG = "/var/log/apache2/blog-access.log"
# What the thresholds of a purge that takes too long ask for, and a margin.
LONG_STATEMENT = 32

ATTACKS = {"xmlrpc_attack", "xmlrpc_low_and_slow", "login_attack"}
EXHAUSTION = {
    "workers_exhausted", "fpm_exhausted", "connections_exhausted", "open_files_exhausted",
    "out_of_memory", "swapping", "disk_full", "php_not_answering",
}  # fmt: skip


@pytest.fixture(scope="module")
def attackers() -> Iterator[clients.Clients]:
    made = clients.up("incident-clients", count=20)
    yield made
    hosts.down([made.name])


@pytest.fixture(scope="module", autouse=True)
def purged(make_host: MakeHost) -> Iterator[tuple[hosts.Host, float]]:
    """Incident B's host, and since when its purge runs: early, as it has to run for a while."""
    host = make_host("incident-b", web="httpd", vhosts=["second"])
    replay.fill_audit_table(host)
    with ExitStack() as stack:
        stack.enter_context(replay.endless_purge(host))
        yield host, time.monotonic()
    hosts.down([host.name])


@pytest.fixture
def fresh(make_host: MakeHost) -> Iterator[Callable[..., hosts.Host]]:
    """A host of its own that is gone after the test."""
    names = []

    def make(name: str, **options: Any) -> hosts.Host:
        names.append(name)
        return make_host(name, vhosts=["second"], **options)

    yield make
    hosts.down(names)


class Judged:
    """A host's document after a probe, and what a test asks of it."""

    def __init__(self, playbook: Playbook, host: hosts.Host) -> None:
        run = playbook(host, "probe").proven()
        assert run.executions == {host.name: 1}
        assert run.changed(host.name) == 0
        (self.document,) = run.reports.values()
        self.evidence = self.document["evidence"]
        self.plan = self.document["plan"]
        self.findings = {(one["id"], one["site"]): one for one in self.plan["findings"]}
        self.ids = {one["id"] for one in self.plan["findings"]}

    def finding(self, name: str, site: str | None = None) -> Any:
        assert (name, site) in self.findings, sorted(self.findings, key=str)
        return self.findings[name, site]

    def remedies(self, finding: str) -> list[str]:
        """Roles that the plan calls for because of a finding, in order."""
        return [one["role"] for one in self.plan["remedies"] if finding in one["findings"]]

    def traffic(self, site: str, endpoint: str = "xmlrpc") -> Any:
        (row,) = [
            one
            for one in self.evidence["access"]
            if (one["site"], one["endpoint"]) == (site, endpoint)
        ]
        return row

    def errors(self) -> set[str]:
        return {one["kind"] for one in self.evidence["errors"]}

    def traps(self) -> set[str]:
        return {one["id"] for one in self.evidence["traps"]}


def everyday(now: float, hours: float = 24) -> Iterator[log_lines.Event]:
    return log_lines.everyday(now - hours * HOUR, now)


@pytest.mark.parametrize(("web", "log"), [("nginx", NGINX_LOG), ("httpd", HTTPD_LOG)])
def test_a_healthy_busy_host_is_left_in_peace(
    fresh: Callable[..., hosts.Host],
    attackers: clients.Clients,
    playbook: Playbook,
    web: str,
    log: str,
) -> None:
    host = fresh(f"healthy-{web}", web=web)
    replay.write(host, log, log_lines.written(everyday(time.time())))
    with clients.start_traffic(
        "latency", host.address, clients=attackers, seconds=60, interval=0.1
    ) as visitors:
        number = editor.publish(host.address, "Written while visitors read")
        assert "Written while visitors read" in editor.read(host.address, number)
        judged = Judged(playbook, host)
        visitors.terminate()

    assert judged.plan["verdict"] == "quiet", judged.plan["findings"]
    assert judged.plan["sites"] == {BLOG: "quiet", SECOND: "quiet"}
    assert not judged.ids & (ATTACKS | EXHAUSTION)
    assert {one["severity"] for one in judged.plan["findings"]} <= {"medium", "low"}
    assert judged.evidence["errors"] == []
    assert judged.evidence["traps"] == []
    claims = {one["claim"] for one in judged.traffic(BLOG)["claims"]}
    assert {"jetpack", "wordpress_app", "live_writer"} <= claims


def test_incident_a_one_impatient_address_keeps_php_busy(
    fresh: Callable[..., hosts.Host], attackers: clients.Clients, playbook: Playbook
) -> None:
    host = fresh("incident-a")
    replay.nginx_blog(host)
    replay.exhaust_php_fpm(host, times=3)
    now = time.time()
    impatient = [one for one in log_lines.published("nginx-499-flood.log") if " 499 " in one]
    flood = log_lines.repeat(impatient, now - HOUR, now, count=3 * HOUR)
    lines = log_lines.written(flood) + log_lines.written(everyday(now), suffix=' "-"')
    replay.write(host, NGINX_LOG, lines)
    clients.traffic("a", host.address, clients=attackers, seconds=4)
    judged = Judged(playbook, host)

    row = judged.traffic(BLOG)
    assert row["clients"][0] == {"address": "80.82.65.206", "hits": 3 * HOUR}
    assert row["statuses"]["499"] > 3 * HOUR
    assert row["peak_per_minute"]["count"] >= 180
    (claim,) = [one for one in row["claims"] if one["claim"] == "googlebot"]
    assert (claim["genuine_hits"], "80.82.65.206" in claim["examples"]) == (0, True)
    assert "fpm_max_children" in judged.errors()

    assert judged.plan["sites"] == {BLOG: "attack", SECOND: "quiet"}
    assert judged.finding("xmlrpc_attack", BLOG)["severity"] in ("critical", "high")
    judged.finding("claims_false", BLOG)
    judged.finding("fpm_exhausted")
    assert "endpoints" in judged.remedies("xmlrpc_attack")
    assert judged.plan["remedies"][0]["role"] == "endpoints"


def test_incident_a_the_operators_own_cures_are_told_for_what_they_are(
    fresh: Callable[..., hosts.Host], playbook: Playbook
) -> None:
    host = fresh("incident-a-cures")
    loop = "proxy_pass http://127.0.0.1/xmlrpc.php;"
    replay.nginx_blog(host, before=f"    location = /xmlrpc.php {{ {loop} }}")
    replay.exhaust_nginx_by_its_loop(host)
    quiet = f"    location = /xmlrpc.php {{ access_log off; error_log off; {loop} }}"
    replay.nginx_blog(host, before=quiet)
    replay.call_the_loop(host)
    # The second site is where the first attempt was left: it leads the allowed client nowhere.
    second = replay.inside(host, "cat", "/etc/nginx/sites-available/second")
    attempt = "location = /xmlrpc.php { allow 192.0.2.7; deny all; }\n    location / {"
    replay.write(
        host, "/etc/nginx/sites-available/second", second.replace("location / {", attempt, 1)
    )
    replay.shell(host, "echo '* - nofile 16384' >> /etc/security/limits.conf")
    replay.reload_nginx(host)
    judged = Judged(playbook, host)

    loops = judged.traffic(BLOG)
    assert loops["statuses"]["500"] > 0
    assert [one["address"] for one in loops["clients"]] == ["127.0.0.1"]
    assert {"nginx_open_files", "nginx_worker_connections"} <= judged.errors()
    assert judged.traps() >= {
        "self_proxy", "error_log_off", "off_file", "xmlrpc_log_off", "xmlrpc_without_php",
        "limits_conf_ineffective",
    }  # fmt: skip
    (off,) = [one for one in judged.evidence["traps"] if one["id"] == "off_file"]
    size = int(replay.inside(host, "stat", "-c", "%s", off["file"]))
    assert (off["size"], size > 0) == (size, True)
    for trap in ("self_proxy", "error_log_off", "off_file", "xmlrpc_without_php"):
        assert trap in judged.ids
    judged.finding("open_files_exhausted")
    judged.finding("connections_exhausted")
    assert "attack" not in judged.plan["sites"].values()


def test_incident_c_floods_through_a_delivery_network(
    fresh: Callable[..., hosts.Host], attackers: clients.Clients, playbook: Playbook
) -> None:
    host = fresh("incident-c", web="httpd")
    now = time.time()
    minutes, hits = 40, 88_058
    edges = log_lines.published("httpd-cloudfront-edges.log")
    flood = log_lines.repeat(edges, now - minutes * 60, now, count=hits)
    replay.write(host, HTTPD_LOG, log_lines.written(everyday(now), flood))
    clients.traffic("c", host.address, clients=attackers, seconds=4)
    judged = Judged(playbook, host)

    row = judged.traffic(BLOG)
    real = replay.inside(host, "grep", "-c", "POST //*xmlrpc.php", HTTPD_LOG)
    assert row["hits"] >= int(real) > hits
    assert row["parties"]["cloudfront"] == hits
    different = len({line.split()[0] for line in edges})
    assert row["networks"][0] == {
        "network": "70.132.61.0/24", "hits": hits, "clients": different,
    }  # fmt: skip
    assert row["peak_per_minute"]["count"] >= 36 * 60
    assert judged.plan["sites"] == {BLOG: "attack", SECOND: "quiet"}
    judged.finding("xmlrpc_attack", BLOG)
    judged.finding("behind_cdn", BLOG)
    assert judged.plan["remedies"][0]["role"] == "endpoints"
    # A ban by what this log shows would ban every visitor.
    assert "real_ip" in judged.remedies("behind_cdn")
    bans = [one for one in judged.plan["remedies"] if one["role"] == "bans"]
    order = [one["role"] for one in judged.plan["remedies"]]
    assert not bans or order.index("real_ip") < order.index("bans")


def test_incident_d_comes_from_ever_changing_addresses(
    fresh: Callable[..., hosts.Host], attackers: clients.Clients, playbook: Playbook
) -> None:
    host = fresh("incident-d", web="httpd-prefork")
    replay.exhaust_httpd(host, "MaxRequestWorkers 4\nStartServers 1\nMaxSpareServers 2\n")
    replay.shell(host, "mkdir -p /var/www/blog/wp-content/plugins/disable-xml-rpc")
    now = time.time()
    slow = log_lines.false_search_engine(now - 8 * HOUR, now, count=600)
    replay.write(host, HTTPD_LOG, log_lines.written(everyday(now), slow))
    clients.traffic("d", host.address, clients=attackers, rate=10, count=20)
    judged = Judged(playbook, host)

    row = judged.traffic(BLOG)
    (claim,) = [one for one in row["claims"] if one["claim"] == "googlebot"]
    assert (claim["hits"], claim["genuine_hits"]) == (620, 0)
    assert claim["addresses"] > 600
    # Jetpack's and the editors' addresses are busier than any of the attack's.
    assert not row["clients"][0]["address"].startswith("198.18.")
    assert "httpd_max_request_workers" in judged.errors()

    assert judged.plan["sites"] == {BLOG: "attack", SECOND: "quiet"}
    judged.finding("xmlrpc_low_and_slow", BLOG)
    judged.finding("workers_exhausted")
    judged.finding("claims_false", BLOG)
    assert "endpoints" in judged.remedies("xmlrpc_low_and_slow")
    assert "capacity" in judged.remedies("workers_exhausted")
    # There is no address that would be worth a ban.
    assert "bans" not in judged.remedies("xmlrpc_low_and_slow")


def test_incident_b_is_the_work_that_an_attack_left_behind(
    purged: tuple[hosts.Host, float], playbook: Playbook
) -> None:
    host, since = purged
    now = time.time()
    attack = (now - 14 * HOUR, now - 12 * HOUR)
    lines = [
        line.replace("70.132.61.", "198.51.100.")
        for line in log_lines.published("httpd-cloudfront-edges.log")
    ]
    direct = log_lines.repeat(lines, *attack, count=72_000)
    replay.write(host, f"{HTTPD_LOG}.1", log_lines.written(everyday(attack[1], 10), direct))
    replay.write(host, HTTPD_LOG, log_lines.written(everyday(now, 12)))
    time.sleep(max(since + LONG_STATEMENT - time.monotonic(), 0))
    with replay.busy_database(host):
        judged = Judged(playbook, host)

    # The web server, whose log shows an attack, is not what burns the CPU.
    assert judged.evidence["now"]["busiest"][0]["name"] == "mariadbd"
    database = judged.evidence["database"]
    assert database["reachable"]
    (table,) = [one for one in database["tables"] if one["table"] == "wp_aiowps_audit_log"]
    assert (table["purge_column"], table["indexed"]) == ("created", False)
    # The purge is nearly through: the estimate of rows says little, the bytes are still there.
    assert table["bytes"] > 128 << 20
    longest = max(database["statements"], key=lambda one: one["seconds"])
    assert longest["text"].startswith("DELETE FROM wp_aiowps_audit_log")
    assert longest["seconds"] >= LONG_STATEMENT - 5

    assert judged.plan["sites"] == {BLOG: "aftermath", SECOND: "quiet"}
    for name in ("database_long_statement", "audit_index_missing", "audit_table_large"):
        assert name in judged.ids
        assert "database" in judged.remedies(name)
    judged.finding("xmlrpc_open", BLOG)
    assert "endpoints" in {one["role"] for one in judged.plan["remedies"]}
