# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# pathlib knows neither open directories nor names that are bytes, so it is not mixed in here.
# ruff: noqa: PTH108, PTH110, PTH112, PTH114, PTH118, PTH120
"""The dead man's timer: what puts an unconfirmed run back when nobody else does."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Protocol

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    PROGRAM,
    STATE_DIRECTORY,
    Refused,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_command import (
    complaint,
    run_command,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_files import (
    read_text,
    sync_directory,
    temporary_name,
    write_text,
)

_UNIT = "wpward-deadman"
_HEADER = "# Written by wpward; removed when its run is confirmed or rolled back.\n"


class Timer(Protocol):
    """What the journal needs of a timer."""

    def require(self) -> None:
        """Raise `Refused` on a host that cannot have the timer."""

    def arm(self, seconds: int, until: float | None = None) -> None:
        """Let `Journal.expire` run in ``seconds``, counted anew, also from a reboot on; and when
        the clock says ``until`` (seconds since the epoch). Raises `Refused`."""

    def disarm(self) -> None:
        """Stop the timer and remove every trace of it; nothing to do is no error."""


class SystemdTimer:
    """A timer of systemd's, which outlives this process, reboots and changes of the clock.

    It is made of unit files rather than by systemd-run, whose timers do not survive a reboot.
    """

    def __init__(
        self,
        directory: str = STATE_DIRECTORY,
        units: str = "/etc/systemd/system",
        stamps: str = "/var/lib/systemd/timers",
        interpreter: str = sys.executable,
    ) -> None:
        self._directory = directory
        self._command = f"{interpreter} -I {os.path.join(directory, PROGRAM)} expire"
        self._service = os.path.join(units, _UNIT + ".service")
        self._timer = os.path.join(units, _UNIT + ".timer")
        self._wanted = os.path.join(units, "timers.target.wants", _UNIT + ".timer")
        self._stamp = os.path.join(stamps, f"stamp-{_UNIT}.timer")

    def require(self) -> None:
        """Raise `Refused` unless the host runs systemd."""
        if not self._booted():
            raise Refused(
                "This host does not run systemd, which the timer that undoes an unconfirmed run "
                "needs; nothing was changed."
            )

    def arm(self, seconds: int, until: float | None = None) -> None:
        """Let the timer fire in ``seconds`` and at ``until``; raises `Refused`, OSError."""
        calendar = ""
        if until is not None:
            at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(until + 1))
            # Persistent: it may have passed while the host was down.
            calendar = f"OnCalendar={at}\nPersistent=true\n"
        service = (
            f"{_HEADER}[Unit]\nDescription=Roll back an unconfirmed wpward run\n"
            f"RequiresMountsFor={self._directory}\n\n"
            f"[Service]\nType=oneshot\nExecStart={self._command}\n"
        )
        # Each transaction of a run starts the timer anew; systemd refuses a sixth start within ten
        # seconds unless told otherwise.
        timer = (
            f"{_HEADER}[Unit]\nDescription=Roll back a wpward run unless it is confirmed\n"
            "StartLimitIntervalSec=0\n\n"
            f"[Timer]\nOnActiveSec={seconds}s\nAccuracySec=1s\n{calendar}\n"
            "[Install]\nWantedBy=timers.target\n"
        )
        changed = not os.path.islink(self._wanted)
        for path, text in ((self._service, service), (self._timer, timer)):
            if not os.path.exists(path) or read_text(path) != text:
                write_text(path, text, 0o644)
                changed = True
        if changed:
            self._systemctl("enable", "--no-reload", _UNIT + ".timer")
            # Where a flood has the processors, a reload of systemd's takes most of a second
            # (measured on 252), and it reads a new unit by itself.
            if not self._is_read():
                self._systemctl("daemon-reload")
        self._systemctl("restart", _UNIT + ".timer")

    def disarm(self) -> None:
        """Stop the timer and remove every trace of it; raises `Refused`, OSError.

        The service itself is never stopped: it may be the one that runs this.
        """
        leftovers = [temporary_name(path) for path in (self._service, self._timer)]
        traces = [self._wanted, self._timer, self._service, *leftovers, self._stamp]
        present = [path for path in traces if os.path.lexists(path)]
        if not present:
            return
        booted = self._booted()
        if booted and self._timer in present:
            self._systemctl("disable", "--now", "--no-reload", _UNIT + ".timer")
        for path in present:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        sync_directory(os.path.dirname(self._timer))
        if booted:
            self._systemctl("daemon-reload")

    def _booted(self) -> bool:
        return os.path.isdir("/run/systemd/system")

    def _is_read(self) -> bool:
        """Whether systemd has both units as they lie on the disk; to ask makes it read new ones."""
        units = (_UNIT + ".timer", _UNIT + ".service")
        result = run_command(
            ["systemctl", "show", "-p", "LoadState", "-p", "NeedDaemonReload", "--", *units]
        )
        lines = result["stdout"].split()
        return result["rc"] == 0 and all(
            lines.count(line) == len(units) for line in ("LoadState=loaded", "NeedDaemonReload=no")
        )

    def _systemctl(self, *words: str) -> None:
        result = run_command(["systemctl", "--quiet", *words])
        if result["rc"] != 0:
            raise Refused(f"The timer that undoes an unconfirmed run failed: {complaint(result)}")
