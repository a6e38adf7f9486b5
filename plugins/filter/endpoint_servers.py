# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say which web servers of a host have to refuse requests."""

from __future__ import annotations

DOCUMENTATION = r"""
name: endpoint_servers
version_added: 0.1.0
author: The wpward maintainers
short_description: Say which web servers of a host have to refuse requests
description:
  - A request is refused by the outermost server. So httpd need not refuse what only an nginx in
    front of it can ask for, unless the server blocks of that nginx must not be edited.
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the servers
  ansible.builtin.debug:
    msg: "{{ probe_evidence | wpward.wordpress.endpoint_servers }}"
"""

RETURN = r"""
_value:
  description: C(nginx) and C(httpd), of each what follows.
  type: dict
  contains:
    serves:
      description: Whether clients reach WordPress there, so that it has to refuse requests.
      type: bool
    touched:
      description:
        - Whether its files are looked at, because it serves WordPress or because there is something
          of ours left in a server that could be reloaded.
      type: bool
    exempt:
      description: Networks of the proxies that have judged their requests already.
      type: list
      elements: str
"""

from typing import Any


def endpoint_servers(evidence: dict[str, Any]) -> Any:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.module_utils import serving

    return serving.endpoint_servers(evidence)


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"endpoint_servers": endpoint_servers}
