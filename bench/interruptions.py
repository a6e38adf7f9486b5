# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of three hosts when incident.yml is interrupted on its way.

At each point the run is ended by Ctrl-C, by killing the controller, or by a network that is gone
for a while. Then every host has to be hardened and confirmed, or as it was before, to the byte.
Prints a table of points and kinds; exits with 1 where a host is anything else. What is confirmed is
rolled back before the next interruption, and has to be as it was then, too.

--save FILE keeps what was found; a second call with that file goes on where the first one ended.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "molecule"), str(ROOT / "playbooks" / "collections")]

from testbed import hosts  # noqa: E402
from testbed.shell import TestbedError, say  # noqa: E402

from bench import interruptions_hosts as beds  # noqa: E402
from bench import interruptions_run as runs  # noqa: E402
from bench.interruptions_hosts import FAILURE, Judged, Subject  # noqa: E402
from bench.interruptions_run import KINDS, POINTS, Point  # noqa: E402

WEBS = {"int-web1": "nginx", "int-web2": "nginx", "int-web3": "httpd"}
ROLES = "endpoints,guard,bans,capacity"
SETTLE_SECONDS = 480.0

Cell = dict[str, Any]


def variables(point: Point, options: argparse.Namespace, reports: str) -> dict[str, Any]:
    """How incident.yml is run; first aid and the run end soon, as they are waited for."""
    given: dict[str, Any] = {
        "wpward_contain_seconds": point.contain_seconds,
        "wpward_confirm_within": options.confirm_within,
        "wpward_serial": ["100%"],
        "wpward_report_directory": reports,
        "wpward_cdn": "none",
        "ansible_ssh_common_args": (
            "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
            f" -o KexAlgorithms=curve25519-sha256 -o ServerAliveInterval={options.keepalive}"
        ),
    }
    roles = [role for role in options.roles.split(",") if role]
    return given | ({"wpward_roles": roles} if roles else {})


def interrupted(
    subjects: list[Subject], kind: str, point: Point, options: argparse.Namespace, logs: Path
) -> Cell:
    """One run, interrupted; what became of each host, which is as it was before in the end."""
    of = [subject.host for subject in subjects]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as reports:
        controller = runs.start(of, point, variables(point, options, reports))
        problem = runs.interrupt(controller, kind, point, of, options.cut_seconds)
    (logs / f"{kind} {point.name}.log").write_text(controller.output)
    say(f"{kind}, {point.name}: interrupted after {time.monotonic() - began:.0f} s")
    rested = time.monotonic()
    busy = beds.settle(subjects, SETTLE_SECONDS)
    rested = time.monotonic() - rested
    with ThreadPoolExecutor(len(subjects)) as pool:
        judged = dict(zip(WEBS, pool.map(beds.judge, subjects), strict=False))
    for name, seen in busy.items():
        judged[name] = Judged(FAILURE, f"not at rest after {SETTLE_SECONDS:g} s: {seen}")
    _restore(subjects, judged)
    cell: Cell = {
        "hosts": {name: one.outcome for name, one in judged.items()},
        "why": {name: one.why for name, one in judged.items() if one.why},
        "problem": problem,
        "rested": round(rested),
        "seconds": round(time.monotonic() - began),
    }
    say(f"{kind}, {point.name}: {json.dumps(cell, indent=1)}")
    return cell


def _restore(subjects: list[Subject], judged: dict[str, Judged]) -> None:
    """Roll back what is confirmed, and see that it is as it was; make anew what failed."""
    confirmed = [one for one in subjects if judged[one.name].outcome == beds.CONFIRMED]
    if confirmed:
        runs.roll_back([subject.host for subject in confirmed])
    for subject in confirmed:
        after = beds.judge(subject)
        if after.outcome != beds.IDENTICAL:
            judged[subject.name] = Judged(
                FAILURE, f"confirmed, but after its rollback: {after.outcome} {after.why}"
            )
    for subject in subjects:
        if judged[subject.name].outcome == FAILURE:
            beds.anew(subject)


def table(cells: dict[str, Cell], names: list[str]) -> str:
    """Points down, kinds across; a cell tells each host's state in the order of `names`."""
    kinds = [kind for kind in KINDS if any(key.startswith(f"{kind}|") for key in cells)]
    lines = [
        "| interrupted at | " + " | ".join(KINDS[kind] for kind in kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
    ]
    for point in POINTS:
        row = []
        for kind in kinds:
            cell = cells.get(f"{kind}|{point}")
            row.append(_words(cell, names) if cell else "not run")
        if set(row) != {"not run"}:
            lines.append(f"| {point} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _words(cell: Cell, names: list[str]) -> str:
    outcomes = [cell["hosts"][name] for name in names]
    said = f"{len(outcomes)} {outcomes[0]}" if len(set(outcomes)) == 1 else ", ".join(outcomes)
    return said + (f"; FAILURE: {cell['problem']}" if cell["problem"] else "")


def failures(cells: dict[str, Cell]) -> list[str]:
    return [
        f"{key}, {name}: {why}"
        for key, cell in cells.items()
        for name, why in [*cell["why"].items(), ("run", cell["problem"])]
        if why
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", default=",".join(KINDS), help="of " + ", ".join(KINDS))
    parser.add_argument("--points", default=",".join(POINTS), help="of: " + ", ".join(POINTS))
    parser.add_argument("--cut-seconds", type=float, default=180.0)
    parser.add_argument(
        "--keepalive",
        type=int,
        default=5,
        help="seconds, after three of which ssh gives a host up; 0: never, as is Ansible's default",
    )
    parser.add_argument("--roles", default=ROLES, help="'' for all that harden.yml applies")
    parser.add_argument(
        "--confirm-within", type=int, default=60, help="seconds; more on a machine that is busy"
    )
    parser.add_argument("--save", type=Path, help="what was found so far, to go on from")
    parser.add_argument("--logs", type=Path, help="where to keep what ansible-playbook printed")
    parser.add_argument(
        "--keep-hosts", action="store_true", help="take hosts that run, leave them running"
    )
    return parser


def main() -> int:
    options = _parser().parse_args()
    kinds, points = options.kinds.split(","), options.points.split(",")
    unknown = [one for one in kinds if one not in KINDS] + [
        one for one in points if one not in POINTS
    ]
    if unknown:
        print(f"interruptions: there is no {', '.join(unknown)}", file=sys.stderr)
        return 2
    cells: dict[str, Cell] = {}
    if options.save and options.save.exists():
        cells = json.loads(options.save.read_text())
    logs = options.logs or Path(tempfile.mkdtemp(prefix="interruptions-"))
    logs.mkdir(parents=True, exist_ok=True)
    try:
        subjects = [beds.make(name, web, not options.keep_hosts) for name, web in WEBS.items()]
        for kind in kinds:
            for name in points:
                if f"{kind}|{name}" in cells:
                    continue
                cells[f"{kind}|{name}"] = interrupted(subjects, kind, POINTS[name], options, logs)
                if options.save:
                    options.save.write_text(json.dumps(cells, indent=1))
    except TestbedError as error:
        print(f"interruptions: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep_hosts:
            hosts.down(list(WEBS))
        print(table(cells, list(WEBS)))
        for failure in failures(cells):
            print(f"\nFAILURE {failure}")
    return 1 if failures(cells) else 0


if __name__ == "__main__":
    sys.exit(main())
