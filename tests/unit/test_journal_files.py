# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Paths are walked so that nobody redirects root, and files keep every attribute."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import Refused
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import (
    resolve,
    same,
    snapshot,
    write_file,
)
from unit.fault.scene import ODD_GID, ODD_UID, acl_for, xattrs

DEFAULT_ACL = "system.posix_acl_default"


def real(path: object) -> str:
    place = resolve(str(path))
    place.close()
    return place.path


def link(path: Path, target: str, uid: int) -> Path:
    path.symlink_to(target)
    os.lchown(path, uid, uid)
    return path


def test_roots_own_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "available").mkdir()
    (tmp_path / "available" / "site").write_text("x")
    link(tmp_path / "enabled", "available/../available", 0)
    link(tmp_path / "available" / "alias", str(tmp_path / "available" / "site"), 0)
    assert real(tmp_path / "enabled" / "alias") == str(tmp_path / "available" / "site")


def test_a_link_to_a_missing_file_leads_there(tmp_path: Path) -> None:
    link(tmp_path / "dangling", "not/there", 0)
    place = resolve(str(tmp_path / "dangling"))
    assert place.path == str(tmp_path / "not" / "there")
    assert place.new_directories == [str(tmp_path / "not")]
    place.close()


def test_missing_directories_behind_a_link_are_those_of_its_target(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link(tmp_path / "link", "real", 0)
    place = resolve(str(tmp_path / "link" / "a" / "b" / "file"))
    assert place.new_directories == [str(tmp_path / "real" / "a"), str(tmp_path / "real" / "a/b")]
    place.close()


def test_a_users_link_to_the_users_own_directory_is_followed(tmp_path: Path) -> None:
    for name in ("releases", "releases/7"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, ODD_UID, ODD_UID)
    link(tmp_path / "current", "releases/7", ODD_UID)
    assert real(tmp_path / "current" / "x.php") == str(tmp_path / "releases" / "7" / "x.php")


@pytest.mark.parametrize("where", ["directory", "file", "chain"])
def test_a_users_link_to_somebody_elses_file_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root")
    web = tmp_path / "web"
    web.mkdir()
    os.chown(web, ODD_UID, ODD_UID)
    if where == "directory":
        wanted = link(web / "plugins", str(tmp_path / "etc"), ODD_UID) / "passwd"
    elif where == "file":
        wanted = link(web / "plugin.php", "../etc/passwd", ODD_UID)
    else:
        link(web / "inner", "../etc", ODD_UID)
        wanted = link(web / "outer", "inner", ODD_UID) / "passwd"
    with pytest.raises(Refused, match=f"user id {ODD_UID} .* could redirect root's write"):
        real(wanted)


def test_a_hard_link_to_roots_link_is_nobodys_word(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.chown(tmp_path / "etc", ODD_UID, ODD_UID)
    roots = link(tmp_path / "roots", "etc", 0)
    os.link(roots, tmp_path / "stolen", follow_symlinks=False)
    with pytest.raises(Refused, match="not followed"):
        real(tmp_path / "stolen" / "passwd")


def test_a_loop_is_refused(tmp_path: Path) -> None:
    link(tmp_path / "a", "b", 0)
    link(tmp_path / "b", "a", 0)
    with pytest.raises(Refused, match="symbolic link"):
        real(tmp_path / "a" / "x")


@pytest.mark.parametrize("path", ["etc/x", "/etc/../x", "/etc/", "/a\0b", "", "/"])
def test_odd_paths_are_refused(path: str) -> None:
    with pytest.raises(Refused, match="path"):
        resolve(path)


def test_a_file_in_the_way_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused, match="is not a directory"):
        resolve(str(tmp_path / "file" / "below"))


def test_names_need_not_be_text(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).mkdir()
    path = f"{tmp_path}/caf\udce9/x"
    assert real(path) == path


@pytest.mark.parametrize("kind", ["directory", "pipe", "device"])
def test_only_regular_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mknod(path, 0o020666, os.makedev(1, 3))
    place = resolve(str(path))
    with pytest.raises(Refused, match=r"is a directory|not a regular file"):
        snapshot(place)
    place.close()


def test_a_file_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as stream:
        stream.truncate(17 * 1024 * 1024)
    place = resolve(str(path))
    with pytest.raises(Refused, match="larger than 16777216 bytes"):
        snapshot(place)
    place.close()


def test_every_attribute_survives_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x00\xff")
    os.chown(path, ODD_UID, ODD_GID)
    os.setxattr(path, "system.posix_acl_access", acl_for(ODD_UID))
    os.setxattr(path, "user.note", b"\x00")
    path.chmod(0o2711)
    os.utime(path, ns=(123456789123456789, 987654321987654321))
    place = resolve(str(path))
    before, content = snapshot(place)
    path.unlink()
    write_file(place.descriptor, b"x", content, before)
    after, _content = snapshot(place)
    place.close()
    assert {**after, "atime_ns": 0} == {**before, "atime_ns": 0}


def test_a_directorys_default_acl_does_not_creep_in(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("x")
    place = resolve(str(path))
    before, content = snapshot(place)
    os.setxattr(tmp_path, DEFAULT_ACL, acl_for(ODD_UID))
    write_file(place.descriptor, b"y", content, before)
    write_file(place.descriptor, b"z", content, {"mode": 0o644, "uid": 0, "gid": 0})
    place.close()
    assert xattrs(tmp_path / "y") == {}
    assert list(xattrs(tmp_path / "z")) == ["system.posix_acl_access"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    attributes = {"mode": 0o644, "uid": 0, "gid": 0, "xattrs": {"nonsense": ""}}
    with pytest.raises(OSError, match="not supported"):
        write_file(descriptor, b"x", b"content", attributes)
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == []


def test_same_looks_at_content_owner_and_mode() -> None:
    one = {"kind": "file", "sha256": "a", "mode": 0o644, "uid": 0, "gid": 0, "mtime_ns": 1}
    assert same(one, {**one, "mtime_ns": 2})
    assert not any(same(one, {**one, key: 7}) for key in ("sha256", "mode", "uid", "gid"))
    assert not same(one, {"kind": "absent"})
    assert same({"kind": "absent"}, {"kind": "absent"})
