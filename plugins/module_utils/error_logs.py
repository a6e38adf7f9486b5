# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence's ``errors``: what nginx, httpd, php-fpm and the kernel said about being overrun."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    error_kinds,
    journal_reader,
    kernel_log,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.error_reader import read_log
from ansible_collections.wpward.wordpress.plugins.module_utils.error_tally import ErrorTally
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    read_regular,
    real_path,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process, link_of

ROOT = "/"
PROC = "/proc"
_FPM_CONFIGURATIONS = (
    "etc/php/*/fpm/php-fpm.conf",
    "etc/php-fpm.conf",
    "etc/opt/remi/php*/php-fpm.conf",
    "opt/bitnami/php/etc/php-fpm.conf",
)
_FPM_ERROR_LOG = re.compile(r"^[ \t]*error_log[ \t]*=[ \t]*\"?([^\"\r\n;]*)", re.MULTILINE)
SYSLOG = "syslog"


def fpm_error_logs(processes: Sequence[Process]) -> list[str]:
    """Where php-fpm writes its own messages, by the configurations of the masters that run and by
    those in the usual places: paths, and ``syslog``."""
    paths = [process.config_path for process in processes if process.config_path]
    for pattern in _FPM_CONFIGURATIONS:
        paths.extend(str(path) for path in sorted(Path(ROOT).glob(pattern)))
    found: list[str] = []
    for path in paths:
        try:
            text = read_regular(path, 1 << 20).decode("utf-8", "surrogateescape")
        except OSError:
            continue
        for value in _FPM_ERROR_LOG.findall(text):
            log = value.strip()
            if (log == SYSLOG or log.startswith("/")) and log not in found:
                found.append(log)
    return found


def logs_of(processes: Sequence[Process]) -> dict[str, list[str]]:
    """The logs that the servers themselves write to, by service; ready for collect().

    nginx, httpd and php-fpm make their main error log their standard error, also when they open it
    anew after a rotation (seen with nginx 1.22, httpd 2.4, php-fpm 8.2). What concerns the server
    as a whole stands there and not in the logs of the virtual hosts: too few workers or
    connections, for one.
    """
    logs: dict[str, list[str]] = {"nginx": [], "httpd": [], "php-fpm": fpm_error_logs(processes)}
    for process in processes:
        if process.role == "master" and process.service in logs:
            path = link_of(f"{PROC}/{process.pid}/fd/2") or ""
            if path.startswith("/") and not path.startswith("/dev/"):
                logs[process.service].append(path)
    return {service: list(dict.fromkeys(paths)) for service, paths in logs.items()}


def _distinct(logs: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """(service, path), each file once."""
    seen: dict[str, tuple[str, str]] = {}
    for service, paths in logs.items():
        for path in paths:
            seen.setdefault(real_path(path) if path.startswith("/") else path, (service, path))
    return list(seen.values())


def _read_syslog(since: float, deadline: float, problems: Problems) -> list[dict[str, object]]:
    tally = ErrorTally("journal", [error_kinds.FPM_SYSLOG], since)
    reason = journal_reader.read(
        ["SYSLOG_IDENTIFIER=php-fpm"], since, None, deadline, tally.add_message
    )
    if reason is not None:
        problems.add(
            "errors_incomplete",
            f"php-fpm writes to the journal, which could not be read to its end: {reason}.",
        )
    return tally.describe()


def _read_file(
    service: str, path: str, since: float, deadline: float, problems: Problems
) -> list[dict[str, object]]:
    if not path.startswith("/"):
        problems.add(
            "error_log_unread", f"The error log {path} is not a plain file; it is not read."
        )
        return []
    kinds = [kind for kind in error_kinds.KINDS if kind.service == service]
    tally = ErrorTally(path, kinds, since)
    read_log(path, tally, error_kinds.STAMPS[service], since, deadline, problems)
    return tally.describe()


def collect(
    logs: Mapping[str, Sequence[str]], since: float, deadline: float, problems: Problems
) -> list[dict[str, object]]:
    """Read every log's part since then, and the kernel's.

    ``logs``: paths of the error logs by ``nginx``, ``httpd`` and ``php-fpm``; for php-fpm also
    ``syslog``. See logs_of(). ``since``: seconds since the epoch. ``deadline``:
    ``time.monotonic()``; each log gets an equal share of what is left and is read from its end, and
    ``problems`` names those that did not fit.
    """
    wanted = _distinct(logs)
    rows: list[dict[str, object]] = []
    for number, (service, path) in enumerate(wanted):
        now = time.monotonic()
        # One more share is the kernel's.
        share = now + max(deadline - now, 0) / (len(wanted) - number + 1)
        if service == "php-fpm" and path == SYSLOG:
            rows.extend(_read_syslog(since, share, problems))
        else:
            rows.extend(_read_file(service, path, since, share, problems))
    return rows + kernel_log.collect(since, deadline, problems)
