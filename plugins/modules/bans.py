#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bans
short_description: Say whom fail2ban's jails would ban, and prove that their bans work
version_added: 0.3.0
author:
  - The wpward maintainers (@wpward)
description:
  - Changes no file. What does not hold is told in RV(problem) instead of failing, so that a role
    can name the host and say it in one sentence.
  - With O(state=checked) it reads the newest megabytes of the deny logs and of the sites' access
    logs, before any jail is enabled.
  - With O(state=proven) it bans an address that nobody has, looks for the ban in the kernel's rules
    or where the web server looks for it, and lifts it again.
attributes:
  check_mode:
    description: Can run in C(check_mode). Then it does not wait for logs, and bans nothing.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: none
  idempotent:
    description: Whether it runs once or twice makes no difference.
    support: full
options:
  state:
    description: Whether to look at the logs before, or to try the jails afterwards.
    type: str
    choices: [checked, proven]
    required: true
  jails:
    description: The jails, as P(wpward.wordpress.bans_plan#filter) returns them.
    type: list
    elements: dict
    required: true
  ignore:
    description: Networks that the jails never ban.
    type: list
    elements: str
    default: []
  access_logs:
    description: The sites' access logs, which show who works in the administration.
    type: list
    elements: path
    default: []
  editors:
    description:
      - Addresses that the jail C(wpward-editor) exempts from now on, as RV(editors) names them.
        Used with O(state=proven).
    type: list
    elements: str
    default: []
  layer:
    description: Where the jails ban.
    type: str
    choices: [packet, http]
    default: packet
  manager:
    description: What the host manages its packet filter with.
    type: str
    default: nftables
  address:
    description: The address to ban for the proof.
    type: str
    default: 203.0.113.254
  directory:
    description: Where the addresses that are banned or exempt have a file each.
    type: path
    default: /run/wpward
"""

EXAMPLES = r"""
- name: Look at whom the jails would ban
  wpward.wordpress.bans:
    state: checked
    jails: "{{ plan.jails }}"
    ignore: "{{ plan.ignore }}"
  register: check

- name: See a ban work
  wpward.wordpress.bans:
    state: proven
    jails: "{{ plan.jails }}"
    layer: "{{ plan.layer }}"
  register: proof
  failed_when: proof.problem != ''
"""

RETURN = r"""
problem:
  description: What does not hold and what to do; empty where all is well.
  type: str
  returned: always
notes:
  description: What the operator should know, one sentence each.
  type: list
  elements: str
  returned: always
would_ban:
  description: By jail, the addresses that it would have banned.
  type: dict
  returned: when O(state=checked)
editors:
  description:
    - Who works in the administration of a site, by its access log, and is neither in O(ignore) nor
      exempt already.
  type: list
  elements: str
  returned: when O(state=checked)
dead_sshd:
  description: Whether fail2ban's own jail for sshd has no log and keeps fail2ban from starting.
  type: bool
  returned: when O(state=checked)
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils.ban_check import (
    at_work,
    exempt,
    would_ban,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.ban_proof import (
    EDITORS,
    exempt_editors,
    prove,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.dead_jail import sshd_is_dead

_CONFIGURATION = "/etc/fail2ban"
_OUR_FILE = "wpward.local"
# nginx opens a new log some time after it was told to reload.
_PATIENCE = 10.0


def _missing(jails: list[dict[str, Any]], seconds: float) -> list[str]:
    """Logs that are not there, nor appear in the meantime."""
    logs = sorted({path for jail in jails if jail["rule"] for path in jail["logs"]})
    deadline = time.monotonic() + seconds
    while True:
        missing = [path for path in logs if not Path(path).exists()]
        if not missing or time.monotonic() >= deadline:
            return missing
        time.sleep(0.3)


def _let_off(directory: str) -> list[str]:
    """Whom the jail of editors exempts at this moment."""
    return [one.name for one in Path(directory, "editors").glob("*")]


def _checked(module: AnsibleModule) -> dict[str, Any]:
    p = module.params
    result: dict[str, Any] = {"problem": "", "notes": []}
    missing = _missing(p["jails"], 0 if module.check_mode else _PATIENCE)
    if missing and module.check_mode:
        result["notes"] = [f"Role endpoints makes {', '.join(missing)}, which the jails will read."]
    elif missing:
        result["problem"] = (
            f"There is no {' and no '.join(missing)}, where the web server notes what it refuses; "
            "run role endpoints first."
        )
    result["would_ban"] = would_ban(p["jails"])
    result["editors"] = sorted(
        address
        for address in at_work(p["access_logs"]) - set(_let_off(p["directory"]))
        if not exempt(address, p["ignore"])
    )
    hit = [
        (address, jail)
        for jail, addresses in result["would_ban"].items()
        for address in addresses
        if address in result["editors"]
    ]
    # Where there is a jail of editors, they are exempt from the beginning.
    if hit and not result["problem"] and EDITORS not in [jail["name"] for jail in p["jails"]]:
        address, jail = hit[0]
        result["problem"] = (
            f"{address} works in the administration of a site here, and the jail {jail} would ban "
            "it for what it was refused; add it to wpward_trusted, or find out which of its "
            "programs asks for that."
        )
    result["dead_sshd"] = sshd_is_dead(_CONFIGURATION, _OUR_FILE)
    return result


def _proven(module: AnsibleModule) -> dict[str, Any]:
    p = module.params
    if module.check_mode:
        return {"problem": "", "notes": []}
    problem = prove(p["jails"], p["layer"], p["manager"], p["address"], p["directory"])
    return {"problem": problem or exempt_editors(p["editors"]), "notes": []}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["checked", "proven"], "required": True},
            "jails": {"type": "list", "elements": "dict", "required": True},
            "ignore": {"type": "list", "elements": "str", "default": []},
            "access_logs": {"type": "list", "elements": "path", "default": []},
            "editors": {"type": "list", "elements": "str", "default": []},
            "layer": {"type": "str", "choices": ["packet", "http"], "default": "packet"},
            "manager": {"type": "str", "default": "nftables"},
            "address": {"type": "str", "default": "203.0.113.254"},
            "directory": {"type": "path", "default": "/run/wpward"},
        },
        supports_check_mode=True,
    )
    states = {"checked": _checked, "proven": _proven}
    module.exit_json(changed=False, **states[module.params["state"]](module))


if __name__ == "__main__":
    main()
