# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The commands that test and reload an httpd the way its layout does it.

They are run as root later, so no program is named that somebody else than root could have put
there, and no value of a variable: a configuration may take passwords from its environment.
"""

from __future__ import annotations

import posixpath
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import systemd_unit
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_file,
    path_text,
    real_path,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import run
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

_DEBIAN_ROOT = "/etc/apache2"
_USUAL_UNITS = {"debian": "apache2", "rhel": "httpd"}
_DETACH = frozenset({"FOREGROUND", "NO_DETACH"})
"""Names that only say how the server was started."""
_WITH_FILE = 'set -a; . "$0"; exec "$@"'


def is_roots(path: str) -> bool:
    """Whether only root can change what lies at a path: it, and every directory above it, belongs
    to root and nobody else may write there."""
    real = Path(real_path(path))
    for one in (real, *real.parents):
        try:
            info = one.stat()
        except (OSError, ValueError):
            return False
        others = stat.S_IWOTH | (stat.S_IWGRP if info.st_gid else 0)
        if info.st_uid or info.st_mode & others:
            return False
    return True


@dataclass(frozen=True)
class Control:
    """What is known of how a server was started. ``options``: -d, -f and -D of the running one.

    ``usual_path``: the main file that the binary takes without options. ``needs_variables``:
    whether the configuration takes anything from its environment.
    """

    binary: str
    config_path: str
    server_root: str
    usual_path: str
    options: Sequence[str]
    master: Process | None
    environment_files: Sequence[str]
    needs_variables: bool

    def _by_binary(self, words: Sequence[str]) -> list[str]:
        pairs = zip(self.options[::2], self.options[1::2])
        defines = [word for option, value in pairs if option == "-D" for word in (option, value)]
        paths = ["-d", self.server_root, "-f", self.config_path]
        argv = [self.binary, *paths, *defines, *words]
        if self.needs_variables:
            for path in self.environment_files:
                if is_file(path) and is_roots(path):
                    return ["/bin/sh", "-c", _WITH_FILE, path, *argv]
        return argv

    def _means_this(self, script: str) -> bool:
        """Whether a control script, which is not told the options, tests this configuration."""
        pairs = zip(self.options[::2], self.options[1::2])
        if not {value for option, value in pairs if option == "-D"} <= _DETACH:
            return False
        ours = real_path(self.config_path)
        if real_path(self.usual_path) == ours:
            return True
        # The script may have the paths in it. It hands what it does not know on to httpd.
        _code, stdout, _stderr = run([script, "-t", "-D", "DUMP_INCLUDES"])
        main = re.search(r"^ *\(\*\) (/.*)$", path_text(stdout), re.MULTILINE)
        return main is not None and real_path(main.group(1)) == ours

    def _script(self, layout: str) -> list[str] | None:
        """The control script beside the binary; it reads the environment files itself."""
        directory = posixpath.dirname(self.binary)
        for name in ("apache2ctl", "apachectl"):
            path = posixpath.join(directory, name)
            if not is_file(path) or not is_roots(path):
                continue
            root = posixpath.dirname(self.config_path)
            if posixpath.basename(self.config_path) == "apache2.conf" and name == "apache2ctl":
                # Debian's takes the directory from a variable and the options from a file in it.
                return [path] if root == _DEBIAN_ROOT else ["env", f"APACHE_CONFDIR={root}", path]
            if layout != "rhel" and self._means_this(path):
                return [path]
        return None

    def _by_unit(self, layout: str) -> list[str] | None:
        if layout == "bitnami":
            # Its only unit is the whole stack's, the database among it.
            return None
        if self.master is not None:
            return systemd_unit.reload_command(self.master)
        unit = _USUAL_UNITS.get(layout)
        return ["systemctl", "reload", unit] if unit else None

    def describe(self, layout: str) -> dict[str, list[str]]:
        """``test`` and ``reload`` as whole command lines."""
        script = self._script(layout)
        reload = self._by_unit(layout)
        test = [*script, "configtest"] if script else self._by_binary(["-t"])
        if reload is None:
            reload = [*script, "graceful"] if script else self._by_binary(["-k", "graceful"])
        return {"test": test, "reload": reload}
