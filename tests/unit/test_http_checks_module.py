# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module's own part: what it says about bad arguments, and what it returns."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

pytest.importorskip("ansible")

from ansible.module_utils.testing import patch_module_args
from ansible_collections.wpward.wordpress.plugins.modules import http_checks

CHECK: dict[str, Any] = {
    "id": "one",
    "endpoint": "xmlrpc",
    "kind": "refuse",
    "site": "blog.example/",
    "connect": {"address": "127.0.0.1", "port": 1, "host": "blog.example"},
    "target": "//xmlrpc.php",
    "expect": {"status": [403]},
}


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args({"checks": [CHECK], **arguments}), pytest.raises(SystemExit):
        http_checks.main()
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"parallel": 0}, "parallel is 0, it must be at least 1"),
        ({"timeout": 0}, "timeout is 0.0, it must be at least 0.1"),
        ({"settle": -1}, "settle is -1.0, it must be at least 0"),
        ({"lines_kept": 1.5}, "lines_kept is 1.5, it must be from 0 to 1"),
        ({"source_address": "localhost"}, "source_address is 'localhost', which is not an IP"),
        ({"seen_as": "192.0.2.300"}, "seen_as is '192.0.2.300', which is not an IP"),
        ({"trusted": ["0.0.0.0/0"]}, "0.0.0.0/0"),
        ({"checks": [CHECK, CHECK]}, "check one occurs twice"),
        ({"checks": [{**CHECK, "kind": "x"}]}, "check one: kind 'x'"),
        ({"checks": [{**CHECK, "expect": {"must_not_match": ["("]}}]}, "check one: "),
    ],
)
def test_bad_arguments_are_named(
    capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], said: str
) -> None:
    told = run(capsys, **arguments)
    assert told["failed"] is True and said in told["msg"] and "\n" not in told["msg"]


def test_failed_checks_do_not_fail_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connect = {**CHECK["connect"], "port": port}
    told = run(capsys, checks=[{**CHECK, "connect": connect}], _ansible_check_mode=True)
    assert told["changed"] is False and told["proven"] is False
    assert told["counts"] == {"passed": 0, "failed": 0, "unreachable": 1, "skipped": 0}
    # Ansible reads these as the task's own fate.
    assert {"failed", "unreachable", "skipped"}.isdisjoint(told)


def test_record_returns_the_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    told = run(capsys, checks=[{**CHECK, "kind": "work"}], record=True, timeout=0.5)
    assert told["baseline"]["one"]["unanswered"] and told["counts"]["unreachable"] == 1


def test_the_specification_is_documented() -> None:
    import yaml

    documented = yaml.safe_load(http_checks.DOCUMENTATION)["options"]
    returned = yaml.safe_load(http_checks.RETURN)
    yaml.safe_load(http_checks.EXAMPLES)
    assert {"checks", "record", "baseline", "trusted", "settle"} <= set(documented)
    assert {"proven", "counts", "results", "table", "endpoints", "servers"} <= set(returned)
