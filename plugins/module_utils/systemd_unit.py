# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether systemd can reload a server that runs."""

from __future__ import annotations

import re

from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import run
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process


def reload_command(master: Process) -> list[str] | None:
    """``systemctl reload UNIT``; None where the unit is not this server's own or cannot reload.

    A server that somebody started from a shell, or that a whole stack's unit started, lies in the
    unit of something else.
    """
    unit = master.unit
    if unit is None:
        return None
    code, stdout, _stderr = run(
        ["systemctl", "show", "-p", "MainPID", "-p", "CanReload", "--", unit]
    )
    said = dict(re.findall(r"^(\w+)=(.*)$", stdout.decode("utf-8", "replace"), re.MULTILINE))
    if code != 0 or said.get("MainPID") != str(master.pid) or said.get("CanReload") != "yes":
        return None
    name = unit[: -len(".service")] if unit.endswith(".service") else unit
    return ["systemctl", "reload", name]
