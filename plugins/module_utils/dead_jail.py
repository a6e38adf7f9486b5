# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether fail2ban's jail for sshd keeps all of fail2ban from starting, for want of a log to read.

Debian 12 enables it, and without rsyslog there is no /var/log/auth.log: measured on fail2ban 1.0.2,
not one jail runs then.
"""

from __future__ import annotations

import configparser
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_command import run_command

Run = Callable[[Sequence[str]], Mapping[str, Any]]

_COMPLAINT = "Have not found any log file for sshd jail"
# Where the package itself says something about the jail.
_SHIPPED = ("jail.conf", "defaults-debian.conf")


def sshd_is_dead(directory: str, our_file: str, run: Run = run_command) -> bool:
    """Whether the jail is dead as long as our file does not say otherwise, and the operator has not
    said what it shall read.

    directory: of fail2ban's configuration. our_file: the name of our file in its ``jail.d``.
    """
    if not Path(directory).is_dir() or _set_by_operator(Path(directory), our_file):
        return False
    with tempfile.TemporaryDirectory(prefix="wpward-") as scratch:
        copy = Path(scratch, "fail2ban")
        shutil.copytree(directory, copy, symlinks=True)
        with contextlib.suppress(FileNotFoundError):
            (copy / "jail.d" / our_file).unlink()
        done = run(["fail2ban-client", "-c", str(copy), "-t"])
    return done["rc"] != 0 and _COMPLAINT in f"{done['stdout']}\n{done['stderr']}"


def _set_by_operator(directory: Path, our_file: str) -> bool:
    for path in (directory / "jail.local", *sorted(directory.glob("jail.d/*"))):
        if path.name == our_file or path.name in _SHIPPED:
            continue
        # What [DEFAULT] says holds for the jail only where no file of the package says otherwise.
        parser = configparser.RawConfigParser(strict=False, default_section="")
        with contextlib.suppress(OSError, ValueError, configparser.Error):
            parser.read_string(path.read_text(encoding="utf-8"))
            if parser.has_option("sshd", "backend"):
                return True
    return False
