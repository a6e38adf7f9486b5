# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A log's format becomes a filter that finds only whoever asked; fail2ban itself reads it in the
integration tests."""

from __future__ import annotations

import re

import pytest
from ansible_collections.wpward.wordpress.plugins.filter.access_filter import FilterModule
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_log_format import NICKNAMES
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import COMBINED
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import classify
from ansible_collections.wpward.wordpress.plugins.plugin_utils.access_filter import (
    UnusableFormat,
    access_filter,
)
from hypothesis import given
from hypothesis import strategies as st

# fail2ban's own are longer; these read the same of the lines here.
WORDS = {
    "<ADDR>": r"(?P<address>[0-9a-f.:]+)",
    "{EPOCH}": r"(\d{10}(?:\.\d{3})?)",
    "%d/%b/%Y:%H:%M:%S %z": r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "%Y-%m-%dT%H:%M:%S%z": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:?\d\d",
}
STAMP = "[22/Nov/2026:08:50:26 +0000]"


def found(text: str, line: str) -> str | None:
    """The address that fail2ban finds by a filter: it cuts the time out of the line first."""
    date, fail = (
        re.search(rf"^{name} = (.*)$", text, re.M).group(1).replace("%%", "%")  # type: ignore[union-attr]
        for name in ("datepattern", "failregex")
    )
    for word, expression in WORDS.items():
        date, fail = date.replace(word, expression), fail.replace(word, expression)
    time = re.search(date, line)
    assert time or not line
    rest = line[: time.start(1)] + line[time.end(1) :] if time and time.group(1) else line
    hit = re.search(fail, rest)
    return hit.group("address") if hit else None


def combined(request: str, status: int = 403) -> str:
    return f'203.0.113.7 - - {STAMP} "{request}" {status} 5 "-" "x"'


NGINX = access_filter("combined", "nginx")


@pytest.mark.parametrize(
    ("server", "text", "line"),
    [
        ("nginx", "combined", combined("POST /xmlrpc.php HTTP/1.1")),
        ("nginx", COMBINED + " $request_time", combined("GET //%78mlrpc.php HTTP/1.1") + " 0.1"),
        ("httpd", "combined", combined("POST http://x/xmlrpc.php/y HTTP/1.1")),
        (
            "httpd",
            NICKNAMES["vhost_combined"],
            "blog.example:80 " + combined("POST /xmlrpc.php HTTP/1.1"),
        ),
        (
            "httpd",
            "vhost_combined",
            "[2001:db8::1]:80 " + combined("POST /xmlrpc.php HTTP/1.1"),
        ),
        (
            "nginx",
            '$msec $remote_addr "$request" $status',
            '1795337426.123 203.0.113.7 "GET /xmlrpc.php HTTP/1.1" 200',
        ),
        (
            "nginx",
            "$time_iso8601\t$remote_addr\t$request_method\t$request_uri\t$status",
            "2026-11-22T08:50:26+00:00\t203.0.113.7\tPOST\t/xmlrpc.php\t403",
        ),
        (
            "nginx",
            'escape=json {"t":"$time_iso8601","ua":"$http_user_agent","a":"$remote_addr",'
            '"r":"$request","s":$status}',
            '{"t":"2026-11-22T08:50:26+00:00","ua":"\\",\\"a\\":\\"198.51.100.9","a":"203.0.113.7",'
            '"r":"POST /xmlrpc.php HTTP/1.1","s":403}',
        ),
    ],
)
def test_each_format(server: str, text: str, line: str) -> None:
    made = access_filter(text, server)
    assert found(made, line) == "203.0.113.7"
    assert found(made, re.sub("/(?=xmlrpc|%78mlrpc)", "/?x=/", line)) is None
    assert found(made, '"' + line) is None
    assert found(made, line.replace("2026", "20x6").replace("1795337426", "x")) is None


@pytest.mark.parametrize("status", [200, 401, 403, 404, 405, 429, 444, 499, 500, 503])
def test_statuses_that_count(status: int) -> None:
    assert found(NGINX, combined("POST /xmlrpc.php HTTP/1.1", status)) == "203.0.113.7"


@pytest.mark.parametrize("status", [101, 206, 301, 302, 304, 308, 400])
def test_statuses_that_do_not_count(status: int) -> None:
    assert found(NGINX, combined("POST /xmlrpc.php HTTP/1.1", status)) is None


@pytest.mark.parametrize(
    ("server", "text", "reason"),
    [
        ("nginx", '$http_x_forwarded_for [$time_local] "$request" $status', "address"),
        ("nginx", "escape=none " + COMBINED, "forge"),
        ("nginx", '$remote_addr "$request" $status', "no time"),
        ("nginx", "$remote_addr [$time_local] $status", "no request"),
        ("nginx", '$remote_addr $msec "$request" $status', "beginning"),
        ("nginx", '$remote_addr [$time_local] $msec "$request" $status', "several"),
        ("nginx", 'h\xe9 $remote_addr [$time_local] "$request" $status', "encoding"),
        ("nginx", '$http_x $http_y $remote_addr [$time_local] "$request" $status', "blanks"),
        ("httpd", '%{X-Forwarded-For}i %t "%r" %>s', "address"),
        ("httpd", '%h %{%F}t %{%T}t "%r" %>s', "several"),
        ("httpd", '%h %{%Y-%j}t "%r" %>s', "time"),
    ],
)
def test_refusals(server: str, text: str, reason: str) -> None:
    with pytest.raises(UnusableFormat, match=reason):
        access_filter(text, server)
    answer = FilterModule().filters()["access_filter"](text, server)
    assert answer["content"] == ""
    assert answer["refusal"].startswith("The log format ")
    assert reason in answer["refusal"]


def test_an_endpoint_without_a_path_of_its_own_is_refused() -> None:
    with pytest.raises(UnusableFormat, match="no path"):
        access_filter("combined", "nginx", "author_by_id")
    assert "wlwmanifest" in access_filter("combined", "nginx", "wlwmanifest")


PIECES = st.sampled_from(
    [
        *("/", "//", "/xmlrpc.php", "xmlrpc.php", "/%78mlrpc.php", "/XMLRPC%2ePHP", "/xmlrpc.ph"),
        *(
            "?",
            "#",
            "x",
            "/wp-admin",
            "p",
            "%",
            "%70",
            ";",
            "&",
            "=",
            "%20",
            ":",
            "*",
            "%2f",
            "%3F",
        ),
        *("http://blog.example", "http://xmlrpc.php", "https:", "\\x5C", "\\x22", "%252f", "%0a"),
    ]
)


STARTS = st.sampled_from(["/", "/xmlrpc.php", "/%78mlrpc.php", "http://blog.example/", "https://x"])
"""A path or a whole address: servers answer anything else with 400."""


@given(STARTS, st.lists(PIECES, max_size=5).map("".join))
def test_it_names_what_the_classifier_names(start: str, rest: str) -> None:
    """Where the target has neither dot segments nor escapes that a server would refuse."""
    target = start + rest
    expected = "xmlrpc" in classify(target, log_escaped=True)
    hit = found(NGINX, combined(f"POST {target} HTTP/1.1")) is not None
    if expected:
        # PCRE's $ and Python's match before a last newline, too; there is no file of that name.
        assert hit or re.search(r"%0a(?:[?#]|$)", target), target
    elif hit:
        # A broken escape, which servers answer with 400.
        assert re.search(r"%(?![0-9A-Fa-f]{2})", target), target
