# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An attacker from the evidence, refused by a real packet filter: there, again, over, gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.play import play
from testbed import clients, hosts, podman

HERE = Path(__file__).resolve().parent
ATTACKER, READER = "198.51.100.7", "198.51.100.8"
FILES = ("find", "/etc", "/usr/local", "-printf", "%p %m %U %G %s %l\n")
LOG = "/var/log/nginx/blog-access.log"
LIST = "/etc/wpward/shared-bans.list"
SETTINGS = {"shared_bans_enabled": True, "shared_bans_documentation": True}
CONNECT = """
import socket, sys
source, address, port = sys.argv[1:]
try:
    socket.create_connection((address, int(port)), 0.7, (source, 0)).close()
except OSError:
    print("dropped")
else:
    print("served")
"""


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    made = make_host("shared-bans")
    podman.execute(made.container, ["ip", "route", "add", "198.51.100.0/24", "dev", "eth0"])
    return made


@pytest.fixture(scope="module")
def strangers() -> Iterator[clients.Clients]:
    """Clients whose addresses are not private: those are never banned."""
    made = clients.up("shared-bans-clients", count=1)
    for address in (ATTACKER, READER):
        podman.execute(made.container, ["ip", "address", "replace", f"{address}/32", "dev", "eth0"])
    yield made
    hosts.down([made.name])


def apply(host: hosts.Host, run: str, **variables: Any) -> str:
    return play(HERE / "shared_bans" / "role.yml", host, run=run, **variables)


def test_there_again_over_and_gone(host: hosts.Host, strangers: clients.Clients) -> None:
    def asks(source: str, port: int = 80) -> str:
        argv = ["python3", "-c", CONNECT, source, host.address, str(port)]
        return podman.execute(strangers.container, argv).strip()

    def on_host(*argv: str) -> str:
        return podman.execute(host.container, argv)

    before = on_host(*FILES)
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - 60))
    line = f'{ATTACKER} - - [{at}] "POST //xmlrpc.php HTTP/1.1" 200 403 "-" "Mozilla/5.0"\n'
    podman.execute(host.container, ["tee", "--append", LOG], stdin=line * 300)

    assert "changed=2" in apply(host, "first", **SETTINGS)
    assert [asks(ATTACKER), asks(READER)] == ["dropped", "served"]
    # Only the ports of the web servers.
    assert asks(ATTACKER, 22) == "served"
    listed = on_host("cat", LIST)
    assert [line.split()[0] for line in listed.splitlines()] == [ATTACKER]

    assert "changed=0" in apply(host, "second", **SETTINGS)

    # What Debian's unit does when somebody changes its rules.
    on_host("systemctl", "start", "nftables")
    on_host("systemctl", "reload", "nftables")
    assert asks(ATTACKER) == "dropped"

    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
    podman.execute(host.container, ["tee", LIST], stdin=f"{ATTACKER} {soon} 3\n{READER} - own\n")
    on_host("systemctl", "reload", "wpward-shared-bans")
    assert [asks(ATTACKER), asks(READER)] == ["dropped", "dropped"]
    time.sleep(4)
    assert [asks(ATTACKER), asks(READER)] == ["served", "dropped"]
    on_host("systemctl", "restart", "wpward-shared-bans")
    assert asks(ATTACKER) == "served"
    podman.execute(host.container, ["tee", LIST], stdin=listed)

    on_host("python3", "/var/lib/wpward/rollback.py", "rollback")
    assert [asks(ATTACKER), asks(READER)] == ["served", "served"]
    assert "wpward" not in on_host("nft", "list", "ruleset")
    assert "wpward" not in on_host("systemctl", "list-units", "--all", "--no-legend", "wpward-sh*")
    assert on_host(*FILES) == before
