# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the access logs of all virtual hosts say, site by site."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    access_log,
    claims,
    deny_log,
    httpd_log_format,
    known_networks,
    log_format,
    log_repeats,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import HttpdVhost
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    LineFormat,
    UnusableFormat,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.site_finder import SiteFinder
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import Identities
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

IDENTITIES = Identities(
    party_of=known_networks.party_of,
    claim_of=claims.claim_of,
    kind_of=claims.KIND,
    party_of_claim=known_networks.party_of_claim,
)
LOOK_BACK = 7 * 24 * 3600
"""Seconds before the window in which the beginning of a running attack is looked for."""


@dataclass
class _Log:
    path: str
    server: str
    format: str
    writers: list[VirtualHost] = field(default_factory=list)

    @property
    def sites(self) -> set[str]:
        return {site for vhost in self.writers for site in vhost.sites}

    @property
    def is_inner(self) -> bool:
        """Whether it is written behind another server of this host only."""
        return all(isinstance(one, HttpdVhost) and one.fronted for one in self.writers)


def _logs(vhosts: Sequence[VirtualHost]) -> list[_Log]:
    """One entry per real file; the format is that of the first that writes it."""
    logs: dict[str, _Log] = {}
    for vhost in vhosts:
        server = vhost.id.partition(":")[0]
        for written in vhost.access_logs:
            if deny_log.is_ours(written):
                continue
            log = logs.setdefault(
                real_path(written.path), _Log(written.path, server, written.format)
            )
            if vhost not in log.writers:
                log.writers.append(vhost)
    return list(logs.values())


def _format_text(log: _Log, formats: Mapping[str, str]) -> str | None:
    """None for a name that the server does not know either."""
    if log.server == "httpd":
        # httpd takes the text of a format in place of its nickname.
        return formats.get(log.format, log.format)
    return log_format.COMBINED if log.format == "combined" else formats.get(log.format)


def _line_format(log: _Log, formats: Mapping[str, str], problems: Problems) -> LineFormat | None:
    if log.path.startswith("syslog:") or "$" in log.path:
        problems.add("log_not_a_file", f"The log {log.path} is not a plain file; it is not read.")
        return None
    text = _format_text(log, formats)
    if text is None:
        problems.add(
            "log_format_unusable", f"{log.path} is not read: there is no log_format {log.format}."
        )
        return None
    try:
        if log.server == "httpd":
            line_format = httpd_log_format.compile_format(text)
        else:
            line_format = log_format.compile_format(text)
    except UnusableFormat as error:
        problems.add(
            "log_format_unusable", f"{log.path} is not read: {error} (log format {log.format})."
        )
        return None
    if line_format.forgeable:
        problems.add(
            "log_forgeable",
            f"{log.path} has a log format in which a client can forge lines ({log.format}); do not "
            "rely on its counts.",
        )
    return line_format


@dataclass(frozen=True)
class DenyLogs:
    """What deny_log found in the configurations."""

    nginx: Sequence[str] = ()
    httpd: Sequence[str] = ()


class _Collector:
    """Reads log after log; each has an equal share of the time that is left."""

    def __init__(
        self,
        vhosts: Sequence[VirtualHost],
        sites: Sequence[Site],
        since: int,
        deadline: float,
        problems: Problems,
    ) -> None:
        self._vhosts = vhosts
        self._sites = sites
        self._since = since
        self._deadline = deadline
        self._problems = problems
        self.read: list[dict[str, Any]] = []

    def _share(self, parts: int) -> float:
        now = time.monotonic()
        return now + max(self._deadline - now, 0) / parts

    def denied(self, logs: Sequence[str]) -> list[dict[str, Any]]:
        everywhere = SiteFinder(self._sites, self._vhosts)
        read, rows = deny_log.collect(
            logs, everywhere, IDENTITIES, self._since, self._share(4), self._problems
        )
        self.read += read
        return rows

    def accessed(
        self, logs: Sequence[_Log], formats: Mapping[str, Mapping[str, str]]
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for number, log in enumerate(logs):
            line_format = _line_format(log, formats.get(log.server, {}), self._problems)
            if line_format is None:
                continue
            finder = SiteFinder(
                [site for site in self._sites if site.id in log.sites], self._vhosts
            )
            result = access_log.scan_log(
                log.path,
                line_format,
                finder.classify,
                self._since,
                self._share(len(logs) - number),
                self._problems,
                identities=IDENTITIES,
                earliest=self._since - LOOK_BACK,
            )
            self.read.append(
                {**result.describe(), "sites": sorted(log.sites), "format": log.format}
            )
            for (site, endpoint), tally in sorted(
                result.tallies.items(), key=lambda item: (item[0][0] or "", item[0][1])
            ):
                rows.append(
                    {"site": site, "log": log.path, "endpoint": endpoint, **tally.describe()}
                )
        return rows


def collect(
    vhosts: Sequence[VirtualHost],
    sites: Sequence[Site],
    formats: Mapping[str, Mapping[str, str]],
    deny_logs: DenyLogs,
    since: int,
    deadline: float,
    problems: Problems,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The evidence's ``logs`` and ``access``. What stands in two logs is counted once.

    ``formats``: by server, texts of the configured log formats by their names. ``since``: seconds
    since the epoch. ``deadline``: ``time.monotonic()``.
    """
    collector = _Collector(vhosts, sites, since, deadline, problems)
    logs = _logs(vhosts)
    nginx_refused = collector.denied(deny_logs.nginx)
    # Before the access logs, so that these do not count less of what goes on meanwhile.
    httpd_refused = collector.denied(deny_logs.httpd)
    rows = collector.accessed(logs, formats)
    of_httpd = {log.path for log in logs if log.server == "httpd"}
    behind = {log.path for log in logs if log.is_inner}
    repeats = [
        *log_repeats.refusals(httpd_refused, [row for row in rows if row["log"] in of_httpd]),
        *log_repeats.requests(
            [row for row in rows if row["log"] in behind],
            nginx_refused + [row for row in rows if row["log"] not in behind],
        ),
    ]
    for log in collector.read:
        log["repeats"] = any(row["log"] == log["path"] for row in repeats)
    left_out = set(map(id, repeats))
    everything = nginx_refused + httpd_refused + rows
    return collector.read, [row for row in everything if id(row) not in left_out]
