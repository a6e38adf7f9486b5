# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What real servers logged of hostile requests (data/servers/record.py) is read as it was sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_log_format,
    log_detection,
    log_format,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    LineFormat,
    with_query,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of

DATA = Path(__file__).parent / "data" / "servers"
RECORDED: dict[str, Any] = {
    name: json.loads((DATA / f"{name}.json").read_text()) for name in ("nginx", "httpd")
}
COMPILE = {"nginx": log_format.compile_format, "httpd": httpd_log_format.compile_format}
FORMATS = [(server, name) for server, recorded in RECORDED.items() for name in recorded["formats"]]


def header(raw: bytes, name: bytes) -> bytes:
    found = re.search(rb"\r\n" + name + rb":([^\r\n]*)", raw)
    return found.group(1).strip(b" \t") if found else b"-"


def compiled(server: str, name: str) -> LineFormat:
    text = RECORDED[server]["formats"][name] or log_format.COMBINED
    return COMPILE[server](text)


@pytest.mark.parametrize(("server", "name"), FORMATS)
def test_every_line_is_read_as_it_was_sent(server: str, name: str) -> None:
    line_format = compiled(server, name)
    recorded = RECORDED[server]
    lines = [line.encode("latin-1") for line in recorded["logs"][name]]
    requests = [request.encode("latin-1") for request in recorded["requests"]]
    assert len(lines) == len(requests)
    read = 0
    for line, raw in zip(lines, requests):
        rows = line_format.pattern.findall(b"\n" + line + b"\n")
        if not rows:
            # Only what is no request: the line of a client that sent a quote for a method.
            assert raw.startswith(b'"'), line
            continue
        (row,) = rows
        read += 1
        found = dict(zip(line_format.fields, row))
        if not line_format.forgeable:
            assert found["address"] == b"127.0.0.1"
        assert (seconds_of(found["time"]) or 0) > 1_790_000_000
        refused = found["status"] == b"400" or (name == "behind_proxy" and found["status"] == b"-")
        assert refused or found["status"] in (b"200", b"403", b"404")
        sent = raw.partition(b"\r\n")[0]
        if refused:
            continue
        if "request" in found:
            assert line_format.text_of(found["request"]) == sent
        else:
            method, target = sent.split(b" ")[:2]
            logged = with_query(found["target"], found.get("query", b""))
            # httpd's %U has its slashes merged.
            assert line_format.text_of(logged) == re.sub(rb"\A/+", b"/", target) or (
                server == "nginx" and logged == target
            )
            assert found["method"] == method
        if "agent" in found and name != "behind_proxy":
            agent = header(raw, b"User-Agent")
            if name == "json" and server == "nginx" and agent == b"-":
                agent = b""
            assert line_format.text_of(found["agent"]).strip() == agent
    assert read >= len(lines) - 1


@pytest.mark.parametrize(("server", "name"), FORMATS)
def test_forgeable_is_what_two_free_texts_make(server: str, name: str) -> None:
    assert compiled(server, name).forgeable == (name == "behind_proxy")


@pytest.mark.parametrize(("server", "name"), FORMATS)
def test_whole_logs_are_read_in_order(server: str, name: str) -> None:
    line_format = compiled(server, name)
    lines = [line.encode("latin-1") for line in RECORDED[server]["logs"][name]]
    one_by_one = [
        row for line in lines for row in line_format.pattern.findall(b"\n" + line + b"\n")
    ]
    together = line_format.pattern.findall(b"\n" + b"\n".join(lines) + b"\n")
    assert together == one_by_one
    fewer = line_format.only("address", "status")
    places = [line_format.fields.index(field) for field in fewer.fields]
    assert fewer.fields == tuple(f for f in line_format.fields if f in fewer.fields)
    assert fewer.pattern.findall(b"\n" + b"\n".join(lines) + b"\n") == [
        tuple(row[place] for place in places) for row in one_by_one
    ]


@pytest.mark.parametrize(
    ("server", "name", "detected"),
    [
        ("nginx", "combined", "combined"),
        ("nginx", "main", "main"),
        ("nginx", "json", None),
        ("httpd", "common", "common"),
        ("httpd", "combined", "combined"),
        ("httpd", "vhost_combined", "vhost_combined"),
    ],
)
def test_recorded_logs_are_recognised(server: str, name: str, detected: str | None) -> None:
    lines = [line.encode("latin-1") for line in RECORDED[server]["logs"][name]]
    found = log_detection.detect(b"\n".join(lines) + b"\n")
    if detected is None:
        # Its keys are single letters, which say nothing.
        assert found is None
        return
    assert found is not None
    assert found.name == detected
    own = compiled(server, name)
    text = b"\n" + b"\n".join(lines) + b"\n"
    common = set(own.fields) & set(found.format.fields)
    assert {"time", "address", "request", "status"} <= common

    def rows(line_format: LineFormat) -> list[list[bytes]]:
        places = [line_format.fields.index(field) for field in sorted(common)]
        return [[row[place] for place in places] for row in line_format.pattern.findall(text)]

    assert rows(found.format) == rows(own)
