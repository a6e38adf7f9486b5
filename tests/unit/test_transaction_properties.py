# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whatever is applied, in whatever order, and whatever fails between: a rollback restores it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import Refused
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_apply import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.fault.scene import Scene

NAMES = ["a", "b", "dir/c", "dir/sub/d", "fresh/e", "fresh/deep/f", "link"]
TARGETS = ["a", "b", "dir/c", "not/there", "link"]
CONTENTS = st.sampled_from([b"", b"old", b"new", b"caf\xe9\n", b"\x00" * 5000])

trees = st.dictionaries(
    st.sampled_from(["a", "b", "dir/c", "dir/sub/d"]),
    st.tuples(CONTENTS, st.sampled_from([0o600, 0o644, 0o4711]), st.sampled_from([0, 33, 4321])),
)
wanted = (
    st.fixed_dictionaries(
        {"name": st.sampled_from(NAMES)},
        optional={
            "content": st.sampled_from(["", "old", "new", "other\n" * 50]),
            "mode": st.sampled_from(["0600", "0640"]),
            "owner": st.sampled_from(["0", "33"]),
        },
    )
    | st.fixed_dictionaries({"name": st.sampled_from(NAMES), "state": st.just("absent")})
    | st.fixed_dictionaries(
        {
            "name": st.sampled_from(NAMES),
            "state": st.just("link"),
            "target": st.sampled_from(TARGETS),
        },
        optional={"owner": st.sampled_from(["0", "33"])},
    )
)
transactions = st.lists(
    st.fixed_dictionaries(
        {
            "files": st.lists(wanted, min_size=1, max_size=4),
            "role": st.sampled_from(["endpoints", "guard"]),
            "check": st.sampled_from(["true", "true", "true", "false"]),
            "then": st.sampled_from(["go on", "go on", "confirm", "roll back", "killed"]),
        }
    ),
    max_size=5,
)


@contextmanager
def scene_of(tree: dict[str, tuple[bytes, int, int]]) -> Iterator[Scene]:
    directory = Path(tempfile.mkdtemp())
    scene = Scene(directory)
    try:
        (scene.units / "timers.target.wants").mkdir(parents=True)
        (scene.root / "dir" / "sub").mkdir(parents=True)
        (scene.root / "link").symlink_to("a")
        for name, (content, mode, uid) in tree.items():
            scene.write(name, content, mode, uid)
        yield scene
    finally:
        shutil.rmtree(directory)


def request(scene: Scene, run: str, step: dict[str, Any]) -> Request:
    files = [
        {"path": scene.path(item["name"]), **{k: v for k, v in item.items() if k != "name"}}
        for item in step["files"]
    ]
    return scene.request(run, step["role"], files=files, checks=[[step["check"]]])


@settings(max_examples=60, deadline=None)
@given(tree=trees, steps=transactions)
def test_rolling_back_restores_everything(
    tree: dict[str, tuple[bytes, int, int]], steps: list[dict[str, Any]]
) -> None:
    with scene_of(tree) as scene, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "ansible_collections.wpward.wordpress.plugins.module_utils.transaction_apply"
            "._CHECK_SECONDS",
            0,
        )
        origin = scene.tree()
        number = 0
        for step in steps:
            before = scene.tree()
            run = f"run{number}"
            try:
                expected = scene.apply(request(scene, run, step), check_mode=True, want_diff=True)
                done = scene.apply(request(scene, run, step), want_diff=True)
                assert (done["files"], done["diff"]) == (expected["files"], expected["diff"])
                assert scene.apply(request(scene, run, step))["changed"] is False
            except Refused:
                assert files_of(scene.tree()) == files_of(before)
            follow_up(scene, run, step["then"])
            if step["then"] in ("confirm", "roll back", "killed"):
                number += 1
        with scene.journal.lock("test"):
            assert scene.journal.roll_back().failures == []
        assert scene.tree() == origin
        assert scene.journal.runs.waiting() is None


def follow_up(scene: Scene, run: str, then: str) -> None:
    with scene.journal.lock("test"):
        if then == "confirm":
            scene.journal.confirm(run)
        elif then == "roll back":
            assert scene.journal.roll_back(run).failures == []
        elif then == "killed" and scene.journal.runs.waiting():
            scene.journal.runs.transactions(run)[0].become("applying")
            assert scene.journal.recover().failures == []
            scene.journal.roll_back(run)


def files_of(tree: dict[str, Any]) -> dict[str, Any]:
    """Leave out the timer, which a failed transaction of an open run may have set anew."""
    return {name: what for name, what in tree.items() if not name.startswith("systemd")}
