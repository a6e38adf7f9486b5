# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``wpward`` leaves of a run, its exit codes, and what --resume makes of it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from wpward import live_result
from wpward.live_arguments import UsageError
from wpward.live_events import RunState


def state_of(**outcomes: str) -> RunState:
    state = RunState("harden", finished=True)
    state.expect(outcomes)
    for name, outcome in outcomes.items():
        state.hosts[name].outcome = outcome
    return state


@pytest.mark.parametrize(
    ("outcomes", "code", "interrupted", "expected"),
    [
        (["confirmed", "proven_unchanged"], 0, False, 0),
        (["confirmed", "nothing_to_do"], 0, False, 0),
        (["confirmed", "rolled_back"], 2, False, 2),
        (["unreachable", "failed"], 4, False, 2),
        (["confirmed", "unreachable"], 4, False, 4),
        (["confirmed", "not_reached"], 0, False, 4),
        (["confirmed"], 250, False, 1),
        (["confirmed"], None, False, 1),
        (["failed"], 2, True, 130),
        (["confirmed"], 0, True, 130),
    ],
)
def test_exit_codes(
    outcomes: list[str], code: int | None, interrupted: bool, expected: int
) -> None:
    state = state_of(**{f"web{n}": outcome for n, outcome in enumerate(outcomes)})
    assert live_result.exit_code(state, code, interrupted) == expected


def kept(reports: Path, run: str, **outcomes: str) -> Path:
    live_result.keep(reports / run, live_result.document(state_of(**outcomes), run, 2, 0.0))
    return reports / run


def test_a_run_is_resumed_on_whoever_is_not_proven(tmp_path: Path) -> None:
    directory = kept(
        tmp_path,
        "run",
        done="confirmed",
        same="proven_unchanged",
        bad="rolled_back",
        cut="interrupted",
        later="not_reached",
        silent="unreachable",
    )
    assert live_result.unproven("", tmp_path) == (directory, ["bad", "cut", "later"], ["silent"])
    assert stat.S_IMODE((directory / live_result.FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_silent_hosts_are_resumed_when_nothing_else_is_left(tmp_path: Path) -> None:
    directory = kept(tmp_path, "run", done="confirmed", silent="unreachable")
    assert live_result.unproven(str(directory), tmp_path) == (directory, ["silent"], [])


def test_a_run_whose_command_was_killed_is_known_by_its_hosts_documents(tmp_path: Path) -> None:
    directory = kept(tmp_path, "run")
    for host, outcome in (("web1", "confirmed"), ("web2", "unreported"), ("web3", "not_reached")):
        (directory / f"{host}.json").write_text(json.dumps({"host": host, "outcome": outcome}))
    (directory / "torn.json").write_text("{")
    assert live_result.unproven("", tmp_path) == (directory, ["web2", "web3"], [])


def test_a_directory_without_a_run_is_one_sentence(tmp_path: Path) -> None:
    for where in ("", str(tmp_path)):
        with pytest.raises(UsageError, match="name the directory of its report"):
            live_result.unproven(where, tmp_path)


def test_a_result_moves_with_the_report(tmp_path: Path) -> None:
    expected = kept(tmp_path, "expected", web1="")
    document = live_result.document(state_of(web1="confirmed"), "run", 0, 0.0)
    live_result.keep(tmp_path / "elsewhere", document, expected)
    assert not expected.exists()
    assert live_result.unproven("", tmp_path)[0] == tmp_path / "elsewhere"
