# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Facts of the host that the kernel tells."""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import host_facts

TITLES = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
NONE6 = "0" * 32


def route4(gateway: str, flags: str = "0003", destination: str = "00000000") -> str:
    number = int.from_bytes(ipaddress.IPv4Address(gateway).packed, sys.byteorder)
    mask = "00000000" if destination == "00000000" else "00FFFFFF"
    return f"eth0\t{destination}\t{number:08X}\t{flags}\t0\t0\t100\t{mask}\t0\t0\t0 \n"


def route6(gateway: str, flags: str = "00000003", destination: str = NONE6 + " 00") -> str:
    digits = ipaddress.IPv6Address(gateway).exploded.replace(":", "")
    return f"{destination} {NONE6} 00 {digits} 00000064 00000001 00000000 {flags}     eth0\n"


@pytest.fixture()
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host_facts, "ROUTES4", str(tmp_path / "route"))
    monkeypatch.setattr(host_facts, "ROUTES6", str(tmp_path / "ipv6_route"))
    return tmp_path


def test_default_gateways(tables: Path) -> None:
    (tables / "route").write_text(
        TITLES
        + route4("192.0.2.1")
        + route4("198.51.100.1")
        + route4("192.0.2.1")
        + route4("192.0.2.7", destination="0001590A")
        + route4("0.0.0.0", flags="0001")
    )
    (tables / "ipv6_route").write_text(
        route6("::", flags="00000001", destination="20010db8000000000000000000000000 40")
        + route6("2001:db8::7", destination="20010db8000000000000000000000000 40")
        + route6("2001:db8::1")
        # What the kernel has on lo where there is no way out.
        + route6("::", flags="00200200")
    )
    assert host_facts.gateways() == ["192.0.2.1", "198.51.100.1", "2001:db8::1"]
    assert host_facts.describe()["gateways"] == host_facts.gateways()


def test_half_of_the_internet_is_no_default(tables: Path) -> None:
    (tables / "route").write_text(
        TITLES + route4("192.0.2.9").replace("\t00000000\t0\t0\t0 ", "\t00000080\t0\t0\t0 ")
    )
    assert host_facts.gateways() == []


@pytest.mark.parametrize(
    "text", ["", "\n", TITLES, "x y z\n", "\0" * 9, route4("192.0.2.1")[:30], "eth0 " * 20]
)
def test_whatever_the_kernel_says(tables: Path, text: str) -> None:
    assert host_facts.gateways() == []
    for name in ("route", "ipv6_route"):
        (tables / name).write_text(text)
    assert host_facts.gateways() == []
