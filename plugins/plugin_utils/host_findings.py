# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings in the error logs and in what the host is like now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_plan import oversized
from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case, make
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    CRITICAL,
    HIGH,
    MEDIUM,
    QUIET,
    Finding,
    clock,
    epoch,
    mapping,
    percent,
    plural,
    quote,
    size,
)

_FEW = "fpm_reached"
# The finding that each kind of error line leads to, and the threshold on the number of lines;
# without one, a single line says it. Below _FEW it says less.
_ERRORS: Mapping[str, tuple[str, str | None]] = {
    "httpd_max_request_workers": ("workers_exhausted", None),
    "httpd_scoreboard_full": ("workers_exhausted", None),
    "httpd_min_spare_threads": ("workers_exhausted", None),
    "fpm_max_children": ("fpm_exhausted", _FEW),
    "nginx_worker_connections": ("connections_exhausted", None),
    "nginx_open_files": ("open_files_exhausted", None),
    "httpd_open_files": ("open_files_exhausted", None),
    "nginx_upstream_timeout": ("php_not_answering", "upstream_errors"),
    "nginx_upstream_refused": ("php_not_answering", "upstream_errors"),
    "kernel_oom": ("out_of_memory", None),
    "kernel_oom_service": ("out_of_memory", None),
}
_OVERWHELMED = {
    "workers_exhausted",
    "fpm_exhausted",
    "connections_exhausted",
    "open_files_exhausted",
    "out_of_memory",
    "swapping",
}
# What a server runs out of while it passes requests on to itself.
_EATEN = {
    "nginx": ("connections_exhausted", "open_files_exhausted"),
    "httpd": ("workers_exhausted", "open_files_exhausted"),
}
_LOOP = "self_proxy"


def overwhelmed(case: Case) -> bool:
    """Whether the host shows that it is breaking down."""
    return breaking_down(find(case, False))


def breaking_down(host: Sequence[Finding]) -> bool:
    """Whether these findings about a host say that it runs out of what it needs."""
    return any(one.id in _OVERWHELMED and one.severity == HIGH for one in host)


def find(case: Case, attacked: bool) -> list[Finding]:
    """All of them, still without a verdict: that is the host's. ``attacked``: whether a site of the
    host is or was attacked."""
    now = mapping(case.evidence.get("now"))
    found = [
        *_errors(case, attacked),
        *_open_files(case, now),
        *_memory(case, now),
        *_disks(case, now),
        *_workers(case, now),
    ]
    # The lines in a log and the state now can say the same.
    once = list({finding.id: finding for finding in reversed(found)}.values())[::-1]
    eaten = _eaten(case)
    cause = "The loop that self_proxy names leads to this; remove that first"
    return [_after_loop(one, cause) if one.id in eaten else one for one in once]


def weigh_loop(traps: Sequence[Finding], host: Sequence[Finding], case: Case) -> list[Finding]:
    """The traps, where a loop under which the host breaks down stands before what it leads to."""
    eaten = _eaten(case)
    exhausted = any(one.id in eaten for one in host)
    weighed = []
    for one in traps:
        if one.id == _LOOP and exhausted:
            weighed.append(replace(one, severity=CRITICAL))
        elif one.id == "limits_conf_ineffective" and eaten:
            later = "Look at this when the loop that self_proxy names is gone"
            weighed.append(_after_loop(one, later))
        else:
            weighed.append(one)
    return weighed


def _eaten(case: Case) -> set[str]:
    """The findings that a loop is the cause of."""
    servers = [trap.get("server") for trap in case.part("traps") if trap["id"] == _LOOP]
    return {one for server in servers for one in _EATEN.get(server or "", ())}


def _after_loop(finding: Finding, why: str) -> Finding:
    """More of what the loop eats is the wrong cure."""
    return replace(
        finding,
        message=f"{why}, as it eats any higher limit, too. {finding.message}",
        calls=False,
    )


def _errors(case: Case, attacked: bool) -> list[Finding]:
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in case.part("errors"):
        if row["kind"] in _ERRORS:
            lines.setdefault(_ERRORS[row["kind"]][0], []).append(row)
    findings = []
    for identity, rows in lines.items():
        count = sum(row["count"] for row in rows)
        name = _ERRORS[rows[0]["kind"]][1]
        few = name is not None and count < case.limits[name]
        if few and name != _FEW:
            continue
        harmless = few and not attacked
        most = max(rows, key=lambda row: row["count"])
        last = max((row["last"] for row in rows if row.get("last")), default=None)
        findings.append(
            make(
                identity,
                None,
                QUIET,
                f"{quote(most['service'])} noted it {plural(count, 'time')}"
                f"{f', last at {clock(epoch(last))}' if last else ''}"
                f"{', which a burst of visitors leads to, too' if harmless else ''}: "
                f"{quote(most.get('sample') or most['kind'])}",
                [f"errors: {row['kind']} in {quote(row['log'])}" for row in rows],
                severity=MEDIUM if harmless else None,
                calls=not harmless,
            )
        )
    return findings


def _open_files(case: Case, now: Mapping[str, Any]) -> list[Finding]:
    full = []
    for process in case.part("processes"):
        soft = mapping(process.get("nofile")).get("soft")
        used = process.get("open_fds")
        if soft and used and used >= case.limits["open_files"] * soft:
            full.append(
                f"{quote(process['service'])} process {process['pid']} has {used} of {soft} files "
                "open"
            )
    files = mapping(now.get("open_files"))
    if files.get("max") and files["used"] >= case.limits["open_files"] * files["max"]:
        full.append(f"the host has {files['used']} of {files['max']} files open")
    if not full:
        return []
    more = f" (and {len(full) - 1} more)" if len(full) > 1 else ""
    return [
        make(
            "open_files_exhausted",
            None,
            QUIET,
            f"{full[0][0].upper()}{full[0][1:]}{more}.",
            ["processes: open_fds", "now: open_files"],
        )
    ]


def _memory(case: Case, now: Mapping[str, Any]) -> list[Finding]:
    memory = mapping(now.get("memory"))
    total, available = memory.get("total"), memory.get("available")
    if not total or available is None:
        return []
    pressure = mapping(mapping(mapping(now.get("pressure")).get("memory")).get("some"))
    used = (memory.get("swap_total") or 0) - (memory.get("swap_free") or 0)
    if pressure:
        short = pressure["avg60"] >= case.limits["memory_pressure"]
        said = f"processes waited for memory {pressure['avg60']:.0f} % of the last minute"
    else:
        short = used > 0 and available < case.limits["memory_available"] * total
        said = f"{percent(available / total)} of the memory is left"
    if not short:
        return []
    return [
        make(
            "swapping",
            None,
            QUIET,
            f"The host is short of memory: {said}, {size(available)} of {size(total)} are "
            f"available and {size(used)} are swapped out.",
            ["now: memory", "now: pressure"],
        )
    ]


def _disks(case: Case, now: Mapping[str, Any]) -> list[Finding]:
    share = case.limits["disk_available"]
    full = []
    for disk in now.get("disks") or ():
        # A boot partition is small and full by design.
        if disk["size"] < 1 << 30:
            continue
        if disk["available"] < min(share * disk["size"], 1 << 30):
            full.append(
                f"{quote(disk['mount'])} has {size(disk['available'])} of {size(disk['size'])} left"
            )
        elif disk.get("inodes") and disk["inodes_free"] < share * disk["inodes"]:
            full.append(
                f"{quote(disk['mount'])} has {disk['inodes_free']} of {disk['inodes']} inodes left"
            )
    return [make("disk_full", None, QUIET, f"{'; '.join(full)}.", ["now: disks"])] if full else []


def _workers(case: Case, now: Mapping[str, Any]) -> list[Finding]:
    if mapping(case.evidence.get("capacity")).get("memory"):
        return _too_many(case)
    httpd = mapping(case.evidence.get("httpd"))
    limits = mapping(httpd.get("limits"))
    total = mapping(now.get("memory")).get("total")
    workers = _service(now.get("workers") or (), "httpd")
    allowed = limits.get("MaxRequestWorkers")
    each = workers.get("pss_mean")
    if not (total and allowed and each):
        return []
    threads = 1 if httpd.get("mpm") == "prefork" else limits.get("ThreadsPerChild")
    if not threads:
        return []
    processes = -(-allowed // threads)
    fits = int(total * (1 - case.limits["memory_reserve"]) // each)
    if processes <= fits:
        return []
    return [
        make(
            "workers_oversized",
            None,
            QUIET,
            f"httpd may start {plural(processes, 'process')} of {size(each)} each, "
            f"{size(processes * each)} in all; {size(total)} of memory carry {fits}, with "
            f"{percent(case.limits['memory_reserve'])} left for the database and the system.",
            ["httpd: limits", "now: workers", "now: memory"],
            # What cannot even hold without anything else running is more than a risk.
            severity=HIGH if processes * each > 2 * total else None,
        )
    ]


def _too_many(case: Case) -> list[Finding]:
    """By the arithmetic of the role that lowers them."""
    rows = oversized(case.evidence, case.limits["memory_reserve"])
    if not rows:
        return []
    total = case.evidence["capacity"]["memory"]["total"]
    return [
        make(
            "workers_oversized",
            None,
            QUIET,
            " ".join(f"{_whose(row)}: {row['reason']}" for row in rows),
            ["capacity: memory", "capacity: services", "capacity: php_fpm"],
            severity=HIGH if any(row["before"] * row["each"] > 2 * total for row in rows) else None,
            title=None
            if any(row["service"] == "httpd" for row in rows)
            else "More PHP workers are allowed than the memory carries",
        )
    ]


def _whose(row: Mapping[str, Any]) -> str:
    if row["pool"] is None:
        return str(row["service"])
    return f"{row['service']}, pool {quote(row['pool'])}"


def _service(workers: Sequence[Mapping[str, Any]], service: str) -> Mapping[str, Any]:
    return next((one for one in workers if one["service"] == service), {})
