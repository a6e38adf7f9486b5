# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence of one host on the controller: the archive as it came, its manifest, checksums."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report import file_name

ARCHIVE = "evidence.tar.gz"
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"


class Damaged(Exception):
    """The text is a clause that says what arrived instead."""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def _settle(made: Path, wanted: Path) -> Path:
    """Give the directory its name, or that with a number where there is evidence already."""
    number = 1
    while True:
        place = wanted if number == 1 else wanted.with_name(f"{wanted.name}.{number}")
        try:
            made.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            number += 1
        else:
            return place


def keep(
    directory: Path, host: str, manifest: Mapping[str, Any], fetch: Callable[[str], None]
) -> Path:
    """Fetch a host's archive and keep it with its manifest; return the host's directory.

    Args:
        directory: where the hosts have their directories; made with mode 0700.
        host: the host's name in the inventory.
        manifest: what the module made on the host.
        fetch: writes the archive to a path on the controller.

    Raises:
        Damaged: what arrived is not what the host had written.
        OSError: something could not be written. In both cases nothing is left.
    """
    # makedirs gives the mode to the last directory only, and those above hold reports too.
    for parent in reversed([directory, *list(directory.parents)[:2]]):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = file_name(host).removesuffix(".json")
    made = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=directory))
    try:
        archive = made / ARCHIVE
        _write(archive, "")
        fetch(str(archive))
        archive.chmod(0o600)
        _compare(archive, manifest["archive"])
        text = json.dumps({"inventory_hostname": host, **manifest}, indent=1, ensure_ascii=False)
        _write(made / MANIFEST, text + "\n")
        sums = [f"{_sha256(made / file)}  {file}\n" for file in (ARCHIVE, MANIFEST)]
        _write(made / SUMS, "".join(sums))
        return _settle(made, directory / name)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _compare(archive: Path, expected: Mapping[str, Any]) -> None:
    size = archive.stat().st_size
    if size != expected["bytes"]:
        raise Damaged(f"{size} bytes arrived of {expected['bytes']}")
    if _sha256(archive) != expected["sha256"]:
        raise Damaged("its checksum is not the one that the host made")
