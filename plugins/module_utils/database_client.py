# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a running MariaDB or MySQL server through its own command line client.

The client reads no configuration but the file it is given, asks nobody for a password, sends no
file to the server and ends in time. The server ends a statement of ours by itself, because one that
has lost its client runs on.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import (
    PROC,
    Process,
    accounts,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import decoded

_ACCOUNTS = ("mysql", "mariadb", "root")
"""Whose processes are taken for the database server: anybody can call a program mysqld and wait for
root's client to come and tell a password."""

_CLIENTS = (
    "/usr/bin/mariadb",
    "/usr/bin/mysql",
    "/usr/local/bin/mariadb",
    "/usr/local/bin/mysql",
    "/opt/bitnami/mariadb/bin/mariadb",
    "/opt/bitnami/mariadb/bin/mysql",
    "/opt/bitnami/mysql/bin/mysql",
)
_SERVERS = (
    "/usr/sbin/mariadbd",
    "/usr/sbin/mysqld",
    "/usr/libexec/mariadbd",
    "/usr/libexec/mysqld",
    "/opt/bitnami/mariadb/sbin/mysqld",
    "/opt/bitnami/mysql/bin/mysqld",
)

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    # MySQL's client reads ~/.mylogin.cnf whatever its options say.
    "HOME": "/nonexistent",
    "MYSQL_TEST_LOGIN_FILE": "/dev/null",
}

_CONNECT_SECONDS = 3
_MAX_OUTPUT = 4 * 1024 * 1024
_LISTENS = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix."""

REFUSED = (1044, 1045, 1142, 1143, 1227, 1698)
"""Errors by which a server tells that the account may not do that."""


class Unanswered(Exception):
    """The server did not answer; the text is a sentence that says why. ``code``: the number of the
    client's or the server's error; 0 where there is none."""

    def __init__(self, sentence: str, code: int = 0) -> None:
        super().__init__(sentence)
        self.code = code


class OutOfTime(Unanswered):
    """The time that the database was given is over."""


@dataclass(frozen=True)
class Limits:
    """How long the server lets statements go on: seconds of each statement (of MySQL only SELECT
    can be limited), and seconds that each waits for a table or a row that somebody else holds.

    The default isolation has no read view that would hold back InnoDB's purge; it is not for
    statements that write.
    """

    statement: float = 2
    lock: int = 1
    isolation: str = "READ UNCOMMITTED"

    def session(self) -> str:
        """The statement that sets them."""
        # Each server takes the part in the comment of its own kind for code (measured with MariaDB
        # 10.11). No time zone but UTC, so that a TIMESTAMP means the same everywhere.
        return (
            f"SET SESSION TRANSACTION ISOLATION LEVEL {self.isolation}; "
            f"SET SESSION lock_wait_timeout = {self.lock}, "
            f"innodb_lock_wait_timeout = {self.lock}, time_zone = '+00:00' "
            f"/*M!100101 , max_statement_time = {self.statement} */ "
            f"/*!50708 , max_execution_time = {int(self.statement * 1000)} */ "
            "/*!80000 , information_schema_stats_expiry = 0 */; "
        )


_READING = Limits()


@dataclass(frozen=True)
class Server:
    """A running server. ``socket``: where it listens; None where it does so by network only."""

    pid: int
    socket: str | None
    binary: str | None


def _account(pid: int) -> str | None:
    """The name of the one account that a process runs as; None where that is more than one."""
    users = accounts(pid)
    if len(users) != 1:
        return None
    (user,) = users
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _inodes(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for descriptor in Path(f"{PROC}/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(descriptor)
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _socket(pid: int) -> str | None:
    """The Unix socket that a process listens on, wherever its configuration has put it."""
    own = set(_inodes(pid))
    try:
        lines = Path(f"{PROC}/{pid}/net/unix").read_bytes().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = os.fsdecode(line).split(None, 7)
        if len(fields) < 8 or fields[6] not in own or not int(fields[3], 16) & _LISTENS:
            continue
        # MySQL's other protocol has a socket of its own beside the usual one.
        if fields[7].startswith("/") and not fields[7].endswith("mysqlx.sock"):
            return fields[7]
    return None


def servers(running: Sequence[Process]) -> tuple[list[Server], list[str]]:
    """The database servers among running processes, and a sentence for each that is not asked."""
    found: list[Server] = []
    sentences: list[str] = []
    for process in running:
        if process.service != "mariadb":
            continue
        account = _account(process.pid)
        if account is None:
            continue
        if account not in _ACCOUNTS:
            sentences.append(
                f"Process {process.pid} calls itself a database server but runs as "
                f"{printable(account, 64)}, so it is not asked anything."
            )
            continue
        found.append(Server(process.pid, _socket(process.pid), process.binary))
    return found, sentences


def installed_server() -> str | None:
    """A server's program in its usual places, whether or not it runs."""
    return next((path for path in _SERVERS if Path(path).is_file()), None)


def _only_roots(place: str) -> bool:
    """Whether nobody but root can have put a program where it is."""
    try:
        path = Path(place).resolve(strict=True)
        states = [step.stat() for step in (path, *path.parents)]
    except (OSError, RuntimeError):
        return False
    return all(state.st_uid == 0 and not state.st_mode & 0o022 for state in states)


def client_program(server: Server) -> str | None:
    """The command line client, in its usual places or beside the server's program."""
    places = list(_CLIENTS)
    if server.binary:
        above = Path(server.binary).parent.parent
        places += [str(above / "bin" / name) for name in ("mariadb", "mysql")]
    return next(
        (place for place in places if os.access(place, os.X_OK) and _only_roots(place)), None
    )


def _first_line(output: bytes) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(b"ERROR")]
    return printable((errors or lines or [b"no word of it"])[0], 200)


class Client:
    """Statements for one server until ``deadline`` (``time.monotonic()``)."""

    def __init__(
        self, program: str, socket: str, credentials_file: str | None, deadline: float
    ) -> None:
        self._deadline = deadline
        self.who = f"the account in {credentials_file}" if credentials_file else "root"
        # --no-defaults and --defaults-file must come first, and exclude each other.
        if credentials_file:
            access = [f"--defaults-file={credentials_file}"]
        else:
            access = ["--no-defaults", "--user=root", "--skip-password"]
        self._argv = [
            program,
            *access,
            "--protocol=socket",
            f"--socket={socket}",
            f"--connect-timeout={_CONNECT_SECONDS}",
            "--default-character-set=utf8mb4",
            "--local-infile=0",
            "--no-auto-rehash",
            "--batch",
        ]
        self.program = program
        self.socket = socket
        self.credentials_file = credentials_file

    def until(self, deadline: float) -> Client:
        """The same with another deadline."""
        return Client(self.program, self.socket, self.credentials_file, deadline)

    def rows(self, statements: str, limits: Limits = _READING) -> list[list[str | None]]:
        """The rows of all ``statements``, each column of which must be ``sql_text.encoded``.

        Raises Unanswered.
        """
        output = self._output(f"{limits.session()}{statements}", "--skip-column-names")
        try:
            return [[decoded(field) for field in line.split("\t")] for line in _lines(output)]
        except ValueError as error:
            raise Unanswered("The database server's client answered in another form.") from error

    def shown(self, statement: str) -> list[dict[str, str]]:
        """The rows of one SHOW statement by column name, whose columns no expression can encode.
        The client writes tabs and ends of lines in them as \\t and \\n, and NULL as NULL.

        Raises Unanswered.
        """
        output = self._output(f"{_READING.session()}{statement};", "--column-names")
        lines = output.decode("utf-8", "replace").split("\n")
        names = lines[0].split("\t")
        return [dict(zip(names, line.split("\t"))) for line in lines[1:] if line]

    def _output(self, statements: str, *options: str) -> bytes:
        if self._deadline <= time.monotonic():
            raise OutOfTime("The time for the database was over before all of it was asked.")
        code, output, errors = self._run([*self._argv, *options, f"--execute={statements}"])
        if code != 0:
            raise self._unanswered(errors)
        return output

    def _unanswered(self, errors: bytes) -> Unanswered:
        said = _first_line(errors)
        number = re.match(r"ERROR (\d+)", said)
        code = int(number.group(1)) if number else 0
        if code in REFUSED:
            sentence = (
                f"The database server refuses {self.who} at {self.socket} ({said}): give a "
                "credentials file of an account that it accepts."
            )
        elif code in (2002, 2006, 2013):
            sentence = f"The database server does not answer at its socket {self.socket} ({said})."
        else:
            sentence = f"The database server did not answer a question: {said}"
        return Unanswered(sentence, code)

    def _run(self, argv: Sequence[str]) -> tuple[int, bytes, bytes]:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
                cwd="/",
                # Without a terminal nothing can ask for a password.
                start_new_session=True,
            )
        except OSError as error:
            raise Unanswered(f"{argv[0]} cannot be run: {error.strerror}.") from error
        with process:
            try:
                output = self._read(process)
                code = process.wait(max(0.1, self._deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise OutOfTime(
                    "The database server was still at work when its time was over."
                ) from error
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
        return (code, *output)

    def _read(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        streams = {process.stdout: bytearray(), process.stderr: bytearray()}
        with selectors.DefaultSelector() as waiting:
            for stream in streams:
                waiting.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]
            while waiting.get_map():
                remaining = self._deadline - time.monotonic()
                if remaining <= 0:
                    raise subprocess.TimeoutExpired(process.args, 0)
                for key, _events in waiting.select(remaining):
                    block = os.read(key.fd, 65536)
                    content = streams[key.fileobj]  # type: ignore[index]
                    content += block
                    if not block:
                        waiting.unregister(key.fileobj)
                    if len(content) > _MAX_OUTPUT:
                        raise Unanswered("The database server's answer is far too long.")
        output, errors = streams.values()
        return bytes(output), bytes(errors)


def _lines(output: bytes) -> list[str]:
    return output.decode("ascii").splitlines()
