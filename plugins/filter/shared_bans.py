# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Choose the attackers that every host refuses."""

from __future__ import annotations

DOCUMENTATION = r"""
name: shared_bans
version_added: 0.3.0
author: The wpward maintainers
short_description: Choose the attackers that every host refuses
description:
  - From the evidence and the plans of all hosts, the addresses whose own requests for an attacked
    endpoint reach the threshold of the jail. One host's attackers so reach all hosts.
  - Never on the list are what O(ignore) names, the addresses, gateways and controllers of all
    hosts, private and other special addresses, the published ranges of delivery networks, search
    engines and Jetpack, nor apps and editors that behave as such. A log that shows a proxy's
    addresses instead of the clients' gives nobody.
  - The list is the same for the same evidence; an address that is on an earlier one stays until its
    time is over.
positional: _input, plans
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns, by the host's name.
    type: dict
    required: true
  plans:
    description: What P(wpward.wordpress.plan#filter) made of it, by the host's name.
    type: dict
    default: {}
  ignore:
    description: Addresses and networks that are never banned, of all hosts together.
    type: list
    elements: str
    default: []
  earlier:
    description: The C(text) of lists that are in force on the hosts.
    type: list
    elements: str
    default: []
  own:
    description:
      - The operator's own list. Addresses, networks, or dictionaries with C(address), and as wanted
        C(reason) and C(expires) (a time such as V(2026-11-29T08:00:00Z); without it, for ever).
    type: list
    elements: raw
    default: []
  expiry:
    description: Seconds that a ban lasts after the last request of the attack.
    type: int
    default: 604800
  thresholds:
    description: By endpoint, the number of requests from which on an address is an attacker.
    type: dict
    default: {xmlrpc: 3}
  limit:
    description: How many entries there may be. Those with the fewest requests are left out.
    type: int
    default: 100000
  prefix6:
    description: V(64) to ban the network of an IPv6 attacker, V(128) for the address alone.
    type: int
    choices: [64, 128]
    default: 128
  describe:
    description:
      - Whether to return RV(_value.entries). Ansible takes a minute over a hundred thousand.
    type: bool
    default: true
  documentation:
    description: Whether addresses that are set aside for documentation may be banned, for tests.
    type: bool
    default: false
  now:
    description: The time, in seconds since the epoch. The clock's by default.
    type: float
"""

EXAMPLES = r"""
- name: Choose the attackers that every host refuses
  ansible.builtin.set_fact:
    bans: "{{ evidence | wpward.wordpress.shared_bans(plans, ignore=['192.0.2.0/24']) }}"
  vars:
    evidence: {web1: "{{ hostvars.web1.probe_evidence }}"}
    plans: {web1: "{{ hostvars.web1.probe_plan }}"}
"""

RETURN = r"""
_value:
  description: The list.
  type: dict
  contains:
    entries:
      description: >-
        In the order of their addresses, C(address) (or a network), C(expires) (a time in UTC; null
        for ever), C(hits), C(hosts) that saw it (none where only an earlier list has it) and the
        C(reason) of the operator's own.
      type: list
      elements: dict
    text:
      description: The same, one line for each, as it is written to the hosts.
      type: str
      sample: "192.0.2.7 2026-11-29T08:00:00Z 48"
    networks:
      description: How many of them are networks.
      type: int
    left_out:
      description: How many were left out for the limit.
      type: int
    problem:
      description: What makes no sense in the settings, and what to do; empty where all is well.
      type: str
    notes:
      description: Sentences about what was left out.
      type: list
      elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError


def shared_bans(
    evidence: Any, plans: Any = None, earlier: Any = (), describe: bool = True, **settings: Any
) -> dict[str, Any]:
    """See DOCUMENTATION. Raises AnsibleFilterError for a setting that there is not."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.shared_bans import (
        Settings,
        SharedBansError,
    )
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.shared_bans import (
        shared_bans as choose,
    )

    given = {name: value for name, value in settings.items() if value is not None}
    hosts = {
        name: {"evidence": document, "plan": (plans or {}).get(name)}
        for name, document in evidence.items()
    }
    try:
        chosen = {**choose(hosts, Settings(**given), earlier), "problem": ""}
    except TypeError as error:
        raise AnsibleFilterError(f"shared_bans does not take this: {error}") from error
    except SharedBansError as error:
        return {**choose({}, Settings()), "problem": str(error)}
    if not describe:
        del chosen["entries"]
    return chosen


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"shared_bans": shared_bans}
