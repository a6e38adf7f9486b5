# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which jails a host gets, where they ban, and whom they never touch."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.wpward.wordpress.plugins.filter.policy import policy
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS, XMLRPC
from ansible_collections.wpward.wordpress.plugins.plugin_utils.bans_plan import bans_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.operator_jails import (
    matches_refusal,
)

ROLE = Path(__file__).resolve().parents[2] / "roles/bans"
NGINX_LOG = "/var/log/nginx/wpward-deny.log"
HTTPD_LOG = "/var/log/apache2/wpward-deny.log"
SETTINGS: dict[str, Any] = {
    "seconds": 600,
    "max_seconds": 604800,
    "layer": "auto",
    "extra_actions": [],
    "trusted_services": ["jetpack"],
    "login": True,
    "deny_logs": {"nginx": NGINX_LOG, "httpd": HTTPD_LOG},
}
DIRECT: dict[str, Any] = {"behind": None, "networks": [], "refusal": ""}
CLOUDFRONT = {"behind": "cloudfront", "networks": ["198.51.100.0/24"], "refusal": ""}
FAIL2BAN: dict[str, Any] = {
    "version": "1.0.2",
    "log_target": "/var/log/fail2ban.log",
    "python_systemd": True,
    "jails": [],
}
OPEN = {endpoint.id: "open" for endpoint in ENDPOINTS}


def vhost(server: str = "nginx", ports: tuple[int, ...] = (80, 443), **more: Any) -> dict[str, Any]:
    listens = [{"address": "*", "port": port} for port in ports]
    logs = [{"path": f"/var/log/{server}/access.log", "format": "combined"}]
    return {
        "server": server,
        "sites": ["blog.example/"],
        "listens": listens,
        "access_logs": logs,
        **more,
    }


def evidence(**differences: Any) -> dict[str, Any]:
    return {
        "host": {
            "os": {"id": "debian"},
            "addresses": ["192.0.2.10", "2001:db8::10"],
            "controller_address": "203.0.113.1",
            "gateways": ["192.0.2.1", "fe80::1%eth0"],
        },
        "nginx": {"running": True, "config_test": {"ok": True}},
        "httpd": None,
        "vhosts": [vhost()],
        "sites": [{"id": "blog.example/", "mu_plugins_dir": "/var/www/mu"}],
        "firewall": {"manager": "nftables", "nft": True, "iptables": False},
        "fail2ban": FAIL2BAN,
        **differences,
    }


def plan(
    of: dict[str, Any] | None = None,
    real_ip: dict[str, Any] = DIRECT,
    wanted: dict[str, str] | None = None,
    trusted: tuple[str, ...] = (),
    **settings: Any,
) -> dict[str, Any]:
    checked = policy(wanted or {}, list(trusted))
    return bans_plan(of or evidence(), checked, real_ip, {**SETTINGS, **settings})


def names(of: dict[str, Any]) -> list[str]:
    return [jail["name"] for jail in of["jails"]]


def covered(address: str, networks: list[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in networks)


def test_a_jail_per_endpoint_that_is_closed_with_the_catalogues_thresholds() -> None:
    made = plan(wanted={"wlwmanifest": "open"})
    assert made["refusal"] == ""
    assert names(made) == [
        "wpward-xmlrpc",
        "wpward-author_by_id",
        "wpward-rest_users",
        "wpward-users_sitemap",
        "wpward-login",
        "wpward-editor",
        "wpward-recidive",
    ]
    assert XMLRPC.ban
    first = made["jails"][0]
    assert first["filter"] == "wpward-deny[rule=xmlrpc]"
    assert first["logs"] == [NGINX_LOG]
    assert (first["max_refusals"], first["find_seconds"]) == (3, 600)
    assert [jail["logs"] for jail in made["jails"][4:]] == [[], [], ["/var/log/fail2ban.log"]]
    assert made["jails"][-1]["seconds"] == 604800


def test_every_endpoint_says_when_and_why() -> None:
    for endpoint in ENDPOINTS:
        assert endpoint.ban, endpoint.id
        assert endpoint.ban.max_refusals >= 3
        assert endpoint.ban.why.endswith(".")


def test_both_servers_of_a_host_feed_the_same_jails() -> None:
    made = plan(evidence(httpd={"running": True}, vhosts=[vhost(), vhost("httpd", (8080,))]))
    assert made["jails"][0]["logs"] == [NGINX_LOG, HTTPD_LOG]
    assert made["ports"] == [80, 443, 8080]


@pytest.mark.parametrize(
    ("manager", "action"),
    [
        ("nftables", 'nftables[type=multiport, port="80,443", protocol=tcp]'),
        ("iptables", 'iptables-multiport[port="80,443", protocol=tcp]'),
        ("firewalld", 'firewallcmd-rich-rules[port="80,443", protocol=tcp]'),
        ("ufw", 'ufw[destination="any port 80,443 proto tcp"]'),
        ("csf", 'wpward-csf[port="80,443"]'),
        (None, 'nftables[type=multiport, port="80,443", protocol=tcp]'),
    ],
)
def test_the_packet_filter_that_is_there_bans(manager: str | None, action: str) -> None:
    of = evidence(firewall={"manager": manager, "nft": False, "iptables": False})
    made = plan(of, extra_actions=["cloudflare-token[cftoken=x]"])
    assert made["layer"] == "packet"
    assert made["action"] == [action, "cloudflare-token[cftoken=x]"]
    assert made["packages"] == ([] if manager else ["nftables"])


def test_behind_a_delivery_network_the_web_server_bans() -> None:
    made = plan(real_ip=CLOUDFRONT)
    assert (made["layer"], made["action"]) == ("http", ["wpward-http"])
    assert covered("198.51.100.7", made["ignore"])
    refused = plan(real_ip=CLOUDFRONT, layer="packet")
    assert "wpward_bans_layer is packet" in refused["refusal"]
    assert "cloudfront" in refused["refusal"]
    assert refused["jails"] == []
    # Nobody needs a packet filter for it.
    bare = evidence(firewall={"manager": None, "nft": False, "iptables": False})
    assert plan(bare, CLOUDFRONT)["packages"] == []


def test_ports_are_numbers_and_never_that_of_ssh() -> None:
    many = [vhost(ports=(22, 8443, 80)), vhost(sites=[], ports=(8081,))]
    assert plan(evidence(vhosts=many))["ports"] == [80, 8081, 8443]
    more = plan(evidence(vhosts=[vhost(ports=(*range(8000, 8020), 443))]))
    assert len(more["ports"]) == 15
    assert 443 in more["ports"]
    assert "bans do not reach the ports 8014, " in more["notes"][-1]
    unix = vhost(listens=[{"unix": "/run/x.sock"}, {"address": "*", "port": 80}])
    assert plan(evidence(vhosts=[unix]))["ports"] == [80]


def test_whom_nobody_bans() -> None:
    made = plan(trusted=("198.51.100.64/27",))
    for address in (
        "127.0.0.9",
        "::1",
        "192.0.2.10",
        "2001:db8::10",
        "203.0.113.1",
        "192.0.2.1",
        "fe80::1",
        "198.51.100.70",
        "192.0.80.5",  # Jetpack
        "66.249.66.1",  # Googlebot
        "104.16.0.1",  # Cloudflare
    ):
        assert covered(address, made["ignore"]), address
    assert not covered("198.51.100.7", made["ignore"])
    assert not covered("192.0.80.5", plan(trusted_services=[])["ignore"])
    networks = [ipaddress.ip_network(one) for one in made["ignore"]]
    v4 = [one for one in networks if one.version == 4]
    assert list(ipaddress.collapse_addresses(v4)) == v4


def test_a_web_server_that_believes_everybody_exempts_nobody() -> None:
    made = plan(real_ip={**CLOUDFRONT, "behind": "configured", "networks": ["0.0.0.0/0"]})
    assert not covered("198.51.100.7", made["ignore"])
    assert "The web server believes 0.0.0.0/0" in made["notes"][-1]


def test_missing_packages_and_how_to_get_them() -> None:
    made = plan(evidence(fail2ban=None))
    assert made["packages"] == ["fail2ban", "python3-systemd"]
    assert made["installer"] == "apt"
    assert plan(evidence(fail2ban={**FAIL2BAN, "python_systemd": False}))["packages"] == [
        "python3-systemd"
    ]
    rocky = evidence(fail2ban=None)
    rocky["host"]["os"]["id"] = "rocky"
    assert plan(rocky)["installer"] == "dnf"
    rocky["host"]["os"]["id"] = "plan9"
    assert "fail2ban and python3-systemd must be installed" in plan(rocky)["refusal"]


@pytest.mark.parametrize(
    ("differences", "sentence"),
    [
        ({"seconds": 0}, "wpward_bans_seconds is 0; give a number of seconds."),
        ({"seconds": "ten"}, "wpward_bans_seconds is 'ten'"),
        ({"max_seconds": 5}, "wpward_bans_max_seconds is 5, less than wpward_bans_seconds (600)"),
        ({"layer": "nft"}, "wpward_bans_layer is 'nft'; it must be one of: auto, packet, http."),
        ({"trusted_services": ["jetpak"]}, "wpward_trusted_services names 'jetpak'; known are:"),
        ({"deny_logs": {"nginx": "|sh"}}, "The deny log '|sh' must be an absolute path"),
        ({"extra_actions": ["a[t=secret]\n[sshd]"]}, "wpward_bans_extra_actions must be a list"),
    ],
)
def test_settings_that_make_no_sense(differences: dict[str, Any], sentence: str) -> None:
    refusal = plan(**differences)["refusal"]
    assert sentence in refusal
    assert "secret" not in refusal


def test_numbers_may_come_as_text() -> None:
    assert plan(seconds="600", max_seconds="604800")["refusal"] == ""


def test_nothing_to_read_and_nothing_to_do() -> None:
    assert (
        "No web server here is one that role endpoints closes"
        in plan(evidence(vhosts=[vhost(sites=[])]))["refusal"]
    )
    assert plan(real_ip={**DIRECT, "refusal": "The header is none."})["refusal"] == (
        "The header is none."
    )
    idle = plan(wanted=OPEN, login=False)
    assert (idle["active"], idle["jails"], idle["packages"]) == (False, [], [])
    assert names(plan(wanted=OPEN)) == ["wpward-login", "wpward-editor", "wpward-recidive"]
    homeless = evidence(sites=[{"id": "blog.example/", "mu_plugins_dir": None}])
    assert "wpward-login" not in names(plan(homeless))


def generated(**differences: Any) -> dict[str, Any]:
    """A host whose nginx files are a panel's, so that no deny log can be put into them."""
    nginx = {
        "running": True,
        "config_test": {"ok": True},
        "edit_refusal": "The panel writes these files.",
        "log_formats": {"named": '$remote_addr $host [$time_local] "$request" $status'},
    }
    log = "/var/log/nginx/access.log"
    logs = [{"path": log}, {"path": "/var/log/nginx/named.log"}]
    return evidence(nginx=nginx, logs=logs, **differences)


def test_where_there_can_be_no_deny_log_the_access_logs_are_read() -> None:
    named = {"path": "/var/log/nginx/named.log", "format": "named"}
    gone = {"path": "/var/log/nginx/gone.log", "format": "combined"}
    blog = vhost()
    blog["access_logs"] += [named, gone]
    made = plan(generated(vhosts=[blog, vhost(sites=[])]))
    access = [one for one in made["jails"] if one["name"].startswith("wpward-access")]
    assert [(one["name"], one["filter"], one["logs"], one["max_refusals"]) for one in access] == [
        ("wpward-access-1", "wpward-access-1", ["/var/log/nginx/access.log"], 3),
        ("wpward-access-2", "wpward-access-2", ["/var/log/nginx/named.log"], 3),
    ]
    assert "wpward-xmlrpc" not in names(made)
    assert "failregex" in made["filters"]["wpward-access-1"]
    assert made["filters"]["wpward-access-1"] != made["filters"]["wpward-access-2"]
    assert made["filters"]["wpward-access-3"] == ""
    assert set(plan()["filters"].values()) == {""}
    # Whoever may use XML-RPC is not banned for it.
    assert names(plan(generated(), wanted=OPEN))[0] == "wpward-login"


def test_an_access_log_that_cannot_be_read_safely_is_refused() -> None:
    text = '$host [$time_local] "$request" $status'
    blog = vhost(access_logs=[{"path": "/var/log/nginx/access.log", "format": text}])
    refusal = plan(generated(vhosts=[blog]))["refusal"]
    assert "No web server here is one" in refusal
    assert "No jail reads" in refusal
    assert "it does not hold the client's address" in refusal
    assert "No web server here is one" in plan(generated(), real_ip=CLOUDFRONT)["refusal"]


def jail(name: str, *expressions: str, logs: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"name": name, "backend": "auto", "logs": list(logs), "failregex": list(expressions)}


NAIVE = r'^<HOST> .*"(GET|POST) .*xmlrpc\.php'


def test_the_operators_own_jails() -> None:
    log = "/var/log/httpd/access.log"
    own = [
        jail("apache-xmlrpc", NAIVE, logs=(log,)),
        jail("elsewhere", NAIVE, logs=("/var/log/other.log",)),
        jail("apache-auth", r"^client <HOST>: denied", logs=(log,)),
        jail("recidive", r"Ban <HOST>", logs=("/var/log/fail2ban.log",)),
        jail("wpward-xmlrpc", r"^ <ADDR> xmlrpc", logs=(log,)),
    ]
    of = evidence(
        vhosts=[vhost("httpd")],
        httpd={"running": True},
        fail2ban={**FAIL2BAN, "jails": own},
    )
    made = plan(of)
    assert "wpward-recidive" not in names(made)
    assert [note for note in made["notes"] if "reads" in note] == [
        f"The jail apache-xmlrpc reads {log}, where httpd notes what wpward refuses, and bans for "
        "it by its own rules: trusted addresses and editors are not exempt there. Give it their "
        "addresses as ignoreip, or switch it off."
    ]
    assert any("left to the jail recidive" in note for note in made["notes"])
    # Its own log of refusals keeps nginx's access logs free of them.
    assert not any("reads" in note for note in plan({**of, "vhosts": [vhost()]})["notes"])


def test_bans_that_go_to_no_file_are_not_counted() -> None:
    made = plan(evidence(fail2ban={**FAIL2BAN, "log_target": "SYSLOG"}))
    assert "wpward-recidive" not in names(made)
    assert "fail2ban logs to SYSLOG" in made["notes"][-1]


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        (NAIVE, True),
        (r'^<ADDR> \S+ \S+ \[\] "[A-Z]+ [^"]*" 403 ', True),
        (r"^%s <HOST>$", False),
        (r'<F-USER>-</F-USER> \[\] "POST', True),
        (r"^<HOST> .* 404 ", False),
        (r"(unbalanced", False),
    ],
)
def test_which_expressions_take_a_refusal_for_a_failure(expression: str, matches: bool) -> None:
    assert matches_refusal(expression) is matches


def test_the_options_are_those_of_the_defaults() -> None:
    spec = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert {name: option["default"] for name, option in options.items() if "default" in option} == (
        defaults
    )
    assert {name for name, option in options.items() if option.get("required")} == (
        set(options) - set(defaults)
    )
