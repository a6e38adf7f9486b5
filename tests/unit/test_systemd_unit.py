# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server is reloaded by the unit only if the unit is its own."""

from __future__ import annotations

from typing import Sequence

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    nginx_server,
    systemd_unit,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process
from ansible_collections.wpward.wordpress.plugins.module_utils.systemd_unit import reload_command

NGINX = ["/usr/sbin/nginx", "-p", "/usr/share/nginx", "-c", "/etc/nginx/nginx.conf"]


def master(unit: str | None) -> Process:
    return Process(10, 1, "nginx", "master", "nginx: master process", None, 0.0, unit, False)


@pytest.fixture()
def systemd(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int | None, bytes]]:
    """What systemctl answers, the next first; (status, standard output)."""
    answers: list[tuple[int | None, bytes]] = []

    def run(argv: Sequence[str]) -> tuple[int | None, bytes, bytes]:
        assert list(argv[:2]) == ["systemctl", "show"]
        code, output = answers.pop(0)
        return code, output, b""

    monkeypatch.setattr(systemd_unit, "run", run)
    return answers


def test_its_own_unit(systemd: list[tuple[int | None, bytes]]) -> None:
    systemd += [(0, b"MainPID=10\nCanReload=yes\n"), (0, b"CanReload=yes\nMainPID=10\n")]
    assert reload_command(master("nginx.service")) == ["systemctl", "reload", "nginx"]
    assert reload_command(master("web@one.service")) == ["systemctl", "reload", "web@one"]


@pytest.mark.parametrize(
    "answer",
    [
        (0, b"MainPID=9\nCanReload=yes\n"),
        (0, b"MainPID=10\nCanReload=no\n"),
        (0, b"MainPID=0\nCanReload=no\n"),
        (1, b"MainPID=10\nCanReload=yes\n"),
        (None, b""),
    ],
)
def test_the_unit_of_something_else(
    systemd: list[tuple[int | None, bytes]], answer: tuple[int | None, bytes]
) -> None:
    systemd.append(answer)
    assert reload_command(master("bitnami.service")) is None
    assert reload_command(master(None)) is None


def test_the_commands_of_nginx(systemd: list[tuple[int | None, bytes]]) -> None:
    build = Build("1.22.1", "/usr/share/nginx", "/etc/nginx/nginx.conf", "", "")
    systemd += [(0, b"MainPID=10\nCanReload=yes\n"), (0, b"MainPID=9\nCanReload=yes\n")]
    by_unit = nginx_server._control(NGINX[0], build, master("nginx.service"))
    assert by_unit == {"test": [*NGINX, "-t"], "reload": ["systemctl", "reload", "nginx"]}
    by_binary = {"test": [*NGINX, "-t"], "reload": [*NGINX, "-s", "reload"]}
    assert nginx_server._control(NGINX[0], build, master("bitnami.service")) == by_binary
    assert nginx_server._control(NGINX[0], build, None) == by_binary
