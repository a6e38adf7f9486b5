# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""harden.yml with wpward_mode evidence: only what the findings call for is done."""

from __future__ import annotations

import time
from collections.abc import Callable

from testbed import hosts, podman

from .conftest import MakeHost, Playbook

LOG = "/var/log/nginx/blog-access.log"


def report(run) -> dict:  # type: ignore[no-untyped-def, type-arg]
    (document,) = run.proven().reports.values()
    return document  # type: ignore[no-any-return]


def flood(seconds: int) -> str:
    """The lines of ten requests a second until now, from two addresses."""
    lines = []
    for number in range(seconds * 10):
        at = time.strftime(
            "%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - seconds + number // 10)
        )
        lines.append(
            f"203.0.113.{number % 2 + 1} - - [{at}] "
            '"POST //xmlrpc.php HTTP/1.1" 200 497 "-" "Mozilla/5.0"\n'
        )
    return "".join(lines)


def test_only_what_the_findings_call_for_is_done(
    make_host: MakeHost, playbook: Playbook, tree: Callable[[hosts.Host], str]
) -> None:
    host = make_host("mode")
    before = tree(host)

    quiet = playbook(host, "harden", wpward_mode="evidence")
    document = report(quiet)
    assert (document["outcome"], document["plan"]["verdict"]) == ("nothing_to_do", "quiet")
    assert quiet.changed(host.name) == 0
    assert quiet.executions == {host.name: 1}

    podman.execute(host.container, ["sh", "-c", f"cat >> {LOG}"], stdin=flood(seconds=180))
    everything_open = dict.fromkeys(
        ("xmlrpc", "author_by_id", "rest_users", "users_sitemap", "wlwmanifest"), "open"
    )
    left_open = playbook(host, "harden", wpward_mode="evidence", wpward_policy=everything_open)
    document = report(left_open)
    assert (document["outcome"], document["plan"]["verdict"]) == ("nothing_to_do", "attack")
    assert tree(host) == before

    document = report(playbook(host, "harden", wpward_mode="evidence", harden_roles=["endpoints"]))
    assert document["outcome"] == "confirmed"
    assert document["remedies"]["endpoints"]["changed"]
    assert not document["remedies"].get("guard")
    assert "xmlrpc_attack" in document["plan"]["remedies"][0]["findings"]

    playbook(host, "rollback").proven()
    assert tree(host) == before


def test_a_mode_or_a_threshold_that_makes_no_sense_is_one_sentence(
    make_host: MakeHost, playbook: Playbook
) -> None:
    host = make_host("mode", reset=False)
    for variables, words in (
        ({"wpward_mode": "evidently"}, ["evidently", "baseline, evidence"]),
        ({"wpward_thresholds": {"flood": 3}}, ["'flood'", "flood_per_minute"]),
    ):
        run = playbook(host, "harden", **variables)
        assert run.code == 2, run.output
        assert "Traceback" not in run.output
        assert run.executions.get(host.name, 0) == 0, run.executions
        for word in words:
            assert word in run.output, run.output
