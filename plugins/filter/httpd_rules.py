# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say the catalogue in Apache httpd's language."""

from __future__ import annotations

DOCUMENTATION = r"""
name: httpd_rules
version_added: 0.1.0
author: The wpward maintainers
short_description: Say the catalogue of endpoints in Apache httpd's language
description:
  - Turns a checked policy into conditions for httpd's C(<If>), which decide as the nginx maps of
    P(wpward.wordpress.nginx_rules#filter) do.
positional: _input, exempt
options:
  _input:
    description: What P(wpward.wordpress.policy#filter) returns.
    type: dict
    required: true
  exempt:
    description:
      - Networks of peers whose requests are let through because they have judged them already. What
        counts is who made the connection, whatever client a header names.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what would be refused
  ansible.builtin.debug:
    msg: "{{ {} | wpward.wordpress.policy | wpward.wordpress.httpd_rules }}"
"""

RETURN = r"""
_value:
  description: What the template of role P(wpward.wordpress.endpoints#role) prints.
  type: dict
  contains:
    active:
      description: Whether any endpoint is not open.
      type: bool
    rules:
      description:
        - The rules, of which at most one holds for a request. C(endpoint) is its name, C(when) the
          expression.
      type: list
      elements: dict
"""

from typing import Any


def httpd_rules(checked: dict[str, Any], exempt: list[str] | None = None) -> dict[str, Any]:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_rules import (
        httpd_rules as rules,
    )

    return rules(checked["policy"], checked["trusted"], exempt or [])


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"httpd_rules": httpd_rules}
