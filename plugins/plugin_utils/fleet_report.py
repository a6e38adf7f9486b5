# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a whole fleet stands: hosts that cannot say so, the sums, and who is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Outcomes of hosts that no task could run for.
WAITING = "not_reached"
BEGUN = "unreported"
UNREACHABLE = "unreachable"
LOST = "lost"

# What hosts are counted as, in this order; every outcome that is not named here is unproven.
_GROUPS = {
    "hardened": ("confirmed", "proven_unchanged"),
    "left alone, nothing called for a remedy": ("nothing_to_do",),
    "checked, nothing changed": ("would_change", "would_not_change"),
    "probed": ("probed",),
    "proven": ("proven",),
    "not proven": ("unproven",),
    "rolled back": ("rolled_back",),
    "failed": ("failed", "rollback_failed"),
    "lost": (LOST,),
    "unreachable": (UNREACHABLE,),
    "without a result": (BEGUN,),
    "not reached": (WAITING,),
}
_LEFT = ("rolled_back", "failed", "rollback_failed", LOST, BEGUN, WAITING)
# A host that never answered says nothing about the remedies: it is listed, and the others go on.
_STOPS = ("rolled_back", "failed", "rollback_failed", LOST)
_NAMED = 8

NOT_COME_TO = "The rollout did not come to this host; it is as it was."


def not_reported(hardening: bool) -> str:
    """Why a host that has begun has no result yet."""
    why = (
        "It had not reported yet when this was written. If the run is over, it was interrupted, "
        "or the host could not be reached."
    )
    kept = " What was applied there and not confirmed, the host puts back by itself."
    return why + (kept if hardening else "")


def _silent(known: Mapping[str, Any], confirm_within: int) -> tuple[str, str]:
    """The outcome and its reason of a host that left the run before it could report."""
    for name in ("__probe_result", "contain_result"):
        answer = known.get(name)
        if isinstance(answer, Mapping) and answer.get("unreachable") is True:
            said = str(answer.get("msg") or "")
            return UNREACHABLE, f"It could not be reached; nothing was changed. {said}".strip()
    if known.get("harden_touched"):
        return LOST, (
            "It could no longer be reached after its first change. What was not confirmed, it puts "
            f"back by itself at most {confirm_within} seconds after the last change, after a "
            "reboot too."
        )
    if known.get("probe_evidence") is not None:
        return LOST, "It could no longer be reached after the probe. Nothing had been changed."
    return BEGUN, (
        "It failed or could not be reached before it could report; the output of the run says why."
    )


def standing(
    known: Mapping[str, Any], *, hardening: bool, running: bool, confirm_within: int
) -> tuple[str, str]:
    """A host's outcome, and the reason where no report of its own tells it.

    Args:
        known: the host's variables, as far as the run came to set them.
        hardening: whether this is a rollout, which comes to its hosts one after the other.
        running: whether tasks still run for the host.
        confirm_within: seconds after the last change until the host puts itself back.
    """
    outcome = str(known.get("harden_outcome") or "")
    if outcome and outcome != BEGUN:
        return outcome, ""
    if not running or outcome == BEGUN:
        return _silent(known, confirm_within)
    if hardening:
        return WAITING, ""
    checks = known.get("verify_result")
    if isinstance(checks, Mapping):
        return ("proven" if checks.get("proven") is True else "unproven"), ""
    return "probed", ""


def by_outcome(documents: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The hosts' names by what they are counted as, in the order to print."""
    found: dict[str, list[str]] = {name: [] for name in _GROUPS}
    group_of = {outcome: name for name, outcomes in _GROUPS.items() for outcome in outcomes}
    for document in documents:
        group = group_of.get(str(document.get("outcome")), "without a result")
        found[group].append(str(document.get("host")))
    return {name: hosts for name, hosts in found.items() if hosts}


def stopping(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """The hosts for which a rollout does not go on."""
    return [str(one.get("host")) for one in documents if one.get("outcome") in _STOPS]


def left_to_do(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """The hosts to resume with.

    Those that never answered are among them once nothing else is left: as the first of a
    rollout, such a host would end it again.
    """
    left = [str(one.get("host")) for one in documents if one.get("outcome") in _LEFT]
    return left or [str(one.get("host")) for one in documents if one.get("outcome") == UNREACHABLE]


def _names(hosts: Sequence[str]) -> str:
    more = len(hosts) - _NAMED
    return ", ".join(hosts[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def summary(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines for the screen: one of numbers, then the names of every group but the good ones."""
    groups = by_outcome(documents)
    counts = ", ".join(f"{len(hosts)} {name}" for name, hosts in groups.items())
    number = len(documents)
    good = list(_GROUPS)[:5]
    return [f"fleet    {number} host{'s' if number != 1 else ''}: {counts}"] + [
        f"{name}: {_names(hosts)}" for name, hosts in groups.items() if name not in good
    ]
