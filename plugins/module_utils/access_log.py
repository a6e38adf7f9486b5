# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an access log says about a window of time, per site and endpoint, rotated files included."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.wpward.wordpress.plugins.module_utils import courtesy, log_window
from ansible_collections.wpward.wordpress.plugins.module_utils.files import open_regular
from ansible_collections.wpward.wordpress.plugins.module_utils.helper_process import HelperProcess
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import LineFormat
from ansible_collections.wpward.wordpress.plugins.module_utils.log_scanner import (
    Classify,
    Scanner,
    Tallies,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import (
    PlainStream,
    compressed_stream,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso, seconds_of
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import (
    UNKNOWN,
    Identities,
)

__all__ = ["Classify", "LogResult", "scan_log"]

SEGMENT = 64 * 1024 * 1024
"""What one process reads before the next decision to share the work or not."""
WORTH_SHARING = 16 * 1024 * 1024
RUNNING = 60
"""Requests for one endpoint within the window's first hour that show that it had begun before."""
_HOUR = 3600
_DAY = 24 * _HOUR
_FOREVER = 1 << 62


@dataclass
class LogResult:
    """What one log, with its rotated files, came to."""

    path: str
    since: int
    """Seconds since the epoch."""
    tallies: Tallies = field(default_factory=dict)
    files: int = 0
    bytes_read: int = 0
    """After decompression."""
    seconds: float = 0.0
    complete: bool = True
    extended: bool = False

    def describe(self) -> dict[str, Any]:
        """The evidence's ``logs`` row, as far as it is known here."""
        return {
            "path": self.path,
            "since": iso(self.since),
            "files": self.files,
            "bytes_read": self.bytes_read,
            "seconds": round(self.seconds, 3),
            "complete": self.complete,
            "extended": self.extended,
        }


class _LogReader:
    def __init__(
        self,
        path: str,
        line_format: LineFormat,
        scanner: Scanner,
        deadline: float,
        problems: Problems,
        may_share: Callable[[], bool],
    ) -> None:
        self._path = path
        self._line_format = line_format
        self._scanner = scanner
        self._deadline = deadline
        self._problems = problems
        self._may_share = may_share
        self._seen: set[tuple[int, int]] = set()
        self._time = line_format.fields.index("time")
        self.files: set[str] = set()
        self.complete = True

    def _first_second(self, block: bytes) -> int | None:
        for match in self._line_format.pattern.finditer(block):
            second = seconds_of(match.group(self._time + 1))
            if second is not None:
                return second
        return None

    def read(self, since: int, until: int) -> None:
        """Count the lines of [since, until), the newest file first."""
        self._seen.clear()
        for path in (
            self._path,
            *(
                file.path
                for file in log_window.rotated(self._path, since, self._first_second)
                if file.first is None or file.first < until + log_window.DISORDER
            ),
        ):
            try:
                finished = self._read_file(path, since, until)
            except FileNotFoundError:
                # A rotated one may be rotated on meanwhile; the log itself has to be there.
                if path == self._path:
                    self._fail("log_unreadable", f"The access log {path} does not exist.")
                continue
            except OSError as error:
                reason = error.strerror or str(error)
                self._fail("log_unreadable", f"The log {path} cannot be read: {reason}.")
                continue
            if not finished:
                self._fail(
                    "log_time_budget",
                    f"The time budget ended before {path} was read to its beginning: the counts "
                    "cover its newest part only.",
                )
                return

    def _fail(self, identity: str, message: str) -> None:
        self.complete = False
        self._problems.add(identity, message)

    def _read_file(self, path: str, since: int, until: int) -> bool:
        descriptor = open_regular(path)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) in self._seen:
                # The log was rotated after it had been opened.
                return True
            self._seen.add((status.st_dev, status.st_ino))
            self.files.add(path)
            stream = compressed_stream(descriptor)
            if stream is not None:
                return self._scanner.scan(stream, (since, until), status.st_mtime)
            finished = self._read_plain(descriptor, status, since, until)
            if os.fstat(descriptor).st_size < status.st_size:
                self._fail(
                    "log_truncated",
                    f"{path} became shorter while it was read; the counts lack what was cut off.",
                )
            return finished
        finally:
            os.close(descriptor)

    def _read_plain(self, descriptor: int, status: os.stat_result, since: int, until: int) -> bool:
        size = status.st_size
        if until == _FOREVER:
            self._check_format(descriptor, size)
            end = size
        else:
            # Lines of the window may stand DISORDER behind it, and position() is early by as much.
            late = until + 2 * log_window.DISORDER
            end = log_window.position(descriptor, size, late, self._first_second)
            end = min(end + log_window.PROBE, size)
        begin = log_window.position(descriptor, size, since, self._first_second)
        window = (since, until)

        def scan(start: int, stop: int) -> bool:
            return self._scanner.scan(
                PlainStream(descriptor, start), window, status.st_mtime, start == 0, stop - start
            )

        # The newest part first: where the time runs out, the present is what matters.
        while end > begin:
            share = end - begin > WORTH_SHARING and self._may_share()
            start = max(begin, end - SEGMENT * (2 if share else 1))
            if share:
                finished = _share(self._scanner, scan, start, end, self._deadline)
            else:
                finished = scan(start, end)
            if not finished:
                return False
            end = start
        return True

    def _check_format(self, descriptor: int, size: int) -> None:
        """Whether at least one in two lines at the end has the expected format."""
        block = os.pread(descriptor, log_window.PROBE, max(0, size - log_window.PROBE))
        lines = block.count(b"\n")
        if lines > 1 and 2 * len(self._line_format.pattern.findall(b"\n" + block)) < lines:
            self._problems.add(
                "log_format_mismatch",
                f"Most lines at the end of {self._path} do not have the log format that the server "
                "is configured to write; only those that have it are counted.",
            )


def _share(
    scanner: Scanner, scan: Callable[[int, int], bool], start: int, end: int, deadline: float
) -> bool:
    """Scan a piece of a file in two processes, the older half in the new one."""
    middle = (start + end) // 2

    def older() -> tuple[bool, Tallies, int]:
        scanner.begin_part()
        return scan(start, middle), scanner.tallies, scanner.bytes_read

    try:
        helper = HelperProcess(older)
    except OSError:
        return scan(start, end)
    try:
        finished = scan(middle, end)
    except BaseException:
        helper.stop()
        raise
    result = helper.result(deadline)
    if result is None:
        return finished and scan(start, middle)
    scanner.merge(result[1], result[2])
    return finished and result[0]


def _had_begun(tallies: Tallies, since: int) -> bool:
    """Whether an endpoint was busy already when the window began."""
    return any(tally.timeline.before(since + _HOUR) >= RUNNING for tally in tallies.values())


def scan_log(
    path: str,
    line_format: LineFormat,
    classify: Classify,
    since: int,
    deadline: float,
    problems: Problems,
    identities: Identities = UNKNOWN,
    earliest: int | None = None,
    may_share: Callable[[], bool] = courtesy.has_idle_core,
) -> LogResult:
    """Count the lines of a log, and of its rotated files, not older than ``since``.

    since: seconds since the epoch.
    deadline: ``time.monotonic()`` after which what has been counted so far is returned, newest
        lines first.
    identities: how clients are recognised.
    earliest: seconds since the epoch; where an attack runs at the window's beginning, the window
        is extended, by steps and at most so far, until it shows how the attack began.
    may_share: asked again and again whether a second process may help.

    Never raises on a file or its contents; what could not be read is in ``problems``.
    """
    began = time.monotonic()
    scanner = Scanner(line_format, classify, identities, deadline)
    reader = _LogReader(path, line_format, scanner, deadline, problems, may_share)
    result = LogResult(path, since, scanner.tallies)
    # Nothing here refers back to itself, and the collector would look at every line again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        _read(reader, result, scanner.tallies, earliest)
    finally:
        if collecting:
            gc.enable()
    result.files = len(reader.files)
    result.bytes_read = scanner.bytes_read
    result.seconds = time.monotonic() - began
    result.complete = reader.complete
    return result


def _read(reader: _LogReader, result: LogResult, tallies: Tallies, earliest: int | None) -> None:
    """Read the window, and further back where that does not show how it began."""
    since = result.since
    reader.read(since, _FOREVER)
    while (
        earliest is not None and reader.complete and since > earliest and _had_begun(tallies, since)
    ):
        until, since = since, max(earliest, since - max(_DAY, result.since - since))
        reader.read(since, until)
        result.extended = True
    result.since = since
