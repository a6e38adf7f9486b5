# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small host in a directory: files to change, a journal, and a judge that compares every byte."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_timer import SystemdTimer
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_apply import (
    Request,
    apply,
)

ODD_UID, ODD_GID = 4321, 8765


class UnitFiles(SystemdTimer):
    """The real timer's files, on a host whose systemd only counts what it is told."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(str(scene.state), units=str(scene.units), stamps=str(scene.units))
        self.calls: list[str] = []

    def _booted(self) -> bool:
        return True

    def _is_read(self) -> bool:
        return False

    def _systemctl(self, *words: str) -> None:
        """Do with the unit files what systemctl does."""
        self.calls.append(words[0])
        wanted = Path(self._wanted)
        if words[0] == "enable" and not wanted.is_symlink():
            wanted.symlink_to(self._timer)
        if words[0] == "disable" and wanted.is_symlink():
            wanted.unlink()

    @property
    def armed(self) -> bool:
        return Path(self._timer).exists()


class Scene:
    """``root`` is what a transaction may change, ``state`` where its journal lives."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.units = self.root / "systemd"
        self.state = directory / "state"
        self.timer = UnitFiles(self)

    @property
    def journal(self) -> Journal:
        return Journal(str(self.state), self.timer)

    def build(self) -> Scene:
        """Make a tree with every oddity that must survive a restore."""
        (self.units / "timers.target.wants").mkdir(parents=True)
        self.write("nginx.conf", b"user www-data;\n")
        self.write("site", b"server {\n  # caf\xe9\n}\n", mode=0o640, uid=ODD_UID, gid=ODD_GID)
        self.write("acl", b"shared\n", mode=0o640)
        os.setxattr(self.root / "acl", "system.posix_acl_access", acl_for(ODD_UID))
        os.setxattr(self.root / "acl", "user.note", b"kept")
        self.write("tool", b"#!/bin/sh\n", mode=0o4755, uid=ODD_UID)
        self.write("doomed", b"to be removed\n", mode=0o600)
        self.write("unlinked", b"to become a link\n", mode=0o604, uid=ODD_UID)
        (self.root / "enabled").symlink_to("site")
        self.link("alias", "nginx.conf", ODD_UID)
        for number, path in enumerate(sorted(self.root.iterdir())):
            if path.name != "systemd":
                times = (10**18 + number, 10**18 + 7 * number)
                os.utime(path, ns=times, follow_symlinks=False)
        return self

    def write(
        self, name: str, content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0
    ) -> Path:
        """Write one file below ``root``."""
        path = self.root / name
        path.write_bytes(content)
        os.chown(path, uid, gid)
        path.chmod(mode)
        return path

    def link(self, name: str, target: str, uid: int = 0) -> Path:
        """Make one symbolic link below ``root``."""
        path = self.root / name
        path.symlink_to(target)
        os.lchown(path, uid, uid)
        return path

    def path(self, name: str) -> str:
        """Return the absolute path of a file below ``root``."""
        return str(self.root / name)

    def request(self, run: str = "run1", role: str = "endpoints", **options: Any) -> Request:
        """Return a change set with everything that can be done; ``files`` replaces it."""
        files = options.pop("files", None) or [
            {"path": self.path("enabled"), "content": "server { changed }\n"},
            {"path": self.path("acl"), "content": "changed\n"},
            {"path": self.path("doomed"), "state": "absent"},
            {"path": self.path("new/deep/file"), "content": "created\n", "mode": "0600"},
            {"path": self.path("tool"), "mode": "0700", "owner": "0"},
            {"path": self.path("alias"), "state": "link", "target": "not/there", "owner": "0"},
            {"path": self.path("unlinked"), "state": "link", "target": "new/deep/file"},
        ]
        options.setdefault("validate", [["true"]])
        options.setdefault("activate", [["true"]])
        return Request(run, role, files, **options)

    def apply(self, request: Request | None = None, **options: Any) -> dict[str, Any]:
        """Apply a change set, `request`'s by default."""
        return apply(self.journal, request or self.request(), **options)

    def tree(self) -> dict[str, tuple[Any, ...]]:
        """Return everything below ``root`` that a restore has to bring back."""
        found: dict[str, tuple[Any, ...]] = {}
        for directory, names, files in os.walk(self.root):
            for name in [".", *names, *files]:
                path = Path(directory) / name
                info = path.lstat()
                what: tuple[Any, ...] = (stat.S_IFMT(info.st_mode),)
                what += (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, xattrs(path))
                if stat.S_ISLNK(info.st_mode):
                    what += (os.readlink(path), info.st_mtime_ns)
                if stat.S_ISREG(info.st_mode):
                    what += (path.read_bytes(), info.st_mtime_ns, info.st_nlink)
                found[str(path.relative_to(self.root))] = what
        return found


def xattrs(path: Path) -> dict[str, bytes]:
    """Return a file's extended attributes."""
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def acl_for(uid: int) -> bytes:
    """Return a POSIX ACL, in the kernel's own format, that lets one more user read."""
    nobody = 0xFFFFFFFF
    entries = [(1, 6, nobody), (2, 4, uid), (4, 4, nobody), (16, 4, nobody), (32, 0, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
