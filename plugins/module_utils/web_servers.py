# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The web servers of this host, as they run, and the WordPress sites in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_discovery,
    nginx_server,
    wordpress_discovery,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.budget import Budget
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_discovery import HttpdServer
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import HttpdVhost
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_server import NginxServer
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import Vhost
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.server_fronts import Fronts
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

if TYPE_CHECKING:
    from ansible_collections.wpward.wordpress.plugins.module_utils.access_evidence import DenyLogs

_ROOTS = ("nginx", "httpd", "php-fpm")
"""Services whose master is root's. The database has an account of its own and is asked about
elsewhere."""


@dataclass
class WebServers:
    """What was found. None for a server that is not installed."""

    nginx: NginxServer | None = None
    httpd: HttpdServer | None = None
    sites: list[Site] = field(default_factory=list)

    @property
    def vhosts(self) -> list[Vhost | HttpdVhost]:
        """Those of a server that only lies there serve nobody while the other one runs."""
        nginx_runs = bool(self.nginx and self.nginx.described["running"])
        httpd_runs = bool(self.httpd and self.httpd.described["running"])
        found: list[Vhost | HttpdVhost] = []
        if self.nginx and (nginx_runs or not httpd_runs):
            found += self.nginx.vhosts
        if self.httpd and (httpd_runs or not nginx_runs):
            found += self.httpd.vhosts
        return found

    def fronts(self, addresses: Sequence[str]) -> Fronts | None:
        """None unless both servers run. ``addresses``: the host's own, beside loopback."""
        nginx, httpd = self.nginx, self.httpd
        if nginx is None or httpd is None:
            return None
        if not nginx.described["running"] or not httpd.described["running"]:
            return None
        return Fronts(nginx.config, nginx.vhosts, httpd.vhosts, addresses)

    def log_formats(self) -> dict[str, dict[str, str]]:
        return {
            "nginx": self.nginx.described["log_formats"] if self.nginx else {},
            "httpd": self.httpd.described["log_formats"] if self.httpd else {},
        }

    # First aid finds the servers too and reads no log: what reads logs is two fifths of all that
    # it would have to be sent and a starving host would have to compile.

    def error_logs(self, running: Sequence[Process]) -> dict[str, list[str]]:
        from ansible_collections.wpward.wordpress.plugins.module_utils import error_logs

        logs = error_logs.logs_of(running)
        for vhost in self.vhosts:
            logs[vhost.id.partition(":")[0]].extend(vhost.error_logs)
        return logs

    def deny_logs(self) -> DenyLogs:
        from ansible_collections.wpward.wordpress.plugins.module_utils import (
            access_evidence,
            deny_log,
        )

        return access_evidence.DenyLogs(
            deny_log.nginx_paths(self.nginx.config) if self.nginx else (),
            deny_log.httpd_paths(self.httpd.vhosts if self.httpd else ()),
        )

    def ports(self) -> list[int]:
        listens = [listen for vhost in self.vhosts for listen in vhost.listens]
        return sorted({listen.port for listen in listens if listen.unix is None})

    def describe(self) -> dict[str, Any]:
        """The evidence's ``nginx``, ``httpd``, ``vhosts`` and ``sites``."""
        return {
            "nginx": self.nginx.described if self.nginx else None,
            "httpd": self.httpd.described if self.httpd else None,
            "vhosts": [vhost.describe() for vhost in self.vhosts],
            "sites": [site.describe() for site in self.sites],
        }


def roots_only(running: Sequence[Process], problems: Problems) -> list[Process]:
    """Without servers that somebody else than root started.

    The probe runs a server's own program and reads the files that it names, as root. A user's
    process that only bears the name must not choose what that is.
    """
    kept: list[Process] = []
    for process in running:
        if process.role == "master" and process.service in _ROOTS and not process.is_roots:
            problems.add(
                "server_not_roots",
                f"Process {process.pid} runs as {process.service}, but root did not start it; it "
                "was left out.",
            )
        else:
            kept.append(process)
    return kept


def discover(
    running: Sequence[Process], addresses: Sequence[str], budget: Budget, problems: Problems
) -> WebServers:
    """Find them. ``running``: what `roots_only` leaves of the processes. ``addresses``: the host's
    own."""
    found = WebServers()
    with budget.part("nginx"):
        found.nginx = nginx_server.discover(running, problems)
    with budget.part("httpd"):
        found.httpd = httpd_discovery.discover(running, problems)
        if found.httpd and not found.httpd.described["running"]:
            version = found.httpd.described["version"]
            problems.add("httpd_not_running", f"httpd {version} is installed but not running.")
    if found.nginx is None and found.httpd is None:
        problems.add("web_server_not_found", "Neither nginx nor httpd was found on this host.")
    with budget.part("wordpress"):
        fronts = found.fronts(addresses)
        found.sites = wordpress_discovery.find_sites(
            found.vhosts, problems, fronts.of if fronts else None
        )
        if fronts:
            fronts.attribute(found.sites)
    if not found.sites:
        problems.add(
            "wordpress_not_found",
            f"No WordPress was found in the document roots of {len(found.vhosts)} virtual hosts.",
        )
    return found
