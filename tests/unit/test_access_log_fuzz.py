# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A short run of what `make fuzz` does at length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).resolve().parents[1] / "fuzz" / "access_log.py"


def test_no_line_raises() -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--lines", "10000", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "10000 lines in 5 formats" in done.stdout
