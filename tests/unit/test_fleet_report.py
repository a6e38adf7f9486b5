# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a fleet stands: hosts that cannot say it, what stops a rollout, and who is left to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.fleet_report import (
    left_to_do,
    standing,
    stopping,
    summary,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.fleet_stage import (
    Fleet,
    begun,
    ended,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_host import OUTCOMES

RUN = "20261122T120000Z-abcdef"
REFUSED = {"unreachable": True, "msg": "Connection refused"}
NEVER_ANSWERED = {"harden_outcome": "unreachable", "__probe_result": REFUSED}
LOST = {"harden_outcome": "unreported", "probe_evidence": {}, "harden_touched": True}


def documents(**outcomes: str) -> list[dict[str, str]]:
    return [{"host": host, "outcome": outcome} for host, outcome in outcomes.items()]


@pytest.mark.parametrize(
    ("known", "running", "outcome", "words"),
    [
        ({"harden_outcome": "confirmed"}, True, "confirmed", ""),
        # It failed once its report was written.
        ({"harden_outcome": "rolled_back"}, False, "rolled_back", ""),
        ({}, True, "not_reached", ""),
        (LOST, False, "lost", "at most 90 seconds after the last change"),
        (LOST | {"harden_touched": False}, False, "lost", "Nothing had been changed"),
        ({"contain_result": REFUSED}, False, "unreachable", "Connection refused"),
        ({}, False, "unreported", "failed or could not be reached"),
        # What an earlier play read of it says nothing about a host that a rollout has not come to.
        ({"probe_evidence": {}, "verify_result": {"proven": True}}, True, "not_reached", ""),
    ],
)
def test_what_a_host_of_a_rollout_is_at(
    known: dict[str, Any], running: bool, outcome: str, words: str
) -> None:
    found, why = standing(known, hardening=True, running=running, confirm_within=90)
    assert found == outcome
    assert found in OUTCOMES
    assert words in why
    assert bool(words) == bool(why)


@pytest.mark.parametrize(
    ("known", "running", "outcome"),
    [
        ({"probe_evidence": {}}, True, "probed"),
        ({"probe_evidence": {}, "verify_result": {"proven": True}}, True, "proven"),
        ({"probe_evidence": {}, "verify_result": {"proven": False}}, True, "unproven"),
        ({"__probe_result": REFUSED}, False, "unreachable"),
        ({"probe_evidence": {}}, False, "lost"),
    ],
)
def test_what_a_host_is_at_where_nothing_is_changed(
    known: dict[str, Any], running: bool, outcome: str
) -> None:
    assert standing(known, hardening=False, running=running, confirm_within=300)[0] == outcome


def test_one_unproven_host_stops_a_rollout_and_one_that_never_answered_does_not() -> None:
    fleet = documents(a="confirmed", b="unreachable", c="nothing_to_do", d="would_change")
    assert stopping(fleet) == []
    for outcome in ("rolled_back", "rollback_failed", "failed", "lost"):
        assert stopping([*fleet, *documents(e=outcome)]) == ["e"]


def test_who_never_answered_is_left_for_last() -> None:
    fleet = documents(a="confirmed", b="unreachable", c="rolled_back", d="not_reached")
    assert left_to_do(fleet) == ["c", "d"]
    assert left_to_do(fleet[:2]) == ["b"]
    assert left_to_do(fleet[:1]) == []


def test_the_sums_name_who_needs_somebody_and_not_two_hundred_others() -> None:
    many = {f"web{number:03}": "not_reached" for number in range(200)}
    lines = summary(documents(a="confirmed", b="rolled_back", c="lost", **many))
    assert lines[0] == "fleet    203 hosts: 1 hardened, 1 rolled back, 1 lost, 200 not reached"
    assert lines[1:3] == ["rolled back: b", "lost: c"]
    assert lines[3].endswith("web007 and 192 more")
    assert summary(documents(a="proven")) == ["fleet    1 host: 1 proven"]


def outcomes_in(directory: Path) -> dict[str, str]:
    found = [json.loads(path.read_text()) for path in directory.glob("*.json")]
    return {document["host"]: document["outcome"] for document in found}


def fleet_of(known: dict[str, dict[str, Any]], batch: list[str], *gone: str) -> Fleet:
    return Fleet(
        all=list(known),
        running=[host for host in known if host not in gone],
        batch=batch,
        known=known,
    )


def test_every_host_is_named_from_the_start_whatever_ends_the_run(tmp_path: Path) -> None:
    directory = tmp_path / "reports" / RUN
    page = begun(directory, fleet_of({"a": {}, "b": {}, "c": {}}, ["a"]), RUN)
    assert outcomes_in(directory) == {"a": "unreported", "b": "not_reached", "c": "not_reached"}
    assert page.read_text().count('<section class="host"') == 3
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}


def test_a_second_batch_keeps_what_the_first_has_left(tmp_path: Path) -> None:
    directory = tmp_path / RUN
    known: dict[str, dict[str, Any]] = {"a": NEVER_ANSWERED, "b": {}, "c": {}}
    begun(directory, fleet_of(known, ["a"]), RUN)
    (directory / "a.json").write_text(json.dumps({"host": "a", "outcome": "unreachable"}))
    begun(directory, fleet_of(known, ["b", "c"], "a"), RUN)
    assert outcomes_in(directory) == {"a": "unreachable", "b": "unreported", "c": "unreported"}


def test_hosts_that_cannot_say_so_are_noted_at_the_end_of_their_batch(tmp_path: Path) -> None:
    directory = tmp_path / RUN
    known: dict[str, dict[str, Any]] = {"a": {"harden_outcome": "confirmed"}, "b": LOST, "c": {}}
    begun(directory, fleet_of(known, ["a", "b"]), RUN)
    result = ended(directory, fleet_of(known, ["a"], "b"), RUN, 300)
    assert result["stops"] == ["b"]
    assert (result["waiting"], result["left"]) == (1, ["b", "c"])
    assert Path(result["left_file"]).read_text() == "b\nc\n"
    assert outcomes_in(directory)["b"] == "lost"
    assert "contact was lost" in Path(result["path"]).read_text()


def test_a_batch_of_which_nobody_answers_ends_a_rollout() -> None:
    known: dict[str, dict[str, Any]] = {"a": NEVER_ANSWERED, "b": {}}
    assert ended(None, fleet_of(known, ["a"]), RUN, 300)["stops"] == ["a"]
    known["b"] = {"harden_outcome": "confirmed"}
    assert ended(None, fleet_of(known, ["a", "b"]), RUN, 300)["stops"] == []


def test_a_resumed_rollout_counts_what_was_done_before(tmp_path: Path) -> None:
    directory = tmp_path / RUN
    directory.mkdir()
    (directory / "done.json").write_text(json.dumps({"host": "done", "outcome": "confirmed"}))
    known = {"a": {"harden_outcome": "confirmed"}}
    result = ended(directory, fleet_of(known, ["a"]), RUN, 300)
    assert result["summary"] == ["fleet    2 hosts: 2 hardened"]


def test_a_full_disk_of_the_controller_hides_nothing_that_stops_a_rollout(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    known = {"a": LOST}
    result = ended(tmp_path / "file" / RUN, fleet_of(known, ["a"], "a"), RUN, 300)
    assert result["stops"] == ["a"]
    assert "file" in result["problem"]


def test_without_a_directory_it_only_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = ended(None, fleet_of({"a": LOST}, ["a"], "a"), RUN, 300)
    assert result["left"] == ["a"]
    assert "left_file" not in result
    assert not list(tmp_path.iterdir())
