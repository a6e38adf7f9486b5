# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits of open files on the oldest and the newest Debian, of nginx and of httpd: before, after,
and after a rollback, for every process. test_capacity_role.py has the Debian between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from integration.endpoints.role import inside
from integration.play import play
from integration.test_capacity_role import HERE, LIMITS, WANTED
from testbed import hosts


class Debian(NamedTuple):
    """A host's suite and web server, and the open files that its units have to begin with."""

    suite: str
    web: str
    before: dict[str, int]


SUITES = {"bullseye": "7.4", "trixie": "8.4"}
"""Versions of PHP by the Debian that has them."""
CASES = {
    f"cd-{suite}-{web}": Debian(suite, web, {unit: files, f"php{php}-fpm.service": 1024})
    for suite, php in SUITES.items()
    # Debian's apachectl raises httpd's by itself.
    for web, unit, files in (("nginx", "nginx.service", 1024), ("httpd", "apache2.service", 8192))
}


class Seen(NamedTuple):
    """Soft limits of the processes, by unit: before the role, after it, after its rollback."""

    debian: Debian
    before: dict[str, list[int]]
    after: dict[str, list[int]]
    undone: dict[str, list[int]]


def limits(host: hosts.Host) -> dict[str, list[int]]:
    found = json.loads(inside(host, "python3", "-", stdin=LIMITS))
    return {unit: found[unit] for unit in CASES[host.name].before}


@pytest.fixture(scope="module", params=SUITES)
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Seen]]:
    """Both hosts of a Debian, by the web server."""
    chosen = {name: one for name, one in CASES.items() if one.suite == request.param}
    try:
        made = [
            hosts.up(name, suite=one.suite, web=one.web, reset=True) for name, one in chosen.items()
        ]
        before = {host.name: limits(host) for host in made}
        play(
            HERE / "fit.yml",
            *made,
            capacity_run="debian",
            save_to=str(tmp_path_factory.mktemp("debian")),
            wpward_capacity_nofile=WANTED,
            wpward_verify_settle=5,
        )
        after = {host.name: limits(host) for host in made}
        for host in made:
            inside(host, "python3", "/var/lib/wpward/rollback.py", "rollback")
        yield {
            host.web: Seen(CASES[host.name], before[host.name], after[host.name], limits(host))
            for host in made
        }
    finally:
        hosts.down(sorted(chosen))


def distinct(found: dict[str, list[int]]) -> dict[str, set[int]]:
    return {unit: set(soft) for unit, soft in found.items()}


@pytest.mark.parametrize("web", ["nginx", "httpd"])
def test_every_process_has_the_limit_and_the_old_one_after_a_rollback(
    seen: dict[str, Seen], web: str
) -> None:
    host = seen[web]
    was = {unit: {files} for unit, files in host.debian.before.items()}
    assert distinct(host.before) == was
    # A master and a worker, at least.
    assert min(len(processes) for processes in host.after.values()) >= 2
    assert distinct(host.after) == {unit: {WANTED} for unit in was}
    assert distinct(host.undone) == was
