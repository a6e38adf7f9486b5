# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is connected to the web server now, from /proc/net/tcp and tcp6.

The kernel writes these tables while they are read, so they are read in pieces up to a deadline,
and the addresses are counted in the kernel's own spelling: only those that are shown are
translated.
"""

from __future__ import annotations

import heapq
import ipaddress
import re
import struct
import sys
import time
from collections import Counter
from io import FileIO
from operator import itemgetter
from pathlib import Path
from typing import Sequence

PROC = "/proc"
_PIECE = 256 * 1024
_MAX_PEERS = 20000
_TOP = 20
_MAPPED = b"0000000000000000FFFF0000" if sys.byteorder == "little" else b"0" * 20 + b"FFFF"
"""How the kernel prints what stands before an IPv4 address that came in by an IPv6 socket."""


def _row_pattern(ports: Sequence[int]) -> re.Pattern[bytes]:
    local = b"|".join(b"%04X" % port for port in sorted(set(ports)))
    return re.compile(
        rb"\n *[0-9]+: [0-9A-F]{8,32}:(?:" + local + rb") ([0-9A-F]{8,32}):[0-9A-F]{4} (01|03) "
    )


def address_of(text: bytes) -> str:
    """The usual spelling of an address as the kernel prints it: words of 32 bits, each as this
    machine stores numbers."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


class _Count:
    def __init__(self, ports: Sequence[int]) -> None:
        self._row = _row_pattern(ports)
        self.established = 0
        self.half_open = 0
        self.peers: Counter[bytes] = Counter()

    def add(self, piece: bytes) -> None:
        rows = self._row.findall(piece)
        for peer, state in rows:
            if state == b"03":
                self.half_open += 1
            else:
                self.established += 1
                self.peers[peer[24:] if peer.startswith(_MAPPED) else peer] += 1
        if len(self.peers) > _MAX_PEERS:
            largest = heapq.nlargest(_MAX_PEERS // 2, self.peers.items(), key=itemgetter(1))
            self.peers = Counter(dict(largest))

    def _read(self, stream: FileIO, deadline: float) -> bool:
        rest = b""
        while time.monotonic() <= deadline:
            piece = stream.read(_PIECE)
            if not piece:
                return True
            piece = rest + piece
            # The row pattern begins with the end of the row before.
            end = max(piece.rfind(b"\n"), 0)
            self.add(piece[: end + 1])
            rest = piece[end:]
        return False

    def read(self, path: str, deadline: float) -> bool:
        """Whether the table was read to its end in time. One that is not there has no rows."""
        try:
            with Path(path).open("rb", buffering=0) as stream:
                return self._read(stream, deadline)
        except OSError:
            return True


def count(ports: Sequence[int], deadline: float) -> tuple[dict[str, object], bool]:
    """The evidence's ``connections`` for these local ports, and whether they could be counted to
    the end before ``deadline`` (``time.monotonic()``).

    ``half_open``: the handshake is not finished; a SYN flood leaves more of them. With more than
    20,000 different peers the counts in ``peers`` are lower bounds.
    """
    counted = _Count(ports)
    complete = [counted.read(f"{PROC}/net/{name}", deadline) for name in ("tcp", "tcp6")]
    top = heapq.nsmallest(_TOP, counted.peers.items(), key=lambda item: (-item[1], item[0]))
    described: dict[str, object] = {
        "established": counted.established,
        "half_open": counted.half_open,
        "peers": [{"address": address_of(peer), "count": number} for peer, number in top],
    }
    return described, all(complete)
