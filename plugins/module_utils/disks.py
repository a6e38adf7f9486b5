# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Room on the local file systems."""

from __future__ import annotations

import os
import re

from ansible_collections.wpward.wordpress.plugins.module_utils.files import is_directory
from ansible_collections.wpward.wordpress.plugins.module_utils.patience import gather
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import text_of

PROC = "/proc"
_LOCAL = frozenset(
    (
        "bcachefs",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "jfs",
        "overlay",
        "reiserfs",
        "xfs",
        "zfs",
    )
)
"""Never network file systems: asking one whose server is gone hangs. Overlay only as the root
directory of a container; the others belong to containers that run here."""
_MEMORY = frozenset(("/tmp", "/run", "/var/tmp", "/var/log"))
"""Where a full file system in memory stops services."""
_MAX_MOUNTS = 100
_ESCAPE = re.compile(r"\\([0-7]{3})")


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), text)


def mounts() -> list[str]:
    """The mount points of local file systems, one for each file system, "/" first."""
    by_device: dict[str, str] = {}
    for line in (text_of(f"{PROC}/self/mountinfo") or "").splitlines():
        before, _separator, after = line.partition(" - ")
        words, kind = before.split(" "), after.split(" ")[0]
        if len(words) < 5:
            continue
        device, mount = words[2], _unescaped(words[4])
        if kind == "tmpfs":
            usable = mount in _MEMORY
        elif kind == "overlay":
            usable = mount == "/"
        else:
            usable = kind in _LOCAL
        if usable and (device not in by_device or len(mount) < len(by_device[device])):
            # A bind mount shows the same file system a second time, deeper down.
            by_device[device] = mount
    return sorted(by_device.values())[:_MAX_MOUNTS]


def _measure(found: list[dict[str, object]]) -> None:
    for mount in mounts():
        try:
            state = os.statvfs(mount)
        except OSError:
            continue
        # A container's single files, such as /etc/hosts, are mounts of the outer host's disk.
        if state.f_blocks and is_directory(mount):
            found.append(
                {
                    "mount": mount,
                    "size": state.f_blocks * state.f_frsize,
                    "available": state.f_bavail * state.f_frsize,
                    "inodes": state.f_files or None,
                    "inodes_free": state.f_ffree if state.f_files else None,
                }
            )


def room(deadline: float) -> tuple[list[dict[str, object]], bool]:
    """The evidence's ``disks``, and whether all of them answered in time. ``available`` is for
    other users than root; inodes are None where the file system makes them as needed."""
    return gather(_measure, deadline)
