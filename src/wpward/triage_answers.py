# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of the hosts' answers to ``wpward triage``: judged, kept, shown, counted."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils import report_directory
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    AFTERMATH,
    ATTACK,
    PlanError,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report import file_name
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import visible
from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_document import (
    host_document,
)
from rich.console import Console
from rich.text import Text

from wpward.triage_config import Place
from wpward.triage_display import Display
from wpward.triage_session import ANSWERED, FAILED, UNREACHABLE, Result
from wpward.triage_verdict import Way, commands, complete, first_aid_said, verdict

_BITS = {FAILED: 2, UNREACHABLE: 4}
_ATTACKED = 8
_INCOMPLETE = 16
_NOT_CONTAINED = 32
_STYLES = {"attack": "bold red", "aftermath": "yellow", "probing": "yellow", "quiet": "green"}


def holds(first_aid: dict[str, Any] | None) -> bool:
    """Whether XML-RPC is closed on all of a host."""
    return first_aid is not None and not first_aid.get("failure") and not first_aid.get("open")


class Answers:
    """``options``: the command's. ``places``: where each host is. ``directory``: for evidence and
    report."""

    def __init__(
        self, options: argparse.Namespace, places: Mapping[str, Place], directory: Path
    ) -> None:
        self._options = options
        self._places = places
        self._directory = directory
        self._rows: list[dict[str, Any]] = []
        self._out = Console(soft_wrap=True, highlight=False)
        self._err = Console(stderr=True, soft_wrap=True, highlight=False)

    def display(self, began: float) -> Display:
        """What shows who is still being waited for. ``began``: as Display takes it."""
        return Display(self._err, self._options.verbose, began)

    def take(self, host: str, result: Result, running: Sequence[str]) -> None:
        """Judge, keep and show what came of a host. ``running``: those that are still asked."""
        row: dict[str, Any] = {
            "host": host,
            "outcome": result.outcome,
            "failure": result.failure,
            "seconds": round(result.seconds, 3),
            "said": result.said,
            "verdict": None,
            "complete": False,
            "evidence_file": None,
            "first_aid": result.first_aid,
            "commands": [],
            "plan": None,
        }
        self._rows.append(row)
        if self._options.verbose and result.said:
            for line in result.said.splitlines():
                self._err.print(Text(f"{host} said: {visible(line)}"))
        if result.evidence is not None:
            self._judge(host, result.evidence, row, running)
        elif result.first_aid is not None:
            # What was closed stays closed, whatever became of the probe.
            self._err.print(Text(f"{host}: {visible(first_aid_said(result.first_aid))}"))
        if row["failure"]:
            self._err.print(Text(f"wpward: {visible(row['failure'])}"))

    def _judge(
        self, host: str, evidence: dict[str, Any], row: dict[str, Any], running: Sequence[str]
    ) -> None:
        try:
            plan = make_plan(evidence)
        except PlanError as error:
            row |= {"outcome": FAILED, "failure": f"{host}: {error}"}
            return
        where = self._places[host]
        way = Way(
            where.name,
            where.user,
            where.port,
            self._options.ssh_config,
            self._options.ask_become_pass,
        )
        try:
            self._save(host, evidence, plan, running)
            row["evidence_file"] = str(self._directory / file_name(host))
        except OSError as error:
            # What is known is worth more than the file.
            self._err.print(
                Text(
                    f"wpward: {host}: its evidence cannot be kept in {self._directory} "
                    f"({error.strerror or error}); give another directory with --save."
                )
            )
        row |= {
            "verdict": plan["verdict"],
            "complete": complete(evidence),
            "commands": commands(way, evidence, plan, self._options.contain),
            "plan": plan,
        }
        if not self._options.json:
            report = row["evidence_file"] or "not kept"
            first, *lines = verdict(way, evidence, plan, report, row["first_aid"])
            self._out.print(Text(first, style=_STYLES.get(plan["verdict"], "")))
            self._out.print(Text("\n".join([*lines, ""])))

    def _save(
        self, host: str, evidence: dict[str, Any], plan: dict[str, Any], running: Sequence[str]
    ) -> None:
        document = host_document(
            host,
            run=None,
            outcome="probed",
            failure="",
            evidence=evidence,
            plan=plan,
            remedies={},
            checks=None,
        )
        report_directory.save(self._directory, document, fleet=list(self._places), running=running)

    def end(self) -> None:
        """Show what is to be said of all hosts together."""
        if self._options.json:
            print(json.dumps({"directory": str(self._directory), "hosts": self._rows}, indent=1))
            return
        if len(self._rows) == 1:
            return
        counts: dict[str, list[str]] = {}
        for row in self._rows:
            counts.setdefault(row["verdict"] or row["outcome"], []).append(row["host"])
        order = ("attack", "aftermath", "probing", "quiet", FAILED, UNREACHABLE)
        told = [
            f"{len(counts[name])} {name}"
            + (f" ({', '.join(counts[name])})" if name != "quiet" else "")
            for name in order
            if name in counts
        ]
        self._out.print(Text(f"{len(self._rows)} hosts: {', '.join(told)}"))

    def code(self) -> int:
        """The command's exit code."""
        code = 0
        for row in self._rows:
            code |= _BITS.get(row["outcome"], 0)
            if row["verdict"] in (ATTACK, AFTERMATH):
                code |= _ATTACKED
            if row["outcome"] == ANSWERED and not row["complete"]:
                code |= _INCOMPLETE
            if self._options.contain and not holds(row["first_aid"]):
                code |= _NOT_CONTAINED
        return code
