# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turn a host's evidence into the HTTP checks that one vantage can make."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verify_checks
version_added: 0.1.0
author: The wpward maintainers
short_description: Turn a host's evidence into HTTP checks
description:
  - For each WordPress site and each address its virtual hosts listen on, the requests that must be
    refused and those that must work, in the form that M(wpward.wordpress.http_checks) takes.
  - A server block of nginx or a virtual host of httpd is asked once per port, over IPv4 where it
    listens there, and over a socket file where it has no port.
  - A virtual host behind an nginx of the same host is asked from outside only. On the host itself
    httpd would see nginx's address, which it leaves to nginx to judge.
  - The sites of a WordPress network are not known one by one. The refusals are asked for a made-up
    one as well, by path or by name.
positional: _input, policy
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  policy:
    description: Policy per endpoint, merged over the catalogue's defaults.
    type: dict
    required: true
  trusted:
    description: Networks (CIDR) for which endpoints under policy V(trusted) stay open.
    type: list
    elements: str
    default: []
  vantage:
    description: Where the checks are made.
    type: str
    choices: [controller, host]
    required: true
  address:
    description: Address by which the controller reaches the host.
    type: str
    default: ''
  logins:
    description: Login names that exist, which no answer may reveal.
    type: list
    elements: str
    default: []
  guard:
    description: Whether the guard plugin is expected to be there.
    type: bool
    default: true
  only_work:
    description: Whether to leave out everything but the requests that must keep working.
    type: bool
    default: false
  first_aid:
    description:
      - Whether first aid is in force, which refuses XML-RPC with 401, or with 404 where the file is
        taken away.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Describe the pages, as the host itself sees them
  wpward.wordpress.http_checks:
    checks: >-
      {{ probe_evidence | wpward.wordpress.verify_checks({}, vantage='host', only_work=true) }}
    record: true
"""

RETURN = r"""
_value:
  description: The checks.
  type: list
  elements: dict
"""

from ipaddress import ip_network
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.wpward.wordpress.plugins.module_utils.http_connections import connections
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    check_policy,
)

_SUB_SITE = "wpward-sub-site"


def verify_checks(
    evidence: dict[str, Any],
    policy: dict[str, str],
    trusted: list[str] | None = None,
    vantage: str = "host",
    address: str = "",
    logins: list[str] | None = None,
    guard: bool = True,
    only_work: bool = False,
    first_aid: bool = False,
) -> list[dict[str, Any]]:
    """See DOCUMENTATION. Raises AnsibleFilterError for a policy that makes no sense."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.module_utils.containment import (
        while_it_holds,
    )
    from ansible_collections.wpward.wordpress.plugins.module_utils.http_matrix import (
        checks_for_site,
    )

    if vantage not in ("controller", "host"):
        raise AnsibleFilterError(f"vantage is '{vantage}'; it must be controller or host.")
    try:
        complete, networks = check_policy(policy, trusted or [])
    except PolicyError as error:
        raise AnsibleFilterError(str(error)) from None
    # On the host itself a reverse proxy may rightly be believed; a stranger comes from outside.
    forged = _one_of_each_family(networks) if vantage == "controller" else []
    checks: dict[str, dict[str, Any]] = {}
    for site in evidence["sites"]:
        for vhost, connect in connections(
            evidence, site, address if vantage == "controller" else ""
        ):
            made = checks_for_site(site, connect, complete, logins or [], guard, forged=forged)
            for sub_site, sub_connect in _sub_sites(site, vhost, connect):
                asked = checks_for_site(sub_site, sub_connect, complete, logins or [], guard=False)
                made += [check for check in asked if check["kind"] == "refuse"]
            for check in made:
                if check["kind"] == "work" or not only_work:
                    checks[check["id"]] = while_it_holds(check) if first_aid else check
    return list(checks.values())


def _sub_sites(
    site: dict[str, Any], vhost: dict[str, Any], connect: dict[str, Any]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """A site of a WordPress network that does not exist: its path or its name leads to the same
    programs."""
    if site.get("multisite") == "subdirectory":
        return [({**site, "url_path": f"{site['url_path']}{_SUB_SITE}/"}, connect)]
    if site.get("multisite") == "subdomain":
        port = connect["host"].partition(":")[1:]
        parents = [name[2:] for name in vhost["server_names"] if name.startswith("*.")]
        return [
            (site, {**connect, "host": "".join((f"{_SUB_SITE}.{parent}", *port))})
            for parent in parents[:1]
        ]
    return []


def _one_of_each_family(networks: list[str]) -> list[str]:
    first: dict[int, str] = {}
    for network in map(ip_network, networks):
        first.setdefault(network.version, str(network[0]))
    return list(first.values())


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"verify_checks": verify_checks}
