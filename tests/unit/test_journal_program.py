# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rollback program: one plain file on the host that needs nothing but its Python."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_program import main
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_program import (
    PARTS,
    program_source,
)
from unit.fault.scene import Scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path).build()


def run(scene: Scene, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Start the installed program as an operator would, with nothing of ours in reach."""
    return subprocess.run(
        [str(scene.state / "rollback.py"), "--state-dir", str(scene.state), *words],
        env={"LC_ALL": "C"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def test_the_installed_file(scene: Scene) -> None:
    scene.apply()
    program = scene.state / "rollback.py"
    text = program.read_text()
    assert program.stat().st_mode & 0o7777 == 0o700
    assert text.splitlines()[0] == f"#!{sys.executable} -I"
    assert text.split("\n", 1)[1] == program_source()
    written = program.stat().st_mtime_ns
    scene.apply(scene.request(files=[{"path": scene.path("site"), "content": "again"}]))
    assert program.stat().st_mtime_ns == written


def test_it_needs_the_standard_library_only() -> None:
    tree = ast.parse(program_source())
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    } | {
        str(node.module).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }
    assert "ansible" not in imported
    assert "ansible_collections" not in imported
    known = getattr(sys, "stdlib_module_names", imported)
    assert imported <= {"__future__", *known}


def test_no_part_takes_a_name_of_another() -> None:
    """All parts share one file there, where the later of two equal names would win."""
    owner: dict[str, str] = {}
    for part in PARTS:
        for node in ast.parse(Path(part.__file__).read_text()).body:
            names: list[str] = []
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [name.id for target in node.targets for name in walk_names(target)]
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [node.target.id]
            for name in names:
                assert owner.setdefault(name, part.__name__) == part.__name__, name


def walk_names(node: ast.AST) -> list[ast.Name]:
    return [found for found in ast.walk(node) if isinstance(found, ast.Name)]


def test_parts_stand_behind_what_they_import() -> None:
    names = [part.__name__ for part in PARTS]
    for position, part in enumerate(PARTS):
        for node in ast.parse(Path(part.__file__).read_text()).body:
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ansible_coll"):
                assert node.module in names[:position], (part.__name__, node.module)
                assert all(alias.asname is None for alias in node.names)


def test_rolling_back_without_the_controller(scene: Scene) -> None:
    before = scene.tree()
    scene.apply(scene.request(packages=["nginx-extras"]))
    status = run(scene, "status")
    assert status.returncode == 0
    assert "Run run1 is open since" in status.stdout
    done = run(scene, "rollback")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Rolled back 001-endpoints of run run1: 7 files. Packages left installed: nginx-extras.\n"
    )
    # The units of this scene are not where the program looks for them.
    scene.timer.disarm()
    assert scene.tree() == before
    assert run(scene, "rollback", "--run", "run1").stdout == "Nothing to roll back.\n"


def test_confirming_and_forgetting_without_the_controller(scene: Scene) -> None:
    scene.apply()
    assert run(scene, "confirm", "--run", "run1").stdout == "Run run1 is confirmed.\n"
    assert run(scene, "confirm", "--run", "run1").stdout == "Run run1 has nothing to confirm.\n"
    assert (
        "with their files left as they are: 001-end" in run(scene, "forget", "--run", "run1").stdout
    )
    late = run(scene, "confirm", "--run", "run1")
    assert (late.returncode, late.stdout) == (1, "")
    assert late.stderr.startswith("Run run1 was forgotten at ")


def test_a_conflict_is_said_and_fails(scene: Scene) -> None:
    scene.apply()
    (scene.root / "site").write_text("by hand")
    done = run(scene, "rollback", "--role", "endpoints")
    assert done.returncode == 1
    assert f"{scene.path('site')} was changed by somebody else since." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough(scene: Scene) -> None:
    scene.apply()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [str(scene.state / "rollback.py"), "--state-dir", str(scene.state), "status"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_names_that_the_terminal_cannot_show(scene: Scene) -> None:
    path = f"{scene.root}/caf\udce9"
    scene.apply(scene.request(files=[{"path": path, "content": "x"}]))
    Path(path).write_text("by hand")
    assert "caf\\udce9 was changed by" in run(scene, "rollback").stderr


def test_expiring_by_the_program(scene: Scene) -> None:
    before = scene.tree()
    scene.apply()
    record = scene.journal.runs.waiting()
    assert record is not None
    scene.journal.runs.save({**record, "boot": "another boot"})
    done = run(scene, "expire")
    assert done.stdout == "Run run1 was not confirmed in time, and is rolled back.\n"
    scene.timer.disarm()
    assert scene.tree() == before


@pytest.mark.parametrize("words", [["rollback", "--run", "../x"], ["forget", "--run", "none"]])
def test_nonsense_is_one_sentence(scene: Scene, words: list[str]) -> None:
    scene.apply()
    done = run(scene, *words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_not_root(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "Only root can do this.\n"
