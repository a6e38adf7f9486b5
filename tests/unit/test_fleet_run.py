# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""bench/fleet_run.py: what a command costs, its processes in the background included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"

# A daemon as ssh makes one of itself: it outlives its parents, with a session of its own.
COMMAND = """
import os, sys, time
print("said", flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        memory = bytearray(os.urandom(1 << 20)) * 60
        end = time.process_time() + 0.4
        while time.process_time() < end:
            pass
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
time.sleep(1)
sys.exit(3)
"""

# In a process of its own, as it ends all of the caller's children.
MEASURE = """
import dataclasses, json, os, pathlib, sys
from fleet_run import measure
folder = pathlib.Path(sys.argv[1])
argv = [sys.executable, "-c", sys.argv[2], str(folder / "pid")]
print(json.dumps(dataclasses.asdict(measure(argv, os.environ, folder, folder / "log"))))
"""


def test_the_background_is_counted_and_ended(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), COMMAND],
        cwd=BENCH,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    run = json.loads(done.stdout)

    assert (run["code"], run["output"]) == (3, "said\n")
    assert run["seconds"] >= 1
    assert run["cpu_seconds"] >= 0.4
    assert run["peak_bytes"] >= 60 << 20
    assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
