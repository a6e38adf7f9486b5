# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ends a program as Ctrl-C does."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest

# Whoever is told of the end writes to the terminal that is gone.
PROGRAM = """
import sys, time
from wpward.signals import as_interrupt
with as_interrupt():
    try:
        print("begun", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("ended", flush=True)
        print("ended", file=sys.stderr)
        sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_interrupt(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        assert process.communicate(timeout=30)[0] == b"ended\n"
    assert process.returncode == 130


def test_a_terminal_that_goes_away_is_an_interrupt() -> None:
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    assert b"begun" in os.read(mine, 1000)
    os.close(mine)
    assert process.wait(30) == 130


def test_nohup_means_it() -> None:
    argv = ["nohup", sys.executable, "-c", PROGRAM.replace("60", "1")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGHUP)
        assert process.communicate(timeout=30)[0] == b""
    assert process.returncode == 0
