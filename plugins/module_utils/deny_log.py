# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log of what role endpoints refuses.

With nginx an attack goes on there that no access log shows. Both servers write the same lines.
"""

from __future__ import annotations

import re
import time
from typing import Any, Iterable, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import access_log, log_format
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.site_finder import SiteFinder
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import (
    OTHER,
    Classes,
    Identities,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import Log, VirtualHost

FORMAT = "wpward"
"""The name of its log_format in nginx. In httpd the nickname has the endpoint after it, since each
has its own LogFormat."""
_RULE_AND_NAME = log_format.compile_format("$msec $remote_addr $uri")
"""Where other formats have the path, this one has the rule and the server's name; a server
without a name leaves it empty."""
_REFUSED = "403"
_IDS = frozenset(endpoint.id.encode() for endpoint in ENDPOINTS)


def is_ours(log: Log) -> bool:
    """Whether a configured log is this one."""
    return re.match(FORMAT + r"(?:_[a-z_]+)?$", log.format) is not None


def httpd_paths(vhosts: Sequence[VirtualHost]) -> list[str]:
    """The files that httpd is configured to write it to."""
    logs = [log for vhost in vhosts for log in vhost.access_logs if is_ours(log)]
    return list(dict.fromkeys(log.path for log in logs))


def nginx_paths(config: Config) -> list[str]:
    """The files that nginx is configured to write it to."""

    def logs(directives: Iterable[Directive]) -> Iterator[str]:
        for one in directives:
            if one.name == "access_log" and one.args[1:2] == (FORMAT,):
                yield one.args[0]
            if one.block:
                yield from logs(config.expand(one.block))

    return list(dict.fromkeys(logs(config.expand(config.directives))))


def _as_refused(counts: dict[str, Any]) -> dict[str, Any]:
    """The log has no status, since it is always the same."""
    other = OTHER.decode()
    return {_REFUSED if status == other else status: count for status, count in counts.items()}


def collect(
    logs: Sequence[str],
    finder: SiteFinder,
    identities: Identities,
    since: int,
    deadline: float,
    problems: Problems,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows for the evidence's ``logs`` and ``access``. ``since``: seconds since the epoch.
    ``deadline``: ``time.monotonic()``."""

    def classify(rule_and_name: bytes, _host: bytes | None) -> Classes:
        rule, _space, name = rule_and_name.partition(b" ")
        return ((finder.site_of(b"/", name), rule.decode()),) if rule in _IDS else ()

    read: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, path in enumerate(logs):
        now = time.monotonic()
        share = now + max(deadline - now, 0) / (len(logs) - number)
        result = access_log.scan_log(
            path, _RULE_AND_NAME, classify, since, share, problems, identities=identities
        )
        sites = sorted({site for site, _endpoint in result.tallies if site})
        read.append({**result.describe(), "sites": sites, "format": FORMAT})
        for (site, endpoint), tally in sorted(
            result.tallies.items(), key=lambda item: (item[0][0] or "", item[0][1])
        ):
            row: dict[str, Any] = {"site": site, "log": path, "endpoint": endpoint}
            row.update(tally.describe())
            row["statuses"] = _as_refused(row["statuses"])
            row["timeline"]["counts"] = _as_refused(row["timeline"]["counts"])
            rows.append(row)
    return read, rows
