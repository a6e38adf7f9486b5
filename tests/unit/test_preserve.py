# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is taken of a host's logs and configuration when not all of it fits."""

from __future__ import annotations

import io
import os
import random
import tarfile
import time
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import preserve, preserve_place
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve import (
    _Collection,
    _Found,
    _take_logs,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_archive import Archive
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_sources import (
    LogFile,
    log_files,
)


class Taken:
    """An archive with what was taken into it."""

    def __init__(self, limit: int = 1 << 24, seconds: float = 60) -> None:
        self.stream = io.BytesIO()
        self.collection = _Collection(Archive(self.stream, limit, time.monotonic() + seconds))

    def contents(self) -> dict[str, bytes]:
        self.collection.archive.finish("manifest.json", b"{}")
        self.stream.seek(0)
        with tarfile.open(fileobj=self.stream, mode="r:gz") as tar:
            found = {one.name: tar.extractfile(one) for one in tar}
            return {name: data.read() for name, data in found.items() if data}

    def left_out(self) -> dict[str, str]:
        return {one["source"]: one["reason"] for one in self.collection.left_out}


def noise(lines: int, seed: int = 1) -> bytes:
    """Lines that hardly compress."""
    chance = random.Random(seed)
    return b"".join(b"%0120x\n" % chance.getrandbits(480) for _line in range(lines))


def log(path: Path, data: bytes, error: bool = False, age: float = 0) -> list[LogFile]:
    path.write_bytes(data)
    written = time.time() - age
    os.utime(path, (written, written))
    return log_files(str(path), error, 0)


def take(taken: Taken, *logs: list[LogFile], strange: tuple[str, ...] = ()) -> None:
    files = [file for one in logs for file in one]
    _take_logs(taken.collection, _Found([], [], files, list(strange)))


def joined(contents: dict[str, bytes], path: Path) -> bytes:
    parts = sorted(name for name in contents if name.startswith(f"logs{path}"))
    return b"".join(contents[name] for name in parts)


def test_small_logs_come_whole(tmp_path: Path) -> None:
    taken = Taken()
    access, empty = tmp_path / "access.log", tmp_path / "error.log"
    take(taken, log(access, b"a\nb\n"), log(empty, b"", error=True), strange=("syslog:x",))
    contents = taken.contents()
    assert contents[f"logs{access}"] == b"a\nb\n"
    assert contents[f"logs{empty}"] == b""
    assert list(taken.left_out()) == ["syslog:x"]


def test_a_large_log_comes_in_parts_of_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preserve, "_PART", 1 << 20)
    path, data = tmp_path / "access.log", noise(30000)
    taken = Taken()
    take(taken, log(path, data))
    contents = taken.contents()
    assert joined(contents, path) == data
    parts = [name for name in contents if ".part-" in name]
    assert len(parts) == 4
    assert all(contents[name].endswith(b"\n") for name in parts)
    assert all(len(contents[name].split(b"\n")[0]) == 120 for name in parts)
    assert taken.left_out() == {}


def test_of_a_log_that_does_not_fit_the_newest_lines_are_kept(tmp_path: Path) -> None:
    path, data = tmp_path / "access.log", noise(60000)
    taken = Taken(limit=2 << 20)
    take(taken, log(path, data))
    kept = joined(taken.contents(), path)
    assert data.endswith(kept)
    assert len(kept) > 1 << 20
    assert taken.collection.archive.size <= (2 << 20) + 4096
    assert f"its first {len(data) - len(kept)} bytes" in taken.left_out()[str(path)]


def test_a_flooded_log_does_not_cost_the_others_their_room(tmp_path: Path) -> None:
    flooded, quiet = tmp_path / "flooded.log", tmp_path / "quiet.log"
    errors = tmp_path / "error.log"
    taken = Taken(limit=2 << 20)
    take(
        taken,
        log(flooded, noise(60000)),
        log(quiet, noise(2000, 2)),
        log(errors, noise(1000, 3), error=True),
    )
    contents = taken.contents()
    assert contents[f"logs{quiet}"] == noise(2000, 2)
    assert contents[f"logs{errors}"] == noise(1000, 3)
    assert joined(contents, flooded)


def test_two_flooded_logs_share_the_room(tmp_path: Path) -> None:
    one, other = tmp_path / "one.log", tmp_path / "other.log"
    taken = Taken(limit=2 << 20)
    take(taken, log(one, noise(40000)), log(other, noise(60000, 2)))
    contents = taken.contents()
    kept = [len(joined(contents, path)) for path in (one, other)]
    assert min(kept) > max(kept) / 3


def test_rotated_logs_come_newest_first_and_compressed_ones_whole(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    # What is compressed cannot be read from its middle.
    (tmp_path / "access.log.3.gz").write_bytes(b"\x1f\x8b" + noise(30000, 3))
    (tmp_path / "access.log.2.gz").write_bytes(b"\x1f\x8b" + noise(2000, 2))
    (tmp_path / "access.log.1").write_bytes(noise(2000, 1))
    for number, name in enumerate(("access.log.1", "access.log.2.gz", "access.log.3.gz")):
        os.utime(tmp_path / name, (time.time() - 86400 * number,) * 2)
    taken = Taken(limit=1 << 20)
    take(taken, log(path, b"now\n"))
    contents = taken.contents()
    names = [name for name in contents if name.startswith("logs")]
    assert [name.rpartition("/")[2] for name in names] == [
        "access.log",
        "access.log.1",
        "access.log.2.gz",
    ]
    assert "limit of bytes" in taken.left_out()[str(tmp_path / "access.log.3.gz")]


def test_old_logs_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    (tmp_path / "access.log.1").write_bytes(b"old\n")
    os.utime(tmp_path / "access.log.1", (1e9, 1e9))
    path.write_bytes(b"")
    assert [file.path for file in log_files(str(path), False, 1.1e9)] == [str(path)]


def test_no_log_is_read_when_the_time_is_over(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    taken = Taken(seconds=-1)
    take(taken, log(path, b"x\n"))
    assert taken.left_out() == {str(path): "the time is over"}
    assert list(taken.contents()) == ["manifest.json"]


def test_a_log_that_is_emptied_meanwhile_gives_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "access.log"
    files = log(path, b"0123456789\n")
    found = os.fstat

    def larger(descriptor: int) -> os.stat_result:
        state = list(found(descriptor))
        state[6] = 100
        return os.stat_result(state)

    taken = Taken()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", larger)
        take(taken, files)
    contents = taken.contents()
    assert joined(contents, path) == b"0123456789\n"


def test_configuration_is_redacted_and_keys_are_left_out(tmp_path: Path) -> None:
    config, key = tmp_path / "my.cnf", tmp_path / "site.pem"
    config.write_bytes(b"[client]\npassword = tr0ub4dor\nport = 3306\n")
    key.write_bytes(b"-----BEGIN RSA PRIVATE KEY-----\ntr0ub4dor\n")
    taken = Taken()
    for path in (config, key, tmp_path / "absent", tmp_path):
        taken.collection.configuration(str(path))
    contents = taken.contents()
    assert contents[f"config{config}"] == b"[client]\npassword = <redacted>\nport = 3306\n"
    assert taken.collection.archive.members[0]["redacted"] == 1
    assert "private key" in taken.left_out()[str(key)]
    assert str(tmp_path / "absent") not in taken.left_out()


def test_a_full_host_is_spared() -> None:
    place = {"mount": "/", "disk_available": 300 << 20}
    assert preserve_place.limit_for("/root/.ansible/tmp", place, 64 << 20) == 44 << 20
    with pytest.raises(preserve_place.NoPlace, match="has 200 MiB left on /, too little"):
        preserve_place.limit_for("/x", {"mount": "/", "disk_available": 200 << 20}, 64 << 20)


def test_the_archive_is_the_directorys_owners_and_nobody_elses(tmp_path: Path) -> None:
    os.chown(tmp_path, 4242, 4242)
    path = tmp_path / preserve_place.NAME
    with preserve_place.create(str(path)):
        pass
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_uid == 4242
    with pytest.raises(FileExistsError):
        preserve_place.create(str(path))


def test_what_nobody_fetched_is_removed(tmp_path: Path) -> None:
    ours = tmp_path / "ansible-tmp-3"
    for name, age in (("ansible-tmp-1", 7200), ("ansible-tmp-2", 60)):
        path = tmp_path / name / preserve_place.NAME
        path.parent.mkdir()
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
    ours.mkdir()
    preserve_place.remove_leftovers(str(ours))
    left = [path.parent.name for path in tmp_path.glob(f"*/{preserve_place.NAME}")]
    assert left == ["ansible-tmp-2"]


def test_an_archive_that_nobody_fetches_is_removed_a_while_after_the_work(tmp_path: Path) -> None:
    path = tmp_path / "ansible-tmp-1" / preserve_place.NAME
    path.parent.mkdir()
    with preserve_place.remove_unless_fetched(str(path), 2):
        path.write_bytes(b"x")
        time.sleep(3)
        assert path.exists(), "the work may take longer than the fetch"
    time.sleep(0.5)
    assert path.exists()
    deadline = time.monotonic() + 10
    while path.parent.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
