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
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
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


def _logs(vhosts: Sequence[VirtualHost]) -> list[_Log]:
    """One entry per real file; the format is that of the first that writes it."""
    logs: dict[str, _Log] = {}
    for vhost in vhosts:
        server = vhost.id.partition(":")[0]
        for written in vhost.access_logs:
            if server == "nginx" and written.format == deny_log.FORMAT:
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


def collect(
    vhosts: Sequence[VirtualHost],
    sites: Sequence[Site],
    formats: Mapping[str, Mapping[str, str]],
    deny_logs: Sequence[str],
    since: int,
    deadline: float,
    problems: Problems,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The evidence's ``logs`` and ``access``.

    ``formats``: by server, texts of the configured log formats by their names. ``deny_logs``: what
    deny_log.paths() found. ``since``: seconds since the epoch. ``deadline``: ``time.monotonic()``;
    each log has an equal share of what is left.
    """
    everywhere = SiteFinder(sites, vhosts)
    now = time.monotonic()
    share = now + max(deadline - now, 0) / 4
    read, rows = deny_log.collect(deny_logs, everywhere, IDENTITIES, since, share, problems)
    logs = _logs(vhosts)
    for number, log in enumerate(logs):
        line_format = _line_format(log, formats.get(log.server, {}), problems)
        if line_format is None:
            continue
        finder = SiteFinder([site for site in sites if site.id in log.sites], vhosts)
        now = time.monotonic()
        share = now + max(deadline - now, 0) / (len(logs) - number)
        result = access_log.scan_log(
            log.path,
            line_format,
            finder.classify,
            since,
            share,
            problems,
            identities=IDENTITIES,
            earliest=since - LOOK_BACK,
        )
        read.append({**result.describe(), "sites": sorted(log.sites), "format": log.format})
        for (site, endpoint), tally in sorted(
            result.tallies.items(), key=lambda item: (item[0][0] or "", item[0][1])
        ):
            rows.append({"site": site, "log": log.path, "endpoint": endpoint, **tally.describe()})
    return read, rows
