# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what came back is what a check demands.

Statuses lie: an open xmlrpc.php answers GET with 405, and a 404 page may come from PHP and hold a
user's name. So a refusal is believed only when the whole answer was read and nothing in it speaks
of the endpoint; and no answer at all is never a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    CLOSED,
    UNREACHABLE,
    Exchange,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import (
    REFUSE,
    TRUSTED,
    WORK,
    Check,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_fingerprint import (
    LINES_KEPT,
    describe,
    differences,
    unsound,
)

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
"""The check says nothing from here, or was broken before; the reason tells which."""
NOT_REACHED = "unreachable"

CLOSED_STATUS = 444
# Where WordPress sends everybody who asks a site whose database is empty.
_INSTALLER = "/wp-admin/install.php"
_QUOTED = 60


@dataclass(frozen=True)
class Verdict:
    """``outcome`` is one of the four above; ``reason`` one clause about what came back."""

    outcome: str
    reason: str


def judge(
    check: Check,
    exchange: Exchange,
    before: dict[str, Any] | None = None,
    lines_kept: float = LINES_KEPT,
) -> Verdict:
    """Judge one answer.

    ``before`` is the entry that :func:`record` made of a work check before the change, or None:
    then the work check is judged by its expectations, and a redirect will do as well.
    """
    if check.kind == WORK and before is not None:
        return _compared(check, exchange, before, lines_kept)
    if exchange.outcome == UNREACHABLE:
        return Verdict(NOT_REACHED, exchange.detail)
    if check.kind == REFUSE:
        return _refused(check, exchange)
    return _served(check, exchange)


def record(check: Check, exchange: Exchange, fingerprint: dict[str, Any]) -> dict[str, Any]:
    """The entry for a work check before the change: its fingerprint and whether it works at all."""
    verdict = judge(check, exchange)
    broken = fingerprint.get("unanswered") or (verdict.reason if verdict.outcome != PASSED else "")
    return dict(fingerprint, broken=broken)


def subject(exchange: Exchange) -> str:
    """The text in which a check's patterns are searched."""
    first = [line for line in exchange.headers if line[0].lower() == "location"]
    rest = [line for line in exchange.headers if line[0].lower() != "location"]
    head = [f"Location: {value}" for _name, value in first]
    head += [f"{name}: {value}" for name, value in rest]
    return "\n".join(head) + "\n\n" + exchange.body.decode("utf-8", "replace")


def _refused(check: Check, exchange: Exchange) -> Verdict:
    text = subject(exchange)
    for pattern in check.must_not_match:
        found = pattern.search(text)
        if found:
            return Verdict(FAILED, f"{_came_back(exchange)} with '{_quoted(found.group())}'")
    if exchange.outcome == CLOSED and CLOSED_STATUS in check.status:
        return Verdict(PASSED, exchange.detail)
    if exchange.outcome != ANSWERED:
        return Verdict(FAILED, exchange.detail)
    if check.status and exchange.status not in check.status:
        wanted = " or ".join(str(status) for status in check.status)
        return Verdict(FAILED, f"{_came_back(exchange)}, not {wanted}")
    if not exchange.complete:
        return Verdict(FAILED, f"{exchange.status}, but cannot be judged: {exchange.detail}")
    return Verdict(PASSED, _came_back(exchange))


def _served(check: Check, exchange: Exchange) -> Verdict:
    if exchange.outcome != ANSWERED:
        return Verdict(FAILED, exchange.detail)
    text = subject(exchange)
    came_back = _came_back(exchange)
    location = exchange.header("location")
    if check.kind != TRUSTED and 300 <= exchange.status < 400 and _INSTALLER not in location:
        # WordPress sends visitors from a site's other names and schemes to its own.
        return Verdict(PASSED, came_back)
    if check.status and exchange.status not in check.status:
        wanted = " or ".join(str(status) for status in check.status)
        return Verdict(FAILED, f"{came_back}, not {wanted}")
    if check.kind != TRUSTED and not check.status and exchange.status >= 400:
        return Verdict(FAILED, came_back)
    for pattern in check.must_not_match:
        found = pattern.search(text)
        if found:
            return Verdict(FAILED, f"{came_back} with '{_quoted(found.group())}'")
    if check.must_match and not any(pattern.search(text) for pattern in check.must_match):
        return Verdict(FAILED, f"{came_back} without '{_quoted(check.must_match[0].pattern)}'")
    wrong = unsound(exchange)
    return Verdict(FAILED, f"{came_back}, {wrong}") if wrong else Verdict(PASSED, came_back)


def _compared(
    check: Check, exchange: Exchange, before: dict[str, Any], lines_kept: float
) -> Verdict:
    broken = before.get("broken") or ""
    if broken:
        served = _served(check, exchange)
        if served.outcome == PASSED:
            return served
        found = [served.reason]
    if not before.get("unanswered"):
        found = differences(before, exchange, lines_kept)
    if not found and exchange.outcome == ANSWERED:
        return Verdict(PASSED, _came_back(exchange))
    if broken and not _fails_anew(exchange, before):
        return Verdict(SKIPPED, f"did not work before either ({broken}); now: {'; '.join(found)}")
    if exchange.outcome == UNREACHABLE:
        return Verdict(NOT_REACHED, exchange.detail)
    return Verdict(FAILED, "; ".join(found))


def _fails_anew(exchange: Exchange, before: dict[str, Any]) -> bool:
    """Whether PHP fails now though it did not before.

    A site that does not answer under a flood answers once the flood is refused. If it answers with
    an error of PHP then, the change broke it.
    """
    if exchange.outcome != ANSWERED:
        return False
    failed_before = before.get("status") == 500 or bool(before.get("errors"))
    return not failed_before and (exchange.status == 500 or bool(describe(exchange).errors))


def _came_back(exchange: Exchange) -> str:
    if exchange.outcome != ANSWERED:
        return exchange.detail
    location = exchange.header("location")
    return f"{exchange.status} to {location[:_QUOTED]}" if location else str(exchange.status)


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text[:_QUOTED])
    return plain + ("..." if len(text) > _QUOTED else "")
