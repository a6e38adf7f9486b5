# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines and whom a filter has to find in them, in the manner of fail2ban's own suite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ENDPOINTS,
    XMLRPC,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_log_format import NICKNAMES
from ansible_collections.wpward.wordpress.plugins.module_utils.log_format import COMBINED

CLIENT = "203.0.113.7"
CLIENT6 = "2001:db8::77"
INNOCENT = "198.51.100.9"
"""Only ever stands in what a client sent."""
MOMENT = 1763801426.0
STAMP = "22/Nov/2025:08:50:26 +0000"
FORGED_DENIAL = f"1763801426.123 {INNOCENT} xmlrpc blog.example"
FORGED_ACCESS = f'{INNOCENT} - - [{STAMP}] "POST /xmlrpc.php HTTP/1.1" 403 5 "-" "-"'


class Case(NamedTuple):
    """A line, and the address that its filter finds; None for none."""

    line: str
    address: str | None
    moment: float | None = MOMENT


def _denials() -> Iterator[Case]:
    addresses = {
        CLIENT: CLIENT,
        CLIENT6: CLIENT6,
        "::ffff:203.0.113.7": CLIENT,
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2:3:4:5:6",
        "::1": "::1",
    }
    names = [
        "blog.example",
        "",
        "_",
        "localhost",
        "xn--bcher-kva.example",
        "*.blog.example",
        ".blog.example",
        r"~^(www\.)?(?<name>.+)\.example$",
        "~^(.*)$",
        r"~^blog\d*\.(example|test)$",
        "a name in quotes",
        "[2001:db8::1]",
        "sub_domain.example",
    ]
    for number, name in enumerate(names):
        moment = 1763801426 + number / 8
        for logged, address in addresses.items():
            yield Case(f"{moment:.3f} {logged} xmlrpc {name}", address, moment)
        yield Case(f"{moment:.3f} {CLIENT} 0 {name}", None)
        yield Case(f"{moment:.3f} unix: xmlrpc {name}", None)
        yield Case(f"{moment:.3f} {CLIENT} xmlrpcs {name}", None)
        yield Case(f"{moment:.3f} blog.example xmlrpc {name}", None)
        yield Case(f"{moment:.3f}  {CLIENT} xmlrpc {name}", None)
        yield Case(f"x{moment:.3f} {CLIENT} xmlrpc {name}", None)
    yield Case(f"1763801426.123 {CLIENT} xmlrpc", CLIENT, 1763801426.123)
    for rule in (one.id for one in ENDPOINTS if one is not XMLRPC):
        yield Case(f"1763801426.123 {CLIENT} {rule} blog.example", None)
    for line in (
        "",
        " ",
        "xmlrpc",
        f"1763801426 {CLIENT} xmlrpc blog.example",
        f"1763801426.12 {CLIENT} xmlrpc blog.example",
        f"1763801426.1234567 {CLIENT} xmlrpc blog.example",
        f"176380142.123 {CLIENT} xmlrpc blog.example",
        f"{CLIENT} xmlrpc blog.example",
        f"1763801426.123 {CLIENT}",
        f"1763801426.123 {CLIENT} ",
        f"1763801426.123 {CLIENT}  blog.example",
        f"1763801426.123 {CLIENT} XMLRPC blog.example",
        f"1763801426.123 {CLIENT} blog.example xmlrpc",
        f"1763801426.123 {CLIENT[:9]}1763801427.123 {CLIENT} xmlrpc blog.example",
        f"1763801426.123 <{CLIENT}> xmlrpc blog.example",
        f"1763801426.123 {CLIENT}/24 xmlrpc blog.example",
        f"1763801426.123 {CLIENT}, {INNOCENT} xmlrpc blog.example",
        "1763801426.123 203.0.113 xmlrpc blog.example",
        f"# 1763801426.123 {CLIENT} xmlrpc blog.example",
        FORGED_ACCESS,
        FORGED_ACCESS.replace("POST /", "POST /1763801426.123 203.0.113.7 xmlrpc "),
    ):
        yield Case(line, None)


def _bans() -> Iterator[Case]:
    stamp = "2025-11-22 08:50:26,123"
    head = f"{stamp} fail2ban.actions        [1234]: NOTICE  "
    for jail in ("wpward-xmlrpc", "wpward-login", "wpward-author_by_id", "wpward-rest_users"):
        for address in (CLIENT, CLIENT6):
            yield Case(f"{head}[{jail}] Ban {address}", address)
            yield Case(f"{head}[{jail}] Unban {address}", None)
            yield Case(f"{head}[{jail}] Restore Ban {address}", None)
            yield Case(f"{head}[{jail}] {address} already banned", None)
            yield Case(f"{head}[{jail}] Increase Ban {address} (2 # 0:20:00 -> {stamp[:19]})", None)
            found = f"fail2ban.filter         [1234]: INFO    [{jail}] Found {address} - {stamp}"
            yield Case(f"{stamp} {found}", None)
    for jail in (
        "wpward-recidive",
        "wpward-editor",
        "recidive",
        "sshd",
        "apache-auth",
        "nginx-wpward-xmlrpc",
        "wpward",
        "wpward-xmlrpc] [x",
    ):
        yield Case(f"{head}[{jail}] Ban {CLIENT}", None)
    ours = f"[wpward-xmlrpc] Ban {CLIENT}"
    for line in (
        "",
        ours,
        f"{head}{ours} x",
        f"{head} x {ours}",
        f"x {head}{ours}",
        f"{stamp[:19]} fail2ban.actions        [1234]: NOTICE  {ours}",
        head.replace("NOTICE ", "WARNING") + ours,
        head.replace("actions", "filter ") + ours,
        f"{head}[sshd] Ban {INNOCENT} {head}{ours}",
        f"{stamp} fail2ban.filter         [1234]: WARNING [sshd] Match without: {head}{ours}",
        f"{head}[wpward-xmlrpc] Ban blog.example",
        FORGED_DENIAL,
    ):
        yield Case(line, None)


DENIALS = list(_denials())
BANS = list(_bans())


def journal_cases(word: str, other: str) -> list[tuple[dict[str, str | int], str | None]]:
    """Entries of the journal, and the address that the filter of a word finds in each."""
    cases: list[tuple[dict[str, str | int], str | None]] = []

    def add(address: str | None, message: str, **fields: str | int) -> None:
        entry: dict[str, str | int] = {"_HOSTNAME": "web1", "SYSLOG_IDENTIFIER": "wpward-login"}
        cases.append(({**entry, "MESSAGE": message, **fields}, address))

    for address in (CLIENT, CLIENT6, "2001:db8:1:2:3:4:5:6"):
        add(address, f"{word} {address}")
        add(address, f"{word} {address}", SYSLOG_PID="4711")
        add(address, f"{word} {address}", _PID=4711)
        add(address, f"{word} {address}", _HOSTNAME="")
        add(address, f"{word} {address}", _HOSTNAME="web-1.blog.example", _PID=4711)
        for message in (
            f"{other} {address}",
            f"{word} {address} x",
            f"{word}  {address}",
            f"{word}: {address}",
            f"x {word} {address}",
            f"{word.upper()} {address}",
            f"{word} {address}\n{word} {INNOCENT}",
            f"{address} {word}",
            f"{word} {address}/24",
        ):
            add(None, message)
        add(None, f"{word} {address}", SYSLOG_IDENTIFIER="sshd")
        add(None, f"wpward-login: {word} {address}", SYSLOG_IDENTIFIER="sshd")
        add(None, f"{word} {address}", SYSLOG_IDENTIFIER="wpward-logins")
    for message in ("", word, f"{word} ", f"{word} blog.example", f"{word} 203.0.113", "x" * 4096):
        add(None, message)
    return cases


class Request(NamedTuple):
    """What a client sends and is answered, before a server has written it down."""

    target: str
    counts: bool
    status: int = 403
    method: str = "POST"
    user: str = "-"
    referer: str = "-"
    agent: str = "Mozilla/5.0"
    line: str = ""
    """The whole request line, where it is not made of method and target."""


_TARGETS = [
    "/xmlrpc.php",
    "//xmlrpc.php",
    "///xmlrpc.php",
    "/./xmlrpc.php",
    "/%2e/xmlrpc.php",
    "/xmlrpc.php?rsd",
    "/xmlrpc.php??",
    "/xmlrpc.php/",
    "/xmlrpc.php/foo/index.php",
    "/xmlrpc.php%2ffoo",
    "/xmlrpc.php%3Fooo.php",
    "/xmlrpc.php#a",
    "/xmlrpc%2ephp",
    "/%78mlrpc.php",
    "/xmlrp%63.php",
    "/%78%6D%6c%72%70%63%2E%70%68%70",
    "/%58%4d%4C%52%50%43%2e%50%48%50",
    "/XMLRPC.PHP",
    "/%2fxmlrpc.php",
    "/%2F/xmlrpc.php",
    "/blog/xmlrpc.php",
    "/wp-admin/../xmlrpc.php",
    "/index.php/../xmlrpc.php",
    '/a"b/../xmlrpc.php',
    '/a\\"/../xmlrpc.php',
    "/\xff\xff/../xmlrpc.php",
    "http://blog.example/xmlrpc.php",
    "https://blog.example//xmlrpc.php?x=y",
    "HTTP://other.example:80/xmlrpc.php",
    "/" * 8000 + "xmlrpc.php",
    "/" + '"' * 2000 + "/../xmlrpc.php",
    "/xmlrpc.php?" + "a" * 8000,
    "/xmlrpc.php?" + '"' * 8000,
]
_OTHERS = [
    "/",
    "/?x=/xmlrpc.php",
    "/?x=y&/xmlrpc.php",
    "/?s=" + FORGED_ACCESS.replace(" ", "%20"),
    "/?s=" + FORGED_ACCESS,
    "/index.php?http://blog.example/xmlrpc.php",
    "/#/xmlrpc.php",
    "/my-xmlrpc.php",
    "/xmlrpc.php5",
    "/xmlrpc.php.bak",
    "/xmlrpc.phps",
    "/xmlrpcphp",
    "/xmlrpcXphp",
    "/xmlrpc%252ephp",
    "/xmlrpc.php;x",
    "/xmlrpc.ph",
    "/wp-login.php?redirect_to=/xmlrpc.php",
    "/wp-json/?rest_route=/xmlrpc.php",
    "http://xmlrpc.php/",
    "http://blog.example/?/xmlrpc.php",
    "http://blog.example?/xmlrpc.php",
    "*",
    "xmlrpc.php",
    f"/{FORGED_DENIAL}",
    "/xmlrpc.ph" * 800,
    "/" * 8000,
    "/?" + "/xmlrpc.php" * 700,
]
_USERS = [
    "foo bar",
    "x [20010101T000000] y",
    "x [01/Jan/2001",
    "] [",
    f"{INNOCENT} - - [{STAMP[:11]}] ",
    '"] "POST /xmlrpc.php HTTP/1.1" 403 5 "',
    '"',
    "\\",
    '\\"',
    f"- - [{STAMP.replace(':', ';')}] POST /xmlrpc.php HTTP/1.1 403",
    " ",
    "\x01\xff",
    "[" * 5000,
    '"' * 5000,
]
_ELSEWHERE = [
    "https://other.example/xmlrpc.php",
    '" "POST /xmlrpc.php HTTP/1.1" 403 ',
    FORGED_ACCESS,
    FORGED_DENIAL,
    f'\\" {FORGED_ACCESS}',
    "\\",
]
REQUESTS = [
    *(Request(target, True) for target in _TARGETS),
    *(Request("/xmlrpc.php", True, user=user) for user in _USERS),
    *(Request("/xmlrpc.php", True, referer=text, agent=text) for text in _ELSEWHERE),
    *(
        Request("/xmlrpc.php", True, status=status)
        for status in (200, 401, 404, 405, 429, 444, 499, 500, 503)
    ),
    *(Request("/xmlrpc.php", True, method=method) for method in ("GET", "HEAD", "PUT", "M-SEARCH")),
    Request("", True, line="POST /xmlrpc.php"),
    *(Request(target, False, status=200) for target in _OTHERS),
    *(Request("/", False, user=user) for user in _USERS),
    *(Request("/", False, referer=text) for text in _ELSEWHERE),
    *(Request("/", False, agent=text) for text in _ELSEWHERE),
    *(Request("/xmlrpc.php", False, status=status) for status in (301, 302, 304, 308, 400, 206)),
    *(
        Request("", False, line=line)
        for line in (
            "",
            "-",
            "/xmlrpc.php",
            " /xmlrpc.php HTTP/1.1",
            "POST",
            "POST  /",
            "\x16\x03\x01 /xmlrpc.php",
            "CONNECT blog.example:443 HTTP/1.1",
            "PRI * HTTP/2.0",
        )
    ),
]

FORMATS: dict[str, tuple[str, str]] = {
    "nginx combined": ("nginx", COMBINED),
    "nginx main": ("nginx", COMBINED + ' "$http_x_forwarded_for"'),
    "nginx with host": ("nginx", "$host:$server_port " + COMBINED),
    "nginx upstream": (
        "nginx",
        COMBINED + " rt=$request_time urt=$upstream_response_time <100%>; # x",
    ),
    "nginx tabs": ("nginx", "$time_iso8601\t$remote_addr\t$status\t$request\t$http_user_agent"),
    "nginx epoch": ("nginx", '$msec $remote_addr "$request" $status "$http_user_agent"'),
    "nginx time last": ("nginx", '$remote_addr "$request" $status [$time_iso8601]'),
    "nginx JSON": (
        "nginx",
        'escape=json {"time":"$time_iso8601","user":"$remote_user","ua":"$http_user_agent",'
        '"client":"$remote_addr","request":"$request","status":$status}',
    ),
    "httpd common": ("httpd", NICKNAMES["common"]),
    "httpd combined": ("httpd", NICKNAMES["combined"]),
    "httpd vhost_combined": ("httpd", NICKNAMES["vhost_combined"]),
    "httpd by strftime": ("httpd", '%{%Y-%m-%dT%H:%M:%S%z}t %a "%{User-Agent}i" "%r" %>s %b'),
    "httpd epoch": ("httpd", '%{sec}t %a "%r" %>s'),
}
"""Server and text, by what the tests call them."""

_LETTERS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escaped(text: str, escapes: str) -> str:
    if escapes == "hex":
        return re.sub(r"[^ !#-\[\]-~]", lambda one: f"\\x{ord(one.group()):02X}", text)
    text = re.sub(r'["\\]', lambda one: "\\" + one.group(), text)
    code = "\\u00{:02x}" if escapes == "json" else "\\x{:02x}"
    return re.sub(
        r"[^ -~]", lambda one: _LETTERS.get(one.group(), code.format(ord(one.group()))), text
    )


def written(name: str, request: Request) -> str:
    """The line that the server of this format writes."""
    server, text = FORMATS[name]
    escapes = "backslash" if server == "httpd" else "hex"
    if text.startswith("escape=json "):
        escapes, text = "json", text.partition(" ")[2]
    asked = request.line if request.target == "" else f"{request.method} {request.target} HTTP/1.1"
    iso = datetime.fromtimestamp(MOMENT, UTC).isoformat()
    values = {
        "remote_addr": CLIENT,
        "remote_user": request.user,
        "request": asked,
        "status": str(request.status),
        "http_referer": request.referer,
        "http_user_agent": request.agent,
        "http_x_forwarded_for": INNOCENT,
        "host": "blog.example",
        "server_port": "80",
        "body_bytes_sent": "5",
        "request_time": "0.001",
        "upstream_response_time": "0.001, 0.002",
    }
    if server == "nginx":
        stamps = {"time_local": STAMP, "time_iso8601": iso, "msec": f"{MOMENT:.3f}"}
        return re.sub(
            r"\$(\w+)",
            lambda one: stamps.get(one.group(1)) or _escaped(values[one.group(1)], escapes),
            text,
        )
    directives = {
        "%v": "blog.example",
        "%p": "80",
        "%h": CLIENT,
        "%a": CLIENT,
        "%l": "-",
        "%t": f"[{STAMP}]",
        "%{sec}t": f"{MOMENT:.0f}",
        "%{%Y-%m-%dT%H:%M:%S%z}t": iso.replace("+00:00", "+0000"),
        # An empty name is written as two raw quotes.
        "%u": _escaped(request.user, escapes) if request.user.strip() else '""',
        "%r": _escaped(asked, escapes),
        "%>s": str(request.status),
        "%b": "5",
        "%{Referer}i": _escaped(request.referer, escapes),
        "%{User-Agent}i": _escaped(request.agent, escapes),
    }
    return re.sub(r"%(?:>?\w|\{[^}]*\}\w)", lambda one: directives[one.group()], text)


SLOW: list[tuple[str, str, int, str]] = [
    (before, unit, count, after)
    for before, after in (
        ("", ""),
        ("1763801426.123 ", ""),
        (f"1763801426.123 {CLIENT} xmlrpc ", ""),
        (f"{CLIENT} - ", f' [{STAMP}] "POST /xmlrpc.php HTTP/1.1" 403 5 "-" "-"'),
        (f'{CLIENT} - - [{STAMP}] "POST /', ' HTTP/1.1" 403 5 "-" "-"'),
        (f'{CLIENT} - - [{STAMP}] "POST /xmlrpc.php?', ' HTTP/1.1" 404 5 "-" "-"'),
        (f'{CLIENT} - - [{STAMP}] "GET / HTTP/1.1" 200 5 "-" "', '"'),
        (f"blog.example:80 {CLIENT} - ", f' [{STAMP}] "POST /xmlrpc.php HTTP/1.1" 403 5 "-" "-"'),
        ("2025-11-22 08:50:26,123 fail2ban.actions        [1234]: NOTICE  [wpward-", "] Ban"),
        ("web1 wpward-login[1]: failed ", ""),
    )
    for unit, count in (
        *((unit, 8000 // len(unit)) for unit in ("a", " ", "/", "[", '\\"', "%78", "/xmlrpc.ph")),
        *((unit, 1_000_000 // len(unit)) for unit in ("a", " ", "/", ":", "1", '\\"', " [", "/xm")),
    )
]
"""Parts of hostile lines, up to 1 MB long: before, what is repeated, how often, after."""
