# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import recorder_state
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems


@pytest.mark.parametrize(
    ("calendar", "seconds"),
    [
        ("{ OnCalendar=*-*-* *:00/10:00 ; next_elapse=(null) }", 600),
        ("{ OnCalendar=*-*-* *:00/1:00 ; next_elapse=x }", 60),
        ("OnCalendar=*:*:0/5", 5),
        ("OnCalendar=*:*:00", 60),
        ("OnCalendar=*:00:00", 3600),
        ("OnCalendar=*-*-* 00:07:00", None),
        ("", None),
    ],
)
def test_a_timers_interval(calendar: str, seconds: int | None) -> None:
    text = calendar.replace("*-*-* ", "")
    assert recorder_state.calendar_seconds(text) == seconds
    assert recorder_state.calendar_seconds(calendar) == seconds


def test_settings_as_a_shell_reads_them() -> None:
    text = '# A=1\nA=2\n export B="x y"\nC=\'600\' # why\nA=3\nD=\nE="\n'
    assert recorder_state.assignments(text) == {"A": "3", "B": "x y", "C": "600", "D": ""}


class Systemd:
    """Answers ``systemctl show``; by unit, what it says."""

    def __init__(self, **units: str) -> None:
        self.units = units

    def __call__(self, argv: Sequence[str], _deadline: float) -> tuple[int, bytes, bytes]:
        said = self.units.get(argv[-1].partition(".")[0].replace("-", "_"), "LoadState=not-found")
        return 0, said.encode(), b""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PROC", "SYSTEMD"):
        monkeypatch.setattr(recorder_state, name, str(tmp_path / name.lower()))
    monkeypatch.setattr(recorder_state, "SETTINGS", str(tmp_path / "wpward-atop"))
    monkeypatch.setattr(recorder_state, "_SYSSTAT_SETTINGS", (str(tmp_path / "sysstat"),))
    monkeypatch.setattr(recorder_state, "program", lambda _name: None)
    (tmp_path / "log").mkdir()
    return tmp_path


def describe(monkeypatch: pytest.MonkeyPatch, **units: str) -> dict[str, Any]:
    monkeypatch.setattr(recorder_state, "ask", Systemd(**units))
    return recorder_state.describe(0, 0, Problems())


ATOP = """\
LoadState=loaded
ActiveState={state}
UnitFileState=enabled
MainPID={pid}
Environment=LOGOPTS= LOGINTERVAL=600 LOGGENERATIONS=28 LOGPATH={log}
EnvironmentFiles={settings} (ignore_errors=no)
EnvironmentFiles={ours} (ignore_errors=yes)
"""


def atop(host: Path, state: str, pid: int = 0) -> str:
    return ATOP.format(
        state=state, pid=pid, log=host / "log", settings=host / "atop", ours=host / "wpward-atop"
    )


def test_no_recorder_at_all(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = describe(monkeypatch)
    assert (found["program"], found["active"], found["interval"]) == (None, False, None)
    assert found["mount"] and found["disk_available"] and found["samples"] == []


def test_the_last_file_that_sets_a_value_counts(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host / "atop").write_text("LOGINTERVAL=300\nLOGGENERATIONS=7\n")
    found = describe(monkeypatch, atop=atop(host, "inactive"))
    assert (found["program"], found["active"], found["enabled"]) == ("atop", False, True)
    assert (found["interval"], found["kept_days"], found["wpward"]) == (300, 7, None)
    assert found["directory"] == str(host / "log")
    (host / "wpward-atop").write_text("LOGINTERVAL=60\n")
    (host / "systemd" / "atop.service.d").mkdir(parents=True)
    (host / "systemd" / "atop.service.d" / "wpward.conf").touch()
    found = describe(monkeypatch, atop=atop(host, "inactive"))
    assert (found["interval"], found["kept_days"]) == (60, 7)
    assert found["wpward"] == {"interval": 60, "kept_days": None}


def test_what_it_was_started_with_counts_more(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "proc" / "42").mkdir(parents=True)
    words = ("/usr/bin/atop", "-R", "-w", f"{host}/log/atop_20261122", "15", "")
    (host / "proc" / "42" / "cmdline").write_bytes("\0".join(words).encode())
    (host / "log" / "atop_20261121").write_bytes(b"x" * 700)
    found = describe(monkeypatch, atop=atop(host, "active", pid=42))
    assert (found["active"], found["interval"], found["kept_days"]) == (True, 15, 28)
    assert found["bytes_per_day"] == 700


TIMER = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n" + (
    "TimersCalendar={ OnCalendar=*-*-* *:00/10:00 ; next_elapse=(null) }\n"
)


@pytest.mark.parametrize(("enabled", "active"), [("true", True), ("false", False)])
def test_debians_sysstat_has_a_switch_of_its_own(
    host: Path, monkeypatch: pytest.MonkeyPatch, enabled: str, active: bool
) -> None:
    (host / "sysstat").write_text(f'ENABLED="{enabled}"\nHISTORY=7\nSA_DIR={host}/log\n')
    found = describe(monkeypatch, sysstat_collect=TIMER)
    assert (found["program"], found["active"]) == ("sysstat", active)
    assert (found["interval"], found["kept_days"]) == (600, 7)


def test_the_one_that_runs_is_told(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = {"atop": atop(host, "inactive"), "sysstat_collect": TIMER}
    assert describe(monkeypatch, **units)["program"] == "sysstat"
    pcp = "LoadState=loaded\nActiveState=active\n"
    assert describe(monkeypatch, pmlogger=pcp)["program"] == "pcp"
    assert describe(monkeypatch, atop=atop(host, "inactive"))["program"] == "atop"
