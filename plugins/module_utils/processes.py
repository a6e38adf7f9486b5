# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The running web stack as /proc shows it.

Limits come from /proc and not from the unit: systemd lowers LimitNOFILE silently where the kernel
does not allow it, limits.conf never reaches a service, and a raised limit acts after a restart
only (measured with systemd 252). Processes are found by what they execute and not by a text
search of command lines, which would find the search itself. Processes of containers are left out:
their paths mean nothing here.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

PROC = "/proc"

_SERVICES = (
    (re.compile(r"nginx$"), "nginx"),
    # .bin: older Bitnami stacks; .worker and .event: one binary per MPM.
    (re.compile(r"(?:apache2|httpd)(?:\.(?:bin|worker|event))?$"), "httpd"),
    (re.compile(r"php-fpm[0-9.]*$"), "php-fpm"),
    (re.compile(r"(?:mariadbd|mysqld)(?:\.bin)?$"), "mariadb"),
)
_MAX_PROCESSES = 2000
_DESCRIBED_WORKERS = 32
"""Per service: an attack makes hundreds of them, all with the same limits."""

_FPM_MASTER = re.compile(r"php-fpm: master process \((.+)\)$")
_FPM_POOL = re.compile(r"php-fpm: pool (.+)$")
_HTTPD_ANSWERS = frozenset({"-t", "-S", "-M", "-v", "-V", "-l", "-L", "-h"})
"""Options with which httpd says something and ends."""


@dataclass(frozen=True)
class Process:
    """One process of a service that matters here. ``started`` is in seconds since the epoch."""

    pid: int
    parent: int
    service: str
    role: str
    title: str
    binary: str | None
    started: float
    unit: str | None
    leaving: bool
    """nginx: a worker of an older configuration that only finishes its connections."""
    pool: str | None = None
    """php-fpm: the pool of a worker."""
    config_path: str | None = None
    """php-fpm: the configuration that the master has read."""
    is_roots: bool = False
    """Whether root started it and it still is root's. Anybody can call a process nginx."""


def text_of(path: str) -> str | None:
    """The beginning of a small file; None where it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(65536).decode("utf-8", "surrogateescape")
    except OSError:
        return None


def link_of(path: str) -> str | None:
    """Where a symbolic link points; None where it cannot be read."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def boot_time() -> float:
    """Seconds since the epoch; from the uptime, which has a finer grain than btime."""
    uptime = text_of(f"{PROC}/uptime")
    return time.time() - float(uptime.split()[0]) if uptime else 0.0


def unit_of(pid: int) -> str | None:
    """The systemd service that a process belongs to."""
    for line in (text_of(f"{PROC}/{pid}/cgroup") or "").splitlines():
        for part in reversed(line.split("/")):
            if part.endswith(".service"):
                return part
    return None


def _service(command: str) -> str | None:
    for pattern, service in _SERVICES:
        if pattern.match(command):
            return service
    return None


def _role(service: str, title: str, child: bool) -> str:
    if service in ("nginx", "php-fpm") and title:
        return "master" if title.startswith(f"{service}: master") else "worker"
    return "worker" if child else "master"


def _is_server(service: str, title: str, binary: str | None) -> bool:
    """Not so ``nginx -t``, ``httpd -S`` and BusyBox's own httpd. A title that could not be read
    tells nothing."""
    if service == "nginx":
        return not title or title.startswith("nginx:")
    if service == "httpd":
        return not _HTTPD_ANSWERS.intersection(title.split()) and not (binary or "").endswith(
            "busybox"
        )
    return True


def _title(pid: int) -> str:
    return (text_of(f"{PROC}/{pid}/cmdline") or "").replace("\0", " ").strip()


def _group(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.match(text)
    return match.group(1) if match else None


def _named() -> dict[int, tuple[str, list[str]]]:
    """Process id to the service that its name suggests and the fields of its ``stat`` from the
    state on."""
    named: dict[int, tuple[str, list[str]]] = {}
    for base in Path(PROC).iterdir():
        if not base.name.isdigit():
            continue
        stat = text_of(f"{base}/stat")
        if not stat or ")" not in stat:
            continue
        service = _service(stat[stat.index("(") + 1 : stat.rindex(")")])
        fields = stat[stat.rindex(")") + 2 :].split()
        if service is not None and len(fields) >= 20 and fields[0] not in "ZX":
            named[int(base.name)] = service, fields
            if len(named) >= _MAX_PROCESSES:
                break
    return named


def accounts(pid: int) -> frozenset[int]:
    """The real, effective, saved and file system user ids of a process; empty where it is gone.

    Not the owner of /proc/PID, which is root also for a program that gave up root's rights; and the
    real one too, as anybody can start a program that the system gives root's rights to.
    """
    for line in (text_of(f"{PROC}/{pid}/status") or "").splitlines():
        if line.startswith("Uid:"):
            return frozenset(int(word) for word in line.split()[1:])
    return frozenset()


def running() -> list[Process]:
    """Every process of the web stack in this PID namespace, oldest first.

    The command line of a process that waits for the disk is not read, nor that of an httpd worker,
    which tells nothing: the kernel may let the reader wait as long as the process. Such a process
    is a worker if a process of the same service started it.
    """
    boot = boot_time()
    ticks = os.sysconf("SC_CLK_TCK")
    own_namespace = link_of(f"{PROC}/self/ns/pid")
    named = _named()
    found: list[Process] = []
    for pid, (service, fields) in named.items():
        namespace = link_of(f"{PROC}/{pid}/ns/pid")
        if namespace is not None and own_namespace is not None and namespace != own_namespace:
            continue
        parent = int(fields[1])
        child = parent in named and named[parent][0] == service
        title = "" if fields[0] == "D" or (service == "httpd" and child) else _title(pid)
        binary = link_of(f"{PROC}/{pid}/exe")
        if not _is_server(service, title, binary):
            continue
        if binary is not None and binary.endswith(" (deleted)"):
            # The package was upgraded under the running server: the new file is what a reload uses.
            binary = binary[: -len(" (deleted)")]
        found.append(
            Process(
                pid=pid,
                parent=parent,
                service=service,
                role=_role(service, title, child),
                title=title,
                binary=binary,
                started=boot + int(fields[19]) / ticks,
                unit=unit_of(pid),
                leaving="shutting down" in title,
                pool=_group(_FPM_POOL, title),
                config_path=_group(_FPM_MASTER, title),
                is_roots=accounts(pid) == {0},
            )
        )
    return sorted(found, key=lambda process: (process.started, process.pid))


def _limit(value: str) -> int | None:
    return int(value) if value.isdigit() else None


def open_file_limits(pid: int) -> tuple[int | None, int | None]:
    """Soft and hard "Max open files" of a process; None for unlimited or unknown."""
    for line in (text_of(f"{PROC}/{pid}/limits") or "").splitlines():
        if line.startswith("Max open files"):
            words = line[len("Max open files") :].split()
            if len(words) >= 2:
                return _limit(words[0]), _limit(words[1])
    return None, None


def open_files(pid: int) -> int | None:
    """How many descriptors a process has open; None where that may not be read."""
    try:
        return sum(1 for _descriptor in Path(f"{PROC}/{pid}/fd").iterdir())
    except OSError:
        return None


def describe(processes: list[Process]) -> Iterator[dict[str, object]]:
    """The evidence's ``processes`` entries: every master, and each service's oldest workers."""
    workers: dict[str, int] = {}
    for process in processes:
        if process.role == "worker":
            workers[process.service] = workers.get(process.service, 0) + 1
            if workers[process.service] > _DESCRIBED_WORKERS:
                continue
        soft, hard = open_file_limits(process.pid)
        yield {
            "service": process.service,
            "role": process.role,
            "pid": process.pid,
            "nofile": {"soft": soft, "hard": hard},
            "open_fds": open_files(process.pid),
        }


def controller_address() -> str | None:
    """Where this SSH session comes from.

    sudo drops SSH_CONNECTION, so the environment of each ancestor is asked as well.
    """
    pid = os.getpid()
    for _generation in range(16):
        environment = text_of(f"{PROC}/{pid}/environ") or ""
        for variable in environment.split("\0"):
            if variable.startswith("SSH_CONNECTION="):
                words = variable.split("=", 1)[1].split()
                return words[0].split("%")[0] if words else None
        stat = text_of(f"{PROC}/{pid}/stat")
        if not stat or ")" not in stat:
            return None
        pid = int(stat[stat.rindex(")") + 2 :].split()[1])
        if pid <= 0:
            return None
    return None
