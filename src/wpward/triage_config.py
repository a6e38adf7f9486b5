# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ~/.ssh/config says of a host.

OpenSSH's own program is asked where it is installed (``ssh -G``), because it alone understands all
of its configuration: ``Include``, every ``Match`` and the system's file. Elsewhere paramiko reads
the user's file, without those.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_GIVEN = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?"
    r"(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\](?::(?P<port>\d+))?|(?P<name>[^\s\[\]/@]+))/?$"
)
_NAME_PORT = re.compile(r"([^:]+):(\d{1,5})$")
_SECONDS = 60


class ConfigError(Exception):
    """A host's name or configuration that makes no sense; the text says what and what to do."""


@dataclass(frozen=True)
class Place:
    """A host as it was asked for. ``user``, ``port``: None where the configuration decides."""

    name: str
    user: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class Settings:
    """How to reach a host. ``key_name``: what known_hosts calls it. ``agent``: path of the agent's
    socket. ``accept_new``: whether an unknown host key is taken. ``jumps``: the hosts on the way,
    in order. ``proxy_command``: a program that is the connection."""

    host: str
    port: int
    user: str
    key_name: str
    family: socket.AddressFamily
    identities: tuple[Path, ...]
    certificates: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    known_hosts: tuple[Path, ...]
    accept_new: bool
    jumps: tuple[Place, ...]
    proxy_command: str | None


def place(given: str) -> Place:
    """Read ``[USER@]HOST``, ``HOST:PORT``, ``[ADDRESS]:PORT``, ``ssh://...`` or an IPv6 address.

    Raises:
        ConfigError: it is none of these.
    """
    found = _GIVEN.match(given)
    name = found and (found["six"] or found["name"])
    # A name that begins with - would be an option of programs.
    if not found or not name or name.startswith("-") or (found["user"] or "").startswith("-"):
        raise ConfigError(f"'{given}' is no host; give [USER@]HOST or [USER@]HOST:PORT.")
    port = found["port"]
    with_port = _NAME_PORT.match(name)
    if with_port and not found["six"]:
        name, port = with_port.groups()
    if port is not None and not 0 < int(port) < 65536:
        raise ConfigError(f"'{given}' has port {port}; give one from 1 to 65535.")
    return Place(name, found["user"], int(port) if port else None)


def _asked(where: Place, file: Path | None) -> dict[str, list[str]] | None:
    program = shutil.which("ssh")
    if program is None:
        return None
    argv = [program, "-G", "-T"]
    argv += ["-F", str(file)] if file else []
    argv += ["-l", where.user] if where.user else []
    argv += ["-p", str(where.port)] if where.port else []
    try:
        done = subprocess.run(
            [*argv, "--", where.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"`ssh -G` does not answer ({error}).") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ConfigError(f"ssh refuses its configuration ({last}); correct it.")
    options: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _space, value = line.partition(" ")
        options.setdefault(key.lower(), []).append(value)
    return options


def _read(where: Place, file: Path | None) -> dict[str, list[str]]:
    # It takes long to import, and where ssh is installed nothing here needs it.
    import paramiko

    path = file or Path.home() / ".ssh" / "config"
    options: dict[str, list[str]] = {}
    if file or path.exists():
        try:
            found = paramiko.SSHConfig.from_path(str(path)).lookup(where.name)
        except (OSError, paramiko.ConfigParseError, ImportError) as error:
            raise ConfigError(f"{path} cannot be read ({error}); install OpenSSH's ssh.") from error
        options = {
            key: value if isinstance(value, list) else [value] for key, value in found.items()
        }
    if where.user:
        options["user"] = [where.user]
    if where.port:
        options["port"] = [str(where.port)]
    options.setdefault("hostname", [where.name])
    options.setdefault("identityfile", [f"~/.ssh/{name}" for name in _DEFAULT_KEYS])
    options.setdefault("userknownhostsfile", ["~/.ssh/known_hosts"])
    options.setdefault("globalknownhostsfile", ["/etc/ssh/ssh_known_hosts"])
    return options


def _expand(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)


def _paths(values: Sequence[str], tokens: Mapping[str, str]) -> tuple[Path, ...]:
    return tuple(
        Path(os.path.expandvars(_expand(value, tokens))).expanduser()
        for value in values
        if value.lower() != "none"
    )


def _agent(wanted: str) -> str | None:
    if wanted.lower() == "none":
        return None
    if wanted == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK")
    if wanted.startswith("$"):
        return os.environ.get(wanted.strip("${}"))
    return str(Path(wanted).expanduser())


def settings(where: Place, file: Path | None = None) -> Settings:
    """How to reach a host. ``file``: another file than the user's own.

    Raises:
        ConfigError: the configuration cannot be read or makes no sense.
    """
    options = _asked(where, file)
    if options is None:
        options = _read(where, file)

    def one(key: str, otherwise: str) -> str:
        return (options.get(key) or [otherwise])[0]

    host, user = one("hostname", where.name), one("user", getpass.getuser())
    port = int(one("port", "22"))
    alias = one("hostkeyalias", "")
    tokens = {
        "%": "%",
        "d": str(Path.home()),
        "h": host,
        "i": str(os.getuid()),
        "k": alias or host,
        "n": where.name,
        "p": str(port),
        "r": user,
        "u": getpass.getuser(),
        "L": socket.gethostname().partition(".")[0],
        "l": socket.gethostname(),
    }
    jumps = one("proxyjump", "none")
    command = one("proxycommand", "none")
    known = [
        path
        for key in ("userknownhostsfile", "globalknownhostsfile")
        for line in options.get(key, ())
        for path in shlex.split(line)
    ]
    return Settings(
        host=host,
        port=port,
        user=user,
        key_name=alias or (host if port == 22 else f"[{host}]:{port}"),
        family=_FAMILIES.get(one("addressfamily", "any"), socket.AF_UNSPEC),
        identities=_paths(options.get("identityfile", ()), tokens),
        certificates=_paths(options.get("certificatefile", ()), tokens),
        identities_only=one("identitiesonly", "no") == "yes",
        agent=_agent(one("identityagent", "SSH_AUTH_SOCK")),
        known_hosts=_paths(known, tokens),
        accept_new=one("stricthostkeychecking", "ask") in ("accept-new", "no", "off", "false"),
        jumps=() if jumps.lower() == "none" else tuple(map(place, jumps.split(","))),
        proxy_command=None if command.lower() == "none" else _expand(command, tokens),
    )
