# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks as an operator runs them, for the benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed import hosts

ROOT = Path(__file__).resolve().parents[1]


def play(host: hosts.Host, playbook: str, **variables: Any) -> None:
    """Run a playbook of the repository; a RuntimeError with the end of what it said if it fails."""
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", host.inventory),
            *("-e", json.dumps(variables), str(ROOT / playbook)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-4000:] + done.stderr[-2000:])
