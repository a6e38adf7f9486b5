# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept of a host's evidence on the controller, and what when it does not arrive whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.preserved_evidence import (
    Damaged,
    keep,
)

DATA = b"an archive"
MANIFEST = {
    "members": [],
    "archive": {"bytes": len(DATA), "sha256": hashlib.sha256(DATA).hexdigest()},
}


def arriving(data: bytes) -> Callable[[str], None]:
    def fetch(path: str) -> None:
        Path(path).write_bytes(data)
        # As a program that sets a mode of its own.
        Path(path).chmod(0o644)

    return fetch


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_archive_manifest_and_checksums_are_for_the_operator_alone(tmp_path: Path) -> None:
    directory = tmp_path / "reports" / "run" / "evidence"
    place = keep(directory, "blog.example", MANIFEST, arriving(DATA))
    assert place == directory / "blog.example"
    assert left(place) == ["SHA256SUMS", "evidence.tar.gz", "manifest.json"]
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    made = (place, directory, directory.parent, directory.parent.parent)
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}
    assert json.loads((place / "manifest.json").read_text())["inventory_hostname"] == "blog.example"
    for line in (place / "SHA256SUMS").read_text().splitlines():
        checksum, name = line.split("  ")
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == checksum


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    places = [keep(tmp_path, "blog.example", MANIFEST, arriving(DATA)) for _time in range(3)]
    assert [path.name for path in places] == ["blog.example", "blog.example.2", "blog.example.3"]
    assert left(tmp_path) == ["blog.example", "blog.example.2", "blog.example.3"]


@pytest.mark.parametrize(
    ("data", "says"), [(DATA[:-1], "9 bytes arrived of 10"), (b"an Archive", "checksum")]
)
def test_what_is_damaged_is_not_kept(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(Damaged, match=says):
        keep(tmp_path, "blog.example", MANIFEST, arriving(data))
    assert left(tmp_path) == []


def test_what_cannot_be_fetched_leaves_nothing(tmp_path: Path) -> None:
    def fetch(_path: str) -> None:
        raise ConnectionError("the host is gone")

    with pytest.raises(ConnectionError):
        keep(tmp_path, "blog.example", MANIFEST, fetch)
    assert left(tmp_path) == []


def test_a_hosts_name_stays_within_the_directory(tmp_path: Path) -> None:
    directory = tmp_path / "evidence"
    for name in ("../../x", ".hidden", "a/b"):
        assert keep(directory, name, MANIFEST, arriving(DATA)).parent == directory
    assert left(tmp_path) == ["evidence"]
