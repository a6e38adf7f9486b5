# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Choose a loopback address that the web server does not trust."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verify_source
version_added: 0.1.0
author: The wpward maintainers
short_description: Choose a loopback address that the web server does not trust
description:
  - Linux lets a client come from any address of C(127.0.0.0/8). One that is in no trusted network
    makes the host its own untrusted client, which proves a refusal without leaving the host.
positional: _input
options:
  _input:
    description: Trusted networks (CIDR).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Prove the refusals on the host
  wpward.wordpress.http_checks:
    checks: "{{ checks }}"
    source_address: "{{ trusted | wpward.wordpress.verify_source }}"
"""

RETURN = r"""
_value:
  description: The address; an empty string where all of them are trusted.
  type: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    is_trusted,
)

# Far apart, so that no one network in practical use holds them all; 127.0.0.1 stands last, since
# servers like to trust it in other places than ours.
_CANDIDATES = ("127.8.8.8", "127.77.13.9", "127.200.1.2", "127.0.0.1")


def verify_source(trusted: list[str]) -> str:
    """See DOCUMENTATION. Raises AnsibleFilterError for a network that is none."""
    try:
        return next((one for one in _CANDIDATES if not is_trusted(one, trusted)), "")
    except PolicyError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"verify_source": verify_source}
