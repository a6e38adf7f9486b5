# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Under attack the attackers are banned, all of them and nobody else, and nobody is locked out."""

from __future__ import annotations

import ast
import http.client
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration import legitimate_sessions
from integration.legitimate_sessions import (
    ATTACKERS,
    CODE,
    COUNT,
    ROLES,
    jetpack,
    kinds,
    login_of,
    password_of,
)
from testbed import clients, hosts, podman

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
EXEMPTING = "wpward-editor"
"""The jail that knows who is signed in: it lists those whom nobody may ban."""

_USERS = r"""
require '/var/www/blog/wp-load.php';
foreach ( json_decode( $argv[1] ) as list( $login, $password, $role ) ) {
    wp_insert_user( array( 'user_login' => $login, 'user_pass' => $password, 'role' => $role ) );
}
"""
# Plugins for a second factor do it in one of two ways: they take over when WordPress has let the
# user in, or they call the right password an error.
_SECOND_FACTOR = r"""<?php
function testbed_second_factor( $user ) {
    header( 'Content-Type: text/html' );
    printf( '<form method="post"><input name="user" value="%d"><input name="proof" value="%s">'
        . '<input name="code"></form>', $user, wp_hash( "second factor $user" ) );
    exit;
}
add_action( 'wp_login', function ( $login, $user ) {
    if ( 0 === strpos( $login, 'administrator_asked_on_login' ) ) {
        wp_clear_auth_cookie();
        testbed_second_factor( $user->ID );
    }
}, 10, 2 );
add_action( 'login_form_second_factor', function () {
    $user = (int) $_POST['user'];
    if ( ! hash_equals( wp_hash( "second factor $user" ), $_POST['proof'] ) ) {
        exit;
    }
    if ( 'CODE' !== $_POST['code'] ) {
        testbed_second_factor( $user );
    }
    wp_set_auth_cookie( $user );
    wp_safe_redirect( admin_url() );
    exit;
} );
add_filter( 'authenticate', function ( $user ) {
    if ( $user instanceof WP_User
        && 0 === strpos( $user->user_login, 'administrator_asked_on_authenticate' )
        && 'CODE' !== ( $_POST['code'] ?? '' ) ) {
        return new WP_Error( 'second_factor_required', 'Give your second factor.' );
    }
    return $user;
}, 99 );
""".replace("CODE", CODE)
_ARRIVALS = "/var/log/arrivals"
_NOTE_ARRIVALS = f"""<?php
file_put_contents( '{_ARRIVALS}',
    $_SERVER['REMOTE_ADDR'] . ' ' . $_SERVER['REQUEST_URI'] . "\\n", FILE_APPEND | LOCK_EX );
"""


@dataclass(frozen=True)
class Site:
    """A hardened host and the addresses that its visitors come from."""

    host: hosts.Host
    pid: int
    visitors: list[list[str]]
    attackers: list[list[str]]


def shell(host: hosts.Host, script: str) -> str:
    return podman.execute(host.container, ["bash", "-euo", "pipefail", "-s"], stdin=script)


def add_plugin(host: hosts.Host, name: str, code: str) -> None:
    path = f"/var/www/blog/wp-content/mu-plugins/{name}.php"
    podman.execute(host.container, ["install", "-D", "-m", "0644", "/dev/stdin", path], stdin=code)


def ansible(program: str, host: hosts.Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / program), "--inventory", host.inventory, *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def site(make_host: Callable[..., hosts.Host]) -> Iterator[Site]:
    host = make_host("bans-sessions")
    # As many as a network without IPv6 needs.
    needed = (COUNT + ATTACKERS) // (2 if host.address6 else 1)
    crowd = clients.up("bans-crowd", count=needed)
    try:
        found = podman.inspect(crowd.container)
        assert found is not None
        # The kinds of address take turns.
        pairs = [
            [source, server]
            for sources in zip(crowd.addresses, crowd.addresses6, strict=False)
            for source, server in zip(sources, (host.address, host.address6), strict=True)
            if server
        ] or [[address, host.address] for address in crowd.addresses]
        visitors, attackers = pairs[:COUNT], pairs[COUNT:]
        assert (len(visitors), len(attackers)) == (COUNT, ATTACKERS)
        prepare(host)
        services = [
            address
            for (address, _), session in zip(visitors, kinds(), strict=True)
            if session is jetpack
        ]
        variables = {
            "wpward_roles": ["endpoints", "guard", "real_ip", "bans"],
            "wpward_policy": {"xmlrpc": "trusted"},
            "wpward_trusted": services,
            "report_save": False,
        }
        done = ansible(
            "ansible-playbook", host, "-e", json.dumps(variables), "playbooks/harden.yml"
        )
        assert done.returncode == 0, done.stdout
        yield Site(host, found["State"]["Pid"], visitors, attackers)
    finally:
        hosts.down([crowd.name])


def prepare(host: hosts.Host) -> None:
    """Users, plugins that ask some of them for a second factor, a note of what reaches PHP."""
    users = json.dumps(
        [
            [login, password_of(login), ROLES[session]]
            for login, session in ((login_of(one, n), one) for n, one in enumerate(kinds()))
            if session in ROLES
        ]
    )
    podman.execute(
        host.container, ["php", "--", users], stdin=f"<?php error_reporting( 0 ); {_USERS}"
    )
    add_plugin(host, "second-factor", _SECOND_FACTOR)
    shell(host, f"install -o www-data /dev/null {_ARRIVALS}")
    add_plugin(host, "arrivals", _NOTE_ARRIVALS)


@pytest.fixture(scope="module")
def played(site: Site) -> dict[str, Any]:
    """What the sessions and the attackers saw; they all come at the same time."""
    options = {
        "clients": site.visitors,
        "attackers": site.attackers,
    }
    done = subprocess.run(
        [
            *("nsenter", "--target", str(site.pid), "--net", "--"),
            *(sys.executable, legitimate_sessions.__file__, json.dumps(options)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    print(f"{report['seconds']} s; from the third refusal to the ban: {report['until_ban']} s")
    return report


def banned(host: hosts.Host) -> set[str]:
    """Whom fail2ban bans now, in any jail that bans."""
    jails: list[dict[str, list[str]]] = ast.literal_eval(shell(host, "fail2ban-client banned"))
    return {
        address for jail in jails for name in jail if name != EXEMPTING for address in jail[name]
    }


TRIED = "203.0.113.254"
"""A run bans it for a moment, to prove that bans work."""


def ever_banned(host: hosts.Host) -> set[str]:
    """Whom fail2ban has banned since it runs."""
    log = shell(host, "cat /var/log/fail2ban.log; journalctl -o cat -u fail2ban")
    found = re.findall(r"\[([\w-]+)\] (?:Restore )?Ban (\S+)", log)
    return {address for jail, address in found if jail != EXEMPTING} - {TRIED}


def in_packet_filter(host: hosts.Host) -> set[str]:
    return set(re.findall(r"[0-9a-f.:]{7,}", shell(host, "nft list ruleset")))


def test_only_the_attackers_are_banned(site: Site, played: dict[str, Any]) -> None:
    sessions = played["sessions"]
    assert len({session["address"] for session in sessions}) == COUNT >= 100
    assert [session for session in sessions if session["trouble"]] == []

    attackers = {address for address, _ in site.attackers}
    assert ever_banned(site.host) == attackers
    assert banned(site.host) == attackers
    visitors = {address for address, _ in site.visitors}
    filtered = in_packet_filter(site.host)
    assert attackers <= filtered
    assert not visitors & filtered


def test_nothing_of_a_banned_attacker_reaches_php(site: Site, played: dict[str, Any]) -> None:
    arrivals: dict[str, list[int]] = {}
    for line in shell(site.host, f"cat {_ARRIVALS}").splitlines():
        address, _, target = line.partition(" ")
        number = re.fullmatch(r"/\?attack=(\d+)", target)
        if number:
            arrivals.setdefault(address, []).append(int(number[1]))
    assert arrivals, "no attacker reached PHP before the ban: the count below would prove nothing"
    for attacker in played["attackers"]:
        assert attacker["shut_out"], attacker
        assert attacker["asked"] > attacker["shut_out"], attacker
        assert attacker["served_after"] == 0, attacker
        after = [
            number
            for number in arrivals.get(attacker["address"], [])
            if number > attacker["shut_out"]
        ]
        assert after == [], attacker


def test_a_right_password_is_no_failed_login(site: Site, played: dict[str, Any]) -> None:
    """Whatever a plugin for a second factor makes of it."""
    journal = shell(site.host, "journalctl -o cat -t wpward-login")
    failures = Counter(re.findall(r"^failed (\S+)$", journal, re.MULTILINE))
    mistyped = {
        session["address"]: 2 if session["kind"].startswith("administrator") else 1
        for session in played["sessions"]
        if session["kind"].startswith(("administrator", "subscriber"))
    }
    assert failures == mistyped
    for name in ("administrator", "subscriber", "mistyped"):
        assert name not in journal


def test_the_operator_is_not_locked_out(site: Site) -> None:
    host = site.host
    flood = clients.traffic("c", host.address, rate=300, seconds=5)
    assert flood["statuses"] == {"403": flood["sent"]}, flood
    shell(host, "sleep 2")
    controller = shell(host, "ip -4 route show default").split()[2]
    assert controller in shell(host, "tail -n 1 /var/log/nginx/wpward-deny.log")
    assert controller not in ever_banned(host) | in_packet_filter(host)

    connection = http.client.HTTPConnection(host.address, 80, timeout=60)
    connection.request("GET", "/first/", headers={"Host": "blog.example"})
    assert "First Comments Feed" in connection.getresponse().read().decode()
    # Not over a connection that Ansible has kept since before.
    fresh = "-o ControlMaster=no -o ControlPath=none"
    ssh = ["ssh", "-F", host.ssh_config, "-o", "BatchMode=yes", host.name, "true"]
    assert subprocess.run(ssh, check=False, timeout=30).returncode == 0
    ping = ansible(
        "ansible", host, "all", "-m", "ansible.builtin.ping", f"--ssh-extra-args={fresh}"
    )
    assert ping.returncode == 0 and "pong" in ping.stdout, ping.stdout
