# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rounds: patience with a reload, honesty about the vantage, an end in every case."""

from __future__ import annotations

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import Check, parse
from ansible_collections.wpward.wordpress.plugins.module_utils.http_report import report, table
from ansible_collections.wpward.wordpress.plugins.module_utils.http_rounds import Runner, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[str, str, int], "tuple[int, str]"]


class Site:
    """A server that answers by path, client address and how often the path was asked before."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[str] = []
        site, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    earlier = site.asked.count(self.path)
                    site.asked.append(self.path)
                status, body = answer(self.path, self.client_address[0], earlier)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def site() -> Iterator[Callable[[Answer], Site]]:
    sites: list[Site] = []

    def start(answer: Answer) -> Site:
        sites.append(Site(answer))
        return sites[-1]

    yield start
    for one in sites:
        one.close()


def check(port: int, target: str = "/x", kind: str = "refuse", **more: Any) -> Check:
    status = {"refuse": [403], "trusted": [200], "work": [200]}[kind]
    return parse(
        {
            "id": f"{kind} {port} {target}",
            "endpoint": None if kind == "work" else "xmlrpc",
            "kind": kind,
            "site": "blog.example/",
            "connect": {"address": "127.0.0.1", "port": port, "host": "blog.example"},
            "target": target,
            "expect": {"status": status},
            **more,
        }
    )


def outcomes(settings: Settings, *checks: Check) -> list[str]:
    return [result.verdict.outcome for result in Runner(settings).prove(checks)]


def test_results_keep_the_order_of_the_checks(site: Callable[[Answer], Site]) -> None:
    server = site(lambda path, client, earlier: (403 if path != "/3" else 200, ""))
    checks = [check(server.port, f"/{number}") for number in range(9)]
    results = Runner(Settings()).prove(checks)
    assert [result.check.id for result in results] == [one.id for one in checks]
    assert [result.verdict.outcome for result in results].index("failed") == 3


def test_a_reload_is_waited_for(site: Callable[[Answer], Site]) -> None:
    server = site(lambda path, client, earlier: (403 if earlier >= 2 else 200, ""))
    assert outcomes(Settings(settle=5), check(server.port)) == ["passed"]


def test_without_patience_the_first_answer_counts(site: Callable[[Answer], Site]) -> None:
    server = site(lambda path, client, earlier: (403 if earlier else 200, ""))
    assert outcomes(Settings(), check(server.port)) == ["failed"]
    assert server.asked == ["/x"]


def test_what_was_refused_early_is_tried_again_at_the_end(site: Callable[[Answer], Site]) -> None:
    # /a is refused by the first worker only; /b is refused from the second request on.
    def answer(path: str, client: str, earlier: int) -> tuple[int, str]:
        return (403 if (earlier == 0) == (path == "/a") else 200, "")

    server = site(answer)
    settings = Settings(settle=1.2)
    assert outcomes(settings, check(server.port, "/a"), check(server.port, "/b")) == [
        "failed",
        "passed",
    ]


def test_patience_ends(site: Callable[[Answer], Site]) -> None:
    server = site(lambda path, client, earlier: (200, ""))
    started = time.monotonic()
    assert outcomes(Settings(settle=1), check(server.port)) == ["failed"]
    assert 0.5 <= time.monotonic() - started < 3 and len(server.asked) >= 2


def test_a_trusted_vantage_asks_as_a_trusted_client(site: Callable[[Answer], Site]) -> None:
    server = site(lambda path, client, earlier: (200 if client == "127.0.0.1" else 403, ""))
    checks = [
        check(server.port, "/stranger", when_trusted="served"),
        check(server.port, "/friend", kind="trusted"),
        check(server.port, "/closed"),
    ]
    trusted = ("127.0.0.0/24",)
    inside = Runner(Settings(trusted=trusted)).prove(checks)
    assert [one.verdict.outcome for one in inside] == ["skipped", "passed", "failed"]
    assert inside[0].verdict.reason == "127.0.0.1 is trusted"
    outside = Runner(Settings(trusted=trusted, source="127.8.8.8")).prove(checks)
    assert [one.verdict.outcome for one in outside] == ["passed", "skipped", "passed"]
    assert outside[1].verdict.reason == "127.8.8.8 is not trusted"
    seen_as = Settings(trusted=("203.0.113.0/24",), seen_as="203.0.113.9")
    assert outcomes(seen_as, *checks)[:2] == ["skipped", "passed"]
    other_family = Settings(trusted=("2001:db8::/32",), seen_as="2001:db8::7", source="127.8.8.8")
    assert outcomes(other_family, *checks)[:2] == ["passed", "skipped"]


def test_a_stranger_that_is_served_has_failed(site: Callable[[Answer], Site]) -> None:
    server = site(lambda path, client, earlier: (200, ""))
    stranger = check(server.port, when_trusted="served")
    assert outcomes(Settings(trusted=("203.0.113.0/24",)), stranger) == ["failed"]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_an_address_that_nobody_answers_is_given_up() -> None:
    port = closed_port()
    checks = [check(port, f"/{number}") for number in range(20)]
    results = Runner(Settings(parallel=1)).prove(checks)
    assert {result.verdict.outcome for result in results} == {"unreachable"}
    assert sum("not asked" in result.verdict.reason for result in results) == 17


def test_nobody_answers_within_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        checks = [check(port, f"/{number}") for number in range(9)]
        started = time.monotonic()
        settings = Settings(parallel=2, timeout=0.4, time_limit=1, settle=60)
        results = Runner(settings).prove(checks)
        assert time.monotonic() - started < 4
    assert {result.verdict.outcome for result in results} == {"failed"}
    assert "not asked: 1 s were up" in results[-1].verdict.reason


def test_what_is_recorded_is_compared(site: Callable[[Answer], Site]) -> None:
    page = "<!DOCTYPE html><html><title>A</title><p>one</p><p>{}</p></html>"
    state = {"title": "A"}

    def answer(path: str, client: str, earlier: int) -> tuple[int, str]:
        return 200, page.format("xyz"[earlier % 3]).replace("A", state["title"])

    server = site(answer)
    work = check(server.port, "/", kind="work")
    results, entries = Runner(Settings()).record_all([work, check(server.port)])
    assert [result.verdict.outcome for result in results] == ["passed"]
    assert server.asked == ["/", "/"] and list(entries) == [work.id]
    assert outcomes(Settings(before=entries), work) == ["passed"]
    state["title"] = "B"
    assert outcomes(Settings(before=entries), work) == ["failed"]


def test_recording_waits_for_a_site_that_answers_now_and_then(
    site: Callable[[Answer], Site],
) -> None:
    server = site(lambda path, client, earlier: (502 if earlier == 1 else 200, "ok"))
    work = check(server.port, "/", kind="work")
    _results, entries = Runner(Settings(settle=10)).record_all([work])
    assert entries[work.id]["status"] == 200 and not entries[work.id]["broken"]


def test_nothing_asked_proves_nothing() -> None:
    assert report(Runner(Settings()).prove([]))["proven"] is False


def test_the_report_counts_and_names(site: Callable[[Answer], Site]) -> None:
    server = site(lambda path, client, earlier: (200 if path == "/open" else 403, ""))
    checks = [
        check(server.port, "/shut"),
        check(server.port, "/open"),
        check(server.port, "/friend", kind="trusted"),
        check(closed_port(), "/gone"),
    ]
    told = report(Runner(Settings()).prove(checks))
    assert told["proven"] is False
    assert told["counts"] == {"passed": 1, "failed": 1, "unreachable": 1, "skipped": 1}
    assert [row["request"] for row in told["results"]] == ["GET /open", "GET /gone"]
    assert told["source_addresses"] == ["127.0.0.1"]
    assert {"endpoint": "xmlrpc", "kind": "refuse"}.items() <= told["endpoints"][0].items()
    lines = told["table"].splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["what", "server", "request", "from", "came", "back"]
    assert "open: xmlrpc" in lines[1] and lines[1].endswith("200, not 403")
    assert lines[2].endswith("not reached: connection refused")
    everything = report(Runner(Settings()).prove(checks[:3]), "all")
    assert [row["outcome"] for row in everything["results"]] == ["passed", "failed", "skipped"]


def test_a_long_table_names_a_few_of_each_kind() -> None:
    row = {
        "kind": "refuse",
        "endpoint": "xmlrpc",
        "server": "http://blog.example",
        "request": "GET /",
        "source": "192.0.2.7",
        "outcome": "failed",
        "reason": "200",
    }
    work = {**row, "kind": "work", "endpoint": ""}
    lines = table([row] * 150 + [work] * 2).splitlines()
    assert len(lines) == 1 + 5 + 2 + 1 and lines[-1] == "... and 145 more like these"
    assert len(table([row] * 100).splitlines()) == 101
    assert table([]) == ""
