# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""known_hosts, as OpenSSH reads it: hashed names, patterns, ports, revoked keys."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class KnownKeys:
    """The keys of one host, as pairs of type and blob. ``authority``: whether there is one that
    signs its keys, which paramiko cannot verify."""

    good: list[tuple[str, bytes]] = field(default_factory=list)
    revoked: list[tuple[str, bytes]] = field(default_factory=list)
    authority: bool = False


def _hashed(pattern: str, name: str) -> bool:
    try:
        _empty, _version, salt, digest = pattern.split("|")
        expected = base64.b64decode(digest)
        found = hmac.digest(base64.b64decode(salt), name.encode(), hashlib.sha1)
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(expected, found)


def _literal(pattern: str) -> str:
    """Only * and ? have a meaning; the brackets of a port have none."""
    return pattern.replace("[", "[[]")


def matches(patterns: str, name: str) -> bool:
    """Whether the first field of a line means a host."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("|1|"):
            found = found or _hashed(pattern, name)
        elif pattern.startswith("!"):
            if fnmatch.fnmatchcase(name, _literal(pattern[1:].lower())):
                return False
        else:
            found = found or fnmatch.fnmatchcase(name, _literal(pattern.lower()))
    return found


def _lines(paths: Iterable[Path]) -> Iterator[list[str]]:
    for path in paths:
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        for line in text.splitlines():
            words = line.split()
            if words and not words[0].startswith("#"):
                yield words


def known_keys(paths: Iterable[Path], name: str) -> KnownKeys:
    """What the files say of a host. ``name``: with brackets and port where that is not 22. Files
    that are missing and lines that make no sense are passed over, as OpenSSH does."""
    keys = KnownKeys()
    for words in _lines(paths):
        mark = words.pop(0) if words[0].startswith("@") else ""
        if len(words) < 3 or not matches(words[0], name.lower()):
            continue
        try:
            key = (words[1], base64.b64decode(words[2], validate=True))
        except (ValueError, binascii.Error):
            continue
        if mark == "@revoked":
            keys.revoked.append(key)
        elif mark == "@cert-authority":
            keys.authority = True
        elif not mark:
            keys.good.append(key)
    return keys


def fingerprint(blob: bytes) -> str:
    """A key as ``ssh`` and ``ssh-keygen -l`` write it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"
