# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Debian packages that the test bed needs on the controller."""

from __future__ import annotations

import os
import shutil
import subprocess

from testbed.shell import TestbedError, run, say

PACKAGES = (
    "podman", "runc", "netavark", "aardvark-dns", "conmon", "mmdebstrap", "debian-archive-keyring",
    "uidmap", "iptables", "nftables", "openssh-client", "strace",
)  # fmt: skip


def require_root() -> None:
    if os.geteuid() != 0:
        raise TestbedError("test hosts are system containers and need root; run this with sudo")


def missing_packages() -> list[str]:
    if not shutil.which("dpkg-query"):
        raise TestbedError("this machine has no dpkg; the test bed runs on Debian and Ubuntu")
    argv = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *PACKAGES]
    lines = run(argv, check=False).stdout.splitlines()
    installed = {line.split()[0] for line in lines if line.endswith(" installed")}
    return [package for package in PACKAGES if package not in installed]


def setup() -> list[str]:
    """Install what is missing and return its names."""
    require_root()
    missing = missing_packages()
    if not missing:
        return []
    say(f"installing {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-yq", "--no-install-recommends", *missing],
    ):
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
            raise TestbedError(f"`{' '.join(argv)}` failed with {done.returncode}:\n{tail}")
    return missing
