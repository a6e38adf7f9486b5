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
  - The page needs no network and no script, and holds whatever came from the host as plain text.
options:
  directory:
    description:
      - Directory of the run on the controller. It is made with mode C(0700), its files have
        C(0600), since the evidence names clients and server internals.
    type: path
    required: true
  run:
    description: The run's id; empty where nothing could be changed.
    type: str
    default: ""
  outcome:
    description: What came of the run on this host, such as V(confirmed) or V(probed).
    type: str
    required: true
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
"""
