# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# It runs on the servers as one file, with nothing of the collection beside it.
"""Puts a list of shared bans into force: nftables, ipset, or one file per address.

shared_bans.py load|check|clear nftables|ipset|http [PORT,PORT...]

The list has a line ``ADDRESS EXPIRES HITS`` for each ban, EXPIRES as 2026-11-29T08:00:00Z or ``-``
for ever. Times in it are absolute, so that a ban lasts as long whenever and however often it is
loaded: what is left is worked out here, and what is over is left out.
"""

from __future__ import annotations

import calendar
import contextlib
import ipaddress
import math
import os
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Iterator, NamedTuple

LIST = Path("/etc/wpward/shared-bans.list")
RULES = Path("/etc/wpward/shared-bans.nft")
BANNED = Path("/run/wpward/banned")
# Every file of ours is a hard link to this one: that costs no inode each, and tells our files from
# those of the jails, which the next load has to leave alone.
MARK = Path("/run/wpward/shared-ban")
_LONGEST = 2147483
"""Seconds: what ipset takes at most, 24 days. The bans are loaded anew long before."""
_CHUNK = 5000
LAYERS = ("nftables", "ipset", "http")


class Ban(NamedTuple):
    """seconds: what is left of it; None for ever."""

    address: str
    version: int
    network: bool
    seconds: int | None


class Unusable(Exception):
    """The list or the packet filter cannot be used; the text says why."""


@lru_cache(maxsize=4096)
def _epoch(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def in_force(text: str, now: float) -> list[Ban]:
    """The bans of a list that are not over at ``now``, in seconds since the epoch.

    Raises Unusable for a line that is no ban.
    """
    bans = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        try:
            address, expires = words[:2]
            parsed = ipaddress.ip_network(address)
            left = None if expires == "-" else math.ceil(_epoch(expires) - now)
        except ValueError:
            raise Unusable(f"line {number} of the list is no ban: {line[:80]!r}") from None
        if left is None or left > 0:
            single = parsed.prefixlen == parsed.max_prefixlen
            shown = str(parsed.network_address if single else parsed)
            bans.append(Ban(shown, parsed.version, not single, left))
    return bans


# --- nftables ---


def nft_script(rules: str, bans: list[Ban]) -> str:
    """One script, so that nft replaces the whole table at once or not at all."""
    parts = [rules]
    for version in (4, 6):
        for network, name in ((False, "addresses"), (True, "networks")):
            some = [ban for ban in bans if (ban.version, ban.network) == (version, network)]
            elements = [
                one.address + ("" if one.seconds is None else f" timeout {one.seconds}s")
                for one in (_outermost(some) if network else some)
            ]
            for start in range(0, len(elements), _CHUNK):
                text = ",\n".join(elements[start : start + _CHUNK])
                parts.append(f"add element inet wpward_shared {name}{version} {{\n{text}\n}}\n")
    return "".join(parts)


def _outermost(bans: list[Ban]) -> list[Ban]:
    """Networks without those inside of others, which nft refuses in one set."""
    kept: list[Ban] = []
    spans = []
    for ban in bans:
        network = ipaddress.ip_network(ban.address)
        spans.append((int(network.network_address), -int(network.broadcast_address), ban))
    last = -1
    for _first, negative, ban in sorted(spans, key=lambda span: span[:2]):
        if -negative > last:
            kept.append(ban)
            last = -negative
    return kept


def _nft(script: str, *options: str) -> None:
    _run(["nft", *options, "-f", "-"], script)


def _clear_nftables() -> None:
    # Adding it first makes deleting it right in any case.
    _nft("add table inet wpward_shared\ndelete table inet wpward_shared\n")


# --- ipset ---


def ipset_script(bans: list[Ban]) -> str:
    """The sets are filled under another name and swapped in."""
    lines = []
    for version, family in ((4, "inet"), (6, "inet6")):
        # Always the same size, since a set that a rule uses cannot be made again with another one.
        options = f"hash:net family {family} timeout 0 maxelem 1048576"
        new, name = f"wpward-new{version}", f"wpward-shared{version}"
        lines += [f"create {name} {options} -exist", f"create {new} {options} -exist"]
        lines.append(f"flush {new}")
        for ban in bans:
            if ban.version == version:
                seconds = 0 if ban.seconds is None else min(ban.seconds, _LONGEST)
                lines.append(f"add {new} {ban.address} timeout {seconds} -exist")
        lines += [f"swap {new} {name}", f"destroy {new}"]
    return "\n".join(lines) + "\n"


def _load_ipset(bans: list[Ban], ports: str) -> None:
    _run(["ipset", "restore"], ipset_script(bans))
    every = ports.split(",")
    for version, program in _iptables():
        old = _rules(version, program)
        # multiport takes fifteen.
        for start in range(0, len(every), 15):
            chosen = ",".join(every[start : start + 15])
            match = ["-m", "set", "--match-set", f"wpward-shared{version}", "src"]
            tcp = ["-p", "tcp", "-m", "multiport", "--dports", chosen]
            _run([program, "-w", "-I", "INPUT", *tcp, *match, "-j", "DROP"])
        for rule in old:
            _run([program, "-w", "-D", *rule])


def _rules(version: int, program: str) -> list[list[str]]:
    """Our rules as they are now."""
    listed = _output([program, "-w", "-S", "INPUT"]).splitlines()
    return [line.split()[1:] for line in listed if f" wpward-shared{version} " in line]


def _clear_ipset() -> None:
    if "wpward-shared4" not in _output(["ipset", "list", "-n"]).split():
        return
    for version, program in _iptables():
        for rule in _rules(version, program):
            _run([program, "-w", "-D", *rule])
    for version in (4, 6):
        _run(["ipset", "destroy", f"wpward-shared{version}"])


def _iptables() -> Iterator[tuple[int, str]]:
    yield 4, "iptables"
    if Path("/proc/net/if_inet6").exists():
        yield 6, "ip6tables"


# --- the HTTP layer ---


def _load_http(bans: list[Ban]) -> None:
    # By no umask of somebody's: the workers of the web server look here.
    os.umask(0o022)
    BANNED.mkdir(parents=True, exist_ok=True)
    MARK.touch()
    wanted = set(_names(bans))
    for name in _ours():
        if name not in wanted:
            _unlink(name)
    for name in wanted:
        # A jail's ban of the same address is as good.
        with contextlib.suppress(FileExistsError):
            os.link(MARK, BANNED / name)


def _names(bans: list[Ban]) -> Iterator[str]:
    for ban in bans:
        if not ban.network:
            yield ban.address
            if ban.version == 4:
                # What a socket of both families calls it.
                yield "::ffff:" + ban.address


def _ours() -> set[str]:
    try:
        mark = MARK.stat().st_ino
        with os.scandir(BANNED) as entries:
            return {entry.name for entry in entries if entry.inode() == mark}
    except FileNotFoundError:
        return set()


def _unlink(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        (BANNED / name).unlink()


def _clear_http() -> None:
    for name in _ours():
        _unlink(name)
    with contextlib.suppress(FileNotFoundError):
        MARK.unlink()


# --- programs ---


def _run(argv: list[str], stdin: str = "") -> None:
    try:
        done = subprocess.run(
            argv, input=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise Unusable(f"{argv[0]}: {error.strerror}") from None
    if done.returncode:
        raise Unusable(f"{argv[0]} said: {done.stderr.strip()[:500]}")


def _output(argv: list[str]) -> str:
    try:
        return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unusable(str(error)) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise Unusable(f"{path}: {error}") from None


def clear(layer: str) -> None:
    """Take back what a load did."""
    {"nftables": _clear_nftables, "ipset": _clear_ipset, "http": _clear_http}[layer]()


def load(layer: str, bans: list[Ban], ports: str) -> None:
    """Put the bans into force in one layer, and in no other."""
    if layer == "nftables":
        _nft(nft_script(_read(RULES), bans))
    elif layer == "ipset":
        _load_ipset(bans, ports)
    else:
        _load_http(bans)
    for other in LAYERS:
        if other != layer:
            # What is not installed has nothing to clear.
            with contextlib.suppress(Unusable):
                clear(other)


def main(argv: list[str]) -> int:
    """See the module's description. Returns the exit status."""
    action, layer, ports = [*argv, ""][:3]
    try:
        if action == "clear":
            clear(layer)
            return 0
        bans = in_force(_read(LIST), time.time())
        if action == "load":
            load(layer, bans, ports)
        elif layer == "nftables":
            _nft(nft_script(_read(RULES), bans), "--check")
    except Unusable as error:
        print(f"The shared bans: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
