# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs what module log_tables runs, on a host and without Ansible: options as JSON in argv[1]."""

from __future__ import annotations

import json
import sys
import time

sys.path.insert(0, "/root/wpward")

from ansible_collections.wpward.wordpress.plugins.module_utils.database import connect
from ansible_collections.wpward.wordpress.plugins.module_utils.database_client import (
    Unanswered,
    servers,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_purge import Pace
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_wait import Busy, only_one
from ansible_collections.wpward.wordpress.plugins.module_utils.log_table_work import Request, work
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import running

options = json.loads(sys.argv[1])
credentials = options.pop("credentials", None)
pace = Pace(**{"max_load": 1000.0, "patience": 3.0, **options.pop("pace", {})})
given = {
    "state": "purged",
    "check": False,
    "wanted": (),
    "retention_days": 30,
    "large_rows": 1000,
    "large_bytes": 1 << 40,
    "time_budget": 60.0,
    "lock_tables": False,
    "allow_replica": False,
    **options,
}
request = Request(**given, pace=pace)
seen = running()
try:
    client = connect(seen, credentials, time.monotonic() + 120, Problems())
    assert client is not None
    with only_one(1.0):
        result = work(client, servers(seen)[0][0].pid, request)
except (Unanswered, Busy) as error:
    result = {"msg": str(error)}
print(json.dumps(result))
