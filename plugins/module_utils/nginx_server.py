# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The nginx of this host as a whole: what it is, what it was told, whom it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    nginx_config,
    nginx_discovery,
    nginx_stack,
    nginx_vhosts,
    real_ip_state,
    systemd_unit,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Config
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import (
    Build,
    ConfigTest,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process


@dataclass(frozen=True)
class NginxServer:
    """``described`` is the evidence's form."""

    build: Build
    config: Config
    vhosts: list[Vhost]
    described: dict[str, Any]


def _read_config(build: Build, binary: str, problems: Problems) -> tuple[Config, ConfigTest]:
    config = nginx_config.load(build.config_path)
    test = nginx_discovery.test_config(binary, build, config)
    if not test.ok:
        problems.add("nginx_config_invalid", f"nginx refuses its own configuration: {test.message}")
    for problem in config.problems:
        where = f"{problem.file}:{problem.line}:" if problem.line else problem.file
        problems.add("nginx_config_unread", f"{where} {problem.message}.")
    if test.files is not None:
        differing = sorted(set(test.files) ^ set(config.files))
        if differing:
            problems.add(
                "nginx_files_differ",
                "nginx -T and our own reading of its includes disagree about "
                f"{', '.join(differing)}.",
            )
    return config, test


def _control(binary: str, build: Build, master: Process | None) -> dict[str, list[str]]:
    argv = [binary, "-p", build.prefix, "-c", build.config_path]
    by_unit = systemd_unit.reload_command(master) if master else None
    return {"test": [*argv, "-t"], "reload": by_unit or [*argv, "-s", "reload"]}


def _report_masters(masters: Sequence[Process], version: str, problems: Problems) -> None:
    if not masters:
        problems.add("nginx_not_running", f"nginx {version} is installed but not running.")
    if len(masters) > 1:
        problems.add(
            "nginx_several",
            f"{len(masters)} nginx masters are running; only the oldest (process {masters[0].pid}) "
            "was looked at.",
        )


def discover(running: Sequence[Process], problems: Problems) -> NginxServer | None:
    """None where there is none. ``running``: what processes.running() found."""
    binary = nginx_discovery.find_binary(running)
    if binary is None:
        return None
    masters = [one for one in running if one.service == "nginx" and one.role == "master"]
    master = masters[0] if masters else None
    build = nginx_discovery.read_build(binary, master)
    if build is None:
        problems.add("nginx_unusable", f"{binary} does not answer to -V, so it was left out.")
        return None
    _report_masters(masters, build.version, problems)
    config, test = _read_config(build, binary, problems)
    directory = nginx_discovery.http_include_directory(config)
    stack = nginx_stack.recognise(config)
    described = {
        "version": build.version,
        "binary": binary,
        "config_path": build.config_path,
        "prefix": build.prefix,
        "running": master is not None,
        "unit": master.unit if master else None,
        "control": _control(binary, build, master),
        "config_test": {"ok": test.ok, "message": test.message},
        "config_newer_than_workers": nginx_discovery.newer_than_workers(config, running),
        "http_include_directory": directory,
        "http_include_file": nginx_discovery.http_include_file(config, directory),
        "stack": stack,
        "edit_refusal": nginx_stack.edit_refusal(config, stack),
        "log_formats": nginx_discovery.log_formats(config),
        "real_ip": real_ip_state.nginx(config, build.real_ip),
        "files": {
            real_path(path): {"sha256": parsed.sha256} for path, parsed in config.files.items()
        },
    }
    vhosts = nginx_vhosts.find_vhosts(config, build, problems)
    return NginxServer(build, config, vhosts, described)
