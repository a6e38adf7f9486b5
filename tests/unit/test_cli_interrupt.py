# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows an interrupt, without any host: which playbooks run, on whom, what is said."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from wpward import cli, live_interrupt
from wpward.live_events import HostState, RunState


class Watch:
    """Runs no playbook: ``answers`` gives each host of it an outcome, or a failure's sentence."""

    def __init__(self, *answers: dict[str, str]) -> None:
        self.options: argparse.Namespace = cli._parser().parse_args(["harden", "-i", "inv"])
        self.asked = SimpleNamespace(count=1)
        self.said: list[str] = []
        self.screen = SimpleNamespace(say=self.said.append)
        self.ran: list[tuple[str, str]] = []
        self._answers = list(answers)

    def follow(self, arguments: Sequence[str], state: RunState, patience: int) -> int:
        assert patience == 2
        self.ran.append((state.command, arguments[arguments.index("--limit") + 1]))
        for name, answer in self._answers.pop(0).items():
            host = state.hosts[name] = HostState(name)
            known = answer in ("undone", "unchanged", "contained")
            host.outcome, host.failure = (answer, "") if known else ("failed", answer)
        return 0


def interrupted(**steps: str) -> RunState:
    """A run with one host per step; those that apply or prove were touched."""
    state = RunState("harden")
    for name, step in steps.items():
        touched = step.startswith(("applying", "proving"))
        state.hosts[name] = HostState(name, step=step, touched=touched, began=0.0)
    state.close()
    return state


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, RunState], None]:
    monkeypatch.setattr(live_interrupt, "_PAUSE", 0.0)
    return lambda watch, state: live_interrupt.put_back(watch, state, "the-run")


def test_only_whom_the_run_touched(put_back: Callable[[Any, RunState], None]) -> None:
    watch = Watch({"b": "undone", "c": "undone"})
    state = interrupted(a="probing", b="proving", c="applying guard")
    put_back(watch, state)
    assert watch.ran == [("rollback", "b,c")]
    outcomes = [host.outcome for host in state.hosts.values()]
    assert outcomes == ["interrupted", "rolled_back", "rolled_back"]


def test_what_was_under_way_is_looked_for_twice(put_back: Callable[[Any, RunState], None]) -> None:
    watch = Watch({"a": "unchanged", "b": "unchanged"}, {"a": "undone"})
    state = interrupted(a="applying endpoints", b="proving")
    put_back(watch, state)
    assert watch.ran == [("rollback", "a,b"), ("rollback", "a")]
    assert not state.unsettled()


def test_a_host_that_is_still_at_work_is_asked_again(
    put_back: Callable[[Any, RunState], None],
) -> None:
    watch = Watch({"a": live_interrupt._BUSY + " on this host"}, {"a": "undone"})
    state = interrupted(a="proving")
    put_back(watch, state)
    assert len(watch.ran) == 2
    assert state.hosts["a"].outcome == "rolled_back"


def test_a_rollback_that_fails_leaves_it_to_the_host(
    put_back: Callable[[Any, RunState], None],
) -> None:
    watch = Watch({"a": "somebody else changed a file"})
    state = interrupted(a="proving")
    state.hosts["a"].deadline = "2026-11-22T17:08:10Z"
    put_back(watch, state)
    assert len(watch.ran) == 1
    assert state.hosts["a"].outcome == "rollback_failed"
    assert "somebody else" in state.hosts["a"].failure
    assert "a: puts itself back at 2026-11-22T17:08:10Z (wpward_confirm_within)" in watch.said
    assert "wpward rollback -i inv --run the-run --limit a" in watch.said[-1]


def test_a_second_interrupt_leaves_it_to_the_hosts(
    put_back: Callable[[Any, RunState], None],
) -> None:
    watch = Watch()
    watch.asked.count = 2
    state = interrupted(a="proving", b="probing")
    put_back(watch, state)
    assert watch.ran == []
    assert state.unsettled() == ["a"]
    assert any("a: puts itself back within 300 seconds" in line for line in watch.said)


def test_first_aid_stays_and_comes_back(put_back: Callable[[Any, RunState], None]) -> None:
    watch = Watch({"a": "undone"}, {"a": "contained"})
    state = interrupted(a="proving", b="evidence")
    state.hosts["a"].first_aid_ended = True
    state.hosts["b"].first_aid = "2026-11-23T17:00:00Z"
    put_back(watch, state)
    assert watch.ran == [("rollback", "a"), ("contain", "a")]
    assert not state.hosts["a"].first_aid_ended
    assert "First aid stays on b (until 2026-11-23T17:00:00Z)" in watch.said[-1]
    assert "wpward rollback -i inv --role contain" in watch.said[-1]


def test_first_aid_that_was_just_being_ended(put_back: Callable[[Any, RunState], None]) -> None:
    watch = Watch({"a": "undone"}, {"a": "contained"})
    state = interrupted(a="ending first aid")
    state.hosts["a"].touched = True
    put_back(watch, state)
    assert watch.ran == [("rollback", "a"), ("contain", "a")]


def test_first_aid_that_a_confirmed_host_needs_no_more(
    put_back: Callable[[Any, RunState], None],
) -> None:
    watch = Watch()
    state = interrupted(a="confirming")
    host = state.hosts["a"]
    host.touched = host.settled = host.first_aid_ended = True
    host.outcome = "confirmed"
    put_back(watch, state)
    assert (watch.ran, watch.said) == ([], [])
