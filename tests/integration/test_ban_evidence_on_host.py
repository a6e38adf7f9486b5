# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What bans need to know of a host, by the probe on a real one with Debian's fail2ban."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from testbed import hosts, podman

from .conftest import MakeHost, Playbook

INSTALL = """
apt-get update -qq
apt-get install -y --no-install-recommends fail2ban python3-systemd
"""
PROXY = """set_real_ip_from 192.0.2.0/24;
set_real_ip_from 2001:db8::/32;
real_ip_header X-Forwarded-For;
real_ip_recursive on;
"""
# Numbers, because Debian's images have no /etc/services: fail2ban would only seem to ban.
REPAIRED = """[DEFAULT]
banaction = nftables
[sshd]
backend = systemd
[nginx-http-auth]
enabled = true
port = 80,443
"""
STATE = r"""
find /etc /var/lib/fail2ban /run/fail2ban /usr/lib/python3 -printf '%p %s %T@\n' | sort
nft list ruleset
"""
BAN = """
systemctl restart fail2ban
n=0; until fail2ban-client ping || [ $n -gt 50 ]; do n=$((n+1)); sleep 0.1; done
fail2ban-client set nginx-http-auth banip 203.0.113.7
n=0; until nft list ruleset | grep 203.0.113.7 || [ $n -gt 50 ]; do n=$((n+1)); sleep 0.1; done
"""


def inside(host: hosts.Host, script: str) -> str:
    output: str = podman.execute(host.container, ["sh", "-ec", script])
    return output


def write(host: hosts.Host, path: str, text: str) -> None:
    podman.execute(host.container, ["sh", "-c", f"cat > {path}"], stdin=text)


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    host = make_host("ban-evidence")
    inside(host, INSTALL)
    return host


def probe(playbook: Playbook, host: hosts.Host) -> Any:
    run = playbook(host, "probe").proven()
    assert run.changed(host.name) == 0
    (report,) = run.reports.values()
    assert report["evidence"]["problems"] == []
    return report["evidence"]


def test_as_debian_installs_it(host: hosts.Host, playbook: Playbook) -> None:
    write(host, "/etc/nginx/conf.d/proxy.conf", PROXY)
    inside(host, "nginx -t; systemctl reload nginx")
    before = inside(host, STATE)
    evidence = probe(playbook, host)
    assert inside(host, STATE) == before

    assert evidence["firewall"] == {"manager": "nftables", "nft": True, "iptables": False}
    fail2ban = evidence["fail2ban"]
    (sshd,) = fail2ban.pop("jails")
    assert (sshd["name"], sshd["backend"], sshd["logs"]) == ("sshd", "auto", [])
    assert any("<HOST>" in one for one in sshd["failregex"])
    version = inside(host, "fail2ban-client -V").split()[0]
    # Nothing writes /var/log/auth.log here, and without it the whole of fail2ban is dead.
    assert fail2ban == {
        "version": version,
        "active": False,
        "enabled": True,
        "config_ok": False,
        "message": "Failed during configuration: Have not found any log file for sshd jail",
        "log_target": "/var/log/fail2ban.log",
        "python_systemd": True,
    }

    route = inside(host, "ip route show default; ip -6 route show default").split()
    ways = [after for word, after in itertools.pairwise(route) if word == "via"]
    assert evidence["host"]["gateways"] == ways != []
    file = "/etc/nginx/conf.d/proxy.conf"
    assert evidence["nginx"]["real_ip"] == {
        "module": True,
        "header": "X-Forwarded-For",
        "from": ["192.0.2.0/24", "2001:db8::/32"],
        "recursive": True,
        "places": [{"file": file, "line": line} for line in (1, 2, 3, 4)],
    }


def test_where_it_runs_and_bans(host: hosts.Host, playbook: Playbook) -> None:
    write(host, "/etc/fail2ban/jail.d/repaired.local", REPAIRED)
    inside(host, BAN)
    assert "203.0.113.7" in inside(host, "nft list ruleset")
    # Ours changes nothing of what the operator has.
    inside(host, "mv /etc/nginx/conf.d/proxy.conf /etc/nginx/conf.d/wpward-real-ip.conf")
    evidence = probe(playbook, host)

    fail2ban = evidence["fail2ban"]
    assert (fail2ban["active"], fail2ban["config_ok"], fail2ban["message"]) == (True, True, "")
    jails = {jail["name"]: jail for jail in fail2ban["jails"]}
    assert set(jails) == {"sshd", "nginx-http-auth"}
    assert jails["sshd"]["backend"] == "systemd"
    assert "/var/log/nginx/error.log" in jails["nginx-http-auth"]["logs"]
    assert evidence["firewall"]["manager"] == "nftables"
    assert evidence["nginx"]["real_ip"]["header"] is None
    assert evidence["nginx"]["real_ip"]["places"] == []
    assert all(part["complete"] for part in evidence["budget"]), evidence["budget"]
