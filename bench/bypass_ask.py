# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks rows of a server, a few at a time."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import Exchange
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch

from bench.bypass_rows import UNKNOWN, Row, Server

# php-fpm of the test hosts has five workers; one stays free.
AT_ONCE = 4
SECONDS = 30.0
REDIRECTS = 3


def next_request(request: Request, answer: Exchange) -> Request | None:
    """What a browser asks next, where it is redirected to another address of the same site."""
    if answer.status not in (301, 302, 303, 307, 308):
        return None
    location = answer.header("location")
    target = location.removeprefix(f"http://{request.host}")
    if not target.startswith("/") or target.startswith("//"):
        return None
    return replace(request, target=target, method="GET", version="1.1", headers=(), body=b"")


def _ask(row: Row, server: Server) -> tuple[Exchange, ...]:
    """The answer and those to the redirects that it leads to: a name may stand at their end."""
    request: Request | None = row.to(server)
    answers: list[Exchange] = []
    while request is not None and len(answers) <= REDIRECTS:
        answers.append(fetch(request, SECONDS))
        request = next_request(request, answers[-1])
    return tuple(answers)


def _ask_twice(row: Row, server: Server) -> tuple[Exchange, ...]:
    answers = _ask(row, server)
    # A server that reloads may cut a connection; twice is no accident.
    return _ask(row, server) if row.judge(*answers) == UNKNOWN else answers


def answers(rows: Iterable[Row], server: Server) -> dict[Row, tuple[Exchange, ...]]:
    """What came back for each row, redirects followed."""
    rows = list(rows)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda row: _ask_twice(row, server), rows)
        return dict(zip(rows, found, strict=True))


def verdicts(rows: Iterable[Row], server: Server) -> dict[Row, str]:
    """OPEN, SHUT or UNKNOWN for each row."""
    return {row: row.judge(*found) for row, found in answers(rows, server).items()}


def statuses(rows: Iterable[Row], server: Server) -> dict[Row, int]:
    """The status of the first answer to each row."""
    return {row: found[0].status for row, found in answers(rows, server).items()}
