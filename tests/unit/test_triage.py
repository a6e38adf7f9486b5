# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command: what it prints, keeps and returns for whatever the hosts answer."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from unit.plan_cases import CASES
from unit.plan_traffic import evidence

from wpward import cli, triage
from wpward.triage_session import ANSWERED, FAILED, UNREACHABLE, Result

HALF = evidence(budget=[{"part": "access", "seconds": 1.0, "complete": False}])
ANSWERS: dict[str, Result] = {
    "attacked": Result("", ANSWERED, evidence=CASES["two_a_second_for_ten_minutes"].make()),
    "quiet": Result("", ANSWERED, evidence=CASES["one_phone"].make()),
    "half": Result("", ANSWERED, evidence=HALF),
    "odd": Result("", ANSWERED, evidence={"schema": 1}),
    "refused": Result("", FAILED, "refused: sudo says no.", said="sudo: no\x1b[2J"),
    "away": Result("", UNREACHABLE, "away: no route."),
}


class Answering:
    """A session that knows its answer."""

    def __init__(self, host: str, where: Any, options: Any) -> None:
        self.host, self.stage, self.since = host, "waiting", 0.0
        self.at_work = threading.Event()
        self.at_work.set()

    def run(self) -> Result:
        return ANSWERS[self.host]

    def end(self) -> None:
        pass


@pytest.fixture(autouse=True)
def answering(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(triage, "Session", Answering)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        (["quiet"], 0),
        (["refused"], 2),
        (["odd"], 2),
        (["away"], 4),
        (["attacked"], 8),
        (["half"], 16),
        (["quiet", "attacked", "half", "refused", "away"], 2 + 4 + 8 + 16),
    ],
)
def test_exit_codes(hosts: list[str], code: int) -> None:
    assert cli.main(["triage", *hosts]) == code


def test_several_hosts_get_their_verdicts_and_a_line_for_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cli.main(["triage", "quiet", "attacked", "away", "attacked"])
    shown = capsys.readouterr()
    assert "attacked: ATTACK, going on now\n" in shown.out
    assert "quiet: quiet: no attack\n" in shown.out
    assert shown.out.endswith("3 hosts: 1 attack (attacked), 1 quiet, 1 unreachable (away)\n")
    assert shown.err == "wpward: away: no route.\n"
    (directory,) = (tmp_path / "wpward-reports").iterdir()
    assert directory.name.endswith("-triage")
    kept = {one.name: stat.S_IMODE(one.stat().st_mode) for one in directory.glob("[a-z]*")}
    assert kept == {"quiet.json": 0o600, "attacked.json": 0o600, "report.html": 0o600}


def test_json_is_all_that_standard_output_gets(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["triage", "--json", "attacked", "away"])
    told = json.loads(capsys.readouterr().out)
    by_host = {one["host"]: one for one in told["hosts"]}
    assert by_host["attacked"]["verdict"] == by_host["attacked"]["plan"]["verdict"] == "attack"
    aid, harden = by_host["attacked"]["commands"]
    assert aid == "wpward triage --contain attacked"
    assert harden.startswith("wpward harden -i attacked,")
    document = json.loads(Path(by_host["attacked"]["evidence_file"]).read_text())
    assert document["evidence"] == ANSWERS["attacked"].evidence
    assert by_host["away"]["outcome"] == "unreachable"
    assert by_host["away"]["failure"] == "away: no route."


def test_what_a_host_says_is_shown_on_demand_and_cannot_act(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.main(["triage", "-v", "refused"])
    assert "refused said: sudo: no\\x1b[2J" in capsys.readouterr().err


def test_evidence_that_cannot_be_kept_is_still_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main(["triage", "--save", str(tmp_path / "file" / "x"), "attacked"]) == 8
    shown = capsys.readouterr()
    assert "ATTACK" in shown.out
    assert shown.err.startswith("wpward: attacked: its evidence cannot be kept in ")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-oProxyCommand=x@"],
        ["blog", "--since", "soon"],
        ["blog", "--budget", "0"],
        ["blog", "--timeout", "1"],
        ["blog", "--timeout", "20", "--budget", "20"],
        ["--", "-x"],
    ],
)
def test_bad_usage_is_one(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main(["triage", *words])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code == 1
    assert "Traceback" not in capsys.readouterr().err


def test_the_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["triage", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("2 a host could not be probed", "4 a host could not be reached", "8 a host"):
        assert words in shown
