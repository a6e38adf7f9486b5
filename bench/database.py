# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the repair of a log table of half a million rows costs the site meanwhile, and what it saves
the plugin's own purge each day.

The repair is role database as an operator runs it: the index, then the purge. The plugin's own
DELETE is at work when it begins. The figures are medians over the rounds; the ratios are what to
quote, since a machine's speed drifts. ``--quick`` takes a tenth of the rows, once: its figures only
show that everything works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed import audit_table, clients, hosts, podman  # noqa: E402

ROUNDS = 3
ROWS = 500_000
WINDOW = 4.0
PLAYBOOK = ROOT / "tests" / "integration" / "database" / "apply.yml"
TABLE = audit_table.NAME
DAYS = 60
# Failed logins, as All-In-One Security writes them.
FILL = f"""
DROP TABLE IF EXISTS {TABLE};
{audit_table.LAYOUT}
INSERT INTO {TABLE} (username, ip, level, event_type, details, stacktrace, created)
SELECT 'alice', CONCAT('198.51.100.', seq MOD 251), 'warning', 'failed_login',
       '{{{{"failed_login":{{{{"imported":false,"username":"alice","known":true}}}}}}}}',
       REPEAT('/var/www/blog/xmlrpc.php ', 20),
       UNIX_TIMESTAMP() - {DAYS} * 86400 + seq * {DAYS} * 86400 / {{rows}}
FROM seq_1_to_{{rows}};
ANALYZE TABLE {TABLE};
"""


def sql(host: hosts.Host, statements: str) -> str:
    output: str = podman.execute(
        host.container, ["mariadb", "--no-defaults", "-N", "wordpress"], stdin=statements
    )
    return output


def a_days_purge(host: hosts.Host, days: int, total: int) -> float:
    """Seconds that the plugin's DELETE of one day's rows takes; they come back afterwards."""
    answer = sql(
        host,
        "SET @began = SYSDATE(6); BEGIN; "
        f"DELETE FROM {TABLE} WHERE created < UNIX_TIMESTAMP() - {days} * 86400; "
        "SELECT ROW_COUNT(), TIMESTAMPDIFF(MICROSECOND, @began, SYSDATE(6)); ROLLBACK;",
    )
    rows, micro = (int(word) for word in answer.split())
    if not total / DAYS / 2 < rows < total / DAYS * 2.5:
        raise RuntimeError(f"{rows} rows are not one day's")
    return micro / 1e6


def p95(host: hosts.Host, visitor: clients.Clients) -> float:
    seen = clients.traffic("latency", host.address, clients=visitor, seconds=WINDOW)
    if seen["statuses"].keys() - {"200"} or seen["errors"]:
        raise RuntimeError(f"the site did not answer all: {seen['statuses']} {seen['errors']}")
    latency: float = seen["latency_ms"]["p95"]
    return latency


def repair(host: hosts.Host, visitor: clients.Clients) -> tuple[list[float], dict[str, Any]]:
    """The visitor's p95 in each window meanwhile, and what the role says."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "said.json"
        variables = {
            "run": f"bench-{time.time_ns()}",
            "save_to": str(place),
            "purge": True,
            "wpward_database_max_load": 1000,
            # A tenth of the rows is no large table to the role.
            "wpward_database_large_rows": 1000,
        }
        own = podman.runtime_arguments()
        statement = f"DELETE FROM {TABLE} WHERE created < UNIX_TIMESTAMP() - 45 * 86400"
        with subprocess.Popen(
            ["podman", *own, "exec", host.container, "mariadb", "wordpress", "-e", statement]
        ):
            running = subprocess.Popen(
                [
                    *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", host.inventory),
                    *("-e", json.dumps(variables), str(PLAYBOOK)),
                ],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
            )
            seen = []
            while running.poll() is None:
                seen.append(p95(host, visitor))
        if running.returncode:
            raise RuntimeError("the role failed")
        said: dict[str, Any] = json.loads(place.read_text())
        return seen, said


def measure(host: hosts.Host, visitor: clients.Clients, rows: int, rounds: int) -> None:
    """All rounds with a table of so many rows, and the figures printed."""
    figures: dict[str, list[float]] = {
        name: [] for name in ("quiet", "repair", "before", "after", "index", "purge", "longest")
    }
    for _ in range(rounds):
        sql(host, FILL.format(rows=rows))
        figures["quiet"] += [p95(host, visitor) for _ in range(2)]
        figures["before"].append(a_days_purge(host, 59, rows))
        seen, said = repair(host, visitor)
        figures["repair"] += seen
        figures["after"].append(a_days_purge(host, 29, rows))
        (indexed,), (purged,) = said["indexed"]["tables"], said["purged"]["tables"]
        figures["index"].append(indexed["seconds"])
        figures["purge"].append(purged["seconds"])
        figures["longest"].append(purged["longest_batch_ms"])
        print(
            f"{purged['deleted']:,} rows deleted in {purged['batches']} batches; "
            f"{indexed['estimated_seconds']['index']:.0f} s and "
            f"{purged['estimated_seconds']['purge']:.0f} s were estimated"
        )
    median = {name: statistics.median(values) for name, values in figures.items()}
    print(f"{rows:,} rows, medians of {rounds} rounds")
    print(
        f"visitor's GET / p95: quiet {median['quiet']:.0f} ms, during the repair "
        f"{median['repair']:.0f} ms ({median['repair'] / median['quiet']:.2f} times), "
        f"worst window {max(figures['repair']):.0f} ms"
    )
    print(
        f"index {median['index']:.1f} s, purge {median['purge']:.1f} s, longest batch "
        f"{median['longest']:.0f} ms"
    )
    print(
        f"the plugin's purge of one day's rows: before {median['before']:.2f} s, after "
        f"{median['after']:.2f} s ({median['after'] / median['before']:.2f} of it)"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, once")
    quick = parser.parse_args().quick
    try:
        host = hosts.up("bench-database", reset=True)
        measure(
            host,
            clients.up("bench-database-visitor", count=1),
            *((ROWS // 10, 1) if quick else (ROWS, ROUNDS)),
        )
    finally:
        hosts.down(["bench-database", "bench-database-visitor"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
