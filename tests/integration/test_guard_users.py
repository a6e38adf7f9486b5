# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whoever is logged in, or calls with a password, works as before."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from difflib import unified_diff

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import Exchange
from integration.guard.wordpress import (
    CLOSED,
    FORM,
    SUITES,
    Ask,
    Site,
    Visitor,
    comparable,
    install,
    prepare,
    render,
)
from testbed import hosts, podman
from testbed.constants import ALICE, BOB, CARL, DAVE, USERS, User

_JSON = (("Content-Type", "application/json"),)
_REST = "/wp-json/wp/v2"

WITH_NONCE = (
    Ask(f"{_REST}/users/me"),
    Ask(f"{_REST}/users/me?context=edit"),
    Ask(f"{_REST}/users/me?_envelope=1"),
    Ask(f"{_REST}/users"),
    Ask(f"{_REST}/users?context=edit"),
    Ask(f"{_REST}/users?who=authors"),
    Ask(f"{_REST}/users?capabilities[]=edit_posts"),
    Ask(f"{_REST}/users/1"),
    Ask(f"{_REST}/users/2"),
    Ask(f"{_REST}/users/3"),
    Ask(f"{_REST}/users/3?context=edit"),
    Ask(f"{_REST}/users/3?id=1"),
    Ask(f"{_REST}/users/3/application-passwords"),
    Ask(f"{_REST}/users/me/application-passwords"),
    Ask(f"{_REST}/users/me", "POST", _JSON, '{"description":"About me."}'),
    Ask(f"{_REST}/users/3", "POST", _JSON, '{"description":"About me."}'),
    Ask(f"{_REST}/users/1", "OPTIONS"),
    Ask("/?rest_route=/wp/v2/users/me"),
    Ask("/?rest_route=/wp/v2/users/1"),
    Ask(f"{_REST}/posts?_embed"),
    Ask(f"{_REST}/posts?context=edit&_embed"),
    Ask(f"{_REST}/comments?_embed"),
    Ask(f"{_REST}/comments?search=alice@blog.example"),
    Ask(f"{_REST}/blocks?context=edit&_embed"),
    Ask(f"{_REST}/types?context=edit"),
    Ask(
        "/wp-json/batch/v1",
        "POST",
        _JSON,
        '{"requests":[{"method":"POST","path":"/wp/v2/posts/999999"}]}',
    ),
)
WITH_COOKIE = (
    Ask("/"),
    Ask("/first/"),
    Ask("/second/"),
    Ask("/feed/"),
    Ask("/comments/feed/"),
    Ask("/author/alice/"),
    Ask("/author/bob/feed/"),
    Ask("/?author=1"),
    Ask("/wp-sitemap.xml"),
    Ask("/wp-sitemap-users-1.xml"),
    Ask("/wp-admin/"),
    Ask("/wp-admin/profile.php"),
    Ask("/wp-admin/post-new.php"),
    Ask("/wp-admin/edit.php"),
    Ask("/wp-admin/edit.php?author=1"),
    Ask("/wp-admin/edit.php?post_type=page&author=2"),
    Ask("/wp-admin/edit-comments.php"),
    Ask("/wp-admin/upload.php?mode=list"),
    Ask("/wp-admin/users.php"),
    Ask("/wp-admin/export.php?download=true&content=all"),
    Ask("/wp-admin/admin-ajax.php", "POST", FORM, "action=query-attachments"),
)
# The nonce is what makes a cookie count at the REST API; without it everybody is a visitor there.
WITHOUT_NONCE = (Ask(f"{_REST}/users/me"), Ask(f"{_REST}/users/1"), Ask(f"{_REST}/posts?_embed"))

# A subscriber sees as much as a visitor, but keeps their own profile.
CARL_LOSES = {
    "GET /wp-admin/",
    "GET /first/",
    "GET /second/",
    "GET /feed/",
    "GET /comments/feed/",
    "GET /author/alice/",
    "GET /author/bob/feed/",
    "GET /?author=1",
    "GET /wp-sitemap.xml",
    "GET /wp-sitemap-users-1.xml",
    f"GET {_REST}/users",
    f"GET {_REST}/users?context=edit",
    f"GET {_REST}/users?who=authors",
    f"GET {_REST}/users?capabilities[]=edit_posts",
    f"GET {_REST}/users/1",
    f"GET {_REST}/users/2",
    f"GET {_REST}/users/3?id=1",
    f"OPTIONS {_REST}/users/1",
    "GET /?rest_route=/wp/v2/users/1",
    f"GET {_REST}/posts?_embed",
    f"GET {_REST}/comments?_embed",
    f"GET {_REST}/comments?search=alice@blog.example",
}

Table = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Measured:
    """Every answer, by user and request; and what a command line says."""

    host: hosts.Host
    site: Site
    tls: Site
    before: Table
    after: Table
    cli_before: str
    basic_before: dict[str, str]


def said(answer: Exchange) -> str:
    return comparable(answer)


def table(site: Site) -> Table:
    found: Table = {}
    for user in USERS:
        visitor = Visitor(site).log_in(user.login, user.password)
        found[user.login] = {
            **{str(ask): said(visitor.ask(ask, nonce=True)) for ask in WITH_NONCE},
            **{str(ask): said(visitor.ask(ask)) for ask in WITH_COOKIE},
        }
    return found


def with_password(site: Site) -> dict[str, str]:
    word = base64.b64encode(f"{ALICE.login}:{ALICE.application_password}".encode()).decode()
    headers = [("Authorization", f"Basic {word}")]
    asks = (*WITH_NONCE[:10], *WITHOUT_NONCE)
    return {str(ask): said(site.ask(ask, headers)) for ask in asks}


def cli(host: hosts.Host) -> str:
    code = (
        "require '/var/www/blog/wp-load.php'; echo get_author_posts_url( 1 ), ' ', "
        "get_the_author_meta( 'display_name', 2 ), ' ', count( get_users() ), ' ', "
        "wp_authenticate( 'nosuch', 'x' )->get_error_code();"
    )
    return podman.execute(host.container, ["php"], stdin=f"<?php error_reporting( 0 ); {code}")


@pytest.fixture(scope="module", params=SUITES)
def measured(
    request: pytest.FixtureRequest,
    make_host: Callable[..., hosts.Host],
    tmp_path_factory: pytest.TempPathFactory,
) -> Measured:
    host = make_host("guard-users", vhosts=["tls"], suite=request.param)
    prepare(host)
    site = Site(host.address, 80, "blog.example")
    tls = Site(host.address, 8443, "blog.example:8443", tls=True)
    table(site)  # the first visit of wp-admin writes settings and drafts
    before, cli_before, basic_before = table(site), cli(host), with_password(tls)
    # What a page says about XML-RPC changes for everybody; here it is about names.
    policy = {**CLOSED, "xmlrpc": "open", "wlwmanifest": "open"}
    plugin = tmp_path_factory.mktemp("guard") / "plugin.php"
    install(host, render(plugin, __guard_policy=policy))
    return Measured(host, site, tls, before, table(site), cli_before, basic_before)


def changed(measured: Measured, login: str) -> dict[str, str]:
    """What answers otherwise than before, and in which lines."""
    before, after = measured.before[login], measured.after[login]
    return {
        ask: "\n".join(unified_diff(said.splitlines(), after[ask].splitlines(), "", "", n=0))
        for ask, said in before.items()
        if said != after[ask]
    }


@pytest.mark.parametrize("user", [ALICE, BOB, DAVE], ids=lambda user: user.login)
def test_whoever_edits_posts_sees_what_they_saw(measured: Measured, user: User) -> None:
    assert changed(measured, user.login) == {}


def test_a_subscriber_keeps_only_what_is_their_own(measured: Measured) -> None:
    # Whether the home page names anybody is up to the theme.
    assert set(changed(measured, CARL.login)) - {"GET /"} == CARL_LOSES
    after = measured.after[CARL.login]
    assert after[f"GET {_REST}/users/1"].startswith("404")
    assert "rest_user_invalid_id" in after[f"GET {_REST}/users/1"]
    assert "rest_user_invalid_id" in after[f"GET {_REST}/users/3?id=1"]
    assert after[f"GET {_REST}/users/me"].startswith("200")
    assert after[f"GET {_REST}/users/3"].startswith("200")
    lost = "\n".join(after[ask] for ask in CARL_LOSES if not ask.endswith("@blog.example"))
    for login in (ALICE.login, DAVE.login):
        assert f"/{login}/" not in lost and f'"{login}"' not in lost


def test_a_cookie_without_its_nonce_is_a_visitor(measured: Measured) -> None:
    alice = Visitor(measured.site).log_in(ALICE.login, ALICE.password)
    for ask in WITHOUT_NONCE:
        assert comparable(alice.ask(ask)) == comparable(measured.site.ask(ask)), ask


def test_application_passwords_work(measured: Measured) -> None:
    after = with_password(measured.tls)
    assert after[f"GET {_REST}/users/me"].startswith("200")
    assert after == measured.basic_before


def test_a_command_line_is_left_alone(measured: Measured) -> None:
    assert "/author/alice/ bob 4 invalid_username" in measured.cli_before
    assert cli(measured.host) == measured.cli_before
