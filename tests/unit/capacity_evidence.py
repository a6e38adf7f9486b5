# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Evidence of hosts for the tests of capacity_plan, before and after a plan is applied."""

from __future__ import annotations

import copy
from typing import Any

MIB = 1 << 20
GIB = 1 << 30
MAIN = "/etc/nginx/nginx.conf"
SUM = "a" * 64


def service(name: str, unit: str, **changes: Any) -> dict[str, Any]:
    return {
        "service": name,
        "unit": unit,
        "manageable": True,
        "refusal": None,
        "account": "mysql" if name == "mariadb" else "www-data",
        "nofile": {"lowest": 1024, "highest": 1024, "processes": 3},
        "workers": 2,
        "worker_pss": {"mean": 2 * MIB, "max": 2 * MIB, "sampled": 2},
        "memory_limit": None,
        "dropin_directory": f"/etc/systemd/system/{unit}.d",
        **changes,
    }


def pool(name: str = "www", children: int = 5, pss: int = 40, **changes: Any) -> dict[str, Any]:
    """pss: MiB of each worker."""
    return {
        "name": name,
        "file": f"/etc/php/8.2/fpm/pool.d/{name}.conf",
        "user": "www-data",
        "listen": f"/run/php/{name}.sock",
        "pm": "dynamic",
        "max_children": children,
        "start_servers": 2,
        "min_spare_servers": 1,
        "max_spare_servers": 3,
        "backlog": None,
        "request_terminate_timeout": None,
        "rlimit_files": None,
        "memory_limit": None,
        "workers": 2,
        "pss_mean": pss * MIB,
        "pss_max": pss * MIB,
        **changes,
    }


def master(*pools: dict[str, Any], unit: str = "php8.2-fpm.service", **more: Any) -> dict[str, Any]:
    return {
        "unit": unit,
        "version": "8.2.7",
        "binary": "/usr/sbin/php-fpm8.2",
        "config_path": "/etc/php/8.2/fpm/php-fpm.conf",
        "include_directory": "/etc/php/8.2/fpm/pool.d",
        "process_max": 0,
        "test": ["php-fpm8.2", "-t"],
        "pools": list(pools),
        **more,
    }


def nginx(**changes: Any) -> dict[str, Any]:
    return {
        "worker_processes": "auto",
        "workers": 2,
        "worker_connections": 768,
        "worker_rlimit_nofile": None,
        "file": MAIN,
        "sha256": SUM,
        "directives": {
            "worker_processes": {
                "file": MAIN,
                "sha256": SUM,
                "offset": 15,
                "length": 22,
                "text": "worker_processes auto;",
            },
            "worker_connections": {
                "file": MAIN,
                "sha256": SUM,
                "offset": 148,
                "length": 23,
                "text": "worker_connections 768;",
            },
            "worker_rlimit_nofile": None,
        },
        "events": {"file": MAIN, "sha256": SUM, "offset": 146},
        "main": {"file": MAIN, "sha256": SUM, "offset": 138},
        **changes,
    }


def httpd(mpm: str = "prefork", workers: int = 150, **values: Any) -> dict[str, Any]:
    return {
        "mpm": mpm,
        "values": {"MaxRequestWorkers": workers, **values},
        "effective": {
            "max_request_workers": workers,
            "server_limit": values.get("ServerLimit") or (256 if mpm == "prefork" else 16),
            "threads_per_child": None if mpm == "prefork" else 25,
        },
        "overriding": None,
    }


def evidence(
    *pools: dict[str, Any], total: int = 4 * GIB, cpus: float = 2.0, **capacity: Any
) -> dict[str, Any]:
    """nginx, php-fpm with these pools and MariaDB on a quiet host."""
    return {
        "httpd": None,
        "capacity": {
            "cpus": cpus,
            "memory": {"total": total, "available": total * 4 // 5, "limited_by": None},
            "nofile_ceiling": 524288,
            "services": [
                service("nginx", "nginx.service"),
                service("php-fpm", "php8.2-fpm.service"),
                service("mariadb", "mariadb.service", workers=0, worker_pss=None),
            ],
            "nginx": nginx(),
            "httpd": None,
            "php_fpm": [master(*(pools or (pool(),)))],
            "database": {
                "buffers": 176 * MIB,
                "per_connection": 3 * MIB,
                "max_connections": 151,
                "pss": 90 * MIB,
            },
            **capacity,
        },
    }


def mod_php(
    workers: int, pss: int, total: int = 4 * GIB, cpus: float = 2.0, **values: Any
) -> dict[str, Any]:
    """httpd with PHP in its own processes, and MariaDB."""
    made = evidence(total=total, cpus=cpus, nginx=None, php_fpm=[])
    made["httpd"] = {"modules": ["mpm_prefork_module", "php_module"]}
    made["capacity"]["httpd"] = httpd("prefork", workers, **values)
    made["capacity"]["services"] = [
        service(
            "httpd",
            "apache2.service",
            nofile={"lowest": 8192, "highest": 8192, "processes": workers},
            workers=workers,
            worker_pss={"mean": pss * MIB, "max": pss * MIB, "sampled": 40},
        ),
        made["capacity"]["services"][2],
    ]
    return made


def event(workers: int = 150, each: int = 6, children: int = 5, **values: Any) -> dict[str, Any]:
    """httpd with the event MPM, which asks php-fpm."""
    made = evidence(pool(children=children), nginx=None)
    made["httpd"] = {"modules": ["mpm_event_module", "proxy_fcgi_module"]}
    made["capacity"]["httpd"] = httpd("event", workers, **values)
    made["capacity"]["services"][0] = service(
        "httpd",
        "httpd.service",
        worker_pss={"mean": each * MIB, "max": each * MIB, "sampled": 2},
    )
    return made


def applied(before: dict[str, Any], plan: dict[str, Any], grown: float = 1.0) -> dict[str, Any]:
    """What the probe finds once the plan is applied. grown: what became of each PHP worker's
    size."""
    after = copy.deepcopy(before)
    capacity = after["capacity"]
    rows = {row["unit"]: row for row in capacity["services"]}
    for planned in plan["services"]:
        row, settings = rows[planned["unit"]], planned["settings"]
        if planned["nofile"] is not None:
            row["nofile"] |= {"lowest": planned["nofile"], "highest": planned["nofile"]}
        if planned["service"] == "nginx":
            capacity["nginx"] |= settings
            if settings["worker_rlimit_nofile"]:
                row["nofile"]["lowest"] = settings["worker_rlimit_nofile"]
        elif planned["service"] == "httpd":
            _apply_httpd(capacity["httpd"], settings)
        for one in capacity["php_fpm"] if planned["service"] == "php-fpm" else ():
            for old, new in zip(one["pools"], settings.get("pools", ()), strict=False):
                if one["unit"] == planned["unit"]:
                    old |= new
    for one in capacity["php_fpm"]:
        for old in one["pools"]:
            if old["pss_mean"]:
                old["pss_mean"] = int(old["pss_mean"] * grown)
                old["pss_max"] = int(old["pss_max"] * grown)
    if capacity["httpd"] and capacity["httpd"]["mpm"] == "prefork":
        for size in ("mean", "max"):
            pss = rows[next(unit for unit in rows if rows[unit]["service"] == "httpd")]
            pss["worker_pss"][size] = int(pss["worker_pss"][size] * grown)
    return after


def _apply_httpd(httpd: dict[str, Any], settings: dict[str, Any]) -> None:
    for one in settings.get("fcgi", ()):
        for worker in httpd["fcgi"]["workers"]:
            if worker["name"] == one["name"]:
                worker["limit"] = {"max": one["max"], "acquire": one["acquire"]}
    settings = {name: value for name, value in settings.items() if name != "fcgi"}
    httpd["values"] |= settings
    effective = httpd["effective"]
    if "MaxRequestWorkers" in settings:
        effective["max_request_workers"] = settings["MaxRequestWorkers"]
    if settings.get("ServerLimit"):
        effective["server_limit"] = settings["ServerLimit"]


def of(plan: dict[str, Any], service_: str) -> dict[str, Any]:
    """A service's row of a plan."""
    found: dict[str, Any] = next(one for one in plan["services"] if one["service"] == service_)
    return found


def line(plan: dict[str, Any], what: str) -> dict[str, Any]:
    """The first line of a plan's arithmetic with such words."""
    found: dict[str, Any] = next(one for one in plan["arithmetic"] if what in one["what"])
    return found
