# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Started by its path: this folder would be searched first, its parent not at all.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from testbed.cli import main

if __name__ == "__main__":
    sys.exit(main())
