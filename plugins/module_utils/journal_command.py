# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs, run without a shell and in an environment of our own."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import Json

_MAX_OUTPUT = 8192
_COMMAND_SECONDS = 120.0
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "HOME": "/root",
}


def run_command(argv: Sequence[str], timeout: float = _COMMAND_SECONDS) -> Json:
    """Run a program without a shell; return argv, rc, stdout, stderr and seconds.

    A program that is missing has rc 127, one that takes longer than ``timeout`` seconds is ended
    with its children and has rc 124. Output goes to memory, not to pipes: a daemon that keeps its
    output open cannot hold us up, and a full disk does not matter.
    """
    began = time.monotonic()
    out = os.memfd_create("stdout", os.MFD_CLOEXEC)
    err = os.memfd_create("stderr", os.MFD_CLOEXEC)
    try:
        note = ""
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            code, note = 127, f"{argv[0]}: {error.strerror}"
        else:
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code, note = 124, f"{argv[0]}: no answer within {timeout:g} seconds"
        return {
            "argv": list(argv),
            "rc": code,
            "stdout": _output(out),
            "stderr": "\n".join(part for part in (_output(err), note) if part),
            "seconds": round(time.monotonic() - began, 3),
        }
    finally:
        os.close(out)
        os.close(err)


def _output(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, _MAX_OUTPUT, max(0, size - _MAX_OUTPUT))
    cut = "[...]\n" if size > _MAX_OUTPUT else ""
    return cut + text.decode("utf-8", "replace").strip()


def complaint(result: Json) -> str:
    """Return what a failed command said, led by the command itself."""
    said = result["stderr"] or result["stdout"] or f"exit status {result['rc']}"
    command = " ".join(shlex.quote(word) for word in result["argv"])
    return f"`{command}` said: {said}"
