# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file system that a path lies on, or would lie on once it is made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path


def file_system_of(path: str) -> dict[str, Any]:
    """``mount``, where it is mounted, and ``disk_available``, bytes for other users than root;
    both None where it does not tell."""
    place = Path(real_path(path))
    while not place.is_mount() and place != place.parent:
        place = place.parent
    try:
        state = os.statvfs(place)
    except OSError:
        return {"mount": None, "disk_available": None}
    return {"mount": str(place), "disk_available": state.f_bavail * state.f_frsize}
