# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward logs``: what happened, from log files on the operator's own machine."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    request_target,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.access_evidence import IDENTITIES
from ansible_collections.wpward.wordpress.plugins.module_utils.log_scanner import Scanner
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import (
    PlainStream,
    Stream,
    compressed_stream,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import Classes
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report import render
from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_directory import (
    write_atomically,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.report_document import (
    host_document,
)

from wpward.log_files import LogsError, LogSet, find
from wpward.since import SinceError, beginning

SITES = 100
"""Host names that are told apart. A server that answers to any name logs what the client sent."""
_NAME = re.compile(rb"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$")
_ALWAYS = 1 << 62


@dataclass(frozen=True)
class Request:
    """What to read, and what to leave behind.

    since: a span such as ``24h`` or a UTC time; empty for everything. json, html: files to write.
    """

    paths: Sequence[Path]
    since: str = ""
    json: Path | None = None
    html: Path | None = None


class _Sites:
    """Tells sites apart by the host name in a line: there is no configuration to ask."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def classify(self, target: bytes, host: bytes | None) -> Classes:
        site = self._site(host)
        return tuple(
            (site, endpoint) for endpoint in request_target.classify(target, log_escaped=True)
        )

    def _site(self, host: bytes | None) -> str | None:
        name = (host or b"").lower().partition(b":")[0]
        if not _NAME.match(name):
            return None
        if name not in self._known and len(self._known) >= SITES:
            return None
        self._known.add(name)
        return name.decode("ascii") + "/"


class _Watched:
    """A stream that tells how far into its file the reading has come."""

    def __init__(self, stream: Stream, position: Callable[[], int], tell: Callable[[int], None]):
        self._stream = stream
        self._position = position
        self._tell = tell

    def readinto(self, room: memoryview) -> int:
        count = self._stream.readinto(room)
        self._tell(self._position())
        return count


def _scan_file(scanner: Scanner, path: Path, since: int, tell: Callable[[int], None]) -> None:
    """Count one file. ``tell`` gets the number of bytes of it that are done. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        state = os.fstat(descriptor)
        packed = compressed_stream(descriptor)
        before = scanner.bytes_read
        watched = (
            _Watched(packed, lambda: os.lseek(descriptor, 0, os.SEEK_CUR), tell)
            if packed
            else _Watched(PlainStream(descriptor, 0), lambda: scanner.bytes_read - before, tell)
        )
        scanner.scan(watched, (since, _ALWAYS), state.st_mtime)
        tell(state.st_size)
    finally:
        os.close(descriptor)


def _scan_set(
    logs: LogSet, since: int, advance: Callable[[int], None]
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, str]]]:
    """The evidence's entry for the log, its access rows and its problems."""
    scanner = Scanner(logs.detected.format, _Sites().classify, IDENTITIES, math.inf)
    problems = []
    started = time.monotonic()
    for path in logs.files:
        done = 0

        def tell(position: int) -> None:
            nonlocal done
            advance(position - done)
            done = position

        try:
            _scan_file(scanner, path, since, tell)
        except OSError as error:
            problems.append(
                {
                    "id": "log_unreadable",
                    "message": f"The log {path} cannot be read to its end: "
                    f"{error.strerror or error}.",
                }
            )
    if logs.detected.format.forgeable:
        problems.append(
            {
                "id": "log_forgeable",
                "message": f"{logs.name} has a format in which a client can forge lines; do not "
                "rely on its counts.",
            }
        )
    described: dict[str, Any] = {
        "path": logs.name,
        "sites": [],
        "format": logs.detected.name,
        "since": iso(since) if since else None,
        "files": len(logs.files),
        "bytes_read": scanner.bytes_read,
        "seconds": round(time.monotonic() - started, 3),
        "complete": not problems,
        "extended": False,
    }
    rows = [
        {"site": site, "log": logs.name, "endpoint": endpoint, **tally.describe()}
        for (site, endpoint), tally in sorted(
            scanner.tallies.items(), key=lambda item: (item[0][0] or "", item[0][1])
        )
    ]
    return described, rows, problems


def analyse(
    request: Request,
    start: Callable[[int], None] = lambda total: None,
    advance: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Read the logs; return the document that a host of a run would have.

    Args:
        request: what to read.
        start: is told how many bytes there are to read.
        advance: is told whenever so many more have been read.

    Raises:
        LogsError: nothing can be read, or the request makes no sense.
    """
    began = time.time()
    try:
        since = beginning(request.since, began)
    except SinceError as error:
        raise LogsError(str(error)) from error
    for path in filter(None, (request.json, request.html)):
        # Better now than after an hour of reading.
        if not path.absolute().parent.is_dir():
            raise LogsError(f"{path} cannot be written: there is no directory {path.parent}.")
    sets = find(request.paths)
    start(sum(path.stat().st_size for logs in sets for path in logs.files))
    logs, access, problems = [], [], []
    for one in sets:
        described, rows, wrong = _scan_set(one, since, advance)
        logs.append(described)
        access += rows
        problems += wrong
    evidence: dict[str, Any] = {
        "schema": 2,
        # What the logs tell ends with their last line, however long ago that was.
        "collected_at": max((row["last"] for row in access), default=iso(int(began))),
        "since": iso(since) if since else None,
        "duration_seconds": round(time.time() - began, 3),
        "host": {},
        "nginx": None,
        "httpd": None,
        "vhosts": [],
        "sites": [],
        "processes": [],
        "logs": logs,
        "access": access,
        "errors": [],
        "now": None,
        "traps": [],
        "database": None,
        "budget": [],
        "problems": problems,
    }
    first = str(request.paths[0])
    more = len(request.paths) - 1
    return host_document(
        f"{first} and {more} more" if more else first,
        run=None,
        outcome="analysed",
        failure="",
        evidence=evidence,
        plan=make_plan(evidence),
        remedies={},
        checks=None,
        written=began,
    )


def save(document: dict[str, Any], request: Request) -> None:
    """Write the files that were asked for.

    Raises:
        LogsError: one of them cannot be written.
    """
    texts: list[tuple[Path, str]] = []
    if request.json:
        texts.append((request.json, json.dumps(document, indent=1, ensure_ascii=False) + "\n"))
    if request.html:
        page = render([document], title="logs", written=time.time(), linked=False)
        texts.append((request.html, page))
    for path, text in texts:
        try:
            write_atomically(path, text)
        except OSError as error:
            raise LogsError(f"{path} cannot be written: {error.strerror or error}.") from error
