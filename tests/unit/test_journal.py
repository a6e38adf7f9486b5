# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs are confirmed, expire or are rolled back; nobody's later edit is ever overwritten."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import journal_runs, journal_timer
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Outcome
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import Refused
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_plan import preview
from unit.fault.scene import ODD_UID, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).build()


def change(
    scene: Scene, name: str, content: str, run: str = "run1", role: str = "endpoints"
) -> Any:
    options = {"activate": [["true", role]], "packages": [f"package-of-{role}"]}
    files = [{"path": scene.path(name), "content": content}]
    return scene.apply(scene.request(run, role, files=files, **options))


def roll_back(scene: Scene, **selection: str) -> Outcome:
    with scene.journal.lock("test"):
        return scene.journal.roll_back(**selection)


def confirm(scene: Scene, run: str = "run1") -> bool:
    with scene.journal.lock("test"):
        return scene.journal.confirm(run)[0]


def make_due(scene: Scene, **changes: Any) -> None:
    """Move the deadline of the open run into the past."""
    record = scene.journal.runs.waiting()
    assert record is not None
    changes = changes or {"deadline_monotonic": time.monotonic() - 1}
    scene.journal.runs.save({**record, **changes})


# --- rolling back ---


def test_the_newest_first_to_the_bytes_that_each_found(scene: Scene) -> None:
    before = scene.tree()
    change(scene, "site", "first")
    change(scene, "site", "second", role="guard")
    change(scene, "nginx.conf", "third", role="guard")
    outcome = roll_back(scene)
    assert scene.tree() == before
    assert outcome.failures == []
    assert outcome.transactions == [
        *("003-guard of run run1", "002-guard of run run1", "001-endpoints of run run1")
    ]
    assert outcome.packages == ["package-of-guard", "package-of-guard", "package-of-endpoints"]
    ran = [command["argv"] for command in outcome.commands]
    assert ran == [["true"], ["true", "guard"], ["true", "endpoints"]]


def test_twice_is_nothing_new(scene: Scene) -> None:
    change(scene, "site", "x")
    roll_back(scene)
    again = roll_back(scene)
    assert (again.transactions, again.files, again.commands, again.failures) == ([], [], [], [])


def test_one_role_of_all_runs(scene: Scene) -> None:
    original = (scene.root / "site").read_bytes()
    change(scene, "site", "one")
    change(scene, "nginx.conf", "one", role="guard")
    confirm(scene)
    change(scene, "site", "two", run="run2")
    confirm(scene, "run2")
    outcome = roll_back(scene, role="endpoints")
    assert outcome.transactions == ["001-endpoints of run run2", "001-endpoints of run run1"]
    assert (scene.root / "site").read_bytes() == original
    assert (scene.root / "nginx.conf").read_text() == "one"
    states = {record["run"]: record["state"] for record in scene.journal.runs.all()}
    assert states == {"run1": "confirmed", "run2": "rolled_back"}


def test_a_confirmed_run_any_time_later(scene: Scene) -> None:
    before = scene.tree()
    scene.apply()
    confirm(scene)
    assert roll_back(scene, run="run1").failures == []
    assert scene.tree() == before


def test_a_run_that_is_not_there(scene: Scene) -> None:
    change(scene, "site", "x")
    assert roll_back(scene, run="run7").transactions == []
    with pytest.raises(Refused, match="not usable as a name"):
        roll_back(scene, run="../run1")


@pytest.mark.parametrize("how", ["content", "mode", "owner", "gone", "directory", "link"])
def test_a_later_edit_is_not_overwritten(scene: Scene, how: str) -> None:
    change(scene, "nginx.conf", "first")
    change(scene, "site", "second", role="guard")
    change(scene, "tool", "third", role="guard")
    path = scene.root / "site"
    if how == "content":
        path.write_text("by hand")
    elif how == "mode":
        path.chmod(0o600)
    elif how == "owner":
        os.chown(path, 0, 0)
    else:
        path.unlink()
        if how == "directory":
            path.mkdir()
        if how == "link":
            path.symlink_to("nginx.conf")
    edited = scene.tree()
    outcome = roll_back(scene)
    assert outcome.transactions == ["003-guard of run run1"]
    (conflict,) = outcome.conflicts
    original = scene.state / "runs" / "run1" / "002-guard" / "originals" / "0"
    assert f"the original is kept as {original}" in conflict
    assert scene.path("site") in conflict
    assert original.read_bytes().startswith(b"server {")
    tree = scene.tree()
    assert [tree.get(name) for name in ("site", "nginx.conf")] == [
        edited.get(name) for name in ("site", "nginx.conf")
    ]
    assert scene.timer.armed, "an open run is still to expire"


def test_no_file_of_a_transaction_is_touched_if_one_is_in_conflict(scene: Scene) -> None:
    scene.apply()
    (scene.root / "acl").write_text("by hand")
    edited = scene.tree()
    assert len(roll_back(scene).conflicts) == 1
    assert scene.tree() == edited


def test_after_the_edit_is_taken_back_the_rest_follows(scene: Scene) -> None:
    before = scene.tree()
    change(scene, "nginx.conf", "first")
    change(scene, "site", "second", role="guard")
    applied = (scene.root / "site").read_bytes()
    (scene.root / "site").write_text("by hand")
    assert roll_back(scene).conflicts
    (scene.root / "site").write_bytes(applied)
    assert roll_back(scene).failures == []
    assert scene.tree() == before


def test_a_role_under_a_later_transaction(scene: Scene) -> None:
    change(scene, "site", "first")
    change(scene, "site", "second", role="guard")
    (conflict,) = roll_back(scene, role="endpoints").conflicts
    assert conflict.endswith("002-guard of run run1 changed it later: roll that back first.")
    assert roll_back(scene, role="guard").failures == []
    assert roll_back(scene, role="endpoints").failures == []


def test_other_runs_are_rolled_back_in_spite_of_a_conflict(scene: Scene) -> None:
    change(scene, "nginx.conf", "first")
    confirm(scene)
    change(scene, "site", "second", run="run2")
    (scene.root / "site").write_text("by hand")
    outcome = roll_back(scene)
    assert outcome.transactions == ["001-endpoints of run run1"]
    assert len(outcome.conflicts) == 1


def test_a_directory_that_others_use_stays(scene: Scene) -> None:
    scene.apply()
    (scene.root / "new" / "theirs").write_text("x")
    assert roll_back(scene).failures == []
    assert [path.name for path in (scene.root / "new").iterdir()] == ["theirs"]


def test_a_directory_that_became_a_link_is_not_followed(scene: Scene) -> None:
    scene.apply()
    elsewhere = scene.root / "elsewhere"
    (scene.root / "new").rename(elsewhere)
    (scene.root / "new").symlink_to("elsewhere")
    (conflict,) = roll_back(scene).conflicts
    assert "symbolic link now" in conflict
    assert (elsewhere / "deep" / "file").exists()


def test_the_directory_of_a_removed_file_is_gone(scene: Scene) -> None:
    (scene.root / "dir").mkdir()
    (scene.root / "dir" / "x").write_text("x")
    files = [{"path": scene.path("dir/x"), "state": "absent"}]
    scene.apply(scene.request(files=files))
    (scene.root / "dir").rmdir()
    assert "The directory of" in roll_back(scene).conflicts[0]
    (scene.root / "dir").mkdir()
    assert roll_back(scene).failures == []
    assert (scene.root / "dir" / "x").read_text() == "x"


def test_a_damaged_original_is_not_put_back(scene: Scene) -> None:
    change(scene, "site", "x")
    original = scene.state / "runs" / "run1" / "001-endpoints" / "originals" / "0"
    original.write_text("rotten")
    outcome = roll_back(scene)
    assert f"{original}, is missing or damaged" in outcome.problems[0]
    assert (scene.root / "site").read_text() == "x"


def test_a_service_that_does_not_take_the_old_files(scene: Scene) -> None:
    before = scene.tree()
    refuse = ["sh", "-c", f"[ -e {scene.path('new')} ] || {{ echo old config bad >&2; exit 1; }}"]
    first = ["sh", "-c", f"[ ! -e {scene.path('activated')} ] || {' '.join(refuse[2:])}"]
    scene.apply(scene.request(activate=[first, ["touch", scene.path("activated")]]))
    outcome = roll_back(scene)
    assert "The files are back, but `sh" in outcome.problems[0]
    assert "said: old config bad" in outcome.problems[0]
    (scene.root / "activated").unlink()
    assert scene.tree() == before
    assert roll_back(scene).failures == []


def test_an_interrupted_rollback_leaves_what_came_after_it(scene: Scene) -> None:
    scene.apply()
    (transaction,) = scene.journal.runs.transactions("run1")
    transaction.restore()
    (scene.root / "site").write_text("by hand, after the original was back")
    with scene.journal.lock("test"):
        assert scene.journal.recover().failures == []
    assert (scene.root / "site").read_text() == "by hand, after the original was back"


def test_a_preview_of_a_rollback(scene: Scene) -> None:
    change(scene, "site", "first")
    change(scene, "site", "second", role="guard")
    scene.apply(scene.request(files=[{"path": scene.path("fresh"), "content": "x"}]))
    with scene.journal.lock("test", create=False):
        files, diff, conflicts = preview(scene.journal.chosen())
    assert conflicts == []
    assert {item["path"]: item["action"] for item in files} == {
        scene.path("fresh"): "removed",
        scene.path("site"): "changed",
    }
    site = next(item for item in diff if item["after_header"] == scene.path("site"))
    assert (site["before"], site["after"][:8]) == ("second", "server {")
    assert (scene.root / "site").read_text() == "second"


def test_a_preview_sees_the_conflict_and_what_is_beyond_it(scene: Scene) -> None:
    change(scene, "nginx.conf", "first")
    change(scene, "site", "second", role="guard")
    change(scene, "tool", "third", role="guard")
    (scene.root / "site").write_text("by hand")
    files, _diff, conflicts = preview(scene.journal.chosen())
    outcome = roll_back(scene)
    assert files == outcome.files == [{"path": scene.path("tool"), "action": "changed"}]
    assert conflicts == outcome.conflicts


# --- confirming ---


def test_confirming_keeps_the_change_and_ends_the_timer(scene: Scene) -> None:
    scene.apply()
    assert scene.timer.armed
    assert confirm(scene) is True
    assert [path.name for path in scene.units.rglob("*")] == ["timers.target.wants"]
    assert confirm(scene) is False
    assert scene.journal.expire() == "No run waits for its confirmation."
    assert (scene.root / "new" / "deep" / "file").exists()


def test_a_run_that_changed_nothing_has_nothing_to_confirm(scene: Scene) -> None:
    assert confirm(scene) is False


def test_confirming_too_late(scene: Scene) -> None:
    scene.apply()
    make_due(scene)
    scene.journal.expire()
    with pytest.raises(Refused, match=r"run1 was rolled back at .*Z because it was not confirmed"):
        confirm(scene)
    with pytest.raises(Refused, match="new run id"):
        scene.apply()


def test_confirming_what_somebody_rolled_back(scene: Scene) -> None:
    scene.apply()
    roll_back(scene)
    with pytest.raises(Refused, match=r"run1 was rolled back at [-0-9T:]*Z\."):
        confirm(scene)


def test_an_interrupted_run_is_not_confirmed(scene: Scene) -> None:
    change(scene, "site", "first")
    change(scene, "nginx.conf", "second", role="guard")
    scene.journal.runs.transactions("run1")[0].become("applying")
    with pytest.raises(Refused, match=r"interrupted \(002-guard of run run1 is undone\)"):
        confirm(scene)
    assert scene.timer.armed
    assert (scene.root / "nginx.conf").read_text() == "user www-data;\n"


def test_a_rollback_whose_record_found_no_space_is_still_known(scene: Scene) -> None:
    scene.apply()
    for transaction in scene.journal.runs.transactions("run1"):
        transaction.restore()
        transaction.become("rolled_back")
    with pytest.raises(Refused, match="rolled back at a time not recorded"):
        confirm(scene)


# --- expiring ---


def test_an_unconfirmed_run_expires(scene: Scene) -> None:
    before = scene.tree()
    change(scene, "site", "first")
    change(scene, "nginx.conf", "second", role="guard")
    make_due(scene)
    assert scene.journal.expire() == "Run run1 was not confirmed in time, and is rolled back."
    assert scene.tree() == before
    assert scene.journal.expire() == "No run waits for its confirmation."


def test_after_a_reboot_the_timer_is_taken_at_its_word(scene: Scene) -> None:
    before = scene.tree()
    scene.apply()
    make_due(scene, boot="another boot", deadline_monotonic=time.monotonic() + 10**6)
    scene.journal.expire()
    assert scene.tree() == before


def test_a_jump_of_the_clock_changes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.apply(scene.request(confirm_within=60))
    monkeypatch.setattr(journal_runs.time, "time", lambda: 4 * 10**9)
    record = scene.journal.runs.waiting()
    assert record is not None
    assert 50 < journal_runs.seconds_left(record) < 60


def test_a_further_transaction_gives_the_run_more_time(scene: Scene) -> None:
    change(scene, "site", "first")
    make_due(scene)
    change(scene, "nginx.conf", "second", role="guard")
    record = scene.journal.runs.waiting()
    assert record is not None
    assert journal_runs.seconds_left(record) > 250
    assert scene.timer.calls.count("restart") == 4
    assert scene.timer.calls.count("enable") == 1


def test_a_timer_that_fires_into_a_confirmation_finds_nothing(scene: Scene) -> None:
    scene.apply()
    make_due(scene)
    said: list[str] = []
    with scene.journal.lock("confirm"):
        timer = threading.Thread(
            target=lambda: said.append(Scene(scene.directory).journal.expire())
        )
        timer.start()
        time.sleep(0.3)
        scene.journal.confirm("run1")
    timer.join()
    assert said == ["No run waits for its confirmation."]
    assert (scene.root / "new" / "deep" / "file").exists()


def test_a_timer_that_waited_for_a_transaction_waits_on(scene: Scene) -> None:
    """The deadline that it fired for has been moved; it sleeps until the new one."""
    before = scene.tree()
    change(scene, "site", "first")
    make_due(scene, deadline_monotonic=time.monotonic() + 2.2)
    began = time.monotonic()
    scene.journal.expire()
    assert time.monotonic() - began > 1
    assert scene.tree() == before


def test_an_edit_in_the_way_of_the_timer(scene: Scene) -> None:
    change(scene, "nginx.conf", "first")
    change(scene, "site", "second", role="guard")
    (scene.root / "nginx.conf").write_text("by hand")
    make_due(scene)
    with pytest.raises(Refused, match=r"could not be rolled back whole: .*nginx.conf was changed"):
        scene.journal.expire()
    assert (scene.root / "site").read_bytes().startswith(b"server {")
    assert not scene.timer.armed, "a person is needed, so the timer does not try for ever"
    assert scene.journal.expire() == "No run waits for its confirmation."
    with pytest.raises(Refused, match=r"could not be rolled back whole: .*nginx.conf was changed"):
        confirm(scene)
    change(scene, "site", "a new run may go on", run="run2")
    assert "run1 was not confirmed in time, and at" in scene.journal.status()[1]


def test_a_stuck_run_is_rolled_back_once_the_edit_is_gone(scene: Scene) -> None:
    before = scene.tree()
    change(scene, "nginx.conf", "first")
    applied = (scene.root / "nginx.conf").read_text()
    (scene.root / "nginx.conf").write_text("by hand")
    make_due(scene)
    with pytest.raises(Refused):
        scene.journal.expire()
    (scene.root / "nginx.conf").write_text(applied)
    assert roll_back(scene).failures == []
    assert scene.tree() == before


def test_the_timer_tries_again_where_the_system_is_in_the_way(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = scene.tree()
    change(scene, "site", "first")
    make_due(scene)
    real, failures = os.rename, []

    def full(source: Any, *arguments: Any, **options: Any) -> None:
        if "originals" in str(source) and len(failures) < 2:
            failures.append(source)
            raise OSError(28, "No space left on device")
        real(source, *arguments, **options)

    monkeypatch.setattr(os, "rename", full)
    scene.journal.expire(pause=0)
    assert len(failures) == 2
    assert scene.tree() == before


def test_the_timer_does_not_try_for_ever(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    change(scene, "site", "first")
    make_due(scene)
    original = scene.state / "runs" / "run1" / "001-endpoints" / "originals" / "0"
    original.write_text("rotten")
    with pytest.raises(Refused, match=r"could not be rolled back: .*missing or damaged"):
        scene.journal.expire(pause=0)
    assert scene.timer.armed, "the next boot tries again"


# --- records ---


# --- temporary runs ---


def first_aid(scene: Scene, seconds: int = 3600, run: str = "aid") -> Any:
    files = [{"path": scene.path("site"), "content": "closed"}]
    return scene.apply(
        scene.request(run, "contain", files=files, temporary=True, confirm_within=seconds)
    )


def files(scene: Scene) -> dict[str, bytes]:
    """Without the timer, which is another one each time."""
    return {name: (scene.root / name).read_bytes() for name in ("site", "nginx.conf")}


def armed_for(scene: Scene) -> int:
    timer = (scene.units / "wpward-deadman.timer").read_text()
    found = re.search(r"OnActiveSec=(\d+)s", timer)
    assert found
    return int(found.group(1))


def end(scene: Scene, run: str) -> None:
    record = scene.journal.runs.load(run)
    assert record is not None
    scene.journal.runs.save({**record, "deadline_monotonic": time.monotonic() - 1})


def test_others_may_change_the_host_while_first_aid_holds(scene: Scene) -> None:
    before = scene.tree()
    first_aid(scene)
    aided = files(scene)
    change(scene, "nginx.conf", "hardened")
    assert scene.journal.runs.waiting()["run"] == "run1"
    confirm(scene)
    assert scene.timer.armed, "first aid still has to end"
    assert "Run aid is temporary" in scene.journal.status()[1]
    roll_back(scene, run="run1")
    assert files(scene) == aided
    assert scene.timer.armed
    roll_back(scene, role="contain")
    assert scene.tree() == before
    assert not scene.timer.armed


@pytest.mark.parametrize("first", ["aid", "run1"])
def test_a_directory_that_two_runs_use_goes_with_the_last_of_them(scene: Scene, first: str) -> None:
    before = scene.tree()
    for run, name, temporary in (("aid", "nobody", True), ("run1", "more/rules", False)):
        files = [{"path": scene.path("new/deep/" + name), "content": run}]
        scene.apply(scene.request(run, files=files, temporary=temporary))
    roll_back(scene, run=first)
    assert (scene.root / "new" / "deep").is_dir()
    roll_back(scene)
    assert scene.tree() == before


def test_the_timer_is_set_for_whichever_ends_first(scene: Scene) -> None:
    first_aid(scene, 3600)
    assert 3590 <= armed_for(scene) <= 3600
    scene.apply(scene.request(files=[{"path": scene.path("nginx.conf"), "content": "hardened"}]))
    assert armed_for(scene) == 300
    roll_back(scene, run="run1")
    roll_back(scene, run="aid")
    first_aid(scene, 40, run="more")
    change(scene, "nginx.conf", "again", run="run2")
    assert armed_for(scene) <= 40


def test_first_aid_ends_by_the_clock_and_what_waits_does_not(scene: Scene) -> None:
    first_aid(scene)
    record = scene.journal.runs.load("aid")
    assert record is not None
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(record["deadline_epoch"] + 1))
    timer = scene.units / "wpward-deadman.timer"
    assert f"OnCalendar={at}\nPersistent=true\n" in timer.read_text()
    change(scene, "nginx.conf", "hardened")
    assert f"OnCalendar={at}\n" in timer.read_text(), "it still ends when it was meant to"
    roll_back(scene)
    change(scene, "nginx.conf", "hardened", run="run2")
    assert "OnCalendar" not in timer.read_text()


def test_first_aid_ends_and_the_rest_goes_on(scene: Scene) -> None:
    before = scene.tree()
    first_aid(scene)
    end(scene, "aid")
    assert scene.journal.expire() == "Run aid is over, and is rolled back."
    assert scene.tree() == before
    assert not scene.timer.armed


def test_a_run_that_expires_leaves_first_aid_and_its_timer(scene: Scene) -> None:
    first_aid(scene)
    aided = files(scene)
    change(scene, "nginx.conf", "hardened")
    end(scene, "run1")
    said = scene.journal.expire()
    assert said.startswith("Run run1 was not confirmed in time, and is rolled back. Run aid is")
    assert files(scene) == aided
    assert 3590 <= armed_for(scene) <= 3600


def test_an_edit_in_the_way_does_not_keep_first_aid_for_ever(scene: Scene) -> None:
    first_aid(scene)
    change(scene, "nginx.conf", "hardened")
    (scene.root / "nginx.conf").write_text("by hand")
    end(scene, "run1")
    scene.timer.calls.clear()
    with pytest.raises(Refused, match=r"nginx.conf was changed"):
        scene.journal.expire()
    assert scene.timer.calls[-1:] == ["restart"]
    end(scene, "aid")
    assert "Run aid is over" in scene.journal.expire()


def test_first_aid_outlives_a_reboot_until_its_time_by_the_clock(scene: Scene) -> None:
    first_aid(scene)
    record = scene.journal.runs.load("aid")
    scene.journal.runs.save({**record, "boot": "another"})
    assert scene.journal.expire().startswith("Run aid is temporary")
    past = time.time() - 2
    scene.journal.runs.save({**record, "boot": "another", "deadline_epoch": past})
    assert scene.journal.expire() == "Run aid is over, and is rolled back."


def test_no_first_aid_beside_a_run_that_waits(scene: Scene) -> None:
    change(scene, "nginx.conf", "hardened")
    with pytest.raises(Refused, match="Run run1 is open"):
        first_aid(scene)


def test_forgetting_leaves_the_files(scene: Scene) -> None:
    scene.apply()
    applied = scene.tree()
    with scene.journal.lock("test"):
        assert scene.journal.forget("run1") == ["001-endpoints"]
        with pytest.raises(Refused, match="no run run7"):
            scene.journal.forget("run7")
    assert not scene.timer.armed
    expected = {name: what for name, what in applied.items() if "deadman" not in name}
    assert scene.tree() == expected
    assert roll_back(scene).transactions == []
    assert scene.journal.status()[0].startswith("Run run1 was forgotten at ")


def test_status_tells_every_fate(scene: Scene) -> None:
    change(scene, "site", "1", run="kept")
    confirm(scene, "kept")
    change(scene, "site", "2", run="expired")
    make_due(scene)
    scene.journal.expire()
    change(scene, "site", "3", run="open")
    lines = scene.journal.status()
    assert "Run open is open since" in lines[0]
    assert "Transactions: 001-endpoints applied." in lines[0]
    assert "because it was not confirmed in time. Transactions: 001-endpoints rolled" in lines[1]
    assert "Run kept was confirmed at" in lines[2]


def test_records_of_what_was_rolled_back_do_not_pile_up(scene: Scene) -> None:
    change(scene, "nginx.conf", "kept", run="kept")
    confirm(scene, "kept")
    for number in range(23):
        change(scene, "site", str(number), run=f"run{number}")
        roll_back(scene, run=f"run{number}")
    names = [record["run"] for record in scene.journal.runs.all()]
    assert len(names) == 22
    assert (names[0], names[-1], "run1" in names) == ("run22", "kept", False)


def test_secrets_in_originals_are_roots_only(scene: Scene) -> None:
    scene.apply()
    for path in [scene.state, *scene.state.rglob("*")]:
        if path.is_dir():
            assert path.stat().st_mode & 0o077 == 0, path
    assert (scene.state / "runs" / "run1" / "001-endpoints" / "originals").is_dir()


def test_a_record_of_another_format(scene: Scene) -> None:
    scene.apply()
    record = scene.state / "runs" / "run1" / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "schema": 2}))
    with pytest.raises(Refused, match="format that this version of wpward does not know"):
        scene.apply()
    record.write_text("{")
    with pytest.raises(Refused, match=r"run\.json cannot be read"):
        roll_back(scene)


def test_names_that_are_not_text_are_restored(scene: Scene) -> None:
    before = scene.tree()
    name = f"{scene.root}/caf\udce9"
    scene.apply(scene.request(files=[{"path": name, "content": "x", "owner": str(ODD_UID)}]))
    assert Path(name).stat().st_uid == ODD_UID
    assert roll_back(scene).failures == []
    assert scene.tree() == before


READ = "LoadState=loaded\nNeedDaemonReload=no\n"


@pytest.mark.parametrize(
    ("code", "said", "read"),
    [
        (0, f"{READ}\n{READ}", True),
        (0, f"{READ}\nNeedDaemonReload=yes\nLoadState=loaded\n", False),
        (0, f"{READ}\nLoadState=not-found\nNeedDaemonReload=no\n", False),
        (0, READ, False),
        (0, "", False),
        (1, f"{READ}\n{READ}", False),
    ],
)
def test_systemd_reads_all_its_units_again_only_where_it_has_not_read_these(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, code: int, said: str, read: bool
) -> None:
    monkeypatch.setattr(
        journal_timer, "run_command", lambda _argv: {"rc": code, "stdout": said, "stderr": ""}
    )
    real = journal_timer.SystemdTimer._is_read
    monkeypatch.setattr(scene.timer, "_is_read", lambda: real(scene.timer))
    scene.apply()
    assert ("daemon-reload" in scene.timer.calls) is not read
