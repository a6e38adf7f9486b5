# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a list of HTTP checks from here: in parallel, in rounds, until they hold or time is up.

A web server's reload is asynchronous: the command that asks for it returns before the new workers
serve, and returns 0 even where they never will (measured on nginx 1.22). So refusals are tried
again until all hold, and then once more all together: the last round is what counts.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    SILENT,
    UNREACHABLE,
    Exchange,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import (
    REFUSE,
    TRUSTED,
    WORK,
    Check,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import (
    fetch,
    source_towards,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_fingerprint import (
    LINES_KEPT,
    fingerprint,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_judge import (
    PASSED,
    SKIPPED,
    Verdict,
    judge,
    record,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import is_trusted

_PAUSE = 0.5
# Times in a page have a resolution of a second: two fetches within one would agree on them.
_BETWEEN_FETCHES = 1.2
_GIVE_UP_AFTER = 3


@dataclass(frozen=True)
class Settings:
    """How to run checks. Times are in seconds.

    timeout: for one request, from connecting to the last byte.
    time_limit: for everything; what is left then has failed.
    settle: how long failed checks are tried again.
    source: local address to come from; seen_as: the address that the server sees instead of a
    local one of the same family (address translation in between).
    trusted: networks (CIDR) whose clients the server lets through.
    before: entries of :func:`record_all`, by check id.
    """

    timeout: float = 15.0
    time_limit: float = 180.0
    settle: float = 0.0
    parallel: int = 4
    source: str = ""
    seen_as: str = ""
    trusted: tuple[str, ...] = ()
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines_kept: float = LINES_KEPT


@dataclass(frozen=True)
class Result:
    """A check's last verdict and where it was asked from ("" if nothing was sent)."""

    check: Check
    verdict: Verdict
    status: int
    source: str
    seconds: float


class Runner:
    """Runs checks with one set of :class:`Settings`; used once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._deadline = time.monotonic() + settings.time_limit
        self._lock = threading.Lock()
        self._unreachable: dict[tuple[str, int], int] = {}
        self._sources: dict[tuple[str, int], str] = {}

    def prove(self, checks: Sequence[Check]) -> list[Result]:
        """Run every check that says something from here, again while it fails; in their order."""
        settle_until = min(time.monotonic() + self._settings.settle, self._deadline)
        results = {check.id: self._skipped(check) for check in checks}
        sent = [check for check in checks if results[check.id] is None]
        self._round(sent, results)
        failing = _failing(sent, results)
        retried = bool(failing)
        while failing or retried:
            if failing:
                if time.monotonic() + _PAUSE >= settle_until:
                    break
                time.sleep(_PAUSE)
                self._round(failing, results)
            else:
                # What was refused first may have been refused by a worker that is going away.
                retried = False
                self._round([check for check in sent if check.kind == REFUSE], results)
            failing = _failing(sent, results)
            retried = retried or bool(failing)
        return [result for check in checks for result in [results[check.id]] if result is not None]

    def record_all(self, checks: Sequence[Check]) -> tuple[list[Result], dict[str, dict[str, Any]]]:
        """Fetch every work check twice: the results of the second time, and what to keep.

        Pages that did not come whole are fetched again until ``settle`` is over.
        """
        settle_until = min(time.monotonic() + self._settings.settle, self._deadline)
        work = [check for check in checks if check.kind == WORK]
        results: dict[str, Result] = {}
        entries: dict[str, dict[str, Any]] = {}
        pending = work
        while pending:
            self._unreachable.clear()
            started = time.monotonic()
            first = self._each(pending, self._fetch)
            time.sleep(max(0.0, _BETWEEN_FETCHES - (time.monotonic() - started)))
            second = self._each(pending, self._fetch)
            for check, one, two in zip(pending, first, second):
                entries[check.id] = record(check, two, fingerprint(one, two))
                results[check.id] = _result(check, judge(check, two), two)
            pending = [check for check in pending if "unanswered" in entries[check.id]]
            if not pending or time.monotonic() + _PAUSE >= settle_until:
                break
            time.sleep(_PAUSE)
        return [results[check.id] for check in work], entries

    def source_of(self, check: Check) -> str:
        """The address that the server will see for ``check``; "" where there is no route."""
        key = (check.request.address, check.request.port)
        if key not in self._sources:
            self._sources[key] = source_towards(*key, self._settings.source)
        local, seen_as = self._sources[key], self._settings.seen_as
        return seen_as if seen_as and (":" in seen_as) == (":" in local) else local

    def _skipped(self, check: Check) -> Result | None:
        """The result of a check that says nothing from here, or None where it has to be sent."""
        asks_stranger = check.kind == REFUSE and check.served_when_trusted
        if not asks_stranger and check.kind != TRUSTED:
            return None
        source = self.source_of(check)
        trusted = is_trusted(source, self._settings.trusted)
        if trusted == (check.kind == TRUSTED):
            return None
        reason = f"{source or 'no address'} is {'' if trusted else 'not '}trusted"
        return Result(check, Verdict(SKIPPED, reason), 0, "", 0.0)

    def _round(self, checks: Sequence[Check], results: dict[str, Result | None]) -> None:
        self._unreachable.clear()
        for result in self._each(checks, self._judge):
            results[result.check.id] = result

    def _each(self, checks: Sequence[Check], work: Callable[[Check], Any]) -> list[Any]:
        if not checks:
            return []
        with ThreadPoolExecutor(max_workers=min(self._settings.parallel, len(checks))) as pool:
            return list(pool.map(work, checks))

    def _judge(self, check: Check) -> Result:
        exchange = self._fetch(check)
        settings = self._settings
        before = settings.before.get(check.id)
        return _result(check, judge(check, exchange, before, settings.lines_kept), exchange)

    def _fetch(self, check: Check) -> Exchange:
        key = (check.request.address, check.request.port)
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            return Exchange(SILENT, f"not asked: {self._settings.time_limit:g} s were up")
        with self._lock:
            hopeless = self._unreachable.get(key, 0) >= _GIVE_UP_AFTER
        if hopeless:
            return Exchange(UNREACHABLE, "not asked: the address did not answer others")
        timeout = min(self._settings.timeout, remaining)
        exchange = fetch(check.request, timeout, self._settings.source)
        with self._lock:
            if exchange.outcome == UNREACHABLE:
                self._unreachable[key] = self._unreachable.get(key, 0) + 1
            else:
                self._unreachable[key] = 0
        return exchange


def _failing(checks: Sequence[Check], results: dict[str, Result | None]) -> list[Check]:
    return [
        check
        for check in checks
        for result in [results[check.id]]
        if result is not None and result.verdict.outcome not in (PASSED, SKIPPED)
    ]


def _result(check: Check, verdict: Verdict, exchange: Exchange) -> Result:
    return Result(check, verdict, exchange.status, exchange.source, exchange.seconds)
