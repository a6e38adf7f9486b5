# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say who stands in front of a host, and which of its web servers has to be told so."""

from __future__ import annotations

DOCUMENTATION = r"""
name: real_ip_plan
version_added: 0.3.0
author: The wpward maintainers
short_description: Say who stands in front of a host
description:
  - Tells from the evidence whether clients reach a host through a delivery network or a proxy,
    whose addresses those are, and in which header they name the client. It asks nobody and changes
    nothing.
  - Settings of the web server's own for the client's real address (C(set_real_ip_from),
    C(RemoteIPHeader)) are left alone and believed.
  - What makes no sense is told in RV(_value.refusal) instead of failing, so that a role can name
    the host and say it in one sentence.
positional: _input, cdn, networks, header
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
  cdn:
    description:
      - V(auto) decides by what the access logs show, as finding C(behind_cdn) does; published
        networks are known by their ranges. Where a local address sends most of an attack, that is
        most likely a proxy of the operator's own; nothing it says is trusted then, but it must not
        be banned either.
      - V(none) says that clients connect to the host themselves.
      - V(custom) is any other network or proxy, of which O(networks) are the addresses.
    type: str
    choices: [auto, none, cloudfront, cloudflare, fastly, custom]
    default: auto
  networks:
    description: Addresses and networks (CIDR) from which the proxy connects, for V(custom).
    type: list
    elements: str
    default: []
  header:
    description:
      - The header in which the client is named. Empty means C(X-Forwarded-For), and
        C(CF-Connecting-IP) for V(cloudflare).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show who stands in front
  ansible.builtin.debug:
    msg: "{{ (probe_evidence | wpward.wordpress.real_ip_plan).behind }}"

- name: Tell of a load balancer
  ansible.builtin.debug:
    msg: "{{ probe_evidence | wpward.wordpress.real_ip_plan('custom', ['192.0.2.0/28']) }}"
"""

RETURN = r"""
_value:
  description: What stands in front, and what to do.
  type: dict
  contains:
    behind:
      description: >-
        V(cloudfront), V(cloudflare), V(fastly), V(custom), V(configured) where the web server has
        settings of its own or of an earlier run, or null where clients connect themselves.
      type: str
    networks:
      description: Whose requests are passed on for others; they must never be banned.
      type: list
      elements: str
    header:
      description: Where the client is named; empty where nobody is believed.
      type: str
    active:
      description: Whether settings of ours are wanted in a web server of the host.
      type: bool
    refusal:
      description: What makes no sense and what to do, in one sentence; empty where all is well.
      type: str
    notes:
      description: Sentences for the operator.
      type: list
      elements: str
    nginx:
      description: >-
        C(state) of our settings there, which is V(present), V(absent) where an earlier run's are to
        be taken back, V(kept) where they stay as they are, or null where there are none and none
        are wanted; C(header); and C(trusted), the networks from which it is believed.
      type: dict
    httpd:
      description: >-
        The same, and C(internal), those of the proxies that are in a private network or, with
        nginx in front of httpd, on the host itself. Only these are believed when they name a client
        with a private address.
      type: dict
"""

from typing import Any

from ansible.utils.unsafe_proxy import wrap_var


def _plan(evidence: Any, cdn: Any = "auto", networks: Any = None, header: Any = "") -> Any:
    """See DOCUMENTATION."""
    # Imported here: to find one filter Ansible loads all of the collection's, in every worker.
    from ansible_collections.wpward.wordpress.plugins.plugin_utils.real_ip_plan import real_ip_plan

    # Its sentences quote settings and logs: no later task may take them for a template.
    return wrap_var(real_ip_plan(evidence, cdn, networks, header))


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"real_ip_plan": _plan}
