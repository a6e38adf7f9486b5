# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say which recorder a host shall have, and for how long it and the web servers' logs are kept."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recorder_plan
version_added: 0.3.0
author: The wpward maintainers
short_description: Say which recorder a host shall have, and how long logs are kept
description:
  - Chooses the recorder of processes, memory and I/O from the evidence. One that runs stays; its
    interval is only ever made shorter. It asks nobody and changes nothing.
  - Raises the number of rotated access logs that logrotate keeps, never lowers it.
  - What would take more than the allowed share of the free disk is refused, in one sentence each.
positional: _input, settings
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  settings:
    description:
      - C(interval) in seconds, C(keep_days) of the recorder, C(logs_keep_days) of the access logs
        (0 leaves them alone), and C(disk_share), the share of what a file system has free that all
        of it may take together.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what would be kept
  ansible.builtin.debug:
    msg: >-
      {{ probe_evidence | wpward.wordpress.recorder_plan(
           {'interval': 60, 'keep_days': 28, 'logs_keep_days': 30, 'disk_share': 0.2}) }}
"""

RETURN = r"""
_value:
  description: What to do.
  type: dict
  contains:
    refusal:
      description: Which setting makes no sense, in one sentence; empty where all do.
      type: str
    program:
      description: V(atop), V(sysstat), V(pcp), or null where there is none and will be none.
      type: str
    unit:
      description: The systemd unit that is set up; null where none is.
      type: str
    set_up:
      description: Whether the recorder needs settings of ours.
      type: bool
    packages:
      description: Packages that are missing.
      type: list
      elements: str
    installer:
      description: What installs them, V(apt) or V(dnf).
      type: str
    values:
      description: >-
        C(interval) in seconds; C(keep_days), null where the operator's own holds; C(calendar), the
        interval as a timer of systemd's takes it.
      type: dict
    ran:
      description: Whether the recorder ran before.
      type: bool
    started_at_boot:
      description: Whether the recorder started with the host before.
      type: bool
    rotation:
      description: Files of M(wpward.wordpress.transaction), edits of logrotate's configuration.
      type: list
      elements: dict
    estimates:
      description: >-
        C(recorder), null or C(bytes_per_day), C(days) and C(bytes) beside C(mount) and
        C(disk_available); and C(logs), for each C(file) its C(patterns), C(days_before), C(days)
        and how many more C(bytes) that takes.
      type: dict
    refusals:
      description: What would not fit on the disk, or cannot be edited, one sentence each.
      type: list
      elements: str
    notes:
      description: What the operator should know, one sentence each.
      type: list
      elements: str
"""

from typing import Any

from ansible.utils.unsafe_proxy import wrap_var


def _plan(evidence: Any, settings: Any) -> Any:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.recorder_plan import (
        recorder_plan,
    )

    # Its sentences quote file names: no later task may take them for a template.
    return wrap_var(recorder_plan(evidence, settings))


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"recorder_plan": _plan}
