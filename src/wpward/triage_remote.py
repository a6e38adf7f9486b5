# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the host's Python is sent first: it loads the library from memory, probes, and cleans up.

This source is executed on the host, by Python 3.8 or newer, and imports nothing of this package.
A second process does the work. The first one only waits, so that it can end the work and all of
its programs the moment that nobody waits for the answer any more: sshd does not do that.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import importlib
import importlib.util
import json
import os
import select
import signal
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Callable, Iterator

_SUBREAPER = 36
_GRACE = 5.0
_STDIN = 0
TIME_OVER = 75


class Library:
    """Finds modules in a dictionary of their sources; their packages are all names above them.

    ``starved``: whether the host has turned out to starve; asked again with every module, for one
    that begins to starve meanwhile would never finish this."""

    def __init__(self, sources: dict[str, str], starved: bool) -> None:
        self._sources = sources
        self.starved = starved
        self._packages = {
            name[:at] for name in sources for at, one in enumerate(name) if one == "."
        }

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in self._packages or name in self._sources:
            loader: Any = self
            package = name in self._packages
            return importlib.util.spec_from_loader(name, loader, is_package=package)
        return None

    def get_source(self, name: str) -> str:
        """For the journal, which puts its rollback program together from its own modules."""
        return self._sources[name]

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        name = module.__name__
        self.starved = self.starved or hurry()
        if name in self._sources:
            source = self._sources[name]
            exec(compile(source, f"<{name}>", "exec", dont_inherit=True), module.__dict__)


def prefer(nice: int, autogroup: str = "/proc/self/autogroup") -> None:
    """Set this process's claim on processors, and its session's: where the kernel shares out by
    sessions (autogroup), niceness alone counts only among the processes of one.

    The session is nobody else's, because sshd makes one for each command. Whoever lacks the right
    to it, as a container's root may, goes on as before.
    """
    import contextlib
    import os

    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with open(autogroup, "w") as file:  # noqa: PTH123 - pathlib takes long to import
            file.write(str(nice))


def hurry(schedstat: str = "/proc/self/schedstat") -> bool:
    """Go ahead of everything else, where this process waits for a processor far longer than it has
    one; whether that is so.

    Asked of the process itself: load and pressure tell nothing of a control group's quota.
    """
    try:
        with open(schedstat, "rb") as file:  # noqa: PTH123 - pathlib takes long to import
            had, waited = map(int, file.read().split()[:2])
    except (OSError, ValueError):
        return False
    # Nanoseconds; a second of it tells a host that starves from one that starts many programs.
    if waited <= max(10 * had, 1_000_000_000):
        return False
    prefer(-20)
    return True


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _contain(library: str, request: dict[str, Any], marker: str, out: int) -> None:
    """Close XML-RPC, and write what came of it."""
    first_aid: Any = importlib.import_module(library + ".containment_apply")
    base: Any = importlib.import_module(library + ".journal_base")
    journal: Any = importlib.import_module(library + ".journal")
    try:
        done = first_aid.contain(
            journal.Journal(), first_aid.servers_of_host(), request["trusted"], request["contain"]
        )
        told = {name: done[name] for name in ("run", "until", "ways", "notes", "open")}
    except (base.Refused, OSError) as error:
        told = {"failure": base.sentence(error)}
    packed = base64.b64encode(json.dumps(told).encode("ascii"))
    _write(out, f"{marker} contained ".encode("ascii") + packed + b"\n")


def _probe(library: str, request: dict[str, Any], marker: str, out: int, finder: Library) -> None:
    """Write the evidence, and before each of its parts the part's name."""
    evidence: Any = importlib.import_module(library + ".evidence")
    # Only now: to start takes a third of a second of processor time, and where a flood takes all
    # of it, that would become minutes. Behind hundreds of workers that all want to run, a process
    # that has stepped back is never done at all: there the budget bounds what it takes.
    if not finder.starved:
        prefer(19)
        importlib.import_module(library + ".courtesy").step_back()

    class Telling(evidence.Budget):  # type: ignore[misc]
        @contextlib.contextmanager
        def part(self, name: str, at_most: Any = None) -> Iterator[float]:
            _write(out, f"{marker} part {name}\n".encode("ascii"))
            with super().part(name, at_most) as deadline:
                yield deadline

    evidence.Budget = Telling
    document = evidence.collect(
        evidence.Request(
            int(time.time()) - request["back"],
            request["budget"],
            database_credentials=request["database_credentials"],
        )
    )
    packed = zlib.compress(json.dumps(document).encode("ascii"))
    _write(out, f"{marker} evidence {len(packed)}\n".encode("ascii") + packed)


def _children() -> Iterator[int]:
    """Processes whose parent this one is, those among them whose own parent has ended."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The name before the last bracket may hold anything.
            parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == os.getpid():
            yield int(entry.name)


def _end_all() -> None:
    """End whatever was started here, however deep."""
    until = time.monotonic() + _GRACE
    while time.monotonic() < until:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


def _wait(pid: int, ended: int, seconds: float) -> int:
    """The exit code of process ``pid``, or why it was not waited for. ``ended``: a pipe whose other
    end only that process holds."""
    poll = select.poll()
    poll.register(ended, select.POLLIN | select.POLLHUP)
    poll.register(_STDIN, select.POLLIN | select.POLLHUP)
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        if left <= 0:
            sys.stderr.write(f"The probe was ended after {seconds:.0f} s.\n")
            return TIME_OVER
        ready = {descriptor for descriptor, _event in poll.poll(left * 1000)}
        if ended in ready:
            status = os.waitpid(pid, 0)[1]
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        if _STDIN in ready and not os.read(_STDIN, 4096):
            return TIME_OVER


def _in_child(name: str, work: Callable[[], None], *unused: int) -> int:
    """Do it in another process; its id. ``unused``: descriptors that it must not hold."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for descriptor in unused:
            os.close(descriptor)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, _STDIN)
        work()
        code = 0
    except BaseException as error:
        sys.stderr.write(f"{name} failed: {type(error).__name__}: {error}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(given: dict[str, Any], marker: str, starved: bool) -> int:
    """Do what ``given`` says; return the exit code. ``starved``: what hurry() has found."""
    library, request = given["library"], given["request"]
    finder = Library(given["sources"], starved)
    sys.meta_path.insert(0, finder)
    # What a program or a module prints by mistake must not stand in the midst of the answer.
    out = os.dup(1)
    os.dup2(2, 1)
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    if request["contain"]:
        # A lost connection must not end it half-way, so that nothing but its end is waited for.
        os.waitpid(_in_child("First aid", lambda: _contain(library, request, marker, out)), 0)
        # Ahead of everything else only until here.
        if not starved:
            prefer(0)
    ended, held = os.pipe()
    pid = _in_child("The probe", lambda: _probe(library, request, marker, out, finder), ended)
    os.close(held)
    # Or the client would still be waiting for the end of the answer.
    os.close(out)
    try:
        return _wait(pid, ended, request["seconds"])
    finally:
        _end_all()
