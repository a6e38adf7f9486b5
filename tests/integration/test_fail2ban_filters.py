# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filters under real fail2ban, over tables of lines and what hostile clients really wrote."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_log_format import NICKNAMES
from ansible_collections.wpward.wordpress.plugins.plugin_utils.access_filter import access_filter
from integration import fail2ban_cases as cases
from integration.endpoints.role import closer, inside, write
from integration.fail2ban_attempts import Attempt, by_hand, fuzzed
from testbed import hosts

HERE = Path(__file__).parent
FILTERS = HERE.parents[1] / "roles" / "bans" / "files"
FORMATS = {f"access{number}": name for number, name in enumerate(cases.FORMATS)}

MOST_MILLISECONDS = 15
"""For any line. The filters take about one, on a quiet machine; the published one takes
170 for 16 KB and four times as much for twice as long a line."""
LONGEST_DENIAL = 1
"""Milliseconds for any line of any length, where the filters take 0.04 at most."""

NAIVE = {
    "any line": r"^<HOST> .*POST .*xmlrpc",
    "combined": r'^<HOST> \S+ \S+ \[.*\] "(GET|POST) /xmlrpc\.php',
    "anywhere": r"<HOST>.*POST.*/xmlrpc\.php",
}
"""As articles and repositories publish them."""

LOGS = {
    "nginx": ("/var/log/nginx/wpward-deny.log", "/var/log/nginx/blog-access.log"),
    "httpd": ("/var/log/apache2/wpward-deny.log", "/var/log/apache2/blog-access.log"),
}

SENDER = """
import base64, json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def send(job):
    source, raw = job
    answer = b""
    with socket.create_connection(("127.0.0.1", 80), 30, (source, 0)) as connection:
        try:
            connection.sendall(base64.b64decode(raw))
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionError:
            pass
    status = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/") else b"0"
    return int(status), answer.endswith(b"\\r\\n\\r\\nForbidden\\n")

with ThreadPoolExecutor(4) as pool:
    json.dump(list(pool.map(send, json.load(sys.stdin))), sys.stdout)
"""


@dataclass(frozen=True)
class Sent:
    """An attempt, the address that it came from, and how it was answered."""

    attempt: Attempt
    source: str
    status: int
    refused: bool


@dataclass(frozen=True)
class Bed:
    """A host with fail2ban, before and after it was hardened. The seed is that of the noise."""

    host: hosts.Host
    seed: int
    on_open: list[Sent]
    on_hardened: list[Sent]
    open_log: str
    """A copy of the access log of before."""

    def run(self, *jobs: dict[str, Any]) -> list[Any]:
        """What fail2ban_program.py says to these jobs."""
        said = inside(self.host, "python3", "/root/program.py", stdin=json.dumps(jobs))
        results: list[Any] = json.loads(said)
        return results


def send(host: hosts.Host, every: list[Attempt], second: int) -> list[Sent]:
    """Each from an address of its own, which nothing else uses."""
    sources = [f"127.{second}.{number // 250}.{number % 250 + 1}" for number in range(len(every))]
    jobs = [
        (source, base64.b64encode(attempt.raw).decode())
        for source, attempt in zip(sources, every, strict=True)
    ]
    answers = json.loads(inside(host, "python3", "-c", SENDER, stdin=json.dumps(jobs)))
    return [
        Sent(attempt, source, status, refused)
        for attempt, source, (status, refused) in zip(every, sources, answers, strict=True)
    ]


def install(host: hosts.Host) -> None:
    inside(
        host,
        "sh",
        "-c",
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "
        "--no-install-recommends fail2ban python3-systemd >/dev/null 2>&1",
    )
    for path in FILTERS.glob("filter-*.conf"):
        name = path.name.replace("filter-", "wpward-")
        write(host, f"/etc/fail2ban/filter.d/{name}", path.read_text())
    for name, case in FORMATS.items():
        server, text = cases.FORMATS[case]
        write(host, f"/etc/fail2ban/filter.d/{name}.conf", access_filter(text, server))
    write(host, "/root/program.py", (HERE / "fail2ban_program.py").read_text())


def make_bed(make_host: Callable[..., hosts.Host], web: str, folder: Path) -> Bed:
    host = make_host(f"filters-{web}", web=web)
    seed = random.randrange(10**9)
    known = list(by_hand())
    with ThreadPoolExecutor(1) as pool:
        installed = pool.submit(install, host)
        on_open = send(host, known, 65)
        open_log = "/root/open-access.log"
        inside(host, "cp", LOGS[web][1], open_log)
        closer(host, folder / f"{web}.json")()
        on_hardened = send(host, [*known, *fuzzed(seed, 60)], 66)
        # nginx writes the deny log once a second.
        inside(host, "sleep", "1.5")
        installed.result()
    return Bed(host, seed, on_open, on_hardened, open_log)


@pytest.fixture(scope="module")
def beds(
    make_host: Callable[..., hosts.Host], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Bed]:
    folder = tmp_path_factory.mktemp("saved")
    with ThreadPoolExecutor(2) as pool:
        made = pool.map(lambda web: make_bed(make_host, web, folder), LOGS)
        return dict(zip(LOGS, made, strict=True))


@pytest.fixture(params=list(LOGS))
def bed(request: pytest.FixtureRequest, beds: dict[str, Bed]) -> Bed:
    made: Bed = beds[request.param]
    print(f"seed of the noise: {made.seed}")
    return made


def addresses(found: list[list[list[Any]]]) -> set[str]:
    return {address for line in found for address, _moment in line}


def wrong(table: list[cases.Case], found: list[list[list[Any]]]) -> list[str]:
    """Cases that fail2ban sees otherwise than the table."""
    mistakes = []
    for case, hits in zip(table, found, strict=True):
        right = [address for address, _moment in hits] == ([case.address] if case.address else [])
        if right and hits and case.moment is not None:
            right = abs(hits[0][1] - case.moment) < 0.001
        if not right:
            mistakes.append(f"{case.line[:300]!r}: expected {case}, found {hits}")
    return mistakes


def balanced(table: list[Any]) -> bool:
    return sum(case[1] is None for case in table) * 2 >= len(table)


def test_lines_of_the_deny_log_and_of_fail2bans_own(beds: dict[str, Bed]) -> None:
    denials, bans = beds["nginx"].run(
        {
            "filter": "wpward-deny",
            "options": {"rule": "xmlrpc"},
            "lines": [case.line for case in cases.DENIALS],
        },
        {"filter": "wpward-recidive", "lines": [case.line for case in cases.BANS]},
    )
    assert wrong(cases.DENIALS, denials) == []
    assert wrong(cases.BANS, bans) == []
    assert balanced(cases.DENIALS)
    assert balanced(cases.BANS)


def test_without_a_rule_all_count_but_what_was_not_refused(beds: dict[str, Bed]) -> None:
    lines = [f"1763801426.123 {cases.CLIENT} {rule} x" for rule in ("xmlrpc", "rest_users", "0")]
    every, anything = beds["nginx"].run(
        {"filter": "wpward-deny", "lines": lines},
        {"filter": "wpward-deny", "options": {"rule": r"\w+"}, "lines": lines},
    )
    assert [len(hits) for hits in every] == [len(hits) for hits in anything] == [1, 1, 0]


@pytest.mark.parametrize(
    ("name", "word", "other"), [("login", "failed", "editor"), ("editor", "editor", "failed")]
)
def test_entries_of_the_journal(beds: dict[str, Bed], name: str, word: str, other: str) -> None:
    table = cases.journal_cases(word, other)
    job = {"filter": f"wpward-{name}", "journal": True, "lines": [entry for entry, _ in table]}
    (found,) = beds["nginx"].run(job)
    assert [addresses([hits]) for hits in found] == [
        {address} if address else set() for _, address in table
    ]
    assert balanced(table)


def test_the_real_journal_through_fail2bans_own_backend(beds: dict[str, Bed]) -> None:
    host = beds["nginx"].host
    script = f"""
    logger -t wpward-login 'failed {cases.CLIENT}'
    logger -t wpward-login -i 'failed {cases.CLIENT6}'
    logger -t wpward-login 'editor 203.0.113.50'
    logger -t other 'wpward-login: failed {cases.INNOCENT}'
    logger -t wpward-login 'failed x failed {cases.INNOCENT}'
    logger -t wpward-login "failed {cases.INNOCENT} $(printf '\\nfailed {cases.INNOCENT}')"
    journalctl --sync
    for name in login editor; do
        fail2ban-regex -o ip systemd-journal wpward-$name | sort -u | tr '\\n' ' '
        echo
    done
    """
    login, editor = inside(host, "bash", "-c", script).splitlines()
    assert login.split() == sorted([cases.CLIENT, cases.CLIENT6])
    assert editor.split() == ["203.0.113.50"]


def test_access_logs_of_each_format(beds: dict[str, Bed]) -> None:
    tables = {
        name: [
            cases.Case(cases.written(case, asked), cases.CLIENT if asked.counts else None)
            for asked in cases.REQUESTS
        ]
        for name, case in FORMATS.items()
    }
    results = beds["nginx"].run(
        *({"filter": name, "lines": [case.line for case in tables[name]]} for name in tables)
    )
    for name, found in zip(tables, results, strict=True):
        assert wrong(tables[name], found) == [], FORMATS[name]
    assert balanced(tables["access0"])


def test_a_lines_cost_is_bounded_however_long_it_is(beds: dict[str, Bed]) -> None:
    names = ["wpward-deny", "wpward-recidive", "wpward-login", "wpward-editor", *FORMATS]
    jobs = [{"filter": name, "slow": cases.SLOW} for name in names]
    published = {"failregex": [NAIVE["anywhere"]], "slow": [("", "x ", 8000, "POST")]}
    *results, control = beds["nginx"].run(*jobs, published)
    worst = {name: max(times) for name, times in zip(names, results, strict=True)}
    print(f"milliseconds for the worst line: {worst}; published: {control}")
    ours = {name: worst.pop(name) for name in names if name.startswith("wpward-")}
    assert max(ours.values()) < LONGEST_DENIAL, ours
    assert max(worst.values()) < MOST_MILLISECONDS, worst
    assert control[0] > MOST_MILLISECONDS, "the control is no longer slow"


def test_only_who_was_refused_is_found_in_the_deny_log(bed: Bed) -> None:
    deny, _access = LOGS[bed.host.web]
    (found,) = bed.run({"filter": "wpward-deny", "options": {"rule": "xmlrpc"}, "log": deny})
    for one in bed.on_hardened:
        if one.attempt.refused is not None:
            assert one.refused == one.attempt.refused, one
    refused = {one.source for one in bed.on_hardened if one.refused}
    assert addresses(found) == refused
    assert len(refused) > 40
    assert len(bed.on_hardened) - len(refused) > 70


def test_only_who_asked_for_it_is_found_in_an_access_log(bed: Bed) -> None:
    """The fallback, on the log of the host as it was before."""
    text = "combined" if bed.host.web == "nginx" else NICKNAMES["combined"]
    path = "/etc/fail2ban/filter.d/access-here.conf"
    write(bed.host, path, access_filter(text, bed.host.web))
    (found,) = bed.run({"filter": "access-here", "log": bed.open_log})
    hit = addresses(found)
    for one in bed.on_open:
        if one.attempt.reaches is not None:
            assert (one.source in hit) == one.attempt.reaches, one
    assert hit <= {one.source for one in bed.on_open}


def test_published_filters_are_led_astray_by_the_same_requests(bed: Bed) -> None:
    """The attempts are real: each of these bans somebody who did nothing, or misses attackers."""
    results = bed.run(*({"failregex": [one], "log": bed.open_log} for one in NAIVE.values()))
    attackers = {one.source for one in bed.on_open if one.attempt.reaches}
    innocent = {one.source for one in bed.on_open if one.attempt.reaches is False}
    mistakes = {}
    for name, found in zip(NAIVE, results, strict=True):
        hit = addresses(found)
        mistakes[name] = (len(hit & innocent), len(attackers - hit))
    print(f"wrongly found, missed: {mistakes}")
    assert mistakes["any line"][0] > 5
    assert mistakes["anywhere"][0] > 5
    assert mistakes["combined"][1] > 5
