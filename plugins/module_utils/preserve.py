# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence of an incident, put into one archive before anything is repaired.

In this order: the state, which is gone first; the configuration; the error logs; of the access logs
those that are written to now, small ones first, so that one that was flooded does not cost the
others their room; then those that were rotated away, newest first. Of a large log the newest parts
are taken first, each a member of its own.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Any, BinaryIO, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    host_facts,
    preserve_redact,
    preserve_sources,
    preserve_state,
    processes,
    web_servers,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.budget import Budget
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import sentence
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_archive import (
    Archive,
    NoRoom,
    NoTime,
    Shorter,
    pieces_of,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_open import (
    NEVER_TAKEN,
    NotTaken,
    open_trusted,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_sources import LogFile
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

SCHEMA = 1
LEAST_BYTES = 1 << 20
_PART = 16 << 20
_LEAST_PART = 256 << 10
_MOST_MEMBERS = 5000
_LARGEST_CONFIGURATION = 4 << 20
_ERROR_SHARE = 4
"""Error logs have at most this fraction of what is left for logs."""
_DISCOVERY_SHARE = 3
"""Finding out what there is has at most this fraction of the time."""
_DAY = 86400
_LINE = 1 << 16


@dataclass(frozen=True)
class Request:
    """What is asked for. ``limit``: bytes of the archive. ``seconds``: for everything together.
    ``days``: logs that were not written to since are left out. ``credentials_file``: an option file
    of the database's client."""

    limit: int = 64 << 20
    seconds: float = 60.0
    days: int = 7
    credentials_file: str | None = None


class _Collection:
    """What goes into the archive, and what does not."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.left_out: list[dict[str, str]] = []

    def leave_out(self, source: str, why: str) -> None:
        self.left_out.append({"source": printable(source, 4096), "reason": printable(why, 500)})

    def text(self, name: str, data: bytes, modified: float, about: Mapping[str, Any]) -> None:
        try:
            self.archive.add(name, [data], len(data), modified, about)
        except NoRoom as error:
            self.leave_out(str(about["source"]), _why(error))

    def configuration(self, path: str) -> None:
        try:
            descriptor = open_trusted(path)
        except FileNotFoundError:
            return
        except (NotTaken, OSError) as error:
            self.leave_out(path, _why(error))
            return
        with os.fdopen(descriptor, "rb") as stream:
            state = os.fstat(descriptor)
            data = stream.read(_LARGEST_CONFIGURATION + 1)
        if len(data) > _LARGEST_CONFIGURATION:
            self.leave_out(path, "it is too large for a configuration file")
        elif preserve_redact.holds_private_key(data):
            self.leave_out(path, "it holds a private key")
        else:
            shown, count = preserve_redact.configuration(data)
            about: dict[str, Any] = {"source": printable(path, 4096), "kind": "configuration"}
            if count:
                about["redacted"] = count
            self.text(f"config{os.path.normpath(path)}", shown, state.st_mtime, about)

    def log(self, file: LogFile, room: int) -> None:
        """Take as much of a log as fits into ``room`` bytes of the archive."""
        if time.monotonic() > self.archive.deadline:
            self.leave_out(file.path, _why(NoTime()))
            return
        try:
            descriptor = open_trusted(file.path)
        except FileNotFoundError as error:
            if file.first:
                self.leave_out(file.path, _why(error))
            return
        except (NotTaken, OSError) as error:
            self.leave_out(file.path, _why(error))
            return
        try:
            self._parts(descriptor, file, room)
        except OSError as error:
            self.leave_out(file.path, _why(error))
        finally:
            os.close(descriptor)

    def _parts(self, descriptor: int, file: LogFile, room: int) -> None:
        state = os.fstat(descriptor)
        size = end = state.st_size
        divisible = _is_text(descriptor)
        part = _PART if divisible else size
        last = self.archive.size + room
        # An empty log tells something as well.
        while end > 0 or size == 0:
            start = _line_start(descriptor, end - part, end)
            name = f"logs{os.path.normpath(file.path)}"
            if (start, end) != (0, size):
                name += f".part-{start:015d}"
            about = {
                "source": printable(file.path, 4096),
                "kind": "error log" if file.error else "access log",
                "offset": start,
            }
            try:
                self.archive.add(
                    name,
                    pieces_of(descriptor, start, end - start),
                    end - start,
                    state.st_mtime,
                    about,
                    last - self.archive.size,
                )
            except Shorter as error:
                # It was emptied under our eyes.
                end = start + error.size
            except (NoRoom, NoTime) as error:
                if isinstance(error, NoRoom) and divisible and part > _LEAST_PART:
                    part //= 4
                    continue
                what = "all of it" if end == size else f"its first {end} bytes"
                self.leave_out(file.path, f"{what}: {_why(error)}")
                return
            else:
                end = start
                if start == 0:
                    return


def _is_text(descriptor: int) -> bool:
    """Whether parts of it can be read alone, unlike those of a compressed file."""
    return not os.pread(descriptor, 4, 0).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5"))


def _line_start(descriptor: int, start: int, end: int) -> int:
    """The start of the first line from ``start`` on; ``start`` where no line begins near there."""
    if start <= 0:
        return 0
    found = os.pread(descriptor, min(_LINE, end - start - 1), start).find(b"\n")
    return start if found < 0 else start + found + 1


def _why(error: Exception) -> str:
    if isinstance(error, NoRoom):
        return "the limit of bytes is reached"
    if isinstance(error, NoTime):
        return "the time is over"
    if isinstance(error, Shorter):
        return "it changed while it was read"
    return sentence(error)


@dataclass
class _Found:
    """What there is on the host."""

    running: Sequence[processes.Process]
    configuration: list[str]
    logs: list[LogFile]
    strange_logs: list[str]


def _discover(request: Request, deadline: float, problems: Problems) -> _Found:
    host = host_facts.describe()
    running = web_servers.roots_only(processes.running(), problems)
    budget = Budget((deadline - time.monotonic()) / _DISCOVERY_SHARE, problems)
    web = web_servers.discover(running, host["addresses"], budget, problems)
    found = _Found(running, preserve_sources.configuration(web, running), [], [])
    since = time.time() - request.days * _DAY
    access, errors = preserve_sources.log_paths(web, running)
    for path, is_error in [(path, True) for path in errors] + [(path, False) for path in access]:
        if not path.startswith("/") or "$" in path:
            found.strange_logs.append(path)
            continue
        found.logs += preserve_sources.log_files(path, is_error, since)
    seen: dict[str, LogFile] = {}
    for file in found.logs:
        seen.setdefault(file.path, file)
    found.logs = list(seen.values())
    return found


def _take_logs(taken: _Collection, found: _Found) -> None:
    for path in found.strange_logs:
        taken.leave_out(path, "it is not the path of one file")
    errors = [file for file in found.logs if file.error]
    room = taken.archive.room // _ERROR_SHARE
    _share(taken, sorted(errors, key=lambda file: (not file.first, -file.modified)), room)
    current = [file for file in found.logs if file.first and not file.error]
    _share(taken, sorted(current, key=lambda file: file.size), taken.archive.room, equal=True)
    older = [file for file in found.logs if not file.first and not file.error]
    _share(taken, sorted(older, key=lambda file: -file.modified), taken.archive.room)


def _share(taken: _Collection, files: Sequence[LogFile], room: int, equal: bool = False) -> None:
    """Take files one after the other; with ``equal`` each may use an equal share of what the ones
    before have left."""
    end = taken.archive.size + room
    for number, file in enumerate(files):
        if len(taken.archive.members) >= _MOST_MEMBERS:
            taken.leave_out(file.path, "there are too many files")
            continue
        left = end - taken.archive.size
        taken.log(file, left // (len(files) - number) if equal else left)


def preserve(stream: BinaryIO, request: Request) -> dict[str, Any]:
    """Write the archive into an empty file; return its manifest.

    Raises OSError where the archive cannot be written.
    """
    began, started = time.time(), time.monotonic()
    deadline = started + request.seconds
    problems = Problems()
    taken = _Collection(Archive(stream, request.limit, deadline))
    found = _discover(request, deadline, problems)
    _take_state(taken, found, request, deadline)
    for path in found.configuration:
        taken.configuration(path)
    _take_logs(taken, found)
    manifest: dict[str, Any] = {
        "schema": SCHEMA,
        "host": os.uname().nodename,
        "collected_at": iso(began),
        "duration_seconds": round(time.monotonic() - started, 3),
        "limit_bytes": request.limit,
        "members": taken.archive.members,
        "left_out": taken.left_out,
        "never_taken": list(NEVER_TAKEN),
        "problems": [_without_secrets(one) for one in problems.describe()],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    taken.archive.finish("manifest.json", text.encode("utf-8", "backslashreplace"))
    return {**manifest, "archive": {"bytes": taken.archive.size, "sha256": taken.archive.sha256}}


def _without_secrets(problem: Mapping[str, str]) -> dict[str, str]:
    """A problem can quote what a server says of its configuration."""
    shown, _count = preserve_redact.configuration(problem["message"].encode("utf-8", "replace"))
    return {"id": problem["id"], "message": shown.decode("utf-8", "replace")}


def _take_state(taken: _Collection, found: _Found, request: Request, deadline: float) -> None:
    for name, text in preserve_state.texts(found.running, request.credentials_file, deadline):
        if isinstance(text, Exception):
            taken.leave_out(name, preserve_state.reason(text))
        else:
            data = text.encode("utf-8", "backslashreplace")
            about = {"source": name, "kind": "state"}
            taken.text(f"state/{name}", data, time.time(), about)


def foresee(request: Request) -> dict[str, Any]:
    """What would be taken: ``logs`` and ``configuration``, each as ``source`` and ``bytes``."""
    problems = Problems()
    found = _discover(request, time.monotonic() + request.seconds, problems)

    def entry(path: str, size: int) -> dict[str, Any]:
        return {"source": printable(path, 4096), "bytes": size}

    sizes = {path: _size_of(path) for path in found.configuration}
    return {
        "configuration": [entry(path, size) for path, size in sizes.items() if size >= 0],
        "logs": [entry(file.path, file.size) for file in found.logs],
        "problems": problems.describe(),
    }


def _size_of(path: str) -> int:
    """Bytes of a file that would be taken; -1 for any other."""
    try:
        descriptor = open_trusted(path)
    except (NotTaken, OSError):
        return -1
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
