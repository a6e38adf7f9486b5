# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real attackers banned by a real fail2ban: in the packet filter with nginx, in httpd itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from integration.play import play
from testbed import clients, hosts, podman
from testbed.constants import USERS

HERE = Path(__file__).resolve().parent
OWN = """[DEFAULT]
bantime = 1h
[sshd]
enabled = true
backend = systemd
[recidive]
enabled = false
"""
INSTALL = (
    "apt-get -qq update && apt-get -qq install -y --no-install-recommends fail2ban python3-systemd"
)
# (source, host, what to ask for...) -> a status per request, 0 where nobody answered.
ASK = """
import http.client, sys
source, host, *targets = sys.argv[1:]
statuses, cookie = [], ""
for target in targets:
    method, path, body = (target.split(" ", 2) + ["", ""])[:3]
    headers = {"Host": "blog.example", "Cookie": "wordpress_test_cookie=WP Cookie check"}
    if body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = http.client.HTTPConnection(host, 80, timeout=5, source_address=(source, 0))
    try:
        connection.request(method, path, body or None, headers)
        statuses.append(str(connection.getresponse().status))
    except OSError:
        statuses.append("0")
print(*statuses)
"""
SSH = """
import socket, sys
with socket.create_connection((sys.argv[2], 22), 5, (sys.argv[1], 0)) as connection:
    print(connection.recv(4).decode())
"""
CONFIGURATION = (
    "cd /etc/apache2 && find . -printf '%p %m %l\\n' | sort && "
    "find . -type f | sort | xargs sha256sum"
)
XMLRPC = "POST /xmlrpc.php <methodCall/>"


# Whoever gets this page may edit posts.
AT_WORK = (
    '198.51.100.20 - - [22/Nov/2026:08:00:00 +0000] "GET /wp-admin/edit.php HTTP/1.1" 200 51200 '
    '"-" "Mozilla/5.0"'
)


@pytest.fixture(scope="module")
def strangers() -> Iterator[clients.Clients]:
    made = clients.up("bans-clients", count=4)
    yield made
    hosts.down([made.name])


def inside(host: hosts.Host, command: str) -> str:
    output: str = podman.execute(host.container, ["sh", "-c", command])
    return output


def ask(strangers: clients.Clients, number: int, host: hosts.Host, *targets: str) -> list[str]:
    argv = ["python3", "-c", ASK, strangers.addresses[number], host.address, *targets]
    output: str = podman.execute(strangers.container, argv)
    return output.split()


def apply(host: hosts.Host, tmp_path: Path, *options: str, **variables: Any) -> Any:
    """Run the role; what it saved and what was printed."""
    save_to = tmp_path / "saved.json"
    variables.update(save_to=str(save_to), run=f"test-{time.time_ns()}")
    output = play(HERE / "bans" / "role.yml", host, options=options, **variables)
    return {**json.loads(save_to.read_text()), "output": output}


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def files(saved: Any) -> dict[str, str]:
    return {entry["path"]: entry["action"] for entry in saved["result"]["files"]}


def test_the_packet_filter_bans_the_attacker_and_nobody_else(
    make_host: Callable[..., hosts.Host],
    strangers: clients.Clients,
    tree: Callable[[hosts.Host], str],
    tmp_path: Path,
) -> None:
    host = make_host("bans")
    inside(host, INSTALL)
    podman.execute(host.container, ["tee", "/etc/fail2ban/jail.local"], stdin=OWN)
    inside(host, "systemctl restart fail2ban")
    jails = "fail2ban-client status | tail -n 1"
    assert eventually(lambda: "sshd" in inside(host, f"{jails} 2>&1 || true"))
    before, jails_before = tree(host), inside(host, jails)
    inside(host, f"echo '{AT_WORK}' >> /var/log/nginx/blog-access.log")

    foreseen = apply(host, tmp_path, "--check")
    assert tree(host) == before
    applied = apply(host, tmp_path)
    assert files(foreseen) == files(applied)
    assert "created" in files(applied).values()
    assert "[sshd]" not in inside(host, "cat /etc/fail2ban/jail.d/wpward.local")
    assert eventually(lambda: "198.51.100.20" in inside(host, "ls /run/wpward/editors"))

    attacker, reader, editor, crawler = range(4)
    assert ask(strangers, attacker, host, *[XMLRPC] * 3) == ["403"] * 3
    assert eventually(lambda: ask(strangers, attacker, host, "GET /") == ["0"])
    assert strangers.addresses[attacker] in inside(host, "nft list ruleset")
    argv = ["python3", "-c", SSH, strangers.addresses[attacker], host.address]
    assert podman.execute(strangers.container, argv).strip() == "SSH-"

    # Whoever runs Ansible floods as well.
    ours = Request(address=host.address, port=80, host="blog.example", target="/xmlrpc.php")
    own = [fetch(ours, 20) for _ in range(5)]
    assert {answer.status for answer in own} == {403}

    alice = USERS[0]
    login = f"POST /wp-login.php log={alice.login}&pwd={alice.password}&testcookie=1"
    assert ask(strangers, editor, host, login) == ["302"]
    assert eventually(lambda: strangers.addresses[editor] in inside(host, "ls /run/wpward/editors"))
    assert ask(strangers, editor, host, *[XMLRPC] * 9) == ["403"] * 9
    assert ask(strangers, crawler, host, *["GET /?author=1"] * 4) == ["403"] * 4
    time.sleep(2)
    for number in (reader, editor, crawler):
        assert ask(strangers, number, host, "GET /") == ["200"]

    again = apply(host, tmp_path)
    assert set(files(again).values()) == {"unchanged"}
    # The task that saves this.
    assert " changed=1 " in again["output"].rpartition("PLAY RECAP")[2]
    assert ask(strangers, attacker, host, "GET /") == ["0"]

    inside(host, "python3 /var/lib/wpward/rollback.py rollback")
    assert tree(host) == before
    assert inside(host, "nft list ruleset").strip() == ""
    assert inside(host, jails) == jails_before
    assert ask(strangers, attacker, host, "GET /") == ["200"]
    assert inside(host, "ls -d /run/wpward 2>/dev/null || echo gone").strip() == "gone"


def test_httpd_itself_bans_without_a_reload(
    make_host: Callable[..., hosts.Host], strangers: clients.Clients, tmp_path: Path
) -> None:
    host = make_host("bans-httpd", web="httpd")
    untouched = inside(host, CONFIGURATION)
    inside(host, "mv /etc/apt /etc/apt-away; mv /var/lib/apt/lists /var/lib/apt/lists-away")
    without = apply(host, tmp_path)
    assert without["result"]["transaction"] is None
    assert any("Nobody is banned: fail2ban, python3-systemd" in one for one in without["notes"])
    inside(host, "rm -rf /etc/apt /var/lib/apt/lists; mv /etc/apt-away /etc/apt")
    inside(host, "mv /var/lib/apt/lists-away /var/lib/apt/lists")
    applied = apply(host, tmp_path, wpward_bans_layer="http")
    assert files(applied)["/etc/apache2/conf-enabled/wpward-bans.conf"] == "created"
    # The package has brought it, and there is no log for it to read.
    assert "[sshd]\nbackend = systemd\n" in inside(host, "cat /etc/fail2ban/jail.d/wpward.local")
    workers = inside(host, "pgrep apache2")

    attacker, guesser, reader, _ = range(4)
    assert ask(strangers, attacker, host, *[XMLRPC] * 3) == ["403"] * 3
    assert eventually(lambda: ask(strangers, attacker, host, "GET /") == ["403"])
    wrong = "POST /wp-login.php log=alice&pwd=wrong&testcookie=1"
    assert ask(strangers, guesser, host, *[wrong] * 10) == ["200"] * 10
    assert eventually(lambda: ask(strangers, guesser, host, "GET /") == ["403"])
    assert ask(strangers, reader, host, "GET /") == ["200"]
    # Two jails ban the same address, and the web server's own bans have to outlast the first.
    inside(host, f"fail2ban-client set wpward-rest_users banip {strangers.addresses[attacker]}")
    inside(host, f"fail2ban-client set wpward-xmlrpc unbanip {strangers.addresses[attacker]}")
    assert ask(strangers, attacker, host, "GET /") == ["403"]
    inside(host, f"fail2ban-client unban {strangers.addresses[guesser]}")
    assert ask(strangers, guesser, host, "GET /") == ["200"]
    assert inside(host, "pgrep apache2") == workers
    assert inside(host, "nft list ruleset").strip() == ""

    inside(host, "python3 /var/lib/wpward/rollback.py rollback")
    assert inside(host, CONFIGURATION) == untouched
    assert ask(strangers, attacker, host, "GET /") == ["200"]
    assert inside(host, "find /etc/fail2ban /var/www /run -name '*wpward*'").strip() == ""
    state = "systemctl is-active fail2ban; systemctl is-enabled fail2ban; true"
    assert inside(host, state).split() == ["inactive", "disabled"]

    # A host whose httpd cannot be given a deny log: its own access log is read.
    generated = {"httpd": {"conf_refusal": "A panel writes these files."}}
    applied = apply(host, tmp_path, differences=generated, wpward_cdn="none")
    assert "/etc/fail2ban/filter.d/wpward-access-1.conf" in files(applied)
    other = 3
    assert ask(strangers, other, host, *["POST /?s=/xmlrpc.php x"] * 4) == ["200"] * 4
    assert ask(strangers, other, host, *["POST //xmlrpc%2ephp <methodCall/>"] * 3) == ["403"] * 3
    assert eventually(lambda: ask(strangers, other, host, "GET /") == ["0"])
    inside(host, "python3 /var/lib/wpward/rollback.py rollback")
    assert ask(strangers, other, host, "GET /") == ["200"]
