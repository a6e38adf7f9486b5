# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to reach the virtual hosts of a site, from the host itself and from outside."""

from __future__ import annotations

from ipaddress import ip_address
from socket import getaddrinfo
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import is_literal

_WILDCARDS = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


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
