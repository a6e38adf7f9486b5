# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the host has for its web stack, and what the stack is configured to take: the evidence's
``capacity``.

The number of workers that fit follows from it, and nothing is computed here.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    capacity_services,
    cgroup_limits,
    httpd_capacity,
    nginx_capacity,
    open_file_ceiling,
    php_fpm_capacity,
    pressure,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.capacity_services import Service
from ansible_collections.wpward.wordpress.plugins.module_utils.cgroup_limits import Group
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_discovery import HttpdServer
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Config
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import Sample

_WEB = ("nginx", "httpd", "php-fpm")


@dataclass(frozen=True)
class Servers:
    """The web servers that run; None for one that does not."""

    nginx: Config | None
    httpd: HttpdServer | None


def _shared(chains: Sequence[Sequence[Group]]) -> list[Group]:
    """The groups that hold every service. That of a single service is its own and not the host's,
    unless several run in it."""
    held = [group for group in chains[0] if all(group in chain for chain in chains)]
    return [group for group in held if group.unit is None or len(chains) > 1]


def _memory(shared: Sequence[Group]) -> dict[str, Any] | None:
    host = pressure.memory()
    if host is None:
        return None
    total, available = host["total"] or 0, host["available"]
    limited_by: str | None = None
    lowest = cgroup_limits.lowest_memory(shared)
    if lowest is not None and lowest.limit < total:
        total = lowest.limit
        left = max(lowest.limit - lowest.used, 0)
        available = left if available is None else min(available, left)
        limited_by = lowest.group.unit or lowest.group.directory
    return {"total": total, "available": available, "limited_by": limited_by}


def _processors(found: Sequence[Service]) -> float:
    """How many the web servers may keep busy: what they are bound to, less where a group that one
    of them is in has a quota."""
    web = [one.master.pid for one in found if one.name in _WEB]
    bound: set[int] = set()
    quotas: list[float] = []
    for pid in web:
        try:
            bound |= os.sched_getaffinity(pid)
        except OSError:
            continue
        quota = cgroup_limits.lowest_quota(cgroup_limits.groups(pid, "cpu"))
        if quota is not None:
            quotas.append(quota)
    return float(min([len(bound) or os.cpu_count() or 1, *quotas]))


def _worker_memory(service: Service, memory: Sample) -> dict[str, int | None] | None:
    # A database server has threads, and no workers.
    workers = service.processes if service.name == "mariadb" else service.workers
    sizes = memory.of({one.pid for one in workers})
    if not sizes["sampled"]:
        return None
    return {
        "mean": sizes["pss_mean"],
        "max": sizes["pss_max"],
        "private": sizes["private_mean"],
        "shared": sizes["shared_total"],
        "sampled": sizes["sampled"],
    }


def describe(
    running: Sequence[Process],
    servers: Servers,
    memory: Sample,
    deadline: float,
    problems: Problems,
) -> dict[str, Any] | None:
    """The evidence's ``capacity``, but its ``database``; None where no service of the stack runs.

    ``memory``: has been read already. ``deadline``: ``time.monotonic()``.
    """
    found = capacity_services.find(running)
    if not found:
        return None
    chains = [cgroup_limits.groups(one.master.pid, "memory") for one in found]
    shared = _shared(chains)
    services = []
    described = capacity_services.describe(found, running, max(deadline - time.monotonic(), 0.1))
    for service, chain, row in zip(found, chains, described):
        own = cgroup_limits.lowest_memory([group for group in chain if group not in shared])
        row["worker_pss"] = _worker_memory(service, memory)
        row["memory_limit"] = own.limit if own else None
        services.append(row)
    state: dict[str, Any] = {
        "cpus": _processors(found),
        "memory": _memory(shared),
        "nofile_ceiling": open_file_ceiling.ceiling(),
        "services": services,
        "nginx": None,
        "httpd": None,
        "php_fpm": [],
        "database": None,
    }
    for service in found:
        left = max(deadline - time.monotonic(), 0.1)
        if service.name == "nginx" and servers.nginx is not None:
            state["nginx"] = nginx_capacity.describe(servers.nginx, len(service.workers))
        elif service.name == "httpd" and servers.httpd is not None:
            httpd = servers.httpd.described
            place = httpd["conf_link"] or httpd["conf_file"]
            state["httpd"] = httpd_capacity.describe(servers.httpd.config, httpd["mpm"], place)
        elif service.name == "php-fpm":
            pools = php_fpm_capacity.describe(service, memory, left, problems)
            state["php_fpm"] += [pools] if pools else []
    return state
