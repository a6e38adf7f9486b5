#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: contain
short_description: First aid, close XML-RPC on every virtual host within seconds, for a day at most
version_added: 0.3.0
author:
  - The wpward maintainers (@wpward)
description:
  - Finds the web servers and the WordPress sites of the host and gives each server one file that
    refuses every request for xmlrpc.php, on all of its virtual hosts. No virtual host is edited and
    no log is read. nginx answers 401, httpd 403.
  - Where a server does not take such a file, or a virtual host serves xmlrpc.php in spite of it,
    the file xmlrpc.php itself is taken away from the sites there.
  - All of it is a temporary run of M(wpward.wordpress.transaction). When its time is over, the host
    puts everything back by itself, after a reboot too; C(python3 /var/lib/wpward/rollback.py
    rollback --role contain) does so at once. Other runs can change the host meanwhile.
  - Afterwards the host asks each virtual host for xmlrpc.php itself. What still gets through is
    named in RV(open), and what was closed stays closed.
  - Meanwhile its processes have the highest priority, so that a flood that takes all processors
    does not hold it up.
  - A host that is hardened for good, and refuses these requests already, is left as it is.
attributes:
  check_mode:
    description: Can run in C(check_mode) and return the changed status without changing anything.
    support: full
  diff_mode:
    description: Returns what changed, or would change in C(check_mode), when in diff mode.
    support: full
  idempotent:
    description: A second time changes nothing, and first aid ends when it would have ended.
    support: full
requirements:
  - systemd on the host
options:
  state:
    description: V(contained) closes XML-RPC, V(lifted) ends first aid now.
    type: str
    choices: [contained, lifted]
    default: contained
  trusted:
    description:
      - Addresses and networks (CIDR) for which XML-RPC stays open. They cannot use it either where
        the file has to be taken away.
    type: list
    elements: str
    default: []
  seconds:
    description: How long first aid holds, from 60 to 86400.
    type: int
    default: 86400
"""

EXAMPLES = r"""
- name: Close XML-RPC for a day, but not for the editor
  wpward.wordpress.contain:
    trusted: [198.51.100.7]

- name: End it now
  wpward.wordpress.contain:
    state: lifted
"""

RETURN = r"""
run:
  description: The temporary run's name; that of the hardening where first aid was not needed.
  type: str
  returned: when O(state=contained)
  sample: contain-20261122T224109Z
until:
  description:
    - When the host puts everything back, in UTC; none in check mode, and where first aid was not
      needed.
  type: str
  returned: when O(state=contained)
ways:
  description:
    - C(nginx), C(httpd), or C(rename) with the directory of a site; C(run) with the name of the
      hardening where first aid was not needed.
  type: list
  elements: str
  returned: when O(state=contained)
files:
  description: Each file and what was done to it, as M(wpward.wordpress.transaction) returns it.
  type: list
  elements: dict
  returned: when O(state=contained)
notes:
  description: Sentences that an operator should read.
  type: list
  elements: str
  returned: when O(state=contained)
open:
  description: A sentence per request that still gets through.
  type: list
  elements: str
  returned: when O(state=contained)
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils.containment_apply import (
    LONGEST,
    contain,
    lift,
    servers_of_host,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.courtesy import go_ahead
from ansible_collections.wpward.wordpress.plugins.module_utils.journal import Journal
from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Refused,
    sentence,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    parse_trusted,
)


def _contained(module: AnsibleModule, journal: Journal) -> dict[str, Any]:
    p = module.params
    if not 60 <= p["seconds"] <= LONGEST:
        raise Refused(f"seconds is {p['seconds']}; take 60 to {LONGEST}.")
    trusted = [str(network) for network in parse_trusted(p["trusted"])]
    with go_ahead():
        return contain(
            journal, servers_of_host(), trusted, p["seconds"], module.check_mode, module._diff
        )


def _lifted(module: AnsibleModule, journal: Journal) -> dict[str, Any]:
    with journal.lock("contain", create=journal.exists and not module.check_mode):
        result = lift(journal, module.check_mode)
    if result["failures"]:
        module.fail_json(msg=" ".join(result["failures"]))
    return {"changed": result["changed"]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["contained", "lifted"], "default": "contained"},
            "trusted": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": LONGEST},
        },
        supports_check_mode=True,
    )
    if os.geteuid() != 0:
        module.fail_json(msg="Only root can do this: set become to true.")
    states = {"contained": _contained, "lifted": _lifted}
    try:
        result = states[module.params["state"]](module, Journal())
    except (Refused, PolicyError, OSError) as error:
        module.fail_json(msg=sentence(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
