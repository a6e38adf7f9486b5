# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a plan is made from: one host's evidence, what the operator wants, and the lines drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    Finding,
    epoch,
    mapping,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_catalogue import BY_ID
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import Known


@dataclass(frozen=True)
class Case:
    """policy: the complete policy per endpoint. known: whom the host knows. limits: every
    threshold by its name."""

    evidence: Mapping[str, Any]
    policy: Mapping[str, str]
    known: Known
    limits: Mapping[str, float]

    def part(self, name: str) -> Sequence[Mapping[str, Any]]:
        """A list of the evidence; empty where the probe did not get to it."""
        return self.evidence.get(name) or ()

    def vhosts(self, site: str) -> list[Mapping[str, Any]]:
        """The virtual hosts that serve a site."""
        return [vhost for vhost in self.part("vhosts") if site in (vhost.get("sites") or ())]

    def over(self, until: float) -> bool:
        """Whether an attack that was last seen then (seconds since the epoch) is over."""
        now: str | None = self.evidence.get("collected_at")
        return now is not None and epoch(now) - until > self.limits["over_after"]

    def xmlrpc_ruled(self, site: str | None) -> bool:
        """Whether some rule in the web server's configuration is about the site's XML-RPC."""
        ours = mapping(self.evidence.get("httpd")).get("wpward")
        return site is not None and any(
            vhost.get("xmlrpc_rules")
            or vhost.get("wpward_include")
            or (ours and vhost.get("server") == "httpd")
            for vhost in self.vhosts(site)
        )


def make(
    identity: str,
    site: str | None,
    verdict: str,
    message: str,
    rests_on: Sequence[str],
    severity: str | None = None,
    title: str | None = None,
    calls: bool = True,
) -> Finding:
    """A finding with the catalogue's severity and title unless told otherwise."""
    kind = BY_ID[identity]
    return Finding(
        identity,
        severity or kind.severity,
        site,
        verdict,
        title or kind.title,
        message,
        tuple(rests_on),
        calls,
    )
