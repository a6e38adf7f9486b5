# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward harden`` on a real host: on a terminal, without one, and interrupted."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from testbed import hosts, podman

PROGRAM = "import sys; from wpward.cli import main; sys.exit(main())"
ROOT = Path(__file__).resolve().parents[2]
SECRET = "correct-horse"
VARIABLES = json.dumps({"wpward_roles": ["endpoints", "guard"], "not_to_be_kept": SECRET})


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    return make_host("cli")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the commands run in, which gets their reports."""
    return tmp_path_factory.mktemp("cli")


def command(host: hosts.Host, *words: str) -> list[str]:
    name, *options = words
    return [
        *(sys.executable, "-c", PROGRAM, name, "-i", host.inventory),
        *("-e", VARIABLES, *options),
    ]


def environment(here: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'playbooks' / 'collections'}",
        "PWD": str(here),
        "XDG_RUNTIME_DIR": str(here),
        "TERM": "xterm",
    }


def start(
    host: hosts.Host, here: Path, *words: str, controls: int | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Begin a command. ``controls``: the terminal that it is to belong to."""
    if controls is not None:
        # A session of its own has no terminal until it asks for one.
        options["preexec_fn"] = lambda: fcntl.ioctl(controls, termios.TIOCSCTTY, 0)
    return subprocess.Popen(
        command(host, *words),
        cwd=here,
        env=environment(here),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=controls is not None,
        **options,
    )


def ended(host: hosts.Host, here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(host, *words),
        cwd=here,
        env=environment(here),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def nothing_left_behind(here: Path) -> None:
    assert not list(here.glob("wpward-[!r]*")), "a private directory was left"


def wait_for(file: Path, words: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while words not in file.read_text():
        assert process.poll() is None, file.read_text()
        assert time.monotonic() < deadline, file.read_text()
        time.sleep(0.05)


def test_an_interrupt_while_applying_leaves_the_host_as_it_was(
    host: hosts.Host, here: Path, tree: Callable[[hosts.Host], str]
) -> None:
    before = tree(host)
    printed = here / "printed.txt"
    with printed.open("w") as output:
        process = start(host, here, "harden", "--json", "result.json", stdout=output)
        wait_for(printed, "applying guard", process)
        process.send_signal(signal.SIGINT)
        assert process.wait(180) == 130, printed.read_text()

    assert tree(host) == before
    said = printed.read_text()
    assert "\x1b" not in said
    assert f"{host.name}: put back as it was" in said
    result = json.loads((here / "result.json").read_text())
    assert (result["interrupted"], result["exit_code"]) == (True, 130)
    assert result["hosts"][host.name]["outcome"] == "rolled_back"
    report = json.loads((Path(result["report"]).parent / f"{host.name}.json").read_text())
    assert report["outcome"] == "rolled_back"
    nothing_left_behind(here)


def test_a_terminal_that_goes_away_while_applying_is_an_interrupt(
    host: hosts.Host, here: Path, tree: Callable[[hosts.Host], str]
) -> None:
    before = tree(host)
    mine, theirs = pty.openpty()
    process = start(host, here, "harden", "--json", "gone.json", stdout=theirs, controls=theirs)
    os.close(theirs)
    drawn = b""
    while b"applying guard" not in drawn:
        drawn += os.read(mine, 65536)
    # As sshd does where the connection of whoever sits there breaks.
    os.close(mine)
    assert process.wait(180) == 130

    assert tree(host) == before
    result = json.loads((here / "gone.json").read_text())
    assert result["interrupted"] is True
    assert result["hosts"][host.name]["outcome"] == "rolled_back"
    nothing_left_behind(here)


def test_triage_that_is_killed_leaves_first_aid_and_nothing_else(
    host: hosts.Host, here: Path, tree: Callable[[hosts.Host], str]
) -> None:
    before = tree(host)
    printed = here / "triage.txt"
    words = ("triage", "--contain", "--verbose", "-F", host.ssh_config, host.name)
    with printed.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            cwd=here,
            env=environment(here),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        wait_for(printed, "XML-RPC is seen to", process)
        process.terminate()
        assert process.wait(60) == 130, printed.read_text()
    assert "Traceback" not in printed.read_text()
    assert "XML-RPC is closed by nginx until" in printed.read_text()

    def inside(*argv: str) -> str:
        output: str = podman.execute(host.container, list(argv))
        return output

    assert "is temporary" in inside("python3", "/var/lib/wpward/rollback.py", "status")
    deadline = time.monotonic() + 30
    while "python3" in inside("ps", "-e", "-o", "comm="):
        assert time.monotonic() < deadline, "the probe goes on"
        time.sleep(0.2)
    inside("python3", "/var/lib/wpward/rollback.py", "rollback", "--role", "contain")
    assert tree(host) == before


def test_resumed_on_a_terminal_it_draws_a_table(host: hosts.Host, here: Path) -> None:
    mine, theirs = pty.openpty()
    process = start(host, here, "harden", "--resume", stdout=theirs)
    os.close(theirs)
    drawn = b""
    # The terminal is gone with the last who writes to it.
    with suppress(OSError):
        while chunk := os.read(mine, 65536):
            drawn += chunk
    os.close(mine)

    text = drawn.decode()
    assert process.wait(30) == 0, text
    assert f"on {host.name}" in text.splitlines()[0]
    for words in ("HOST", "VERDICT", "probing", "applying endpoints", "proving"):
        assert words in text, words
    assert "hardened and proven" in text
    # The cursor goes up and the table is drawn again; at the end the cursor is shown.
    assert "\x1b[1A" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert SECRET not in text
    nothing_left_behind(here)


def test_json_is_all_there_is_on_standard_output(host: hosts.Host, here: Path) -> None:
    done = ended(host, here, "rollback", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hosts"][host.name]["outcome"] == "undone"
    assert f"{host.name}: put back as it was" in done.stderr
    nothing_left_behind(here)


def test_a_dry_run_shows_what_would_change(host: hosts.Host, here: Path) -> None:
    done = ended(host, here, "contain", "--check", "--diff")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "+++ after: /etc/nginx/" in done.stdout
    assert f"{host.name}: would change" in done.stdout
    assert "first aid holds" not in done.stdout
    assert "\x1b" not in done.stdout


def test_passwords_for_ssh_and_sudo_are_asked_for_and_shown_nowhere(
    host: hosts.Host, here: Path
) -> None:
    script = (
        f"useradd -m nights; echo 'nights:{SECRET}' | chpasswd;"
        "echo 'nights ALL=(ALL) ALL' > /etc/sudoers.d/nights;"
        "echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/00-nights.conf;"
        "systemctl reload ssh"
    )
    podman.execute(host.container, ["sh", "-ec", script])
    # What an inventory names counts for more than -u.
    named = Path(host.inventory).read_text().splitlines()
    inventory = here / "nights.yml"
    keyless = [line for line in named if "ansible_user" not in line and "_key_file" not in line]
    inventory.write_text("\n".join(keyless))
    mine, theirs = pty.openpty()
    words = ("contain", "-i", str(inventory), "-u", "nights", "-k", "-K")
    process = start(host, here, *words, stdout=theirs, controls=theirs)
    os.close(theirs)
    drawn = b""
    asked = [b"SSH password: ", b"sudo password: "]
    with suppress(OSError):
        while chunk := os.read(mine, 65536):
            drawn += chunk
            if asked and asked[0] in drawn:
                # The same for sudo, where it is left empty.
                os.write(mine, b"\n" if b"sudo" in asked.pop(0) else f"{SECRET}\n".encode())
    os.close(mine)
    assert process.wait(30) == 0, drawn.decode()
    assert b"first aid holds" in drawn
    assert SECRET.encode() not in drawn
    nothing_left_behind(here)
