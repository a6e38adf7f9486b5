# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What fail2ban has to do on a host: which jails, where they ban, and whom they never touch."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ENDPOINTS,
    FAILED_LOGINS,
    REPEATED_BANS,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import OPEN, Ban
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import EDGES
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import RANGES
from ansible_collections.wpward.wordpress.plugins.module_utils.serving import (
    cannot_be_closed,
    endpoint_servers,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.access_jails import (
    FILTERS,
    access_jails,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.ban_settings import (
    AUTO,
    HTTP,
    PACKET,
    BanSettings,
    BanSettingsError,
    check_ban_settings,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import mapping
from ansible_collections.wpward.wordpress.plugins.plugin_utils.operator_jails import (
    has_recidive,
    operator_jail_notes,
)

Row = Mapping[str, Any]

SEARCH_ENGINES = ("googlebot", "bingbot", "applebot", "duckduckbot")
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_SSH_PORT = 22
# What iptables' multiport match takes at most.
_MOST_PORTS = 15
_EXEMPTION_SECONDS = 30 * 86400

APT = ("debian", "ubuntu", "raspbian", "linuxmint")
DNF = ("rhel", "centos", "almalinux", "rocky", "ol", "fedora", "amzn")


def bans_plan(evidence: Row, checked: Row, real_ip: Row, settings: Row) -> dict[str, Any]:
    """See the filter of that name."""
    plan: dict[str, Any] = {
        "active": False, "layer": "", "manager": None, "action": [], "jails": [], "ports": [],
        "ignore": [], "packages": [], "installer": "", "servers": [],
        "filters": dict.fromkeys(FILTERS, ""), "refusal": "", "notes": [],
    }  # fmt: skip
    try:
        wanted = check_ban_settings(settings)
    except BanSettingsError as error:
        return {**plan, "refusal": str(error)}
    if real_ip.get("refusal"):
        return {**plan, "refusal": real_ip["refusal"]}
    refused = cannot_be_closed(evidence)
    servers = [
        name
        for name, row in endpoint_servers(evidence).items()
        if row["serves"] and name not in refused
    ]
    rules = [one for one in ENDPOINTS if one.ban and checked["policy"][one.id] != OPEN]
    layer = _layer(wanted.layer, real_ip)
    if not layer:
        return {**plan, "refusal": _useless(real_ip["behind"])}

    logs = [wanted.deny_logs[name] for name in servers]
    jails = [_jail(f"wpward-{one.id}", f"wpward-deny[rule={one.id}]", one.ban, logs, one.id)
             for one in rules if one.ban and servers]  # fmt: skip
    unread: list[str] = []
    if refused and not servers:
        # What bans in the web server needs a place in its configuration, too.
        if layer == HTTP:
            return {**plan, "refusal": _NO_LOG}
        jails, filters, unread = access_jails(evidence, rules)
        plan["filters"].update(filters)
    if rules and not jails:
        return {**plan, "refusal": " ".join([_NO_LOG, *unread])}
    fail2ban = mapping(evidence.get("fail2ban"))
    notes = [*unread, *operator_jail_notes(evidence)]
    if wanted.login and any(site.get("mu_plugins_dir") for site in evidence.get("sites") or ()):
        jails.append(_jail("wpward-login", "wpward-login", FAILED_LOGINS, [], ""))
        jails.append({**_jail("wpward-editor", "wpward-editor", Ban(1, 600, ""), [], ""),
                      "seconds": _EXEMPTION_SECONDS})  # fmt: skip
        notes += _homeless(evidence)
    if jails:
        recidive, more = _recidive(fail2ban, wanted)
        jails += recidive
        notes += more
    ports, more = _ports(evidence)
    ignore, doubts = _ignore(evidence, checked["trusted"], real_ip, wanted)
    manager = mapping(evidence.get("firewall")).get("manager")
    plan.update(
        active=bool(jails), layer=layer, manager=manager, servers=servers, jails=jails, ports=ports,
        action=[*_action(layer, manager, ports), *wanted.extra_actions], ignore=ignore,
        notes=notes + more + doubts,
    )  # fmt: skip
    if jails:
        plan.update(_packages(evidence, fail2ban, layer, manager))
    return plan


_NO_LOG = (
    "No web server here is one that role endpoints closes, so there is no deny log to read, and "
    "nobody can be banned for what is refused; see what role endpoints says about this host."
)


def _useless(behind: str) -> str:
    return (
        f"wpward_bans_layer is packet, but clients come through a network in front ({behind}): the "
        "packet filter sees that network's servers only, so a ban would be without effect or cut "
        "off every visitor behind one of them; set it to auto or http."
    )


def _layer(wanted: str, real_ip: Row) -> str:
    """Empty where what is wanted makes no sense."""
    if wanted == AUTO:
        return HTTP if real_ip.get("behind") else PACKET
    return "" if wanted == PACKET and real_ip.get("behind") else wanted


def _jail(name: str, filter_: str, ban: Ban, logs: Sequence[str], rule: str) -> dict[str, Any]:
    return {
        "name": name,
        "filter": filter_,
        "rule": rule,
        "logs": list(logs),
        "max_refusals": ban.max_refusals,
        "find_seconds": ban.find_seconds,
        "seconds": None,
    }


def _recidive(fail2ban: Row, wanted: BanSettings) -> tuple[list[dict[str, Any]], list[str]]:
    log = fail2ban.get("log_target") or "/var/log/fail2ban.log"
    theirs = has_recidive(fail2ban)
    if theirs:
        return [], [f"Repeated bans are left to the jail {theirs} that is already here."]
    if not str(log).startswith("/"):
        return [], [f"fail2ban logs to {log} and not to a file, so repeated bans are not counted."]
    jail = _jail("wpward-recidive", "wpward-recidive", REPEATED_BANS, [log], "")
    return [{**jail, "seconds": wanted.max_seconds}], []


def _homeless(evidence: Row) -> list[str]:
    return [
        f"The must-use plugins directory of {site['id']} is not to be found, so failed logins "
        "there are not counted; define WPMU_PLUGIN_DIR as a plain string in its wp-config.php."
        for site in evidence.get("sites") or ()
        if not site.get("mu_plugins_dir")
    ]


def _ports(evidence: Row) -> tuple[list[int], list[str]]:
    """Numbers, since the packet filters' own names for ports need /etc/services."""
    found = {
        listen["port"]
        for vhost in evidence.get("vhosts") or ()
        for listen in vhost.get("listens") or ()
        if listen.get("port")
    } - {_SSH_PORT}
    ports = sorted(found, key=lambda port: (port not in (80, 443), port))
    if len(ports) <= _MOST_PORTS:
        return sorted(ports), []
    left = ", ".join(map(str, ports[_MOST_PORTS:]))
    return sorted(ports[:_MOST_PORTS]), [
        f"A packet filter's rule takes {_MOST_PORTS} ports, so bans do not reach the ports {left}."
    ]


def _action(layer: str, manager: str | None, ports: Sequence[int]) -> list[str]:
    """The action lines. The ports are quoted because fail2ban splits at the comma otherwise."""
    if layer == HTTP:
        return ["wpward-http"]
    numbers = ",".join(map(str, ports))
    return [
        {
            "iptables": f'iptables-multiport[port="{numbers}", protocol=tcp]',
            "firewalld": f'firewallcmd-rich-rules[port="{numbers}", protocol=tcp]',
            # Its own parameter for ports does not exist. It puts the rule before all others.
            "ufw": f'ufw[destination="any port {numbers} proto tcp"]',
            "csf": f'wpward-csf[port="{numbers}"]',
        }.get(manager or "", f'nftables[type=multiport, port="{numbers}", protocol=tcp]')
    ]


def _ignore(
    evidence: Row, trusted: Iterable[str], real_ip: Row, wanted: BanSettings
) -> tuple[list[str], list[str]]:
    """Whom no jail ever bans, merged, and notes about what cannot be meant."""
    host = mapping(evidence.get("host"))
    parties = (*EDGES, *SEARCH_ENGINES, *wanted.trusted_services)
    texts = [
        *_LOOPBACK,
        *(host.get("addresses") or ()),
        host.get("controller_address"),
        *(host.get("gateways") or ()),
        *trusted,
        *(real_ip.get("networks") or ()),
        *(network for party in parties for network in RANGES[party].split()),
    ]
    merged: dict[int, list[Any]] = {4: [], 6: []}
    notes = []
    for text in dict.fromkeys(filter(None, texts)):
        # An interface may stand behind a link-local gateway.
        network = ipaddress.ip_network(str(text).partition("%")[0], strict=False)
        if network.prefixlen == 0:
            notes.append(
                f"The web server believes {text}, which is everybody, what address a client has; "
                "whoever says so can get others banned. Name the proxies instead."
            )
            continue
        merged[network.version].append(network)
    return [
        str(one) for version in (4, 6) for one in ipaddress.collapse_addresses(merged[version])
    ], notes


def _packages(evidence: Row, fail2ban: Row, layer: str, manager: str | None) -> dict[str, Any]:
    missing = [] if fail2ban else ["fail2ban"]
    if not fail2ban.get("python_systemd"):
        missing.append("python3-systemd")
    firewall = mapping(evidence.get("firewall"))
    if layer == PACKET and not (manager or firewall.get("nft") or firewall.get("iptables")):
        missing.append("nftables")
    system = mapping(mapping(evidence.get("host")).get("os")).get("id") or ""
    installer = "apt" if system in APT else "dnf" if system in DNF else ""
    if missing and not installer:
        named = " and ".join(missing)
        return {
            "refusal": f"{named} must be installed, and how is not known for {system or 'this'} "
            "system; install it and run again."
        }
    return {"packages": missing, "installer": installer}
