# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence document: everything the probe reads, put together as plain JSON.

It holds no configuration text beyond single lines that mention xmlrpc or are a trap, and no value
of a wp-config.php beyond directories.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    access_evidence,
    capacity_state,
    database,
    database_memory,
    error_logs,
    fail2ban_state,
    host_facts,
    host_state,
    httpd_traps,
    limits_trap,
    log_rotation,
    nginx_traps,
    packet_filter,
    processes,
    recorder_state,
    reverse_dns,
    web_servers,
    worker_memory,
    xmlrpc_copies,
)
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    claims as claim_kinds,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.budget import Budget
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Refused,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_runs import is_temporary
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.web_servers import WebServers

SCHEMA = 2
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


def _traps(
    web: WebServers, running: Sequence[Process], addresses: Sequence[str]
) -> list[dict[str, Any]]:
    found = limits_trap.find(running)
    if web.nginx:
        nginx = web.nginx
        found += nginx_traps.find(nginx.config, nginx.build, nginx.vhosts, web.sites, addresses)
    if web.httpd:
        found += httpd_traps.find(web.httpd.vhosts, web.sites, addresses)
    return found + xmlrpc_copies.find(web.sites)


def _first_aid(problems: Problems) -> dict[str, Any] | None:
    """What module contain keeps closed; None where nothing is."""
    try:
        held = [record for record in Journal().runs.expiring() if is_temporary(record)]
    except (Refused, OSError) as error:
        problems.add("journal_unread", f"wpward's own journal cannot be read: {sentence(error)}")
        return None
    return {"run": held[0]["run"], "until": held[0]["deadline"]} if held else None


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
    running = web_servers.roots_only(processes.running(), problems)
    workers = worker_memory.Sample(running)
    web = web_servers.discover(running, host["addresses"], budget, problems)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "collected_at": iso(began),
        "since": iso(request.since),
        "host": host,
        **web.describe(),
        "first_aid": _first_aid(problems),
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
