# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role capacity on a real nginx and a real httpd: limits that act on every process, workers as
planned, and every byte and limit back where something is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.endpoints.role import inside, write
from integration.play import play
from testbed import clients, hosts

HERE = Path(__file__).parent / "capacity"
NGINX, HTTPD = "cr-nginx", "cr-httpd"
FPM = "php8.2-fpm.service"
UNITS = {NGINX: ("nginx.service", FPM), HTTPD: ("apache2.service", FPM)}
BEFORE = {"nginx.service": 1024, FPM: 1024, "apache2.service": 8192}
WANTED = 12345
POOLS = "/etc/php/8.2/fpm/pool.d/zz-wpward.conf"
OWN_DROP_IN = f"/etc/systemd/system/{FPM}.d/zz-own.conf"
FILES = {
    NGINX: ["wpward.conf", "zz-wpward.conf", "wpward.conf", "nginx.conf", "wpward.conf"],
    HTTPD: [
        *("wpward.conf", "zz-wpward.conf", "wpward.conf", "envvars"),
        *("wpward-capacity.conf", "wpward-capacity.conf", "wpward.conf"),
    ],
}
SLOW, BRIEF = "/var/www/blog/slow.php", "/var/www/blog/brief.php"
STUCK = "<?php while (file_exists(__FILE__)) { sleep(1); clearstatcache(); }"
LIMITS = """\
import json, pathlib, re
units = {}
for base in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        unit = re.search(r"/([^/]+[.]service)$", (base / "cgroup").read_text(), re.MULTILINE)
        limit = re.search(r"open files +([0-9]+)", (base / "limits").read_text())
    except OSError:
        continue
    if unit and limit:
        units.setdefault(unit.group(1), []).append(int(limit.group(1)))
print(json.dumps(units))
"""


def limits(host: hosts.Host) -> dict[str, list[int]]:
    """Soft limits of open files of every process, by unit."""
    found = json.loads(inside(host, "python3", "-", stdin=LIMITS))
    return {unit: found[unit] for unit in UNITS[host.name]}


def distinct(host: hosts.Host) -> dict[str, set[int]]:
    return {unit: set(found) for unit, found in limits(host).items()}


def configuration(host: hosts.Host) -> str:
    """All files below /etc: type, mode, owner, target, bytes."""
    return inside(
        host,
        *("bash", "-c"),
        "cd /etc && find . -printf '%p|%y|%m|%U|%G|%l\\n' | sort"
        " && find . -type f -print0 | sort -z | xargs -0 sha256sum",
    )


def main_processes(host: hosts.Host) -> list[str]:
    units = (*UNITS[host.name], "mariadb.service")
    return inside(host, "systemctl", "show", "--property", "MainPID", *units).split()


def fit(
    servers: dict[str, hosts.Host],
    name: str,
    run: str,
    saved: Path,
    *options: str,
    **variables: str,
) -> dict[str, Any]:
    """Run a playbook of this directory; what it saved of each host."""
    play(
        HERE / f"{name}.yml",
        *servers.values(),
        options=options,
        capacity_run=run,
        save_to=str(saved),
        wpward_capacity_nofile=WANTED,
        wpward_verify_settle=2,
        **variables,
    )
    return {one: json.loads((saved / f"{one}.json").read_text()) for one in servers}


@pytest.fixture(scope="module")
def servers(make_host: Callable[..., hosts.Host]) -> dict[str, hosts.Host]:
    made = {NGINX: make_host(NGINX), HTTPD: make_host(HTTPD, web="httpd")}
    # What beats the environment that systemd gives apachectl.
    line = 'export APACHE_ULIMIT_MAX_FILES="ulimit -n 8192"'
    inside(made[HTTPD], "sh", "-c", f"echo '{line}' >> /etc/apache2/envvars")
    return made


@pytest.fixture(scope="module")
def refused(
    servers: dict[str, hosts.Host], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What was said on nginx's host, where a limit cannot act, and on httpd's, where the site
    breaks; both are as they were."""
    for host in servers.values():
        inside(host, "mkdir", "-p", str(Path(OWN_DROP_IN).parent))
    # Of drop-ins the last by name wins.
    write(servers[NGINX], OWN_DROP_IN, "[Service]\nLimitNOFILE=1024\n")
    # php-fpm runs with every limit, and nobody reaches it.
    lost = f"test ! -e {POOLS} || rm /run/php/php8.2-fpm.sock"
    write(servers[HTTPD], OWN_DROP_IN, f"[Service]\nExecStartPost=/bin/sh -c '{lost}'\n")
    before = {name: configuration(host) for name, host in servers.items()}
    said = fit(servers, "refused", "capacity-0", tmp_path_factory.mktemp("refused"))
    for name, host in servers.items():
        assert configuration(host) == before[name]
        assert distinct(host) == {unit: {BEFORE[unit]} for unit in UNITS[name]}
        inside(host, "rm", OWN_DROP_IN)
    return said


def test_a_limit_that_does_not_act_is_taken_back(refused: dict[str, Any]) -> None:
    said = refused[NGINX]
    assert said["why"].startswith(f"{NGINX}: Nothing is changed, everything was put back: ")
    assert f"{FPM} may open 1024 files, not {WANTED}" in said["why"] and "\n" not in said["why"]
    assert said["result"]["failed"] and not said["result"]["changed"]
    # nginx comes after php-fpm: its turn never came.
    assert not [row for row in said["result"]["commands"] if "nginx.service" in row["argv"]]


def test_a_site_that_breaks_stops_the_run_before_the_next_service(refused: dict[str, Any]) -> None:
    said = refused[HTTPD]
    assert said["why"].startswith(f"{HTTPD}: since {FPM} has its new limits, the sites do not work")
    assert "GET /" in said["why"] and "503" in said["why"]
    assert len(said["result"]["transactions"]) == 1
    assert not [row for row in said["result"]["commands"] if "apache2.service" in row["argv"]]


@pytest.fixture(scope="module")
def fitted(
    servers: dict[str, hosts.Host],
    refused: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """What the role said about each host in check mode, for good and once more; afterwards both
    are as they were."""
    before = {name: configuration(host) for name, host in servers.items()}
    saved = tmp_path_factory.mktemp("fitted")
    would = fit({NGINX: servers[NGINX]}, "fit", "capacity-1", saved, "--check")
    assert {name: configuration(host) for name, host in servers.items()} == before
    # Between the evidence and the role, as role endpoints does.
    did = fit(servers, "fit", "capacity-1", saved, edited="# edited")
    ran = {name: main_processes(host) for name, host in servers.items()}
    again = fit(servers, "fit", "capacity-2", saved)
    assert {name: main_processes(host) for name, host in servers.items()} == ran
    yield {
        name: {"would": would.get(name), "did": did[name], "again": again[name]} for name in servers
    }
    for name, host in servers.items():
        inside(host, "python3", "/var/lib/wpward/rollback.py", "rollback")
        if name == NGINX:
            inside(host, "sed", "-i", "1d", "/etc/nginx/nginx.conf")
        assert configuration(host) == before[name]
        assert distinct(host) == {unit: {BEFORE[unit]} for unit in UNITS[name]}


@pytest.mark.parametrize("name", [NGINX, HTTPD])
def test_a_second_run_changes_nothing(fitted: dict[str, Any], name: str) -> None:
    did, again = (fitted[name][key]["result"] for key in ("did", "again"))
    assert did["changed"] and len(did["transactions"]) == 3
    assert [Path(row["path"]).name for row in did["files"]] == FILES[name]
    assert not again["changed"] and again["transactions"] == again["commands"] == []


def test_check_mode_tells_exactly(fitted: dict[str, Any]) -> None:
    would, did = (fitted[NGINX][key]["result"] for key in ("would", "did"))
    assert would["changed"] and would["files"] == did["files"]


@pytest.mark.parametrize("name", [NGINX, HTTPD])
def test_every_process_has_the_limit_and_so_have_new_ones(
    servers: dict[str, hosts.Host], fitted: dict[str, Any], name: str
) -> None:
    host = servers[name]
    wanted = {unit: {WANTED} for unit in UNITS[name]}
    # A master and two workers, at least.
    assert min(len(processes) for processes in limits(host).values()) >= 3
    assert distinct(host) == wanted
    inside(host, "systemctl", "reload", *UNITS[name])
    time.sleep(1.5)
    assert distinct(host) == wanted
    shell = ["su", "-s", "/bin/sh", "www-data", "-c", "ulimit -S -n"]
    assert inside(host, *shell).strip() == str(WANTED)


def test_as_many_workers_as_planned_and_no_more(
    servers: dict[str, hosts.Host], fitted: dict[str, Any]
) -> None:
    host = servers[NGINX]
    [planned] = [row for row in fitted[NGINX]["did"]["plan"]["workers"] if row["pool"] == "www"]
    assert planned["before"] == 5 < planned["after"]
    write(host, SLOW, STUCK)
    ask = "curl -s -o /dev/null -H Host:blog.example http://127.0.0.1/slow.php &"
    inside(host, "sh", "-c", ask * (planned["after"] + 5) + " true")
    deadline = time.monotonic() + 60
    count = 0
    # Without the master.
    while count < planned["after"] and time.monotonic() < deadline:
        time.sleep(0.5)
        count = len(limits(host)[FPM]) - 1
    # php-fpm makes more once a second.
    time.sleep(2)
    count = len(limits(host)[FPM]) - 1
    inside(host, "rm", SLOW)
    assert count == planned["after"]


def limited(fitted: dict[str, Any]) -> tuple[int, int]:
    """PHP workers on httpd's host, and requests that each process of httpd may have with them."""
    rows = [row for row in fitted[HTTPD]["did"]["plan"]["workers"] if row["pool"] == "www"]
    [children] = [row["after"] for row in rows if row["service"] == "php-fpm"]
    [most] = [row["after"] for row in rows if row["service"] == "httpd"]
    return children, most


def test_httpd_refuses_what_stuck_workers_have_no_room_for_and_serves_pictures(
    servers: dict[str, hosts.Host], fitted: dict[str, Any]
) -> None:
    host = servers[HTTPD]
    children, most = limited(fitted)
    write(host, SLOW, STUCK)
    # Without limits they would hold every thread of httpd until the page is gone.
    ask = {"target": "/slow.php", "seconds": 30, "count": 100, "rate": 0, "concurrency": 100}
    with (
        clients.start_traffic("c", host.address, **ask) as one,
        clients.start_traffic("c", host.address, **ask) as other,
    ):
        time.sleep(8)
        css = "/wp-includes/css/dashicons.css"
        seen = clients.traffic("latency", host.address, target=css, seconds=10, count=5)
        inside(host, "rm", SLOW)
        asked = [json.loads(each.communicate(timeout=60)[0]) for each in (one, other)]
    assert seen["statuses"] == {"200": 5}, seen
    refused = sum(each["statuses"].get("503", 0) for each in asked)
    assert refused >= 200 - 6 * most, asked
    assert children <= 200 - refused == sum(each["answered"] for each in asked) - refused, asked


def test_as_many_requests_as_there_are_workers_are_never_refused(
    servers: dict[str, hosts.Host], fitted: dict[str, Any]
) -> None:
    host = servers[HTTPD]
    children, _most = limited(fitted)
    # A page of its own: for two seconds PHP would run what the other's name stood for before.
    write(host, BRIEF, "<?php usleep(200000);")
    seen = clients.traffic(
        "c", host.address,
        target="/brief.php", seconds=60, count=4 * children, rate=0, concurrency=children,
    )  # fmt: skip
    inside(host, "rm", BRIEF)
    assert seen["statuses"] == {"200": 4 * children}, seen
