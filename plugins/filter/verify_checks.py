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

from ipaddress import ip_address, ip_network
from socket import getaddrinfo
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.wpward.wordpress.plugins.module_utils.http_matrix import checks_for_site
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    check_policy,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import is_literal

_WILDCARDS = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
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
) -> list[dict[str, Any]]:
    """See DOCUMENTATION. Raises AnsibleFilterError for a policy that makes no sense."""
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
                    checks[check["id"]] = check
    return list(checks.values())


def connections(
    evidence: dict[str, Any], site: dict[str, Any], address: str
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The virtual hosts of a site, and how to reach each: from outside by ``address``, or on the
    host itself."""
    found: dict[tuple[Any, ...], tuple[dict[str, Any], dict[str, Any]]] = {}
    for vhost in evidence["vhosts"]:
        if vhost["id"] in site["vhosts"]:
            for connect in vhost_connections(evidence, site, vhost, address):
                found[tuple(connect.values())] = (vhost, connect)
    return list(found.values())


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


def vhost_connections(
    evidence: dict[str, Any], site: dict[str, Any], vhost: dict[str, Any], address: str
) -> list[dict[str, Any]]:
    """How to reach one server block; [] where nobody can from there."""
    if vhost.get("fronted") and not address:
        return []
    found: dict[int, dict[str, Any]] = {}
    listens = [listen for listen in vhost["listens"] if "unix" not in listen]
    for listen in sorted(listens, key=lambda one: ":" in one["address"]):
        inside_or_outside = _outside if address else _inside
        target = inside_or_outside(listen, vhost, evidence, address)
        if target and listen["port"] not in found:
            found[listen["port"]] = {
                "address": target,
                "port": listen["port"],
                "tls": listen["tls"],
                "host": _host(evidence, vhost, site, listen),
                "proxy_protocol": bool(listen.get("proxy_protocol")),
            }
    paths = [listen["unix"] for listen in vhost["listens"] if "unix" in listen]
    if paths and not found and not address:
        host = _host(evidence, vhost, site, {"port": 80, "tls": False})
        return [{"address": f"unix:{paths[0]}", "port": 0, "tls": False, "host": host}]
    return list(found.values())


def _one_of_each_family(networks: list[str]) -> list[str]:
    first: dict[int, str] = {}
    for network in map(ip_network, networks):
        first.setdefault(network.version, str(network[0]))
    return list(first.values())


def _outside(
    listen: dict[str, Any], vhost: dict[str, Any], evidence: dict[str, Any], address: str
) -> str:
    """The address at which the controller meets this server block."""
    wanted = listen["address"]
    if _is_loopback(wanted):
        return ""
    own = evidence["host"].get("addresses", [])
    if wanted not in _WILDCARDS:
        # Behind address translation the host does not know the address it is reached by.
        return str(wanted) if wanted in own and set(_resolved(address)) & set(own) else address
    taken = _taken(listen, vhost, evidence)
    free = [
        one
        for one in own
        if (":" in one) == (":" in wanted) and not _is_local(one) and one not in taken
    ]
    if ":" in address and ":" not in wanted:
        return next(iter(free), address)
    if taken and set(_resolved(address)) & taken:
        return next(iter(free), "")
    # With ipv6only=off a socket for :: takes IPv4 as well.
    return address


def _taken(listen: dict[str, Any], vhost: dict[str, Any], evidence: dict[str, Any]) -> set[str]:
    """The addresses at which other server blocks are more specific than one of any address."""
    return {
        other["address"]
        for one in evidence["vhosts"]
        if one["id"] != vhost["id"]
        for other in one["listens"]
        if other.get("port") == listen["port"]
    }


def _resolved(address: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in getaddrinfo(address, None)]
    except OSError:
        return []


def _inside(
    listen: dict[str, Any], vhost: dict[str, Any], evidence: dict[str, Any], _address: str
) -> str:
    """An address of the host at which this server block is picked and no more specific one."""
    if listen["address"] not in _WILDCARDS:
        return str(listen["address"])
    loopback = _WILDCARDS[listen["address"]]
    taken = _taken(listen, vhost, evidence)
    own = [a for a in evidence["host"].get("addresses", []) if (":" in a) == (":" in loopback)]
    return next((a for a in [loopback, *own] if a not in taken), "")


def _is_local(address: str) -> bool:
    literal = ip_address(address)
    return literal.is_loopback or literal.is_link_local


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _host(
    evidence: dict[str, Any], vhost: dict[str, Any], site: dict[str, Any], listen: dict[str, Any]
) -> str:
    names = list(filter(is_literal, vhost["server_names"]))
    behind = [
        name
        for one in evidence["vhosts"]
        if one["id"] in vhost.get("fronts", []) and site["id"] in one["sites"]
        for name in filter(is_literal, one["server_names"])
    ]
    # A front may pass the names of several sites on; this one answers to its own behind it.
    names = [name for name in names if name in behind] or behind or names or _one_of_many(vhost)
    wanted = names[0] if names else str(site["id"]).partition("/")[0].partition(":")[0]
    usual = listen["port"] == (443 if listen["tls"] else 80)
    return wanted if usual else f"{wanted}:{listen['port']}"


def _one_of_many(vhost: dict[str, Any]) -> list[str]:
    """A name that a wildcard stands for."""
    wildcards = [name for name in vhost["server_names"] if name.startswith(("*.", "."))]
    return [f"www{name.lstrip('*')}" for name in wildcards]


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"verify_checks": verify_checks}
