# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which part of a log is read, in which files, by how many processes, and what may go wrong."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    access_log,
    log_scanner,
    log_window,
    request_target,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.access_log import LogResult, scan_log
from ansible_collections.wpward.wordpress.plugins.module_utils.helper_process import HelperProcess
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import (
    COMBINED,
    compile_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_stream import PlainStream
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import iso
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import Identities

FORMAT = compile_format(COMBINED)
DAY = 86400
NOW = 1_764_028_800


def line(
    when: int, address: str = "192.0.2.1", target: str = "/xmlrpc.php", agent: str = "-"
) -> bytes:
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(when))
    return f'{address} - - [{stamp}] "POST {target} HTTP/1.1" 200 1 "-" "{agent}"\n'.encode()


def scan(
    path: Path, since: int = 0, seconds: float = 60, **more: Any
) -> tuple[LogResult, list[str], dict[str, Any]]:
    """The result, the problems' ids, and the XML-RPC row."""
    problems = Problems()
    result = scan_log(
        str(path),
        FORMAT,
        lambda target, host: tuple(("s", one) for one in request_target.classify(target, True)),
        since,
        time.monotonic() + seconds,
        problems,
        **{"may_share": lambda: False, **more},
    )
    rows = {endpoint: tally.describe() for (_site, endpoint), tally in result.tallies.items()}
    return result, [one["id"] for one in problems.describe()], rows.get("xmlrpc", {"hits": 0})


@pytest.fixture()
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "SEGMENT", 30_000)
    monkeypatch.setattr(access_log, "WORTH_SHARING", 10_000)


def mixed_log(path: Path, lines: int = 3000) -> None:
    path.write_bytes(
        b"".join(
            line(
                NOW + number // 3,
                f"198.51.{number % 7}.{number % 250}",
                "/" if number % 3 else "/xmlrpc.php",
                "Googlebot" if number % 2 else "-",
            )
            for number in range(lines)
        )
    )


CLAIMS = Identities(
    party_of=lambda address: "googlebot" if address.startswith("198.51.3.") else None,
    claim_of=lambda agent: "googlebot" if agent == b"Googlebot" else None,
    kind_of={"googlebot": "search_bot"},
    party_of_claim=lambda claim: claim,
)


@pytest.mark.parametrize("room", [16_000, 50])
@pytest.mark.usefixtures("small_pieces")
def test_two_processes_count_what_one_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(log_scanner, "ROOM", room)
    path = tmp_path / "access.log"
    mixed_log(path)
    forks = []
    original = HelperProcess.__init__

    def count(self: HelperProcess, work: Callable[[], Any]) -> None:
        forks.append(1)
        original(self, work)

    monkeypatch.setattr(HelperProcess, "__init__", count)
    alone, _problems, expected = scan(path, identities=CLAIMS)
    assert not forks
    shared, problems, row = scan(path, identities=CLAIMS, may_share=lambda: True)
    assert len(forks) >= 3
    assert problems == []
    assert shared.bytes_read >= path.stat().st_size
    assert shared.complete
    # Which examples come first depends on who counts them.
    for one in (row, expected):
        for claim in one["claims"]:
            assert len(claim.pop("examples")) == 5
    exact = [key for key in row if room > 50 or key not in ("clients", "networks")]
    assert {key: row[key] for key in exact} == {key: expected[key] for key in exact}
    joints = [
        {group: tally.joint for group, tally in result.tallies.items()}
        for result in (alone, shared)
    ]
    assert joints[0] == joints[1]
    (joint,) = joints[0].values()
    assert (joint is None) == (room == 50)
    assert joint is None or sum(joint.values()) == 1000


@pytest.mark.usefixtures("small_pieces")
def test_a_helper_that_dies_costs_time_but_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "access.log"
    mixed_log(path)
    monkeypatch.setattr(HelperProcess, "result", lambda self, deadline: self.stop())
    result, problems, row = scan(path, may_share=lambda: True)
    assert (row["hits"], problems, result.complete) == (1000, [], True)


def test_small_logs_are_not_shared(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    mixed_log(path, 30)

    def ask() -> bool:
        raise AssertionError("asked")

    assert scan(path, may_share=ask)[2]["hits"] == 10


def test_claims_parties_and_the_joint_count(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(
        line(NOW, "198.51.3.1", agent="Googlebot")
        + line(NOW, "203.0.113.9", agent="Googlebot") * 2
        + line(NOW + 60, "2001:db8:1:2::3")
    )
    result, _problems, row = scan(path, identities=CLAIMS)
    assert row["claims"] == [
        {
            "claim": "googlebot",
            "kind": "search_bot",
            "hits": 3,
            "addresses": 2,
            "genuine_hits": 1,
            "examples": ["203.0.113.9"],
        }
    ]
    assert row["parties"] == {"googlebot": 1}
    assert [one["network"] for one in row["networks"]] == [
        "203.0.113.0/24",
        "198.51.3.0/24",
        "2001:db8:1::/48",
    ]
    minute = NOW // 60
    assert result.tallies["s", "xmlrpc"].joint == {
        (minute, b"198.51.3.1", b"200", b"POST"): 1,
        (minute, b"203.0.113.9", b"200", b"POST"): 2,
        (minute + 1, b"2001:db8:1:2::3", b"200", b"POST"): 1,
    }


def test_networks_stay_exact_when_addresses_no_longer_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_scanner, "ROOM", 300)
    path = tmp_path / "access.log"
    path.write_bytes(
        b"".join(line(NOW, f"198.51.{net}.{host}") for net in range(20) for host in range(250))
    )
    result, _problems, row = scan(path)
    assert not row["clients_exact"]
    assert {one["hits"] for one in row["networks"]} == {250}
    assert result.tallies["s", "xmlrpc"].joint is None
    assert sum(sum(counts) for counts in row["timeline"]["counts"].values()) == 5000


def test_hostile_methods_are_added_up(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(
        b"".join(line(NOW).replace(b"POST", b"M%d" % number) for number in range(5000)) + line(NOW)
    )
    assert scan(path)[2]["methods"] == {"POST": 1, "other": 5000}


def test_the_last_minutes_of_ten_gibibytes(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    size = 10 << 30
    old, new = line(NOW - 40 * DAY), line(NOW)
    with path.open("wb") as stream:
        # Islands of lines in a sparse file, so that the search finds its way.
        for place in range(64):
            stream.seek(place * (size // 64))
            stream.write(b"\n" + old * 20)
        stream.seek(size)
        stream.write(b"\n" + new * 1000)
    result, _problems, row = scan(path, NOW - 1800)
    assert row["hits"] == 1000
    # From the last island on, and most of that is a hole.
    assert result.bytes_read < 400 << 20


def test_a_dense_log_of_the_same_kind_costs_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    block = b"".join(line(NOW - 10 * DAY + second) for second in range(0, 3600, 2)) * 20
    path.write_bytes(block + b"".join(line(NOW + second) for second in range(100)))
    result, _problems, row = scan(path, NOW)
    assert row["hits"] == 100
    assert result.bytes_read < 200_000


def test_an_attack_is_followed_to_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    attack = [line(NOW - 3 * DAY - DAY // 2 + 20 * number) for number in range(20_000)]
    before = [line(NOW - 9 * DAY + 3600 * number) for number in range(100)]
    half = len(attack) // 2
    path.write_bytes(b"".join(attack[half:]))
    (tmp_path / "access.log.1.gz").write_bytes(gzip.compress(b"".join(before + attack[:half])))
    since = NOW - DAY
    result, problems, row = scan(path, since, earliest=NOW - 7 * DAY)
    assert problems == []
    assert result.extended
    assert result.since == NOW - 5 * DAY
    inside = [NOW - 9 * DAY + 3600 * number >= result.since for number in range(100)]
    assert row["hits"] == len(attack) + sum(inside)
    assert row["first"] == iso(result.since)
    limited, _problems, row = scan(path, since, earliest=NOW - 2 * DAY)
    assert limited.since == NOW - 2 * DAY
    assert row["first"] == iso(NOW - 2 * DAY)
    alone, _problems, _row = scan(path, since)
    assert (alone.extended, alone.since) == (False, since)


def test_a_quiet_beginning_is_not_extended(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"".join(line(NOW - 5 * DAY + 600 * number) for number in range(720)))
    result, _problems, _row = scan(path, NOW - DAY, earliest=NOW - 7 * DAY)
    assert (result.extended, result.since) == (False, NOW - DAY)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".1": bytes,
    ".2.gz": gzip.compress,
    "-20261118.bz2": bz2.compress,
    "-20261117.xz": lzma.compress,
}


def rotate(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.write_bytes(line(NOW))
    for day, (suffix, pack) in enumerate(PACKERS.items(), 1):
        text = b"".join(line(NOW - day * DAY + second) for second in range(0, 2000, 20))
        path.with_name(path.name + suffix).write_bytes(pack(text))
    return path


def test_every_kind_of_rotated_file(tmp_path: Path) -> None:
    path = rotate(tmp_path)
    result, problems, row = scan(path)
    assert (row["hits"], problems, result.files) == (401, [], 5)
    # All have new dates, as after a restore; the first lines still tell where the window ends.
    result, _problems, row = scan(path, NOW - 2 * DAY + 1000)
    assert (row["hits"], result.files) == (151, 3)


def test_a_file_that_is_being_compressed_is_counted_once(tmp_path: Path) -> None:
    path = rotate(tmp_path)
    text = path.with_name("access.log.1").read_bytes()
    path.with_name("access.log.1.gz").write_bytes(gzip.compress(text)[:50])
    os.link(path, path.with_name("access.log.3"))
    assert scan(path)[::2][1]["hits"] == 401


def test_files_that_fail_leave_the_others(tmp_path: Path) -> None:
    path = rotate(tmp_path)
    path.with_name("access.log.4.zst").write_bytes(b"\x28\xb5\x2f\xfdxxxx")
    path.with_name("access.log.5.gz").write_bytes(gzip.compress(line(NOW - 9 * DAY) * 3000)[:-30])
    path.with_name("access.log.6").symlink_to("access.log.6")
    path.with_name("access.log.7").symlink_to("nowhere")
    os.mkfifo(path.with_name("access.log.8"))
    path.with_name("access.log.9").mkdir()
    result, problems, row = scan(path)
    assert set(problems) == {"log_unreadable"}
    assert not result.complete
    assert row["hits"] > 401
    path.unlink()
    assert scan(path)[2]["hits"] > 400


def test_a_log_that_becomes_shorter_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(line(NOW) * 20_000)
    original = PlainStream.readinto

    def truncating(self: PlainStream, room: memoryview) -> int:
        count = original(self, room)
        os.truncate(path, 1000)
        return count

    monkeypatch.setattr(PlainStream, "readinto", truncating)
    result, problems, row = scan(path)
    assert problems == ["log_truncated"]
    assert not result.complete
    assert 0 < row["hits"] < 20_000


def test_a_bomb_ends_with_the_time(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    packed = gzip.compress(bytes(100_000_000))
    path.write_bytes(packed * 100)
    began = time.monotonic()
    result, problems, _row = scan(path, seconds=0.3)
    assert time.monotonic() - began < 5
    assert problems == ["log_time_budget"]
    assert not result.complete


def test_lines_without_their_newline_and_years_before_and_after(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes((line(0) + line(NOW) + line(4_000_000_000)).rstrip())
    _result, _problems, row = scan(path)
    assert row["hits"] == 3
    assert len(row["timeline"]["counts"]["200"]) <= 300
    assert sum(row["timeline"]["counts"]["200"]) == 3


def test_names_of_rotated_files(tmp_path: Path) -> None:
    names = ["a.log.1", "a.log-20261121", "a.log-20261121-1795219200.gz", "a.log.2.bz2"]
    others = ["a.log.bak", "a.log.1.old", "a.log.gz", "b.log.1", "a.log.1.lz4", "a.log-error.1"]
    for name in names + others:
        (tmp_path / name).write_bytes(b"")
    found = log_window.rotated(str(tmp_path / "a.log"), 0, lambda block: None)
    assert sorted(Path(one.path).name for one in found) == sorted(names)
