# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The trap ``limits_conf_ineffective``: somebody raised the limit of open files where it does not
act.

limits.conf is read by PAM when somebody logs in, never for a service of systemd. A drop-in with
LimitNOFILE acts after a restart only, a reload changes nothing. Debian's apachectl sets a limit of
its own, 8192, whatever the unit says (measured with systemd 252 and httpd 2.4). So the limit of the
running process is what counts, and it is compared with what was asked for.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    modified_at,
    names_in,
    read_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    Process,
    open_file_limits,
    text_of,
)

ROOT = ""
"""Put before every path, for tests."""
PROC = "/proc"
_UNLIMITED = 1 << 30
_MAX_FILE = 1 << 20
_MAX_WORKERS = 8
_APACHECTL = ("/usr/sbin/apachectl", "/usr/sbin/apache2ctl")
_ULIMIT = re.compile(r"^[^#\n]*\bulimit -n (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Wish:
    """A line that asks for ``value`` open files. ``domain``: whom it is for, None for a unit's.
    ``hard``: it is about the hard limit alone."""

    file: str
    line: int
    text: str
    value: int
    domain: str | None
    hard: bool = False


def _text(path: str) -> str:
    try:
        return read_regular(ROOT + path, _MAX_FILE).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _lines(path: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        yield number, line.strip()


def _number(value: str) -> int | None:
    if value in ("infinity", "unlimited", "-1"):
        return _UNLIMITED
    return int(value) if value.isdigit() else None


def _limits_conf() -> Iterator[Wish]:
    directory = "/etc/security/limits.d"
    names = [name for name in names_in(ROOT + directory) if name.endswith(".conf")]
    for path in ["/etc/security/limits.conf", *(f"{directory}/{name}" for name in names)]:
        for number, line in _lines(path):
            words = line.partition("#")[0].split()
            if len(words) == 4 and words[1] in ("soft", "hard", "-") and words[2] == "nofile":
                value = _number(words[3])
                if value is not None:
                    yield Wish(path, number, line, value, words[0], words[1] == "hard")


def _unit_settings(unit: str) -> Iterator[Wish]:
    """What was set on this host for a unit; what its package brought is not the operator's wish."""
    for base in ("/run/systemd/system", "/etc/systemd/system"):
        folder = f"{base}/{unit}.d"
        names = [name for name in names_in(ROOT + folder) if name.endswith(".conf")]
        for path in [f"{base}/{unit}", *(f"{folder}/{name}" for name in names)]:
            for number, line in _lines(path):
                name, _equals, setting = line.partition("=")
                value = _number(setting.strip().partition(":")[0])
                if name.strip() == "LimitNOFILE" and value is not None:
                    yield Wish(path, number, line, value, None)


def user_of(pid: int) -> tuple[str, frozenset[str]]:
    """The name of the user that a process runs as and of his groups, from the host's own files:
    asking a directory service could hang."""
    uid = gid = ""
    for line in (text_of(f"{PROC}/{pid}/status") or "").splitlines():
        name, _colon, rest = line.partition(":")
        if name == "Uid":
            uid = rest.split()[1]
        elif name == "Gid":
            gid = rest.split()[1]
    user = ""
    for _number, line in _lines("/etc/passwd"):
        words = line.split(":")
        if len(words) >= 3 and words[2] == uid:
            user = words[0]
            break
    groups: set[str] = set()
    for _number, line in _lines("/etc/group"):
        words = line.split(":")
        if len(words) >= 4 and (words[2] == gid or (user and user in words[3].split(","))):
            groups.add(words[0])
    return user, frozenset(groups)


def _is_meant(domain: str, user: str, groups: frozenset[str]) -> bool:
    if domain == "*":
        # PAM does not apply it to root.
        return user != "root"
    return domain == user or (domain.startswith("@") and domain[1:] in groups)


def _apachectl_limit() -> tuple[str, int] | None:
    for path in _APACHECTL:
        found = _ULIMIT.search(_text(path))
        if found is not None:
            return path, int(found.group(1))
    return None


def _cause(wish: Wish, service: str, unit: str | None, started: float, limit: int) -> str:
    own = _apachectl_limit() if service == "httpd" else None
    if own is not None and limit == own[1]:
        return (
            f"{own[0]} sets {limit} for httpd itself; what raises it is "
            'APACHE_ULIMIT_MAX_FILES="ulimit -n NUMBER" in /etc/apache2/envvars and a restart.'
        )
    if wish.domain is not None:
        if unit is None:
            return "That file acts where somebody logs in, not where a service is started."
        return (
            "That file acts where somebody logs in, never on a service of systemd; what raises it "
            f"is LimitNOFILE in a drop-in of {unit} and a restart."
        )
    changed = modified_at(ROOT + wish.file)
    if changed is not None and changed > started:
        return f"A limit acts after a restart only (systemctl restart {unit}); a reload is not one."
    return (
        f"{unit} was started since, so something lowers it: a limit in the server's own "
        "configuration, or this container or kernel does not allow more."
    )


def _trap(wish: Wish, service: str, unit: str | None, started: float, limit: int) -> dict[str, Any]:
    name = posixpath.basename(wish.file) if wish.domain is not None else "A drop-in"
    whom = f" for {wish.domain}" if wish.domain is not None else ""
    number = "any number of" if wish.value == _UNLIMITED else str(wish.value)
    return {
        "id": "limits_conf_ineffective",
        "server": service,
        "file": wish.file,
        "line": wish.line,
        "text": printable(wish.text, 300),
        "site": None,
        "detail": f"{name} asks for {number} open files{whom}, but {service} runs with {limit}. "
        + _cause(wish, service, unit, started, limit),
        "size": None,
    }


def _acting(processes: Sequence[Process], service: str) -> tuple[Process, int, int | None] | None:
    """The process of a service that does the work and has the lowest soft limit, that limit, and
    its hard one. None where nothing is known of any, or there is no limit."""
    mine = [one for one in processes if one.service == service and not one.leaving]
    workers = [one for one in mine if one.role == "worker"][:_MAX_WORKERS] or mine[:1]
    known = [(one, *open_file_limits(one.pid)) for one in workers]
    limited = [(one, soft, hard) for one, soft, hard in known if soft is not None]
    return min(limited, key=lambda found: found[1]) if limited else None


def find(processes: Sequence[Process]) -> list[dict[str, Any]]:
    """The evidence's ``traps`` of this kind: for each service at most one line of limits.conf and
    one of its unit, the last that asks for more than the running process has.

    ``processes``: what processes.running() found.
    """
    conf = list(_limits_conf())
    traps: list[dict[str, Any]] = []
    for service in ("nginx", "httpd", "php-fpm", "mariadb"):
        acting = _acting(processes, service)
        if acting is None:
            continue
        process, soft, hard = acting
        # A reload makes new workers, with the limits of the master that was there before.
        started = min(one.started for one in processes if one.unit == process.unit)
        user, groups = user_of(process.pid)
        meant = [wish for wish in conf if wish.domain and _is_meant(wish.domain, user, groups)]
        # Of a unit's lines the last is the one that counts.
        settings = list(_unit_settings(process.unit))[-1:] if process.unit else []
        for wishes in (meant, settings):
            unmet = [
                (wish, limit)
                for wish, limit in ((one, hard if one.hard else soft) for one in wishes)
                if limit is not None and wish.value > limit
            ]
            if unmet:
                traps.append(_trap(unmet[-1][0], service, process.unit, started, unmet[-1][1]))
    return traps
