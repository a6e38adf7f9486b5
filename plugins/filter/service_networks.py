# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The published networks of services that have a use for XML-RPC."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_networks
version_added: 0.3.0
author: The wpward maintainers
short_description: The published networks of services that have a use for XML-RPC
description:
  - Gives the address ranges that a service has published, so that it can be trusted by its name.
    The table is dated; C(wpward networks) shows and refreshes it.
options:
  _input:
    description: Names of services. V(jetpack) is known.
    type: list
    elements: str
    required: true
  beside:
    description:
      - Networks that are trusted already; they come first. What is no list of networks is given
        back as it is, for whoever judges it.
    type: raw
    default: []
"""

EXAMPLES = r"""
- name: Trust the office and Jetpack
  ansible.builtin.set_fact:
    trusted: "{{ ['jetpack'] | wpward.wordpress.service_networks(['192.0.2.7/32']) }}"
"""

RETURN = r"""
_value:
  description: Networks in CIDR notation, without repetition.
  type: list
  elements: str
"""

from collections.abc import Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

SERVICES = ("jetpack",)


def service_networks(names: Any, beside: Any = ()) -> Any:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import (
        RANGES,
    )

    if isinstance(names, (str, bytes)) or not isinstance(names, Sequence):
        raise AnsibleFilterError(
            f"The trusted services must be a list such as [jetpack], not {names!r}."
        )
    for name in names:
        if name not in SERVICES:
            raise AnsibleFilterError(
                f"The trusted service {name!r} is not known; known are: {', '.join(SERVICES)}. "
                "Name the networks of any other service in wpward_trusted."
            )
    found = [network for name in dict.fromkeys(names) for network in RANGES[name].split()]
    return [*beside, *found] if isinstance(beside, (list, tuple)) else beside


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"service_networks": service_networks}
