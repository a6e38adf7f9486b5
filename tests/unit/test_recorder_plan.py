# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.recorder_plan import recorder_plan

GIB = 1 << 30
SETTINGS = {"interval": 60, "keep_days": 28, "logs_keep_days": 30, "disk_share": 0.2}
NO_RECORDER: dict[str, Any] = {
    "program": None, "unit": None, "active": False, "enabled": False, "interval": None,
    "kept_days": None, "wpward": None, "directory": None, "bytes_per_day": None, "mount": "/",
    "disk_available": 40 * GIB, "samples": [],
}  # fmt: skip
ATOP = {
    **NO_RECORDER, "program": "atop", "unit": "atop.service", "active": True, "enabled": True,
    "interval": 600, "kept_days": 7, "directory": "/var/log/atop", "bytes_per_day": 1 << 20,
}  # fmt: skip
NGINX = {
    "file": "/etc/logrotate.d/nginx", "sha256": "ab" * 32, "patterns": ["/var/log/nginx/*.log"],
    "logs": ["/var/log/nginx/blog-access.log"], "server": "nginx", "frequency": "daily",
    "period_days": 1.0, "rotate": 14, "kept_days": 14, "compress": True,
    "edit": {"offset": 49, "length": 2, "before": ""}, "max_age": None,
    "bytes_per_day": 10 << 20, "refusal": None, "mount": "/", "disk_available": 40 * GIB,
}  # fmt: skip


def evidence(system: str = "debian", **parts: Any) -> dict[str, Any]:
    return {
        "host": {"os": {"id": system}},
        "recorder": copy.deepcopy(NO_RECORDER),
        "log_rotation": [],
        "vhosts": [],
        **parts,
    }


def plan(found: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return recorder_plan(found, {**SETTINGS, **settings})


def test_debian_gets_atop() -> None:
    did = plan(evidence())
    assert (did["program"], did["packages"], did["installer"]) == ("atop", ["atop"], "apt")
    assert did["set_up"] and did["unit"] == "atop.service"
    assert did["values"] == {"interval": 60, "keep_days": 28, "calendar": "*:0/1:00"}
    assert (did["ran"], did["started_at_boot"]) == (False, False)
    assert did["estimates"]["recorder"]["bytes"] == 8192 * 1440 * 28
    assert did["refusals"] == did["notes"] == [] and did["refusal"] == ""


def test_the_rhel_family_gets_sysstat() -> None:
    did = plan(evidence("almalinux"))
    assert (did["program"], did["packages"], did["installer"]) == ("sysstat", ["sysstat"], "dnf")
    assert did["unit"] == "sysstat-collect.timer" and did["values"]["keep_days"] is None


def test_an_unknown_system_gets_a_note() -> None:
    did = plan(evidence("alpine"))
    assert not did["set_up"] and did["packages"] == []
    assert "alpine" in did["notes"][0]


def test_one_that_only_lies_there_is_used() -> None:
    idle = {**ATOP, "active": False, "enabled": False}
    did = plan(evidence("rocky", recorder=idle))
    assert did["set_up"] and did["packages"] == [] and did["program"] == "atop"
    did = plan(evidence(recorder={**idle, "program": "sysstat", "enabled": True}))
    assert did["packages"] == ["atop"] and did["started_at_boot"] is False


def test_the_operators_atop_records_more_often_and_keeps_its_days() -> None:
    did = plan(evidence(recorder=ATOP))
    assert did["set_up"] and did["packages"] == []
    assert did["values"] == {"interval": 60, "keep_days": None, "calendar": "*:0/1:00"}
    assert (did["ran"], did["started_at_boot"]) == (True, True)
    assert did["estimates"]["recorder"] == {
        "bytes_per_day": 10 << 20, "days": 7, "bytes": 70 << 20, "disk_available": 40 * GIB,
        "mount": "/",
    }  # fmt: skip


@pytest.mark.parametrize("interval", [60, 15, None])
def test_an_interval_is_never_made_longer(interval: int | None) -> None:
    did = plan(evidence(recorder={**ATOP, "interval": interval}))
    assert not did["set_up"] and did["packages"] == [] and did["program"] == "atop"
    assert len(did["notes"]) == (1 if interval is None else 0)


def test_pcp_is_left_alone() -> None:
    did = plan(evidence(recorder={**ATOP, "program": "pcp"}))
    assert not did["set_up"] and did["packages"] == [] and "pcp" in did["notes"][0]


@pytest.mark.parametrize(
    ("interval", "calendar"),
    [(5, "*:*:0/5"), (45, "*:*:0/30"), (90, "*:0/1:00"), (600, "*:0/10:00"), (3600, "*:00:00")],
)
def test_a_timers_calendar_has_even_distances(interval: int, calendar: str) -> None:
    assert plan(evidence("rhel"), interval=interval)["values"]["calendar"] == calendar


@pytest.mark.parametrize(
    ("days", "available", "wanted", "after"),
    [
        (28, 40 * GIB, 28, 28),
        (28, 1 << 20, 28, 28),
        (9, 1 << 20, 28, 9),
        (20, 8192 * 1440 * 20 * 5, 28, 20),
        (None, 40 * GIB, 28, None),
        (28, 40 * GIB, 60, 60),
        (28, 1 << 20, 60, 28),
        (28, 1 << 20, 7, 7),
    ],
)
def test_a_second_run_plans_the_same_files(
    days: int | None, available: int, wanted: int, after: int | None
) -> None:
    """Also where the days were shortened, whatever the disk has left by now."""
    ours = {**ATOP, "interval": 60, "wpward": {"interval": 60, "kept_days": days}}
    did = plan(evidence(recorder={**ours, "disk_available": available}), keep_days=wanted)
    assert did["set_up"] and did["packages"] == [] and did["refusals"] == []
    assert did["values"] == {"interval": 60, "keep_days": after, "calendar": "*:0/1:00"}


def test_a_small_disk_shortens_and_a_tiny_one_refuses() -> None:
    day = 8192 * 1440
    did = plan(evidence(recorder={**NO_RECORDER, "disk_available": day * 10 * 5 + 4096}))
    assert did["values"]["keep_days"] == 10
    assert did["notes"] == [
        "atop keeps 10 days instead of 28: 28 would need 315.0 MiB of 562.5 MiB free on /, and "
        "112.5 MiB of that may still be taken (wpward_recorder_disk_share)."
    ]
    did = plan(evidence(recorder={**NO_RECORDER, "disk_available": day * 10}))
    assert not did["set_up"] and did["packages"] == [] and did["program"] is None
    assert did["refusals"] == [
        "No recorder is set up: atop would need 33.8 MiB of 112.5 MiB free on /, and 22.5 MiB of "
        "that may still be taken (wpward_recorder_disk_share) for 3 days."
    ]
    did = plan(evidence(recorder={**ATOP, "disk_available": 1 << 20}))
    assert not did["set_up"] and "goes on recording every 600 seconds" in did["refusals"][0]


def test_access_logs_are_kept_longer() -> None:
    did = plan(evidence(log_rotation=[NGINX]))
    assert did["rotation"] == [
        {
            "path": "/etc/logrotate.d/nginx",
            "sha256": "ab" * 32,
            "edits": [{"offset": 49, "remove": 2, "insert": "30"}],
        }
    ]
    assert did["estimates"]["logs"][0]["bytes"] == 16 * 10 << 20
    assert did["refusals"] == did["notes"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"rotate": 30, "kept_days": 30},
        {"rotate": 90, "kept_days": 90},
        {"rotate": -1, "kept_days": None},
        {"rotate": 5, "period_days": 7.0, "kept_days": 35},
    ],
)
def test_what_is_kept_long_enough_is_not_touched(changes: dict[str, Any]) -> None:
    did = plan(evidence(log_rotation=[{**NGINX, **changes}]))
    assert did["rotation"] == [] and did["refusals"] == did["notes"] == []


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({"period_days": 7.0, "rotate": 4, "kept_days": 28}, ["5"]),
        ({"period_days": 28.0, "rotate": 1, "kept_days": 28}, ["2"]),
        ({"period_days": 0.042, "rotate": 24, "kept_days": 1}, ["715"]),
        ({"edit": {"offset": 20, "length": 0, "before": "\n\trotate "}}, ["\n\trotate 30"]),
        ({"max_age": {"value": 10, "offset": 90, "length": 2}, "kept_days": 10}, ["30", "30"]),
        (
            {"rotate": 60, "max_age": {"value": 10, "offset": 90, "length": 2}, "kept_days": 10},
            ["30"],
        ),
    ],
)
def test_periods_and_places(changes: dict[str, Any], texts: list[str]) -> None:
    (entry,) = plan(evidence(log_rotation=[{**NGINX, **changes}]))["rotation"]
    assert [edit["insert"] for edit in entry["edits"]] == texts


def test_two_sections_of_a_file_are_one_entry() -> None:
    other = {**NGINX, "patterns": ["/srv/*.log"], "edit": {"offset": 99, "length": 1, "before": ""}}
    (entry,) = plan(evidence(log_rotation=[NGINX, other]))["rotation"]
    assert [edit["offset"] for edit in entry["edits"]] == [49, 99]


def test_what_would_not_fit_is_refused_and_the_rest_is_done() -> None:
    """The share is for all of them together, and each file system has its own."""
    big = {**NGINX, "bytes_per_day": GIB, "file": "/etc/logrotate.d/big"}
    elsewhere = {**NGINX, "bytes_per_day": GIB, "mount": "/srv", "disk_available": 100 * GIB}
    did = plan(evidence(log_rotation=[big, elsewhere, NGINX]))
    assert did["refusals"] == [
        "/var/log/nginx/*.log stays at 14 days: 30 days would need 16.0 GiB of 40.0 GiB free on /, "
        "and 7.7 GiB of that may still be taken (wpward_recorder_disk_share)."
    ]
    assert [one["bytes"] for one in did["estimates"]["logs"]] == [16 * GIB, 160 << 20]
    assert did["set_up"]


def test_what_cannot_be_raised_is_told() -> None:
    kept = {**NGINX, "rotate": 0, "kept_days": 0}
    broken = {**NGINX, "refusal": "logrotate refuses /etc/logrotate.d/nginx: error."}
    beyond = {**NGINX, "rotate": 60, "kept_days": 10}
    did = plan(evidence(log_rotation=[kept, broken, beyond]))
    assert did["rotation"] == []
    assert "(rotate 0)" in did["notes"][0] and "maxage" in did["notes"][1]
    assert did["refusals"][0].startswith("/var/log/nginx/*.log stays at 14 days: logrotate refuses")


def test_logs_that_nothing_rotates_are_named() -> None:
    logs = ["/var/log/nginx/blog-access.log", "/srv/{{ x }}.log", "syslog:server=x"]
    vhosts = [{"access_logs": [{"path": path, "format": "combined"} for path in logs]}]
    did = plan(evidence(log_rotation=[NGINX], vhosts=vhosts))
    assert len(did["notes"]) == 1
    assert "/srv/" in did["notes"][0] and "nginx" not in did["notes"][0]
    assert "{{" not in did["notes"][0]
    assert plan(evidence(vhosts=vhosts), logs_keep_days=0)["notes"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interval", 1), ("interval", 3601), ("interval", "a minute"), ("interval", True),
        ("keep_days", 0), ("logs_keep_days", -1), ("disk_share", 0), ("disk_share", 1.5),
        ("disk_share", "half"), ("disk_share", True), ("keep_days", None),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(name: str, value: Any) -> None:
    did = plan(evidence(log_rotation=[NGINX]), **{name: value})
    assert did["refusal"].startswith(f"wpward_recorder_{name} is {value!r}; set it to")
    assert not did["set_up"] and did["packages"] == did["rotation"] == []


def test_numbers_may_come_as_text() -> None:
    as_text = {name: str(value) for name, value in SETTINGS.items()}
    assert recorder_plan(evidence(log_rotation=[NGINX]), as_text) == plan(
        evidence(log_rotation=[NGINX])
    )


def test_evidence_of_a_part_that_failed() -> None:
    did = plan(evidence(recorder=None))
    assert not did["set_up"] and did["packages"] == [] and len(did["notes"]) == 1
