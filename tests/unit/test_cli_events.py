# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``wpward`` makes of a run's events, recorded from ansible-runner 2.4.3 on real hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wpward import live_result
from wpward.live import listed_hosts
from wpward.live_events import CONFIRM, RunState
from wpward.live_table import table

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data" / "live"


def events(name: str) -> Iterator[tuple[dict[str, Any], float]]:
    for line in (DATA / f"{name}.jsonl").read_text().splitlines():
        event = json.loads(line)
        yield event, datetime.fromisoformat(event["created"]).timestamp()


def until(name: str, command: str, task: str = "") -> RunState:
    """The state of a recorded run when a task begins, or at its end."""
    state = RunState(command)
    state.expect(["web2", "web1"] if name == "incident" else ["web1"])
    for event, now in events(name):
        if task and event.get("event_data", {}).get("task") == task:
            state.feed(event, now)
            return state
        state.feed(event, now)
    assert not task, f"there is no task {task!r} in {name}"
    return state


def test_an_incident_step_by_step() -> None:
    state = until("incident", "incident")
    state.close()
    assert [words for host, words in state.changes if host == "web1"] == [
        "first aid",
        "evidence",
        "probing",
        "verdict: quiet",
        "recording the sites",
        "applying endpoints",
        "applying guard",
        "ending first aid",
        "proving",
        "confirming",
        "hardened and proven",
        "reporting",
    ]
    assert [words for host, words in state.changes if host == "web2"] == [
        "first aid",
        "UNREACHABLE",
    ]


def test_what_became_of_an_incident() -> None:
    state = until("incident", "incident")
    state.close()
    web1, web2 = state.hosts["web1"], state.hosts["web2"]
    assert (web1.outcome, web1.settled, web1.first_aid) == ("confirmed", True, "")
    assert web2.outcome == "unreachable"
    assert web2.failure.startswith("Failed to connect to the host via ssh")
    assert state.report == "/srv/reports/20261122T170000Z-ab12cd/report.html"
    assert state.unsettled() == []
    assert live_result.exit_code(state, 4, interrupted=False) == 4


def test_a_host_that_puts_itself_back_has_failed_for_the_first_reason() -> None:
    state = until("harden_failed", "harden")
    state.close()
    web1 = state.hosts["web1"]
    assert (web1.outcome, web1.settled, web1.failed) == ("rolled_back", True, True)
    assert "lines_kept is 1.5" in web1.failure
    assert live_result.exit_code(state, 2, interrupted=False) == 2
    result = live_result.document(state, "r", 2, 0.0)
    assert result["hosts"]["web1"]["failure"] == web1.failure


@pytest.mark.parametrize(
    ("task", "touched"),
    [
        ("Read the host", False),
        ("Record how the sites work, seen on the host", False),
        ("Close the endpoints", True),
        ("Attack and use the sites on the host", True),
        # Nobody knows yet whether the host has it: better to put back than to leave it half way.
        (CONFIRM, True),
    ],
)
def test_whom_an_interrupt_puts_back(task: str, touched: bool) -> None:
    state = until("incident", "incident", task)
    state.close()
    assert state.unsettled() == (["web1"] if touched else [])
    assert state.hosts["web1"].outcome == "interrupted"


def test_first_aid_of_an_interrupted_run_is_known() -> None:
    before = until("incident", "incident", "Install the plugin in every WordPress").hosts["web1"]
    assert before.first_aid.startswith("2026-")
    assert not before.first_aid_ended
    after = until("incident", "incident", "Attack and use the sites on the host").hosts["web1"]
    assert (after.first_aid, after.first_aid_ended) == ("", True)


def test_when_a_host_puts_itself_back_is_known() -> None:
    state = until("incident", "incident", "Attack and use the sites on the host")
    assert state.hosts["web1"].deadline.startswith("2026-")


def test_the_tasks_that_the_steps_are_told_by_are_there() -> None:
    named = "".join(path.read_text() for path in (ROOT / "roles").glob("*/tasks/*.yml"))
    for start in (
        *("Record how the sites work,", "Attack and use the sites", "End first aid\n"),
        *(CONFIRM + "\n", "Roll the run back\n", "Purge the log tables\n", "Leave the report"),
    ):
        assert f"- name: {start}" in named, start
    assert "harden_outcome: unreported" in named


def test_text_of_a_host_cannot_steer_the_terminal() -> None:
    state = RunState("probe")
    message = "Task failed: no\x1b[2J\nsecond \u202eline"
    for kind, result in (("runner_on_start", {}), ("runner_on_failed", {"msg": message})):
        state.feed({"event": kind, "event_data": {"host": "web1", "res": result}}, 1.0)
    assert state.hosts["web1"].failure == "no\\x1b[2J\nsecond \\u202eline"


@pytest.mark.parametrize(
    ("command", "action", "role"),
    [("contain", "contain", "contain"), ("rollback", "transaction", "rollback")],
)
@pytest.mark.parametrize("changed", [True, False])
def test_check_mode_calls_nothing_done(command: str, action: str, role: str, changed: bool) -> None:
    state = RunState(command, check=True)
    data = {"host": "web1", "role": role, "task": "x", "task_action": f"wpward.wordpress.{action}"}
    state.feed({"event": "runner_on_start", "event_data": data}, 0.0)
    done = {"event": "runner_on_ok", "event_data": data | {"res": {"changed": changed}}}
    state.feed(done, 1.0)
    state.feed({"event": "playbook_on_stats", "event_data": {"processed": {"web1": 1}}}, 2.0)
    state.close()
    assert state.hosts["web1"].outcome == ("would_change" if changed else "would_not_change")


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("Missing sudo password", "run again with -K"),
        ("Incorrect sudo password", "and mind it"),
        (
            "to use the 'ssh' connection type with passwords or pkcs11_provider, you must install "
            "the sshpass program",
            "log in with a key",
        ),
    ],
)
def test_what_to_do_about_passwords_is_said(said: str, advised: str) -> None:
    state = RunState("contain")
    data = {"host": "web1", "task": "x", "res": {"msg": said}}
    state.feed({"event": "runner_on_failed", "event_data": data}, 0.0)
    assert state.hosts["web1"].failure.startswith(said)
    assert advised in state.hosts["web1"].failure


def test_the_table_fits_the_screen_and_counts_whom_it_leaves_out() -> None:
    state = RunState("harden")
    state.expect([f"web{number}" for number in range(50)])
    state.hosts["web42"].outcome = "rolled_back"
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table(list(state.hosts.values()), 0.0, rows=8))
    lines = shown.get().splitlines()
    assert len(lines) == 9
    assert lines[1].startswith("web42")
    assert lines[-1].startswith("and 43 more")


def test_the_hosts_that_a_playbook_is_for() -> None:
    printed = """
playbook: incident.yml

  play #1 (all): First aid\tTAGS: [contain]
    pattern: ['all']
    hosts (2):
      web1
      2001:db8::7

  play #2 (all): Close the hole\tTAGS: [harden]
    pattern: ['all']
    hosts (2):
      web1
      db.example
"""
    assert listed_hosts(printed) == ["web1", "2001:db8::7", "db.example"]
