# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role endpoints applied by itself, and what a client then sees."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.filter.verify_checks import verify_checks
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import Check, parse_all
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from ansible_collections.wpward.wordpress.plugins.module_utils.http_judge import PASSED
from ansible_collections.wpward.wordpress.plugins.module_utils.http_rounds import (
    Result,
    Runner,
    Settings,
)
from integration.play import play as run_playbook
from testbed import hosts, podman

HERE = Path(__file__).parent
LIST_METHODS = (
    "<?xml version='1.0'?><methodCall><methodName>system.listMethods</methodName></methodCall>"
)

Close = Callable[..., Any]


def inside(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    output: str = podman.execute(host.container, list(argv), stdin=stdin)
    return output


def write(host: hosts.Host, path: str, text: str) -> None:
    inside(host, "sh", "-c", f"cat > {path}", stdin=text)


def play(host: hosts.Host, name: str, save_to: Path, **variables: Any) -> Any:
    """Run a playbook of this directory; what it saved."""
    run_playbook(HERE / f"{name}.yml", host, save_to=str(save_to), **variables)
    return json.loads(save_to.read_text())


def closer(host: hosts.Host, save_to: Path) -> Close:
    """Apply and confirm the role: close(xmlrpc="trusted", trusted=[...]); what it saved."""

    def close(trusted: Sequence[str] = (), **policy: str) -> Any:
        saved = play(
            host,
            "close",
            save_to,
            endpoints_run=f"test-{time.time_ns()}",
            endpoints_policy=policy,
            endpoints_trusted=list(trusted),
        )
        # The reload is asynchronous.
        time.sleep(1)
        return saved

    return close


def refusals(host: hosts.Host, saved: Any, policy: Mapping[str, str]) -> list[Check]:
    """All that the web server must refuse under a policy."""
    checks = verify_checks(
        saved["evidence"], dict(policy), vantage="controller", address=host.address, guard=False
    )
    return [check for check in parse_all(checks) if check.kind == "refuse"]


def proven(checks: Sequence[Check]) -> Sequence[Result]:
    return Runner(Settings(time_limit=300)).prove(checks)


def failures(results: Sequence[Result]) -> list[str]:
    return [
        f"{result.check.id}: {result.verdict.reason}"
        for result in results
        if result.verdict.outcome != PASSED
    ]


def ask(
    host: hosts.Host, target: str, port: int = 80, name: str = "blog.example", **more: Any
) -> Any:
    return fetch(Request(address=host.address, port=port, host=name, target=target, **more), 20)


class DenyLog:
    """The log of what was refused. ``delay``: seconds until a line is there."""

    def __init__(self, host: hosts.Host, path: str, delay: float) -> None:
        self.host = host
        self.path = path
        self._delay = delay

    def lines(self) -> list[str]:
        time.sleep(self._delay)
        return inside(self.host, "cat", self.path).splitlines()

    def empty(self) -> None:
        self.lines()
        inside(self.host, "truncate", "--size", "0", self.path)
