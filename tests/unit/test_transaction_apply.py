# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change set is applied wholly or not at all, and says in one sentence why not."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import transaction_apply
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import Refused
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_lock import hold_lock
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_apply import (
    Failed,
    Request,
)
from unit.fault.scene import ODD_GID, ODD_UID, Scene, acl_for, xattrs

BROKEN = ["sh", "-c", "echo refused by the tool >&2; exit 1"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).build()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def one(scene: Scene, name: str, **wanted: Any) -> Request:
    """Return a change set for a single file."""
    options = {key: wanted.pop(key) for key in ("validate", "activate", "checks") if key in wanted}
    return scene.request(files=[{"path": scene.path(name), **wanted}], **options)


def fails_once_changed(scene: Scene) -> list[str]:
    """Return a command that is content with the tree as it was, and with nothing else."""
    return ["sh", "-c", f"[ ! -e {scene.path('new')} ] || {{ echo 'bad config' >&2; exit 1; }}"]


def test_what_it_does(scene: Scene) -> None:
    result = scene.apply()
    assert result["changed"] is True
    assert [item["action"] for item in result["files"]] == [
        *("changed", "changed", "removed", "created", "changed", "changed", "changed")
    ]
    assert [command["rc"] for command in result["commands"]] == [0, 0, 0]
    assert result["deadline"].endswith("Z")
    assert result["transaction"] == str(scene.state / "runs" / "run1" / "001-endpoints")
    tree = scene.tree()
    assert (scene.root / "enabled").is_symlink()
    assert (scene.root / "site").read_text() == "server { changed }\n"
    assert tree["site"][1:4] == (0o640, ODD_UID, ODD_GID)
    assert tree["new/deep/file"][1:4] == (0o600, 0, 0)
    assert tree["new"][1:4] == (0o755, 0, 0)
    assert tree["tool"][1:4] == (0o700, 0, 0)
    assert xattrs(scene.root / "acl") == {
        "system.posix_acl_access": acl_for(ODD_UID),
        "user.note": b"kept",
    }
    assert os.readlink(scene.root / "alias") == "not/there"
    assert os.readlink(scene.root / "unlinked") == "new/deep/file"
    assert not list(scene.root.rglob(".wpward*"))
    assert scene.timer.armed


def test_the_journal_is_on_the_disk_before_the_first_change(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut loses what was not synced, which no SIGKILL shows."""
    synced: set[str] = set()
    synced_before_a_change: list[set[str]] = []
    sync, rename, mkdir, symlink = os.fsync, os.rename, os.mkdir, os.symlink

    def note_sync(descriptor: int) -> None:
        synced.add(os.path.realpath(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def note_rename(source: Any, target: Any, **directories: Any) -> None:
        where = os.path.realpath(f"/proc/self/fd/{directories.get('dst_dir_fd', 0)}")
        if where == str(scene.root):
            synced_before_a_change.append(set(synced))
        synced.discard(where)
        rename(source, target, **directories)

    def note_mkdir(path: Any, *arguments: Any, **directories: Any) -> None:
        if isinstance(path, str):
            synced.discard(os.path.realpath(Path(path).parent))
        mkdir(path, *arguments, **directories)

    def note_symlink(target: Any, name: Any, dir_fd: int | None = None) -> None:
        # Other links, by a path, are the timer's.
        if dir_fd is not None:
            synced.discard(os.path.realpath(f"/proc/self/fd/{dir_fd}"))
        symlink(target, name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", note_mkdir)
    monkeypatch.setattr(os, "symlink", note_symlink)
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "rename", note_rename)
    scene.apply()
    run = scene.state / "runs" / "run1"
    journal = [scene.state.parent, scene.state, run.parent, run, run / "001-endpoints"]
    originals = run / "001-endpoints" / "originals"
    # A link cannot be opened; it is on the disk with its directory.
    assert str(scene.root) in synced_before_a_change[0]
    journal += [item for item in originals.iterdir() if not item.is_symlink()]
    journal += [originals, run / "001-endpoints" / ".applying.json.tmp"]
    assert {str(path) for path in journal} <= synced_before_a_change[0]
    new = [path for path in synced_before_a_change[0] if path.endswith(".tmp")]
    assert len([path for path in new if path.startswith(str(scene.root / ".wpward"))]) == 3


def test_nothing_to_do_writes_nothing(scene: Scene) -> None:
    request = one(scene, "nginx.conf", content="user www-data;\n", mode="0644", owner="root")
    before = scene.tree()
    result = scene.apply(request, want_diff=True)
    assert (result["changed"], result["diff"], result["commands"]) == (False, [], [])
    assert scene.tree() == before
    assert not scene.timer.armed
    assert list((scene.state / "runs").iterdir()) == []


def test_a_second_time_changes_nothing(scene: Scene) -> None:
    first = scene.apply()
    second = scene.apply()
    assert second["changed"] is False
    assert second["deadline"] == first["deadline"]
    assert len(scene.journal.runs.transactions("run1")) == 1


def test_check_mode_shows_the_same_diff_and_writes_nothing(scene: Scene) -> None:
    before = scene.tree()
    checked = scene.apply(check_mode=True, want_diff=True)
    assert scene.tree() == before
    assert not scene.state.exists()
    done = scene.apply(want_diff=True)
    assert checked["diff"] == done["diff"]
    assert checked["files"] == done["files"]
    created = next(item for item in done["diff"] if "deep" in item["after_header"])
    assert created == {
        "before": "",
        "after": "created\n",
        "before_header": scene.path("new/deep/file") + " (absent)",
        "after_header": scene.path("new/deep/file") + " (mode 0600, owner 0:0)",
    }


def test_check_mode_sees_the_run_in_the_way(scene: Scene) -> None:
    scene.apply()
    with pytest.raises(Refused, match="Run run1 is open"):
        scene.apply(scene.request("run2"), check_mode=True)


@pytest.mark.parametrize("step", ["validate", "activate", "checks"])
def test_a_command_that_refuses(scene: Scene, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_apply, "_CHECK_SECONDS", 0.2)
    before = scene.tree()
    with pytest.raises(Failed, match=r"put back: `sh .*` said: bad config") as failure:
        scene.apply(scene.request(**{step: [fails_once_changed(scene)]}))
    assert scene.tree() == before
    assert not scene.timer.armed
    assert scene.journal.status() == []
    ran = [command["argv"][0] for command in failure.value.commands]
    assert ran.count("true") == {"validate": 0, "activate": 3, "checks": 5}[step]


def test_after_a_failed_check_the_old_state_is_activated(scene: Scene) -> None:
    seen = scene.root / "seen"
    reload = ["sh", "-c", f"cat {scene.path('nginx.conf')} >> {seen}"]
    request = one(scene, "nginx.conf", content="new\n", activate=[reload], checks=[["false"]])
    with pytest.raises(Failed, match="`false` said: exit status 1"):
        scene.apply(request)
    assert seen.read_text() == "new\nuser www-data;\n"


def test_a_check_may_take_a_moment(scene: Scene) -> None:
    flag = scene.path("ready")
    check = ["sh", "-c", f"[ -e {flag} ] || {{ touch {flag}; exit 1; }}"]
    assert scene.apply(one(scene, "nginx.conf", content="x", checks=[check]))["changed"]


def test_a_configuration_that_is_broken_already_is_not_touched(scene: Scene) -> None:
    before = scene.tree()
    with pytest.raises(Failed, match=r"already broken, so nothing .*: `sh .* refused by the tool"):
        scene.apply(scene.request(validate=[BROKEN]))
    assert scene.tree() == before
    assert list((scene.state / "runs").iterdir()) == []


def test_a_missing_or_hanging_command(scene: Scene) -> None:
    with pytest.raises(Failed, match=r"`no-such-tool -t` said: .*No such file"):
        scene.apply(scene.request(validate=[["no-such-tool", "-t"]]))
    began = time.monotonic()
    result = transaction_apply.run_command(["sh", "-c", "sleep 60 & sleep 60"], timeout=0.3)
    assert (result["rc"], time.monotonic() - began < 5) == (124, True)
    assert "no answer within 0.3 seconds" in result["stderr"]


def test_a_daemon_that_keeps_its_output_open_does_not_hold_us_up() -> None:
    began = time.monotonic()
    result = transaction_apply.run_command(["sh", "-c", "sleep 5 & echo started"])
    assert (result["rc"], result["stdout"]) == (0, "started")
    assert time.monotonic() - began < 4


def test_long_output_is_cut_at_the_front() -> None:
    result = transaction_apply.run_command(["sh", "-c", "seq 1 20000; printf 'caf\\351 last'"])
    assert result["stdout"].startswith("[...]\n")
    assert result["stdout"].endswith("20000\ncaf\ufffd last")


def test_commands_get_a_plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    printed = transaction_apply.run_command(["env"])["stdout"].splitlines()
    assert "LC_ALL=C" in printed
    assert not [line for line in printed if line.startswith("LD_")]


def test_a_timer_that_cannot_be_armed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scene.tree()

    def refuse(*words: str) -> None:
        if words[0] == "restart":
            raise Refused("no timer today")

    monkeypatch.setattr(scene.timer, "_systemctl", refuse)
    with pytest.raises(Failed, match="no timer today"):
        scene.apply()
    assert scene.tree() == before


@pytest.mark.parametrize("check_mode", [True, False])
def test_no_systemd(scene: Scene, check_mode: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scene.tree()
    monkeypatch.setattr(scene.timer, "_booted", lambda: False)
    with pytest.raises(Refused, match="does not run systemd"):
        scene.apply(check_mode=check_mode)
    assert scene.tree() == before


def test_an_interrupt_is_undone_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scene.tree()

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transaction_apply, "_demand", interrupt)
    with pytest.raises(KeyboardInterrupt):
        scene.apply()
    assert scene.tree() == before


# --- edits and checksums ---


def edit(scene: Scene, *edits: dict[str, Any], **wanted: Any) -> Request:
    wanted.setdefault("sha256", sha256(scene.root / "site"))
    return one(scene, "site", edits=list(edits), **wanted)


def test_edits_are_by_byte_and_leave_odd_bytes_alone(scene: Scene) -> None:
    insertion = {"offset": 8, "insert": "\n    include é;"}
    removal = {"offset": 11, "remove": 6, "insert": ""}
    result = scene.apply(edit(scene, removal, insertion), want_diff=True)
    expected = b"server {\n    include \xc3\xa9;\n  \n}\n"
    assert (scene.root / "site").read_bytes() == expected
    assert "# caf\\xe9" in result["diff"][0]["before"]


def test_two_insertions_at_one_place_keep_their_order(scene: Scene) -> None:
    scene.apply(edit(scene, {"offset": 0, "insert": "a"}, {"offset": 0, "insert": "b"}))
    assert (scene.root / "site").read_bytes().startswith(b"abserver")


@pytest.mark.parametrize(
    "edits",
    [
        [{"offset": 0, "remove": 5}, {"offset": 4, "remove": 1}],
        [{"offset": 20, "remove": 1}],
        [{"offset": 21, "insert": "x"}],
        [{"offset": -1, "insert": "x"}],
        [{"offset": 0, "remove": -1}],
    ],
)
def test_edits_that_overlap_or_lie_outside(scene: Scene, edits: list[dict[str, Any]]) -> None:
    assert len((scene.root / "site").read_bytes()) == 20
    with pytest.raises(Refused, match="overlaps another one or lies outside the file's 20 bytes"):
        scene.apply(edit(scene, *edits))


def test_a_file_that_changed_since_the_plan(scene: Scene) -> None:
    requests = [
        edit(scene, {"offset": 0, "insert": "x"}),
        one(scene, "site", content="x", sha256=sha256(scene.root / "site")),
        one(scene, "site", state="absent", sha256=sha256(scene.root / "site")),
        one(scene, "site", content="x", sha256="absent"),
    ]
    with (scene.root / "site").open("ab") as stream:
        stream.write(b"# by hand\n")
    before = scene.tree()
    for request in requests:
        with pytest.raises(Refused, match=r"site (has changed|is there) since .* probe the host"):
            scene.apply(request)
    assert scene.tree() == before
    gone = one(scene, "nothing", content="x", sha256=sha256(scene.root / "site"))
    with pytest.raises(Refused, match="nothing is gone since"):
        scene.apply(gone)


def test_a_file_that_is_right_already_needs_no_checksum(scene: Scene) -> None:
    request = one(scene, "nginx.conf", content="user www-data;\n", sha256="0" * 64)
    assert scene.apply(request)["changed"] is False


def test_a_checksum_that_fits(scene: Scene) -> None:
    scene.apply(one(scene, "nothing", content="x", sha256="absent"))
    digest = sha256(scene.root / "nothing").upper()
    scene.apply(one(scene, "nothing", state="absent", sha256=digest))
    assert not (scene.root / "nothing").exists()


def test_base64_content(scene: Scene) -> None:
    content = base64.b64encode(bytes(range(256))).decode()
    scene.apply(one(scene, "binary", content_base64=content))
    assert (scene.root / "binary").read_bytes() == bytes(range(256))


# --- what cannot be ---


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"content": "x", "mode": "0999"}, "mode '0999' is not an octal number"),
        ({"content": "x", "mode": 0o10000}, "mode 4096 is not an octal number"),
        ({"content": "x", "owner": "no-such-user"}, "this host has no user no-such-user"),
        ({"content": "x", "group": "no-such-group"}, "this host has no group no-such-group"),
        ({"content_base64": "?"}, "content_base64 is not base64"),
        ({"content": "\ud800"}, "is not text"),
        ({"edits": [{"offset": 0}]}, "edits need the sha256"),
        ({"mode": "0600"}, "does not exist, and the change set has no content"),
    ],
)
def test_arguments_that_make_no_sense(scene: Scene, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        scene.apply(one(scene, "fresh", **wanted))
    assert not (scene.root / "fresh").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"run": "../run"},
        {"run": ""},
        {"role": "a/b"},
        {"role": "-x"},
        {"validate": [[]]},
        {"checks": [["a\0b"]]},
        {"confirm_within": 4},
        {"confirm_within": 86401},
    ],
)
def test_requests_that_make_no_sense(scene: Scene, options: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        scene.request(**options)


def test_one_file_named_twice(scene: Scene) -> None:
    files = [{"path": scene.path(name), "content": "x"} for name in ("site", "enabled")]
    with pytest.raises(Refused, match="enabled is named twice"):
        scene.apply(scene.request(files=files))


def test_a_directory_in_the_place_of_a_file(scene: Scene) -> None:
    with pytest.raises(Refused, match="systemd is a directory"):
        scene.apply(one(scene, "systemd", content="x"))


def test_hard_links_are_left_alone(scene: Scene) -> None:
    os.link(scene.path("site"), scene.path("other name"))
    with pytest.raises(Refused, match="site has 2 hard links"):
        scene.apply(one(scene, "site", content="x"))
    assert scene.apply(one(scene, "site", mode="0640"))["changed"] is False


@pytest.fixture
def immutable(scene: Scene) -> Iterator[Scene]:
    for name in ("site", "systemd"):
        subprocess.run(["chattr", "+i", scene.path(name)], check=True)
    yield scene
    for name in ("site", "systemd"):
        subprocess.run(["chattr", "-i", scene.path(name)], check=True)


def test_immutable_files_and_directories(immutable: Scene) -> None:
    with pytest.raises(Refused, match=r"site is set immutable or append-only \(see lsattr\)"):
        immutable.apply(one(immutable, "site", content="x"))
    with pytest.raises(Refused, match=r"directory of .*systemd/x is set immutable"):
        immutable.apply(one(immutable, "systemd/x", content="x"))


@pytest.fixture
def mounted(scene: Scene, request: pytest.FixtureRequest) -> Iterator[Scene]:
    (scene.root / "mnt").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", request.param, "tmpfs", scene.path("mnt")]
    subprocess.run(command, check=True)
    yield scene
    subprocess.run(["umount", scene.path("mnt")], check=True)


@pytest.mark.parametrize("mounted", ["ro,size=64k"], indirect=True)
def test_a_read_only_file_system(mounted: Scene) -> None:
    before = mounted.tree()
    with pytest.raises(Refused, match="mounted read-only"):
        mounted.apply(one(mounted, "mnt/new/x", content="x"))
    assert mounted.tree() == before


@pytest.mark.parametrize("mounted", ["size=64k"], indirect=True)
def test_a_full_disk_under_the_files(mounted: Scene) -> None:
    """The journal lies elsewhere: the first file fits, the second does not."""
    (mounted.root / "mnt" / "a").write_text("old a")
    (mounted.root / "mnt" / "ballast").write_bytes(b"x" * 40000)
    before = mounted.tree()
    files = [
        {"path": mounted.path("nginx.conf"), "content": "changed"},
        {"path": mounted.path("mnt/a"), "content": "new a"},
        {"path": mounted.path("mnt/b"), "content": "b" * 40000},
    ]
    with pytest.raises(Failed, match="mnt/b cannot be written: No space left on device"):
        mounted.apply(mounted.request(files=files))
    assert mounted.tree() == before


@pytest.mark.parametrize("mounted", ["size=64k"], indirect=True)
def test_an_original_on_another_file_system_is_copied_back(mounted: Scene) -> None:
    mounted.write("mnt/a", b"old", mode=0o604, uid=ODD_UID)
    os.setxattr(mounted.path("mnt/a"), "system.posix_acl_access", acl_for(ODD_UID))
    before = mounted.tree()
    mounted.apply(one(mounted, "mnt/a", content="new"))
    with mounted.journal.lock("test"):
        assert not mounted.journal.roll_back().failures
    assert mounted.tree() == before


@pytest.mark.parametrize("inodes", range(3, 18))
def test_a_full_disk_under_the_journal(tmp_path: Path, inodes: int) -> None:
    """The disk runs out of inodes, one later each time; the tree lies elsewhere."""
    scene = Scene(tmp_path).build()
    before = scene.tree()
    scene.state.mkdir()
    options = f"size=1m,mode=700,nr_inodes={inodes}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(scene.state)], check=True)
    try:
        scene.apply()
    except (Refused, OSError) as error:
        assert "No space left on device" in str(error)
        assert scene.tree() == before
    else:
        assert inodes > 14
        with scene.journal.lock("test"):
            assert not scene.journal.roll_back().failures
        assert scene.tree() == before
    finally:
        subprocess.run(["umount", str(scene.state)], check=True)


# --- others at work ---


def test_somebody_writes_at_the_very_moment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    original = transaction_apply.write_new

    def and_meanwhile(*arguments: Any) -> None:
        original(*arguments)
        (scene.root / "nginx.conf").write_text("by hand\n")

    monkeypatch.setattr(transaction_apply, "write_new", and_meanwhile)
    files = [{"path": scene.path(name), "content": "x"} for name in ("site", "nginx.conf")]
    with pytest.raises(Failed, match=r"put back: .*nginx.conf was changed by somebody else"):
        scene.apply(scene.request(files=files))
    assert (scene.root / "nginx.conf").read_text() == "by hand\n"
    assert (scene.root / "site").read_bytes().startswith(b"server {")
    assert scene.journal.status() == []
    assert not list(scene.root.rglob(".wpward*"))


HOLDER = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
from unit.fault.scene import Scene
scene = Scene(Path({directory!r}))
with scene.journal.lock("run other, role endpoints"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def busy(scene: Scene) -> Iterator[Scene]:
    """A scene whose lock a process of another operator's holds."""
    program = HOLDER.format(path=sys.path, directory=str(scene.directory))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield scene
        holder.kill()


def test_two_at_once(busy: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    before = busy.tree()
    waits_shortly = functools.partial(hold_lock, str(busy.state), seconds=0.2)
    monkeypatch.setattr(
        Journal, "lock", lambda self, purpose, create=True: waits_shortly(purpose, create=create)
    )
    for check_mode in (False, True):
        with pytest.raises(Refused, match=r"at work on this host \(run other, role endpoints, pro"):
            busy.apply(check_mode=check_mode)
    assert busy.tree() == before


def test_the_lock_waits_a_little(scene: Scene) -> None:
    journal = scene.journal
    order: list[str] = []

    def first() -> None:
        with journal.lock("first"):
            order.append("first")
            started.set()
            time.sleep(0.3)
            order.append("first ends")

    started = threading.Event()
    thread = threading.Thread(target=first)
    thread.start()
    started.wait()
    with journal.lock("second"):
        order.append("second")
    thread.join()
    assert order == ["first", "first ends", "second"]


def test_another_run_is_refused_until_this_one_is_confirmed(scene: Scene) -> None:
    scene.apply(one(scene, "nginx.conf", content="x"))
    other = scene.request("run2", files=[{"path": scene.path("site"), "content": "x"}])
    with pytest.raises(Refused, match=r"Run run1 is open since .* rolled back at .*rollback\.py"):
        scene.apply(other)
    with scene.journal.lock("test"):
        assert scene.journal.confirm("run1") == (True, [])
    assert scene.apply(other)["changed"] is True


def test_a_run_that_has_ended_takes_nothing_more(scene: Scene) -> None:
    scene.apply(one(scene, "nginx.conf", content="x"))
    with scene.journal.lock("test"):
        scene.journal.confirm("run1")
    assert scene.apply(one(scene, "nginx.conf", content="x"))["changed"] is False
    with pytest.raises(Refused, match=r"was confirmed at .* new run id"):
        scene.apply(one(scene, "nginx.conf", content="y"))
    with scene.journal.lock("test"):
        scene.journal.roll_back()
    with pytest.raises(Refused, match=r"was rolled back at .* new run id"):
        scene.apply(one(scene, "nginx.conf", content="x"))


def test_what_was_interrupted_is_undone_first(scene: Scene) -> None:
    before = (scene.root / "nginx.conf").read_bytes()
    scene.apply(one(scene, "nginx.conf", content="x"))
    with scene.journal.lock("test"):
        scene.journal.runs.transactions("run1")[0].become("applying")
    with pytest.raises(Refused, match="001-endpoints of run run1 was interrupted"):
        scene.apply(scene.request("run2"), check_mode=True)
    request = scene.request("run2", files=[{"path": scene.path("site"), "content": "x"}])
    result = scene.apply(request)
    assert result["warnings"] == [
        "Transaction 001-endpoints of run run1 was interrupted; it has been undone."
    ]
    assert (scene.root / "nginx.conf").read_bytes() == before
    assert [record["run"] for record in scene.journal.runs.all()] == ["run2"]


def test_a_hostile_link_is_not_followed(scene: Scene) -> None:
    web = scene.root / "web"
    web.mkdir()
    os.chown(web, ODD_UID, ODD_UID)
    (web / "mu-plugins").symlink_to(scene.root / "systemd")
    os.lchown(web / "mu-plugins", ODD_UID, ODD_UID)
    with pytest.raises(Refused, match="could redirect root's write"):
        scene.apply(one(scene, "web/mu-plugins/guard.php", content="x"))


def test_a_file_taken_from_another_owner_loses_that_owners_access_list(scene: Scene) -> None:
    path = scene.write("guard.php", b"planted", mode=0o664, uid=ODD_UID)
    os.setxattr(path, "system.posix_acl_access", acl_for(ODD_UID))
    before = scene.tree()
    scene.apply(one(scene, "guard.php", content="ours", owner="root", mode="0664"))
    assert scene.tree()["guard.php"][1:6] == (0o664, 0, 0, {}, b"ours")
    with scene.journal.lock("test"):
        scene.journal.roll_back()
    assert scene.tree() == before


def test_a_directory_that_came_meanwhile_keeps_its_mode(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = scene.journal.timer.arm

    def and_meanwhile(*when: Any) -> None:
        original(*when)
        if not (scene.root / "new").exists():
            (scene.root / "new").mkdir(mode=0o700)

    monkeypatch.setattr(scene.timer, "arm", and_meanwhile)
    scene.apply()
    assert (scene.root / "new").stat().st_mode & 0o777 == 0o700


def test_new_directories_do_not_depend_on_the_umask(scene: Scene) -> None:
    previous = os.umask(0o077)
    try:
        scene.apply()
    finally:
        os.umask(previous)
    assert (scene.root / "new" / "deep").stat().st_mode & 0o777 == 0o755


def test_the_state_directory_must_be_ours(scene: Scene) -> None:
    scene.state.mkdir()
    os.chown(scene.state, ODD_UID, ODD_UID)
    with pytest.raises(Refused, match="only root can write to"):
        scene.apply()
    os.chown(scene.state, 0, 0)
    scene.state.chmod(0o777)
    with pytest.raises(Refused, match="only root can write to"):
        scene.apply()
    scene.state.chmod(0o755)
    scene.apply()
    assert scene.state.stat().st_mode & 0o777 == 0o700
