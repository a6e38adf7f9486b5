# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say which limits of open files and which numbers of workers suit a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: capacity_plan
version_added: 0.3.0
author: The wpward maintainers
short_description: Say which limits and numbers of workers suit a host
description:
  - Tells from the evidence how many workers of PHP the memory of a host carries, and how many open
    files each service is to be given. It asks nobody and changes nothing.
  - A maximum of workers that does not fit in memory is lowered. It is raised only where the
    processors are idle with it and every worker would still fit at PHP's C(memory_limit).
  - A maximum that is at most a tenth too high, or at least three fourths of what suits, is kept, so
    that a second run changes nothing.
  - What makes no sense is told in RV(_value.refusal) instead of failing, so that a role can name
    the host and say it in one sentence.
positional: _input, settings
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  settings:
    description: What the operator wants.
    type: dict
    default: {}
    suboptions:
      nofile:
        description: Open files for every process, as far as the host allows.
        type: int
        default: 16384
      workers:
        description: Whether numbers of workers are planned at all.
        type: bool
        default: true
      reserve:
        description: Share of the memory that is kept for the system.
        type: float
        default: 0.25
      pool_weights:
        description: >-
          Weight of a pool of php-fpm by its name, and of httpd as C(httpd) where it runs PHP
          itself; 1 for each that is not named.
        type: dict
        default: {}
      per_cpu:
        description: >-
          PHP workers for each processor. The bare WordPress takes about 20 ms of a processor for a
          page; the rest of the time a worker waits for the database or for other servers.
        type: int
        default: 8
"""

EXAMPLES = r"""
- name: Show how many workers fit, and why
  ansible.builtin.debug:
    msg: "{{ (probe_evidence | wpward.wordpress.capacity_plan).arithmetic }}"

- name: Give one pool three times the memory of each other
  ansible.builtin.debug:
    msg: "{{ (probe_evidence | wpward.wordpress.capacity_plan(settings)).workers }}"
  vars:
    settings: {pool_weights: {shop: 3}}
"""

RETURN = r"""
_value:
  description: The limits and numbers.
  type: dict
  contains:
    refusal:
      description: What makes no sense and what to do, in one sentence; empty where all is well.
      type: str
    notes:
      description: Sentences for the operator.
      type: list
      elements: str
    arithmetic:
      description: >-
        From the memory down to the workers, line by line: C(what), C(bytes) and C(how) the number
        came about.
      type: list
      elements: dict
    workers:
      description: >-
        Each maximum: C(service), C(pool) (null for httpd), C(setting), its value C(before) and
        C(after), the bytes that C(each) worker takes (PSS), the C(limit) that decided (V(memory),
        V(cpu), V(queue) or V(kept)), and the C(reason) in a sentence. V(queue) is for the requests
        of a process of httpd that may be with a pool at a time.
      type: list
      elements: dict
    predicted:
      description: "C(bytes): the PSS of all workers together, when there are as many as may be."
      type: dict
    services:
      description: >-
        Each service: C(service), its C(unit), the open files it is to be given in C(nofile) and the
        C(dropin) for that (both null where what is there stays), C(apachectl_ulimit) (whether
        APACHE_ULIMIT_MAX_FILES has to say it too), C(file_entries) (files for
        M(wpward.wordpress.transaction)) and C(settings) (the numbers for the service's own
        configuration; of php-fpm in C(pools), of mod_proxy in C(fcgi); empty where what is there
        stays as it is, with what an earlier run wrote).
      type: list
      elements: dict
    accounts:
      description: Users as whom the services work, for the limits of their login shells.
      type: list
      elements: str
"""

from typing import Any

from ansible.utils.unsafe_proxy import wrap_var


def _plan(evidence: Any, settings: Any = None) -> Any:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.capacity_plan import (
        capacity_plan,
    )

    # Its sentences quote the host's own configuration: no later task may take them for a template.
    return wrap_var(capacity_plan(evidence, settings))


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"capacity_plan": _plan}
