# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say why no plan can be made with an operator's settings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_problem
version_added: 0.2.0
author: The wpward maintainers
short_description: Say why no plan can be made with an operator's settings
description:
  - Checks the settings of P(wpward.wordpress.plan#filter) before there is any evidence, so that a
    role can name the host and say what is wrong in one sentence, without asking the host in vain.
positional: _input, thresholds, trusted
options:
  _input:
    description: Policy per endpoint.
    type: dict
    required: true
  thresholds:
    description: Numbers that replace defaults of the plan.
    type: dict
    default: {}
  trusted:
    description: Addresses and networks whose requests have a reason.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse settings that make no sense
  ansible.builtin.assert:
    that: problem == ''
    fail_msg: "{{ inventory_hostname }}: {{ problem }}"
  vars:
    problem: "{{ {'xmlrpc': 'closed'} | wpward.wordpress.plan_problem({'slow_hours': 12}) }}"
"""

RETURN = r"""
_value:
  description: What makes no sense and what to do, in one sentence; empty where all is well.
  type: str
"""

from typing import Any


def plan_problem(policy: Any, thresholds: Any = None, trusted: Any = None) -> str:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import PlanError
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import SCHEMA, make_plan

    try:
        make_plan({"schema": SCHEMA}, policy, thresholds, trusted)
    except PlanError as error:
        return str(error)
    return ""


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"plan_problem": plan_problem}
