# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hundred people and machines with good reasons, while attackers flood the same site.

Run in the network namespace of the clients that own the addresses. It takes its options as one JSON
object and prints one: for each session what went wrong, for each attacker when the door closed.
Everybody has an address of their own; an answer is judged by its body.
"""

from __future__ import annotations

import http.client
import json
import re
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

HOST = "blog.example"
CODE = "271828"
PATIENCE = 60.0
"""Seconds; a small host with a hundred visitors is slow."""
AT_ONCE = threading.BoundedSemaphore(10)
"""Requests on their way: a queue for PHP that is longer than its patience proves nothing."""
TOLERATED = 3
"""Refused calls of XML-RPC that lead to a ban."""
PAUSE_ONCE_SHUT_OUT = 0.5
REFUSED = "Forbidden\n"

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "text/xml"}
HELLO = '<?xml version="1.0"?><methodCall><methodName>demo.sayHello</methodName></methodCall>'
SPELLINGS = (
    "/xmlrpc.php", "//xmlrpc.php", "/./xmlrpc.php", "/%78mlrpc.php", "/xmlrpc%2ephp",
    "/xmlrpc.php?x", "/index.php/../xmlrpc.php", "/xmlrpc.php/index.php",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    body: str


def password_of(login: str) -> str:
    return f"{login}-correct-horse"


class WrongAnswerError(Exception):
    """What a session was answered is not what it had a right to."""


@dataclass
class Browser:
    """One client at one address. `server` is where the site is, of the same kind."""

    address: str
    server: str
    login: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    nonce: str = ""

    def ask(self, target: str, form: dict[str, str] | None = None, **options: Any) -> Answer:
        """GET, or POST where there is a form or a `body`; `headers` come on top.

        Raises OSError where the server cannot be had.
        """
        body = urlencode(form) if form else options.get("body")
        headers = {"Host": HOST, "User-Agent": "Mozilla/5.0", **(FORM if form else {})}
        headers |= options.get("headers", {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        if self.nonce and "/wp-json/" in target:
            headers["X-WP-Nonce"] = self.nonce
        connection = http.client.HTTPConnection(
            self.server, 80, timeout=PATIENCE, source_address=(self.address, 0)
        )
        with AT_ONCE:
            try:
                connection.request("POST" if body else "GET", target, body, headers)
                got = connection.getresponse()
                page = got.read().decode("utf-8", "replace")
            finally:
                connection.close()
        for set_cookie in got.headers.get_all("Set-Cookie") or []:
            key, _, value = set_cookie.partition(";")[0].partition("=")
            self.cookies[key] = value
        return Answer(got.status, got.headers.get("Location", ""), page)

    def gets(self, target: str, shows: str, status: int = 200, **options: Any) -> Answer:
        """ask() with an answer of that status whose body has `shows`; else WrongAnswerError."""
        answer = self.ask(target, **options)
        if answer.status != status or shows not in answer.body:
            raise WrongAnswerError(
                f"{target}: {answer.status} instead of {status} with {shows!r}: "
                f"{answer.location or answer.body[:200]!r}"
            )
        return answer

    def refused(self, target: str, **options: Any) -> None:
        """What the site's policy closes to everybody is refused here too, and is no offence."""
        self.gets(target, REFUSED, 403, **options)

    def types(self, password: str | None = None, **more: str) -> Answer:
        """Fill in the login form, with the right password unless another is given."""
        self.cookies["wordpress_test_cookie"] = "WP%20Cookie%20check"
        form = {
            "log": self.login,
            "pwd": password or password_of(self.login),
            "testcookie": "1",
            **more,
        }
        return self.ask("/wp-login.php", form)

    def let_in(self, answer: Answer) -> None:
        """The answer logged us in."""
        if answer.status != 302 or not any("logged_in" in key for key in self.cookies):
            raise WrongAnswerError(f"not logged in: {answer.status} {answer.body[-500:]!r}")
        self.nonce = self.gets("/wp-admin/admin-ajax.php?action=rest-nonce", "").body

    def turned_away(self, answer: Answer, shows: str) -> None:
        """The answer shows a form once more."""
        if answer.status != 200 or shows not in answer.body:
            raise WrongAnswerError(f"{answer.status} without {shows!r}: {answer.body[-500:]!r}")


def reader(browser: Browser) -> None:
    browser.gets("/", "<title>Test blog")
    browser.gets("/wp-includes/css/dist/block-library/style.min.css", "wp-block")
    browser.gets("/first/", "First Comments Feed")
    browser.gets("/?s=xmlrpc.php", "Search results")
    browser.gets("/author/alice/", "<title>", 404)


def reader_with_an_old_link(browser: Browser) -> None:
    browser.refused("/?author=1")
    reader(browser)


def subscriber(browser: Browser) -> None:
    browser.turned_away(browser.types("mistyped"), "login_error")
    browser.let_in(browser.types())
    browser.gets("/wp-admin/profile.php", "user-profile")


def editor(browser: Browser) -> None:
    browser.gets("/wp-login.php", "loginform")
    browser.let_in(browser.types())
    browser.gets("/wp-admin/post-new.php", "block-editor")
    browser.gets("/wp-json/wp/v2/users/me?context=edit", "capabilities")
    browser.gets("/wp-json/wp/v2/users?per_page=100&_fields=id,name", '"name"')
    browser.gets("/wp-json/wp/v2/types?context=edit", '"rest_base"')
    save(browser)
    browser.gets("/wp-admin/edit.php?author=1", "wp-list-table")


def save(browser: Browser) -> None:
    """Write a draft and publish it, as the block editor does."""
    headers = {"Content-Type": "application/json"}
    draft = json.dumps({"title": f"By {browser.address}", "status": "draft"})
    answer = browser.gets("/wp-json/wp/v2/posts", '"draft"', 201, body=draft, headers=headers)
    number = json.loads(answer.body)["id"]
    post = json.dumps({"content": "About xmlrpc.php.", "status": "publish"})
    browser.gets(f"/wp-json/wp/v2/posts/{number}", '"publish"', body=post, headers=headers)


def administrator_asked_on_login(browser: Browser) -> None:
    """The plugin takes over once the password was right, and shows a page of its own."""
    for _ in range(2):
        browser.turned_away(browser.types("mistyped"), "login_error")
    page = browser.types()
    for code in ("000000", CODE):
        browser.turned_away(page, 'name="code"')
        fields = dict(re.findall(r'name="(user|proof)" value="(\w+)"', page.body))
        page = browser.ask("/wp-login.php?action=second_factor", {**fields, "code": code})
    browser.let_in(page)
    browser.gets("/wp-admin/", "dashboard")


def administrator_asked_on_authenticate(browser: Browser) -> None:
    """The plugin calls the right password an error until the code comes with it."""
    for _ in range(2):
        browser.turned_away(browser.types("mistyped"), "login_error")
    browser.turned_away(browser.types(), "second factor")
    browser.turned_away(browser.types(code="000000"), "second factor")
    browser.let_in(browser.types(code=CODE))
    browser.gets("/wp-admin/", "dashboard")


def jetpack(browser: Browser) -> None:
    for spelling in SPELLINGS:
        browser.gets(spelling, "Hello!", body=HELLO, headers=XML)
    browser.gets("/xmlrpc.php", "accepts POST requests only", 405)


def mobile_app(browser: Browser) -> None:
    """Its owner is signed in, here; the app tries XML-RPC in every spelling it knows."""
    browser.let_in(browser.types())
    browser.gets("/wp-json/wp/v2/users/me?context=edit", "capabilities")
    time.sleep(2)
    for spelling in SPELLINGS:
        browser.refused(spelling, body=HELLO, headers=XML)
    time.sleep(4)
    save(browser)


def search_engine(browser: Browser) -> None:
    browser.gets("/robots.txt", "User-agent")
    browser.gets("/feed/", "<rss")
    browser.gets("/wp-sitemap.xml", "<sitemapindex")
    browser.gets("/wp-sitemap-posts-post-1.xml", "<urlset")
    browser.refused("/wp-sitemap-users-1.xml")
    browser.gets("/first/", "First Comments Feed")
    browser.refused("/?author=1")
    browser.refused("/?author=2")


Session = Callable[[Browser], None]
SESSIONS: dict[Session, int] = {
    reader: 47,
    reader_with_an_old_link: 10,
    subscriber: 5,
    editor: 14,
    administrator_asked_on_login: 3,
    administrator_asked_on_authenticate: 3,
    jetpack: 4,
    mobile_app: 4,
    search_engine: 10,
}
COUNT = sum(SESSIONS.values())
ATTACKERS = 12


ROLES: dict[Session, str] = {
    subscriber: "subscriber",
    editor: "editor",
    administrator_asked_on_login: "administrator",
    administrator_asked_on_authenticate: "administrator",
    mobile_app: "editor",
}
"""What those are who log in."""


def login_of(session: Session, number: int) -> str:
    """Each session has a user of its own: of two logins at once WordPress forgets one."""
    return f"{session.__name__}-{number}"


def kinds() -> Iterator[Session]:
    """The sessions in an order that mixes them."""
    left = dict(SESSIONS)
    while left:
        for session in list(left):
            yield session
            left[session] -= 1
            if not left[session]:
                del left[session]


def hold(session: Session, browser: Browser) -> dict[str, Any]:
    """One session and what went wrong in it."""
    trouble = ""
    try:
        session(browser)
    except (OSError, http.client.HTTPException, WrongAnswerError) as error:
        trouble = f"{type(error).__name__}: {error}"
    return {"kind": session.__name__, "address": browser.address, "trouble": trouble}


def still_served(browser: Browser) -> str:
    """What is in the way of somebody who comes back; "" for nothing."""
    try:
        browser.gets("/wp-includes/css/dist/block-library/style.min.css", "wp-block")
    except (OSError, http.client.HTTPException, WrongAnswerError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@dataclass
class Attacker:
    """Asks for a page, calls XML-RPC until it is shut out, and goes on asking for pages.

    Each page is asked for by a number of its own, so that the server's side can tell which of them
    reached PHP. `shut_out` is the number at which a connection was refused for the first time.
    """

    address: str
    server: str
    keeps_alive: bool
    number: int = 0
    shut_out: int | None = None
    third_refusal: float | None = None
    until_ban: float | None = None
    served_after: int = 0
    refusals: int = 0
    _connection: http.client.HTTPConnection | None = None

    def attack(self, over: threading.Event) -> None:
        while not over.is_set():
            self.number += 1
            page = self.number == 1 or self.shut_out is not None
            try:
                status = self._send(page)
            except OSError:
                self._hang_up()
                over.wait(PAUSE_ONCE_SHUT_OUT if self.shut_out else 0.05)
                continue
            if self.shut_out is not None:
                self.served_after += 1
            elif status == 403:
                self.refusals += 1
                if self.refusals == TOLERATED:
                    self.third_refusal = time.monotonic()
            over.wait(0.05)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, page: bool) -> int:
        if self._connection is None:
            # nginx refuses at once; over a connection from before the ban no answer comes at all.
            timeout = PATIENCE if page else 3
            self._connection = http.client.HTTPConnection(
                self.server, 80, timeout=timeout, source_address=(self.address, 0)
            )
            try:
                self._connection.connect()
            except OSError:
                if self.shut_out is None:
                    self.shut_out = self.number
                    if self.third_refusal:
                        self.until_ban = time.monotonic() - self.third_refusal
                raise
        headers = {"Host": HOST, "User-Agent": "Mozilla/5.0"}
        if page:
            self._connection.request("GET", f"/?attack={self.number}", headers=headers)
        else:
            target = SPELLINGS[self.number % len(SPELLINGS)]
            self._connection.request("POST", target, HELLO, {**headers, **XML})
        try:
            answer = self._connection.getresponse()
            answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from None
        if page or not self.keeps_alive:
            self._hang_up()
        return answer.status

    def report(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "asked": self.number,
            "refusals": self.refusals,
            "shut_out": self.shut_out,
            "until_ban": self.until_ban,
            "served_after": self.served_after,
        }


def play(options: dict[str, Any]) -> dict[str, Any]:
    """All sessions and attackers at once.

    Options: `clients` (pairs of an address and the server's address of the same kind, one for each
    session), `attackers` (such pairs).
    """
    attackers = [
        Attacker(address, server, keeps_alive=number % 2 == 0)
        for number, (address, server) in enumerate(options["attackers"])
    ]
    sessions = list(kinds())
    browsers = [
        Browser(address, server, login_of(session, number))
        for number, (session, (address, server)) in enumerate(
            zip(sessions, options["clients"], strict=True)
        )
    ]
    over = threading.Event()
    threads = [threading.Thread(target=one.attack, args=(over,)) for one in attackers]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    with ThreadPoolExecutor(COUNT) as pool:
        held = list(pool.map(hold, sessions, browsers))
        # fail2ban may be a moment behind.
        time.sleep(2)
        for session, trouble in zip(held, pool.map(still_served, browsers), strict=True):
            session["trouble"] = session["trouble"] or trouble
    over.set()
    for thread in threads:
        thread.join()
    # Over a connection that stays open, a ban is silence.
    waits = [
        one.until_ban for one in attackers if one.until_ban is not None and not one.keeps_alive
    ]
    return {
        "seconds": round(time.monotonic() - started, 1),
        "until_ban": round(statistics.median(waits), 2) if waits else None,
        "sessions": held,
        "attackers": [one.report() for one in attackers],
    }


if __name__ == "__main__":
    print(json.dumps(play(json.loads(sys.argv[1]))))
