#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of the same name, where Ansible looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Keep what was found, changed and proven, as JSON and as one HTML page
version_added: 0.2.0
author: The wpward maintainers
description:
  - Writes a JSON document for the host and an HTML page for all hosts of the run, on the
    controller.
  - It runs in the controller's own process. Nothing is started on the managed host.
  - Hosts of the play that failed or could not be reached stand on the page too, as soon as one
    other host writes it. Hosts may write at the same time.
  - With O(stage=begun) and O(stage=ended), once per batch, every host has a document from the
    start, and those that cannot be reached or that the rollout does not come to are named.
  - The page needs no network and no script, and holds whatever came from the host as plain text.
options:
  stage:
    description:
      - V(begun) notes that the hosts of the batch begin and that the others are still to come;
        V(host) reports on one host; V(ended) notes what became of hosts that cannot say it, and
        sums up the fleet. V(unreachable) writes nothing and has Ansible count the host as
        unreachable, because of O(failure).
    version_added: 0.3.0
    type: str
    choices: [begun, host, ended, unreachable]
    default: host
  hosts:
    description:
      - Every host of the run, also those that tasks no longer run for. By default those of the
        play.
    version_added: 0.3.0
    type: list
    elements: str
    default: []
  directory:
    description:
      - Directory of the run on the controller. It is made with mode C(0700), its files have
        C(0600), since the evidence names clients and server internals.
      - Needed with O(stage=begun) and O(stage=host); without it V(ended) only counts.
    type: path
  confirm_within:
    description: Seconds after its last change within which a lost host puts itself back.
    version_added: 0.3.0
    type: int
    default: 300
  run:
    description: The run's id; empty where nothing could be changed.
    type: str
    default: ""
  outcome:
    description: What came of the run on this host, such as V(confirmed) or V(probed).
    type: str
    default: ""
  failure:
    description: Why, where it went wrong.
    type: str
    default: ""
  evidence:
    description: What M(wpward.wordpress.probe) returned.
    type: dict
    default: {}
  plan:
    description: What the filter P(wpward.wordpress.plan#filter) made of the evidence.
    type: dict
    default: {}
  remedies:
    description:
      - By role, what M(wpward.wordpress.transaction) returned. The texts of a diff are not kept,
        only how many lines each file gained and lost.
    type: dict
    default: {}
  checks:
    description: What the filter P(wpward.wordpress.verify_result#filter) returned.
    type: dict
    default: {}
  seen:
    description: By vantage, what M(wpward.wordpress.http_checks) returned.
    type: dict
    default: {}
  notes:
    description: Sentences of the remedies for the operator.
    type: list
    elements: str
    default: []
  capacity_plan:
    description: What the filter P(wpward.wordpress.capacity_plan#filter) made of the evidence.
    version_added: 0.3.0
    type: dict
    default: {}
  database_tables:
    description:
      - The tables that M(wpward.wordpress.log_tables) returned, of each call, one after the other.
        What they say about one table is put together.
    version_added: 0.3.0
    type: list
    elements: dict
    default: []
  recorder_plan:
    description: What the filter P(wpward.wordpress.recorder_plan#filter) made of the evidence.
    version_added: 0.3.0
    type: dict
    default: {}
attributes:
  check_mode:
    description: Writes the report in check mode as well; it changes no server.
    support: full
  diff_mode:
    description: There is never a difference to show.
    support: none
"""

EXAMPLES = r"""
- name: Keep the evidence
  wpward.wordpress.report:
    directory: "{{ playbook_dir }}/wpward-reports/monday"
    outcome: probed
    evidence: "{{ probe_evidence }}"
"""

RETURN = r"""
path:
  description: The HTML page on the controller.
  type: str
  returned: success
  sample: /home/operator/wpward-reports/20261121T120000Z-ab12cd/report.html
stops:
  description: Hosts for which a rollout ends, since they are not proven.
  type: list
  elements: str
  returned: O(stage=ended)
waiting:
  description: How many hosts the rollout has not come to.
  type: int
  returned: O(stage=ended)
left:
  description: Hosts to resume with.
  type: list
  elements: str
  returned: O(stage=ended)
left_file:
  description: File that holds them, one a line, for C(--limit @FILE).
  type: str
  returned: O(stage=ended) with a directory
summary:
  description: How the fleet stands, in lines to print.
  type: list
  elements: str
  returned: O(stage=ended)
problem:
  description: Why something could not be written; else empty.
  type: str
  returned: O(stage=ended)
"""
