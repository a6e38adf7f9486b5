#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: transaction
short_description: Change files on a host wholly or not at all, and undo it unless confirmed
version_added: 0.1.0
author:
  - The wpward maintainers (@wpward)
description:
  - Applies a change set (files, the commands that validate and activate them, and checks that must
    hold afterwards) as one transaction. Before the first byte changes, the original of every file
    is on the disk in a journal under C(/var/lib/wpward), so whatever interrupts the module is
    undone, to the exact bytes, owner, mode and ACL.
  - An applied transaction belongs to a run. Unless the run is confirmed in time, a timer on the
    host rolls all of its transactions back, also after a reboot, without the controller.
  - While a run waits for its confirmation, no other run can change the host.
  - The program C(/var/lib/wpward/rollback.py) on the host undoes runs without Ansible.
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the changed status without changing anything.
    support: full
  diff_mode:
    description: Returns what changed, or would change in C(check_mode), when in diff mode.
    support: full
  idempotent:
    description:
      - When run twice with the same arguments, the second time changes nothing, writes no journal,
        runs no command and returns C(changed=false).
    support: full
requirements:
  - systemd on the host
options:
  state:
    description:
      - V(applied) brings the files to the wanted state, or leaves everything as it was and fails.
      - V(confirmed) keeps what O(run) changed, and removes its timer.
      - V(rolled_back) undoes the transactions of O(run), of O(role), of both, or without either all
        that were ever applied; the newest first, confirmed ones too. A file that somebody else has
        changed since is not overwritten, its transaction and the older ones of that run are left,
        and the module fails after it has undone the rest.
    type: str
    choices: [applied, confirmed, rolled_back]
    default: applied
  run:
    description:
      - Name of the run, for example a time with a random part. Letters, digits, dots, dashes and
        underscores, 64 at most. A run that is confirmed or rolled back takes no more changes.
      - Required with O(state=applied) and O(state=confirmed).
    type: str
  role:
    description:
      - Name of the role that makes the change, in the same letters as O(run).
      - Required with O(state=applied), a choice with O(state=rolled_back).
    type: str
  files:
    description: The files and what they should be. Used with O(state=applied).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path. Where it is a symbolic link, V(present) changes or creates the file
            behind it and the link stays; V(link) and V(absent) mean the link itself and leave what
            it points to alone. A link is followed only if it belongs to root or to the owner of
            what it points to; any other one is refused.
          - Missing directories are made (root, 0755), and removed again by a rollback.
        type: path
        required: true
      state:
        description:
          - Whether the file should be there, and whether it is a symbolic link. V(link) replaces a
            file or another link, and refuses a directory. A rollback brings back what was there,
            a link with its target.
        type: str
        choices: [present, absent, link]
        default: present
      target:
        description:
          - What the symbolic link points to, word for word. It need not exist, so a file of the
            same change set can come before its link. Required with O(files[].state=link), which
            takes no content, edits or mode.
        type: str
      content:
        description: The whole content as text (UTF-8).
        type: str
      content_base64:
        description: The whole content, base64, for what is not text.
        type: str
      edits:
        description:
          - Changes to parts of the file, by byte offset, so that files in any encoding stay intact.
            All offsets mean the file as O(files[].sha256) describes it; ranges must not overlap.
        type: list
        elements: dict
        suboptions:
          offset:
            description: Where to begin, in bytes from the start of the file.
            type: int
            required: true
          remove:
            description: How many bytes to take out there.
            type: int
            default: 0
          insert:
            description: The text to put there.
            type: str
            default: ""
      owner:
        description: User name or id. A new file is root's, an existing one keeps its owner.
        type: str
      group:
        description: Group name or id. A new file is root's, an existing one keeps its group.
        type: str
      mode:
        description: Octal mode such as V('0644'), which is the default for a new file; an existing
          file keeps its mode.
        type: raw
      sha256:
        description:
          - Checksum of the file that this change was computed from, or V(absent). If the file is
            another one by now, or a symbolic link, nothing is changed. Required with
            O(files[].edits).
        type: str
  validate:
    description:
      - Commands, each a list of words, that must accept the files before they are activated. They
        run once before the change too; a configuration that is already broken is not touched.
    type: list
    elements: list
    default: []
  activate:
    description: Commands that make the services use the files.
    type: list
    elements: list
    default: []
  checks:
    description: Commands that must succeed after the activation, tried for about five seconds.
    type: list
    elements: list
    default: []
  confirm_within:
    description:
      - Seconds after which the host rolls the run back unless it is confirmed, from 5 to 86400.
        Every further transaction of the run sets the time anew, and so does a reboot.
    type: int
    default: 300
  packages:
    description: Packages that were installed for this change; recorded, and named by a rollback.
    type: list
    elements: str
    default: []
  temporary:
    description:
      - Whether the run is first aid. It waits for nobody's confirmation, other runs can change the
        host meanwhile, and it is rolled back O(confirm_within) seconds after its last transaction;
        after a reboot too, by the clock.
    type: bool
    default: false
    version_added: 0.3.0
"""

EXAMPLES = r"""
- name: Include the rules in a server block
  wpward.wordpress.transaction:
    run: "2026-11-21-a1b2"
    role: endpoints
    files:
      - path: /etc/nginx/conf.d/wpward.conf
        content: "{{ lookup('ansible.builtin.template', 'wpward.conf.j2') }}"
      - path: /etc/nginx/sites-available/blog.example
        sha256: 5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
        edits:
          - offset: 120
            insert: "\n    include /etc/nginx/wpward/server.conf;"
    validate:
      - [nginx, -t]
    activate:
      - [systemctl, reload, nginx]
    confirm_within: 300

- name: Write a configuration and enable it as a2enconf does
  wpward.wordpress.transaction:
    run: "2026-11-21-a1b2"
    role: endpoints
    files:
      - path: /etc/apache2/conf-available/wpward.conf
        content: "{{ lookup('ansible.builtin.template', 'httpd.conf.j2') }}"
      - path: /etc/apache2/conf-enabled/wpward.conf
        state: link
        target: ../conf-available/wpward.conf
    validate:
      - [apache2ctl, configtest]
    activate:
      - [systemctl, reload, apache2]

- name: Keep it
  wpward.wordpress.transaction:
    state: confirmed
    run: "2026-11-21-a1b2"

- name: Put everything back
  wpward.wordpress.transaction:
    state: rolled_back
"""

RETURN = r"""
run:
  description: The run.
  type: str
  returned: always
role:
  description: The role.
  type: str
  returned: always
transaction:
  description: The transaction's directory in the journal, none if nothing had to be changed.
  type: str
  returned: when O(state=applied)
transactions:
  description: The transactions that were undone, the newest first.
  type: list
  elements: str
  returned: when O(state=rolled_back)
  sample: ["001-endpoints of run 2026-11-21-a1b2"]
files:
  description: Each file and what was done to it.
  type: list
  elements: dict
  returned: when O(state=applied) or O(state=rolled_back)
  contains:
    path:
      description: The path.
      type: str
    action:
      description:
        - V(created), V(changed), V(removed) or V(unchanged). A file that became a link, or a link
          that became a file, is V(changed).
      type: str
commands:
  description: The commands that ran.
  type: list
  elements: dict
  returned: when O(state=applied) or O(state=rolled_back)
  contains:
    argv:
      description: The words of the command.
      type: list
      elements: str
    rc:
      description: The exit status; 127 if there is no such program, 124 if it took too long.
      type: int
    stdout:
      description: The last 8 KiB of its output.
      type: str
    stderr:
      description: The last 8 KiB of its error output.
      type: str
    seconds:
      description: How long it took.
      type: float
deadline:
  description: When the run is rolled back unless it is confirmed, in UTC; none if it is not open.
  type: str
  returned: when O(state=applied)
  sample: "2026-11-21T12:05:00Z"
packages:
  description: Packages that the transactions which were undone had installed; they are left.
  type: list
  elements: str
  returned: when O(state=rolled_back)
"""

import os
from typing import Any, ContextManager

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Refused,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_apply import (
    Failed,
    Request,
    apply,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.transaction_plan import preview

_EDIT = {
    "offset": {"type": "int", "required": True},
    "remove": {"type": "int", "default": 0},
    "insert": {"type": "str", "default": ""},
}
_FILE = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "link"], "default": "present"},
    "target": {"type": "str"},
    "content": {"type": "str"},
    "content_base64": {"type": "str"},
    "edits": {"type": "list", "elements": "dict", "options": _EDIT},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw"},
    "sha256": {"type": "str"},
}


def _applied(module: AnsibleModule, journal: Journal) -> dict[str, Any]:
    p = module.params
    request = Request(
        run=p["run"],
        role=p["role"],
        files=p["files"],
        validate=p["validate"],
        activate=p["activate"],
        checks=p["checks"],
        confirm_within=p["confirm_within"],
        packages=p["packages"],
        temporary=p["temporary"],
    )
    result = apply(journal, request, module.check_mode, module._diff)
    for warning in result.pop("warnings"):
        module.warn(warning)
    return result


def _lock(module: AnsibleModule, journal: Journal, purpose: str) -> ContextManager[None]:
    return journal.lock(purpose, create=journal.exists and not module.check_mode)


def _confirmed(module: AnsibleModule, journal: Journal) -> dict[str, Any]:
    run = module.params["run"]
    with _lock(module, journal, f"confirm run {run}"):
        if module.check_mode:
            return {"changed": journal.would_confirm(run)}
        changed, warnings = journal.confirm(run)
    for warning in warnings:
        module.warn(warning)
    return {"changed": changed}


def _rolled_back(module: AnsibleModule, journal: Journal) -> dict[str, Any]:
    run, role = module.params["run"], module.params["role"]
    with _lock(module, journal, "rollback"):
        chosen = journal.chosen(run, role)
        result: dict[str, Any] = {"changed": bool(chosen), "transactions": [], "files": []}
        if module._diff or module.check_mode:
            result["files"], diff, conflicts = preview(chosen)
            if module._diff:
                result["diff"] = diff
            if module.check_mode and conflicts:
                module.fail_json(msg=" ".join(conflicts), **result)
        if module.check_mode:
            return dict(result, transactions=[str(item) for item in chosen])
        outcome = journal.roll_back(run, role)
    result.update(
        changed=bool(outcome.transactions),
        transactions=outcome.transactions,
        files=outcome.files,
        commands=outcome.commands,
        packages=sorted(set(outcome.packages)),
    )
    if outcome.failures:
        module.fail_json(msg=" ".join(outcome.failures), **result)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["applied", "confirmed", "rolled_back"],
                "default": "applied",
            },
            "run": {"type": "str"},
            "role": {"type": "str"},
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": _FILE,
                "mutually_exclusive": [("content", "content_base64", "edits", "target")],
                "required_by": {"edits": ("sha256",)},
                "required_if": [("state", "link", ("target",))],
            },
            "validate": {"type": "list", "elements": "list", "default": []},
            "activate": {"type": "list", "elements": "list", "default": []},
            "checks": {"type": "list", "elements": "list", "default": []},
            "confirm_within": {"type": "int", "default": 300},
            "packages": {"type": "list", "elements": "str", "default": []},
            "temporary": {"type": "bool", "default": False},
        },
        required_if=[("state", "applied", ("run", "role")), ("state", "confirmed", ("run",))],
        supports_check_mode=True,
    )
    p = module.params
    common = {"run": p["run"], "role": p["role"]}
    if os.geteuid() != 0:
        module.fail_json(msg="Only root can do this: set become to true.", **common)
    states = {"applied": _applied, "confirmed": _confirmed, "rolled_back": _rolled_back}
    try:
        result = states[p["state"]](module, Journal())
    except Failed as error:
        module.fail_json(msg=str(error), commands=error.commands, **common)
    except (Refused, OSError) as error:
        module.fail_json(msg=sentence(error), **common)
    module.exit_json(**dict(common, **result))


if __name__ == "__main__":
    main()
