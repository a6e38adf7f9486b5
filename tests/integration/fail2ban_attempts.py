# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Raw requests that try to have somebody else banned, or to go unseen."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import NamedTuple

from .fail2ban_cases import FORGED_ACCESS, FORGED_DENIAL, INNOCENT, STAMP

XMLRPC = "/xmlrpc.php"
STATIC = "/wp-includes/images/blank.gif"
"""Where nothing but the text around it matters: WordPress would take a hundred times as long."""
CALL = b"<methodCall><methodName>system.listMethods</methodName></methodCall>"
FORM = b"x=%2Fxmlrpc.php&y=wp-login.php"


class Attempt(NamedTuple):
    """refused: whether the hardened server has to refuse it; None where only it can tell.
    reaches: whether the access-log filter has to find it on the open server, likewise."""

    name: str
    raw: bytes
    refused: bool | None
    reaches: bool | None


def _raw(
    target: str,
    *headers: str,
    method: str = "POST",
    version: str = "1.1",
    host: str = "blog.example",
    body: bytes = CALL,
) -> bytes:
    lines = [
        f"{method} {target} HTTP/{version}",
        *([f"Host: {host}"] if host else []),
        *headers,
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _basic(user: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:x".encode("latin-1")).decode()


_TEXTS = {
    "denial": FORGED_DENIAL,
    "denial after a line feed": f"x%0a{FORGED_DENIAL}".replace(" ", "%20"),
    "denial after CR and LF": f"x%0d%0a{FORGED_DENIAL}%0d%0a".replace(" ", "+"),
    "denial after an escape": f"\\n{FORGED_DENIAL}\\n",
    "access line": FORGED_ACCESS,
    "access line after a quote": f'" {FORGED_ACCESS} "',
    "time and address": f'] "POST {XMLRPC} HTTP/1.1" 403 5 "{INNOCENT}" [{STAMP}',
    "8 KB of addresses": f"{INNOCENT} xmlrpc " * 300,
    "8 KB of quotes": '"' * 1900,
    "path": XMLRPC,
}
_USERS = {
    "words": "foo bar",
    "old date": "x [20010101T000000] y",
    "half a date": "x [01/Jan/2001",
    "brackets": "] [",
    "denial": FORGED_DENIAL,
    "quote": f'{INNOCENT} "] "POST {XMLRPC}',
    "blank": " ",
    "control": f"\x01\n{FORGED_DENIAL.replace(':', ';')}",
    "4 KB": "[" * 4000,
}
_VARIANTS = (
    "//xmlrpc.php",
    "/%78mlrpc.php",
    "/xmlrpc%2ephp",
    "/%2e/xmlrpc.php",
    "/./xmlrpc.php",
    "/wp-admin/../xmlrpc.php",
    "/xmlrpc.php?rsd",
    f"/xmlrpc.php?{FORGED_DENIAL.replace(' ', '+')}",
    "http://blog.example/xmlrpc.php",
    f"http://{INNOCENT}/xmlrpc.php",
    "/" * 4000 + "xmlrpc.php",
)


def by_hand() -> Iterator[Attempt]:
    """Those of which it is known what has to come of them."""
    for name, text in _TEXTS.items():
        encoded = text.replace(" ", "%20").replace('"', "%22").replace("\\", "%5C")
        yield Attempt(f"{name} in the query", _raw(f"{STATIC}?s={encoded}"), False, False)
        yield Attempt(f"{name} in the path", _raw(f"/x/{encoded.lstrip('/')}x"), False, False)
        for header in ("Referer", "User-Agent", "X-Forwarded-For", "X-Real-IP", "Cookie"):
            yield Attempt(f"{name} in {header}", _raw(STATIC, f"{header}: {text}"), False, False)
        yield Attempt(
            f"{name} in an attack's User-Agent", _raw(XMLRPC, f"User-Agent: {text}"), True, True
        )
        yield Attempt(f"{name} in an attack's query", _raw(f"{XMLRPC}?{encoded}"), True, True)
    for name, user in _USERS.items():
        yield Attempt(f"user: {name}", _raw(STATIC, _basic(user)), False, False)
        yield Attempt(f"an attack's user: {name}", _raw(XMLRPC, _basic(user)), True, True)
    for target in _VARIANTS:
        yield Attempt(f"an attack on {target[:40]}", _raw(target), True, True)
    page = ("Origin: https://other.example", "Referer: https://other.example/")
    for target in ("/?x=/xmlrpc.php", "/?x=//xmlrpc.php&y", "/index.php?/xmlrpc.php"):
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            raw = _raw(target, *page, f"Content-Type: {kind}", body=FORM)
            yield Attempt(f"a form of another site for {target}", raw, False, False)
    for host in (
        FORGED_DENIAL,
        f"{INNOCENT} xmlrpc",
        f'blog.example" {INNOCENT}',
        f"blog.example%0a{FORGED_DENIAL}",
        "a" * 7000,
        INNOCENT,
    ):
        yield Attempt(f"Host {host[:40]}", _raw(STATIC, host=host), False, False)
        yield Attempt(f"an attack on Host {host[:40]}", _raw(XMLRPC, host=host), None, None)
    for method in ("get", "PROPFIND", f"{INNOCENT}", "X" * 300, "GET\t"):
        yield Attempt(f"method {method[:20]}", _raw(XMLRPC, method=method), None, None)
    folded = f"X-Folded: a\r\n {FORGED_DENIAL}\r\n\t{FORGED_ACCESS}"
    yield Attempt("folded header", _raw(STATIC, folded), None, False)
    yield Attempt("attack with a folded header", _raw(XMLRPC, folded), None, None)
    yield Attempt("no Host, HTTP/1.0", _raw(XMLRPC, version="1.0", host=""), True, True)
    yield Attempt("raw line feeds", f"GET / x\n{FORGED_DENIAL}\r\n\r\n".encode(), None, False)
    yield Attempt("two lines", f"{FORGED_DENIAL}\r\n{FORGED_ACCESS}\r\n\r\n".encode(), None, False)
    yield Attempt("bytes", bytes(range(1, 256)) + b"\r\n\r\n", None, False)


def fuzzed(seed: int, count: int) -> Iterator[Attempt]:
    """What a server makes of noise, nobody knows beforehand; the same for the same seed."""
    dice = random.Random(seed)
    pieces = [
        *(text[:200].encode("latin-1") for text in _TEXTS.values()),
        *(target[:60].encode() for target in _VARIANTS),
        b"/xmlrpc.php",
        b"?",
        b"%0a",
        b'"',
        b"\\",
        b"\xff",
        b" ",
        b"\t",
    ]

    def noise() -> bytes:
        chosen = dice.choices(pieces, k=dice.randrange(1, 5))
        chosen.append(dice.randbytes(dice.randrange(12)))
        return b"".join(chosen).replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")

    for number in range(count):
        target = b"/" + noise() if dice.random() < 0.7 else b"/xmlrpc.php"
        names = dice.sample((b"Referer", b"User-Agent", b"X-Forwarded-For", b"Cookie", b"Via"), 2)
        headers = b"".join(name + b": " + noise() + b"\r\n" for name in names)
        raw = (
            dice.choice((b"GET", b"POST")) + b" " + target + b" HTTP/1.1\r\nHost: blog.example\r\n"
        )
        raw += headers + b"Connection: close\r\n\r\n"
        yield Attempt(f"fuzz {number}: {raw!r}", raw, None, None)
