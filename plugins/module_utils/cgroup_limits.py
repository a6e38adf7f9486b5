# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the control groups of a process allow it: memory and processor time.

Both versions of the hierarchy are read, and a host may have both mounted. A container sees its own
group as the root of what is mounted, whatever path the kernel names for its processes, so that
root is asked too. The limits themselves count and not the properties of a unit: where systemd may
not write to the hierarchy, MemoryMax is accepted and does nothing (seen with systemd 252 in a
container whose memory hierarchy is mounted read-only).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.processes import text_of

PROC = "/proc"
_UNLIMITED = 1 << 60
"""The first version has no word for it and shows the largest number of whole pages."""
_MAX_DEPTH = 32
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """A mounted hierarchy. ``root``: the path of the group that is mounted at ``place``."""

    version: int
    controllers: frozenset[str]
    root: str
    place: str


@dataclass(frozen=True)
class Group:
    """A group that holds a process, as a directory. ``name``: its path below the mount."""

    version: int
    directory: str
    name: str

    @property
    def unit(self) -> str | None:
        """The systemd service that the group belongs to."""
        parts = [part for part in self.name.split("/") if part.endswith(".service")]
        return parts[-1] if parts else None


@dataclass(frozen=True)
class MemoryLimit:
    """Bytes. ``used``: without what the kernel gives back by itself when memory is short."""

    limit: int
    used: int
    group: Group


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), text)


def mounts() -> list[Mount]:
    """The hierarchies that are mounted here."""
    found: list[Mount] = []
    for line in (text_of(f"{PROC}/self/mountinfo") or "").splitlines():
        before, _dash, behind = line.partition(" - ")
        words, kind = before.split(), behind.split()
        if len(words) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if kind[0] == "cgroup2" else 1
        controllers = frozenset(kind[2].split(",") if version == 1 else ())
        found.append(Mount(version, controllers, _unescaped(words[3]), _unescaped(words[4])))
    return found


def _paths(pid: int) -> Iterator[tuple[int, frozenset[str], str]]:
    for line in (text_of(f"{PROC}/{pid}/cgroup") or "").splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if path.startswith("/"):
            yield (
                2 if number == "0" and not controllers else 1,
                frozenset(controllers.split(",")),
                path,
            )


def _chain(mount: Mount, path: str) -> Iterator[Group]:
    """The groups from the process's own up to the root of the mount."""
    root = mount.root.rstrip("/")
    inside = path[len(root) :] if path == root or path.startswith(root + "/") else ""
    parts = [part for part in inside.split("/") if part]
    if ".." in parts or len(parts) > _MAX_DEPTH:
        parts = []
    while True:
        name = "/" + "/".join(parts)
        yield Group(mount.version, posixpath.join(mount.place, *parts), name)
        if not parts:
            return
        parts.pop()


def groups(pid: int, controller: str) -> list[Group]:
    """The groups that a process is in and that may limit ``controller``, its own first."""
    mounted = mounts()
    found: list[Group] = []
    for version, controllers, path in _paths(pid):
        if version == 1 and controller not in controllers:
            continue
        for mount in mounted:
            if mount.version == version and (version == 2 or controller in mount.controllers):
                found += _chain(mount, path)
                break
    return found


def _number(path: str) -> int | None:
    text = (text_of(path) or "").strip()
    return int(text) if text.isdigit() else None


def _statistics(group: Group) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in (text_of(f"{group.directory}/memory.stat") or "").splitlines():
        name, _blank, value = line.partition(" ")
        if value.isdigit():
            found[name] = int(value)
    return found


def memory_limit(group: Group) -> MemoryLimit | None:
    """What a group and those in it may use together; None where that is not limited."""
    if group.version == 2:
        # Above memory.high nothing is killed, but everything crawls.
        known = [_number(f"{group.directory}/memory.{name}") for name in ("max", "high")]
        used = _number(f"{group.directory}/memory.current")
        returned = ["active_file", "inactive_file", "slab_reclaimable"]
    else:
        known = [_number(f"{group.directory}/memory.limit_in_bytes")]
        used = _number(f"{group.directory}/memory.usage_in_bytes")
        returned = ["total_active_file", "total_inactive_file"]
    statistics = _statistics(group)
    if group.version == 1 and group.name == "/":
        # The groups above are not to be seen from within a container, but what they allow is.
        known.append(statistics.get("hierarchical_memory_limit"))
    limits = [limit for limit in known if limit is not None and limit < _UNLIMITED]
    if not limits:
        return None
    held = (used or 0) - sum(statistics.get(name, 0) for name in returned)
    return MemoryLimit(min(limits), max(held, 0), group)


def processor_quota(group: Group) -> float | None:
    """How many processors a group may keep busy; None where that is not limited."""
    if group.version == 2:
        words = (text_of(f"{group.directory}/cpu.max") or "").split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [(text_of(f"{group.directory}/{name}") or "").strip() for name in names]
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def lowest_memory(found: Sequence[Group]) -> MemoryLimit | None:
    """The lowest of the limits of some groups."""
    limits = [limit for limit in map(memory_limit, found) if limit is not None]
    return min(limits, key=lambda one: one.limit, default=None)


def lowest_quota(found: Sequence[Group]) -> float | None:
    """The same for the time of the processors."""
    return min((one for one in map(processor_quota, found) if one is not None), default=None)
