# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of the matrix: every request of the catalogue, and forms that prove nothing a run's
verification needs to prove again.

The catalogue's requests are tried on every host that is hardened, so they are few and telling.
Here are also those that servers answer with 400 or 404 unless something odd is configured, the
remaining HTTP methods and XML-RPC methods, and the login forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ansible_collections.wpward.wordpress.plugins.module_utils import catalogue, http_client
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint, Request
from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import (
    ANSWERED,
    CLOSED,
    Exchange,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_judge import subject

OPEN = "open"
SHUT = "shut"
UNKNOWN = "unknown"
"""No whole answer came, so nothing is proven."""

LOGINS = ("alice", "bob", "carl", "dave")
LOGIN_ANSWERS = "login_answers"

_XML = (("Content-Type", "text/xml"),)
_FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
# How an answer without a body tells that WordPress gave it.
_HEAD_LEAKS = {
    "xmlrpc": (r"(?m)^Allow: POST$",),
    "rest_users": (r"(?mi)^X-WP-Total:",),
}


@dataclass(frozen=True)
class Server:
    """Where a row is asked: one virtual host of a test host."""

    address: str
    port: int
    host: str


@dataclass(frozen=True)
class Row:
    """One request and what in its answer proves that it got through.

    section: the catalogue's endpoint id, or LOGIN_ANSWERS.
    leaks: as in the catalogue, `{login}` standing for each of LOGINS.
    """

    section: str
    request: Request
    leaks: tuple[str, ...]

    @cached_property
    def label(self) -> str:
        """The request as the table shows it, for a site at `/` of blog.example."""
        target = _fill(self.request.target, "blog.example").replace(" ", "\\x20")
        words = [self.request.method, target]
        if self.request.version != "1.1":
            words.append(f"HTTP/{self.request.version}")
        shown = "".join(c if " " <= c < "\x7f" else f"\\x{ord(c):02x}" for c in " ".join(words))
        return f"{shown} ({self.note})" if self.note else shown

    @property
    def note(self) -> str:
        """What sets the request apart from others with the same label."""
        without = "no Host" if ("Host", None) in self.request.headers else ""
        return self.request.note or without

    def to(self, server: Server) -> http_client.Request:
        return http_client.Request(
            address=server.address,
            port=server.port,
            host=server.host,
            target=_fill(self.request.target, server.host),
            method=self.request.method,
            version=self.request.version,
            headers=self.request.headers,
            body=_fill(self.request.body, server.host).encode("latin-1"),
        )

    def judge(self, *exchanges: Exchange) -> str:
        """OPEN, SHUT or UNKNOWN, by what came back and never by its status."""
        for exchange in exchanges:
            text = subject(exchange)
            if any(pattern.search(text) for pattern in self._patterns):
                return OPEN
        return SHUT if all(map(_whole, exchanges)) else UNKNOWN

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        leaks = [leak for leak in self.leaks if "{login}" not in leak]
        for leak in self.leaks:
            if "{login}" in leak:
                leaks += [leak.replace("{login}", re.escape(login)) for login in LOGINS]
        return [re.compile(leak) for leak in leaks]


def _whole(exchange: Exchange) -> bool:
    return exchange.outcome == CLOSED or (exchange.outcome == ANSWERED and exchange.complete)


def _fill(template: str, host: str) -> str:
    for word, value in (
        ("{site_url}", f"http://{host}/"),
        ("{base}", "/"),
        ("{host}", host),
        ("{login}", LOGINS[0]),
    ):
        template = template.replace(word, value)
    return template


def _call(method_name: str, *parameters: str) -> str:
    listed = "".join(f"<param><value>{value}</value></param>" for value in parameters)
    return (
        f'<?xml version="1.0"?><methodCall><methodName>{method_name}</methodName>'
        f"<params>{listed}</params></methodCall>"
    )


_LIST_METHODS = _call("system.listMethods")


def _rpc(
    target: str,
    note: str = "",
    headers: tuple[tuple[str, str | None], ...] = (),
    body: str = _LIST_METHODS,
    version: str = "1.1",
) -> Request:
    return Request(target, "POST", (*_XML, *headers), body, version, note)


def _chunked(target: str) -> Request:
    half = len(_LIST_METHODS) // 2
    pieces = (_LIST_METHODS[:half], _LIST_METHODS[half:], "")
    body = "".join(f"{len(piece):x}\r\n{piece}\r\n" for piece in pieces)
    headers = (("Transfer-Encoding", "chunked"), ("Content-Length", None))
    return _rpc(target, "chunked", headers, body)


def _gets(*targets: str) -> tuple[Request, ...]:
    return tuple(Request("{base}" + target) for target in targets)


_XMLRPC = (
    *(
        _rpc("{base}" + target)
        for target in (
            "xmlrpc.php/../xmlrpc.php",
            "xmlrpc.php/%2e%2e/xmlrpc.php",
            "wp-admin/%2e%2e%2fxmlrpc.php",
            "xmlrpc.php%2findex.php",
            "xmlrpc.php/%2findex.php",
            "xmlrpc.php%252f",
            "xmlrpc%252ephp",
            "xmlrpc.php;",
            "xmlrpc.php;.css",
            "xmlrpc.php%20",
            "xmlrpc.php.",
            "xmlrpc.php%23",
            "xmlrpc.php%3fx",
            ";/xmlrpc.php",
            "xmlrpc;.php",
            "%5cxmlrpc.php",
            "xmlrpc.php%5c",
            "blog/xmlrpc.php",
            "xmlrpc.php%00",
            "xmlrpc%00.php",
            "xmlrpc.php\0",
        )
    ),
    _rpc("xmlrpc.php"),
    _rpc("\\xmlrpc.php"),
    _rpc("\t{base}xmlrpc.php"),
    _rpc("{base}api/rpc", "the site's own rewrite rule"),
    _rpc("http://{host}{base}/xmlrpc.php"),
    _rpc("http://{host}{base}%78mlrpc.php"),
    _rpc("http://wpward.invalid{base}/xmlrpc.php"),
    _rpc("http://{base}xmlrpc.php"),
    _rpc("http:///{base}xmlrpc.php"),
    _rpc("https:{base}./%78mlrpc.php"),
    _rpc("ftp://{host}{base}xmlrpc.php"),
    _rpc("http://{host}{base}xmlrpc.php", "another Host", (("Host", "wpward.invalid"),)),
    _rpc("{base}xmlrpc.php", "unknown Host", (("Host", "wpward.invalid"),)),
    _rpc("{base}xmlrpc.php", headers=(("Host", None),)),
    _rpc("{base}xmlrpc.php", version="1.0"),
    _rpc("{base}/xmlrpc.php", headers=(("Host", None),), version="1.0"),
    _chunked("{base}xmlrpc.php"),
    _chunked("{base}/xmlrpc.php"),
    _rpc("{base}xmlrpc.php", "Expect: 100-continue", (("Expect", "100-continue"),)),
    _rpc("{base}xmlrpc.php", "as a form", _FORM),
    _rpc("{base}xmlrpc.php", "without Content-Type", (("Content-Type", None),)),
    _rpc("{base}xmlrpc.php", "system.multicall", body=_call("system.multicall")),
    _rpc("{base}xmlrpc.php", "pingback.ping", body=_call("pingback.ping", "http://x/", "http://y")),
    _rpc("{base}xmlrpc.php", "password guess", body=_call("wp.getUsersBlogs", LOGINS[0], "wrong")),
    *(
        _rpc("{base}xmlrpc.php", f"forged {name}", ((name, "127.0.0.1"),))
        for name in ("X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "Fastly-Client-IP")
    ),
    _rpc("{base}xmlrpc.php", "as Jetpack", (("User-Agent", "Jetpack by WordPress.com"),)),
    _rpc("{base}xmlrpc.php", "as Googlebot", (("User-Agent", "Googlebot/2.1"),)),
    *(Request("{base}xmlrpc.php", method) for method in ("OPTIONS", "DELETE", "PATCH")),
    *(Request("{base}xmlrpc.php?rsd", method) for method in ("PUT", "OPTIONS")),
    *_gets("/xmlrpc.php?rsd", "xmlrpc.php?x&rsd=1", "xmlrpc.php/?rsd", "xmlrpc.php/index.php?rsd"),
)

_AUTHORS = (
    *_gets(
        "?author[]=1",
        "?AUTHOR=1",
        "?author=0",
        "?x=y;author=1",
        "first/?author=1",
        "?author=-1,1",
        "?author[0]=1",
        "feed/atom/",
        "feed/rdf/",
        "first/feed/",
        "",
        "first/",
        "wp-json/oembed/1.0/embed?url={site_url}first/",
        "?rest_route=/oembed/1.0/embed&url={site_url}first/",
    ),
    Request("{base}first/", "POST", _FORM, "author=1", note="author in the body"),
    Request("{base}xmlrpc.php/../?author=1"),
)

_REST = _gets(
    "wp-json/wp/v2//users",
    "wp-json//wp/v2/users",
    "wp-json/./wp/v2/users",
    "wp-json/x/../wp/v2/users",
    "wp-json/wp/v2/users%20",
    "wp-json/wp/v2/users%0a",
    "wp-json/wp/v2/users/me",
    "wp-json/wp/v2/users/3",
    "wp-json/wp/v2/users?who=authors",
    "wp-json/wp/v2/users?context=edit",
    "?rest_route=/wp/v2//users",
    "?rest_route=wp/v2/users",
    "first/?rest_route=/wp/v2/users",
    "wp-json/wp/v2/search?search=alice&_embed",
)

_SITEMAP = _gets("wp-sitemap-users-2.xml", "wp-sitemap.xml?sitemap=users", "WP-SITEMAP-USERS-1.XML")


def _login(body: str, note: str, action: str = "") -> Request:
    # Without the cookie of an earlier visit WordPress looks at the name all the same.
    return Request("{base}wp-login.php" + action, "POST", _FORM, body, note=note)


_LOGIN = (
    _login("log={login}&pwd=wrong", "wrong password"),
    _login("log={login}@blog.example&pwd=wrong", "wrong password, by address"),
    _login("log=nosuch&pwd=wrong", "unknown name"),
    _login("log=nosuch@blog.example&pwd=wrong", "unknown address"),
    _login("user_login=nosuch", "unknown name", "?action=lostpassword"),
    _login("user_login=nosuch@blog.example", "unknown address", "?action=lostpassword"),
)
_LOGIN_LEAKS = (
    r"(?i)password you entered for the (?:username|email address)",
    r"(?i)is not registered on this site",
    r"(?i)unknown email address",
    r"(?i)there is no account with that",
)

# Atom names an author in an element of its own.
_MORE_LEAKS = {"author_by_id": (r"(?i)<name>{login}</name>",)}
_MORE = {
    "xmlrpc": _XMLRPC,
    "author_by_id": _AUTHORS,
    "rest_users": _REST,
    "users_sitemap": _SITEMAP,
}

TITLES = {
    **{endpoint.id: endpoint.title for endpoint in catalogue.ENDPOINTS},
    LOGIN_ANSWERS: "What the login and lost-password forms say about a name",
}


def _of(endpoint: Endpoint) -> Iterator[Row]:
    for request in (*endpoint.refused, *endpoint.guarded, *_MORE.get(endpoint.id, ())):
        of_head = _HEAD_LEAKS.get(endpoint.id, ()) if request.method == "HEAD" else ()
        more = _MORE_LEAKS.get(endpoint.id, ())
        yield Row(endpoint.id, request, (*endpoint.leaks, *more, *of_head))


def rows() -> list[Row]:
    """Every row, in the order of the table; the endpoints that are closed by default."""
    listed = [
        row
        for endpoint in catalogue.ENDPOINTS
        if endpoint.default == "closed"
        for row in _of(endpoint)
    ]
    listed += [Row(LOGIN_ANSWERS, request, _LOGIN_LEAKS) for request in _LOGIN]
    # Two templates can come to the same request where the site is at "/".
    return list({(row.section, row.label): row for row in reversed(listed)}.values())[::-1]


def lookalikes() -> list[Row]:
    """Harmless requests that careless rules refuse; their rows are never judged by leaks."""
    return [
        Row(endpoint.id, request, ())
        for endpoint in catalogue.ENDPOINTS
        if endpoint.default == "closed"
        for request in endpoint.lookalikes
    ]
