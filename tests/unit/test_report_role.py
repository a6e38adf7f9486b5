# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role, run by ansible-playbook for a small fleet without any host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Lose a host
      ansible.builtin.fail:
        msg: lost
      when: inventory_hostname == 'lost'
    - name: Pretend to have probed
      ansible.builtin.set_fact:
        probe_evidence: "{{ lookup('ansible.builtin.file', evidence) | from_json }}"
        probe_plan: "{{ lookup('ansible.builtin.file', plan) | from_json }}"
    - name: Pretend that two roles ran on one of them
      ansible.builtin.set_fact:
        capacity_plan: "{{ lookup('ansible.builtin.file', capacity) | from_json }}"
        capacity_result: {changed: true, files: [{path: /etc/x, action: created}]}
        capacity_notes: [n1]
        database_described:
          server: {version: v}
          tables: [{schema: blog, table: wp_log, rows_before: 70}]
        database_indexed:
          changed: true
          tables: [{schema: blog, table: wp_log, column: created, index: created, rows_before: 70}]
        database_purged:
          tables:
            - schema: blog
              table: wp_log
              index: present
              rows_before: 69
              deleted: 50
              remaining: 20
        recorder_plan: {program: atop}
      when: inventory_hostname == 'web2'
    - name: Report
      ansible.builtin.include_role:
        name: wpward.wordpress.report
"""
EVIDENCE = {
    "schema": 2,
    "nginx": {"version": "1.22.1"},
    "httpd": {"version": "2.4.62"},
    "vhosts": [{"server": "nginx", "fronts": ["x"]}, {"server": "httpd"}],
    "sites": [],
    "access": [],
    "problems": [{"id": "x", "message": "{{ 7 * 7 }} <b>"}],
}
PLAN = {
    "verdict": "attack",
    "sites": {},
    "findings": [
        {
            "id": f"f{number}",
            "severity": "high",
            "site": "s/",
            "title": "T",
            "message": f"m{number}",
        }
        for number in range(7)
    ],
    "remedies": [],
}
CAPACITY = {
    "refusal": "",
    "workers": [
        {"service": "php-fpm", "pool": "www", "setting": "pm.max_children", "before": 40}
        | {"after": 16, "each": 1, "reason": "16 fit."},
        {"service": "nginx", "pool": None, "setting": "worker_processes", "before": "auto"}
        | {"after": "auto", "each": None, "reason": "r"},
    ],
}


def run(folder: Path, reports: Path | None, *arguments: str) -> str:
    (folder / "play.yml").write_text(PLAY)
    (folder / "evidence.json").write_text(json.dumps(EVIDENCE))
    (folder / "plan.json").write_text(json.dumps(PLAN))
    (folder / "capacity.json").write_text(json.dumps(CAPACITY))
    variables = {
        # No host is ever asked anything: a connection that does not exist would fail at once.
        "ansible_connection": "ssh",
        "ansible_host": "wpward.invalid",
        "evidence": str(folder / "evidence.json"),
        "plan": str(folder / "plan.json"),
        "capacity": str(folder / "capacity.json"),
    }
    if reports:
        variables["wpward_report_directory"] = str(reports)
    without_pwd = {name: value for name, value in os.environ.items() if name != "PWD"}
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("-i", "web1,web2,lost,", "-e", json.dumps(variables)),
            *arguments,
            str(folder / "play.yml"),
        ],
        env={
            **without_pwd,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr


def test_a_run_in_check_mode_leaves_one_page_and_touches_no_host(tmp_path: Path) -> None:
    output = run(tmp_path, tmp_path / "reports", "--check")
    assert "unreachable=1" not in output
    assert output.count("changed=0") == 3
    (directory,) = (tmp_path / "reports").iterdir()
    assert directory.name.endswith("Z-probe")
    document = json.loads((directory / "web2.json").read_text())
    assert document["evidence"] == EVIDENCE
    assert document["plan"] == PLAN
    assert (document["outcome"], document["run"], document["checks"]) == ("probed", None, None)
    assert document["capacity_plan"] == CAPACITY
    assert document["recorder_plan"] == {"program": "atop"}
    (table,) = document["database_tables"]
    assert (table["rows_before"], table["index"], table["deleted"]) == (70, "created", 50)
    assert document["remedies"]["database"] == {"changed": True}
    assert document["remedies"]["capacity"]["changed"] is True
    assert document["notes"] == ["n1"]
    without = json.loads((directory / "web1.json").read_text())
    for name in ("capacity_plan", "database_tables", "recorder_plan"):
        assert without[name] is None
    assert without["remedies"]["database"] is None
    assert output.count("workers  php-fpm www: pm.max_children 40 -> 16; 16 fit.") == 1
    assert "worker_processes" not in output
    assert output.count("table    blog.wp_log: index on created made") == 1
    assert output.count("table    blog.wp_log: 69 rows, 50 would be deleted, 20 old ones") == 1
    page = (directory / "report.html").read_text()
    assert page.count('<section class="host"') == 3
    assert "It failed or could not be reached" in page
    assert "{{ 7 * 7 }} &lt;b&gt;" in page
    assert f"report   {directory}/report.html" in output
    assert "nginx 1.22.1, 1 virtual hosts, 1 of them in front of httpd" in output
    assert "server   httpd 2.4.62, 1 virtual hosts\n" in output
    assert "finding  high: s/: m4" in output
    assert "m5" not in output
    assert "and 2 more in the report" in output


def test_a_report_that_cannot_be_written_is_a_sentence_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    output = run(tmp_path, tmp_path / "reports")
    assert "problem  web1: the report could not be written to " in output
    assert "Set wpward_report_directory" in output
    assert output.count("failed=0") == 2


def test_without_pwd_the_reports_are_in_the_working_directory(tmp_path: Path) -> None:
    """As in a container of ansible-navigator, or a service."""
    output = run(tmp_path, None)
    (directory,) = (tmp_path / "wpward-reports").iterdir()
    assert f"report   {directory}/report.html" in output
