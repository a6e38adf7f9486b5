# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The directory of one run's report on the controller, which many processes write to at once.

Ansible reports on each host in a process of its own. Each leaves its host's document and then
sees to it that a page exists which was begun after that: its own, or one that another process
began meanwhile. So the last page written holds all hosts, and a fleet does not cost one page per
host.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report import (
    file_name,
    render,
)

PAGE = "report.html"
_LOCK = ".lock"


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step; mode 0600, since reports name clients and server internals.

    Raises:
        OSError: it could not be written; what was there is there still.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def documents_in(directory: Path) -> list[dict[str, Any]]:
    """The hosts' documents in a directory; files that are none are passed over."""
    found = []
    for path in sorted(directory.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(document, dict) and isinstance(document.get("host"), str):
            found.append(document)
    return found


def _absent(
    documents: Sequence[Mapping[str, Any]], fleet: Sequence[str], running: Sequence[str]
) -> Iterator[tuple[str, str]]:
    reported = {document["host"] for document in documents}
    for host in fleet:
        if host in reported:
            continue
        if host in running:
            yield host, "It had not reported yet when this page was written."
        else:
            yield (
                host,
                "It failed or could not be reached before it could report; the output of the run "
                "says why.",
            )


def save(
    directory: Path,
    document: Mapping[str, Any],
    *,
    fleet: Sequence[str] = (),
    running: Sequence[str] = (),
) -> Path:
    """Leave a host's document and a page that holds it; return the page's path.

    Args:
        directory: the run's own directory; made with mode 0700.
        document: the host document.
        fleet: names of all hosts of the run, whether they can still report or not.
        running: names of those that can.

    Raises:
        OSError: something could not be written.
    """
    save_document(directory, document)
    return save_page(directory, fleet=fleet, running=running)


def save_document(directory: Path, document: Mapping[str, Any]) -> None:
    """Leave a host's document, without a page.

    Args:
        directory: the run's own directory; made with mode 0700.
        document: the host document.

    Raises:
        OSError: it could not be written.
    """
    # makedirs gives the mode to the last directory only, and the one above holds reports too.
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_atomically(directory / file_name(document["host"]), text)


def save_page(directory: Path, *, fleet: Sequence[str] = (), running: Sequence[str] = ()) -> Path:
    """See to it that a page exists that was begun after this call; return its path.

    Args:
        directory: the run's own directory, which has to exist.
        fleet: names of all hosts of the run, whether they can still report or not.
        running: names of those that can.

    Raises:
        OSError: it could not be written.
    """
    there_since = time.time_ns()
    page = directory / PAGE
    with _locked(directory):
        if page.exists() and page.stat().st_mtime_ns > there_since:
            return page
        begun = time.time_ns()
        documents = documents_in(directory)
        html = render(
            documents,
            title=directory.name,
            written=begun / 1e9,
            absent=list(_absent(documents, fleet, running)),
        )
        write_atomically(page, html)
        # Whoever waits for the lock compares this with the time of its own document.
        os.utime(page, ns=(begun, begun))
    return page
