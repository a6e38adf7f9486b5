# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database server says of itself before its log tables are worked on: who follows it, what
it writes beside the data, what it is busy with, and how much room its disks have."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import pressure
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    REFUSED,
    Client,
    Unanswered,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import encoded

_VARIABLES = (
    "version",
    "datadir",
    "tmpdir",
    "innodb_tmpdir",
    "innodb_online_alter_log_max_size",
    "read_only",
    "super_read_only",
    "innodb_read_only",
    "log_bin",
    "log_bin_basename",
    "binlog_format",
    "wsrep_on",
    "slow_query_log",
    "slow_query_log_file",
    "long_query_time",
    "log_output",
    "hostname",
)
_ON = ("ON", "1", "YES", "TRUE")
_LAG = 10
"""Seconds."""
_IO_STALL = 60.0
_MEMORY_STALL = 10.0
"""Percent of the last ten seconds in which nobody got on for want of it."""
MIB = 1 << 20


@dataclass(frozen=True)
class DatabaseServer:
    """The server's own settings, by their names in lower case."""

    variables: Mapping[str, str]

    def is_on(self, name: str) -> bool:
        """Whether a switch is on; one that the server does not know is off."""
        return self.variables.get(name, "").upper() in _ON

    @property
    def version(self) -> str:
        """As the server says."""
        return self.variables.get("version", "")

    @property
    def is_mariadb(self) -> bool:
        """Otherwise it is MySQL or a relative that keeps to its words."""
        return "mariadb" in self.version.lower()

    @property
    def release(self) -> tuple[int, int, int]:
        """The version to compare with."""
        found = re.search(r"(\d+)\.(\d+)\.(\d+)", self.version)
        return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)

    @property
    def foreign_keys(self) -> str:
        """InnoDB's own list of foreign keys in the information schema."""
        renamed = not self.is_mariadb and self.release >= (8, 0, 0)
        return "INNODB_FOREIGN" if renamed else "INNODB_SYS_FOREIGN"

    @property
    def data_directory(self) -> str:
        """Where the tables are."""
        return self.variables.get("datadir") or "/var/lib/mysql"

    @property
    def sort_directory(self) -> str:
        """Where the server sorts while it builds an index."""
        several = self.variables.get("innodb_tmpdir") or self.variables.get("tmpdir") or "/tmp"
        return several.split(":")[0]

    @property
    def binary_log_directory(self) -> str | None:
        """Where each deleted row is written once more; None without a binary log."""
        if not self.is_on("log_bin"):
            return None
        return os.path.dirname(self.variables.get("log_bin_basename", "")) or self.data_directory  # noqa: PTH120

    @property
    def writing_isolation(self) -> str:
        """The isolation that locks least and that the binary log can bear."""
        statement = self.variables.get("binlog_format", "").upper() == "STATEMENT"
        return "REPEATABLE READ" if statement and self.is_on("log_bin") else "READ COMMITTED"


def read_server(client: Client) -> DatabaseServer:
    """Raises Unanswered."""
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    rows = client.shown(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    return DatabaseServer(
        {row["Variable_name"].lower(): row["Value"] for row in rows if len(row) == 2}
    )


def free_bytes(directory: str) -> int | None:
    """Room that the server's account can use; None where that cannot be told."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize


def floor_bytes(directory: str) -> int:
    """Room that is left alone: a twentieth of the disk, but 256 MiB at least and 1 GiB at most."""
    try:
        state = os.statvfs(directory)
    except OSError:
        return 256 * MIB
    return max(256 * MIB, min(1024 * MIB, state.f_blocks * state.f_frsize // 20))


def _followed(server: DatabaseServer) -> str:
    """The statement that shows what this server follows."""
    if server.is_mariadb:
        return "SHOW ALL SLAVES STATUS"
    return "SHOW REPLICA STATUS" if server.release >= (8, 0, 22) else "SHOW SLAVE STATUS"


def _own_lag(rows: Sequence[Mapping[str, str]]) -> int | None:
    """Seconds that the slowest of this server's replications is behind; None if one has stopped."""
    seconds = [
        row.get("Seconds_Behind_Source", row.get("Seconds_Behind_Master", "NULL")) for row in rows
    ]
    if not all(one.isdigit() for one in seconds):
        return None
    return max((int(one) for one in seconds), default=0)


def no_writing(client: Client, server: DatabaseServer, allow_replica: bool) -> str | None:
    """A sentence why nothing may be deleted or indexed on this server, whatever the load is; None
    where it may. Raises Unanswered."""
    for name in ("read_only", "super_read_only", "innodb_read_only"):
        if server.is_on(name):
            return (
                f"The server is {name}, as a replica is: what is changed here would be missing "
                "there. Run this on the server that it follows."
            )
    try:
        rows = client.shown(_followed(server))
    except Unanswered as error:
        if error.code not in REFUSED:
            raise
        grant = "SLAVE MONITOR" if server.is_mariadb else "REPLICATION CLIENT"
        return (
            f"The server does not tell {client.who} whether it is a replica: grant it {grant} "
            "ON *.*."
        )
    if not rows:
        return None
    if not allow_replica:
        return (
            "The server follows another one: rows that are deleted here would be missing when "
            "that one deletes them, and replication would stop. Run this there, or allow_replica "
            "where both are written to."
        )
    lag = _own_lag(rows)
    if lag is None:
        return "Replication has stopped on this server: repair it first."
    return f"This server is {lag} seconds behind the one that it follows." if lag > _LAG else None


def replicas_behind(client: Client) -> tuple[int, int]:
    """How many replicas read this server's binary log, and how many of them have not been sent all
    of it. How far each has got with it only that replica knows. Raises Unanswered."""
    rows = client.rows(
        f"SELECT {encoded('STATE')} FROM information_schema.PROCESSLIST "
        "WHERE COMMAND LIKE 'Binlog Dump%';"
    )
    behind = [state for (state,) in rows if "has sent all binlog" not in (state or "").lower()]
    return len(rows), len(behind)


def short_of_room(server: DatabaseServer) -> str | None:
    """A sentence on the disk that is too full to go on deleting."""
    for directory in {server.data_directory, server.binary_log_directory}:
        if directory is None:
            continue
        free, floor = free_bytes(directory), floor_bytes(directory)
        if free is not None and free < floor:
            return (
                f"{printable(directory, 200)} has {free // MIB} MiB left, and deleting writes undo "
                f"and binary logs first: make room for {floor // MIB} MiB."
            )
    return None


def under_load(max_load: float) -> str | None:
    """A sentence on the host that has enough to do without us. ``max_load``: processes per
    processor that run or wait, in the last minute."""
    loads, processors = pressure.load(), pressure.processors() or 1
    if loads and loads[0] > max_load * processors:
        return (
            f"The load is {loads[0]:.1f} on {processors} processors, more than {max_load:g} each."
        )
    for resource, limit in (("memory", _MEMORY_STALL), ("io", _IO_STALL)):
        stall = (pressure.stalls() or {}).get(resource) or {}
        share = (stall.get("full") or {}).get("avg10", 0.0)
        if share > limit:
            return f"Everything waited for {resource} in {share:.0f} % of the last ten seconds."
    return None
