# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Complete and check what the operator wants for each endpoint."""

from __future__ import annotations

DOCUMENTATION = r"""
name: policy
version_added: 0.1.0
author: The wpward maintainers
short_description: Complete and check the policy per endpoint
description:
  - Merges the operator's policies over the catalogue's defaults, and puts the trusted networks into
    canonical notation.
  - A policy that makes no sense is told in RV(_value.problem) instead of failing, so that a role
    can name the host and say it in one sentence.
positional: _input, trusted
options:
  _input:
    description: V(closed), V(trusted) or V(open) per endpoint; those left out keep their default.
    type: dict
    required: true
  trusted:
    description:
      - Addresses and networks (CIDR, IPv4 or IPv6) for which a V(trusted) endpoint stays open.
      - Must not be empty where an endpoint is V(trusted), nor mean everybody.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse a policy that makes no sense
  ansible.builtin.assert:
    that: checked.problem == ''
    fail_msg: "{{ inventory_hostname }}: {{ checked.problem }}"
  vars:
    checked: "{{ {'xmlrpc': 'trusted'} | wpward.wordpress.policy(['192.0.2.7/32']) }}"
"""

RETURN = r"""
_value:
  description: The checked policy.
  type: dict
  contains:
    policy:
      description: The policy of every endpoint; empty where there is a problem.
      type: dict
    trusted:
      description: The networks in canonical notation; empty where there is a problem.
      type: list
      elements: str
    problem:
      description: What makes no sense and what to do, in one sentence; empty where all is well.
      type: str
"""

from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    check_policy,
)


def policy(wanted: Any, trusted: Any = None) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        complete, networks = check_policy(wanted, trusted)
    except PolicyError as error:
        return {"policy": {}, "trusted": [], "problem": str(error)}
    return {"policy": complete, "trusted": networks, "problem": ""}


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"policy": policy}
