# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks against a real WordPress: what is open is seen, what breaks is noticed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.filter.verify_checks import verify_checks
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import Check, parse_all
from ansible_collections.wpward.wordpress.plugins.module_utils.http_rounds import (
    Result,
    Runner,
    Settings,
)
from testbed import hosts, podman

from .conftest import BIN, ROOT, MakeHost, Playbook

LOGINS = ["alice", "bob"]
MU_PLUGIN = "/var/www/blog/wp-content/mu-plugins/zz-sabotage.php"


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    return make_host("http-checks", vhosts=["tls", "sub"])


@pytest.fixture(scope="module")
def evidence(host: hosts.Host) -> dict[str, Any]:
    done = subprocess.run(
        [
            str(BIN / "ansible"),
            *("--inventory", host.inventory, "--one-line", "--module-name"),
            *("wpward.wordpress.probe", "all"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout.partition("=>")[2])["evidence"]
    return found


def prove(host: hosts.Host, evidence: dict[str, Any], **settings: Any) -> list[Result]:
    checks = verify_checks(evidence, {}, [], "controller", host.address, LOGINS)
    return Runner(Settings(**settings)).prove(parse_all(checks))


def test_an_unhardened_host_is_open_by_what_its_answers_say(
    host: hosts.Host, evidence: dict[str, Any]
) -> None:
    results = prove(host, evidence)
    verdicts = {
        (result.check.server, result.check.shown): result.verdict
        for result in results
        if result.verdict.outcome == "failed"
    }
    works = {result.verdict.outcome for result in results if result.check.kind == "work"}
    assert works == {"passed"}
    for server, base in (
        ("http://blog.example", "/"),
        ("https://blog.example:8443", "/"),
        ("http://sub.example", "/blog/"),
    ):
        said = {
            shown: verdict.reason for (where, shown), verdict in verdicts.items() if where == server
        }
        assert said[f"POST {base}/xmlrpc.php"] == "200 with '<methodResponse'"
        assert said[f"POST {base}%78mlrpc.php"] == "200 with '<methodResponse'"
        assert said[f"GET {base}xmlrpc.php"] == "405 with 'XML-RPC server accepts'"
        assert said[f"GET {base}?author=1"].startswith("301 to")
        assert "avatar_urls" in said[f"GET {base}wp-json/wp/v2/users"]
        assert said[f"POST {base} (author in the body)"].startswith("200 with")


def work(host: hosts.Host, evidence: dict[str, Any]) -> list[Check]:
    checks = verify_checks(evidence, {}, [], "controller", host.address, LOGINS, only_work=True)
    return [check for check in parse_all(checks) if check.server == "http://blog.example"]


@pytest.fixture(scope="module")
def record(host: hosts.Host, evidence: dict[str, Any]) -> dict[str, dict[str, Any]]:
    results, entries = Runner(Settings(settle=10)).record_all(work(host, evidence))
    assert [result.check.shown for result in results if result.verdict.outcome != "passed"] == []
    assert [entry["broken"] for entry in entries.values() if entry["broken"]] == []
    return entries


def compare(
    host: hosts.Host, evidence: dict[str, Any], record: dict[str, Any], settle: float = 0
) -> dict[str, str]:
    results = Runner(Settings(before=record, settle=settle)).prove(work(host, evidence))
    return {
        result.check.shown: result.verdict.reason
        for result in results
        if result.verdict.outcome != "passed"
    }


@pytest.fixture
def plugin(host: hosts.Host, evidence: dict[str, Any], record: dict[str, Any]) -> Iterator[Any]:
    def install(code: str) -> None:
        podman.execute(
            host.container, ["bash", "-c", f"cat > {MU_PLUGIN}"], stdin=f"<?php\n{code}\n"
        )
        # PHP looks at a file's time once in opcache.revalidate_freq seconds, 2 by default.
        time.sleep(2.5)

    podman.execute(host.container, ["mkdir", "-p", str(Path(MU_PLUGIN).parent)])
    yield install
    podman.execute(host.container, ["rm", "-f", MU_PLUGIN])
    assert compare(host, evidence, record, settle=10) == {}


@pytest.mark.parametrize(
    ("code", "request_", "said"),
    [
        ("wpward_no_such_function();", "GET /", "answers 500, it was 200"),
        ("exit;", "GET /", "is empty"),
        (
            "ini_set('display_errors', '1'); add_action('wp_body_open', function () {"
            " trigger_error('x', E_USER_WARNING); });",
            "GET /",
            "shows an error of PHP (Warning)",
        ),
        (
            "ob_start(function ($page) { return substr($page, 0, intdiv(strlen($page), 2)); });",
            "GET /",
            "is cut off: the end of the document is missing",
        ),
        (
            "add_action('template_redirect', function () {"
            " echo '<!DOCTYPE html><html><title>Test blog</title>soon</html>'; exit; });",
            "GET /",
            "has kept",
        ),
        (
            "add_filter('rest_authentication_errors', function () {"
            " return new WP_Error('closed', 'closed', ['status' => 401]); });",
            "GET /wp-json/",
            "answers 401, it was 200",
        ),
        ("add_filter('feed_content_type', fn () => 'text/plain');", "GET /feed/", "is text/plain"),
        (
            "add_action('login_init', function () { wp_redirect('/'); exit; });",
            "GET /wp-login.php",
            "answers 302, it was 200",
        ),
    ],
)
def test_what_breaks_is_noticed(
    host: hosts.Host,
    evidence: dict[str, Any],
    record: dict[str, Any],
    plugin: Any,
    code: str,
    request_: str,
    said: str,
) -> None:
    plugin(code)
    assert said in compare(host, evidence, record)[request_]


def test_what_only_hides_authors_is_no_difference(
    host: hosts.Host, evidence: dict[str, Any], record: dict[str, Any], plugin: Any
) -> None:
    plugin(
        "add_filter('author_link', fn () => '');"
        "add_filter('the_author', fn ($name) => is_feed() ? '' : $name);"
        "add_filter('wp_sitemaps_add_provider', fn ($p, $n) => $n === 'users' ? false : $p, 10, 2);"
        "add_filter('rest_endpoints', fn ($all) => array_filter($all, fn ($route) =>"
        " !str_starts_with($route, '/wp/v2/users'), ARRAY_FILTER_USE_KEY));"
    )
    assert compare(host, evidence, record) == {}


def test_the_host_is_its_own_stranger(host: hosts.Host, tmp_path: Path) -> None:
    book = tmp_path / "seen.yml"
    seen = tmp_path / "seen.json"
    book.write_text(
        json.dumps(
            [
                {
                    "hosts": "all",
                    "gather_facts": False,
                    "roles": [
                        "wpward.wordpress.probe",
                        {
                            "role": "wpward.wordpress.verify",
                            "verify_evidence": "{{ probe_evidence }}",
                            "verify_settle": 0,
                        },
                    ],
                    "tasks": [
                        {
                            "ansible.builtin.copy": {
                                "content": "{{ {'seen': verify_seen, 'result': verify_result} }}",
                                "dest": str(seen),
                            },
                            "delegate_to": "localhost",
                            "vars": {
                                "ansible_connection": "local",
                                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                            },
                        }
                    ],
                }
            ]
        )
    )
    variables = {
        "wpward_policy": {"xmlrpc": "trusted"},
        "wpward_trusted": ["127.0.0.0/24", f"{host.address.rpartition('.')[0]}.0/24"],
    }
    done = subprocess.run(
        [
            str(BIN / "ansible-playbook"),
            *("--inventory", host.inventory, "--extra-vars", json.dumps(variables)),
            str(book),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(seen.read_text())
    assert told["seen"]["host"]["source_addresses"] == ["127.8.8.8"]
    asked = {
        vantage: {
            row["kind"]: row["passed"] + row["failed"]
            for row in run["endpoints"]
            if row["endpoint"] == "xmlrpc"
        }
        for vantage, run in told["seen"].items()
    }
    # The controller's address is trusted: it uses XML-RPC, and the host plays the stranger.
    assert asked["controller"]["refuse"] == 0 and asked["controller"]["trusted"] > 0
    assert asked["host"]["refuse"] > 0 and asked["host"]["trusted"] == 0
    assert told["result"]["proven"] is False and told["result"]["gaps"] == []
    assert "host 127.8.8.8" in told["result"]["table"]


def test_a_host_that_the_controller_cannot_reach_is_left_alone(
    host: hosts.Host, playbook: Playbook
) -> None:
    run = playbook(host, "harden", wpward_verify_address="127.254.254.254", wpward_verify_timeout=2)
    assert run.code != 0
    assert "the controller cannot reach" in run.output and "nothing was changed" in run.output
    assert run.changed(host.name) == 0
