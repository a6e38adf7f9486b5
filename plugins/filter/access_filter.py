# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make a fail2ban filter for an access log from the log's format."""

from __future__ import annotations

DOCUMENTATION = r"""
name: access_filter
version_added: 0.3.0
author: The wpward maintainers
short_description: Make a fail2ban filter for an access log from the log's format
description:
  - For hosts where the deny log cannot be had. The filter finds the clients that ask for an
    endpoint by its path. It spells out each line from its beginning, so that a query, a referer, a
    user agent or the name of a basic-auth user counts for nothing, and a line's cost is bounded
    however long it is.
  - Counts what was answered with 200, with 400 or more, or not at all; redirects and 400 do not
    count.
  - Formats in which a client could move the fields, or which lack the address, are refused.
positional: _input, server
options:
  _input:
    description:
      - Text of the format as the evidence of M(wpward.wordpress.probe) has it, or a name that the
        server itself knows, such as V(combined).
    type: str
    required: true
  server:
    description: Whose format it is.
    type: str
    choices: [nginx, httpd]
    required: true
  endpoint:
    description: Id of an endpoint that has a path of its own.
    type: str
    default: xmlrpc
"""

EXAMPLES = r"""
- name: Show the filter for nginx's built-in format
  ansible.builtin.debug:
    msg: "{{ ('combined' | wpward.wordpress.access_filter('nginx')).content }}"
"""

RETURN = r"""
_value:
  description:
    - RV(_value.content) is the text of the filter's file, empty where there can be none.
    - RV(_value.refusal) is one sentence why there can be none, else empty.
  type: dict
"""

from typing import Any


def access_filter(text: str, server: str, endpoint: str = "xmlrpc") -> dict[str, str]:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils import access_filter as maker

    try:
        return {"content": maker.access_filter(text, server, endpoint), "refusal": ""}
    except maker.UnusableFormat as error:
        return {"content": "", "refusal": f"The log format {text!r} cannot be used: {error}."}


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"access_filter": access_filter}
