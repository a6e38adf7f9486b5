# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The few facts about the host that the remedies need, without gathering facts."""

from __future__ import annotations

import ipaddress
import platform
import re
import socket
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    controller_address,
    text_of,
)


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


def describe() -> dict[str, Any]:
    """The evidence's ``host``."""
    return {
        "name": socket.gethostname(),
        "os": _os_release(),
        "python": platform.python_version(),
        "init": init_system(),
        "addresses": own_addresses(),
        "controller_address": controller_address(),
    }
