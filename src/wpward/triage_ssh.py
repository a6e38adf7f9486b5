# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logging in to a host that barely answers: everything may take minutes, and all of it is bounded.

paramiko waits without an end in some places. So nothing here relies on its timeouts: whoever opens
a Connection closes it when the time is over, and that ends every wait in it.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paramiko
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import sentence
from paramiko.agent import AgentSSH

from wpward.triage_config import Place, Settings, settings
from wpward.triage_hostkeys import fingerprint, known_keys

Tell = Callable[[str], None]
_KEEPALIVE = 10
_JUMPS = 8
_TRIES = 4
_PAUSE = 2.0
_PUBLIC = ("ssh-", "ecdsa-", "sk-")
_MOST_SAID = 4096
# It would write tracebacks of its own to standard error.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


class Unreachable(Exception):
    """A host that nobody could log in to; the text says why and what to do."""


class _Agent(AgentSSH):  # type: ignore[misc]
    """The agent at a path, which need not be the environment's."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        self._connect(connection)

    def close(self) -> None:
        self._close()


class Connection:
    """A login on one host. ``tell`` hears what it waits for."""

    def __init__(self, where: Place, config: Path | None, seconds: float, tell: Tell) -> None:
        self._config = config
        self._tell = tell
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._open: list[Any] = []
        self._program: _Program | None = None
        self.settings = settings(where, config)

    def login(self) -> Any:
        """Connect, know the host by its key, log in; return paramiko's transport.

        Raises:
            Unreachable, ConfigError.
        """
        return self._reach(self.settings, self.settings.jumps, _JUMPS)

    def close(self) -> None:
        """End it, whatever it waits for; from any thread."""
        with self._lock:
            self._closed.set()
            opened, self._open = self._open[::-1], []
        for one in opened:
            with contextlib.suppress(Exception):
                one.close()

    def _keep(self, one: Any) -> Any:
        with self._lock:
            if not self._closed.is_set():
                self._open.append(one)
                return one
        one.close()
        raise Unreachable("the connection was ended.")

    def _left(self) -> float:
        return max(self._end - time.monotonic(), 0.1)

    def _reach(self, to: Settings, jumps: Sequence[Place], depth: int) -> Any:
        for attempt in range(1, _TRIES + 1):
            stream = self._stream(to, jumps, depth)
            transport = self._keep(paramiko.Transport(stream))
            transport.set_keepalive(_KEEPALIVE)
            # Its own bounds are seconds, and a host that swaps needs minutes.
            transport.banner_timeout = transport.handshake_timeout = self._left()
            transport.auth_timeout = transport.channel_timeout = self._left()
            try:
                self._handshake(transport, to)
            except (paramiko.SSHException, EOFError, OSError) as error:
                # sshd drops who comes while too many others are logging in, as under a flood.
                greeted = bool(transport.remote_version)
                if to.proxy_command and self._program and not greeted:
                    said = self._program.said()
                    raise Unreachable(
                        f"its ProxyCommand leads to no SSH ({said or _reason(error)}); run it by "
                        "hand."
                    ) from error
                if greeted or self._closed.is_set() or attempt == _TRIES:
                    raise Unreachable(_handshake_failed(to, greeted, error)) from error
                transport.close()
                self._tell(f"waiting for {to.host} to take connections again")
                self._closed.wait(min(_PAUSE * attempt, self._left()))
                continue
            self._log_in(transport, to)
            return transport
        raise AssertionError("the last attempt returns or raises")

    def _stream(self, to: Settings, jumps: Sequence[Place], depth: int) -> Any:
        if jumps:
            if depth <= 0:
                raise Unreachable("its configuration jumps over more than 8 hosts; correct it.")
            *before, last = jumps
            through = settings(last, self._config)
            transport = self._reach(through, before or through.jumps, depth - 1)
            self._tell(f"connecting to {to.host} through {through.host}")
            try:
                return transport.open_channel(
                    "direct-tcpip", (to.host, to.port), ("127.0.0.1", 0), timeout=self._left()
                )
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise Unreachable(
                    f"the jump host {through.host} cannot connect to {to.host} port {to.port} "
                    f"({_reason(error)}); see whether the name is right and the host is up."
                ) from error
        if to.proxy_command:
            self._tell("connecting by ProxyCommand")
            return self._proxy(to.proxy_command)
        return self._dial(to)

    def _proxy(self, command: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._keep(ours)
        with theirs:
            program = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._program = _Program(program)
        self._keep(self._program)
        return ours

    def _dial(self, to: Settings) -> socket.socket:
        self._tell(f"connecting to {to.host} port {to.port}")
        try:
            found = socket.getaddrinfo(to.host, to.port, to.family, socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable(
                f"the name {to.host} is not known ({_reason(error)}); see whether it is right."
            ) from error
        why = ""
        for number, (family, kind, protocol, _name, address) in enumerate(found):
            try:
                dialled = self._keep(socket.socket(family, kind, protocol))
                # One address that drops everything must not use up the others' time.
                dialled.settimeout(self._left() / (len(found) - number))
                dialled.connect(address)
            except OSError as error:
                why = _reason(error)
                continue
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return dialled  # type: ignore[no-any-return]
        raise Unreachable(
            f"{to.host} port {to.port} does not take a connection ({why}); see whether it is up, "
            "and the port and the firewall are right."
        )

    def _handshake(self, transport: Any, to: Settings) -> None:
        known = known_keys(to.known_hosts, to.key_name)
        if known.good:
            # The host shows one key of several: ask for one that is known.
            security = transport.get_security_options()
            types = {_algorithm(kind) for kind, _blob in known.good}
            security.key_types = sorted(
                security.key_types, key=lambda kind: _algorithm(kind) not in types
            )
        self._tell(f"waiting for {to.host}'s SSH to greet")
        transport.start_client(timeout=self._left())
        key = transport.get_remote_server_key()
        shown = (key.get_name(), key.asbytes())
        print_of = fingerprint(shown[1])
        if shown in known.revoked:
            raise Unreachable(
                f"{to.key_name} shows a host key that known_hosts calls revoked ({print_of}); "
                "nothing was sent to it."
            )
        if shown in known.good:
            return
        if known.good:
            raise Unreachable(
                f"{to.key_name} shows another host key than known_hosts has ({shown[0]} "
                f"{print_of}); somebody may be in between. If the host was made anew, run: "
                f"ssh-keygen -R {shlex.quote(to.key_name)}"
            )
        if to.accept_new:
            return
        signed = " (a certificate authority alone is not enough here)" if known.authority else ""
        raise Unreachable(
            f"{to.key_name} is not in known_hosts{signed}; its host key is {shown[0]} {print_of}. "
            "If that is right, log in once with ssh and accept it."
        )

    def _log_in(self, transport: Any, to: Settings) -> None:
        self._tell(f"logging in to {to.host} as {to.user}")
        unusable: list[str] = []
        tried = 0
        with contextlib.ExitStack() as opened:
            for key in _keys(to, opened, unusable):
                try:
                    more = transport.auth_publickey(to.user, key)
                except paramiko.BadAuthenticationType as error:
                    raise Unreachable(
                        f"{to.host} takes no keys from {to.user}, only "
                        f"{', '.join(error.allowed_types)}; use a user with a key."
                    ) from error
                except (paramiko.SSHException, EOFError, OSError) as error:
                    if not transport.is_active() or not isinstance(
                        error, paramiko.AuthenticationException
                    ):
                        raise Unreachable(
                            f"{to.host} broke off while {to.user} was logging in "
                            f"({_reason(error)}, {tried + 1} keys tried); try again, or name the "
                            "right key with IdentityFile and IdentitiesOnly in ~/.ssh/config."
                        ) from error
                    tried += 1
                    continue
                if more:
                    raise Unreachable(
                        f"{to.host} wants more than a key from {to.user} ({', '.join(more)}), "
                        "which triage cannot give; use a user that logs in by key alone."
                    )
                return
        also = f" {'; '.join(unusable)}." if unusable else ""
        raise Unreachable(
            f"{to.host} takes no key that is here for {to.user} (tried: {tried}); give another "
            f"user with -u, or the key with ssh-add or IdentityFile.{also}"
        )


class _Program:
    """A ProxyCommand, ended as everything else here is."""

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program

    def close(self) -> None:
        self._program.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._program.wait(1)
        if self._program.stderr:
            self._program.stderr.close()

    def said(self) -> str:
        """The last line that it wrote to standard error; empty where there is none."""
        assert self._program.stderr
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._program.wait(1)
        with contextlib.suppress(OSError, ValueError):
            os.set_blocking(self._program.stderr.fileno(), False)
            text = os.read(self._program.stderr.fileno(), _MOST_SAID).decode("utf-8", "replace")
            return sentence((text.strip().splitlines() or [""])[-1])
        return ""


def _algorithm(kind: str) -> str:
    """RSA signs by several algorithms with the same key."""
    return "ssh-rsa" if kind.startswith("rsa-sha2-") else kind


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, EOFError):
        return "the connection was closed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip(".") or type(error).__name__


def _handshake_failed(to: Settings, greeted: bool, error: Exception) -> str:
    if greeted:
        return (
            f"{to.host} and this program found no common way to exchange keys "
            f"({_reason(error)}); try ssh {to.host} by hand."
        )
    return (
        f"{to.host} port {to.port} takes connections but its SSH does not greet "
        f"({_reason(error)}); it may be overloaded: try again, with a longer --timeout."
    )


def _public(path: Path) -> bytes | None:
    """The blob of the public half beside a private key, or of a public key that stands for one that
    only the agent holds."""
    for file in (f"{path}.pub", str(path)):
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = Path(file).read_text("ascii").split()
            if words[0].startswith(_PUBLIC):
                return base64.b64decode(words[1], validate=True)
    return None


def _keys(to: Settings, opened: contextlib.ExitStack, unusable: list[str]) -> Iterator[Any]:
    """Keys to log in with, as OpenSSH takes them: of the agent first those that are named, since a
    server refuses who tries too many. ``unusable`` gets a note of each that cannot be used."""
    held: list[Any] = []
    if to.agent and Path(to.agent).exists():
        try:
            agent = _Agent(to.agent)
        except (OSError, paramiko.SSHException):
            unusable.append(f"The agent at {to.agent} does not answer")
        else:
            opened.callback(agent.close)
            held = list(agent.get_keys())
    named = {blob for blob in map(_public, to.identities) if blob}
    yield from (key for key in held if key.asbytes() in named)
    if not to.identities_only:
        yield from (key for key in held if key.asbytes() not in named)
    in_agent = {key.asbytes() for key in held}
    for path in to.identities:
        if not path.exists() or path.suffix == ".pub" or _public(path) in in_agent:
            continue
        try:
            key = paramiko.PKey.from_path(path)
        except (TypeError, paramiko.PasswordRequiredException):
            unusable.append(
                f"The key {path} has a passphrase; run: ssh-add {shlex.quote(str(path))}"
            )
        except Exception as error:
            unusable.append(f"The key {path} cannot be read ({_reason(error)})")
        else:
            for certificate in to.certificates:
                with contextlib.suppress(OSError, ValueError, paramiko.SSHException):
                    key.load_certificate(str(certificate))
            yield key
