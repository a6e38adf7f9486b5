# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of a host are evidence: what its servers are configured by, and what they logged."""

from __future__ import annotations

import glob
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import log_rotation, php_fpm_config
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    names_in,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_window import rotated_names
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.web_servers import WebServers

_PATTERNS = (
    "/etc/fail2ban/*.conf",
    "/etc/fail2ban/*.local",
    "/etc/fail2ban/*.d/*.conf",
    "/etc/fail2ban/*.d/*.local",
    "/etc/my.cnf",
    "/etc/my.cnf.d/*.cnf",
    "/etc/mysql/*.cnf",
    "/etc/mysql/*.d/*.cnf",
    "/opt/bitnami/mariadb/conf/*.cnf",
    "/opt/bitnami/mysql/conf/*.cnf",
    "/etc/logrotate.d/*",
    "/opt/bitnami/config/logrotate.d/*",
)
_FPM = (
    "/etc/php/*/fpm/php-fpm.conf",
    "/etc/php-fpm.conf",
    "/etc/opt/remi/php*/php-fpm.conf",
    "/opt/bitnami/php/etc/php-fpm.conf",
)
_UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system")
_STOPPED_UNITS = ("nginx", "apache2", "httpd", "mariadb", "mysql", "fail2ban")
_MOST_FILES = 3000


@dataclass(frozen=True)
class LogFile:
    """``first``: whether the server writes to it now; else it was rotated away. ``error``: whether
    it is an error log, which is small and tells much."""

    path: str
    first: bool
    error: bool
    modified: float
    size: int


def _expanded(patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        # Path.glob would match hidden files, which no program reads there.
        yield from sorted(glob.glob(pattern))  # noqa: PTH207


def _fpm(running: Sequence[Process]) -> Iterator[str]:
    mains = [process.config_path for process in running if process.config_path]
    for main in dict.fromkeys([*mains, *_expanded(_FPM)]):
        yield main
        for include in php_fpm_config.load(main, {}).includes:
            yield from php_fpm_config.resolve_include(include.pattern)


def _units(running: Sequence[Process]) -> Iterator[str]:
    units = {process.unit for process in running if process.unit}
    units.update(f"{name}.service" for name in _STOPPED_UNITS)
    for directory in _UNITS:
        for unit in sorted(units):
            path = posixpath.join(directory, unit)
            if Path(path).is_file():
                yield path
            yield from (f"{path}.d/{name}" for name in names_in(f"{path}.d"))


def configuration(web: WebServers, running: Sequence[Process]) -> list[str]:
    """Paths of the configuration files, each once; not all of them need be there."""
    found: list[str] = []
    # The names by which the servers read them, so that a link which a user planted is seen.
    if web.nginx:
        found += web.nginx.config.files
    if web.httpd:
        found += web.httpd.config.files
    for site in web.sites:
        found.append(posixpath.join(site.path, ".htaccess"))
    found += [*_fpm(running), *_units(running), *log_rotation.ROOTS, *_expanded(_PATTERNS)]
    kept = [path for path in dict.fromkeys(found) if path.startswith("/")]
    return [path for path in kept if not is_directory(path)][:_MOST_FILES]


def log_paths(web: WebServers, running: Sequence[Process]) -> tuple[list[str], list[str]]:
    """The access logs and the error logs, as configured."""
    access = [log.path for vhost in web.vhosts for log in vhost.access_logs]
    deny = web.deny_logs()
    errors = [path for paths in web.error_logs(running).values() for path in paths]
    return (
        list(dict.fromkeys([*deny.nginx, *deny.httpd, *access])),
        list(dict.fromkeys(errors)),
    )


def log_files(path: str, error: bool, since: float) -> list[LogFile]:
    """The files of a log that were written to since then, the newest first."""
    found = []
    for name in (path, *rotated_names(path)):
        try:
            state = os.stat(name)  # noqa: PTH116
        except OSError:
            continue
        if state.st_mtime >= since or name == path:
            found.append(LogFile(name, name == path, error, state.st_mtime, state.st_size))
    return sorted(found, key=lambda one: (not one.first, -one.modified))
