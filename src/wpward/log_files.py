# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files on the operator's own machine are access logs, and which of them belong together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.wpward.wordpress.plugins.module_utils.log_detection import (
    Detected,
    detect,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import (
    PlainStream,
    compressed_stream,
)

KNOWN = (
    "nginx's and httpd's common, combined and vhost_combined logs (also with more fields at their "
    "end), JSON logs with one object a line, and CloudFront's standard logs; each also behind a "
    "syslog prefix, and compressed by gzip, bzip2, xz or zstd"
)
_SAMPLE = 128 * 1024
_FIELDS = re.compile(rb"(?:#[^\n]*\n)*#Fields:[^\n]*\n")
_ROTATED = re.compile(r"(?:[.-]\d+)*(?:\.(?:gz|bz2|xz|zst))?$")


class LogsError(Exception):
    """The logs cannot be read; the text is one sentence that says what to do."""


@dataclass
class LogSet:
    """Files that are one log: its rotated pieces, or the many files of one CDN distribution.

    name: for people. detected: the format of all of them.
    """

    name: str
    detected: Detected
    files: list[Path] = field(default_factory=list)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _in_directory(directory: Path) -> Iterator[Path]:
    def give_up(error: OSError) -> None:
        raise LogsError(f"{error.filename} cannot be searched: {_reason(error)}.")

    for folder, folders, names in os.walk(directory, onerror=give_up):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path


def sample(path: Path) -> bytes:
    """The beginning of a log, unpacked.

    Raises:
        OSError: it cannot be read or unpacked.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        stream = compressed_stream(descriptor) or PlainStream(descriptor, 0)
        room = bytearray(_SAMPLE)
        filled = 0
        while filled < _SAMPLE and (count := stream.readinto(memoryview(room)[filled:])):
            filled += count
        return bytes(room[:filled])
    finally:
        os.close(descriptor)


def _set_of(path: Path, given: Path, detected: Detected) -> Path:
    """What the files of one log have in common."""
    if detected.name == "CloudFront":
        # DISTRIBUTION.DATE-HOUR.ID.gz, which people sort into folders by the day.
        folder = given if given.is_dir() else path.parent
        return folder / path.name.split(".")[0]
    return path.with_name(_ROTATED.sub("", path.name) or path.name)


class _Detector:
    """Finds formats out, and does not try them all on each of a distribution's thousands of files:
    a log that names its fields in its head has the format of the others that name the same."""

    def __init__(self) -> None:
        self._known: dict[bytes, Detected] = {}

    def detect(self, text: bytes) -> Detected | None:
        """The format of a log's beginning, None where none fits."""
        if not _has_lines(text):
            return None
        match = _FIELDS.match(text)
        head = match.group() if match else b""
        detected = self._known.get(head) or detect(text)
        if head and detected is not None:
            self._known[head] = detected
        return detected


def _has_lines(text: bytes) -> bool:
    return any(line.strip() and not line.startswith(b"#") for line in text.split(b"\n"))


def find(paths: Iterable[Path]) -> list[LogSet]:
    """The logs among the paths and in the directories among them.

    In a directory, what is no access log is passed over; a file that was named has to be one.

    Raises:
        LogsError: a path is missing or cannot be read, a named file has no known format, or there
            is no log at all.
    """
    sets: dict[tuple[Path, str], LogSet] = {}
    detector = _Detector()
    looked_at = 0
    for given in paths:
        if not given.exists():
            raise LogsError(f"{given} does not exist.")
        named = not given.is_dir()
        for path in [given] if named else _in_directory(given):
            looked_at += 1
            try:
                text = sample(path)
            except OSError as error:
                if named:
                    raise LogsError(f"{path} cannot be read: {_reason(error)}.") from error
                continue
            detected = detector.detect(text)
            if detected is None:
                if named and _has_lines(text):
                    raise LogsError(f"{path} has no format that wpward knows. It knows {KNOWN}.")
                continue
            name = _set_of(path, given, detected)
            group = sets.setdefault((name, detected.name), LogSet(str(name), detected))
            if path not in group.files:
                group.files.append(path)
    if not sets:
        raise LogsError(
            f"There is no line of an access log in the {looked_at} files that were looked at. "
            f"wpward knows {KNOWN}."
        )
    return list(sets.values())
