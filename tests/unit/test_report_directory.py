# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The directory of a run: many writers, one page, and nothing in it that should not be."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils import report_directory
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_directory import save
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_document import (
    host_document,
)

HOSTS = [f"web{number}.example" for number in range(12)]


def document(host: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "run": None,
        "outcome": "probed",
        "failure": "",
        "evidence": {"sites": []},
        "plan": None,
        "remedies": {},
        "checks": None,
    }
    return host_document(host, **{**empty, **more})


def _write(directory: Path, host: str, barrier: Any) -> None:
    barrier.wait()
    save(directory, document(host), fleet=[*HOSTS, "gone.example"], running=HOSTS)


def test_the_last_page_holds_every_host_that_wrote_at_the_same_time(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(len(HOSTS))
    directory = tmp_path / "reports" / "run"
    writers = [fork.Process(target=_write, args=(directory, host, barrier)) for host in HOSTS]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    page = (directory / "report.html").read_text()
    assert all(f'aria-labelledby="host-{number}-name"' in page for number in range(1, 14))
    assert "had not reported yet" not in page
    assert page.count("It failed or could not be reached") == 1
    names = {path.name for path in directory.iterdir()}
    assert names == {*(f"{host}.json" for host in HOSTS), "report.html", ".lock"}
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert directory.parent.stat().st_mode & 0o777 == 0o700


def test_one_writer_waits_for_the_other(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    fork = multiprocessing.get_context("fork")
    writer = fork.Process(target=save, args=(directory, document("a")), daemon=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        writer.start()
        writer.join(0.5)
        assert writer.is_alive()
        assert (directory / "a.json").exists()
        assert not (directory / "report.html").exists()
        # The writer has inherited the file, so that closing it here would not be enough.
        fcntl.flock(lock, fcntl.LOCK_UN)
    writer.join(30)
    assert writer.exitcode == 0
    assert (directory / "report.html").exists()


def test_a_page_that_was_begun_after_the_document_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = save(tmp_path / "run", document("a"))
    begun = page.stat().st_mtime_ns
    clock = iter([begun - 1, begun + 2, begun + 3])
    monkeypatch.setattr(report_directory.time, "time_ns", lambda: next(clock))
    save(tmp_path / "run", document("b"))
    assert "host-2" not in page.read_text()
    save(tmp_path / "run", document("c"))
    assert "host-3" in page.read_text()


def test_hosts_that_have_not_come_to_it_yet_are_told_from_those_that_are_gone(
    tmp_path: Path,
) -> None:
    page = save(tmp_path / "run", document("a"), fleet=["a", "b", "c"], running=["a", "b"])
    text = page.read_text()
    assert text.index("had not reported yet") < text.index("failed or could not be reached")


def test_other_files_in_the_directory_are_passed_over(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "note.json").write_text("[1")
    (directory / "list.json").write_text("[]")
    (directory / "deep.json").write_text("[" * 100000)
    assert "host-1" in save(directory, document("a")).read_text()


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = save(tmp_path / "run", document("a"))
    before = page.read_text()

    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path / "run", document("b"))
    assert page.read_text() == before
    assert not [path for path in page.parent.iterdir() if path.name.startswith((".r", ".b"))]


def test_the_document_keeps_how_much_a_file_changed_and_none_of_its_text() -> None:
    result = {
        "changed": True,
        "files": [{"path": "/etc/x", "action": "changed"}],
        "invocation": {"module_args": {"files": [{"content": "password hunter2"}]}},
        "diff": [
            {
                "before_header": "/etc/x (mode 0644, owner 0:0)",
                "after_header": "/etc/x (mode 0600, owner 0:0)",
                "before": "a\npassword hunter2\nb\n",
                "after": "a\nb\nc\nd\n",
            }
        ],
    }
    kept = document("a", remedies={"endpoints": result, "guard": {}})
    assert kept["remedies"]["endpoints"]["diff_summary"] == [
        {"path": "/etc/x", "added": 2, "removed": 1}
    ]
    assert kept["remedies"]["guard"] is None
    assert "hunter2" not in json.dumps(kept)


def test_the_document_sums_the_checks_up_by_vantage() -> None:
    rows = [{"endpoint": "xmlrpc", "kind": "refuse", "passed": 3}]
    kept = document(
        "a", checks={"proven": True, "passed": 3}, seen={"host": {"endpoints": rows, "results": []}}
    )
    assert kept["checks"] == {"proven": True, "passed": 3, "endpoints": {"host": rows}}
    assert kept["evidence"] == {"sites": []}
    assert kept["plan"] is None
