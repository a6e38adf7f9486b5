# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the memory of a host is for, read from its evidence, line by line.

Everything but PHP's workers is taken off first: what remains is divided among those by
worker_budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_settings import Settings
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    percent,
    plural,
    quote,
    size,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.worker_budget import Workers

Row = Mapping[str, Any]

_MIB = 1 << 20

SMALLEST = 6 * _MIB
"""What a PHP worker takes for itself at least. One that has just been started has hardly anything;
after requests for the bare pages of WordPress 6.1, without a plugin, it had 4 to 5.3 MiB (PHP 8.2),
and the kernel half a MiB for it."""

_LARGEST_COUNTS = 0.8
"""Where the evidence only has the PSS: workers grow towards the largest of them."""

_DATABASE_ITSELF = 64 * _MIB
"""What mariadbd takes beside its buffers: 87 MiB with little in them (PSS, MariaDB 10.11)."""

_PHP_LIMIT = 256 * _MIB
"""How far a worker may grow where its pool does not set memory_limit so that nobody can raise it:
WordPress raises it to this itself in its administration (WP_MAX_MEMORY_LIMIT)."""

_FRONT_SHARE = 4
"""Web servers that leave PHP to others get at most this part (one fourth) of the memory."""


@dataclass(frozen=True)
class Front:
    """httpd's processes where PHP runs elsewhere. requests: MaxRequestWorkers. threads: of one
    process. each: PSS of one in bytes. most: processes that its share of the memory carries.
    fixed: why MaxRequestWorkers cannot be changed; empty where it can."""

    requests: int
    threads: int
    each: int
    most: int
    fixed: str

    @property
    def processes(self) -> int:
        """At the maximum of requests."""
        return -(-self.requests // self.threads)


@dataclass
class Budget:
    """lines: the arithmetic, from the memory down to what is left for PHP's workers (bytes).
    shared: what those share with each other, however many there are."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    front: Front | None = None
    nginx: int = 0
    shared: int = 0

    def note(self, what: str, number: int, how: str) -> None:
        """A line of it."""
        self.lines.append({"what": what, "bytes": number, "how": how})

    def take(self, what: str, number: int, how: str) -> None:
        """A line that takes something off."""
        self.left -= number
        self.note(f"less {what}", number, how)


def make_budget(evidence: Row, settings: Settings) -> Budget:
    """What is left for PHP's workers, and how that comes about."""
    capacity = evidence["capacity"]
    memory = capacity["memory"]
    budget = Budget(left=memory["total"])
    limited = memory.get("limited_by")
    budget.note(
        "usable memory",
        memory["total"],
        f"the limit of {quote(limited)}, which is less than the host has"
        if limited
        else "all that the host has (MemTotal)",
    )
    reserve = int(memory["total"] * settings.reserve)
    budget.take(
        "the reserve for the system",
        reserve,
        f"{percent(float(settings.reserve))} of it (wpward_capacity_reserve): kernel, files kept "
        "in memory, logins, cron, backups",
    )
    _take_others(budget, capacity, reserve)
    _take_database(budget, capacity)
    _take_nginx(budget, capacity)
    _take_front(budget, evidence)
    _take_shared(budget, evidence)
    budget.left = max(budget.left, 0)
    budget.note("left for PHP workers", budget.left, "what remains")
    return budget


def _take_others(budget: Budget, capacity: Row, reserve: int) -> None:
    memory = capacity["memory"]
    if memory.get("available") is None:
        return
    used = max(memory["total"] - memory["available"], 0)
    stack = sum(
        row["workers"] * (row.get("worker_pss") or {}).get("mean", 0)
        for row in capacity["services"]
        if row["service"] != "mariadb"
    )
    others = used - stack - _database_now(capacity)
    if others > reserve:
        budget.take(
            "other programs",
            others - reserve,
            f"{size(used)} are in use now; without nginx, httpd, php-fpm and the database that is "
            f"{size(others)}, which is so much more than the reserve",
        )


def _database_now(capacity: Row) -> int:
    found = (capacity.get("database") or {}).get("pss")
    if found is None:
        rows = (row for row in capacity["services"] if row["service"] == "mariadb")
        found = next(((row.get("worker_pss") or {}).get("mean") for row in rows), None)
    return int(found or 0)


def _take_database(budget: Budget, capacity: Row) -> None:
    now = _database_now(capacity)
    buffers = (capacity.get("database") or {}).get("buffers")
    if buffers is None or now >= buffers + _DATABASE_ITSELF:
        if now:
            budget.take("the database", now, "its PSS now")
        return
    budget.take(
        "the database",
        buffers + _DATABASE_ITSELF,
        f"the buffers that it is configured with ({size(buffers)}) and "
        f"{size(_DATABASE_ITSELF)} for the program itself; its PSS now is {size(now)}",
    )


def _take_nginx(budget: Budget, capacity: Row) -> None:
    row = service_row(capacity, "nginx")
    pss = (row.get("worker_pss") or {}).get("mean")
    workers = row.get("workers") or 0
    if pss and workers:
        budget.nginx = workers * pss
        budget.take("nginx", workers * pss, f"{plural(workers, 'worker')} of {size(pss)} now (PSS)")


def runs_php(evidence: Row) -> bool:
    """Whether httpd's own processes run PHP."""
    httpd = evidence.get("httpd") or {}
    names = httpd.get("modules") or ()
    mpm = (evidence["capacity"].get("httpd") or {}).get("mpm")
    return mpm == "prefork" and any(str(name).startswith("php") for name in names)


def _take_front(budget: Budget, evidence: Row) -> None:
    capacity = evidence["capacity"]
    httpd = capacity.get("httpd") or {}
    pss = service_row(capacity, "httpd").get("worker_pss")
    requests = (httpd.get("effective") or {}).get("max_request_workers")
    if runs_php(evidence) or not pss or not requests:
        return
    threads = 1
    if httpd["mpm"] != "prefork":
        threads = httpd["effective"].get("threads_per_child") or 25
    each = _believed(pss["mean"], pss["max"], _MIB)
    most = max(max(budget.left, 0) // _FRONT_SHARE // each, 2)
    front = Front(requests, threads, each, most, _fixed_httpd(capacity))
    budget.front = front
    # A little more than the share is not worth a restart.
    fits = front.processes * 10 <= most * 11
    processes = front.processes if fits else most
    each_thread = "" if threads == 1 else f" (MaxRequestWorkers {requests}, {threads} threads each)"
    budget.take(
        "httpd",
        processes * each,
        f"{plural(processes, 'process')} of {size(each)} (PSS){each_thread}"
        if fits
        else f"{plural(processes, 'process')} of {size(each)} (PSS), one fourth of what is left: "
        f"the {front.processes} that are allowed would take {size(front.processes * each)}",
    )


def _take_shared(budget: Budget, evidence: Row) -> None:
    capacity = evidence["capacity"]
    sizes = [pool for master in capacity.get("php_fpm") or () for pool in master["pools"]]
    if runs_php(evidence):
        sizes.append(service_row(capacity, "httpd").get("worker_pss") or {})
    budget.shared = sum(one.get("shared") or 0 for one in sizes)
    if budget.shared:
        budget.take(
            "what PHP workers share",
            budget.shared,
            "program, libraries and opcache: in memory once, however many workers there are",
        )


def service_row(capacity: Row, service: str) -> Row:
    """The first of a service's rows; empty where it does not run."""
    return next((row for row in capacity["services"] if row["service"] == service), {})


def php_workers(evidence: Row, settings: Settings) -> list[Workers]:
    """Every maximum of PHP workers on the host."""
    capacity = evidence["capacity"]
    connection = (capacity.get("database") or {}).get("per_connection") or 0
    found = []
    if runs_php(evidence):
        found.append(_of_httpd(capacity, settings, connection))
    for master in capacity.get("php_fpm") or ():
        row = _row_of(capacity, master["unit"])
        known = [
            {"mean": one["pss_mean"], "max": one["pss_max"], "private": one.get("private")}
            for one in master["pools"]
            if one.get("pss_mean")
        ]
        fixed = _refusal(row) or _no_place(master)
        found += [
            Workers(
                service="php-fpm",
                unit=master["unit"],
                pool=pool["name"],
                setting="pm.max_children",
                current=pool["max_children"],
                connection=connection,
                weight=settings.weight(pool["name"]),
                limit=row.get("memory_limit"),
                processes=master.get("process_max") or 0,
                fixed=fixed,
                **_size_of_pool(pool, known, row, connection),
            )
            for pool in master["pools"]
        ]
    return [one for one in found if one.current > 0]


def _of_httpd(capacity: Row, settings: Settings, connection: int) -> Workers:
    row = service_row(capacity, "httpd")
    httpd = capacity["httpd"]
    each, how = _size_of(row.get("worker_pss") or {})
    return Workers(
        service="httpd",
        unit=row.get("unit"),
        pool=None,
        setting="MaxRequestWorkers",
        current=httpd["effective"]["max_request_workers"],
        each=each,
        how=how,
        grown=max(each, _PHP_LIMIT) + connection,
        connection=connection,
        weight=settings.weight("httpd"),
        limit=row.get("memory_limit"),
        fixed=_fixed_httpd(capacity),
    )


def _fixed_httpd(capacity: Row) -> str:
    overriding = capacity["httpd"].get("overriding")
    if overriding:
        return f"httpd reads {quote(overriding)} after any file of ours"
    return _refusal(service_row(capacity, "httpd"))


def _row_of(capacity: Row, unit: str | None) -> Row:
    rows = [row for row in capacity["services"] if row["service"] == "php-fpm"]
    return next((row for row in rows if row.get("unit") == unit), {})


def _refusal(row: Row) -> str:
    if row.get("manageable", True):
        return ""
    return quote(row.get("refusal") or f"systemd cannot restart {row['service']} by itself")


def _no_place(master: Row) -> str:
    if master.get("include_directory"):
        return ""
    return f"{quote(master['config_path'])} includes no directory in which a file would come last"


def _size_of_pool(pool: Row, known: Sequence[Row], row: Row, connection: int) -> dict[str, Any]:
    own = {"mean": pool.get("pss_mean"), "max": pool.get("pss_max"), "private": pool.get("private")}
    if own["mean"]:
        each, how = _size_of(own)
    elif known:
        # The largest of the others, as nothing tells which of them this one is like.
        each, how = max(_size_of(one) for one in known)
        how = f"no worker of this pool runs now, so as in another pool: {how}"
    else:
        each, how = _size_of(row.get("worker_pss") or {})
    limit = pool.get("memory_limit")
    if limit is None or limit <= 0:
        limit = _PHP_LIMIT
    return {"each": each, "how": how, "grown": max(each, limit) + connection}


def _size_of(measured: Row) -> tuple[int, str]:
    """What one worker takes, in bytes, and how that was found."""
    mean, largest, private = (measured.get(name) for name in ("mean", "max", "private"))
    if private is None:
        each = _believed(mean, largest, SMALLEST)
        return each, _how(mean, largest, each)
    if private < SMALLEST:
        return SMALLEST, (
            f"{size(private)} of its own: they have hardly worked yet, so the least that a PHP "
            "worker has"
        )
    return private, "its own memory at its largest, on average of those that have worked"


def _believed(mean: int | None, largest: int | None, least: int) -> int:
    return max(mean or 0, int((largest or 0) * _LARGEST_COUNTS), least)


def _how(mean: int | None, largest: int | None, each: int) -> str:
    if not mean:
        return "none was measured; the least that a PHP worker has"
    seen = f"PSS {size(mean)} on average, {size(largest or mean)} the largest"
    if each == mean:
        return f"{seen}: the average"
    if each == SMALLEST and each > (largest or mean) * _LARGEST_COUNTS:
        return f"{seen}: they have hardly worked yet, so the least that a PHP worker has"
    return f"{seen}: {percent(_LARGEST_COUNTS)} of the largest"
