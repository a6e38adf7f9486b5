# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that test and reload an httpd."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_control,
    systemd_unit,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_control import (
    Control,
    is_roots,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process


def master(unit: str | None) -> Process:
    return Process(10, 1, "httpd", "master", "httpd", "/x/httpd", 0.0, unit, False, is_roots=True)


class Host:
    """Programs in a directory, and a systemd that says what it is told to."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base = base
        self.calls: list[list[str]] = []
        self.said = "MainPID=10\nCanReload=yes\n"
        self.dumped = ""
        self.not_roots: set[str] = set()
        (base / "bin").mkdir()
        monkeypatch.setattr(httpd_control, "run", self.run)
        monkeypatch.setattr(systemd_unit, "run", self.run)
        monkeypatch.setattr(httpd_control, "is_roots", lambda path: path not in self.not_roots)
        self.control = Control(
            binary=f"{base}/bin/httpd",
            config_path="/srv/conf/httpd.conf",
            server_root="/srv",
            usual_path="/srv/conf/httpd.conf",
            options=(),
            master=master(None),
            environment_files=(f"{base}/bin/envvars",),
            needs_variables=False,
        )

    def run(self, argv: list[str]) -> tuple[int | None, bytes, bytes]:
        self.calls.append(argv)
        said = self.said if argv[0] == "systemctl" else self.dumped
        return (0 if said else None), said.encode(), b""

    def script(self, name: str = "apachectl") -> str:
        path = self.base / "bin" / name
        path.touch()
        return str(path)

    def words(self, layout: str, **given: object) -> tuple[list[str], list[str]]:
        commands = dataclasses.replace(self.control, **given).describe(layout)  # type: ignore[arg-type]
        return commands["test"], commands["reload"]


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_debian(host: Host) -> None:
    path = host.script("apache2ctl")
    host.script()
    given = {"config_path": "/etc/apache2/apache2.conf", "master": master("apache2.service")}
    reload = ["systemctl", "reload", "apache2"]
    assert host.words("debian", **given) == ([path, "configtest"], reload)
    given = {
        "config_path": "/etc/apache2-two/apache2.conf",
        "master": master("apache2@two.service"),
    }
    assert host.words("debian", **given) == (
        ["env", "APACHE_CONFDIR=/etc/apache2-two", path, "configtest"],
        ["systemctl", "reload", "apache2@two"],
    )


def test_red_hat(host: Host) -> None:
    host.script()
    options = ("-d", "/srv", "-D", "ONE", "-f", "conf/httpd.conf", "-D", "FOREGROUND")
    paths = ["-d", "/srv", "-f", "/srv/conf/httpd.conf", "-D", "ONE", "-D", "FOREGROUND"]
    test, reload = host.words("rhel", options=options, master=master("httpd.service"))
    assert test == [host.control.binary, *paths, "-t"]
    assert reload == ["systemctl", "reload", "httpd"]
    assert host.words("rhel", master=None)[1] == ["systemctl", "reload", "httpd"]


def test_bitnami_never_by_the_unit_of_the_whole_stack(host: Host) -> None:
    path = host.script()
    expected = ([path, "configtest"], [path, "graceful"])
    assert host.words("bitnami", master=master("bitnami.service")) == expected
    assert host.calls == []


def test_a_script_that_means_another_configuration(host: Host) -> None:
    path = host.script()
    host.dumped = "Included configuration files:\n  (*) /etc/other/httpd.conf\n"
    binary = [host.control.binary, "-d", "/srv", "-f", "/srv/conf/httpd.conf"]
    by_binary = ([*binary, "-t"], [*binary, "-k", "graceful"])
    given = {"usual_path": "/etc/other/httpd.conf"}
    assert host.words("bitnami", **given) == by_binary
    assert host.calls == [[path, "-t", "-D", "DUMP_INCLUDES"]]
    host.dumped = "Included configuration files:\n  (*) /srv/conf/httpd.conf\n"
    assert host.words("bitnami", **given) == ([path, "configtest"], [path, "graceful"])
    # What the server was told on its command line, the script does not know.
    test, _reload = host.words("bitnami", options=("-D", "SITES"))
    assert test == [*binary, "-D", "SITES", "-t"]


def test_no_script_that_somebody_else_could_have_written(host: Host) -> None:
    path = host.script()
    host.not_roots = {path}
    test, reload = host.words("bitnami")
    assert path not in (*test, *reload)
    assert test[0] == reload[0] == host.control.binary


def test_a_server_that_lies_in_the_unit_of_something_else(host: Host) -> None:
    host.said = "MainPID=999\nCanReload=yes\n"
    assert host.words("rhel", master=master("ssh.service"))[1][0] == host.control.binary
    host.said = "MainPID=10\nCanReload=no\n"
    assert host.words("rhel", master=master("mine.service"))[1][0] == host.control.binary
    host.said = ""
    assert host.words("rhel", master=master("mine.service"))[1][0] == host.control.binary


def test_variables_come_from_the_file_and_their_values_are_not_told(host: Host) -> None:
    program = host.base / "bin/httpd"
    program.write_text('#!/bin/sh\necho "$SECRET" "$*"\n')
    program.chmod(0o755)
    file = host.base / "bin/envvars"
    file.write_text("SECRET=hush\n")
    test, _reload = host.words("other", needs_variables=True)
    assert "hush" not in " ".join(test)
    said = subprocess.run(test, env={"PATH": "/bin"}, capture_output=True, check=True, text=True)
    assert said.stdout == "hush -d /srv -f /srv/conf/httpd.conf -t\n"
    assert host.words("other")[0][0] == host.control.binary
    host.not_roots = {str(file)}
    assert host.words("other", needs_variables=True)[0][0] == host.control.binary


def test_what_only_root_can_change(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_roots("/bin/sh")
    assert not is_roots("/nonexistent")
    assert not is_roots("/tmp")
    seen = {"/": (0o755, 0, 0), "/opt": (0o755, 0, 0)}

    def stat(path: Path) -> os.stat_result:
        mode, owner, group = seen[str(path)]
        return os.stat_result((mode, 0, 0, 0, owner, group, 0, 0, 0, 0))

    monkeypatch.setattr(httpd_control, "real_path", str)
    monkeypatch.setattr(Path, "stat", stat)
    for state, expected in [
        ((0o755, 0, 0), True),
        ((0o775, 0, 0), True),
        ((0o775, 0, 50), False),
        ((0o757, 0, 0), False),
        ((0o755, 1000, 0), False),
    ]:
        seen["/opt/ctl"] = state
        assert is_roots("/opt/ctl") is expected, state
    seen["/opt/ctl"] = (0o755, 0, 0)
    seen["/opt"] = (0o755, 1000, 0)
    assert not is_roots("/opt/ctl")
