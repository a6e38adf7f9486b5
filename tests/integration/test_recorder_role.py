# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Role recorder on a real host: what atop records, for how long logs are kept, and that a rollback
leaves no trace but the package."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.endpoints.role import inside
from integration.play import play
from testbed import hosts

HERE = Path(__file__).parent
ROTATION = "/etc/logrotate.d/nginx"
INTERVAL = 3
UNITS = ("atop.service", "atop-rotate.timer", "atopacct.service")

# On a copy of the state, with a log of its own, and without the scripts, which call nginx.
ROTATE_OFTEN = """\
cd "$(mktemp -d)" && mkdir logs &&
sed "s|/var/log/nginx/|$PWD/logs/|; /create/d; /notifempty/d; /rotate$/,/endscript/d" \\
    /etc/logrotate.d/nginx > config &&
cp /var/lib/logrotate/status state 2> /dev/null || echo 'logrotate state -- version 2' > state
for round in $(seq 32); do
    echo "$round" > logs/a.log
    logrotate --force --state "$PWD/state" "$PWD/config" 2>&1 || exit 1
done
ls logs | wc -l
"""


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    made = make_host("recorder")
    inside(
        made,
        *("sh", "-c"),
        "apt-get -qq update && apt-get -qq install --no-install-recommends logrotate python3-apt",
    )
    return made


def configuration(host: hosts.Host) -> str:
    """All files below /etc but those of the package: type, mode, owner, target, bytes."""
    return inside(
        host,
        *("bash", "-c"),
        "cd /etc && find . ! -name '*atop*' -printf '%p|%y|%m|%U|%G|%l\\n' | sort"
        " && find . -type f ! -name '*atop*' -print0 | sort -z | xargs -0 sha256sum",
    )


def units(host: hosts.Host) -> list[str]:
    words = ("systemctl", "show", "--property", "ActiveState", "--property", "UnitFileState")
    return inside(host, *words, *UNITS).split()


@pytest.fixture(scope="module")
def said(host: hosts.Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the role said: in check mode, when it set up the recorder, and once more. Afterwards the
    host is as it was."""
    saved = tmp_path_factory.mktemp("saved")
    before = configuration(host)

    def record(run: str, *options: str) -> Any:
        play(
            HERE / "recorder" / "record.yml",
            host,
            options=options,
            recorder_run=run,
            save_to=str(saved / f"{run}.json"),
            wpward_recorder_interval=INTERVAL,
        )
        return json.loads((saved / f"{run}.json").read_text())

    would = record("recorder-0", "--check")
    assert configuration(host) == before
    did = record("recorder-1")
    time.sleep(2 * INTERVAL)
    yield {"would": would, "did": did, "again": record("recorder-2")}
    play(HERE / "recorder" / "undo.yml", host)
    assert configuration(host) == before
    assert units(host) == ["ActiveState=inactive", "UnitFileState=disabled"] * 3


def test_check_mode_tells_exactly_and_a_second_run_changes_nothing(said: dict[str, Any]) -> None:
    did = said["did"]["result"]
    assert did["changed"] and did["transaction"]
    assert said["would"]["result"]["changed"] and said["would"]["result"]["files"] == did["files"]
    assert [one["path"] for one in did["files"]] == [
        "/etc/systemd/system/atop.service.d/wpward.conf",
        "/etc/default/wpward-atop",
        ROTATION,
    ]
    assert said["did"]["notes"] == []
    again = said["again"]["result"]
    assert not again["changed"] and again["commands"] == [] and again["transaction"] is None


def test_it_records_what_proc_says(host: hosts.Host, said: dict[str, Any]) -> None:
    recorder = said["again"]["recorder"]
    assert (recorder["program"], recorder["active"], recorder["enabled"]) == ("atop", True, True)
    assert (recorder["interval"], recorder["kept_days"]) == (INTERVAL, 28)
    assert len(recorder["samples"]) >= 3
    last = recorder["samples"][-1]
    seen = inside(
        host,
        *("sh", "-c"),
        "ls /proc | grep -c '^[0-9]'; pgrep -c -u www-data php-fpm;"
        " awk '/MemTotal|MemAvailable/ {print $2}' /proc/meminfo",
    )
    processes, workers, total, available = map(int, seen.split())
    # Those of this question and of the probe come and go.
    assert abs(last["processes"] - processes) <= 12
    assert last["web_workers"] == workers > 0
    assert last["memory_available"] / 1024 == pytest.approx(available, abs=total / 4)
    assert 0 <= last["cpu_busy"] <= 1 and 0 <= last["io_busy"] <= 1 and last["load"] > 0


@pytest.mark.usefixtures("said")
def test_only_the_recorder_and_its_daily_file_run(host: hosts.Host) -> None:
    active, enabled = "ActiveState=active", "UnitFileState=enabled"
    assert units(host) == [
        *(active, enabled, active, enabled),
        *("ActiveState=inactive", "UnitFileState=disabled"),
    ]


@pytest.mark.usefixtures("said")
def test_logrotate_keeps_as_many_files_as_asked_for(host: hosts.Host) -> None:
    assert "\trotate 30\n" in inside(host, "cat", ROTATION)
    assert inside(host, "bash", "-c", ROTATE_OFTEN).split()[-1] == "30"


@pytest.mark.usefixtures("said")
def test_a_new_day_begins_a_new_file_and_loses_nothing(host: hosts.Host) -> None:
    """What the timer does at midnight."""
    inside(host, "systemctl", "start", "atop-rotate.service")
    running = inside(host, "sh", "-c", "tr '\\0' ' ' < /proc/$(pgrep -x atop)/cmdline").split()
    assert running[-1] == str(INTERVAL) and running[-2].startswith("/var/log/atop/atop_20")
