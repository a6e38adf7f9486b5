# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks what the operator says about the recorder and the age of logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHORTEST, _LONGEST = 2, 3600
_OLDEST = 3650


class RecorderSettingsError(ValueError):
    """A setting makes no sense; the text names it, its value and what to do."""


@dataclass(frozen=True)
class RecorderSettings:
    """``interval``: seconds. ``disk_share``: of what a file system has free, from 0 to 1."""

    interval: int
    keep_days: int
    logs_keep_days: int
    disk_share: float


def check_recorder_settings(settings: Mapping[str, Any]) -> RecorderSettings:
    """Raises RecorderSettingsError."""
    return RecorderSettings(
        _whole(settings, "interval", 60, _SHORTEST, _LONGEST),
        _whole(settings, "keep_days", 28, 1, _OLDEST),
        _whole(settings, "logs_keep_days", 30, 0, _OLDEST),
        _share(settings.get("disk_share", 0.2)),
    )


def _whole(settings: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = settings.get(name, default)
    # Ansible's templates may make text of a number.
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdigit() or not least <= int(text) <= most:
        raise RecorderSettingsError(
            f"wpward_recorder_{name} is {value!r}; set it to a whole number from {least} to {most}."
        )
    return int(text)


def _share(value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = 0.0
    if isinstance(value, bool) or not 0 < share <= 1:
        raise RecorderSettingsError(
            f"wpward_recorder_disk_share is {value!r}; set it to a share of the free disk above 0 "
            "and up to 1."
        )
    return share
