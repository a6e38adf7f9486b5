#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_tables
short_description: Index and purge the tables that WordPress plugins log to
version_added: 0.3.0
author:
  - The wpward maintainers (@wpward)
description:
  - An attack leaves hundreds of thousands of rows in the log of a security plugin. Where the column
    that tells their age has no index, each of the plugin's own daily purges reads all of them, and
    one that ends hours later keeps the site down.
  - Works on the large ones among the known log tables, whatever their prefix and schema, and on
    nothing else. A table is known if a WordPress of its prefix is beside it and its columns are
    those of the plugin's log; it may be purged if the plugin itself deletes its rows by their age.
    P(wpward.wordpress.database#role) lists them.
  - Neither an index nor a purge is undone by a rollback.
  - What cannot be done, or not now, is a sentence in RV(tables) instead of a failure. The module
    fails only without root, where its options make no sense, and where the server does not let it
    in.
attributes:
  check_mode:
    description:
      - Can run in C(check_mode), which tells what would be done, how many rows and seconds that is
        about, and changes nothing.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: none
  idempotent:
    description: A second run finds the index and no old rows, and returns C(changed=false).
    support: full
requirements:
  - MariaDB 10.1 or MySQL 5.7 or newer, with its command line client, on the host
options:
  state:
    description:
      - V(described) changes nothing.
      - V(indexed) makes the missing index on the purge column while others read and write.
      - V(purged) deletes the rows that are older than O(retention_days), in small batches in the
        order of the primary key, with pauses as long as the batches.
    type: str
    choices: [described, indexed, purged]
    default: described
  tables:
    description: Only these, as C(schema.table). All large ones by default.
    type: list
    elements: str
    default: []
  retention_days:
    description:
      - Younger rows are kept. Where the column has no time zone a day more is kept; and so is a row
        without a date.
    type: int
    default: 30
  large_rows:
    description: From how many rows a table is large, by the server's estimate.
    type: int
    default: 50000
  large_bytes:
    description: From how many bytes a table is large, whatever the estimate of its rows says.
    type: int
    default: 33554432
  time_budget:
    description: Seconds after which the work stops; the next run goes on where it stopped.
    type: int
    default: 600
  batch_seconds:
    description: Seconds that each batch of a purge should take; its rows are adapted to that.
    type: float
    default: 0.3
  max_load:
    description:
      - Processes per processor that ran or waited in the last minute. Above that a purge waits for
        O(wait) seconds and then stops.
    type: float
    default: 2
  wait:
    description:
      - Seconds to wait for somebody else's statement that changes the table, for replicas, and for
        the load to fall.
    type: int
    default: 30
  running_purge:
    description:
      - What to do about a DELETE on the table that is running already. V(kill) ends it at once.
        What it has deleted comes back then, which takes about as long as it has run;
        RV(tables[].running) tells that with O(state=described).
    type: str
    choices: [wait, kill]
    default: wait
  lock_tables:
    description:
      - Also make an index where nobody can write meanwhile, that is with engines other than InnoDB
        and in a Galera cluster, and purge tables of engines that lock them for each batch.
    type: bool
    default: false
  allow_replica:
    description:
      - Also purge on a server that follows another one, as where two follow each other. Never on
        one that is C(read_only).
    type: bool
    default: false
  database_credentials:
    description:
      - A file on the host with user and password for the server, in the form that its client reads
        with C(--defaults-file). By default root is let in by the server's unix socket.
    type: path
"""

EXAMPLES = r"""
- name: Tell what a purge would delete
  wpward.wordpress.log_tables:
    retention_days: 7
  register: described

- name: Make the missing indexes
  wpward.wordpress.log_tables:
    state: indexed

- name: Delete what is older than a week
  wpward.wordpress.log_tables:
    state: purged
    retention_days: 7
"""

RETURN = r"""
server:
  description: The database server; null where the host has none.
  type: dict
  returned: success
  contains:
    version:
      description: As it says.
      type: str
    replicas:
      description: How many replicas read its binary log.
      type: int
    slow_log:
      description:
        - Its slow log. Whether it is C(enabled) and above how many C(seconds); the drop-in C(file)
          for it and whether that is C(present), or the C(refusal); the C(log_file) to write to; and
          C(python) with C(follow), words for the role's program.
      type: dict
refusal:
  description: Why nothing can be changed on this server; null where it can.
  type: str
  returned: success
notes:
  description: What the operator should know, one sentence each.
  type: list
  elements: str
  returned: success
tables:
  description: The large log tables that may be purged, the largest first.
  type: list
  elements: dict
  returned: success
  contains:
    schema:
      description: The schema.
      type: str
    table:
      description: The table.
      type: str
    plugin:
      description: The plugin that writes it.
      type: str
    column:
      description: The column that tells how old a row is.
      type: str
    bytes:
      description: Its size with its indexes.
      type: int
    rows_before:
      description: Rows before, by the server's estimate.
      type: int
    rows_after:
      description: What is left of them.
      type: int
    old_rows:
      description: About how many of them are older than O(retention_days).
      type: int
    estimated_seconds:
      description: About how long the C(index) and the C(purge) take.
      type: dict
    running:
      description:
        - Statements of others that are changing the table, with the number of C(rows_changed) so
          far and the C(rollback_seconds) that killing them would take.
      type: list
      elements: dict
    killed:
      description: Those of them that were killed.
      type: list
      elements: dict
    index:
      description: V(present), V(missing), V(created), or a sentence why it was not made.
      type: str
    deleted:
      description: Rows that were deleted; in C(check_mode) about how many would be.
      type: int
    batches:
      description: In how many batches.
      type: int
    longest_batch_ms:
      description: How long the longest of them took.
      type: int
    remaining:
      description: About how many old rows are left.
      type: int
    seconds:
      description: How long the work on this table took.
      type: float
    stopped:
      description: Why it was not done to its end; null where it was.
      type: str
"""

import os
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils.database import connect
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import Unanswered
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    servers as database_servers,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_purge import Pace
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_wait import (
    Busy,
    only_one,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_work import Request, work
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import running

_MARGIN = 120.0
"""Seconds for questions, beyond the time of the work itself."""


def _positive(module: AnsibleModule) -> None:
    for name, least, most in (
        ("retention_days", 1, 36500),
        ("large_rows", 1, 10**12),
        ("large_bytes", 1, 10**15),
        ("time_budget", 1, 86400),
        ("batch_seconds", 0.01, 10),
        ("max_load", 0.1, 10**6),
        ("wait", 0, 86400),
    ):
        value = module.params[name]
        if not least <= value <= most:
            module.fail_json(msg=f"{name} is {value}; give a number from {least} to {most}.")


def _run(module: AnsibleModule) -> dict[str, Any]:
    p = module.params
    request = Request(
        state=p["state"],
        check=module.check_mode,
        wanted=tuple(p["tables"]),
        retention_days=p["retention_days"],
        large_rows=p["large_rows"],
        large_bytes=p["large_bytes"],
        time_budget=float(p["time_budget"]),
        lock_tables=p["lock_tables"],
        allow_replica=p["allow_replica"],
        pace=Pace(
            batch=p["batch_seconds"],
            patience=float(p["wait"]),
            max_load=p["max_load"],
            kill=p["running_purge"] == "kill",
        ),
    )
    problems = Problems()
    seen = running()
    deadline = time.monotonic() + request.time_budget + _MARGIN
    client = connect(seen, p["database_credentials"], deadline, problems)
    notes = [problem["message"] for problem in problems.describe()]
    if client is None:
        return {"changed": False, "server": None, "refusal": None, "notes": notes, "tables": []}
    pid = database_servers(seen)[0][0].pid
    if request.changes:
        with only_one(request.pace.patience):
            result = work(client, pid, request)
    else:
        result = work(client, pid, request)
    result["notes"] = notes + result["notes"]
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["described", "indexed", "purged"],
                "default": "described",
            },
            "tables": {"type": "list", "elements": "str", "default": []},
            "retention_days": {"type": "int", "default": 30},
            "large_rows": {"type": "int", "default": 50000},
            "large_bytes": {"type": "int", "default": 33554432},
            "time_budget": {"type": "int", "default": 600},
            "batch_seconds": {"type": "float", "default": 0.3},
            "max_load": {"type": "float", "default": 2},
            "wait": {"type": "int", "default": 30},
            "running_purge": {"type": "str", "choices": ["wait", "kill"], "default": "wait"},
            "lock_tables": {"type": "bool", "default": False},
            "allow_replica": {"type": "bool", "default": False},
            "database_credentials": {"type": "path"},
        },
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="Only root can do this: set become to true.")
    _positive(module)
    try:
        result = _run(module)
    except (Unanswered, Busy) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be used: {error.strerror}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
