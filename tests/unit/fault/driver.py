# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One action on a scene, as a process of its own that strace can kill or starve.

Exit status: 0 done, 3 refused with a sentence, 4 anything else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "playbooks" / "collections"), str(ROOT / "tests")]

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (  # noqa: E402
    Refused,
)
from unit.fault.scene import Scene  # noqa: E402


def main() -> int:
    """Do what the arguments say: the scene's directory and the action."""
    scene, action = Scene(Path(sys.argv[1])), sys.argv[2]
    journal = scene.journal
    request = scene.request()
    try:
        if action in ("apply", "apply again"):
            scene.apply(request)
            return 0
        with journal.lock(action):
            if action == "confirm":
                journal.confirm("run1")
            elif action == "rollback":
                return 3 if journal.roll_back().failures else 0
            elif action == "recover":
                return 3 if journal.recover().failures else 0
    except (Refused, OSError):
        return 3
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except BaseException as error:
        sys.stderr.write(repr(error))
        code = 4
    os._exit(code)
