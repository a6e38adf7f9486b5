# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Symbolic links: made, replaced and removed as themselves, and put back as they were."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Outcome
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import Refused
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_apply import (
    Failed,
    Request,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_plan import preview
from unit.fault.scene import ODD_GID, ODD_UID, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).build()


def link(scene: Scene, name: str, target: str, **wanted: Any) -> Request:
    entry = {"path": scene.path(name), "state": "link", "target": target, **wanted}
    return scene.request(files=[entry])


def roll_back(scene: Scene) -> Outcome:
    with scene.journal.lock("test"):
        return scene.journal.roll_back()


# What stands in the way: the name, what is done to it, and how the diff shows it.
WAYS = [
    ("nothing", "created", ("", " (absent)")),
    ("unlinked", "changed", ("to become a link\n", f" (mode 0604, owner {ODD_UID}:0)")),
    ("alias", "changed", ("-> nginx.conf\n", f" (symbolic link, owner {ODD_UID}:{ODD_UID})")),
]


@pytest.mark.parametrize(("name", "action", "shown"), WAYS)
def test_whatever_was_there_is_replaced_and_comes_back(
    scene: Scene, name: str, action: str, shown: tuple[str, str]
) -> None:
    before = scene.tree()
    request = link(scene, name, "not/there", owner="0", group="0")
    checked = scene.apply(request, check_mode=True, want_diff=True)
    assert scene.tree() == before
    done = scene.apply(request, want_diff=True)
    assert [checked[key] for key in ("files", "diff")] == [done[key] for key in ("files", "diff")]
    assert done["files"] == [{"path": scene.path(name), "action": action}]
    assert done["diff"] == [
        {
            "before": shown[0],
            "after": "-> not/there\n",
            "before_header": scene.path(name) + shown[1],
            "after_header": scene.path(name) + " (symbolic link, owner 0:0)",
        }
    ]
    assert os.readlink(scene.path(name)) == "not/there"
    assert (scene.root / name).lstat().st_uid == 0
    again = scene.apply(request, want_diff=True)
    assert (again["changed"], again["diff"]) == (False, [])
    would = preview(scene.journal.chosen())
    outcome = roll_back(scene)
    assert (outcome.failures, outcome.files) == ([], would[0])
    assert would[1][0]["after"] == shown[0]
    assert scene.tree() == before


def test_a_link_that_is_right_already(scene: Scene) -> None:
    before = scene.tree()
    result = scene.apply(link(scene, "alias", "nginx.conf"))
    assert (result["changed"], result["files"][0]["action"]) == (False, "unchanged")
    assert scene.tree() == before
    assert list((scene.state / "runs").iterdir()) == []


def test_a_link_keeps_its_owner_unless_told_otherwise(scene: Scene) -> None:
    scene.apply(link(scene, "alias", "site"))
    assert scene.tree()["alias"][2:4] == (ODD_UID, ODD_UID)
    scene.apply(link(scene, "alias", "site", owner="0", group=str(ODD_GID)))
    assert scene.tree()["alias"][2:4] == (0, ODD_GID)
    scene.apply(link(scene, "unlinked", "site"))
    assert scene.tree()["unlinked"][2:4] == (0, 0)


def test_a_file_and_the_link_to_it_in_one_change_set(scene: Scene) -> None:
    """As Debian's a2enconf enables a configuration; undone in the reverse order."""
    before = scene.tree()
    files = [
        {"path": scene.path("available/x.conf"), "content": "x\n"},
        {"path": scene.path("enabled.d/x.conf"), "state": "link", "target": "../available/x.conf"},
    ]
    reads = ["grep", "--quiet", "x", scene.path("enabled.d/x.conf")]
    scene.apply(scene.request(files=files, checks=[reads]))
    outcome = roll_back(scene)
    assert [item["path"] for item in outcome.files] == [
        scene.path("enabled.d/x.conf"),
        scene.path("available/x.conf"),
    ]
    assert scene.tree() == before


def test_a_file_and_its_link_changed_and_taken_away_again(scene: Scene) -> None:
    files = [
        {"path": scene.path("x"), "content": "one"},
        {"path": scene.path("y"), "state": "link", "target": "x"},
    ]
    origin = scene.tree()
    scene.apply(scene.request(files=files))
    scene.apply(scene.request(files=[{**files[0], "content": "two"}, files[1]]))
    scene.apply(scene.request(files=[{"path": item["path"], "state": "absent"} for item in files]))
    assert not (scene.root / "y").is_symlink()
    assert len(scene.journal.runs.transactions("run1")) == 3
    assert roll_back(scene).failures == []
    assert scene.tree() == origin


@pytest.mark.parametrize("target", ["nginx.conf", "not/there", "systemd"])
def test_removing_a_link_leaves_its_target_alone(scene: Scene, target: str) -> None:
    scene.link("doubtful", target, ODD_UID)
    before = scene.tree()
    result = scene.apply(
        scene.request(files=[{"path": scene.path("doubtful"), "state": "absent"}]), want_diff=True
    )
    assert result["files"] == [{"path": scene.path("doubtful"), "action": "removed"}]
    assert result["diff"][0]["before"] == f"-> {target}\n"
    assert {name for name in before if name not in scene.tree()} == {"doubtful"}
    assert roll_back(scene).failures == []
    assert scene.tree() == before


def test_content_goes_to_the_file_behind_a_link(scene: Scene) -> None:
    scene.link("dangling", "fresh", 0)
    before = scene.tree()
    files = [{"path": scene.path(name), "content": "x"} for name in ("enabled", "dangling")]
    scene.apply(scene.request(files=files))
    assert [os.readlink(scene.path(name)) for name in ("enabled", "dangling")] == ["site", "fresh"]
    assert (scene.root / "site").read_text() == (scene.root / "fresh").read_text() == "x"
    assert roll_back(scene).failures == []
    assert scene.tree() == before


def test_the_directories_before_a_link_are_followed_safely(scene: Scene) -> None:
    (scene.root / "real").mkdir()
    scene.link("through", "real")
    scene.apply(link(scene, "through/new/x", "y"))
    assert os.readlink(scene.path("real/new/x")) == "y"
    web = scene.root / "web"
    web.mkdir()
    os.chown(web, ODD_UID, ODD_UID)
    scene.link("web/plugins", "../systemd", ODD_UID)
    with pytest.raises(Refused, match="could redirect root's write"):
        scene.apply(link(scene, "web/plugins/x", "y"))


# --- what cannot be ---


def test_a_directory_is_refused(scene: Scene) -> None:
    before = scene.tree()
    with pytest.raises(Refused, match=r"systemd is a directory\.$"):
        scene.apply(link(scene, "systemd", "x"))
    assert scene.tree() == before


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"state": "link"}, "to None, which no link can point to"),
        ({"state": "link", "target": ""}, "to '', which no link"),
        ({"state": "link", "target": "a\0b"}, "which no link"),
        ({"state": "link", "target": "\ud800"}, "is not text"),
        ({"state": "link", "target": "x", "mode": "0644"}, "symbolic link, which has no mode"),
        ({"state": "link", "target": "x", "content": ""}, "symbolic link, which has no content"),
        ({"target": "x", "content": "y"}, "a target, which belongs to state link only"),
    ],
)
def test_arguments_that_make_no_sense(scene: Scene, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        scene.apply(scene.request(files=[{"path": scene.path("fresh"), **wanted}]))
    assert not (scene.root / "fresh").is_symlink()


def test_a_target_that_is_too_long(scene: Scene) -> None:
    before = scene.tree()
    with pytest.raises(Failed, match="fresh cannot be written: File name too long"):
        scene.apply(link(scene, "fresh", "x" * 5000))
    assert scene.tree() == before


def test_a_checksum_is_never_that_of_a_link(scene: Scene) -> None:
    with pytest.raises(Refused, match="alias is there since"):
        scene.apply(link(scene, "alias", "x", sha256="absent"))
    with pytest.raises(Refused, match=r"alias has changed since .*, link found"):
        scene.apply(link(scene, "alias", "x", sha256="0" * 64))
    assert scene.apply(link(scene, "nothing", "x", sha256="absent"))["changed"]


def test_a_link_that_is_named_twice(scene: Scene) -> None:
    entry = {"path": scene.path("x"), "state": "link", "target": "y"}
    with pytest.raises(Refused, match="x is named twice"):
        scene.apply(scene.request(files=[entry, {**entry, "target": "z"}]))


@pytest.mark.parametrize("target", ["file", "second"])
@pytest.mark.parametrize("state", ["absent", "link"])
def test_a_file_and_the_link_that_leads_to_it(scene: Scene, state: str, target: str) -> None:
    scene.write("file", b"old")
    (scene.root / "second").symlink_to("file")
    (scene.root / "first").symlink_to(target)
    way = {"path": scene.path("first"), "content": "new"}
    link = {"path": scene.path("first" if target == "file" else "second"), "state": state}
    if state == "link":
        link["target"] = "elsewhere"
    before = scene.tree()
    for files in ([way, link], [link, way]):
        with pytest.raises(Refused, match=r"first leads through the symbolic link .* names too"):
            scene.apply(scene.request(files=files))
    assert scene.tree() == before


# --- others at work ---


@pytest.mark.parametrize("how", ["target", "owner", "file", "gone", "directory"])
@pytest.mark.parametrize("name", ["nothing", "unlinked", "alias"])
def test_a_later_edit_is_not_overwritten(scene: Scene, name: str, how: str) -> None:
    scene.apply(link(scene, name, "ours", owner="0"))
    path = scene.root / name
    if how == "owner":
        os.lchown(path, ODD_UID, 0)
    else:
        path.unlink()
    if how == "target":
        path.symlink_to("theirs")
    if how == "file":
        path.write_text("theirs")
    if how == "directory":
        path.mkdir()
    if (name, how) == ("nothing", "gone"):
        assert roll_back(scene).failures == []
        return
    edited = scene.tree()
    (conflict,) = roll_back(scene).conflicts
    assert scene.path(name) in conflict
    assert "001-endpoints of run run1 is left as it is" in conflict
    assert scene.tree() == edited


def test_an_edit_before_an_interrupted_rollback_came_to_the_link(scene: Scene) -> None:
    scene.apply(link(scene, "alias", "ours"))
    scene.journal.runs.transactions("run1")[0].become("rolling_back")
    (scene.root / "alias").unlink()
    (scene.root / "alias").symlink_to("theirs")
    with scene.journal.lock("test"):
        (conflict,) = scene.journal.recover().conflicts
    assert "alias was changed by somebody else since" in conflict
    assert os.readlink(scene.path("alias")) == "theirs"


def test_a_link_in_the_place_of_a_file_is_not_followed(scene: Scene) -> None:
    scene.apply(scene.request(files=[{"path": scene.path("site"), "content": "ours"}]))
    (scene.root / "site").rename(scene.root / "moved")
    (scene.root / "site").symlink_to("moved")
    (conflict,) = roll_back(scene).conflicts
    assert "site was changed by somebody else since" in conflict
    assert (scene.root / "moved").read_text() == "ours"


def test_a_link_of_somebody_at_the_very_moment(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm = scene.timer.arm

    def and_meanwhile(*when: Any) -> None:
        arm(*when)
        if not (scene.root / "x").is_symlink():
            (scene.root / "x").symlink_to("theirs")

    monkeypatch.setattr(scene.timer, "arm", and_meanwhile)
    with pytest.raises(Failed, match="x was changed by somebody else at this very moment"):
        scene.apply(link(scene, "x", "ours"))
    assert os.readlink(scene.path("x")) == "theirs"


# --- the originals ---


@pytest.mark.parametrize("damage", ["gone", "other target", "file"])
def test_a_damaged_original_is_not_put_back(scene: Scene, damage: str) -> None:
    scene.apply(link(scene, "alias", "ours"))
    original = scene.state / "runs" / "run1" / "001-endpoints" / "originals" / "0"
    assert os.readlink(original) == "nginx.conf"
    original.unlink()
    if damage == "other target":
        original.symlink_to("site")
    if damage == "file":
        original.write_text("nginx.conf")
    (problem,) = roll_back(scene).problems
    assert f"{original}, is missing or damaged" in problem
    assert os.readlink(scene.path("alias")) == "ours"


@pytest.fixture
def mounted(scene: Scene) -> Iterator[Scene]:
    (scene.root / "mnt").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", scene.path("mnt")], check=True)
    yield scene
    subprocess.run(["umount", scene.path("mnt")], check=True)


def test_a_link_on_another_file_system_comes_back_with_every_attribute(mounted: Scene) -> None:
    """There the saved original cannot be moved back, so a new link is made."""
    path = mounted.link("mnt/x", "caf\udce9", ODD_UID)
    os.setxattr(path, "trusted.note", b"\x00kept", follow_symlinks=False)
    os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)
    before = mounted.tree()
    mounted.apply(link(mounted, "mnt/x", "y"))
    assert roll_back(mounted).failures == []
    assert mounted.tree() == before
