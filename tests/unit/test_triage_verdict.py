# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an operator reads of a host: on one screen, and what the plan says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.plugin_utils.plan import make_plan
from unit.plan_cases import CASES
from unit.plan_traffic import evenly, evidence, many, row

from wpward import cli, triage_verdict
from wpward.triage_verdict import HEIGHT, WIDTH, Way, commands, verdict

REPORT = "wpward-reports/20261122T120000Z-triage/a-host-with-a-rather-long-name.blog.example.json"


def shown(document: dict[str, Any]) -> list[str]:
    return verdict(Way("blog.example"), document, make_plan(document), REPORT)


def labels(lines: list[str]) -> list[str]:
    return [line[:9].strip() for line in lines[1:] if line[:9].strip()]


@pytest.mark.parametrize("name", CASES)
def test_it_fits_a_screen_and_answers_what_an_attack_raises(name: str) -> None:
    case = CASES[name]
    document = case.make()
    lines = shown(document)
    assert sum(-(-len(line) // WIDTH) for line in lines) < HEIGHT, "\n".join(lines)
    cut = [line for line in lines if "wpward harden" not in line and REPORT not in line]
    assert max(map(len, cut)) <= WIDTH
    assert all(map(str.isprintable, lines))
    assert {"what", "next", "report"} <= set(labels(lines))
    attacked = {"xmlrpc_attack", "xmlrpc_low_and_slow", "login_attack"}
    found = {one.partition(" ")[0] for one in case.findings}
    assert ({"from", "since"} <= set(labels(lines))) == bool(found & attacked)
    assert lines[0].startswith(f"blog.example: {triage_verdict._HEADLINES[case.verdict]}")


FLOOD = [row(evenly(7200, 0.5, many(9)))]


def test_everything_at_once_still_fits() -> None:
    workers = [{"service": name, "count": 200} for name in ("httpd", "nginx", "php-fpm")]
    now = {
        "load": [201.4, 180.0, 90.0],
        "cpus": 2,
        "pressure": {"cpu": {"some": {"avg10": 99.4}}},
        "memory": {"total": 1 << 30, "available": 1 << 24, "swap_total": 1 << 30, "swap_free": 0},
        "workers": workers,
        "busiest": [{"name": f"php-fpm8.{n}", "cpu_share": 0.2} for n in range(9)],
        "connections": {},
        "disks": [],
        "open_files": {},
    }
    statements = [{"seconds": 4000, "text": "SELECT 1", "state": "", "schema": "", "user": "w"}]
    document = evidence(
        *FLOOD,
        now=now,
        database={"reachable": True, "statements": statements, "tables": [], "slow_log": {}},
        budget=[{"part": "access", "seconds": 20.0, "complete": False}],
        problems=[{"id": "log_time_budget", "message": "The log was not read to its end. " * 9}],
    )
    way = Way("blog.example", "deploy", 2222, Path("/etc/ssh/some where"), True)
    plan = make_plan(document)
    plan["findings"] *= 6
    lines = verdict(way, document, plan, REPORT)
    assert sum(-(-len(line) // WIDTH) for line in lines) < HEIGHT, "\n".join(lines)
    text = "\n".join(lines)
    assert "load 201.4 on 2 cores, something waited 99 % of 10 s" in text
    assert "16 MiB of 1.0 GiB left, 1.0 GiB swapped out" in text
    assert "1 statement running, up to 67 minutes" in text
    assert "access not read to the end" in text


def test_quiet_is_not_claimed_where_something_was_not_read() -> None:
    document = evidence(budget=[{"part": "access", "seconds": 20.0, "complete": False}])
    assert shown(document)[0] == "blog.example: NOT CERTAIN: no attack in what could be read"


def test_the_command_line_reaches_the_same_host_and_is_one_that_wpward_takes() -> None:
    document = evidence(*FLOOD)
    plan = make_plan(document)
    way = Way("blog.example", "deploy", 2222, Path("/etc/ssh/some where"), True)
    aid, line = commands(way, document, plan, aided=False)
    assert aid == "wpward triage --contain -p 2222 -K -F '/etc/ssh/some where' deploy@blog.example"
    assert commands(way, document, plan, aided=True) == [line]
    words = shlex.split(line)
    assert words[:6] == ["wpward", "harden", "-i", "blog.example,", "-u", "deploy"]
    options = cli._parser().parse_args(words[1:])
    assert options.ask_become_pass
    (extra,) = options.extra_vars
    assert json.loads(extra) == {
        "ansible_port": 2222,
        "ansible_ssh_common_args": "-F '/etc/ssh/some where'",
    }


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"run": "contain-1", "until": "2026-11-23T22:41:09Z", "ways": ["nginx"], "open": []},
            "aid: XML-RPC is closed by nginx until 2026-11-23T22:41:09Z.",
        ),
        (
            {"ways": ["httpd"], "open": ["POST /xmlrpc.php came back with 200.", "x"]},
            "aid holds, but STILL OPEN: POST /xmlrpc.php came back with 200. (and 1 more)",
        ),
        ({"failure": "No WordPress was found."}, "FAILED, nothing was changed: No WordPress was"),
    ],
)
def test_what_came_of_first_aid_stands_on_the_screen(told: dict[str, Any], expected: str) -> None:
    document = evidence(*FLOOD)
    lines = verdict(Way("blog.example"), document, make_plan(document), "x.json", told)
    text = " ".join(" ".join(lines).split())
    assert expected in text
    assert len(lines) < HEIGHT and all(len(line) <= WIDTH for line in lines[:3])
    assert "wpward triage --contain" not in text


def test_first_aid_of_before_is_named_and_is_not_the_end_of_it() -> None:
    held = {"run": "contain-1", "until": "2026-11-23T22:41:09Z"}
    for rows in (FLOOD, ()):
        text = "\n".join(shown(evidence(*rows, first_aid=held)))
        assert "aid holds until 2026-11-23T22:41:09Z" in text
        assert "wpward harden -i blog.example," in text
        assert "triage --contain" not in text and "nothing to do" not in text


def test_who_needs_jetpack_keeps_it() -> None:
    document = CASES["low_and_slow_beneath_jetpack"].make()
    (line,) = commands(Way("blog.example"), document, make_plan(document), aided=False)
    assert '"wpward_trusted_services": ["jetpack"]' in line


def test_what_an_attacker_sends_cannot_act_on_the_terminal() -> None:
    document = evidence(row(evenly(7200, 0.5, ["\x1b[2Jx\r\n"]), site="\x1b]0;x\x07.example/"))
    assert all(line.isprintable() for line in shown(document))


@pytest.mark.parametrize(
    ("problem", "certain"), [("log_unreadable", False), ("httpd_not_running", True)]
)
def test_what_may_hide_an_attack_makes_it_uncertain(problem: str, certain: bool) -> None:
    document = evidence(problems=[{"id": problem, "message": "Something is so."}])
    assert triage_verdict.complete(document) == certain
    assert ("NOT CERTAIN" in shown(document)[0]) != certain
