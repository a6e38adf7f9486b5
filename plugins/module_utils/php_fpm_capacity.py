# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pools of each running php-fpm: what they are configured for, and what their workers take."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import php_fpm_config
from ansible_collections.wpward.wordpress.plugins.module_utils.capacity_services import Service
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import run
from ansible_collections.wpward.wordpress.plugins.module_utils.php_fpm_config import Config
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import PROC, text_of
from ansible_collections.wpward.wordpress.plugins.module_utils.worker_memory import Sample

_NUMBERS = {
    "max_children": "pm.max_children",
    "start_servers": "pm.start_servers",
    "min_spare_servers": "pm.min_spare_servers",
    "max_spare_servers": "pm.max_spare_servers",
    "backlog": "listen.backlog",
    "rlimit_files": "rlimit_files",
}


def _version(binary: str, seconds: float) -> str | None:
    _code, stdout, _stderr = run([binary, "-v"], None, seconds)
    match = re.match(rb"PHP (\d+\.\d+[\w.+-]*)", stdout)
    return match.group(1).decode("ascii", "replace") if match else None


def _environment(pid: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for variable in (text_of(f"{PROC}/{pid}/environ") or "").split("\0"):
        name, _equals, value = variable.partition("=")
        found[name] = value
    return found


def _pool(config: Config, name: str, file: str, service: Service, memory: Sample) -> dict[str, Any]:
    workers = {one.pid for one in service.workers if one.pool == name}
    sizes = memory.of(workers)
    text = {
        key: (config.value(name, key) or "").replace("$pool", name) or None
        for key in ("user", "listen", "pm")
    }
    return {
        "name": name,
        "file": real_path(file),
        **text,
        **{key: config.number(name, entry) for key, entry in _NUMBERS.items()},
        "request_terminate_timeout": config.seconds(name, "request_terminate_timeout"),
        "memory_limit": config.size(name, "php_admin_value", "memory_limit"),
        "workers": len(workers),
        "pss_mean": sizes["pss_mean"],
        "pss_max": sizes["pss_max"],
        "private": sizes["private_mean"],
        "shared": sizes["shared_total"],
    }


def describe(
    service: Service, memory: Sample, seconds: float, problems: Problems
) -> dict[str, Any] | None:
    """One of the evidence's ``capacity.php_fpm``; None where its program or its configuration is
    not known. ``seconds``: for the one question to its program."""
    master = service.master
    if master.binary is None or master.config_path is None:
        problems.add(
            "php_fpm_unknown",
            f"The configuration of php-fpm (process {master.pid}) is not known; it was left out.",
        )
        return None
    config = php_fpm_config.load(master.config_path, _environment(master.pid))
    for problem in config.problems:
        where = f"{problem.file}:{problem.line}:" if problem.line else problem.file
        problems.add("php_fpm_config_unread", f"{where} {problem.message}.")
    return {
        "unit": master.unit,
        "version": _version(master.binary, seconds),
        "binary": master.binary,
        "config_path": master.config_path,
        "include_directory": php_fpm_config.drop_in_directory(config),
        "process_max": config.number(None, "process.max") or 0,
        "test": [master.binary, "-t", "-y", master.config_path],
        "pools": [
            _pool(config, name, file, service, memory) for name, file in config.pools.items()
        ],
    }
