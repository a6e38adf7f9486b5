# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much of each file system's free room may be taken, by several who want some of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = ("KiB", "MiB", "GiB", "TiB")


def readable(size: float) -> str:
    """Bytes for people: ``1.5 GiB``."""
    for unit in _UNITS:
        size /= 1024
        if size < 1024 or unit == _UNITS[-1]:
            break
    return f"{size:.1f} {unit}"


class Allowance:
    """``share``: of what a file system has free, from 0 to 1."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._left: dict[str, float] = {}

    def left(self, row: Mapping[str, Any]) -> float:
        """Bytes that may still be taken where the evidence's row lies. Where that is not known,
        nothing may."""
        mount, available = row.get("mount"), row.get("disk_available")
        if not mount or not isinstance(available, (int, float)):
            return 0
        return self._left.setdefault(mount, available * self._share)

    def take(self, row: Mapping[str, Any], size: float) -> bool:
        """Whether that many bytes may be taken there; if so, they are gone for the next."""
        if size > self.left(row):
            return False
        if size > 0:
            self._left[row["mount"]] -= size
        return True

    def short(self, row: Mapping[str, Any], size: float) -> str:
        """The part of a sentence that says what is missing."""
        return (
            f"would need {readable(size)} of {readable(row.get('disk_available') or 0)} free on "
            f"{row.get('mount') or 'its file system'}, and {readable(self.left(row))} of that may "
            "still be taken (wpward_recorder_disk_share)"
        )
