# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what fail2ban has to do on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bans_plan
version_added: 0.3.0
author: The wpward maintainers
short_description: Say what fail2ban has to do on a host
description:
  - From the evidence, the policy and who stands in front of the host, the jails, where they ban and
    whom they never ban. The thresholds are the catalogue's.
  - What makes no sense is told in RV(_value.refusal) instead of failing, so that a role can name
    the host and say it in one sentence.
positional: _input, checked, real_ip, settings
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  checked:
    description: What P(wpward.wordpress.policy#filter) returns.
    type: dict
    required: true
  real_ip:
    description: What P(wpward.wordpress.real_ip_plan#filter) returns.
    type: dict
    required: true
  settings:
    description: What the operator wants.
    type: dict
    required: true
    suboptions:
      seconds:
        description: How long a first ban lasts.
        type: int
        required: true
      max_seconds:
        description: How long a ban lasts at most.
        type: int
        required: true
      layer:
        description: Where to ban.
        type: str
        choices: [auto, packet, http]
        required: true
      extra_actions:
        description: Further lines for the jails' option C(action).
        type: list
        elements: str
        required: true
      trusted_services:
        description: Services whose published ranges are never banned, such as V(jetpack).
        type: list
        elements: str
        required: true
      login:
        description: Whether failed logins are counted.
        type: bool
        required: true
      deny_logs:
        description: By web server, the log of what it refuses.
        type: dict
        required: true
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: >-
      {{ probe_evidence | wpward.wordpress.bans_plan(
         {} | wpward.wordpress.policy, probe_evidence | wpward.wordpress.real_ip_plan, settings) }}
  vars:
    settings:
      seconds: 600
      max_seconds: 604800
      layer: auto
      extra_actions: []
      trusted_services: [jetpack]
      login: true
      deny_logs: {nginx: /var/log/nginx/wpward-deny.log, httpd: /var/log/apache2/wpward-deny.log}
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    active:
      description: Whether there is any jail.
      type: bool
    layer:
      description: V(packet) where the packet filter bans, V(http) where the web server does.
      type: str
    manager:
      description: What the host manages its packet filter with; none where it has none.
      type: str
    action:
      description: The lines of a jail's option C(action).
      type: list
      elements: str
    jails:
      description: C(name), C(filter), C(rule), C(logs), C(max_refusals), C(find_seconds) of each,
        and C(seconds) where it bans for a time of its own.
      type: list
      elements: dict
    filters:
      description:
        - By name, the text of fail2ban's filters for the sites' own access logs. It is empty where
          there is a deny log to read.
      type: dict
    ports:
      description: The ports of the virtual hosts, which a ban closes.
      type: list
      elements: int
    ignore:
      description: Networks that are never banned.
      type: list
      elements: str
    servers:
      description: The web servers that refuse requests.
      type: list
      elements: str
    packages:
      description: Packages that are missing.
      type: list
      elements: str
    installer:
      description: What installs them, V(apt) or V(dnf).
      type: str
    refusal:
      description: Why there can be no bans, in one sentence; empty where there can.
      type: str
    notes:
      description: What the operator should know, one sentence each.
      type: list
      elements: str
"""

from typing import Any

from ansible.utils.unsafe_proxy import wrap_var


def _plan(evidence: Any, checked: Any, real_ip: Any, settings: Any) -> Any:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.bans_plan import bans_plan

    # Its sentences quote settings and file names: no later task may take them for a template.
    return wrap_var(bans_plan(evidence, checked, real_ip, settings))


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"bans_plan": _plan}
