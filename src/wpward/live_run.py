# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One ansible-playbook process of ansible-runner that tells its events and can be stopped.

ansible-runner keeps its working files in a private directory that goes with the process. Passwords
are typed into the prompts of ansible-playbook, over its terminal: they are in no file, no
environment and no command line.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_runner.config.runner import RunnerConfig
from ansible_runner.runner import Runner

from wpward.live_keepalive import keepalive

# The prompts of ansible-playbook --ask-pass and --ask-become-pass.
SSH_PROMPT = r"^SSH password:\s*?$"
BECOME_PROMPT = r"^BECOME password.*:\s*?$"
# How long ansible-playbook may take to end before it is told again, and then before it is killed.
# An interrupt that comes at a bad moment is lost in it; the second one ends it for certain.
_AGAIN = 4.0
_KILL = 12.0


def environment(*, colours: bool, asks_password: bool) -> dict[str, str]:
    """What ansible-playbook gets beside the caller's own environment."""
    added = {
        # Every round trip costs a server under attack; Ansible leaves pipelining off by default.
        "ANSIBLE_PIPELINING": os.environ.get("ANSIBLE_PIPELINING", "true"),
        **keepalive(os.environ),
    }
    if not colours:
        added["ANSIBLE_NOCOLOR"] = "1"
    if not asks_password and "SSH_ASKPASS" not in os.environ:
        # ssh would ask for a key's passphrase, or whether to trust a host, where nobody sees it.
        added |= {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
    return added


def _private_directory() -> Path:
    """A directory for events, which hold evidence; in memory where the system offers that."""
    memory = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = bool(memory) and os.access(memory, os.W_OK | os.X_OK)
    return Path(tempfile.mkdtemp(prefix="wpward-", dir=memory if usable else None))


class Process:
    """A run of ansible-playbook in the background; use it as a context manager.

    Args:
        arguments: of ansible-playbook.
        passwords: answers to its prompts, by their regular expressions.
        variables: additions to its environment.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        passwords: Mapping[str, str],
        variables: Mapping[str, str],
    ) -> None:
        self.code: int | None = None
        self.problem: Exception | None = None
        self._events: queue.SimpleQueue[tuple[float, dict[str, Any]]] = queue.SimpleQueue()
        self._reminders: list[tuple[float, signal.Signals]] = []
        self._directory = _private_directory()
        self._pid_file = self._directory / "pid"
        try:
            self._runner = self._prepare(list(arguments), passwords, variables)
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _prepare(
        self, arguments: list[str], passwords: Mapping[str, str], variables: Mapping[str, str]
    ) -> Runner:
        config = RunnerConfig(
            str(self._directory),
            playbook=arguments[0],
            project_dir=str(Path.cwd()),
            envvars=dict(variables),
            passwords=dict(passwords) or None,
            quiet=True,
            # Anything but its default leaves the cache of facts to ansible.cfg.
            fact_cache_type="",
        )
        config.prepare()
        # prepare() sets these two, and listens to nobody but a file about them.
        config.suppress_output_file = True
        config.pexpect_timeout = 1
        if "ANSIBLE_HOST_KEY_CHECKING" not in os.environ:
            # ansible-runner turns it off; whether it is on is for ansible.cfg to say.
            config.env.pop("ANSIBLE_HOST_KEY_CHECKING", None)
        # ansible-runner tells nobody the process's id, without which it cannot be interrupted.
        config.command = [
            *("/bin/sh", "-c", 'echo $$ >"$0" && exec ansible-playbook "$@"'),
            *(str(self._pid_file), *arguments),
        ]
        return Runner(config, event_handler=self._keep)

    def _keep(self, event: dict[str, Any]) -> bool:
        self._events.put((time.monotonic(), event))
        return False

    def _run(self) -> None:
        try:
            self._runner.run()
            self.code = self._runner.rc
        except Exception as error:
            self.problem = error

    def __enter__(self) -> Process:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._thread.is_alive():
            self._signal(signal.SIGKILL)
            self._thread.join(5)
        shutil.rmtree(self._directory, ignore_errors=True)

    def events(self, seconds: float) -> list[tuple[float, dict[str, Any]]]:
        """What came since the last call, each with its ``time.monotonic()``; waits so long for
        the first."""
        found = []
        with suppress(queue.Empty):
            found.append(self._events.get(timeout=seconds))
            while True:
                found.append(self._events.get_nowait())
        return found

    def running(self) -> bool:
        """Whether it has not ended; one more call of `events` gets the rest when it has."""
        while self._reminders and time.monotonic() >= self._reminders[0][0]:
            self._signal(self._reminders.pop(0)[1])
        return self._thread.is_alive()

    def stop(self) -> None:
        """Have it end: it stops its workers itself, and is killed where it does not."""
        now = time.monotonic()
        self._signal(signal.SIGINT)
        self._reminders = [(now + _AGAIN, signal.SIGINT), (now + _KILL, signal.SIGKILL)]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(OSError, ValueError):
            os.kill(int(self._pid_file.read_text()), number)
