# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Room on disks: which mounts are asked, and what they answer."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import disks

_MOUNTS = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
28 27 8:1 /srv/www /var/www rw,relatime - ext4 /dev/sda1 rw
29 27 8:17 / /var/lib/mysql\040data rw,relatime - xfs /dev/sdb1 rw
30 27 0:45 / /mnt/backup rw,relatime - nfs4 192.0.2.5:/backup rw
31 27 0:46 / /mnt/share rw - fuse.sshfs backup@192.0.2.6:/ rw
32 27 0:47 / /tmp rw - tmpfs tmpfs rw
33 27 0:48 / /dev/shm rw - tmpfs tmpfs rw
34 27 0:49 / /var/lib/containers/storage/overlay/x/merged rw - overlay overlay rw
35 27 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
odd line
"""


def test_only_local_file_systems_are_asked_and_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(_MOUNTS)
    monkeypatch.setattr(disks, "PROC", str(tmp_path))
    assert disks.mounts() == ["/", "/tmp", "/var/lib/mysql data"]


def test_this_machine_agrees_with_the_standard_library() -> None:
    rows, complete = disks.room(time.monotonic() + 5)
    assert complete
    root = next(row for row in rows if row["mount"] == "/")
    usage = shutil.disk_usage("/")
    assert root["size"] == usage.total
    assert root["available"] == pytest.approx(usage.free, rel=0.05)


def test_a_disk_that_hangs_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    state = os.statvfs("/")

    def statvfs(mount: str) -> os.statvfs_result:
        if mount == "/hung":
            time.sleep(1)
        return state

    monkeypatch.setattr(disks, "mounts", lambda: ["/", "/hung", "/tmp"])
    monkeypatch.setattr(os, "statvfs", statvfs)
    began = time.monotonic()
    rows, complete = disks.room(began + 0.1)
    assert time.monotonic() - began < 0.6
    assert [row["mount"] for row in rows] == ["/"]
    assert not complete


def test_the_mount_of_a_single_file_is_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "mounts", lambda: ["/", __file__, "/nonexistent"])
    rows, complete = disks.room(time.monotonic() + 5)
    assert ([row["mount"] for row in rows], complete) == (["/"], True)
