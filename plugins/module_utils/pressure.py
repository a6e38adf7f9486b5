# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How short of processors, memory, disk and descriptors the host is: a few reads of /proc."""

from __future__ import annotations

import os

from ansible_collections.wpward.wordpress.plugins.module_utils.processes import text_of

PROC = "/proc"
_UNLIMITED = 1 << 62
"""The kernel's default for fs.file-max is the largest number that it can hold."""


def load() -> list[float] | None:
    """Mean number of processes that ran or waited for the disk in the last 1, 5 and 15 minutes."""
    words = (text_of(f"{PROC}/loadavg") or "").split()
    try:
        return [float(word) for word in words[:3]] if len(words) >= 3 else None
    except ValueError:
        return None


def processors() -> int | None:
    """How many processors are online."""
    return os.cpu_count()


def _stall(text: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        kind, *words = line.split()
        values: dict[str, float] = {}
        for word in words:
            name, _equals, value = word.partition("=")
            try:
                if name.startswith("avg"):
                    values[name] = float(value)
            except ValueError:
                continue
        found[kind] = values
    return found


def stalls() -> dict[str, dict[str, dict[str, float] | None]] | None:
    """Percent of the last 10, 60 and 300 seconds in which some process, and in which every
    process, had to wait for ``cpu``, ``memory`` or ``io``. None where the kernel does not keep
    pressure stall information (before 4.20, or switched off)."""
    found: dict[str, dict[str, dict[str, float] | None]] = {}
    for resource in ("cpu", "memory", "io"):
        text = text_of(f"{PROC}/pressure/{resource}")
        if text:
            stall = _stall(text)
            if stall.get("some"):
                found[resource] = {"some": stall["some"], "full": stall.get("full")}
    return found or None


def memory() -> dict[str, int | None] | None:
    """Bytes. ``available`` is the kernel's estimate of what can be had without swapping."""
    sizes: dict[str, int] = {}
    for line in (text_of(f"{PROC}/meminfo") or "").splitlines():
        name, _colon, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            sizes[name] = int(words[0]) * 1024
    if "MemTotal" not in sizes:
        return None
    return {
        "total": sizes["MemTotal"],
        "available": sizes.get("MemAvailable"),
        "swap_total": sizes.get("SwapTotal"),
        "swap_free": sizes.get("SwapFree"),
    }


def open_files() -> dict[str, int | None] | None:
    """Open files of the whole host, and how many the kernel allows; None for no limit."""
    words = (text_of(f"{PROC}/sys/fs/file-nr") or "").split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return None
    used, unused, allowed = (int(word) for word in words)
    return {"used": used - unused, "max": allowed if allowed < _UNLIMITED else None}
