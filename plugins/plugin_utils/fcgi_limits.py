# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many requests each process of a threaded httpd may have with php-fpm at a time.

Without a limit httpd waits in connect() once php-fpm's queue is full, with no timeout of its own,
and requests for PHP take every thread, so that not even a picture is served. With one, a request
that gets no turn within a moment is answered with 503.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import plural, quote
from ansible_collections.wpward.wordpress.plugins.plugin_utils.worker_numbers import queue_length

Row = Mapping[str, Any]

PATIENCE = 1000
"""Milliseconds that a request waits for its turn."""

_NAME = re.compile(r"fcgi://[A-Za-z0-9.:_\[\]-]*")
_THREADS_FOR_PHP = (4, 5)
"""Of a process's threads; the rest serves what needs no PHP."""


@dataclass(frozen=True)
class Threads:
    """httpd as it is going to be. processes: at most; start: when it starts. threads: of each.
    spare: that it keeps idle in all, starting processes until it does."""

    processes: int
    start: int
    threads: int
    spare: int

    def running(self, most: int) -> int:
        """Processes that it comes to while each has ``most`` requests with PHP."""
        idle = self.threads - most
        return min(max(-(-self.spare // idle), self.start, 1), self.processes)


@dataclass(frozen=True)
class Pool:
    """A pool of php-fpm, with as many children as it is going to have."""

    name: str
    listen: str
    children: int


@dataclass(frozen=True)
class Limit:
    """What a worker of mod_proxy gets. before: what our file sets now."""

    name: str
    pool: str
    before: Mapping[str, int] | None
    max: int
    reason: str

    @property
    def options(self) -> dict[str, int]:
        """In mod_proxy's words; acquire in milliseconds."""
        return {"max": self.max, "acquire": PATIENCE}


@dataclass
class Limits:
    """Those that are given, and sentences about those that are not."""

    given: list[Limit] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def limit_of_a_process(threads: Threads, children: int) -> int | None:
    """Requests of one process for a pool of so many children; None where a limit could keep
    requests from a pool that has room for them."""
    share, of = _THREADS_FOR_PHP
    highest = threads.threads * share // of
    wanted = children + queue_length(children, None)
    for most in range(1, highest + 1):
        if threads.running(most) * most >= wanted:
            return most
    # Not the whole queue, but every child must be kept busy, however unevenly requests fall.
    enough = highest > 0 and threads.running(highest) * highest >= 2 * children
    return highest if enough else None


def plan_limits(fcgi: Row, pools: Sequence[Pool], threads: Threads) -> Limits:
    """fcgi: the evidence's ``capacity.httpd.fcgi``."""
    found = Limits()
    workers = [row for row in fcgi.get("workers") or () if _NAME.fullmatch(row["name"])]
    behind = [[pool for pool in pools if _leads_to(row["sockets"], pool)] for row in workers]
    passed = [pool for pool in pools if _leads_to(fcgi.get("passed") or (), pool)]
    reached = [pool for some in (*behind, passed) for pool in some]
    hidden = [pool for pool in pools if pool not in reached]
    for row, some in zip(workers, behind, strict=True):
        why = _refusal(row, some, hidden)
        if why:
            found.notes.append(f"Requests that find no PHP worker free wait in httpd: {why}.")
            continue
        [pool] = some
        most = limit_of_a_process(threads, pool.children)
        if most is not None:
            reason = _reason(threads, pool, most)
            found.given.append(Limit(row["name"], pool.name, row.get("limit"), most, reason))
    most = limit_of_a_process(threads, max((pool.children for pool in passed), default=0))
    if passed and most is not None:
        found.notes.append(
            f"{quote(', '.join(fcgi['passes']))} has a worker of its own, which is limited in that "
            f"line alone: add max={most} acquire={PATIENCE} to it, or requests that find no PHP "
            "worker free wait in httpd."
        )
    return found


def _leads_to(sockets: Sequence[str], pool: Pool) -> bool:
    return pool.listen in sockets or pool.listen.replace("/var/run/", "/run/", 1) in sockets


def _refusal(row: Row, behind: Sequence[Pool], hidden: Sequence[Pool]) -> str:
    """Why a worker gets no limit; empty where it does."""
    name = row["name"]
    if row.get("defined"):
        return f"{quote(row['defined'])} sets the worker {name} itself, and stays as it is"
    if not behind:
        return f"no pool of php-fpm is known to listen at {quote(', '.join(row['sockets']))}"
    names = quote(" and ".join(pool.name for pool in behind))
    if len(behind) > 1:
        return (
            f"the pools {names} share the worker {name}, and a limit would count both; write "
            f"another name than {name} behind the socket of each, and run again"
        )
    if hidden:
        others = quote(" and ".join(pool.name for pool in hidden))
        return (
            f"httpd's configuration does not tell how pool {others} is reached, so that a limit of "
            f"{name} for {names} could count it as well"
        )
    return ""


def _reason(threads: Threads, pool: Pool, most: int) -> str:
    running = threads.running(most)
    return (
        f"{plural(pool.children, 'PHP worker')} and a queue of "
        f"{queue_length(pool.children, None)}, in the {plural(running, 'process')} that httpd runs "
        f"when they are busy; {threads.threads - most} of the {threads.threads} threads of each "
        f"are left for what needs no PHP. Who gets no turn within {PATIENCE / 1000:g} s is "
        "answered with 503."
    )
