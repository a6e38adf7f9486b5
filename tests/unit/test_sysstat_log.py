# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import sysstat_log
from ansible_collections.wpward.wordpress.plugins.module_utils.recorder_sample import Sample

RECORDED = (Path(__file__).parent / "data" / "recorder" / "sysstat-12.7.5.json").read_bytes()


def test_what_sysstat_12_recorded() -> None:
    assert list(sysstat_log.samples_of(RECORDED)) == [
        Sample(1795352372, 2.85, 0.516, 0.0, 459, 1, 22500132 * 1024, 0, None),
        Sample(1795352374, 2.7, 0.52, 0.002, 459, 1, 22499976 * 1024, 0, None),
    ]


def changed(change: Callable[[dict[str, Any]], None]) -> Sample:
    document = json.loads(RECORDED)
    change(document["sysstat"]["hosts"][0]["statistics"][0])
    return next(sysstat_log.samples_of(json.dumps(document).encode()))


def test_older_names_and_what_older_versions_lack() -> None:
    def older(row: dict[str, Any]) -> None:
        row["cpu-load-all"] = row.pop("cpu-load")
        del row["memory"]["avail"]
        row["disk"][0]["util"] = 37.5
        del row["disk"][0]["util-percent"]

    sample = changed(older)
    assert sample.cpu_busy == 0.516 and sample.io_busy == 0.375
    assert sample.memory_available == (17572504 + 172128 + 4848208) * 1024


def test_activities_that_were_not_recorded() -> None:
    def bare(row: dict[str, Any]) -> None:
        for name in ("cpu-load", "memory", "queue", "disk"):
            del row[name]

    assert changed(bare) == Sample(1795352372)


@pytest.mark.parametrize(
    "output", [b"", b"{", b"[]", b'{"sysstat": {"hosts": 1}}', b'{"sysstat": {"hosts": [{}]}}']
)
def test_what_is_not_whole(output: bytes) -> None:
    assert list(sysstat_log.samples_of(output)) == []


def test_the_month_of_a_file_is_that_of_its_last_write(tmp_path: Path) -> None:
    now = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
    written = {
        "sa22": now,
        "sa21": time.mktime((2026, 11, 22, 0, 0, 5, 0, 0, -1)),
        "sa05": time.mktime((2026, 10, 5, 23, 50, 0, 0, 0, -1)),
        "sa17": now,
        "sa20261101": now,
        "sar21": now,
    }
    for name, at in written.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    assert {day: Path(path).name for day, path in sysstat_log.day_files(str(tmp_path)).items()} == {
        "20261122": "sa22",
        "20261121": "sa21",
        "20261005": "sa05",
        "20261101": "sa20261101",
    }
