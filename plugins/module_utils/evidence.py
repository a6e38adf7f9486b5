# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence document: everything the probe reads, put together as plain JSON.

It holds no configuration text beyond single lines that mention xmlrpc or are a trap, and no value
of a wp-config.php beyond directories.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    access_evidence,
    capacity_state,
    database,
    database_memory,
    deny_log,
    error_logs,
    fail2ban_state,
    host_facts,
    host_state,
    httpd_discovery,
    httpd_traps,
    limits_trap,
    log_rotation,
    nginx_server,
    nginx_traps,
    packet_filter,
    processes,
    recorder_state,
    reverse_dns,
    wordpress_discovery,
    worker_memory,
    xmlrpc_copies,
)
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    claims as claim_kinds,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.budget import Budget
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_discovery import HttpdServer
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import HttpdVhost
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_server import NginxServer
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.server_fronts import Fronts
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

SCHEMA = 2
_ROOTS = ("nginx", "httpd", "php-fpm")
"""Services whose master is root's. The database has an account of its own and is asked about
elsewhere."""
_BANS_SECONDS = 5.0
"""For the packet filter and for fail2ban each: their programs answer at once or are stuck."""
_RECORDER_SECONDS = 6.0
"""A day of atop's samples takes up to 4 s where nothing else runs; the newest are read first."""
_CAPACITY_SECONDS = 5.0


def _printable(value: Any, strange: set[str]) -> Any:
    """The same without bytes that are not UTF-8, which Ansible refuses to carry: they become
    ``\\xHH``, a name that no file has, so that nothing is done to a wrong one. Collects the texts
    where that was needed."""
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if text != value:
            strange.add(text)
        return text
    if isinstance(value, dict):
        return {_printable(key, strange): _printable(one, strange) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_printable(one, strange) for one in value]
    return value


@dataclass(frozen=True)
class Request:
    """What is asked for. ``since``: seconds since the epoch, the beginning of the logs' window.
    ``time_budget``: seconds for everything together. ``database_credentials``: a client's option
    file; without it, root by the server's socket. ``resolve_claims``: whether to ask the domain
    name system if search engines are who they say."""

    since: int
    time_budget: float
    database_credentials: str | None = None
    resolve_claims: bool = False


@dataclass
class _WebServers:
    nginx: NginxServer | None = None
    httpd: HttpdServer | None = None
    sites: list[Site] = field(default_factory=list)

    @property
    def vhosts(self) -> list[Vhost | HttpdVhost]:
        """Those of a server that only lies there serve nobody while the other one runs."""
        nginx_runs = bool(self.nginx and self.nginx.described["running"])
        httpd_runs = bool(self.httpd and self.httpd.described["running"])
        found: list[Vhost | HttpdVhost] = []
        if self.nginx and (nginx_runs or not httpd_runs):
            found += self.nginx.vhosts
        if self.httpd and (httpd_runs or not nginx_runs):
            found += self.httpd.vhosts
        return found

    def fronts(self, addresses: Sequence[str]) -> Fronts | None:
        """None unless both servers run. ``addresses``: the host's own, beside loopback."""
        nginx, httpd = self.nginx, self.httpd
        if nginx is None or httpd is None:
            return None
        if not nginx.described["running"] or not httpd.described["running"]:
            return None
        return Fronts(nginx.config, nginx.vhosts, httpd.vhosts, addresses)

    def log_formats(self) -> dict[str, dict[str, str]]:
        return {
            "nginx": self.nginx.described["log_formats"] if self.nginx else {},
            "httpd": self.httpd.described["log_formats"] if self.httpd else {},
        }

    def error_logs(self, running: Sequence[Process]) -> dict[str, list[str]]:
        logs = error_logs.logs_of(running)
        for vhost in self.vhosts:
            logs[vhost.id.partition(":")[0]].extend(vhost.error_logs)
        return logs

    def deny_logs(self) -> access_evidence.DenyLogs:
        return access_evidence.DenyLogs(
            deny_log.nginx_paths(self.nginx.config) if self.nginx else (),
            deny_log.httpd_paths(self.httpd.vhosts if self.httpd else ()),
        )

    def ports(self) -> list[int]:
        listens = [listen for vhost in self.vhosts for listen in vhost.listens]
        return sorted({listen.port for listen in listens if listen.unix is None})


def _trusted(running: Sequence[Process], problems: Problems) -> list[Process]:
    """Without servers that somebody else than root started.

    The probe runs a server's own program and reads the files that it names, as root. A user's
    process that only bears the name must not choose what that is.
    """
    kept: list[Process] = []
    for process in running:
        if process.role == "master" and process.service in _ROOTS and not process.is_roots:
            problems.add(
                "server_not_roots",
                f"Process {process.pid} runs as {process.service}, but root did not start it; it "
                "was left out.",
            )
        else:
            kept.append(process)
    return kept


def _web_servers(
    running: Sequence[Process], addresses: Sequence[str], budget: Budget, problems: Problems
) -> _WebServers:
    found = _WebServers()
    with budget.part("nginx"):
        found.nginx = nginx_server.discover(running, problems)
    with budget.part("httpd"):
        found.httpd = httpd_discovery.discover(running, problems)
        if found.httpd and not found.httpd.described["running"]:
            version = found.httpd.described["version"]
            problems.add("httpd_not_running", f"httpd {version} is installed but not running.")
    if found.nginx is None and found.httpd is None:
        problems.add("web_server_not_found", "Neither nginx nor httpd was found on this host.")
    with budget.part("wordpress"):
        fronts = found.fronts(addresses)
        found.sites = wordpress_discovery.find_sites(
            found.vhosts, problems, fronts.of if fronts else None
        )
        if fronts:
            fronts.attribute(found.sites)
    if not found.sites:
        problems.add(
            "wordpress_not_found",
            f"No WordPress was found in the document roots of {len(found.vhosts)} virtual hosts.",
        )
    return found


def _traps(
    web: _WebServers, running: Sequence[Process], addresses: Sequence[str]
) -> list[dict[str, Any]]:
    found = limits_trap.find(running)
    if web.nginx:
        nginx = web.nginx
        found += nginx_traps.find(nginx.config, nginx.build, nginx.vhosts, web.sites, addresses)
    if web.httpd:
        found += httpd_traps.find(web.httpd.vhosts, web.sites, addresses)
    return found + xmlrpc_copies.find(web.sites)


def _resolve(rows: Sequence[dict[str, Any]], deadline: float) -> None:
    """Add to each claim what the domain name system says of its examples."""
    claims = [
        claim for row in rows for claim in row["claims"] if claim["kind"] == claim_kinds.SEARCH_BOT
    ]
    asked = {address: claim["claim"] for claim in claims for address in claim["examples"]}
    verdicts = reverse_dns.verify(asked, deadline)
    for claim in claims:
        claim["resolved"] = {address: verdicts[address] for address in claim["examples"]}


def collect(request: Request) -> dict[str, Any]:
    """Read the host. What does not fit into the time is left out and named."""
    began = time.time()
    started = time.monotonic()
    problems = Problems()
    budget = Budget(request.time_budget, problems)
    host = host_facts.describe()
    if host["init"] != "systemd":
        problems.add(
            "systemd_missing",
            f"Process 1 is {host['init']}, not systemd: no remedy can be applied here, because a "
            "change that nobody confirms could not put itself back.",
        )
    running = _trusted(processes.running(), problems)
    workers = worker_memory.Sample(running)
    web = _web_servers(running, host["addresses"], budget, problems)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "collected_at": iso(began),
        "since": iso(request.since),
        "host": host,
        "nginx": web.nginx.described if web.nginx else None,
        "httpd": web.httpd.described if web.httpd else None,
        "vhosts": [vhost.describe() for vhost in web.vhosts],
        "sites": [site.describe() for site in web.sites],
        "processes": list(processes.describe(running)),
        "now": None,
        "traps": [],
        "database": None,
        "capacity": None,
        "firewall": dict(packet_filter.UNKNOWN),
        "fail2ban": None,
        "recorder": None,
        "log_rotation": [],
        "errors": [],
        "logs": [],
        "access": [],
    }
    # The state first, because reading the logs adds to it; the access logs last, because they
    # can take whatever time is left.
    with budget.part("now", at_most=request.time_budget / 4) as deadline:
        document["now"] = host_state.collect(workers, web.ports(), deadline)
    with budget.part("traps"):
        document["traps"] = _traps(web, running, host["addresses"])
    with budget.part("firewall", at_most=_BANS_SECONDS) as deadline:
        document["firewall"] = packet_filter.describe(deadline, problems)
    with budget.part("fail2ban", at_most=_BANS_SECONDS) as deadline:
        document["fail2ban"] = fail2ban_state.describe(deadline, problems)
    with budget.part("database", at_most=request.time_budget / 4) as deadline:
        document["database"] = database.collect(
            deadline, request.database_credentials, problems, running
        )
    with budget.part("capacity", at_most=_CAPACITY_SECONDS) as deadline:
        servers = capacity_state.Servers(
            web.nginx.config if web.nginx and web.nginx.described["running"] else None,
            web.httpd if web.httpd and web.httpd.described["running"] else None,
        )
        document["capacity"] = capacity_state.describe(
            running, servers, workers, deadline, problems
        )
        # One that refused to answer a moment ago is not asked again.
        if document["capacity"] and (document["database"] or {}).get("reachable"):
            document["capacity"]["database"] = database_memory.collect(
                running, workers, request.database_credentials, deadline, problems
            )
    with budget.part("recorder", at_most=_RECORDER_SECONDS) as deadline:
        document["recorder"] = recorder_state.describe(request.since, deadline, problems)
    with budget.part("log_rotation", at_most=_RECORDER_SECONDS) as deadline:
        document["log_rotation"] = log_rotation.collect(web.vhosts, deadline)
    with budget.part("errors", at_most=request.time_budget / 4) as deadline:
        document["errors"] = error_logs.collect(
            web.error_logs(running), request.since, deadline, problems
        )
    with budget.part("access") as deadline:
        document["logs"], document["access"] = access_evidence.collect(
            web.vhosts,
            web.sites,
            web.log_formats(),
            web.deny_logs(),
            request.since,
            deadline,
            problems,
        )
    if request.resolve_claims:
        with budget.part("names", at_most=request.time_budget / 4) as deadline:
            _resolve(document["access"], deadline)
    document["budget"] = budget.describe()
    document["duration_seconds"] = round(time.monotonic() - started, 3)
    strange: set[str] = set()
    printable: dict[str, Any] = _printable(document, strange)
    for text in sorted(strange):
        problems.add("name_not_utf8", f"{text} is not UTF-8; what lies there cannot be changed.")
    printable["problems"] = _printable(problems.describe(), strange)
    return printable
