# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps the controller's tests out where only the library's own needs are installed."""

from __future__ import annotations

from importlib.util import find_spec

from hypothesis import HealthCheck, settings

# The verdict depends neither on chance nor on how busy the machine is; `make fuzz` searches on.
settings.register_profile("suite", deadline=None, derandomize=True)
# Another Python needs no other examples than the first few.
settings.register_profile("few", max_examples=15, deadline=None, derandomize=True)
settings.register_profile(
    "search", max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("suite")

# The library is tested on the servers' Pythons too, without anything of the controller.
collect_ignore = (
    []
    if find_spec("ansible")
    else [
        "test_bans_plan.py",
        "test_access_filter.py",
        "test_awx.py",
        "test_bypass.py",
        "test_capacity_plan.py",
        "test_fcgi_limits.py",
        "test_capacity_properties.py",
        "test_capacity_settings.py",
        "test_capacity_role.py",
        "test_cli.py",
        "test_signals.py",
        "test_live_keepalive.py",
        "test_cli_events.py",
        "test_cli_interrupt.py",
        "test_cli_result.py",
        "test_database_role.py",
        "test_endpoints_role.py",
        "test_finding_catalogue.py",
        "test_fleet_plan.py",
        "test_fleet_run.py",
        "test_fleet_report.py",
        "test_guard_role.py",
        "test_html_report.py",
        "test_interruptions.py",
        "test_judgement.py",
        "test_networks_refresh.py",
        "test_nginx_config_oracle.py",
        "test_open_file_limits.py",
        "test_plan.py",
        "test_preserved_evidence.py",
        "test_real_ip_plan.py",
        "test_real_ip_role.py",
        "test_recorder_plan.py",
        "test_report_directory.py",
        "test_report_role.py",
        "test_rollout_batches.py",
        "test_runbook.py",
        "test_service_networks.py",
        "test_shared_bans.py",
        "test_shared_bans_role.py",
        "test_svg_plot.py",
        "test_testbed.py",
        "test_testbed_big_log.py",
        "test_testbed_flood.py",
        "test_triage.py",
        "test_triage_config.py",
        "test_triage_session.py",
        "test_triage_stream.py",
        "test_triage_verdict.py",
        "test_verify_filters.py",
        "test_worker_budget.py",
        "test_wpward_logs.py",
    ]
)
