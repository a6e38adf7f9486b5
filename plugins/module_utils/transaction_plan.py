# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change set means for the files that a host has now; nothing here changes any."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import grp
import hashlib
import os
import pwd
import secrets
import stat
import struct
from typing import Any, Callable, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Json,
    Refused,
    encode,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import (
    Place,
    resolve,
    same,
    snapshot,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_transaction import (
    Transaction,
)

ABSENT, LINK = "absent", "link"

# What a file can be given and a link cannot.
_OF_FILES = ("content", "content_base64", "edits", "mode")

_FLAG_APPEND, _FLAG_IMMUTABLE = 0x20, 0x10
# _IOR('f', 1, long): the layout of most architectures; where it differs the call fails unharmed.
_GET_FLAGS = 0x80006601 | struct.calcsize("l") << 16


class Change:
    """One file: what it is, and what it shall be."""

    def __init__(self, path: str, place: Place) -> None:
        self.path = path
        self.place = place
        self.real = place.path
        self.seen = place.info()
        self.before, self.content_before = snapshot(place)
        self.after: Json = {"kind": ABSENT}
        self.content_after = b""
        self.temporary = f".wpward-{secrets.token_hex(6)}.tmp"

    @property
    def action(self) -> str:
        """``created``, ``changed``, ``removed`` or ``unchanged``."""
        if same(self.before, self.after):
            return "unchanged"
        if self.before["kind"] == ABSENT:
            return "created"
        return "removed" if self.after["kind"] == ABSENT else "changed"

    def entry(self) -> Json:
        """Return the manifest's record of this file."""
        return {
            "path": self.path,
            "real": self.real,
            "temporary": self.temporary,
            "before": dict(self.before),
            "after": dict(self.after),
        }


def plan(files: Sequence[Json], stack: contextlib.ExitStack) -> list[Change]:
    """Read the present state and compute every change; raises `Refused`, changes nothing.

    The directories stay open until ``stack`` is closed.
    """
    changes: list[Change] = []
    for wanted in files:
        path = wanted["path"]
        try:
            # What is removed or replaced by a link is the link itself, never what it points to.
            place = resolve(path, follow=wanted.get("state") not in (ABSENT, LINK))
            stack.callback(place.close)
            change = Change(path, place)
        except OSError as error:
            raise Refused(f"{path} cannot be read: {sentence(error)}.") from error
        if change.real in [other.real for other in changes]:
            raise Refused(f"{path} is named twice in one change set.")
        _desire(change, wanted)
        if change.action != "unchanged":
            _refuse_unwritable(change)
        changes.append(change)
    own = {change.real for change in changes}
    for change in changes:
        for link in own.intersection(change.place.links):
            raise Refused(
                f"{change.path} leads through the symbolic link {link}, which the same change set "
                "names too."
            )
    return changes


def _desire(change: Change, wanted: Json) -> None:
    """Compute the file's ``after`` from what the change set says about it."""
    path, expected, state = change.path, wanted.get("sha256"), wanted.get("state")
    if wanted.get("target") is not None and state != LINK:
        raise Refused(f"{path} has a target, which belongs to state link only.")
    if state == LINK:
        change.after = _link(change, wanted)
    elif state != ABSENT:
        edits = wanted.get("edits")
        if edits is not None:
            if expected in (None, ABSENT):
                raise Refused(f"{path}: edits need the sha256 of the file they belong to.")
            _check_sum(change, expected)
            change.content_after = _edited(path, change.content_before, edits)
        elif wanted.get("content") is not None:
            change.content_after = _bytes(path, wanted["content"])
        elif wanted.get("content_base64") is not None:
            try:
                change.content_after = base64.b64decode(wanted["content_base64"], validate=True)
            except binascii.Error:
                raise Refused(f"{path}: content_base64 is not base64.") from None
        elif change.before["kind"] == ABSENT:
            raise Refused(f"{path} does not exist, and the change set has no content for it.")
        else:
            change.content_after = change.content_before
        change.after = {
            "kind": "file",
            "sha256": hashlib.sha256(change.content_after).hexdigest(),
            "mode": _mode(path, wanted.get("mode"), change.before.get("mode", 0o644)),
            "uid": _owner(path, wanted.get("owner"), change.before.get("uid", 0)),
            "gid": _group(path, wanted.get("group"), change.before.get("gid", 0)),
        }
        if change.before.get("uid", change.after["uid"]) != change.after["uid"]:
            # An access list of the old owner's making must not open the new owner's file.
            change.after["xattrs"] = {}
        elif "xattrs" in change.before:
            # A signature belongs to the old content.
            change.after["xattrs"] = {
                name: value
                for name, value in change.before["xattrs"].items()
                if name not in ("security.ima", "security.evm")
            }
    if expected is not None and change.action != "unchanged":
        _check_sum(change, expected)


def _link(change: Change, wanted: Json) -> Json:
    """Return the ``after`` of a symbolic link."""
    path, target, before = change.path, wanted.get("target"), change.before
    extra = [key for key in _OF_FILES if wanted.get(key) is not None]
    if extra:
        raise Refused(f"{path} is to be a symbolic link, which has no {extra[0]}.")
    if not target or "\0" in target:
        raise Refused(f"{path} is to be a symbolic link to {target!r}, which no link can point to.")
    _bytes(path, target)
    if before["kind"] != LINK:
        before = {}
    after = {
        "kind": LINK,
        "target": target,
        "uid": _owner(path, wanted.get("owner"), before.get("uid", 0)),
        "gid": _group(path, wanted.get("group"), before.get("gid", 0)),
    }
    if "xattrs" in before:
        after["xattrs"] = before["xattrs"]
    return after


def _check_sum(change: Change, expected: str) -> None:
    present = change.before.get("sha256", change.before["kind"])
    if present != expected.lower():
        what = "is there" if expected == ABSENT else "has changed"
        if present == ABSENT:
            what = "is gone"
        raise Refused(
            f"{change.path} {what} since this change was computed from it (sha256 {expected:.12} "
            f"expected, {present:.12} found); nothing was changed, probe the host again."
        )


def _edited(path: str, content: bytes, edits: Sequence[Json]) -> bytes:
    """Return the content with byte ranges replaced; the offsets all mean the old content."""
    parts: list[bytes] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: int(edit["offset"])):
        offset, remove = int(edit["offset"]), int(edit.get("remove") or 0)
        if offset < position or remove < 0 or offset + remove > len(content):
            raise Refused(
                f"{path}: the edit at offset {offset} (removing {remove} bytes) overlaps another "
                f"one or lies outside the file's {len(content)} bytes."
            )
        parts += [content[position:offset], _bytes(path, edit.get("insert") or "")]
        position = offset + remove
    return b"".join([*parts, content[position:]])


def _bytes(path: str, text: str) -> bytes:
    try:
        return encode(text)
    except UnicodeEncodeError:
        raise Refused(f"{path}: the content is not text; give it as content_base64.") from None


def _mode(path: str, value: Any, default: int) -> int:
    if value is None:
        return default
    try:
        mode = value if isinstance(value, int) else int(value, 8)
    except (TypeError, ValueError):
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise Refused(f"{path}: mode {value!r} is not an octal number such as '0644'.")
    return mode


def _owner(path: str, value: str | None, default: int) -> int:
    return _identity(path, "user", value, default, lambda name: pwd.getpwnam(name).pw_uid)


def _group(path: str, value: str | None, default: int) -> int:
    return _identity(path, "group", value, default, lambda name: grp.getgrnam(name).gr_gid)


def _identity(
    path: str, kind: str, value: str | None, default: int, find: Callable[[str], int]
) -> int:
    if value is None:
        return default
    try:
        return int(value) if str(value).isdigit() else find(value)
    except KeyError:
        raise Refused(f"{path}: this host has no {kind} {value}.") from None


def _refuse_unwritable(change: Change) -> None:
    """Say in time, and in plain words, why a file cannot be replaced."""
    path, place = change.path, change.place
    if os.fstatvfs(place.descriptor).f_flag & os.ST_RDONLY:
        raise Refused(f"{path} lies on a file system that is mounted read-only.")
    if change.seen is not None and change.seen.st_nlink > 1:
        raise Refused(
            f"{path} has {change.seen.st_nlink} hard links; replacing it would cut it off from the "
            "others, so it is left alone."
        )
    if _flags(place.descriptor) & (_FLAG_IMMUTABLE | _FLAG_APPEND):
        raise Refused(f"The directory of {path} is set immutable or append-only (see lsattr -d).")
    if change.seen is not None and not stat.S_ISLNK(change.seen.st_mode):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(place.name, flags, dir_fd=place.descriptor)
        try:
            if _flags(descriptor) & (_FLAG_IMMUTABLE | _FLAG_APPEND):
                raise Refused(f"{path} is set immutable or append-only (see lsattr).")
        finally:
            os.close(descriptor)


def _flags(descriptor: int) -> int:
    try:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(struct.calcsize("l")))
    except OSError:
        return 0
    return int(struct.unpack("l", answer)[0])


def differences(changes: Sequence[Change]) -> list[Json]:
    """Return Ansible's diff of every file that changes; odd bytes are shown escaped.

    A symbolic link is shown as ls shows it.
    """
    return [
        {
            "before": _text(change.before, change.content_before),
            "after": _text(change.after, change.content_after),
            "before_header": change.path + _attributes(change.before, change.after),
            "after_header": change.path + _attributes(change.after, change.before),
        }
        for change in changes
        if change.action != "unchanged"
    ]


def _text(shown: Json, content: bytes) -> str:
    if shown["kind"] == LINK:
        content = b"-> %s\n" % encode(shown["target"])
    return content.decode("utf-8", "backslashreplace")


def _attributes(shown: Json, other: Json) -> str:
    if shown["kind"] == ABSENT:
        return " (absent)"
    if all(shown.get(key) == other.get(key) for key in ("kind", "mode", "uid", "gid")):
        return ""
    what = "symbolic link" if shown["kind"] == LINK else f"mode {shown['mode']:04o}"
    return f" ({what}, owner {shown['uid']}:{shown['gid']})"


def preview(transactions: Sequence[Transaction]) -> tuple[list[Json], list[Json], list[str]]:
    """Return what a rollback of these would do: the files, Ansible's diff, and the conflicts.

    Each file is shown once, from what it is now to the oldest original. Raises OSError.
    """
    changes: dict[str, Change] = {}
    known: dict[str, Json] = {}
    conflicts: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        for transaction in transactions:
            if transaction.run in conflicts:
                continue
            try:
                work = transaction.examine(stack, known)
            except Refused as error:
                conflicts[transaction.run] = str(error)
                continue
            for entry, place, present in work:
                if not same(present, entry["before"]):
                    change = changes.setdefault(entry["real"], Change(entry["path"], place))
                    change.after = entry["before"]
                    change.content_after = transaction.saved(entry)
                known[entry["real"]] = entry["before"]
    shown = [change for change in changes.values() if change.action != "unchanged"]
    files = [{"path": change.path, "action": change.action} for change in shown]
    return files, differences(shown), list(conflicts.values())
