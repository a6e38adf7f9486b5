# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The highest number of open files that systemd can give a service of this host.

systemd lowers LimitNOFILE silently to what it may give, and goes on showing what the unit asks for
(measured with systemd 252). Process 1 may go above its own hard limit only with the right to
exceed resource limits, which a container usually takes away; nobody may go above fs.nr_open.
"""

from __future__ import annotations

from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    open_file_limits,
    text_of,
)

PROC = "/proc"
_MAY_EXCEED = 1 << 24
"""CAP_SYS_RESOURCE."""
_USUAL = 1 << 20
"""The kernel's own fs.nr_open."""


def _everybody() -> bool:
    """Whether process 1 is in the first user namespace: rights in another one do not count here."""
    lines = (text_of(f"{PROC}/1/uid_map") or "").splitlines()
    return not lines or lines[0].split() == ["0", "0", "4294967295"]


def _may_exceed() -> bool:
    for line in (text_of(f"{PROC}/1/status") or "").splitlines():
        name, _colon, value = line.partition(":")
        if name == "CapEff":
            try:
                return bool(int(value.strip(), 16) & _MAY_EXCEED)
            except ValueError:
                return False
    return False


def ceiling() -> int:
    """The evidence's ``nofile_ceiling``."""
    text = (text_of(f"{PROC}/sys/fs/nr_open") or "").strip()
    most = int(text) if text.isdigit() else _USUAL
    _soft, hard = open_file_limits(1)
    if hard is None or (_may_exceed() and _everybody()):
        return most
    return min(hard, most)
