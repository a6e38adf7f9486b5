# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The virtual hosts of a test host: which there are, and how they are switched on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from testbed import podman
from testbed.constants import DEFAULT_VHOST, MORE_VHOSTS, VHOSTS, WEB_SERVERS, Program
from testbed.images import content_hash
from testbed.shell import TestbedError

HERE = Path(__file__).resolve().parent
MORE = HERE / "more"
"""Virtual hosts that are not in the images: they are made on the running host."""


def parse(text: str) -> list[str]:
    """The names of a comma-separated list, in the table's order; the default vhost is always on."""
    known = (*VHOSTS, *MORE_VHOSTS)
    wanted = {name for name in re.split(r"[,\s]+", text) if name} - {DEFAULT_VHOST}
    unknown = sorted(wanted - set(known))
    if unknown:
        raise TestbedError(f"vhost {unknown[0]!r} is not one of {', '.join(known)}")
    return [name for name in known if name in wanted]


def _in_image(program: Program, vhost: str) -> bool:
    return (HERE / program.folder / f"{vhost}{program.suffix}").exists()


def _more_file(program: Program, vhost: str) -> Path | None:
    path = MORE / vhost / program.more
    return path if program.more and path.exists() else None


def check(web: str, vhosts: Sequence[str]) -> None:
    """Raises TestbedError for a vhost that this web server does not have."""
    for vhost in vhosts:
        if not any(
            _in_image(program, vhost) or _more_file(program, vhost)
            for program in WEB_SERVERS[web].programs
        ):
            raise TestbedError(f"web server {web} has no vhost {vhost!r}")


def fingerprint(vhosts: Sequence[str]) -> str:
    """Changes with the files of those vhosts that are not in the image."""
    folders = [MORE / vhost for vhost in vhosts if (MORE / vhost).exists()]
    files = [path for folder in folders for path in folder.iterdir()]
    files += [MORE / "sites.sh"] if folders else []
    return content_hash((str(path.relative_to(MORE)), path.read_bytes()) for path in files)


def enable(container: str, web: str, vhosts: Sequence[str]) -> None:
    """Switch these vhosts on and load them."""
    if not vhosts:
        return
    programs = WEB_SERVERS[web].programs
    for vhost in vhosts:
        for program in programs:
            more = _more_file(program, vhost)
            if more:
                place = program.available.format(vhost)
                podman.execute(container, ["tee", place], stdin=more.read_text())
        prepare = MORE / vhost / "prepare"
        if prepare.exists():
            script = (MORE / "sites.sh").read_text() + prepare.read_text()
            podman.execute(container, ["sh", "-s"], stdin=script)
    for program in programs:
        put = ["ln", "-srfn"] if program.linked else ["cp"]
        for vhost in vhosts:
            if _in_image(program, vhost) or _more_file(program, vhost):
                places = (program.available.format(vhost), program.enabled.format(vhost))
                podman.execute(container, [*put, *places])
        podman.execute(container, program.check)
        podman.execute(container, program.reload)
