# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward logs``: files on the operator's own machine, without a server and without root."""

from __future__ import annotations

import gzip
import io
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from wpward import cli, log_files, logs, logs_output

INCIDENTS = Path(__file__).parents[1] / "fixtures" / "logs"
ATTACKER = "168.62.29.77"
FIELDS = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status "
    "cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id "
    "x-host-header cs-protocol"
)
BEGUN = 1588771800


def line(second: int, client: str, method: str = "POST", target: str = "//xmlrpc.php") -> str:
    stamp = time.strftime("%Y-%m-%d\t%H:%M:%S", time.gmtime(second))
    return (
        f"{stamp}\tNRT57\t497\t{client}\t{method}\td111.cloudfront.example\t{target}\t200\t-\t"
        "Mozilla/5.0%20(compatible)\t-\t-\tMiss\tid==\tblog.example\thttps"
    )


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty files in folders by the day, as they are copied from a bucket: 8,806 requests within
    40 minutes, 6,274 of them by one client, a tenth of what happened."""
    folder = tmp_path_factory.mktemp("bucket")
    chance = random.Random(20200506)
    lines = [line(BEGUN + n * 2400 // 6274, ATTACKER) for n in range(6274)]
    lines += [
        line(BEGUN + n * 2400 // 2532, f"203.0.113.{chance.randrange(1, 250)}") for n in range(2532)
    ]
    lines += [line(BEGUN + n, "192.0.2.9", "GET", f"/{n}/") for n in range(800)]
    chance.shuffle(lines)
    for number in range(40):
        day = folder / f"2020-05-0{number % 2 + 6}"
        day.mkdir(exist_ok=True)
        with gzip.open(day / f"E2EXAMPLE.2020-05-06-13.{number:08x}.gz", "wt") as file:
            file.write(f"#Version: 1.0\n#Fields: {FIELDS}\n")
            file.writelines(f"{one}\n" for one in lines[number::40])
    (folder / "notes.txt").write_text("what we did\nthat night\n")
    (folder / "E2EXAMPLE.2020-05-06-14.0.gz").write_bytes(
        gzip.compress(f"#Version: 1.0\n#Fields: {FIELDS}\n".encode())
    )
    return folder


def analyse(*paths: Path, since: str = "") -> dict[str, Any]:
    return logs.analyse(logs.Request(paths, since))


def test_cloudfront_names_the_client_whom_the_server_could_not_see(bucket: Path) -> None:
    document = analyse(bucket)
    (row,) = document["evidence"]["access"]
    assert (row["site"], row["endpoint"], row["hits"]) == ("blog.example/", "xmlrpc", 8806)
    assert row["clients"][0] == {"address": ATTACKER, "hits": 6274}
    assert row["clients_exact"]
    assert document["plan"]["verdict"] == "attack"
    assert ATTACKER in document["plan"]["findings"][0]["message"]
    (log,) = document["evidence"]["logs"]
    assert (log["format"], log["files"], log["complete"]) == ("CloudFront", 40, True)
    assert log["path"] == str(bucket / "E2EXAMPLE")


def test_the_command_leaves_a_page_and_a_document(
    bucket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, kept = tmp_path / "report.html", tmp_path / "report.json"
    assert cli.main(["logs", str(bucket), "--html", str(page), "--json", str(kept)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("attack\n")
    assert f"{ATTACKER}  6,274 (71 %)" in printed
    text = page.read_text()
    assert f'<td role="cell" data-label="Client">{ATTACKER}</td>' in text
    assert "Logs read, no server touched" in text
    assert ".json" not in text
    assert json.loads(kept.read_text())["evidence"]["access"][0]["hits"] == 8806


def test_published_incidents_are_read_as_they_are() -> None:
    document = analyse(INCIDENTS)
    found = {Path(row["log"]).name: row for row in document["evidence"]["access"]}
    flood = found["nginx-499-flood.log"]
    assert (flood["endpoint"], flood["hits"]) == ("xmlrpc", 16)
    assert flood["claims"][0]["claim"] == "googlebot"
    edges = found["httpd-cloudfront-edges.log"]
    assert edges["parties"] == {"cloudfront": edges["hits"]}
    assert {Path(log["path"]).name for log in document["evidence"]["logs"]} == set(found)


def test_pieces_of_one_log_are_counted_together_and_once(tmp_path: Path) -> None:
    text = '192.0.2.7 - - [21/Nov/2026:12:00:00 +0000] "POST /xmlrpc.php HTTP/1.1" 200 5 "-" "-"\n'
    log = tmp_path / "access.log"
    log.write_text(text * 3)
    (tmp_path / "access.log.1").write_text(text * 5)
    (tmp_path / "access.log-20261101.gz").write_bytes(gzip.compress(text.encode() * 7))
    (tmp_path / "other.log").write_text(text)
    rows = analyse(tmp_path, log)["evidence"]["access"]
    assert [(Path(row["log"]).name, row["hits"]) for row in rows] == [
        ("access.log", 15),
        ("other.log", 1),
    ]


def test_only_lines_within_the_span_count(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    ages = (10, 5000, 100000)
    stamps = [time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - n)) for n in ages]
    log.write_text(
        "".join(f'192.0.2.7 - - [{at}] "GET /?author=1 HTTP/1.1" 200 5\n' for at in stamps)
    )
    for since, hits in (("1h", 1), ("1d", 2), ("", 3), ("2000-01-01T00:00:00Z", 3)):
        (row,) = analyse(log, since=since)["evidence"]["access"]
        assert row["hits"] == hits


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{tmp}/nowhere"], "{tmp}/nowhere does not exist."),
        (["{tmp}/notes"], "{tmp}/notes has no format that wpward knows. It knows nginx's and "),
        (["{tmp}/torn.gz"], "{tmp}/torn.gz cannot be read: "),
        (["{tmp}/empty"], "There is no line of an access log in the 1 files"),
        (["{tmp}"], "There is no line of an access log in the 3 files"),
        (["{tmp}", "--since", "soon"], "--since is 'soon'; give a span such as 30m"),
        (["{tmp}", "--html", "{tmp}/no/x"], "{tmp}/no/x cannot be written: there is no directory"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").write_text("hello\nworld\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "torn.gz").write_bytes(b"\x1f\x8bnonsense")
    assert cli.main(["logs", *(word.format(tmp=tmp_path) for word in words)]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"wpward: {sentence.format(tmp=tmp_path)}")
    assert printed.count("\n") == 1


def test_a_log_that_is_damaged_is_counted_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f"{line(BEGUN + n, '192.0.2.7')}\n" for n in range(9000)).encode()
    packed = bytearray(gzip.compress(f"#Fields: {FIELDS}\n".encode() + lines))
    packed[-9000:-8000] = b"\xff" * 1000
    (tmp_path / "E1.2020-05-06-13.a.gz").write_bytes(packed)
    assert cli.main(["logs", str(tmp_path)]) == 3
    assert "cannot be read to its end" in capsys.readouterr().out


def test_nothing_that_a_client_sent_acts_in_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(
        b'\x1b[31m[red] - - [21/Nov/2026:12:00:00 +0000] "POST /xmlrpc.php HTTP/1.1" 200 5\n'
    )
    shown = io.StringIO()
    logs_output.show(analyse(log), Console(file=shown, width=120, force_terminal=True))
    assert "\x1b[31m[red]" not in shown.getvalue()
    assert "\\x1b[31m[red]" in shown.getvalue()


def test_host_names_that_clients_make_up_do_not_pile_up(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        "".join(
            f"h{n}.example:443 192.0.2.7 - - [21/Nov/2026:12:00:00 +0000] "
            f'"POST /xmlrpc.php HTTP/1.1" 200 5 "-" "-"\n'
            for n in range(logs.SITES * 2)
        )
    )
    rows = analyse(log)["evidence"]["access"]
    assert len(rows) == logs.SITES + 1
    assert sum(row["hits"] for row in rows) == logs.SITES * 2


def test_progress_is_told_every_byte_once(bucket: Path) -> None:
    told: list[int] = []
    totals: list[int] = []
    logs.analyse(logs.Request([bucket]), totals.append, told.append)
    sizes = sum(path.stat().st_size for path in bucket.glob("*/*.gz"))
    assert totals == [sizes]
    assert sum(told) == sizes
    assert min(told) >= 0


def test_links_out_of_a_directory_of_logs_are_not_followed(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "access.log").write_text((INCIDENTS / "nginx-499-flood.log").read_text())
    (inside / "more").symlink_to(outside)
    with pytest.raises(log_files.LogsError, match="in the 0 files"):
        log_files.find([inside])
