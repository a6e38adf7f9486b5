# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The library that travels to the servers, on the oldest and newest Python it is written for."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ["pytest", "hypothesis"]
# Killing a transaction at each of its steps takes a minute, and which Python is killed is the same.
LEFT_OUT = "tests/unit/test_transaction_faults.py"


def _interpreter(version: str) -> str | None:
    on_path = shutil.which(f"python{version}")
    managed = sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
            f"versions/{version}.*/bin/python{version}"
        )
    )
    for candidate in [*(str(path) for path in managed), on_path]:
        # A pyenv shim stands on PATH for versions that are installed but not selected.
        if candidate and subprocess.run([candidate, "-c", ""], check=False).returncode == 0:
            return candidate
    return None


def _environment(version: str, interpreter: str) -> Path:
    key = hashlib.sha256(f"{interpreter} {REQUIREMENTS}".encode()).hexdigest()[:12]
    venv = ROOT / ".cache" / f"python{version}-{key}"
    python = venv / "bin" / "python"
    if not (venv / "ready").exists():
        subprocess.run([interpreter, "-m", "venv", "--clear", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *REQUIREMENTS], check=True)
        (venv / "ready").touch()
    return python


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_library_passes_its_unit_tests(version: str) -> None:
    interpreter = _interpreter(version)
    if interpreter is None:
        pytest.skip(
            f"no Python {version} on this machine: its run of the library's tests is missing"
        )
    done = subprocess.run(
        [
            *(str(_environment(version, interpreter)), "-m", "pytest", "-q"),
            *("--hypothesis-profile=few", "--ignore", LEFT_OUT, "tests/unit"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
