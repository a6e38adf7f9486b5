# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What follows an interrupt: no host is left half way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from wpward.live_arguments import extra_variable, follow_up_arguments
from wpward.live_events import ENDING, PROVEN, HostState, RunState

if TYPE_CHECKING:
    from wpward.live import Watch

# A module that was under way goes on without its controller, and holds the host's lock.
_BUSY = "Another wpward process is at work"
_PAUSE = 5.0
_AT_MOST = 180.0


def sayings(command: str, times: int) -> str:
    """What to tell whoever interrupted a playbook, the first time or again."""
    if times > 1:
        return "Stopping at once."
    if command in ("incident", "harden"):
        return (
            "Interrupted: stopping ansible-playbook, then putting back whatever is not proven. "
            "Again to leave that to the hosts themselves."
        )
    return "Interrupted: stopping ansible-playbook."


def put_back(watch: Watch, state: RunState, run: str) -> None:
    """Roll back what an interrupted run changed and did not confirm; first aid stays.

    Args:
        watch: runs the playbooks.
        state: the interrupted run; gets the outcomes.
        run: its name.
    """
    names = state.unsettled()
    for name in names:
        # Nobody knows whether the host came to end it.
        host = state.hosts[name]
        host.first_aid_ended = host.first_aid_ended or host.step == ENDING
    if names and watch.asked.count < 2:
        watch.screen.say(f"putting back run {run} on {', '.join(names)}")
        _roll_back(watch, state, names, run)
    leave(watch, state, run)
    again = [host.name for host in _bare(state) if host.settled]
    if again and watch.asked.count < 2:
        watch.screen.say(f"giving first aid again on {', '.join(again)}")
        aid = RunState("contain")
        watch.follow(follow_up_arguments(watch.options, "contain", again, {}), aid, patience=2)
        for name, host in aid.hosts.items():
            state.hosts[name].first_aid = host.first_aid
            state.hosts[name].first_aid_ended = host.outcome != "contained"
    open_ = [host.name for host in _bare(state)]
    if open_:
        watch.screen.say(
            f"First aid had ended on {', '.join(open_)} and was not given again: wpward contain "
            f"-i {watch.options.inventory} --limit {','.join(open_)}"
        )
    held = [host for host in state.hosts.values() if host.first_aid]
    if held:
        listed = ", ".join(f"{host.name} (until {host.first_aid})" for host in held)
        watch.screen.say(
            f"First aid stays on {listed}. To end it: wpward rollback "
            f"-i {watch.options.inventory} --role contain"
        )


def _bare(state: RunState) -> list[HostState]:
    """The hosts whose first aid was ended for remedies that did not stay."""
    return [
        host for host in state.hosts.values() if host.first_aid_ended and host.outcome not in PROVEN
    ]


def _roll_back(watch: Watch, state: RunState, names: list[str], run: str) -> None:
    # What was under way when the run was interrupted can still come after the first rollback.
    under_way = {name for name in names if state.hosts[name].step.startswith("applying")}
    deadline = time.monotonic() + _AT_MOST
    left = list(names)
    while left and watch.asked.count < 2:
        tried = RunState("rollback")
        watch.follow(
            follow_up_arguments(watch.options, "rollback", left, {"wpward_run": run}),
            tried,
            patience=2,
        )
        again = []
        for name in left:
            host, result = state.hosts[name], tried.hosts.get(name) or HostState(name)
            if result.outcome == "unchanged" and name in under_way:
                under_way.discard(name)
                again.append(name)
            elif result.outcome in ("undone", "unchanged"):
                host.settled, host.outcome, host.unreachable = True, "rolled_back", False
            else:
                host.outcome = "rollback_failed"
                host.failure = result.failure or "ansible-playbook did not get that far."
                if result.unreachable or _BUSY in result.failure:
                    again.append(name)
        left = again if time.monotonic() < deadline else []
        until = time.monotonic() + _PAUSE
        while left and time.monotonic() < until and watch.asked.count < 2:
            time.sleep(0.1)


def leave(watch: Watch, state: RunState, run: str) -> None:
    """Say of every host that is neither confirmed nor put back when it puts itself back."""
    names = state.unsettled()
    if not names:
        return
    seconds = extra_variable(watch.options, "wpward_confirm_within", "300")
    for name in names:
        host = state.hosts[name]
        if not host.unreachable:
            host.outcome = "rollback_failed"
        when = f"at {host.deadline}" if host.deadline else f"within {seconds} seconds"
        watch.screen.say(f"{name}: puts itself back {when} (wpward_confirm_within)")
    watch.screen.say(
        f"To do it sooner: wpward rollback -i {watch.options.inventory} --run {run} "
        f"--limit {','.join(names)}"
    )
