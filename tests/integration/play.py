# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks of the tests' own, which apply one role by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testbed import hosts

ROOT = Path(__file__).resolve().parents[2]


def play(playbook: Path, *of: hosts.Host, options: Sequence[str] = (), **variables: Any) -> str:
    """What ansible-playbook printed; an AssertionError with all of it where it did not succeed."""
    inventories = [word for host in of for word in ("--inventory", host.inventory)]
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *(*inventories, *options, "--extra-vars", json.dumps(variables), str(playbook)),
        ],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
