# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which limits of open files and which numbers of workers suit a host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_settings import (
    Settings,
    SettingsError,
    check_settings,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_workers import (
    Budget,
    make_budget,
    php_workers,
    runs_php,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.fcgi_limits import (
    Limit,
    Pool,
    Threads,
    plan_limits,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    plural,
    quote,
    sentence,
    size,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.open_file_limits import (
    DEBIAN_HTTPD,
    nginx_numbers,
    wanted_files,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.worker_budget import (
    CPU,
    KEPT,
    MEMORY,
    QUEUE,
    Planned,
    plan_workers,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.worker_numbers import (
    SPARE_THREADS,
    START_SERVERS,
    Numbers,
    differs,
    httpd_differs,
    pool_numbers,
    prefork_numbers,
    threaded_numbers,
)

Row = Mapping[str, Any]

_FILE = "wpward.conf"
_TRAP = "limits_conf_ineffective"


@dataclass
class _Plan:
    """What the filter returns, while it is put together."""

    budget: Budget = field(default_factory=Budget)
    planned: list[Planned] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    predicted: int = 0
    front_after: int | None = None


def capacity_plan(evidence: Row, settings: Any = None) -> dict[str, Any]:
    """See the filter of that name."""
    try:
        checked = check_settings(settings)
    except SettingsError as error:
        return _describe(_Plan(), str(error))
    if "capacity" not in evidence:
        return _describe(
            _Plan(), "The evidence is of a probe that did not look at limits; probe again."
        )
    if not evidence["capacity"]:
        # A probe that ran out of time is no reason to undo what the other roles did.
        nothing = "Nothing was measured of nginx, httpd, php-fpm or a database here, so that limits"
        return _describe(_Plan(notes=[f"{nothing} and workers were left alone; run again."]), "")
    plan = _Plan()
    if checked.workers:
        _plan_workers(evidence, checked, plan)
    for row in evidence["capacity"]["services"]:
        _plan_service(evidence, row, checked, plan)
    plan.notes += _trap_notes(evidence)
    return _describe(plan, "", evidence["capacity"]["services"])


def oversized(evidence: Row, reserve: float) -> list[dict[str, Any]]:
    """The rows of ``workers`` in a plan, of those maxima that the memory does not carry.

    reserve: share of the memory for the system. Empty where the evidence has no part ``capacity``.
    """
    if not evidence.get("capacity"):
        return []
    plan = _Plan()
    _plan_workers(evidence, Settings(reserve=Fraction(str(reserve))), plan)
    return [row for row in plan.rows if row["limit"] == MEMORY and row["after"] <= row["before"]]


def _describe(plan: _Plan, refusal: str, services: Sequence[Row] = ()) -> dict[str, Any]:
    accounts = {row.get("account") for row in services} - {None, "", "root"}
    return {
        "refusal": refusal,
        "notes": plan.notes,
        "arithmetic": plan.budget.lines,
        "workers": plan.rows,
        "predicted": {"bytes": plan.predicted},
        "services": plan.services,
        "accounts": sorted(str(account) for account in accounts),
    }


# --- workers -------------------------------------------------------------------------------------


def _plan_workers(evidence: Row, settings: Settings, plan: _Plan) -> None:
    capacity = evidence["capacity"]
    budget = plan.budget = make_budget(evidence, settings)
    groups = php_workers(evidence, settings)
    plan.planned = plan_workers(groups, budget.left, capacity["cpus"], settings.per_cpu)
    weights = sum(group.weight for group in groups)
    for one in plan.planned:
        group = one.workers
        budget.note(
            f"one worker of {quote(group.name)}",
            group.cost,
            f"{group.how}"
            + (
                f"; and {size(group.connection)} of the database for its connection"
                if group.connection
                else ""
            ),
        )
        if len(groups) > 1:
            budget.note(
                f"share of {quote(group.name)}",
                int(budget.left * group.weight / weights),
                f"weight {float(group.weight):g} of {float(weights):g}; what another does not "
                "need comes on top",
            )
        if group.limit is not None:
            budget.note(
                f"limit of {quote(group.unit)}",
                group.limit,
                "what systemd allows the unit, of which the workers get 90 %",
            )
        budget.note(
            f"{plural(one.after, 'worker')} of {quote(group.name)}",
            one.after * group.cost,
            one.reason,
        )
        plan.rows.append(_worker_row(one))
        plan.predicted += one.after * group.each
    taken = sum(one.after * one.workers.cost for one in plan.planned)
    _plan_front(plan)
    _note_what_does_not_fit(plan, taken)
    plan.notes += _weight_notes(settings, plan)


def _worker_row(one: Planned) -> dict[str, Any]:
    group = one.workers
    return {
        "service": group.service,
        "pool": group.pool,
        "setting": group.setting,
        "before": group.current,
        "after": one.after,
        "each": group.each,
        "limit": one.limit,
        "reason": one.reason,
    }


def _plan_front(plan: _Plan) -> None:
    """httpd where PHP runs elsewhere, and what nginx and it take."""
    plan.predicted += plan.budget.nginx + plan.budget.shared
    front = plan.budget.front
    if front is None:
        return
    now = processes = front.processes
    children = sum(one.after for one in plan.planned if one.workers.pool is not None)
    # Each request that waits for PHP holds a thread, and some have to be left for the rest.
    wanted = -(-2 * children // front.threads)
    grown = sum(one.after * one.workers.grown for one in plan.planned)
    room = (plan.budget.left - grown) // front.each + now
    limit = KEPT
    if now * 10 > front.most * 11:
        processes, limit = front.most, MEMORY
        reason = (
            f"{plural(now, 'process')} of {size(front.each)} would take "
            f"{size(now * front.each)}, more than one fourth of what the web server and PHP have"
        )
    elif now * 4 < min(wanted, front.most, room) * 3:
        processes, limit = min(wanted, front.most, room), CPU
        reason = f"{plural(children, 'PHP worker')} are not to take every thread of httpd"
    else:
        reason = f"{plural(now, 'process')} of {size(front.each)} fit"
    if limit != KEPT and front.fixed:
        reason += (
            f". It stays: {front.fixed.rstrip('.')}; set MaxRequestWorkers to "
            f"{processes * front.threads} yourself"
        )
        plan.notes.append(f"MaxRequestWorkers of httpd stays {front.requests}: {reason}.")
        processes = now
    after = front.requests if processes == now else processes * front.threads
    plan.front_after = processes
    plan.rows.append(
        {
            "service": "httpd",
            "pool": None,
            "setting": "MaxRequestWorkers",
            "before": front.requests,
            "after": after,
            "each": front.each,
            "limit": limit,
            "reason": f"{reason}.",
        }
    )
    plan.predicted += processes * front.each


def _note_what_does_not_fit(plan: _Plan, taken: int) -> None:
    for one in plan.planned:
        if one.wanted != one.after:
            plan.notes.append(
                f"{one.workers.setting} of {quote(one.workers.name)} stays {one.after}: "
                f"{one.reason}"
            )
    left = plan.budget.left
    if taken * 10 > left * 11:
        total = sum(one.after for one in plan.planned)
        plan.notes.append(
            f"The PHP workers do not fit in memory even at {total} in all: they may take "
            f"{size(taken)}, and {size(left)} are left for them, {size(taken - left)} too little. "
            "Give the host more memory, or lower the buffers of the database."
        )


def _weight_notes(settings: Settings, plan: _Plan) -> list[str]:
    names = {one.workers.pool or "httpd" for one in plan.planned}
    unknown = sorted(set(settings.weights or ()) - names)
    if not unknown or not names:
        return []
    return [
        f"wpward_capacity_pool_weights names {quote(', '.join(unknown))}, which this host has not; "
        f"it has {quote(', '.join(sorted(names)))}."
    ]


# --- services ------------------------------------------------------------------------------------


def _plan_service(evidence: Row, row: Row, settings: Settings, plan: _Plan) -> None:
    capacity = evidence["capacity"]
    service = row["service"]
    master = _master(capacity, row) if service == "php-fpm" else None
    nofile = wanted_files(
        row, settings.nofile, capacity["nofile_ceiling"], _own_limit(capacity, row, master)
    )
    entries: list[dict[str, Any]] = []
    numbers: dict[str, Any] = {}
    if service == "nginx" and capacity.get("nginx"):
        found = nginx_numbers(capacity, row, nofile, settings)
        numbers, entries = found.settings, found.entries
        plan.notes += found.notes
    elif service == "php-fpm" and master is not None:
        numbers = _pool_settings(capacity, row, master, nofile, settings, plan)
    elif service == "httpd" and capacity.get("httpd"):
        numbers = _httpd_settings(evidence, row, settings, plan)
    plan.services.append(
        {
            "service": service,
            "unit": row.get("unit"),
            "nofile": nofile,
            "dropin": f"{row['dropin_directory']}/{_FILE}" if nofile is not None else None,
            "apachectl_ulimit": nofile is not None and row.get("unit") == DEBIAN_HTTPD,
            "file_entries": entries,
            "settings": numbers,
        }
    )
    _note_files(capacity, row, settings, plan)


def _note_files(capacity: Row, row: Row, settings: Settings, plan: _Plan) -> None:
    lowest = (row.get("nofile") or {}).get("lowest")
    ceiling = capacity["nofile_ceiling"]
    if not row.get("manageable", True):
        plan.notes.append(
            f"The limits of {row['service']} stay as they are: "
            f"{sentence(row.get('refusal') or 'systemd cannot restart it by itself')}."
        )
    elif lowest is not None and lowest < settings.nofile and ceiling < settings.nofile:
        plan.notes.append(
            f"{row['service']} is given {max(ceiling, lowest)} open files instead of "
            f"{settings.nofile} (wpward_capacity_nofile): this host allows no more."
        )


def _own_limit(capacity: Row, row: Row, master: Row | None) -> int | None:
    """The lowest limit of open files that a service's own configuration sets."""
    if row["service"] == "nginx":
        limit: int | None = (capacity.get("nginx") or {}).get("worker_rlimit_nofile")
        return limit
    pools = (master or {}).get("pools") or ()
    return min((one["rlimit_files"] for one in pools if one.get("rlimit_files")), default=None)


def _master(capacity: Row, row: Row) -> Row | None:
    masters = capacity.get("php_fpm") or ()
    return next((one for one in masters if one["unit"] == row.get("unit")), None)


def _pool_settings(
    capacity: Row, row: Row, master: Row, nofile: int | None, settings: Settings, plan: _Plan
) -> dict[str, Any]:
    """Every pool's numbers; nothing where all have them already or no file of ours would act."""
    if not settings.workers or not row.get("manageable", True):
        return {}
    if not master.get("include_directory"):
        return {}
    children = {
        one.workers.pool: one.after for one in plan.planned if one.workers.unit == row.get("unit")
    }
    by_nginx = bool(capacity.get("nginx")) and plan.budget.front is None
    target = nofile or min(settings.nofile, capacity["nofile_ceiling"])
    pools: list[Numbers] = [
        pool_numbers(pool, children.get(pool["name"], pool["max_children"]), target, by_nginx)
        for pool in master["pools"]
    ]
    changed = any(differs(pool, found) for pool, found in zip(master["pools"], pools, strict=True))
    return {"pools": pools} if changed else {}


def _httpd_settings(evidence: Row, row: Row, settings: Settings, plan: _Plan) -> dict[str, Any]:
    """Everything that our file says, the limits of mod_proxy in ``fcgi``; nothing where it acts
    already."""
    httpd = evidence["capacity"]["httpd"]
    if not row.get("manageable", True):
        return {}
    found = next((one for one in plan.rows if one["service"] == "httpd"), None)
    numbers: Numbers = {}
    acts = True
    if found is not None and not httpd.get("overriding"):
        moved = found["after"] != found["before"] or runs_php(evidence)
        # What an earlier run has set would be lost with the rest of the file.
        if moved or httpd.get("ours"):
            numbers = _httpd_numbers(evidence, found["after"], plan)
        acts = not (moved and httpd_differs(httpd, numbers))
    limits = _fcgi_limits(evidence, settings, plan)
    if acts and all(one.before == one.options for one in limits):
        return {}
    if limits:
        numbers["fcgi"] = [{"name": one.name, **one.options} for one in limits]
    return numbers


def _httpd_numbers(evidence: Row, workers: int, plan: _Plan) -> Numbers:
    httpd, front = evidence["capacity"]["httpd"], plan.budget.front
    if front is None or httpd["mpm"] == "prefork":
        return prefork_numbers(httpd, workers, runs_php(evidence))
    return threaded_numbers(httpd, front, plan.front_after or front.processes)


def _fcgi_limits(evidence: Row, settings: Settings, plan: _Plan) -> list[Limit]:
    """Of a threaded httpd; a row of the plan for each."""
    capacity = evidence["capacity"]
    httpd, front = capacity["httpd"], plan.budget.front
    if not settings.workers or front is None or httpd["mpm"] not in ("event", "worker"):
        return []
    children = {(one.workers.unit, one.workers.pool): one.after for one in plan.planned}
    pools = [
        Pool(one["name"], one["listen"], children.get((master["unit"], one["name"]), 1))
        for master in capacity.get("php_fpm") or ()
        for one in master["pools"]
        if str(one.get("listen")).startswith("/")
    ]
    processes = plan.front_after or front.processes
    spare = threaded_numbers(httpd, front, processes).get("MinSpareThreads", SPARE_THREADS)
    start = httpd["values"].get("StartServers") or START_SERVERS
    threads = Threads(processes, start, front.threads, spare)
    found = plan_limits(httpd.get("fcgi") or {}, pools, threads)
    plan.notes += found.notes
    plan.rows += [
        {
            "service": "httpd",
            "pool": one.pool,
            "setting": f"requests of each process to {one.name}",
            # mod_proxy's own.
            "before": (one.before or {}).get("max", front.threads),
            "after": one.max,
            "each": 0,
            "limit": QUEUE,
            "reason": one.reason,
        }
        for one in found.given
    ]
    return found.given


def _trap_notes(evidence: Row) -> list[str]:
    """Lines that were meant to raise a limit and do not."""
    return [
        f"{quote(trap['file'])}:{trap['line']} has no effect: {sentence(trap['detail'])}."
        for trap in evidence.get("traps") or ()
        if trap.get("id") == _TRAP
    ]
