# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The services of the web stack: which processes are theirs, and whether systemd can restart each
by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import database_client
from ansible_collections.wpward.wordpress.plugins.module_utils.limits_trap import user_of
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import run
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    Process,
    open_file_limits,
)

_ORDER = ("nginx", "httpd", "php-fpm", "mariadb")
_DROP_INS = "/etc/systemd/system"


@dataclass(frozen=True)
class Service:
    """One running server: its master, and the workers that the master has started."""

    name: str
    master: Process
    workers: tuple[Process, ...]

    @property
    def processes(self) -> tuple[Process, ...]:
        return (self.master, *self.workers)


def find(running: Sequence[Process]) -> list[Service]:
    """The services that run. Of nginx, httpd and the database the oldest; of php-fpm every one, as
    versions of PHP run side by side. ``running``: without masters that are not to be believed.

    Anybody can call a program nginx, but nobody else can make it a child of root's.
    """
    asked = {server.pid for server in database_client.servers(running)[0]}
    found: list[Service] = []
    for name in _ORDER:
        masters = [
            one
            for one in running
            if one.service == name
            and one.role == "master"
            and (name != "mariadb" or one.pid in asked)
        ]
        for master in masters if name == "php-fpm" else masters[:1]:
            workers = [
                one
                for one in running
                if one.service == name
                and one.role == "worker"
                and one.parent == master.pid
                and not one.leaving
            ]
            found.append(Service(name, master, tuple(workers)))
    return found


def main_processes(units: Sequence[str], seconds: float) -> dict[str, int] | None:
    """The main process of each unit as systemd knows it; None where systemd does not answer within
    ``seconds``."""
    if not units:
        return {}
    code, stdout, _stderr = run(["systemctl", "show", "-p", "MainPID", "--", *units], None, seconds)
    said = [
        line.partition("=")[2] for line in stdout.decode("ascii", "replace").split() if "=" in line
    ]
    if code != 0 or len(said) != len(units):
        return None
    return {unit: int(pid) for unit, pid in zip(units, said) if pid.isdigit()}


def _refusal(
    service: Service, running: Sequence[Process], known: dict[str, int] | None
) -> str | None:
    """Why systemd cannot restart a service by itself; None where it can."""
    name, master = service.name, service.master
    if known is None:
        return f"systemd does not answer, so {name} cannot be restarted by it."
    if master.unit is None:
        return f"{name} (process {master.pid}) was not started by systemd, which cannot restart it."
    unit = printable(master.unit, 256)
    others = sorted(
        {one.service for one in running if one.unit == master.unit and one.service != name}
    )
    if others:
        return (
            f"{unit} is the unit of a whole stack: restarting it for {name} would stop "
            f"{' and '.join(others)} too."
        )
    if known.get(master.unit) != master.pid:
        return (
            f"{name} (process {master.pid}) is not the main process of {unit}, so that systemd "
            "cannot restart it by itself."
        )
    return None


def _open_files(service: Service) -> dict[str, int | None]:
    limits = [open_file_limits(one.pid)[0] for one in service.processes]
    known = [limit for limit in limits if limit is not None]
    return {
        "lowest": min(known, default=None),
        "highest": max(known, default=None),
        "processes": len(service.processes),
    }


def describe(
    found: Sequence[Service], running: Sequence[Process], seconds: float
) -> Iterator[dict[str, Any]]:
    """The evidence's ``services``, without what they use of memory."""
    units = sorted({one.master.unit for one in found if one.master.unit})
    known = main_processes(units, seconds)
    for service in found:
        refusal = _refusal(service, running, known)
        unit = service.master.unit
        worker = service.workers[0] if service.workers else service.master
        yield {
            "service": service.name,
            "unit": unit,
            "manageable": refusal is None,
            "refusal": refusal,
            "account": user_of(worker.pid)[0] or None,
            "nofile": _open_files(service),
            "workers": len(service.workers),
            "dropin_directory": f"{_DROP_INS}/{unit}.d" if refusal is None else None,
        }
