# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say the catalogue in nginx's language."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nginx_rules
version_added: 0.1.0
author: The wpward maintainers
short_description: Say the catalogue of endpoints in nginx's language
description:
  - Turns a checked policy into the regular expressions and the verdicts of nginx maps.
options:
  _input:
    description: What P(wpward.wordpress.policy#filter) returns.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what would be matched
  ansible.builtin.debug:
    msg: "{{ {} | wpward.wordpress.policy | wpward.wordpress.nginx_rules }}"
"""

RETURN = r"""
_value:
  description: What the templates of role P(wpward.wordpress.endpoints#role) print.
  type: dict
  contains:
    active:
      description: Whether any endpoint is not open.
      type: bool
    trusted:
      description: Networks for which C($wpward_trusted) is 1.
      type: list
      elements: str
    paths:
      description: Pairs of a regular expression over C($uri), letter case ignored, and its token.
      type: list
      elements: list
    parameters:
      description:
        - Pairs of a regular expression over C($args), letter case counting, and its token. The
          first that matches wins.
      type: list
      elements: list
    everywhere:
      description: Endpoints whose parameters count in wp-admin and the REST API too.
      type: list
      elements: str
    verdicts:
      description:
        - Pairs of C(TRUSTED ANONYMOUS ENDPOINT) in one word and the endpoint that is refused then.
      type: list
      elements: list
"""

from typing import Any


def nginx_rules(checked: dict[str, Any]) -> dict[str, Any]:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_rules import (
        nginx_rules as rules,
    )

    return rules(checked["policy"], checked["trusted"])


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"nginx_rules": nginx_rules}
