# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom the jails would ban, from the host's own logs, before any jail is enabled."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections import deque
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Sequence

Jail = Mapping[str, Any]

_NEWEST = 4 << 20
"""How many bytes of a log's end are read."""
_REFUSED = re.compile(rb"(\d{1,11}\.\d{3}) ([0-9A-Fa-f.:]{2,45}) ([a-z_]{1,40})(?: |$)")
# Pages of the administration that only somebody who may edit posts gets. Others answer anybody
# (admin-ajax.php) or whoever has an account (profile.php).
_AT_WORK = re.compile(
    rb'(?:[^ "]{1,255} )?([0-9A-Fa-f.:]{2,45}) [^"]{0,500}\] "(?:GET|POST) '
    rb"[^ ?\"]{0,200}/wp-admin/(?:edit|post|post-new|upload|media-new|edit-comments|edit-tags|users"
    rb"|user-new|plugins|plugin-install|themes|widgets|nav-menus|customize|site-editor"
    rb'|options-[a-z]{1,20}|update-core)\.php(?:\?[^ "]{0,2000})? HTTP/[\d.]{1,3}" 200 '
)


def would_ban(jails: Iterable[Jail]) -> dict[str, list[str]]:
    """By jail that reads a deny log, the addresses that it would have banned, sorted."""
    found: dict[str, list[str]] = {}
    for jail in jails:
        if jail.get("rule"):
            refusals: dict[str, list[float]] = {}
            for path in jail["logs"]:
                for seconds, address in _refusals(path, jail["rule"]):
                    refusals.setdefault(address, []).append(seconds)
            found[jail["name"]] = sorted(
                address
                for address, times in refusals.items()
                if _too_often(sorted(times), jail["max_refusals"], jail["find_seconds"])
            )
    return found


def at_work(logs: Iterable[str]) -> set[str]:
    """The addresses of people who work in the administration of a site, by its access logs."""
    found = set()
    for path in logs:
        for line in _newest_lines(path):
            match = _AT_WORK.match(line) if b"/wp-admin/" in line else None
            if match:
                found.add(match.group(1).decode())
    return found


def exempt(address: str, networks: Sequence[str]) -> bool:
    """Whether an address lies in one of the networks; what is no address does."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return True
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped or parsed
    return any(parsed in ipaddress.ip_network(network) for network in networks)


def _refusals(path: str, rule: str) -> Iterator[tuple[float, str]]:
    for line in _newest_lines(path):
        match = _REFUSED.match(line)
        if match and match.group(3).decode() == rule:
            yield float(match.group(1)), match.group(2).decode()


def _too_often(times: Sequence[float], most: int, within: float) -> bool:
    recent: deque[float] = deque(maxlen=most)
    for time in times:
        recent.append(time)
        if len(recent) == most and time - recent[0] <= within:
            return True
    return False


def _newest_lines(path: str) -> list[bytes]:
    """The whole lines among the newest bytes of a file; none where it cannot be read."""
    with contextlib.suppress(OSError), Path(path).open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - _NEWEST))
        lines = stream.read(_NEWEST).split(b"\n")
        return lines[1:] if size > _NEWEST else lines
    return []
