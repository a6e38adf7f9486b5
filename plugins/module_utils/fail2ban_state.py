# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""fail2ban as it is configured and as it runs, without touching it.

``fail2ban-client -d`` prints the configuration as fail2ban itself merges it, one Python list a
line, and needs no server. Its exit code tells nothing: a jail without a log, which keeps the whole
server from starting, is a warning there and an error of ``-t`` only (measured on fail2ban 1.0.2).
"""

from __future__ import annotations

import ast
import re
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    path_text,
    read_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.timed_command import ask, program

_UNIT = "fail2ban.service"
_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \S+ \S+ +\[\d+\]: (?P<level>[A-Z]+) +(?P<words>.*)$")
_NOT_THE_REASON = "ERROR: test configuration failed"
_MESSAGE_LENGTH = 500


def _commands(dump: str) -> Iterator[list[Any]]:
    for line in dump.splitlines():
        if not line.startswith("["):
            continue
        try:
            command = ast.literal_eval(line)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if (
            isinstance(command, list)
            and len(command) >= 3
            and all(isinstance(one, str) for one in command[:3])
        ):
            yield command


def _texts(values: Sequence[Any]) -> list[str]:
    """One value, or a list of them where fail2ban sets several at once."""
    found: list[str] = []
    for value in values:
        found.extend(value if isinstance(value, list) else [value])
    return [one for one in found if isinstance(one, str)]


def read_dump(dump: str) -> tuple[str | None, list[dict[str, Any]]]:
    """Log target and jails of what ``fail2ban-client -d`` printed."""
    log_target: str | None = None
    jails: dict[str, dict[str, Any]] = {}
    for command in _commands(dump):
        verb, rest = command[0], command[1:]
        if verb == "add":
            jails[rest[0]] = {"name": rest[0], "backend": rest[1], "logs": [], "failregex": []}
        elif verb == "set" and rest[0] == "logtarget" and len(rest) == 2:
            log_target = rest[1]
        elif verb in ("set", "multi-set") and len(rest) >= 3 and rest[0] in jails:
            jail = jails[rest[0]]
            if rest[1] == "addlogpath":
                # The word after it says where to begin, at the head or at the tail.
                jail["logs"].extend(_texts(rest[2:3]))
            elif rest[1] == "addfailregex":
                jail["failregex"].extend(_texts(rest[2:]))
    return log_target, list(jails.values())


def words_of(output: str) -> str:
    """What fail2ban says is wrong, without the times and process ids, which differ each time."""
    kept: list[str] = []
    level = "ERROR"
    for line in output.splitlines():
        match = _LOG_LINE.match(line)
        level = match.group("level") if match else level
        words = (match.group("words") if match else line).strip()
        if level in ("ERROR", "CRITICAL") and words and words != _NOT_THE_REASON:
            kept.append(words)
    return " ".join(kept)[:_MESSAGE_LENGTH]


def _interpreter(client: str) -> list[str]:
    """The command in the script's first line; none where it is not a script."""
    try:
        first = read_regular(client, 4096).split(b"\n", 1)[0]
    except OSError:
        return []
    return path_text(first[2:]).split() if first.startswith(b"#!") else []


def _has_systemd(client: str, deadline: float) -> bool:
    interpreter = _interpreter(client)
    if not interpreter:
        return False
    code, _stdout, _stderr = ask([*interpreter, "-c", "from systemd import journal"], deadline)
    return code == 0


def _service(client: str, deadline: float) -> tuple[bool, bool]:
    """Whether it runs, and whether it starts with the host."""
    wanted = [
        word for name in ("LoadState", "ActiveState", "UnitFileState") for word in ("-p", name)
    ]
    code, stdout, _stderr = ask(["systemctl", "show", *wanted, "--", _UNIT], deadline)
    said = dict(re.findall(r"^(\w+)=(.*)$", stdout.decode("utf-8", "replace"), re.MULTILINE))
    enabled = said.get("UnitFileState", "").startswith("enabled")
    if code == 0 and said.get("LoadState") == "loaded":
        return said.get("ActiveState") in ("active", "reloading"), enabled
    code, _stdout, _stderr = ask([client, "ping"], deadline)
    return code == 0, enabled


def describe(deadline: float, problems: Problems) -> dict[str, Any] | None:
    """The evidence's ``fail2ban``; None where it is not installed. ``deadline``:
    ``time.monotonic()``."""
    client = program("fail2ban-client")
    if client is None:
        return None
    active, enabled = _service(client, deadline)
    tested, stdout, stderr = ask([client, "-t"], deadline)
    message = "" if tested == 0 else words_of(path_text(stderr + b"\n" + stdout))
    dumped, stdout, stderr = ask([client, "-d"], deadline)
    log_target, jails = read_dump(path_text(stdout))
    if tested is None or dumped is None:
        said = stderr if dumped is None else message.encode()
        problems.add(
            "fail2ban_unread",
            f"fail2ban-client does not tell the configuration ({path_text(said).rstrip('.')}); "
            "its jails may be missing here.",
        )
    _code, stdout, _stderr = ask([client, "-V"], deadline)
    version = re.search(r"\d+\.\d+\S*", path_text(stdout))
    return {
        "version": version.group() if version else "",
        "active": active,
        "enabled": enabled,
        "config_ok": tested == 0,
        "message": message,
        "log_target": log_target,
        "python_systemd": _has_systemd(client, deadline),
        "jails": jails,
    }
