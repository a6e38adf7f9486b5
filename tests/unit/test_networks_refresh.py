# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward networks --refresh`` against a real server on this machine."""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import known_networks_data
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import EDGES, SOURCES

from wpward import cdn, networks

NEW_EDGE = "70.132.128.0/18"


def rows(key: str, networks_: list[str], **more: str) -> list[dict[str, str]]:
    return [{key: network, **more} for network in networks_]


def split(party: str) -> tuple[list[str], list[str]]:
    words = known_networks_data.RANGES[party].split()
    return [w for w in words if ":" not in w], [w for w in words if ":" in w]


def published(party: str) -> list[bytes]:
    """The party's lists in its own form, one per address, with what the table holds."""
    v4, v6 = split(party)
    if party == "cloudfront":
        document: Any = {
            "syncToken": "1",
            "prefixes": rows("ip_prefix", [*v4, NEW_EDGE], service="CLOUDFRONT")
            + rows("ip_prefix", ["3.0.0.0/15"], service="EC2"),
            "ipv6_prefixes": rows("ipv6_prefix", v6, service="CLOUDFRONT_ORIGIN_FACING"),
        }
        return [json.dumps(document).encode()]
    if party == "fastly":
        return [json.dumps({"addresses": v4, "ipv6_addresses": v6}).encode()]
    if party == "cloudflare":
        return ["\n".join(v4).encode(), "\n".join(v6).encode() + b"\n"]
    if party == "jetpack":
        return ["\r\n".join(v4).encode()]
    document = {"creationTime": "x", "prefixes": rows("ipv4Prefix", v4) + rows("ipv6Prefix", v6)}
    empty = json.dumps({"prefixes": rows("ipv4Prefix", v4[:1])}).encode()
    return [json.dumps(document).encode(), empty][: len(SOURCES[party])]


class Lists:
    """A server of lists: path -> body, or a function that answers by itself."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.bodies: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = {}
        lists = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = lists.bodies.get(self.path)
                if callable(body):
                    body(self)
                    return
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # A client that had enough is no news.
        self.server.handle_error = lambda *_about: None  # type: ignore[method-assign]
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.base = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def sources(self, *parties: str) -> dict[str, tuple[str, ...]]:
        """The lists of these parties, or of all, here."""
        found = {}
        for party in parties or SOURCES:
            bodies = published(party)
            for number, body in enumerate(bodies):
                self.bodies[f"/{party}/{number}"] = body
            found[party] = tuple(f"{self.base}/{party}/{n}" for n in range(len(bodies)))
        return found

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def lists() -> Iterator[Lists]:
    served = Lists()
    yield served
    served.close()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "known_networks_data.py"
    path.write_text(Path(known_networks_data.__file__).read_text())
    path.chmod(0o644)
    return path


def contents(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(path.read_text(), found)
    return found


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def test_the_shipped_table_is_what_would_be_written() -> None:
    assert networks.render(networks.shipped()) == Path(known_networks_data.__file__).read_text()


def test_every_list_is_read_and_the_table_rewritten(
    lists: Lists, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert networks.main(["--refresh"], lists.sources(), table) == 0
    new = contents(table)
    assert set(new["DATES"].values()) == {today()}
    assert "70.132.128.0/18" in new["RANGES"]["cloudfront"]
    # Amazon's list holds all of Amazon's customers.
    assert "3.0.0.0/15" not in new["RANGES"]["cloudfront"]
    for party in SOURCES:
        if party != "cloudfront":
            assert new["RANGES"][party] == known_networks_data.RANGES[party]
    assert table.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in table.parent.iterdir()] == [table.name]
    out = capsys.readouterr()
    assert out.err == "" and f"{today()}  cloudfront" in out.out


def test_offline_one_sentence_is_said_and_nothing_changes(
    lists: Lists, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = lists.sources()
    lists.close()
    before = table.read_bytes()
    assert networks.main(["--refresh"], sources, table) == 1
    assert table.read_bytes() == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"lists of {', '.join(SOURCES)} (Connection refused); what" in error


def document(*prefixes: str) -> bytes:
    return json.dumps({"prefixes": rows("ipv4Prefix", list(prefixes))}).encode()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (document(), "is empty"),
        (b"{}", "is empty"),
        (b"[]", "is empty"),
        (b"", "the form that was expected"),
        (b"<html>blocked</html>", "the form that was expected"),
        (b'{"prefixes": 5}', "the form that was expected"),
        (b'{"prefixes": ["x"]}', "the form that was expected"),
        (b"[" * 100_000, "the form that was expected"),
        (b"\xff\xfe", "the form that was expected"),
        (b'{"prefixes": [{"ipv4Prefix": 5}]}', "which is not a network"),
        (b'{"prefixes": [{"other": "x"}]}', "which is not a network"),
        (document("203.0.113.1/24"), "which is not a network"),
        (document("0.0.0.0/0"), "wider than anybody's ranges"),
        (document("::/0"), "wider than anybody's ranges"),
        (document("41.0.0.0/8", "128.0.0.0/2"), "wider than anybody's ranges"),
        (document("10.1.0.0/16"), "not public addresses"),
        (document("192.168.7.0/24"), "not public addresses"),
        (document("127.0.0.1"), "not public addresses"),
        (document("172.0.0.0/8"), "not public addresses"),
        (document("fd00:1::/32"), "not public addresses"),
        (document("fe80::/64"), "not public addresses"),
        (document("157.55.39.0/24"), "has shrunk to .* % of its IPv4 addresses"),
        (document("41.0.0.0/8", "104.16.0.0/24"), "cloudflare has published as its own"),
    ],
)
def test_a_list_that_cannot_be_genuine_is_refused(
    lists: Lists, table: Path, capsys: pytest.CaptureFixture[str], body: bytes, reason: str
) -> None:
    sources = lists.sources("bingbot", "applebot")
    lists.bodies["/bingbot/0"] = body
    assert networks.main(["--refresh"], sources, table) == 1
    new = contents(table)
    assert new["RANGES"]["bingbot"] == known_networks_data.RANGES["bingbot"]
    assert new["DATES"]["bingbot"] == known_networks_data.DATES["bingbot"]
    # What one party publishes is no reason to keep the others' old lists.
    assert new["DATES"]["applebot"] == today()
    error = capsys.readouterr().err
    assert error.startswith("wpward: The list of bingbot is not taken, as ")
    assert re.search(reason, error) and error.count("\n") == 1, error


def test_half_of_a_partys_lists_is_none(
    lists: Lists, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = lists.sources()
    del lists.bodies["/cloudflare/1"]
    assert networks.main(["--refresh"], sources, table) == 1
    assert contents(table)["RANGES"]["cloudflare"] == known_networks_data.RANGES["cloudflare"]
    assert "the published lists of cloudflare (it answered 404); what" in capsys.readouterr().err


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _number in range(40):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.1)


def elsewhere(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/passwd")
    handler.end_headers()


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _number in range(300):
        handler.wfile.write(b" " * 65536)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (drip, "not complete within 1.5 seconds"),
        (elsewhere, "redirection to url 'file:///etc/passwd' is not allowed|answered 302"),
        (endless, "longer than 1000000 bytes"),
        (hang_up, "IncompleteRead|form that was expected"),
    ],
)
def test_a_server_that_misbehaves_is_a_sentence(
    lists: Lists,
    table: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[BaseHTTPRequestHandler], None],
    reason: str,
) -> None:
    monkeypatch.setattr(networks, "_MAX_BYTES", 1_000_000)
    sources = lists.sources("bingbot")
    lists.bodies["/bingbot/0"] = answer
    began = time.monotonic()
    assert networks.main(["--refresh", "--timeout", "1.5"], sources, table) == 1
    assert time.monotonic() - began < 6
    assert re.search(reason, capsys.readouterr().err)
    assert contents(table)["RANGES"]["bingbot"] == known_networks_data.RANGES["bingbot"]


def test_a_table_that_cannot_be_written_is_a_sentence(
    lists: Lists, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "missing" / "known_networks_data.py"
    assert networks.main(["--refresh"], lists.sources(), place) == 1
    assert f"the table {place} cannot be written: No such file" in capsys.readouterr().err


def test_https_needs_a_certificate_that_is_trusted(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(tmp_path / "key.pem"), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    both = tmp_path / "both.pem"
    both.write_text(certificate.read_text() + (tmp_path / "key.pem").read_text())
    served = Lists(both)
    try:
        sources = served.sources()
        with pytest.raises(networks.Unreachable, match=r"(?i)certificate"):
            networks.fetch(sources["bingbot"][0], 5)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert networks.main(["--refresh"], sources, table) == 0
    finally:
        served.close()
    assert set(contents(table)["DATES"].values()) == {today()}


def test_without_refresh_the_ages_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert networks.main([]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == len(SOURCES)
    assert all(re.match(r"\d{4}-\d\d-\d\d  \w+ +\d+ networks  https://", line) for line in out)


def test_a_text_that_is_no_program_never_replaces_the_table(table: Path) -> None:
    before = table.read_bytes()
    with pytest.raises(SyntaxError):
        networks.write(table, "DATES = {")
    assert table.read_bytes() == before


def test_ranges_are_merged() -> None:
    given = [ipaddress.ip_network(n) for n in ("2a06::/29", "5.0.1.0/24", "5.0.0.0/24")]
    assert [str(n) for n in networks.merged(given)] == ["5.0.0.0/23", "2a06::/29"]


# --- wpward cdn


def test_cdn_alone_lists_the_delivery_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert cdn.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == list(EDGES)


def test_cdn_refresh_reads_the_published_lists_of_the_delivery_networks(
    lists: Lists, table: Path
) -> None:
    assert cdn.main(["refresh"], lists.sources(), table) == 0
    dates = contents(table)["DATES"]
    assert {party for party in dates if dates[party] == today()} == set(EDGES)


def test_cdn_refresh_from_files_and_addresses_reads_nothing_else(
    lists: Lists, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = lists.sources()
    for party in ("cloudflare", "jetpack"):
        for number, body in enumerate(published(party)):
            (tmp_path / f"{party}-{number}").write_bytes(body)
    given = [
        f"cloudfront={sources['cloudfront'][0]}",
        *(f"cloudflare={tmp_path}/cloudflare-{number}" for number in (0, 1)),
        f"jetpack={tmp_path}/jetpack-0",
    ]
    words = [word for one in given for word in ("--from", one)]
    # No other list is there.
    assert cdn.main(["refresh", *words], {}, table) == 0
    new = contents(table)
    changed = ["cloudfront", "cloudflare", "jetpack"]
    assert [party for party in SOURCES if new["DATES"][party] == today()] == changed
    assert NEW_EDGE in new["RANGES"]["cloudfront"]
    assert new["RANGES"]["cloudflare"] == known_networks_data.RANGES["cloudflare"]
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in shown] == changed


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "cloudflare-0: it is empty"),
        (b"\n", "cloudflare-0: it is empty"),
        (b"104.16.0.0/20\n", "has shrunk to 0 % of its IPv4 addresses"),
        (b"0.0.0.0/0\n", "wider than anybody's ranges"),
        (b"<html>", "'<html>', which is not a network"),
    ],
)
def test_a_file_that_cannot_be_the_list_is_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], body: bytes, reason: str
) -> None:
    before = table.read_bytes()
    file = tmp_path / "cloudflare-0"
    file.write_bytes(body)
    assert cdn.main(["refresh", "--from", f"cloudflare={file}"], {}, table) == 1
    assert table.read_bytes() == before
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("akamai=list", "--from akamai=list must be PARTY=FILE_OR_URL, with one of cloudfront"),
        ("cloudflare", "must be PARTY=FILE_OR_URL"),
        ("cloudflare=", "must be PARTY=FILE_OR_URL"),
        ("cloudflare=missing", "lists of cloudflare (No such file or directory); what"),
        ("cloudflare=.", "lists of cloudflare (Is a directory); what"),
        ("cloudflare=file:///etc/passwd", "lists of cloudflare (No such file or directory); what"),
    ],
)
def test_what_is_no_list_is_a_sentence(
    table: Path, capsys: pytest.CaptureFixture[str], given: str, reason: str
) -> None:
    before = table.read_bytes()
    assert cdn.main(["refresh", "--from", given], {}, table) == 1
    assert table.read_bytes() == before
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
