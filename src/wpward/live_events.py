# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the events of a playbook run say of each host: its step, its verdict, what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable

# What needs no second run. Everything else is what --resume takes up again.
PROVEN = frozenset({"confirmed", "proven_unchanged", "nothing_to_do"})
# Nothing was done there, or not to its end.
NOT_DONE = frozenset({"failed", "rolled_back", "rollback_failed", "unproven"})

_REMEDIES = (
    "endpoints",
    "guard",
    "database",
    "real_ip",
    "bans",
    "shared_bans",
    "capacity",
    "recorder",
)
_STEPS = {
    "contain": "first aid",
    "preserve": "evidence",
    "probe": "probing",
    "rollback": "putting back",
}
ENDING = "ending first aid"
_UNDO = "Roll the run back"
# Roles that do more than one thing, by how the names of their tasks begin.
_STEPS_BY_TASK = {
    "Record how the sites work,": "recording the sites",
    "Attack and use the sites": "proving",
    "End first aid": ENDING,
    "Confirm the run": "confirming",
    _UNDO: "putting back",
    "Purge the log tables": "clearing away",
    "Leave the report": "reporting",
}
CONFIRM = "Confirm the run"
# What the role harden begins with.
_NO_OUTCOME = "unreported"
_LINES_OF_AN_ERROR = 12
# What Ansible says of passwords, and what to do then.
_ADVICE = {
    "Missing sudo password": "run again with -K",
    "Incorrect sudo password": "run again with -K and mind it",
    "you must install the sshpass program": "install it on this machine, log in with a key, or "
    "take ansible-core 2.19 or newer, which does without",
}


@dataclass
class HostState:
    """One host of the run. Times are seconds of one clock, whichever `RunState.feed` is given.

    ``outcome`` is empty until it is known; ``failure`` is the last thing that failed, whether or
    not it was made good later. ``touched``: the run may have changed it. ``settled``: what the run
    changed is confirmed or put back. ``busy``: a task is running there.
    """

    name: str
    step: str = "waiting"
    began: float | None = None
    ended: float | None = None
    verdict: str = ""
    proof: str = ""
    outcome: str = ""
    failure: str = ""
    unreachable: bool = False
    failed: bool = False
    changed: bool = False
    touched: bool = False
    settled: bool = False
    busy: bool = False
    first_aid: str = ""
    first_aid_ended: bool = False
    deadline: str = ""
    said: str = ""

    def elapsed(self, now: float) -> float | None:
        """Seconds since its first task, to its last where it is done; None before."""
        if self.began is None:
            return None
        return (self.ended if self.ended is not None else now) - self.began


def _text(value: object) -> str:
    """Somebody else's text, line by line, without anything a terminal would obey."""
    lines = str(value).strip().removeprefix("Task failed: ").splitlines()
    return "\n".join(printable(line, 2000) for line in lines)


def _advised(failure: str) -> str:
    advice = next((words for said, words in _ADVICE.items() if said in failure), "")
    return f"{failure.rstrip('.')}; {advice}" if advice else failure


@dataclass
class RunState:
    """All hosts of one ansible-playbook process, as its events tell of them.

    ``check``: it runs in check mode, and changes nothing.
    """

    command: str
    check: bool = False
    hosts: dict[str, HostState] = field(default_factory=dict)
    report: str = ""
    changes: list[tuple[str, str]] = field(default_factory=list)
    diffs: list[tuple[str, str]] = field(default_factory=list)
    finished: bool = False
    pids: set[int] = field(default_factory=set)
    _said: list[str] = field(default_factory=list)

    def expect(self, names: Iterable[str]) -> None:
        """Name the hosts that the run is for, in their order."""
        known = self.hosts
        self.hosts = {name: known.get(name) or HostState(name) for name in names}
        self.hosts |= {name: host for name, host in known.items() if name not in self.hosts}

    def errors(self) -> str:
        """What ansible-playbook said outside of any task, from its first error on; else empty."""
        for number, line in enumerate(self._said):
            if "ERROR" in line:
                return "\n".join(self._said[number : number + _LINES_OF_AN_ERROR])
        return ""

    def feed(self, event: Mapping[str, Any], now: float) -> None:
        """Take in one event of ansible-runner.

        Args:
            event: the event, as its ``event_handler`` gets it.
            now: the time, of the clock that `HostState.elapsed` is asked with.
        """
        kind = event.get("event")
        data = event.get("event_data") or {}
        if kind in ("verbose", "error", "warning", "system_warning"):
            self._said += [printable(line, 500) for line in event.get("stdout", "").splitlines()]
        elif kind == "playbook_on_stats":
            self._stats(data, now)
        elif kind == "runner_on_file_diff":
            self.diffs.append((str(data.get("host", "")), str(event.get("stdout", ""))))
        elif data.get("host"):
            host = self.hosts.setdefault(data["host"], HostState(data["host"]))
            self._host_event(host, str(kind), data, now)

    def _host_event(self, host: HostState, kind: str, data: Mapping[str, Any], now: float) -> None:
        result = data.get("res")
        result = result if isinstance(result, Mapping) else {}
        if kind == "runner_on_start":
            host.began = now if host.began is None else host.began
            # Whoever is given another task was not lost for good.
            host.busy, host.unreachable = True, False
            host.ended = host.ended if host.outcome else None
            self._step(host, data)
            return
        if kind not in (
            "runner_on_ok",
            "runner_on_skipped",
            "runner_on_failed",
            "runner_on_unreachable",
        ):
            return
        host.busy = False
        if kind == "runner_on_unreachable":
            host.unreachable, host.ended = True, now
            host.failure = _text(result.get("msg", "no answer"))
            self._change(host, "UNREACHABLE")
        elif kind == "runner_on_failed" and not data.get("ignore_errors"):
            host.failed, host.ended = True, now
            host.failure = _advised(
                _text(result.get("msg") or "a task failed: " + str(data.get("task")))
            )
        elif kind == "runner_on_ok":
            self._succeeded(host, data, result, now)

    def _succeeded(
        self, host: HostState, data: Mapping[str, Any], result: Mapping[str, Any], now: float
    ) -> None:
        self._facts(host, result.get("ansible_facts") or {}, now)
        host.changed = host.changed or bool(result.get("changed"))
        role, task = data.get("role"), data.get("task")
        action = str(data.get("task_action", "")).removeprefix("wpward.wordpress.")
        if action == "transaction":
            host.deadline = _text(result.get("deadline") or host.deadline)
            if task == CONFIRM:
                host.settled = True
            elif role == "rollback" and not self.check:
                self._outcome(host, "undone" if result.get("changed") else "unchanged", now)
        elif action == "contain":
            # Only what gives first aid names its ways; what ends it does not.
            host.first_aid = _text(result.get("until") or "")
            host.first_aid_ended = "ways" not in result and bool(result.get("changed"))
        elif action == "report":
            self.report = _text(result.get("path") or self.report)

    def _facts(self, host: HostState, facts: Mapping[str, Any], now: float) -> None:
        plan, proof = facts.get("probe_plan"), facts.get("verify_result")
        if isinstance(plan, Mapping):
            host.verdict = _text(plan.get("verdict", ""))
            self._change(host, "verdict: " + host.verdict)
        if isinstance(proof, Mapping):
            host.proof = "proven" if proof.get("proven") else "unproven"
            if self.command == "verify":
                self._outcome(host, host.proof, now)
        if "harden_touched" in facts:
            host.touched = bool(facts["harden_touched"])
        outcome = str(facts.get("harden_outcome") or _NO_OUTCOME)
        if outcome != _NO_OUTCOME:
            host.settled = host.settled or outcome in PROVEN | {"rolled_back"}
            self._outcome(host, outcome, now)

    def _step(self, host: HostState, data: Mapping[str, Any]) -> None:
        role, task = str(data.get("role", "")), str(data.get("task", ""))
        # The roles of a play have their arguments checked first of all, and where nothing was
        # changed, the task that puts it back is about to be skipped.
        if task.startswith("Validating arguments") or (task == _UNDO and not host.touched):
            return
        step = next((words for name, words in _STEPS_BY_TASK.items() if task.startswith(name)), "")
        if not step and role in _REMEDIES:
            step = f"applying {role}" if host.touched else "checking"
        step = step or _STEPS.get(role, "")
        if step and step != host.step:
            host.step = step
            self._change(host, step)

    def _outcome(self, host: HostState, outcome: str, now: float) -> None:
        host.outcome, host.ended = outcome, now
        self._change(host, WORDS.get(outcome, outcome))

    def _change(self, host: HostState, words: str) -> None:
        if words != host.said:
            host.said = words
            self.changes.append((host.name, words))

    def _stats(self, data: Mapping[str, Any], now: float) -> None:
        self.finished = True
        for name in data.get("processed") or {}:
            self.hosts.setdefault(name, HostState(name))
        for name, host in self.hosts.items():
            host.busy = False
            host.failed = name in (data.get("failures") or {})
            host.unreachable = name in (data.get("dark") or {})
            if name in (data.get("processed") or {}) and host.ended is None:
                host.ended = now

    def close(self) -> None:
        """Give every host its outcome, once ansible-playbook has ended."""
        for host in self.hosts.values():
            said = host.outcome
            self._close(host)
            if host.outcome != said:
                self._change(host, WORDS[host.outcome])

    def _close(self, host: HostState) -> None:
        host.busy = False
        if host.unreachable:
            host.outcome = "unreachable"
        elif host.failed and (self.finished or not host.outcome):
            host.outcome = host.outcome if host.outcome in NOT_DONE else "failed"
        elif not host.outcome and host.began is None:
            host.outcome = "not_reached"
        elif not host.outcome:
            host.outcome = self._done(host) if self.finished else "interrupted"

    def _done(self, host: HostState) -> str:
        """What came of a host that every task went well for, and that no role named an outcome."""
        if self.check:
            return "would_change" if host.changed else "would_not_change"
        if self.command == "rollback":
            return "unchanged"
        if host.proof:
            return host.proof
        if self.command == "contain" or (self.command == "incident" and host.first_aid):
            return "contained"
        return "probed" if host.verdict else "done"

    def unsettled(self) -> list[str]:
        """The hosts that the run may have changed, and neither confirmed nor put back."""
        return [host.name for host in self.hosts.values() if host.touched and not host.settled]


WORDS = {
    "confirmed": "hardened and proven",
    "proven_unchanged": "proven, nothing to change",
    "nothing_to_do": "nothing to do",
    "would_change": "would change",
    "would_not_change": "would not change",
    "rolled_back": "put back as it was",
    "rollback_failed": "NOT put back yet",
    "undone": "put back as it was",
    "unchanged": "nothing to put back",
    "failed": "FAILED",
    "unreachable": "UNREACHABLE",
    "not_reached": "not reached",
    "interrupted": "interrupted",
    "probed": "probed",
    "contained": "first aid holds",
    "done": "done",
    "proven": "proven",
    "unproven": "NOT proven",
}
