# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role on a host with several sites: there, again, changed, gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from integration.guard.wordpress import HERE, Ask, Site
from integration.play import play
from testbed import hosts, podman

DOCROOTS = ("/var/www/blog", "/var/www/second", "/var/www/sub/blog")
OPEN = dict.fromkeys(
    ("xmlrpc", "author_by_id", "rest_users", "users_sitemap", "wlwmanifest"), "open"
)


def apply(host: hosts.Host, run: str, **variables: Any) -> str:
    return play(HERE / "role.yml", host, options=("--diff",), run=run, **variables)


def plugins(host: hosts.Host) -> list[str]:
    listed = podman.execute(
        host.container,
        ["find", "/var/www", "-name", "wpward-guard.php", "-printf", "%p %U %G %m\n"],
    )
    return sorted(listed.splitlines())


def test_there_again_changed_and_gone(make_host: Callable[..., hosts.Host]) -> None:
    host = make_host("guard-role", vhosts=["second", "sub"])
    before = podman.execute(host.container, ["find", "/var/www", "-printf", "%p %m %U %G\n"])
    site = Site(host.address, 80, "second.example")
    assert site.ask(Ask("/?author=1")).status == 301

    assert "changed=2" in apply(host, "first")
    assert plugins(host) == [
        f"{docroot}/wp-content/mu-plugins/wpward-guard.php 0 0 644" for docroot in sorted(DOCROOTS)
    ]
    assert site.ask(Ask("/?author=1")).status == 404

    assert "changed=0" in apply(host, "second")

    units = podman.execute(
        host.container, ["systemctl", "list-units", "--plain", "--no-legend", "php*-fpm.service"]
    )
    said = apply(
        host,
        "third",
        guard_policy={"author_by_id": "open"},
        guard_reload_units=[units.split()[0]],
    )
    assert "changed=2" in said
    assert "+\t'author_by_id' => 'open'," in said
    assert site.ask(Ask("/?author=1")).status == 301

    apply(host, "fourth", guard_policy=OPEN, guard_neutral_login=False)
    assert plugins(host) == []

    podman.execute(host.container, ["python3", "/var/lib/wpward/rollback.py", "rollback"])
    after = podman.execute(host.container, ["find", "/var/www", "-printf", "%p %m %U %G\n"])
    assert sorted(after.splitlines()) == sorted(before.splitlines())
