# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A probe of a host on its knees, in small; bench/probe.py does it with 5 GiB of logs."""

from __future__ import annotations

import time

import pytest
from testbed import hosts, podman, strain

from .conftest import MakeHost, Playbook

LOG = "/var/log/nginx/blog-access.log"
MIB = 1 << 20
# The module, its Python and Ansible's wrapper: four fifths of it are there without any log.
MEMORY = 96 * 1024


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    return make_host("probe-load")


def test_big_logs_are_counted_exactly_while_php_is_stuck_and_a_cpu_busy(
    host: hosts.Host, playbook: Playbook, capsys: pytest.CaptureFixture[str]
) -> None:
    python = strain.install_measuring_python(host)
    now = time.time()
    older = strain.fill_log(host, f"{LOG}.1", 24 * MIB, now - 80000, now - 40000)
    newer = strain.fill_log(host, LOG, 40 * MIB, now - 40000, now)
    # The probe yields the processor to everything else, and a test machine may have little.
    settings = {"ansible_python_interpreter": python, "probe_time_budget": 120}
    with strain.strained(host):
        run = playbook(host, "probe", **settings).proven()
    (document,) = run.reports.values()
    evidence = document["evidence"]

    (row,) = [one for one in evidence["access"] if one["endpoint"] == "xmlrpc"]
    assert row["hits"] == older["attacks"] + newer["attacks"]
    addresses = f"grep -hF xmlrpc.php {LOG} {LOG}.1 | cut -d' ' -f1 | sort -u | wc -l"
    assert row["distinct_clients"] == int(podman.execute(host.container, ["sh", "-c", addresses]))
    assert all(part["complete"] for part in evidence["budget"]), evidence["budget"]
    assert evidence["problems"] == []
    # Of the core that it has to share with whatever else this machine does.
    assert evidence["now"]["busiest"][0]["cpu_share"] > 0.1

    cost = strain.costs(host)[-1]
    with capsys.disabled():
        print(
            f"\nprobe of {(older['bytes'] + newer['bytes']) / MIB:.0f} MiB of logs under load: "
            f"{cost['seconds']:.1f} s, {cost['cpu_seconds']:.1f} s CPU, "
            f"{cost['peak_kib'] / 1024:.0f} MiB at most"
        )
    assert cost["peak_kib"] < MEMORY
