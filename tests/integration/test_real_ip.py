# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role real_ip on a real nginx and a real httpd behind real proxies: whom they take for the client,
whatever a client writes into its headers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.endpoints.role import LIST_METHODS, inside
from integration.play import play as run_playbook
from testbed import edges, hosts, podman

HERE = Path(__file__).parent
VICTIM = "203.0.113.9"
NGINX, HTTPD = "real-ip-nginx", "real-ip-httpd"
ACCESS_LOGS = {NGINX: "/var/log/nginx/blog-access.log", HTTPD: "/var/log/apache2/blog-access.log"}
DENY_LOGS = {NGINX: "/var/log/nginx/wpward-deny.log", HTTPD: "/var/log/apache2/wpward-deny.log"}

# From the outer edge either to the host or to the inner edge, which hands on to the host. A proxy
# appends who asked it.
CONFIG = """\
worker_processes 1;
error_log /var/log/nginx/edge-error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
{servers}}}
"""
SERVER = """\
    server {{
        listen {address}:{port};
        location / {{ proxy_pass http://{to}; proxy_bind {address}; }}
    }}
"""
THROUGH = {NGINX: (80, 81), HTTPD: (82, 83)}
"""The outer edge's ports by host: one edge, two edges."""


@dataclass(frozen=True)
class Front:
    """A container that owns two edges, and two clients of them."""

    container: str
    outer: str
    inner: str
    client: str
    trusted: str

    def ask(self, rows: list[list[Any]]) -> Any:
        program = (HERE / "real_ip" / "ask.py").read_text()
        return json.loads(
            podman.execute(self.container, ["python3", "-c", program], stdin=json.dumps(rows))
        )


@pytest.fixture(scope="module")
def origins(make_host: Callable[..., hosts.Host]) -> dict[str, hosts.Host]:
    made = {NGINX: make_host(NGINX), HTTPD: make_host(HTTPD, web="httpd")}
    # As Debian has it.
    inside(made[HTTPD], "a2dismod", "--quiet", "remoteip")
    inside(made[HTTPD], "systemctl", "reload", "apache2")
    return made


@pytest.fixture(scope="module")
def front(origins: dict[str, hosts.Host]) -> Iterator[Front]:
    edge = edges.up("real-ip-front", to=NGINX, count=4)
    outer, inner, client, trusted = edge.addresses
    servers = ""
    for name, (one, two) in THROUGH.items():
        host = f"{origins[name].address}:80"
        servers += SERVER.format(address=outer, port=one, to=host)
        servers += SERVER.format(address=outer, port=two, to=f"{inner}:{two}")
        servers += SERVER.format(address=inner, port=two, to=host)
    podman.execute(edge.container, ["tee", edges.CONFIG], stdin=CONFIG.format(servers=servers))
    podman.execute(edge.container, ["nginx", "-c", edges.CONFIG, "-s", "reload"])
    yield Front(edge.container, outer, inner, client, trusted)
    hosts.down(["real-ip-front"])


def play(origins: dict[str, hosts.Host], name: str, **variables: Any) -> None:
    run_playbook(HERE / "real_ip" / f"{name}.yml", *origins.values(), **variables)


def configuration(host: hosts.Host) -> str:
    """All files below /etc: type, mode, owner, target, bytes."""
    return inside(
        host,
        *("bash", "-c"),
        "cd /etc && find . -printf '%p|%y|%m|%U|%G|%l\\n' | sort"
        " && find . -type f -print0 | sort -z | xargs -0 sha256sum",
    )


@pytest.fixture(scope="module")
def told(
    origins: dict[str, hosts.Host],
    front: Front,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """What the role said about each host; afterwards both are as they were."""
    saved = tmp_path_factory.mktemp("saved")
    before = {name: configuration(host) for name, host in origins.items()}
    play(
        origins,
        "tell",
        real_ip_run="real-ip-1",
        run_again="real-ip-2",
        save_to=str(saved),
        wpward_cdn="custom",
        wpward_cdn_networks=[front.outer, front.inner],
        wpward_policy={"xmlrpc": "trusted"},
        wpward_trusted=[front.trusted],
    )
    # The reload is asynchronous.
    time.sleep(1)
    yield {name: json.loads((saved / f"{name}.json").read_text()) for name in origins}
    play(origins, "undo")
    for name, host in origins.items():
        assert configuration(host) == before[name]


@pytest.mark.parametrize("name", [NGINX, HTTPD])
def test_check_mode_tells_exactly_and_a_second_run_changes_nothing(
    told: dict[str, Any], name: str
) -> None:
    said = told[name]
    assert said["did"]["changed"] and said["did"]["transaction"]
    assert said["would"]["changed"] and said["would"]["files"] == said["did"]["files"]
    paths = [one["path"] for one in said["did"]["files"]]
    assert len(paths) == (1 if name == NGINX else 3)
    assert ("/etc/apache2/mods-enabled/remoteip.load" in paths) == (name == HTTPD)
    assert not said["again"]["changed"]
    assert said["again"]["commands"] == [] and said["again"]["transaction"] is None


def cases(front: Front, name: str) -> list[tuple[str, str, int | None, str | None, str]]:
    """(what, own address, port of the outer edge or None for past it, X-Forwarded-For, whom the
    server takes for the client)."""
    one, two = THROUGH[name]
    me, edge = front.client, front.outer
    return [
        ("past the edge", me, None, None, me),
        ("past the edge, forged", me, None, VICTIM, me),
        ("past the edge, forged trusted", me, None, front.trusted, me),
        ("past the edge, forged edge", me, None, f"{VICTIM}, {edge}", me),
        ("edge", me, one, None, me),
        ("edge, forged", me, one, VICTIM, me),
        ("edge, forged trusted", me, one, front.trusted, me),
        ("edge, forged list with edges", me, one, f"{VICTIM}, {front.inner}, {edge}", me),
        ("edge, garbage", me, one, "unknown, -, '; DROP", me),
        ("two edges", me, two, None, me),
        ("two edges, forged", me, two, VICTIM, me),
        ("two edges, forged list with edges", me, two, f"{VICTIM}, {front.inner}, {edge}", me),
        # What an edge could send itself.
        ("private", edge, None, "10.20.30.40", "10.20.30.40"),
        ("IPv6", edge, None, "2001:db8::7", "2001:db8::7"),
        ("no address", edge, None, "unknown", edge),
        # httpd reads no ports; nobody is taken for somebody else.
        ("port", edge, None, f"{VICTIM}:4711", VICTIM if name == NGINX else edge),
        ("IPv6 port", edge, None, "[2001:db8::7]:4711", "2001:db8::7" if name == NGINX else edge),
        ("IPv6 port, no brackets", edge, None, "2001:db8::5:46532", edge),
    ]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("name", [NGINX, HTTPD])
def test_the_real_client_is_in_both_logs_whatever_anybody_writes(
    origins: dict[str, hosts.Host], front: Front, name: str
) -> None:
    host = origins[name]
    inside(host, "truncate", "--size", "0", DENY_LOGS[name])
    rows = []
    table = cases(front, name)
    for number, (_what, own, port, forwarded, _client) in enumerate(table):
        headers = {"Host": "blog.example", "User-Agent": f"case-{number}-"}
        if forwarded is not None:
            headers["X-Forwarded-For"] = forwarded
        to = [own, host.address, 80] if port is None else [own, front.outer, port]
        rows.append([*to, "GET", "/readme.html", headers, None])
        rows.append([*to, "POST", "/xmlrpc.php", headers, LIST_METHODS])
    answers = front.ask(rows)
    assert [status for status, _body in answers] == [200, 403] * len(table)
    # nginx writes it at least once a second.
    time.sleep(1.5)
    lines = inside(host, "cat", ACCESS_LOGS[name]).splitlines()
    accessed = [
        [line.split()[0] for line in lines if f'"case-{number}-"' in line and "readme" in line]
        for number in range(len(table))
    ]
    denied = [line.split() for line in sorted(inside(host, "cat", DENY_LOGS[name]).splitlines())]
    expected = {what: client for what, _own, _port, _forwarded, client in table}
    assert dict(zip(expected, accessed, strict=True)) == {
        what: [client] for what, client in expected.items()
    }
    assert dict(zip(expected, (line[1] for line in denied), strict=True)) == expected


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("name", [NGINX, HTTPD])
def test_a_trusted_client_reaches_xmlrpc_through_the_edges(
    origins: dict[str, hosts.Host], front: Front, name: str
) -> None:
    one, two = THROUGH[name]
    places = [(origins[name].address, 80), (front.outer, one), (front.outer, two)]
    rows = [
        [front.trusted, *place, "POST", "/xmlrpc.php", {"Host": "blog.example"}, LIST_METHODS]
        for place in places
    ]
    for status, body in front.ask(rows):
        assert status == 200 and "<methodResponse>" in body
