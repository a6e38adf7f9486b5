# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# pathlib knows neither open directories nor names that are bytes, so it is not mixed in here.
# ruff: noqa: PTH102, PTH104, PTH108, PTH110, PTH118, PTH119, PTH120, PTH123
"""One transaction in the journal: what was planned, and how it is undone."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Conflict,
    Json,
    Refused,
    decode,
    encode,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import (
    OPEN_DIRECTORY,
    SCHEMA,
    Place,
    read_json,
    remove_directory,
    resolve,
    same,
    snapshot,
    sync_directory,
    write_new,
    write_text,
)

# The order in which a transaction lives. A directory without any of these is an unfinished
# journal: not one byte of the host had changed yet.
APPLYING, APPLIED, ROLLING_BACK = "applying", "applied", "rolling_back"
ROLLED_BACK, FORGOTTEN = "rolled_back", "forgotten"
STATES = (APPLYING, APPLIED, ROLLING_BACK, ROLLED_BACK, FORGOTTEN)
ACTIVE = (APPLYING, APPLIED, ROLLING_BACK)


class Transaction:
    """One transaction in the journal: its directory, its state and its manifest."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.name = os.path.basename(directory)
        self.run = os.path.basename(os.path.dirname(directory))
        self.role = self.name.partition("-")[2]
        present = [state for state in STATES if os.path.exists(self._manifest(state))]
        self.state = present[0] if present else ""
        self._data: Json | None = None

    def __str__(self) -> str:
        return f"{self.name} of run {self.run}"

    @property
    def manifest(self) -> Json:
        """What was planned; written before anything changed and never altered."""
        if self._data is None:
            self._data = read_json(self._manifest(self.state))
        return self._data

    def _manifest(self, state: str) -> str:
        return os.path.join(self.directory, state + ".json")

    def write(self, manifest: Json, originals: Sequence[bytes]) -> None:
        """Make the transaction exist; from here on a crash is undone by this manifest.

        The manifest comes last, so that it never stands without the originals it speaks of.
        """
        saved = os.path.join(self.directory, "originals")
        os.mkdir(self.directory, 0o700)
        os.mkdir(saved, 0o700)
        descriptor = os.open(saved, OPEN_DIRECTORY)
        try:
            for number, entry in enumerate(manifest["files"]):
                if entry["before"]["kind"] != "absent":
                    entry["before"]["original"] = f"originals/{number}"
                    write_new(descriptor, b"%d" % number, originals[number], entry["before"])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(os.path.dirname(self.directory))
        self._data = dict(manifest, schema=SCHEMA)
        write_text(self._manifest(APPLYING), json.dumps(self._data, indent=1, sort_keys=True))
        self.state = APPLYING

    def become(self, state: str) -> None:
        """Move to another state, durably; the originals go when nothing can need them."""
        if state == self.state:
            return
        self._data = self.manifest
        os.rename(self._manifest(self.state), self._manifest(state))
        self.state = state
        sync_directory(self.directory)
        if state == ROLLED_BACK:
            shutil.rmtree(os.path.join(self.directory, "originals"), ignore_errors=True)

    def original(self, entry: Json) -> str:
        """Path of the saved original of one of the manifest's files."""
        return os.path.join(self.directory, entry["before"]["original"])

    def discard(self) -> None:
        """Remove the record; the manifest goes first, so that a crash leaves no half of it."""
        if self.state:
            os.unlink(self._manifest(self.state))
            sync_directory(self.directory)
        shutil.rmtree(self.directory)
        sync_directory(os.path.dirname(self.directory))

    def restore(self) -> list[Json]:
        """Put every file back as it was found; return what was done to which path.

        Looks at all files before it touches one. Raises `Conflict` where somebody else changed
        a file meanwhile, `Refused` where an original is damaged, OSError.
        """
        done: list[Json] = []
        with contextlib.ExitStack() as stack:
            work = self.examine(stack, {})
            if self.state == APPLIED:
                self.become(ROLLING_BACK)
            for entry, place, present in reversed(work):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(encode(entry["temporary"]), dir_fd=place.descriptor)
                if not same(present, entry["before"]):
                    action = self._put_back(entry, place, present)
                    done.append({"path": entry["path"], "action": action})
            for path in reversed(self.manifest["directories"]):
                remove_directory(path)
        return done

    def examine(
        self, stack: contextlib.ExitStack, known: dict[str, Json]
    ) -> list[tuple[Json, Place, Json]]:
        """Return each file's entry, its place, and its present state as far as it is ours.

        ``known``, by real path, stands in for what is on the disk. The places stay open until
        ``stack`` is closed. Raises as `restore` does; changes nothing.
        """
        work: list[tuple[Json, Place, Json]] = []
        for entry in self.manifest["files"]:
            try:
                place = resolve(entry["real"], follow=False, links=0)
                stack.callback(place.close)
                present = known.get(entry["real"]) or snapshot(place)[0]
            except (Refused, NotADirectoryError) as error:
                raise Conflict(self._conflict(entry, sentence(error))) from error
            ours = self._must_restore(entry, place, present)
            if not place.missing:
                work.append((entry, place, present if ours else entry["before"]))
        return work

    def _must_restore(self, entry: Json, place: Place, present: Json) -> bool:
        """Tell whether a file is as the transaction left it; raises `Conflict`, `Refused`."""
        before, real = entry["before"], entry["real"]
        if same(present, before):
            return False
        if same(present, entry["after"]):
            if before["kind"] != "absent":
                if place.missing:
                    raise Conflict(self._conflict(entry, f"The directory of {real} is gone."))
                self._check_original(entry)
            return True
        if self.state == APPLYING and place.holds(encode(entry["temporary"])):
            # The new file never took its name, so what is there is not the transaction's business.
            return False
        saved = before["kind"] == "absent" or os.path.lexists(self.original(entry))
        if self.state != APPLIED and not saved:
            # The original was moved back before an interruption; what is there came after that.
            return False
        what = "is gone" if present["kind"] == "absent" else "was changed by somebody else since"
        raise Conflict(self._conflict(entry, f"{real} {what}."))

    def _put_back(self, entry: Json, place: Place, present: Json) -> str:
        before, temporary = entry["before"], encode(entry["temporary"])
        if before["kind"] == "absent":
            os.unlink(place.name, dir_fd=place.descriptor)
            os.fsync(place.descriptor)
            return "removed"
        original = encode(self.original(entry))
        try:
            os.rename(original, place.name, dst_dir_fd=place.descriptor)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            write_new(place.descriptor, temporary, self.saved(entry), before)
            os.rename(
                temporary, place.name, src_dir_fd=place.descriptor, dst_dir_fd=place.descriptor
            )
        os.fsync(place.descriptor)
        return "created" if present["kind"] == "absent" else "changed"

    def saved(self, entry: Json) -> bytes:
        """Return the content of a saved original, none of a link's; raises OSError."""
        if entry["before"]["kind"] != "file":
            return b""
        with open(self.original(entry), "rb") as stream:
            return stream.read()

    def _check_original(self, entry: Json) -> None:
        before, path = entry["before"], self.original(entry)
        try:
            if before["kind"] == "link":
                whole = decode(os.readlink(encode(path))) == before["target"]
            else:
                whole = hashlib.sha256(self.saved(entry)).hexdigest() == before["sha256"]
        except OSError as error:
            # EINVAL: there is no link any more, but something else.
            if error.errno not in (errno.ENOENT, errno.EINVAL):
                raise
            whole = False
        if not whole:
            raise Refused(f"the original of {entry['real']}, {path}, is missing or damaged.")

    def _conflict(self, entry: Json, what: str) -> str:
        if entry["before"]["kind"] == "absent":
            origin = "there was no such file before"
        else:
            origin = f"the original is kept as {self.original(entry)}"
        return f"{what} Transaction {self} is left as it is; {origin}."
