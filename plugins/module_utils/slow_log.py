# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a drop-in file for the database server's slow log belongs, and what reads it back."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Iterable

from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import Client
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_server import (
    DatabaseServer,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import PROC, text_of

NAME = "zz-wpward.cnf"
"""Option files of a directory are read in the order of their names, and the last word counts."""
_USUAL = ("/etc/my.cnf", "/etc/mysql/my.cnf")
_DEPTH = 10
_LOG_DIRECTORY = "/var/log/mysql"
"""Debian makes it for the server and rotates *.log there."""


def option_files(command_line: Iterable[str]) -> tuple[list[str], str | None]:
    """The option files that a server reads first of all, and the only one where its command line
    names one."""
    extra = None
    for word in command_line:
        name, _equals, value = word.partition("=")
        if name == "--defaults-file" and value:
            return [value], value
        if name == "--defaults-extra-file" and value:
            extra = value
    return [*_USUAL, *([extra] if extra else [])], None


def include_directories(files: Iterable[str], depth: int = _DEPTH) -> list[str]:
    """The directories that option files include, in the order in which they are read."""
    found: list[str] = []
    for file in files:
        path = Path(file)
        try:
            lines = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        for line in lines:
            told = re.match(r"\s*!(include|includedir)\s+(\S.*?)\s*$", line)
            if told is None or depth <= 0:
                continue
            place = str(path.parent / told[2])
            if told[1] == "includedir":
                found.append(place.rstrip("/"))
            else:
                found += include_directories([place], depth - 1)
    return [one for one in found if Path(one).is_dir()]


def _groups(server: DatabaseServer) -> list[str]:
    """The groups of an option file that a server reads."""
    release = "{}.{}".format(*server.release)
    names = ["mysqld", "mariadb", "mariadbd"] if server.is_mariadb else ["mysqld"]
    return ["server", *names, *(f"{name}-{release}" for name in names)]


def _log_file(pid: int) -> str | None:
    """A file that gets rotated; None where the server's own choice has to do."""
    try:
        if Path(_LOG_DIRECTORY).stat().st_uid == Path(f"{PROC}/{pid}").stat().st_uid:
            return f"{_LOG_DIRECTORY}/mariadb-slow.log"
    except OSError:
        pass
    return None


def describe(client: Client, server: DatabaseServer, pid: int) -> dict[str, Any]:
    """How the slow log is set, where a drop-in file would go (``file``; None with a sentence in
    ``refusal``), and the words behind a program's name that make the running server follow its
    option files (``follow``)."""
    command_line = (text_of(f"{PROC}/{pid}/cmdline") or "").split("\0")
    files, only = option_files(command_line)
    directories = include_directories(files)
    defaults = Path(client.program).with_name("my_print_defaults")
    refusal = None
    if not directories:
        refusal = (
            f"The database server reads no directory of option files by "
            f"{printable(' or '.join(files), 300)}; add `!includedir /etc/mysql/conf.d` there for "
            "its slow log."
        )
    elif not os.access(defaults, os.X_OK):
        refusal = (
            f"There is no {defaults}, which tells what the server's option files say; install it "
            "for the slow log."
        )
    file = f"{directories[-1]}/{NAME}" if refusal is None else None
    try:
        seconds = float(server.variables.get("long_query_time", ""))
    except ValueError:
        seconds = 0.0
    return {
        "enabled": server.is_on("slow_query_log"),
        "seconds": seconds,
        "file": file,
        "present": bool(file and Path(file).is_file()),
        "log_file": _log_file(pid),
        "refusal": refusal,
        "python": sys.executable,
        "follow": [
            client.program,
            client.socket,
            client.credentials_file or "",
            str(defaults),
            only or "",
            *_groups(server),
        ],
    }
