# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence document: everything the probe reads, put together as plain JSON.

It holds no configuration text beyond the lines that mention xmlrpc, and no value of a
wp-config.php beyond directories.
"""

from __future__ import annotations

import time
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    access_log,
    host_facts,
    nginx_config,
    nginx_discovery,
    nginx_vhosts,
    processes,
    wordpress_discovery,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import (
    COMBINED,
    LineFormat,
    UnusableFormat,
    compile_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.site_finder import SiteFinder
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

SCHEMA = 1


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


def _logs(vhosts: Sequence[Vhost]) -> dict[tuple[str, str], list[Vhost]]:
    """(path, format name) -> the server blocks that write it, one entry per real file."""
    logs: dict[tuple[str, str], list[Vhost]] = {}
    seen: dict[str, tuple[str, str]] = {}
    for vhost in vhosts:
        for log in vhost.access_logs:
            key = seen.setdefault(real_path(log.path), (log.path, log.format))
            writers = logs.setdefault(key, [])
            if vhost not in writers:
                writers.append(vhost)
    return logs


def _line_format(
    path: str, name: str, formats: dict[str, str], problems: Problems
) -> LineFormat | None:
    if path.startswith("syslog:") or "$" in path:
        problems.add("log_not_a_file", f"The log {path} is not a plain file; it is not read.")
        return None
    text = COMBINED if name == "combined" else formats.get(name)
    if text is None:
        problems.add("log_format_unusable", f"{path} is not read: there is no log_format {name}.")
        return None
    try:
        line_format = compile_format(text)
    except UnusableFormat as error:
        problems.add("log_format_unusable", f"{path} is not read: {error} (log_format {name}).")
        return None
    if line_format.forgeable:
        problems.add(
            "log_forgeable",
            f"{path} is written with escape=none, so that a client can forge its lines; do not "
            "rely on its counts.",
        )
    return line_format


def _access(
    vhosts: Sequence[Vhost],
    sites: Sequence[Site],
    formats: dict[str, str],
    since: int,
    deadline: float,
    problems: Problems,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    logs = _logs(vhosts)
    for number, ((path, name), writers) in enumerate(logs.items()):
        line_format = _line_format(path, name, formats, problems)
        if line_format is None:
            continue
        ids = {site for vhost in writers for site in vhost.sites}
        finder = SiteFinder([site for site in sites if site.id in ids], vhosts)
        now = time.monotonic()
        share = now + max(deadline - now, 0) / (len(logs) - number)
        result = access_log.scan_log(path, line_format, finder.classify, since, share, problems)
        for (site, endpoint), tally in sorted(
            result.tallies.items(), key=lambda item: (item[0][0] or "", item[0][1])
        ):
            rows.append({"site": site, "log": path, "endpoint": endpoint, **tally.describe()})
    return rows


def _read_config(
    build: nginx_discovery.Build, binary: str, problems: Problems
) -> tuple[nginx_config.Config, nginx_discovery.ConfigTest]:
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


def _nginx(
    running: Sequence[Process], problems: Problems
) -> tuple[dict[str, Any] | None, list[Vhost]]:
    binary = nginx_discovery.find_binary(running)
    if binary is None:
        problems.add("nginx_not_found", "No nginx was found on this host.")
        return None, []
    masters = [one for one in running if one.service == "nginx" and one.role == "master"]
    master = masters[0] if masters else None
    build = nginx_discovery.read_build(binary, master)
    if build is None:
        problems.add("nginx_not_found", f"{binary} does not answer to -V, so it was left out.")
        return None, []
    if master is None:
        problems.add("nginx_not_running", f"nginx {build.version} is installed but not running.")
    if len(masters) > 1:
        problems.add(
            "nginx_several",
            f"{len(masters)} nginx masters are running; only the oldest (process {masters[0].pid}) "
            "was looked at.",
        )
    config, test = _read_config(build, binary, problems)
    vhosts = nginx_vhosts.find_vhosts(config, build, problems)
    directory = nginx_discovery.http_include_directory(config)
    described = {
        "version": build.version,
        "binary": binary,
        "config_path": build.config_path,
        "prefix": build.prefix,
        "running": master is not None,
        "unit": master.unit if master else None,
        "config_test": {"ok": test.ok, "message": test.message},
        "config_newer_than_workers": nginx_discovery.newer_than_workers(config, running),
        "http_include_directory": directory,
        "http_include_file": nginx_discovery.http_include_file(config, directory),
        "log_formats": nginx_discovery.log_formats(config),
        "files": {
            real_path(path): {"sha256": parsed.sha256} for path, parsed in config.files.items()
        },
    }
    return described, vhosts


def collect(since: int, time_budget: float) -> dict[str, Any]:
    """Read the host.

    ``since``: seconds since the epoch, the beginning of the logs' window. ``time_budget``: seconds
    for the logs; what does not fit is left out and named in ``problems``.
    """
    began = time.time()
    started = time.monotonic()
    problems = Problems()
    host = host_facts.describe()
    if host["init"] != "systemd":
        problems.add(
            "systemd_missing",
            f"Process 1 is {host['init']}, not systemd: no remedy can be applied here, because a "
            "change that nobody confirms could not put itself back.",
        )
    running = processes.running()
    nginx, vhosts = _nginx(running, problems)
    sites = wordpress_discovery.find_sites(vhosts, problems)
    if not sites:
        problems.add(
            "wordpress_not_found",
            f"No WordPress was found in the document roots of {len(vhosts)} server blocks.",
        )
    formats = nginx["log_formats"] if nginx else {}
    access = _access(vhosts, sites, formats, since, time.monotonic() + time_budget, problems)
    document = {
        "schema": SCHEMA,
        "collected_at": access_log.iso(int(began)),
        "since": access_log.iso(since),
        "duration_seconds": round(time.monotonic() - started, 3),
        "host": host,
        "nginx": nginx,
        "vhosts": [vhost.describe() for vhost in vhosts],
        "sites": [site.describe() for site in sites],
        "processes": list(processes.describe(running)),
        "access": access,
    }
    strange: set[str] = set()
    printable: dict[str, Any] = _printable(document, strange)
    for text in sorted(strange):
        problems.add("name_not_utf8", f"{text} is not UTF-8; what lies there cannot be changed.")
    printable["problems"] = _printable(problems.describe(), strange)
    return printable
