# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which forms of a request get past a block: ours and the published ones, on every layout.

Starts the hosts, asks every form before and after harden.yml, tries the snippets of bench/snippets
on hosts of their own, and writes docs/bypass.md. Exits with 1 where anything is open after
hardening. With --web it measures some hosts only and prints the tables instead.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "molecule"), str(ROOT / "playbooks" / "collections")]

from testbed.shell import say  # noqa: E402

from bench import bypass_ask, bypass_hosts, bypass_snippets, bypass_table  # noqa: E402
from bench.bypass_hosts import BEDS, Bed, Column  # noqa: E402
from bench.bypass_rows import OPEN, Row, Server, lookalikes, rows  # noqa: E402
from bench.bypass_snippets import Left, Snippet  # noqa: E402
from bench.bypass_table import Measured  # noqa: E402

DOCUMENT = ROOT / "docs" / "bypass.md"
HOSTS_AT_ONCE = 2


def measure(bed: Bed, wanted: Sequence[Row], snippets: Sequence[Snippet]) -> list[Measured]:
    """The columns of one host."""
    harmless = lookalikes()
    host = bypass_hosts.up(bed)
    servers = {column: Server(host.address, column.port, column.host) for column in bed.columns}
    try:
        version = bypass_hosts.version(bed, host)
        before = {column: bypass_ask.verdicts(wanted, servers[column]) for column in bed.columns}
        open_before = {
            column: [row for row in wanted if before[column][row] == OPEN] for column in bed.columns
        }
        usual = {column: bypass_ask.statuses(harmless, servers[column]) for column in bed.columns}
        say(f"{bed.web}: asked before")
        bypass_hosts.harden(host)
        say(f"{bed.web}: hardened")
        after = {column: bypass_ask.verdicts(wanted, servers[column]) for column in bed.columns}
        refused = {
            column: bypass_snippets.refused(
                usual[column], bypass_ask.statuses(harmless, servers[column])
            )
            for column in bed.columns
        }
        bypass_hosts.without_guard(host)
        alone = {
            column: bypass_ask.verdicts(open_before[column], servers[column])
            for column in bed.columns
        }
        say(f"{bed.web}: asked after")
    finally:
        bypass_hosts.down(bed)
    left: dict[tuple[str, str], Left] = {}
    if snippets and bed.places:
        was_open = {column.title: open_before[column] for column in bed.columns}
        left = bypass_snippets.try_all(bed, snippets, was_open)

    def measured(column: Column) -> Measured:
        of_column = {name: found for (name, title), found in left.items() if title == column.title}
        return Measured(
            column.title,
            version,
            before[column],
            alone[column],
            after[column],
            refused[column],
            of_column,
            bed.server,
        )

    return [measured(column) for column in bed.columns]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--web", action="append", choices=[bed.web for bed in BEDS], help="this host only"
    )
    parser.add_argument("--no-snippets", action="store_true", help="leave the snippets out")
    arguments = parser.parse_args()

    started = time.monotonic()
    beds = [bed for bed in BEDS if not arguments.web or bed.web in arguments.web]
    snippets = [] if arguments.no_snippets else bypass_snippets.load()
    wanted = rows()
    with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
        measured = pool.map(lambda bed: measure(bed, wanted, snippets), beds)
        columns = [column for of_bed in measured for column in of_bed]
    document = bypass_table.render(wanted, columns, snippets)
    if arguments.web or arguments.no_snippets:
        print(document, end="")
    else:
        DOCUMENT.write_text(document)
    unproven = bypass_table.unproven(columns)
    for line in unproven:
        print(line, file=sys.stderr)
    cells = len(wanted) * len(columns)
    say(f"{cells} cells, {len(unproven)} open or unknown, {time.monotonic() - started:.0f} s")
    return 1 if unproven else 0


if __name__ == "__main__":
    sys.exit(main())
