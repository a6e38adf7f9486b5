# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the host is sent: the modules it needs, and how it runs them."""

from __future__ import annotations

import ast
import base64
import dataclasses
import inspect
import json
import os
import shlex
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from wpward import triage_remote, triage_stream

REQUEST = triage_stream.Request(back=3600, budget=5, seconds=60)


def names() -> set[str]:
    return {name.rpartition(".")[2] for name in triage_stream.sources()}


def test_it_holds_what_the_evidence_imports_and_nothing_of_the_remedies() -> None:
    assert {"evidence", "courtesy", "access_log", "nginx_config", "known_networks_data"} <= names()
    assert not {"transaction_apply", "http_judge", "shared_bans_loader"} & names()


def test_every_import_of_the_library_in_it_is_in_it() -> None:
    for source in triage_stream.sources().values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.module == triage_stream.LIBRARY:
                assert {one.name for one in node.names} <= names()


def test_the_stream_is_the_same_bytes_each_time_and_small() -> None:
    assert triage_stream.stream(REQUEST) == triage_stream.stream(REQUEST)
    assert len(triage_stream.stream(REQUEST)) < 256 * 1024


def test_what_a_host_runs_is_written_for_its_oldest_python() -> None:
    source = Path(triage_remote.__file__).read_text()
    ast.parse(source, feature_version=(3, 8))
    assert "from wpward" not in source


def test_the_command_line_suits_any_login_shell() -> None:
    for ahead in (False, True):
        words = shlex.split(triage_stream.command("m", "p", ahead))
        assert words[0] == "/bin/sh"
        for text in words:
            assert not set("'!\n\\") & set(text)


def test_first_aid_comes_with_what_it_needs_only_where_it_is_asked_for() -> None:
    aided = {name.rpartition(".")[2] for name in triage_stream.sources(first_aid=True)}
    assert {"containment", "transaction_apply", "http_judge", "journal_program"} <= aided - names()
    asked = dataclasses.replace(REQUEST, contain=60, trusted=("192.0.2.7/32",))
    assert triage_stream.stream(asked) != triage_stream.stream(REQUEST)


def start(
    tmp_path: Path,
    program: str,
    seconds: float = 60,
    sources: dict[str, str] | None = None,
    first: str = "",
    **request: Any,
) -> subprocess.Popen[bytes]:
    """The runner as a host starts it, with a library whose evidence is `program`."""
    library = "some.where"
    given = {
        "first": f"starved = False\n{first}",
        "runner": Path(triage_remote.__file__).read_text(),
        "library": library,
        "sources": sources
        or {
            f"{library}.courtesy": "import os\ndef step_back(): os.nice(5)",
            f"{library}.evidence": program,
        },
        "request": {
            "back": 60,
            "budget": 1,
            "seconds": seconds,
            "database_credentials": None,
            "contain": 0,
            "trusted": [],
            **request,
        },
    }
    packed = zlib.compress(json.dumps(given).encode())
    process = subprocess.Popen(
        [sys.executable, "-ISc", triage_stream._BOOT, "MARK"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        # As sshd does: it changes its session's claim on processors.
        start_new_session=True,
    )
    assert process.stdin
    process.stdin.write(b"%d\n" % len(packed) + packed)
    process.stdin.flush()
    return process


EVIDENCE = """
import contextlib, os, subprocess, sys, time
class Budget:
    @contextlib.contextmanager
    def part(self, name, at_most=None):
        yield 1.0
class Request:
    def __init__(self, since, time_budget, database_credentials=None):
        self.since = since
def collect(request):
    print("a stray line")
    with Budget().part("now"):
        {}
    return {{"nice": os.nice(0)}}
"""


def test_parts_and_evidence_come_back_and_stray_output_does_not(tmp_path: Path) -> None:
    process = start(tmp_path, EVIDENCE.format("pass"))
    assert process.stdout and process.stderr
    version = "{}.{}.{}".format(*sys.version_info[:3])
    assert process.stdout.readline() == f"MARK ready {version}\n".encode()
    assert process.stdout.readline() == b"MARK part now\n"
    mark, kind, length = process.stdout.readline().split()
    assert (mark, kind) == (b"MARK", b"evidence")
    assert json.loads(zlib.decompress(process.stdout.read(int(length))))["nice"] >= 5
    assert process.wait(10) == 0
    assert process.stdout.read() == b""
    assert b"a stray line" in process.stderr.read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("schedstat", "starved"),
    [
        ("30000000 4000000000 111\n", True),
        ("600000000 4000000000 111\n", False),
        ("30000000 900000000 9\n", False),
        ("", False),
    ],
)
def test_who_hardly_gets_a_processor_goes_ahead_and_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schedstat: str, starved: bool
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(triage_remote, "prefer", asked.append)
    (tmp_path / "schedstat").write_text(schedstat)
    assert triage_remote.hurry(str(tmp_path / "schedstat")) is starved
    assert asked == ([-20] if starved else [])
    assert triage_remote.hurry(str(tmp_path / "missing")) is False


def test_a_claim_is_the_sessions_as_well_where_there_is_a_right_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, int]] = []
    session = tmp_path / "autogroup"
    monkeypatch.setattr(os, "setpriority", lambda *given: asked.append(given))
    triage_remote.prefer(-20, str(session))
    assert (asked, session.read_text()) == ([(os.PRIO_PROCESS, 0, -20)], "-20")

    def refuse(*_given: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "setpriority", refuse)
    triage_remote.prefer(0, str(session))
    assert session.read_text() == "-20"


def test_a_host_that_begins_to_starve_is_noticed_while_the_library_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finder = triage_remote.Library({"a.b": "", "a.c": "", "a.d": ""}, False)
    answers = [False, True]
    monkeypatch.setattr(triage_remote, "hurry", lambda: answers.pop(0))
    for name, starved in (("a.b", False), ("a.c", True), ("a.d", True)):
        finder.exec_module(type(sys)(name))
        assert finder.starved is starved


@pytest.mark.parametrize("contain", [0, 60])
def test_what_is_sent_ahead_of_the_rest_runs_by_itself(contain: int) -> None:
    asked = dataclasses.replace(REQUEST, contain=contain)
    packed = triage_stream.stream(asked).partition(b"\n")[2]
    first = json.loads(zlib.decompress(packed))["first"]
    done = subprocess.run([sys.executable, "-ISc", first], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


FIRST_AID = """
import time
def servers_of_host():
    return "the host"
def contain(journal, evidence, trusted, seconds):
    assert (journal, evidence, trusted, seconds) == ("the journal", "the host", ["192.0.2.7"], 60)
    {}
    return dict.fromkeys(["run", "until", "ways", "notes", "open", "diff"], "x")
"""


def first_aid(tmp_path: Path, does: str, first: str = "") -> subprocess.Popen[bytes]:
    sources = {
        "some.where.courtesy": "def step_back(): pass",
        "some.where.evidence": EVIDENCE.format("pass"),
        "some.where.containment_apply": FIRST_AID.format(does),
        "some.where.journal": "def Journal(): return 'the journal'",
        "some.where.journal_base": "class Refused(Exception): pass\nsentence = str",
    }
    return start(tmp_path, "", sources=sources, first=first, contain=60, trusted=["192.0.2.7"])


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("pass", dict.fromkeys(("run", "until", "ways", "notes", "open"), "x")),
        (
            "from some.where import journal_base; raise journal_base.Refused('no')",
            {"failure": "no"},
        ),
        ("raise OSError(28, 'full')", {"failure": "[Errno 28] full"}),
    ],
)
def test_first_aid_is_told_before_the_probe_begins(
    tmp_path: Path, does: str, told: dict[str, str]
) -> None:
    process = first_aid(tmp_path, does)
    assert process.stdout
    process.stdout.readline()
    mark, kind, value = process.stdout.readline().split()
    assert (mark, kind) == (b"MARK", b"contained")
    assert json.loads(base64.b64decode(value)) == told
    assert process.stdout.readline() == b"MARK part now\n"
    process.stdout.read()
    assert process.wait(10) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may go ahead of others")
def test_first_aid_is_ahead_of_everything_else_and_the_probe_is_not(tmp_path: Path) -> None:
    ahead = f"{inspect.getsource(triage_remote.prefer)}\nprefer(-20)"
    process = first_aid(tmp_path, "import os; raise OSError(f'nice {os.nice(0)}')", ahead)
    assert process.stdout
    _ready, contained, _part, evidence = (process.stdout.readline().split() for _ in range(4))
    assert json.loads(base64.b64decode(contained[2])) == {"failure": "nice -20"}
    assert json.loads(zlib.decompress(process.stdout.read(int(evidence[2]))))["nice"] == 19


def test_a_connection_that_is_lost_does_not_end_first_aid_half_way(tmp_path: Path) -> None:
    done = tmp_path / "done"
    process = first_aid(tmp_path, f"time.sleep(1); open({str(done)!r}, 'w').close()")
    assert process.stdin and process.stdout
    process.stdout.readline()
    process.stdin.close()
    process.stdout.close()
    process.wait(10)
    assert done.exists()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    until = time.monotonic() + 5
    while alive(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


HANGS = (
    "p = subprocess.Popen(['sleep', '60'], start_new_session=True); "
    "print(p.pid, os.getpid(), file=sys.stderr, flush=True); time.sleep(60)"
)


@pytest.mark.parametrize("end", ["input", "time"])
def test_nothing_is_left_when_nobody_waits_or_the_time_is_over(tmp_path: Path, end: str) -> None:
    process = start(tmp_path, EVIDENCE.format(HANGS), seconds=60 if end == "input" else 1)
    assert process.stderr and process.stdin
    pids: list[int] = []
    while not pids:
        pids = [int(word) for word in process.stderr.readline().split() if word.isdigit()]
    assert all(map(alive, pids))
    if end == "input":
        process.stdin.close()
    assert process.wait(10) == triage_remote.TIME_OVER
    assert all(map(gone, pids))


def test_a_probe_that_fails_says_so(tmp_path: Path) -> None:
    process = start(tmp_path, EVIDENCE.format("raise OSError('no more files')"))
    assert process.stderr
    assert process.wait(10) == 1
    assert b"The probe failed: OSError: no more files\n" in process.stderr.read()


@pytest.mark.parametrize(("usable", "ahead"), [("_USABLE", 0), ("_USABLE_AND_AHEAD", -20)])
def test_python_starts_ahead_of_everything_else_only_where_it_is_to(
    usable: str, ahead: int
) -> None:
    told = "import os;print(os.getpriority(0,0))"
    lines = triage_stream._PICK
    done = subprocess.run(
        ["/bin/sh", "-c", lines, "wpward", told, "mark", getattr(triage_stream, usable)],
        capture_output=True,
        text=True,
        check=False,
    )
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    may = os.geteuid() == 0
    assert (done.stdout, done.stderr) == (f"{ahead if ahead and may else mine}\n", "")


def in_shell(path: str, *pythons: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    folder = Path(path)
    for name, text in pythons:
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    # The shell's own places would hold this machine's Pythons.
    lines = triage_stream._PICK.partition("; ")[2]
    return subprocess.run(
        ["/bin/sh", "-c", lines, "wpward", "boot", "mark", "usable"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


WORKS = 'case $2 in usable) exit 0;; esac; echo "$0 $*"'


def test_the_newest_python_that_works_is_taken(tmp_path: Path) -> None:
    done = in_shell(
        str(tmp_path),
        ("python3.13", "exit 1"),
        ("python3.9", WORKS),
        ("python3.11", WORKS),
        ("python3", WORKS),
    )
    assert done.stdout == f"{tmp_path}/python3.11 -ISc boot mark\n"


def test_a_host_without_python_says_so_by_its_exit_code(tmp_path: Path) -> None:
    done = in_shell(str(tmp_path), ("python3", "exit 1"))
    assert done.returncode == triage_stream.NO_PYTHON
    assert done.stderr == f"No usable python3 in {tmp_path}.\n"
