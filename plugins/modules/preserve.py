#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preserve
short_description: Copy the evidence of an incident to the controller before anything is repaired
version_added: 0.3.0
author:
  - The wpward maintainers (@wpward)
description:
  - One remote execution writes one compressed archive into Ansible's temporary directory of the
    host. It is fetched as a stream, compared by its checksum, and removed from the host, also where
    the fetch fails. Should the controller be stopped meanwhile, the host removes it by itself
    (O(fetch_within)).
  - 'In the archive, in this order and until the limits are reached: the state (processes,
    connections, counters of the kernel, newest lines of the web stack and the kernel in the
    journal, statements, InnoDB status and table sizes of the database, wpward''s own runs); the
    configuration of nginx, httpd, php-fpm, fail2ban, MariaDB and logrotate, and the units and
    drop-ins of their services; the error logs; the access logs, what was written last first. Of a
    large log, parts of whole lines are taken, the newest first (C(access.log.part-OFFSET)).'
  - wp-config.php, private keys and files with passwords are never taken. Of configuration and
    command lines the values of passwords, tokens and keys are taken out, of SQL statements the
    literals. Logs are kept as they are, so what clients sent stands in them.
  - Only regular files are read. A symbolic link is followed only where it is root's, so that a user
    who can write to a directory of logs cannot lead to other files.
  - 'On the controller: C(evidence.tar.gz), C(manifest.json), which names every member with its
    SHA-256 and everything that was left out and why, and C(SHA256SUMS). Nothing there is ever
    overwritten.'
  - Nothing on the host is changed, and the processor and the disk are yielded to everybody else.
attributes:
  check_mode:
    description: Says what would be taken, and leaves nothing on the host or on the controller.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: none
options:
  directory:
    description:
      - Directory on the controller in which the host gets a directory of its own. Those that are
        missing are made with mode C(0700); files have C(0600).
    type: path
    required: true
  limit_bytes:
    description:
      - Size of the archive at most, from 1 MiB on. Where the host's temporary directory has less
        room than that and 256 MiB, less is taken.
    type: int
    default: 67108864
  days:
    description: Logs that were not written to for so many days are left out.
    type: int
    default: 7
  time_budget:
    description: Seconds for the work on the host. What was taken by then is kept.
    type: float
    default: 60
  database_credentials:
    description:
      - A file on the host with user and password for MariaDB or MySQL, in the form that its client
        reads with C(--defaults-extra-file). By default root is let in by the server's unix socket.
    type: path
  fetch_within:
    description:
      - Seconds from the end of the work on the host until the fetch has to begin. By then the host
        removes the archive itself, should the controller have been stopped.
    version_added: 0.4.0
    type: int
    default: 900
  archive:
    description: Where the archive is written on the host; the action plugin sets it.
    type: path
"""

EXAMPLES = r"""
- name: Keep what tells of the attack
  wpward.wordpress.preserve:
    directory: /srv/incidents/20261122/evidence
"""

RETURN = r"""
path:
  description: The host's directory on the controller.
  type: str
  returned: success, not in check mode
  sample: /srv/incidents/20261122/evidence/blog.example
bytes:
  description: Size of the archive.
  type: int
  returned: success, not in check mode
sha256:
  description: Checksum of the archive, made on the host and found again on the controller.
  type: str
  returned: success, not in check mode
members:
  description: How many files are in it.
  type: int
  returned: success, not in check mode
left_out:
  description: What is not in it or not wholly, as C(source) and C(reason).
  type: list
  elements: dict
  returned: success, not in check mode
would_take:
  description: C(configuration) and C(logs), each file with C(source) and C(bytes).
  type: dict
  returned: in check mode
notes:
  description: Sentences that an operator should read.
  type: list
  elements: str
  returned: success
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils import courtesy, preserve
from ansible_collections.wpward.wordpress.plugins.module_utils.file_system import file_system_of
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import sentence
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_place import (
    NoPlace,
    create,
    limit_for,
    remove_leftovers,
    remove_unless_fetched,
)


def _request(module: AnsibleModule, limit: int) -> preserve.Request:
    p = module.params
    return preserve.Request(limit, p["time_budget"], p["days"], p["database_credentials"])


def _preserved(module: AnsibleModule) -> dict[str, Any]:
    path, wanted = module.params["archive"], module.params["limit_bytes"]
    directory = os.path.dirname(path)  # noqa: PTH120
    remove_leftovers(directory)
    limit = limit_for(directory, file_system_of(directory), wanted)
    notes = []
    if limit < wanted:
        notes.append(
            f"The host has room for {limit >> 20} MiB of evidence only, so less was taken."
        )
    # Its time begins at the end of the work, also where this process is killed.
    with remove_unless_fetched(path, module.params["fetch_within"]):
        return {"manifest": _archive(module, path, limit), "notes": notes}


def _archive(module: AnsibleModule, path: str, limit: int) -> dict[str, Any]:
    try:
        with create(path) as stream:
            return preserve.preserve(stream, _request(module, limit))
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "limit_bytes": {"type": "int", "default": 64 << 20},
            "days": {"type": "int", "default": 7},
            "time_budget": {"type": "float", "default": 60},
            "database_credentials": {"type": "path"},
            "fetch_within": {"type": "int", "default": 900},
            "archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    p = module.params
    if p["limit_bytes"] < preserve.LEAST_BYTES:
        module.fail_json(
            msg=f"limit_bytes is {p['limit_bytes']}; give at least {preserve.LEAST_BYTES}."
        )
    if p["days"] < 1:
        module.fail_json(msg=f"days is {p['days']}; give at least 1.")
    if not 0 < p["fetch_within"] <= 86400:
        module.fail_json(msg=f"fetch_within is {p['fetch_within']}; give 1 to 86400 seconds.")
    if not 0 < p["time_budget"] <= 3600:
        module.fail_json(msg=f"time_budget is {p['time_budget']}; give seconds between 0 and 3600.")
    if os.geteuid() != 0:
        module.fail_json(msg="Only root can read the logs: set become to true.")
    courtesy.step_back()
    if module.check_mode or not p["archive"]:
        found = preserve.foresee(_request(module, p["limit_bytes"]))
        module.exit_json(changed=False, would_take=found, notes=[])
    try:
        result = _preserved(module)
    except (NoPlace, OSError) as error:
        module.fail_json(msg=sentence(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
