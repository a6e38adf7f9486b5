# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether what came back is what a check demands.

Statuses lie: an open xmlrpc.php answers GET with 405, and a 404 page may come from PHP and hold a
user's name. So a refusal is believed only when the whole answer was read and nothing in it speaks
of the endpoint; and no answer at all is never a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    CLOSED,
    UNREACHABLE,
    Exchange,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import (
    REFUSE,
    TRUSTED,
    Check,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_fingerprint import (
    LINES_KEPT,
    differences,
    unsound,
)

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
"""The check says nothing from here, or was broken before; the reason tells which."""
NOT_REACHED = "unreachable"

CLOSED_STATUS = 444
_USER_ENDPOINTS = frozenset(["author_by_id", "rest_users", "users_sitemap"])
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
    logins: Sequence[str] = (),
    lines_kept: float = LINES_KEPT,
) -> Verdict:
    """Judge one answer.

    ``before`` is the entry that :func:`record` made of a work check before the change, or None.
    ``logins`` are login names that no refused request about users may reveal.
    """
    if check.kind == "work" and before is not None:
        return _compared(check, exchange, before, lines_kept)
    if exchange.outcome == UNREACHABLE:
        return Verdict(NOT_REACHED, exchange.detail)
    if check.kind == REFUSE:
        return _refused(check, exchange, logins)
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


def _refused(check: Check, exchange: Exchange, logins: Sequence[str]) -> Verdict:
    text = subject(exchange)
    patterns = list(check.must_not_match)
    if check.endpoint in _USER_ENDPOINTS:
        patterns += [_login_pattern(name) for name in logins if name]
    for pattern in patterns:
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


def _login_pattern(login: str) -> re.Pattern[str]:
    # "admin" is not revealed by "wp-admin" or "admin-ajax.php".
    return re.compile(rf"(?<![\w-]){re.escape(login)}(?![\w-])")


def _served(check: Check, exchange: Exchange) -> Verdict:
    if exchange.outcome != ANSWERED:
        return Verdict(FAILED, exchange.detail)
    text = subject(exchange)
    came_back = _came_back(exchange)
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
    if before.get("unanswered"):
        served = _served(check, exchange)
        found = [] if served.outcome == PASSED else [served.reason]
    else:
        found = differences(before, exchange, lines_kept)
    if not found and exchange.outcome == ANSWERED:
        return Verdict(PASSED, _came_back(exchange))
    if broken:
        return Verdict(SKIPPED, f"did not work before either ({broken}); now: {'; '.join(found)}")
    if exchange.outcome == UNREACHABLE:
        return Verdict(NOT_REACHED, exchange.detail)
    return Verdict(FAILED, "; ".join(found))


def _came_back(exchange: Exchange) -> str:
    if exchange.outcome != ANSWERED:
        return exchange.detail
    location = exchange.header("location")
    return f"{exchange.status} to {location[:_QUOTED]}" if location else str(exchange.status)


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text[:_QUOTED])
    return plain + ("..." if len(text) > _QUOTED else "")
