# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Running other programs, with failures that a person can read."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class TestbedError(Exception):
    """The one sentence that the user gets to see."""

    __test__ = False


def say(message: str) -> None:
    """Progress goes to standard error: standard output belongs to the result."""
    print(f"testbed: {message}", file=sys.stderr, flush=True)


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout: float = 600,
    log: Path | None = None,
    check: bool = True,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program and return its output.

    timeout is in seconds. With log, both outputs go to that file. With check, a non-zero exit
    raises TestbedError with the program's own last lines.
    """
    try:
        if log is None:
            result = subprocess.run(
                argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False,
                cwd=cwd,
            )  # fmt: skip
        else:
            with log.open("w") as sink:
                result = subprocess.run(
                    argv, input=stdin, stdout=sink, stderr=subprocess.STDOUT, text=True,
                    timeout=timeout, check=False, cwd=cwd,
                )  # fmt: skip
    except FileNotFoundError:
        raise TestbedError(
            f"{argv[0]} is not installed; `python3 molecule/testbed setup` installs what is missing"
        ) from None
    except subprocess.TimeoutExpired:
        raise TestbedError(f"`{shlex.join(argv)}` did not end within {timeout:g} s") from None
    if check and result.returncode:
        output = log.read_text(errors="replace") if log else result.stderr or result.stdout
        tail = "\n".join(output.strip().splitlines()[-8:])
        where = f" (all of it in {log})" if log else ""
        raise TestbedError(f"`{shlex.join(argv)}` failed with {result.returncode}{where}:\n{tail}")
    return result


def cache_dir() -> Path:
    """Where root file systems, keys and inventories live; shared by every checkout of the user."""
    chosen = os.environ.get("WPWARD_CACHE")
    if chosen:
        base = Path(chosen)
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wpward"
    path = base / "testbed"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of that name in the cache: two test runs may ask for the same at once."""
    with (cache_dir() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
