# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One host's triage: log in, become root, hand over the probe, take its answer; in one channel."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import sentence

from wpward import triage_stream
from wpward.triage_config import ConfigError, Place
from wpward.triage_remote import TIME_OVER
from wpward.triage_ssh import Connection, Unreachable

UNREACHABLE, FAILED, ANSWERED = "unreachable", "failed", "answered"
_POLL = 0.1
_MOST_SAID = 64 * 1024
_MOST_EVIDENCE = 256 * 1024 * 1024
_PARTS = {
    "now": "reading load, memory and processes",
    "traps": "looking for traps in the configuration",
    "firewall": "reading the packet filter",
    "fail2ban": "asking fail2ban",
    "database": "asking the database",
    "capacity": "reading limits and workers",
    "recorder": "reading what a recorder has kept",
    "errors": "reading error logs",
    "access": "reading access logs",
}


class Failed(Exception):
    """A host that could be logged in to but not probed; the text says why and what to do."""


@dataclass(frozen=True)
class Options:
    """What is the same for all hosts. ``config``: an SSH configuration other than the user's own.
    ``password``: for sudo; None where none was given. ``timeout``: seconds for all of a host."""

    request: triage_stream.Request
    config: Path | None
    password: str | None = field(repr=False)
    timeout: float


@dataclass
class Result:
    """What came of a host. ``failure``: one sentence, empty where it answered. ``first_aid``: what
    came of that, with ``failure`` in it where nothing could be closed; None where it was not asked
    for or the host did not come to it. ``said``: what the host wrote to standard error."""

    host: str
    outcome: str
    failure: str = ""
    evidence: dict[str, Any] | None = None
    first_aid: dict[str, Any] | None = None
    seconds: float = 0.0
    said: str = ""


def _is_first_aid(told: Any) -> bool:
    """Whether it has the form that module_utils.containment_apply gives it: a host that is in other
    hands must not stop the others' triage."""
    if not isinstance(told, dict):
        return False
    texts = [told.get(name) for name in ("failure", "run", "until")]
    lists = [told.get(name, []) for name in ("ways", "notes", "open")]
    return all(one is None or isinstance(one, str) for one in texts) and all(
        isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists
    )


class _Answer:
    """What comes from the host on standard output, and what it says there."""

    def __init__(self, marker: str) -> None:
        self._marker = f"{marker} ".encode("ascii")
        self._left = b""
        self._size: int | None = None
        self.shell = False
        self.python = ""
        self.part = ""
        self.noise = b""
        self.packed: bytes | None = None
        self.first_aid: dict[str, Any] | None = None

    def take(self, data: bytes) -> None:
        """Take a piece of it. Raises Failed where it cannot be what was asked for."""
        self._left += data
        while self._size is None and b"\n" in self._left:
            line, _end, self._left = self._left.partition(b"\n")
            if not line.startswith(self._marker):
                self.noise = (self.noise + line + b"\n")[-_MOST_SAID:]
            else:
                self._note(line[len(self._marker) :].decode("ascii", "replace").split())
        if self._size is not None and len(self._left) >= self._size:
            self.packed = self._left[: self._size]

    def _note(self, words: list[str]) -> None:
        kind, value = [*words, "", ""][:2]
        if kind == "shell":
            self.shell = True
        elif kind == "ready":
            self.python = value
        elif kind == "part":
            self.part = value
        elif kind == "contained":
            self._note_first_aid(value)
        elif kind == "evidence":
            if not value.isdecimal() or int(value) > _MOST_EVIDENCE:
                raise Failed(f"its answer has the impossible length {value}; try again.")
            self._size = int(value)

    def _note_first_aid(self, value: str) -> None:
        try:
            told = json.loads(base64.b64decode(value, validate=True))
        except (ValueError, RecursionError) as error:
            raise Failed(f"what it says of first aid cannot be read ({error}).") from error
        if not _is_first_aid(told):
            raise Failed("what it says of first aid has another form; try again.")
        self.first_aid = told

    def evidence(self) -> dict[str, Any]:
        """Raises Failed where the answer is none."""
        if self.packed is None:
            raise Failed("its answer broke off; try again.")
        try:
            unpacked = zlib.decompressobj().decompress(self.packed, _MOST_EVIDENCE)
            document = json.loads(unpacked)
        except (zlib.error, ValueError, RecursionError) as error:
            raise Failed(f"its answer cannot be read ({error}); try again.") from error
        if not isinstance(document, dict):
            raise Failed("its answer is no evidence; try again.")
        return document


class Session:
    """The triage of one host; ``stage`` and ``since`` (``time.monotonic()``) tell what it waits
    for. ``at_work``: set when the host has all it needs, and when nothing more comes of it."""

    def __init__(self, host: str, where: Place, options: Options) -> None:
        self.host = host
        self.stage = "waiting its turn"
        self.since = time.monotonic()
        self.at_work = threading.Event()
        self._where = where
        self._options = options
        self._marker = f"wpward-{secrets.token_hex(8)}"
        self._prompt = f"{self._marker}-password"
        self._said = b""
        self._connection: Connection | None = None
        self._first_aid: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._ended = ""

    def end(self, why: str = "interrupted") -> None:
        """End it, whatever it waits for; from any thread. The host then ends what it does."""
        with self._lock:
            self._ended = self._ended or why
            connection = self._connection
        if connection is not None:
            connection.close()

    def run(self) -> Result:
        """Do it. Whatever goes wrong is in the result, or the others' answers would be lost."""
        began = time.monotonic()
        timer = threading.Timer(self._options.timeout, self.end, ("time over",))
        timer.daemon = True
        timer.start()
        try:
            result = Result(self.host, ANSWERED, evidence=self._triage())
        except (Unreachable, ConfigError) as error:
            result = Result(self.host, UNREACHABLE, self._sentence(error))
        except Failed as error:
            result = Result(self.host, FAILED, self._sentence(error))
        except Exception as error:
            why = f"triage itself failed ({type(error).__name__}: {error}); please report it."
            result = Result(self.host, FAILED, f"{self.host}: {why}")
        finally:
            self.at_work.set()
            timer.cancel()
            if self._connection is not None:
                self._connection.close()
        result.first_aid = self._first_aid
        result.seconds = time.monotonic() - began
        result.said = self._words()
        return result

    def _sentence(self, error: Exception) -> str:
        if self._ended == "time over":
            return (
                f"{self.host}: no answer within {self._options.timeout:.0f} s, the last of them "
                f"{self.stage}; try again with a longer --timeout."
            )
        return f"{self.host}: {self._ended or error}"

    def _tell(self, stage: str) -> None:
        if stage != self.stage:
            self.stage, self.since = stage, time.monotonic()

    def _triage(self) -> dict[str, Any]:
        connection = Connection(
            self._where, self._options.config, self._options.timeout, self._tell
        )
        with self._lock:
            self._connection = connection
            if self._ended:
                raise Failed(self._ended)
        transport = connection.login()
        self._tell("waiting for a session")
        # paramiko raises nearly anything once its transport has gone.
        try:
            channel = transport.open_session(timeout=self._options.timeout)
            asked = self._prompt if self._options.password is not None else None
            self._tell("waiting for the shell")
            aid = self._options.request.contain > 0
            channel.exec_command(triage_stream.command(self._marker, asked, aid))
            return self._talk(channel, connection.settings.user)
        except Failed:
            raise
        except Exception as error:
            raise Failed(
                f"the connection broke while {self.stage} ({str(error) or type(error).__name__}); "
                "try again."
            ) from error

    def _talk(self, channel: Any, user: str) -> dict[str, Any]:
        answer = _Answer(self._marker)
        channel.settimeout(_POLL)
        sent = False
        prompts = 0
        while answer.packed is None:
            try:
                data = channel.recv(1 << 16)
            except TimeoutError:
                data = None
            while channel.recv_stderr_ready():
                self._hear(channel.recv_stderr(1 << 16))
            if data == b"":
                break
            if data:
                answer.take(data)
            asked = self._said.count(self._prompt.encode("ascii"))
            if asked > prompts:
                prompts = asked
                self._give_password(channel, user, prompts)
            if answer.shell and not sent:
                self._tell("waiting for Python to start")
            if answer.python and not sent:
                self._tell("handing over the probe")
                channel.settimeout(None)
                channel.sendall(triage_stream.stream(self._options.request))
                channel.settimeout(_POLL)
                aid = self._options.request.contain
                self._tell("closing XML-RPC" if aid else "waiting for the probe to start")
                self.at_work.set()
                sent = True
            if answer.first_aid is not None and self._first_aid is None:
                self._first_aid = answer.first_aid
                self._tell("XML-RPC is seen to; waiting for the probe to start")
            if answer.part:
                self._tell(_PARTS.get(answer.part, "reading the configuration"))
        if answer.packed is None:
            raise self._gone(channel, user, answer)
        return answer.evidence()

    def _hear(self, data: bytes) -> None:
        self._said = (self._said + data)[-_MOST_SAID:]

    def _give_password(self, channel: Any, user: str, prompts: int) -> None:
        if prompts > 1:
            raise Failed(f"sudo does not take this password for {user}; run again and mind it.")
        channel.sendall(f"{self._options.password}\n".encode())

    def _words(self) -> str:
        """What the host said, without our own prompt."""
        text = self._said.decode("utf-8", "replace").replace(self._prompt, "")
        return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())

    def _gone(self, channel: Any, user: str, answer: _Answer) -> Failed:
        """Why the host's side ended without an answer."""
        channel.settimeout(self._options.timeout)
        while data := channel.recv_stderr(1 << 16):
            self._hear(data)
        code = channel.recv_exit_status()
        said = self._words().splitlines()
        reason = f" It says: {sentence(said[-1])}." if said else ""
        if code == triage_stream.NO_PYTHON:
            return Failed(
                "it has no Python 3.8 or newer with its standard library; install python3 there, "
                f"or do by hand what docs/findings.md says.{reason}"
            )
        if code == triage_stream.NO_SUDO:
            return Failed(f"it has no sudo and {user} is not root; log in with -u root.")
        if not answer.shell:
            # What a login shell prints instead of running a command, it prints where it likes.
            noise = answer.noise.decode("utf-8", "replace").split("\n")
            told = [*filter(str.strip, noise), *said]
            reason = f" It says: {sentence(told[-1])}." if told else ""
            return Failed(
                f"the login shell of {user} runs no commands (exit code {code}); log in with -u as "
                f"somebody else.{reason}"
            )
        if not answer.python and code > 0:
            wanted = "password" in " ".join(said).lower() and self._options.password is None
            what = "run again with -K" if wanted else f"let {user} become root there"
            return Failed(
                f"{user} cannot become root; {what}, or log in with -u as somebody who can.{reason}"
            )
        if code == TIME_OVER:
            return Failed(f"the probe took too long; run again with a longer --timeout.{reason}")
        return Failed(
            f"the answer broke off while {self.stage} (exit code {code}); try again.{reason}"
        )
