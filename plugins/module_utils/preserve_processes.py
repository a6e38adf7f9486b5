# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which processes there are and who is connected, as text: what ps and ss would print.

/proc alone is read, since a host that is out of processes or memory starts no program. No
environment is read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import re
import time
from pathlib import Path
from typing import BinaryIO, Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.connections import address_of
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_redact import command_line
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import boot_time

PROC = "/proc"
_MOST_PROCESSES = 20000
_MOST_CONNECTIONS = 200000
_LONGEST_COMMAND = 4096
_STATES = {
    b"01": "ESTAB",
    b"02": "SYN-SENT",
    b"03": "SYN-RECV",
    b"04": "FIN-WAIT-1",
    b"05": "FIN-WAIT-2",
    b"06": "TIME-WAIT",
    b"07": "UNCONN",
    b"08": "CLOSE-WAIT",
    b"09": "LAST-ACK",
    b"0A": "LISTEN",
    b"0B": "CLOSING",
    b"0C": "SYN-RECV",
}
_ROW = re.compile(
    rb"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2})"
    rb" ([0-9A-F]+):([0-9A-F]+) \S+ +\S+ +(\d+) +\d+ +(\d+)"
)


@functools.lru_cache(maxsize=None)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return stream.read(1 << 16)
    except OSError:
        return b""


def _one(pid: int, boot: float, ticks: int, page: int) -> str | None:
    """The line of a process; None where it is gone."""
    stat = _read(f"{PROC}/{pid}/stat")
    name, _close, rest = stat.partition(b"(")[2].rpartition(b")")
    fields = rest.split()
    if len(fields) < 22:
        return None
    state, parent, threads = fields[0].decode(), int(fields[1]), int(fields[17])
    # The command line of a process that waits for the disk may not be had before the disk answers.
    words = [] if state == "D" else _read(f"{PROC}/{pid}/cmdline").rstrip(b"\0").split(b"\0")
    command = command_line(words) or b"[" + name + b"]"
    identity = re.search(rb"^Uid:\s+\d+\s+(\d+)", _read(f"{PROC}/{pid}/status"), re.MULTILINE)
    user = _user(int(identity.group(1))) if identity else "?"
    seconds = (int(fields[11]) + int(fields[12])) / ticks
    started = iso(boot + int(fields[19]) / ticks)
    memory = int(fields[21]) * page // 1024
    return (
        f"{pid:>8} {parent:>8} {user:<16} {state} {threads:>5} {memory:>10} {seconds:>10.1f} "
        f"{started} {printable(command, _LONGEST_COMMAND)}"
    )


def processes(deadline: float) -> str:
    """Every process: id, parent, user, state, threads, memory in KiB, processor seconds, start,
    command. ``deadline``: ``time.monotonic()``."""
    lines = [
        f"{'pid':>8} {'parent':>8} {'user':<16} S {'thr':>5} {'memory_kib':>10} {'cpu_s':>10} "
        "started              command"
    ]
    boot = boot_time()
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    numbers = sorted(int(one.name) for one in Path(PROC).iterdir() if one.name.isdigit())
    for pid in numbers[:_MOST_PROCESSES]:
        if time.monotonic() > deadline:
            lines.append("... the time was over")
            break
        line = _one(pid, boot, ticks, page)
        if line:
            lines.append(line)
    if len(numbers) > _MOST_PROCESSES:
        lines.append(f"... and {len(numbers) - _MOST_PROCESSES} more")
    return "\n".join(lines) + "\n"


def _end(address: bytes, port: bytes) -> str:
    shown = address_of(address)
    number = int(port, 16)
    return f"[{shown}]:{number}" if ":" in shown else f"{shown}:{number}"


def _rows(name: str, stream: BinaryIO, deadline: float) -> Iterator[str]:
    for number, line in enumerate(stream):
        if number >= _MOST_CONNECTIONS or (number % 1000 == 0 and time.monotonic() > deadline):
            yield f"... {name} has more"
            return
        row = _ROW.match(line)
        if row is None:
            continue
        state = _STATES.get(row.group(5), "?")
        ends = f"{_end(*row.group(1, 2)):<44} {_end(*row.group(3, 4)):<44}"
        send, receive = int(row.group(6), 16), int(row.group(7), 16)
        yield f"{name:<5} {state:<12} {receive:>8} {send:>8} {ends} {_user(int(row.group(8)))}"


def connections(deadline: float) -> str:
    """Every TCP and UDP socket: state, bytes waiting to be read and to be sent, both ends, user.
    ``deadline``: ``time.monotonic()``."""
    lines = [
        f"{'proto':<5} {'state':<12} {'recv_q':>8} {'send_q':>8} {'local':<44} {'peer':<44} user"
    ]
    for name in ("tcp", "tcp6", "udp", "udp6"):
        # Without IPv6 there is no such table.
        with contextlib.suppress(FileNotFoundError), Path(f"{PROC}/net/{name}").open("rb") as rows:
            lines += _rows(name, rows, deadline)
    return "\n".join(lines) + "\n"
