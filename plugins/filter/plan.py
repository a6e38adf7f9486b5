# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what is wrong with a host, and what to do."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
version_added: 0.2.0
author: The wpward maintainers
short_description: Say what is wrong with a host, and what to do
description:
  - Judges each site's traffic, the error logs, the host's state, its database and its
    configuration, as the probe found them, and says which remedies that calls for. It asks nobody
    and changes nothing; the same evidence gives the same plan.
  - Whether a site is under attack is judged by the site and not only by the address, so that an
    attack from addresses that change with every request is seen. What is known to have a reason is
    taken out first. That is Jetpack from its published addresses, genuine search bots, trusted
    clients, the host itself and the operator's session, and apps and editors that behave as such.
  - Every finding is explained in docs/findings.md, with what to do by hand.
positional: _input, policy, thresholds
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  policy:
    description:
      - Policy per endpoint, merged over the catalogue's defaults. What is V(open) is never planned
        to be closed.
    type: dict
    default: {}
  thresholds:
    description:
      - Numbers that replace defaults, such as C(flood_per_minute) with V(120). Names, units,
        defaults and reasons are in docs/findings.md.
    type: dict
    default: {}
  trusted:
    description: Addresses and networks whose requests have a reason.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Make the plan
  ansible.builtin.set_fact:
    plan: "{{ probe_evidence | wpward.wordpress.plan({'xmlrpc': 'closed'}) }}"

- name: Draw the line higher on a site whose own programs use XML-RPC a lot
  ansible.builtin.debug:
    msg: "{{ (probe_evidence | wpward.wordpress.plan({}, {'rise_per_minute': 40})).findings }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    verdict:
      description: The worst verdict, of the sites and of the database.
      type: str
      sample: attack
    sites:
      description: >-
        V(quiet), V(probing), V(aftermath) (an attack is over and still does harm) or V(attack) by
        the site's id.
      type: dict
    findings:
      description: >-
        What is wrong, the most severe first. C(id), C(severity) (V(critical), V(high), V(medium)
        or V(low)), C(site) (null for the whole host), C(verdict), C(title), C(message) (one
        sentence with the numbers) and C(rests_on) (where in the evidence that is).
      type: list
      elements: dict
    remedies:
      description: >-
        What the findings call for, in order of application. C(role), C(automated) (whether this
        collection does it on this host), C(parameters) of the role, C(reason) and C(findings)
        (their ids).
      type: list
      elements: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var


def plan(
    evidence: Any, policy: Any = None, thresholds: Any = None, trusted: Any = None
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import PlanError
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan

    try:
        made = make_plan(evidence, policy, thresholds, trusted)
    except PlanError as error:
        raise AnsibleFilterError(str(error)) from error
    # Its sentences quote logs, whose words attackers choose: no later task may take them for a
    # template, which ansible-core 2.18 would if they were not marked.
    wrapped: dict[str, Any] = wrap_var(made)
    return wrapped


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"plan": plan}
