# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which recorder a host shall have, and for how long it and the web servers' logs are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.bans_plan import APT, DNF
from ansible_collections.wpward.wordpress.plugins.plugin_utils.disk_allowance import Allowance
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import mapping
from ansible_collections.wpward.wordpress.plugins.plugin_utils.log_retention import retention
from ansible_collections.wpward.wordpress.plugins.plugin_utils.recorder_settings import (
    RecorderSettings,
    RecorderSettingsError,
    check_recorder_settings,
)

Row = Mapping[str, Any]

ATOP, SYSSTAT, PCP = "atop", "sysstat", "pcp"
UNITS = {ATOP: "atop.service", SYSSTAT: "sysstat-collect.timer"}
SAMPLE_BYTES = {ATOP: 8192, SYSSTAT: 3072}
"""Of one sample. Measured: atop 2.8.1 2.7 KB at 13 processes and 6 KB at 290, sysstat 12.7.5
1.7 KB with one disk."""
LEAST_DAYS = 3
"""An incident of a weekend is looked into on Monday."""
_DAY = 86400
_STEPS = (
    *(2, 3, 4, 5, 6, 10, 12, 15, 20, 30),
    *(60, 120, 180, 240, 300, 360, 600, 720, 900, 1200, 1800, 3600),
)
"""What a timer of systemd can do at even distances."""


def recorder_plan(evidence: Row, settings: Row) -> dict[str, Any]:
    """See the filter of that name."""
    plan: dict[str, Any] = {
        "refusal": "", "program": None, "unit": None, "set_up": False, "packages": [],
        "installer": "", "values": {"interval": None, "keep_days": None, "calendar": ""},
        "ran": False, "started_at_boot": False, "rotation": [],
        "estimates": {"recorder": None, "logs": []}, "refusals": [], "notes": [],
    }  # fmt: skip
    try:
        wanted = check_recorder_settings(settings)
    except RecorderSettingsError as error:
        return {**plan, "refusal": str(error)}
    allowance = Allowance(wanted.disk_share)
    _plan_recorder(plan, evidence, wanted, allowance)
    kept = retention(evidence, wanted.logs_keep_days, allowance)
    plan["rotation"] = kept.entries
    plan["estimates"]["logs"] = kept.logs
    plan["refusals"] += kept.refusals
    plan["notes"] += kept.notes
    return plan


def _plan_recorder(
    plan: dict[str, Any], evidence: Row, wanted: RecorderSettings, allowance: Allowance
) -> None:
    recorder = mapping(evidence.get("recorder"))
    if not recorder:
        plan["notes"].append(
            "Whether a recorder runs is not known, so none is set up; see the probe's problems."
        )
        return
    active = bool(recorder.get("active"))
    plan["ran"], plan["started_at_boot"] = active, bool(recorder.get("enabled"))
    if active and recorder.get("program") == PCP:
        plan["program"] = PCP
        plan["notes"].append(
            "pcp records here already and is left as it is; what it recorded is not read."
        )
        return
    if active:
        plan["program"] = recorder["program"]
        _keep(plan, recorder, wanted, allowance)
        return
    program, installer = _choice(evidence, recorder)
    if program is None:
        system = mapping(mapping(evidence.get("host")).get("os")).get("id") or "this"
        plan["notes"].append(
            f"No recorder runs, and how to install one is not known for {system} system; install "
            "atop or sysstat and run again."
        )
        return
    if recorder.get("program") != program:
        # What the evidence says of another recorder is not about this one.
        plan["ran"] = plan["started_at_boot"] = False
        plan["packages"], plan["installer"] = [program], installer
    plan["program"] = program
    _begin(plan, recorder, wanted, allowance)


def _choice(evidence: Row, recorder: Row) -> tuple[str | None, str]:
    """Which recorder to use where none runs, and what installs it. The RHEL family has atop in
    EPEL only."""
    system = mapping(mapping(evidence.get("host")).get("os")).get("id") or ""
    if recorder.get("program") == ATOP or system in APT:
        return ATOP, "apt"
    if recorder.get("program") == SYSSTAT or system in DNF:
        return SYSSTAT, "dnf"
    return None, ""


def _begin(
    plan: dict[str, Any], recorder: Row, wanted: RecorderSettings, allowance: Allowance
) -> None:
    """Set up one that does not run yet."""
    program = plan["program"]
    per_day = SAMPLE_BYTES[program] * _DAY / wanted.interval
    days = min(wanted.keep_days, int(allowance.left(recorder) / per_day))
    if days < min(LEAST_DAYS, wanted.keep_days):
        size = per_day * min(LEAST_DAYS, wanted.keep_days)
        plan["refusals"].append(
            f"No recorder is set up: {program} {allowance.short(recorder, size)} for "
            f"{LEAST_DAYS} days."
        )
        plan["packages"], plan["program"] = [], None
        return
    if days < wanted.keep_days:
        plan["notes"].append(
            f"{program} keeps {days} days instead of {wanted.keep_days}: {wanted.keep_days} "
            f"{allowance.short(recorder, per_day * wanted.keep_days)}."
        )
    allowance.take(recorder, per_day * days)
    _set_up(plan, wanted.interval, days if program == ATOP else None)
    _estimate(plan, recorder, per_day, days)


def _keep(
    plan: dict[str, Any], recorder: Row, wanted: RecorderSettings, allowance: Allowance
) -> None:
    """One that runs: the operator's, or that of an earlier run."""
    ours = mapping(recorder.get("wpward"))
    interval = recorder.get("interval")
    program = plan["program"]
    if ours:
        _set_up(plan, wanted.interval, _days_of(ours, recorder, program, wanted, allowance))
        return
    if interval is None:
        plan["notes"].append(
            f"{program} runs, but how often it records is not known; it is left as it is."
        )
        return
    if interval <= wanted.interval:
        return
    days = recorder.get("kept_days") or wanted.keep_days
    before = recorder.get("bytes_per_day") or SAMPLE_BYTES[program] * _DAY / interval
    per_day = before * interval / wanted.interval
    more = (per_day - before) * days
    if not allowance.take(recorder, more):
        plan["refusals"].append(
            f"{program} goes on recording every {interval} seconds: every {wanted.interval} "
            f"seconds for {days} days {allowance.short(recorder, more)}."
        )
        return
    _set_up(plan, wanted.interval, None)
    _estimate(plan, recorder, per_day, days)


def _days_of(
    ours: Row, recorder: Row, program: str, wanted: RecorderSettings, allowance: Allowance
) -> int | None:
    """None where the operator's own number holds. What was found to fit once stays, though the disk
    has less free by now because of it; only more must fit anew, and as a whole."""
    days: int | None = ours.get("kept_days")
    if days is None:
        return None
    size = SAMPLE_BYTES[program] * _DAY / wanted.interval * wanted.keep_days
    return wanted.keep_days if size <= allowance.left(recorder) else min(days, wanted.keep_days)


def _set_up(plan: dict[str, Any], interval: int, days: int | None) -> None:
    plan["set_up"] = True
    plan["unit"] = UNITS[plan["program"]]
    step = max(one for one in _STEPS if one <= interval)
    plan["values"] = {
        "interval": interval,
        "keep_days": days,
        "calendar": f"*:0/{step // 60}:00" if step >= 60 else f"*:*:0/{step}",
    }
    if step == 3600:
        plan["values"]["calendar"] = "*:00:00"


def _estimate(plan: dict[str, Any], recorder: Row, per_day: float, days: int) -> None:
    plan["estimates"]["recorder"] = {
        "bytes_per_day": round(per_day),
        "days": days,
        "bytes": round(per_day * days),
        "disk_available": recorder.get("disk_available"),
        "mount": recorder.get("mount"),
    }
