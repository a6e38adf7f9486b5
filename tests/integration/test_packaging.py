# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The built wheel, installed in a clean environment, run from an unrelated directory."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from testbed import hosts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(target), str(ROOT)], check=True
    )
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin/pip"), "install", "--quiet", str(wheel)], check=True)
    return venv / "bin"


def test_wheel_holds_the_collection_and_nothing_twice(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = "ansible_collections/wpward/wordpress/"
    assert f"{inside}playbooks/harden.yml" in names
    assert f"{inside}plugins/modules/transaction.py" in names
    assert f"{inside}roles/endpoints/meta/argument_specs.yml" in names
    assert f"{inside}meta/runtime.yml" in names
    assert f"{inside}plugins/plugin_utils/html_report_templates/style.css" in names
    assert "wpward/cli.py" in names
    assert not [name for name in names if "playbooks/collections" in name]
    assert len(names) == len(set(names))


def test_playbook_and_command_run_from_anywhere(
    installed: Path, make_host: Callable[..., hosts.Host], tmp_path: Path
) -> None:
    host = make_host("packaging")
    environment = {
        "PATH": f"{installed}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(tmp_path),
        "PWD": str(tmp_path),
        "LC_ALL": "C.UTF-8",
        # Its socket would lie in this home, whose path can be too long for one.
        "ANSIBLE_SSH_ARGS": "-o ControlMaster=no",
    }
    for command in (
        ["ansible-playbook", "wpward.wordpress.probe", "-i", host.inventory],
        [
            "wpward",
            "harden",
            "-i",
            host.inventory,
            "-e",
            '{"wpward_roles": ["endpoints", "guard"]}',
        ],
        ["wpward", "rollback", "-i", host.inventory],
    ):
        done = subprocess.run(
            [str(installed / command[0]), *command[1:]],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    reports = tmp_path / "wpward-reports"
    assert len(list(reports.glob("*/packaging.json"))) == 2
    assert len(list(reports.glob("*/report.html"))) == 2
