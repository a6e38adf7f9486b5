# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a visitor learns about login names, without the plugin and with it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from integration.guard.wordpress import (
    FORM,
    HERE,
    NOBODY,
    SUITES,
    Ask,
    Site,
    comparable,
    debug_log,
    install,
    prepare,
    read_asks,
    render,
    tells,
)
from testbed import hosts, podman

ASKS = read_asks(HERE / "visitors.tsv")

# Where a visitor can try a name. {who} is a login, an e-mail address or nobody.
ORACLES = {
    "login form": Ask("/wp-login.php", "POST", FORM, "log={who}&pwd=wrong"),
    "login form, empty password": Ask("/wp-login.php", "POST", FORM, "log={who}&pwd="),
    "login form, long password": Ask("/wp-login.php", "POST", FORM, "log={who}&pwd=" + "x" * 5000),
    "lost password": Ask("/wp-login.php?action=lostpassword", "POST", FORM, "user_login={who}"),
    "retrieve password": Ask(
        "/wp-login.php?action=retrievepassword", "POST", FORM, "user_login={who}"
    ),
    "lost password, then elsewhere": Ask(
        "/wp-login.php?action=lostpassword", "POST", FORM, "user_login={who}&redirect_to=/first/"
    ),
    "lost password with an error": Ask(
        "/wp-login.php?action=lostpassword&error=invalidkey", "POST", FORM, "user_login={who}"
    ),
    "reset link": Ask("/wp-login.php?action=rp&key=x&login={who}"),
    "archive": Ask("/author/{who}/"),
    "archive without a slash": Ask("/author/{who}"),
    "archive, two slashes": Ask("//author/{who}/"),
    "archive behind index.php": Ask("/index.php/author/{who}/"),
    "archive, second page": Ask("/author/{who}/page/2/"),
    "archive, feed": Ask("/author/{who}/feed/"),
    "archive, feed by parameter": Ask("/author/{who}/?feed=atom"),
    "archive, embedded": Ask("/author/{who}/embed/"),
    "author_name": Ask("/?author_name={who}"),
    "author_name in the body": Ask("/", "POST", FORM, "author_name={who}"),
    "author_name on a post": Ask("/first/?author_name={who}"),
    "search": Ask("/?s={who}"),
    "guessed address": Ask("/{who}"),
    "REST slug": Ask("/wp-json/wp/v2/users?slug={who}"),
    "REST search": Ask("/wp-json/wp/v2/users?search={who}"),
    "REST comments": Ask("/wp-json/wp/v2/comments?search={who}"),
    "oEmbed of an archive": Ask("/wp-json/oembed/1.0/embed?url={home}/author/{who}/"),
}
OPEN_ORACLES = set(ORACLES) - {
    "login form, empty password",
    "archive, second page",
    "archive, feed by parameter",
    "archive behind index.php",
    "oEmbed of an archive",
    "guessed address",
    "reset link",
    "search",
}
PEOPLE = ("alice", "bob", "carl", "dave", "alice@blog.example")


@dataclass(frozen=True)
class Measured:
    """What visitors learned before and after, by request."""

    suite: str
    site: Site
    tls: Site
    log: Callable[[], str]
    before: dict[Ask, str]
    oracles_before: set[str]
    basic_before: bool


def oracles(site: Site) -> set[str]:
    """The places whose answer for somebody differs from the answer for nobody."""
    found = set()
    for name, ask in ORACLES.items():
        for who in PEOPLE:
            nobody = who.replace("alice", NOBODY) if "@" in who else NOBODY
            answers = [
                comparable(site.ask(ask.about("{who}", person)), person, person.split("@")[0])
                for person in (who, nobody)
            ]
            if answers[0] != answers[1]:
                found.add(name)
    return found


def basic_tells(site: Site) -> bool:
    """Whether Basic authentication at the REST API tells a login from nobody."""
    answers = []
    for who in ("alice", NOBODY):
        word = base64.b64encode(f"{who}:wrong".encode()).decode()
        ask = Ask("/wp-json/wp/v2/posts", headers=(("Authorization", f"Basic {word}"),))
        answers.append(comparable(site.ask(ask), who))
    return answers[0] != answers[1]


@pytest.fixture(scope="module", params=SUITES)
def measured(
    request: pytest.FixtureRequest,
    make_host: Callable[..., hosts.Host],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Measured]:
    host = make_host("guard-visitors", vhosts=["tls"], suite=request.param)
    prepare(host)
    site = Site(host.address, 80, "blog.example")
    tls = Site(host.address, 8443, "blog.example:8443", tls=True)
    before = {ask: tells(site, ask) for ask in ASKS}
    oracles_before = oracles(site)
    basic_before = basic_tells(tls)
    install(host, render(tmp_path_factory.mktemp("guard") / "plugin.php"))
    yield Measured(
        request.param,
        site,
        tls,
        lambda: podman.execute(host.container, ["cat", debug_log(host)]),
        before,
        oracles_before,
        basic_before,
    )


def test_the_table_says_what_wordpress_tells(measured: Measured) -> None:
    if measured.suite != "bookworm":
        pytest.skip("the table was measured on WordPress 6.1")
    wrong = [str(ask) for ask, said in measured.before.items() if bool(said) != ask.leaks]
    assert not wrong
    assert sum(map(bool, measured.before.values())) > 250


def test_no_request_tells_a_login(measured: Measured) -> None:
    left = {str(ask): said for ask in ASKS if (said := tells(measured.site, ask))}
    assert not left, f"{len(left)} of {len(ASKS)}"


def test_no_request_tells_a_login_over_tls(measured: Measured) -> None:
    asks = [ask for ask in ASKS if ask.leaks][::5]
    assert not {str(ask): said for ask in asks if (said := tells(measured.tls, ask))}


def test_nobody_can_be_told_from_somebody(measured: Measured) -> None:
    assert measured.oracles_before >= OPEN_ORACLES
    assert oracles(measured.site) == set()


def test_basic_authentication_does_not_tell(measured: Measured) -> None:
    assert measured.basic_before
    assert not basic_tells(measured.tls)


def test_refusals_are_wordpress_own(measured: Measured) -> None:
    site = measured.site
    gone = site.ask(Ask("/nosuch/"))
    for target in ("/?author=1", "/author/alice/", "/wp-sitemap-users-1.xml", "/?sitemap=users"):
        assert comparable(site.ask(Ask(target))) == comparable(gone), target
    users = site.ask(Ask("/wp-json/wp/v2/users"))
    assert users.status == 404
    assert b'"rest_no_route"' in users.body


@pytest.mark.parametrize("kind", ["posts", "pages", "media", "comments", "blocks"])
def test_nothing_links_to_users(measured: Measured, kind: str) -> None:
    answer = measured.site.ask(Ask(f"/wp-json/wp/v2/{kind}?_embed"))
    assert b"users" not in answer.body
    assert b"rest_no_route" not in answer.body


def test_the_sitemap_does_not_mention_users(measured: Measured) -> None:
    assert b"wp-sitemap-users" not in measured.site.ask(Ask("/wp-sitemap.xml")).body


@pytest.mark.parametrize(
    ("target", "shows"),
    [
        ("/first/", "Zoe Display"),
        ("/feed/", "Zoe Display"),
        ("/wp-json/wp/v2/posts?author=1", '"author":1'),
        ("/wp-json/wp/v2/comments", '"author_name":"Zoe Display"'),
        ("/wp-json/oembed/1.0/embed?url={home}/first/", '"author_name":"Zoe Display"'),
        ("/second/", "Test blog"),
        ("/wp-sitemap.xml", "wp-sitemap-posts-post-1.xml"),
        ("/?author=", "Test blog"),
        ("/?author=0", "Test blog"),
        ("/?author=John+Doe", "Test blog"),
    ],
)
def test_what_names_nobody_stays(measured: Measured, target: str, shows: str) -> None:
    answer = measured.site.ask(Ask(target))
    assert answer.status == 200
    assert shows in answer.body.decode()


def test_php_has_no_complaint_about_the_plugin(measured: Measured) -> None:
    assert "wpward" not in measured.log()
