# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fast the access log scanner is, beside the tools that one would use in its place.

Three logs (1, 20 and 90 % attack), every tool on each of them in turn, all in one run; the figures
are medians of the seconds on the wall, and the ratios are what to quote, since a machine's speed
drifts. Only wpward classifies: the others count the words that they are told.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import access_logs

ROOT = Path(__file__).resolve().parents[1]
MIB = 1024 * 1024
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
"""The system's own, since that is what reads the logs on a server."""
ROUNDS = 3
SLOW_SLICE = 4 * MIB
"""Of a log, for tools that would take minutes; their time is extrapolated, and printed as such."""
SLOW_SECONDS = 60
WORDS = ("author", "login", "route", "sitemap", "users", "wlwmanifest", "xmlrpc")
AWK_KEY = r'k[$1 " " substr($4, 2, 17) " " substr($6, 2) " " $9]++'
AWK_END = "END { for (i in k) n++; print n }"
FAIL2BAN = (
    r'^<HOST> - - \[[^\]]*\] "[A-Z]{1,20} [^\s"]*/xmlrpc\.php[\s/?"]',
    r"^[^\[]*\[({DATE})",
)

SCAN = """
import sys, time
sys.path.insert(0, sys.argv[1])
from ansible_collections.wpward.wordpress.plugins.module_utils import access_log, claims
from ansible_collections.wpward.wordpress.plugins.module_utils import courtesy, known_networks
from ansible_collections.wpward.wordpress.plugins.module_utils import log_format
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import classify
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import Identities
result = access_log.scan_log(
    sys.argv[2],
    log_format.compile_format(log_format.COMBINED),
    lambda target, host: tuple(("site", endpoint) for endpoint in classify(target, True)),
    0,
    time.monotonic() + 3600,
    Problems(),
    Identities(
        known_networks.party_of, claims.claim_of, claims.KIND, known_networks.party_of_claim
    ),
    may_share=(lambda: False) if sys.argv[3] == "one" else courtesy.has_idle_core,
)
print({endpoint: tally.hits for (_site, endpoint), tally in result.tallies.items()})
for tally in result.tallies.values():
    tally.describe()
"""

FLOOR = """
import sys
log = open(sys.argv[1], "rb", buffering=0)
words = [word.encode() for word in sys.argv[3:]]
steps = {
    "quotes": lambda chunk: chunk.split(b'"'),
    "words": lambda chunk: [chunk.count(word) for word in words],
}
step = steps[sys.argv[2]]
for chunk in iter(lambda: log.read(128 * 1024), b""):
    step(chunk)
"""
"""What Python takes at least, of one processor, before it has counted a single request."""


@dataclass(frozen=True)
class Tool:
    """``{log}`` in a command stands for the log. ``slow``: only a slice of it is read."""

    name: str
    command: tuple[str, ...]
    slow: bool = False

    def installed(self) -> bool:
        return shutil.which(self.command[0]) is not None


def _words(option: str) -> tuple[str, ...]:
    return tuple(part for word in WORDS for part in (option, word))


OURS = "wpward, all endpoints, everything counted"
OURS_ALONE = "wpward, one process"
GREP = "grep -c -F, the catalogue's words"
AWK = "mawk, xmlrpc.php in the line"

_COLLECTIONS = str(ROOT / "playbooks" / "collections")
TOOLS = (
    Tool(OURS, (PYTHON, "-c", SCAN, _COLLECTIONS, "{log}", "two")),
    Tool(OURS_ALONE, (PYTHON, "-c", SCAN, _COLLECTIONS, "{log}", "one")),
    Tool("Python, cuts at quotes only", (PYTHON, "-c", FLOOR, "{log}", "quotes")),
    Tool("Python, looks for one word only", (PYTHON, "-c", FLOOR, "{log}", "words", "xmlrpc")),
    Tool("Python, looks for the words only", (PYTHON, "-c", FLOOR, "{log}", "words", *WORDS)),
    Tool("grep -c -F xmlrpc.php", ("grep", "-c", "-F", "xmlrpc.php", "{log}")),
    Tool(GREP, ("grep", "-c", "-F", *_words("-e"), "{log}")),
    Tool("grep -c -F -i, the same words", ("grep", "-c", "-F", "-i", *_words("-e"), "{log}")),
    Tool("ripgrep -c -F, the same words", ("rg", "-c", "-F", *_words("-e"), "{log}")),
    Tool(AWK, ("mawk", rf"/xmlrpc\.php/ {{ {AWK_KEY} }} {AWK_END}", "{log}")),
    Tool(
        "mawk, xmlrpc.php in the request",
        ("mawk", rf"$7 ~ /xmlrpc\.php/ {{ {AWK_KEY} }} {AWK_END}", "{log}"),
    ),
    Tool(
        "goaccess",
        ("goaccess", "{log}", "--log-format=COMBINED", "--no-progress", "-o", "{log}.json"),
        slow=True,
    ),
    Tool(
        "fail2ban-regex",
        ("fail2ban-regex", "--datepattern", FAIL2BAN[1], "{log}", FAIL2BAN[0]),
        slow=True,
    ),
)


def _tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        found.extend(int(child) for child in children.split())
    return found


def _memory(pid: int, name: str) -> int:
    """Bytes of one field of /proc/PID/smaps_rollup; 0 where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    _before, _name, rest = text.partition(f"\n{name}:")
    return int(rest.split()[0]) * 1024 if rest else 0


@dataclass
class Run:
    """Seconds on the wall; bytes of memory at their highest, pages that processes share counted
    once (proportional set size)."""

    seconds: float
    memory: int
    finished: bool


def _run(command: list[str], limit: float | None) -> Run:
    peak = 0
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        # grep stops at the first match where it writes to /dev/null.
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},
    )
    reader = threading.Thread(target=process.communicate)
    reader.start()
    while reader.is_alive():
        peak = max(peak, sum(_memory(pid, "Pss") for pid in _tree(process.pid)))
        reader.join(0.05)
        if limit is not None and time.perf_counter() - began > limit:
            process.kill()
            reader.join()
            return Run(time.perf_counter() - began, peak, False)
    return Run(time.perf_counter() - began, peak, True)


def _measure(tools: list[Tool], log: Path, slice_of_log: Path) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {tool.name: [] for tool in tools}
    factor = log.stat().st_size / slice_of_log.stat().st_size
    for _round in range(ROUNDS):
        for tool in tools:
            if tool.slow and runs[tool.name]:
                continue
            path = slice_of_log if tool.slow else log
            command = [part.replace("{log}", str(path)) for part in tool.command]
            run = _run(command, SLOW_SECONDS if tool.slow else None)
            runs[tool.name].append(
                Run(run.seconds * (factor if tool.slow else 1), run.memory, run.finished)
            )
    return runs


def _row(tool: Tool, runs: list[Run], ours: float, size: int) -> str:
    seconds = statistics.median(run.seconds for run in runs)
    mark = (
        "" if not tool.slow else " extrapolated" if runs[0].finished else " at least, extrapolated"
    )
    return (
        f"  {tool.name:44}{seconds:9.2f} s{size / seconds / MIB:9.0f} MiB/s"
        f"{max(run.memory for run in runs) / MIB:8.0f} MiB{seconds / ours:9.2f}{mark}"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=1024, help="of each log, in MiB")
    size = arguments.parse_args().size * MIB
    missing = [tool for tool in TOOLS if not tool.installed()]
    tools = [tool for tool in TOOLS if tool.installed()]
    for name in sorted({tool.command[0] for tool in missing}):
        print(f"{name} is not installed: left out (apt-get install ripgrep mawk goaccess fail2ban)")
    version = subprocess.run([PYTHON, "--version"], capture_output=True, text=True, check=True)
    print(f"{version.stdout.strip()}, {os.cpu_count()} processors, {size // MIB} MiB a log")
    with tempfile.TemporaryDirectory(prefix="wpward-bench-") as directory:
        for mix in access_logs.MIXES:
            log, part = Path(directory, f"{mix.name}.log"), Path(directory, f"{mix.name}.part")
            access_logs.write(log, size, mix)
            access_logs.write(part, min(size, SLOW_SLICE), mix)
            runs = _measure(tools, log, part)
            ours = statistics.median(run.seconds for run in runs[OURS])
            actual = log.stat().st_size
            print(f"\n{mix.name}: {mix.attack:.0%} attack, {actual / MIB:.0f} MiB")
            print(f"  {'':44}{'median':>11}{'speed':>15}{'memory':>12}{'by ours':>9}")
            for tool in tools:
                print(_row(tool, runs[tool.name], ours, actual), flush=True)
            log.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
