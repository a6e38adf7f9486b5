# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits of control groups, in both versions of the hierarchy and from within a container."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import cgroup_limits
from ansible_collections.wpward.wordpress.plugins.module_utils.cgroup_limits import (
    groups,
    lowest_memory,
    lowest_quota,
)

MIB = 1 << 20
NEVER = "9223372036854771712"


class Host:
    """/proc and the hierarchies below a directory of the test's."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "proc/self").mkdir(parents=True)
        (base / "proc/7").mkdir()
        self.mounted: list[str] = []

    def mount(self, kind: str, name: str, root: str = "/", controllers: str = "rw") -> None:
        place = str(self.base / name).replace(" ", r"\040")
        self.mounted.append(f"30 20 0:26 {root} {place} rw shared:4 - {kind} cgroup {controllers}")
        (self.base / "proc/self/mountinfo").write_text(
            "\n".join([*self.mounted, "22 1 0:5 / /dev rw - devtmpfs udev rw", "x"])
        )

    def belongs(self, *lines: str) -> None:
        (self.base / "proc/7/cgroup").write_text("\n".join(lines) + "\n")

    def group(self, name: str, **files: object) -> None:
        directory = self.base / name
        directory.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (directory / file.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(cgroup_limits, "PROC", str(tmp_path / "proc"))
    return Host(tmp_path)


def test_the_lowest_limit_on_the_way_up_counts(host: Host) -> None:
    host.mount("cgroup2", "cgroup")
    host.belongs("0::/system.slice/nginx.service")
    host.group("cgroup", cpu__pressure="")
    host.group("cgroup/system.slice", memory__max=600 * MIB, memory__current=500 * MIB)
    host.group(
        "cgroup/system.slice/nginx.service",
        memory__max=700 * MIB,
        memory__high="max",
        memory__current=300 * MIB,
        memory__stat="anon 1\ninactive_file 2\n",
    )
    found = groups(7, "memory")
    assert [one.name for one in found] == ["/system.slice/nginx.service", "/system.slice", "/"]
    assert [one.unit for one in found] == ["nginx.service", None, None]
    lowest = lowest_memory(found)
    assert lowest is not None
    assert (lowest.limit, lowest.used, lowest.group) == (600 * MIB, 500 * MIB, found[1])
    own = lowest_memory(found[:1])
    assert own is not None
    assert (own.limit, own.used) == (700 * MIB, 300 * MIB - 2)


def test_where_memory_is_throttled_counts_as_a_limit(host: Host) -> None:
    host.mount("cgroup2", "cgroup")
    host.belongs("0::/a.service")
    host.group("cgroup/a.service", memory__max=80 * MIB, memory__high=64 * MIB)
    lowest = lowest_memory(groups(7, "memory"))
    assert lowest is not None
    assert (lowest.limit, lowest.used) == (64 * MIB, 0)


def test_without_a_limit_there_is_none(host: Host) -> None:
    host.mount("cgroup2", "cgroup")
    host.belongs("0::/a.service")
    host.group("cgroup/a.service", memory__max="max", memory__high="max", cpu__max="max 100000")
    assert lowest_memory(groups(7, "memory")) is None
    assert lowest_quota(groups(7, "cpu")) is None


def test_the_first_version_and_what_stands_above_a_container(host: Host) -> None:
    # As podman mounts it: the container's own group, whose path outside is what /proc names.
    host.mount("cgroup", "with space/memory", "/libpod/abc", "rw,memory")
    host.mount("cgroup", "cpu", "/libpod/abc", "rw,cpu,cpuacct")
    host.belongs("4:memory:/libpod/abc", "1:cpu,cpuacct:/libpod/abc", "0::/libpod/abc")
    host.group(
        "with space/memory",
        memory__limit_in_bytes=NEVER,
        memory__usage_in_bytes=400 * MIB,
        memory__stat=f"cache 5\nhierarchical_memory_limit {1024 * MIB}\n"
        f"total_inactive_file {50 * MIB}\ntotal_active_file {30 * MIB}\n",
    )
    host.group("cpu", cpu__cfs_quota_us=150000, cpu__cfs_period_us=100000)
    lowest = lowest_memory(groups(7, "memory"))
    assert lowest is not None
    assert (lowest.limit, lowest.used) == (1024 * MIB, 320 * MIB)
    assert lowest.group.directory == str(host.base / "with space/memory")
    assert lowest_quota(groups(7, "cpu")) == 1.5


def test_of_two_hierarchies_the_one_that_limits_counts(host: Host) -> None:
    host.mount("cgroup2", "unified")
    host.mount("cgroup", "memory", "/", "rw,memory")
    host.belongs("4:memory:/docker/x", "0::/docker/x")
    host.group("unified/docker/x")
    host.group("memory/docker/x", memory__limit_in_bytes=90 * MIB, memory__usage_in_bytes=10 * MIB)
    lowest = lowest_memory(groups(7, "memory"))
    assert lowest is not None
    assert lowest.limit == 90 * MIB


def test_a_path_outside_of_what_is_mounted_is_its_root(host: Host) -> None:
    host.mount("cgroup2", "cgroup", "/machine/one")
    host.belongs("0::/machine/oneself")
    host.group("cgroup", memory__max=50 * MIB)
    (group,) = groups(7, "memory")
    assert group.directory == str(host.base / "cgroup")
    # A path that the namespace cannot express.
    host.belongs("0::/machine/one/../../etc")
    assert [one.name for one in groups(7, "memory")] == ["/"]


def test_the_quota_of_a_group_above_counts(host: Host) -> None:
    host.mount("cgroup2", "cgroup")
    host.belongs("0::/a.slice/b.service")
    host.group("cgroup/a.slice", cpu__max="50000 100000")
    host.group("cgroup/a.slice/b.service", cpu__max="400000 100000")
    assert lowest_quota(groups(7, "cpu")) == 0.5


@pytest.mark.parametrize("text", ["", "x", "-1", "12 34", "0x10"])
def test_what_is_no_number_is_no_limit(text: str, host: Host) -> None:
    host.mount("cgroup2", "cgroup")
    host.belongs("0::/a.service", "", "nonsense", "1:memory")
    host.group("cgroup/a.service", memory__max=text, cpu__max=text)
    assert lowest_memory(groups(7, "memory")) is None


def test_a_process_that_is_gone_has_none(host: Host) -> None:
    host.mount("cgroup2", "cgroup")
    assert groups(99, "memory") == []
