# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few facts about the host that the remedies need, without gathering facts."""

from __future__ import annotations

import ipaddress
import platform
import re
import socket
import sys
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    controller_address,
    text_of,
)

ROUTES4 = "/proc/net/route"
ROUTES6 = "/proc/net/ipv6_route"
_GATEWAY = 0x3
"""RTF_UP and RTF_GATEWAY: a route that is in force and leads to another host."""


def _os_release() -> dict[str, str]:
    text = text_of("/etc/os-release") or text_of("/usr/lib/os-release") or ""
    found = dict(re.findall(r"^([A-Z_]+)=[\"']?([^\"'\n]*)[\"']?\s*$", text, re.MULTILINE))
    return {
        "id": found.get("ID", ""),
        "version_id": found.get("VERSION_ID", ""),
        "codename": found.get("VERSION_CODENAME", ""),
    }


def init_system() -> str:
    """``systemd``, or what process 1 is called."""
    if Path("/run/systemd/system").is_dir():
        return "systemd"
    return (text_of("/proc/1/comm") or "unknown").strip()


def own_addresses() -> list[str]:
    """Every address of this host but loopback and link-local ones."""
    found = set()
    lines = (text_of("/proc/net/fib_trie") or "").splitlines()
    for line, following in zip(lines, lines[1:]):
        if "/32 host LOCAL" in following:
            found.add(line.rpartition(" ")[2])
    for line in (text_of("/proc/net/if_inet6") or "").splitlines():
        digits = line.split(" ", 1)[0]
        found.add(":".join(digits[start : start + 4] for start in range(0, 32, 4)))
    addresses = []
    for text in found:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if not (address.is_loopback or address.is_link_local):
            addresses.append(address)
    return [str(address) for address in sorted(addresses, key=lambda one: (one.version, one))]


def _route4(words: list[str]) -> ipaddress.IPv4Address | None:
    destination, gateway, flags, mask = words[1], words[2], int(words[3], 16), words[7]
    if (destination, mask) != ("00000000", "00000000") or flags & _GATEWAY != _GATEWAY:
        return None
    # The kernel prints the address as a number of the machine's own byte order.
    return ipaddress.IPv4Address(int(gateway, 16).to_bytes(4, sys.byteorder))


def _route6(words: list[str]) -> ipaddress.IPv6Address | None:
    destination, length, gateway, flags = words[0], words[1], words[4], int(words[8], 16)
    if int(destination, 16) or int(length, 16) or flags & _GATEWAY != _GATEWAY:
        return None
    return ipaddress.IPv6Address(int(gateway, 16))


def gateways() -> list[str]:
    """Where packets to the world go, by the kernel's main routing tables."""
    found: dict[str, None] = {}
    for path, address_of in ((ROUTES4, _route4), (ROUTES6, _route6)):
        for line in (text_of(path) or "").splitlines():
            try:
                address = address_of(line.split())
            except (ValueError, IndexError, OverflowError):
                continue
            if address is not None:
                found[str(address)] = None
    return list(found)


def describe() -> dict[str, Any]:
    """The evidence's ``host``."""
    return {
        "name": socket.gethostname(),
        "os": _os_release(),
        "python": platform.python_version(),
        "init": init_system(),
        "addresses": own_addresses(),
        "controller_address": controller_address(),
        "gateways": gateways(),
    }
