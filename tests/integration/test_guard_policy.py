# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator can choose: policies, trusted clients, the capability, the login form."""

from __future__ import annotations

import json
import random
import socket
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from integration.guard.wordpress import (
    CLOSED,
    FORM,
    HERE,
    Ask,
    Site,
    Visitor,
    comparable,
    debug_log,
    install,
    prepare,
    render,
    restart_php,
    text,
)
from testbed import hosts, podman
from testbed.constants import ALICE, BOB, CARL

GATE = HERE.parents[2] / "roles/guard/files/guard/gate.php"
LIST_METHODS = Ask(
    "/xmlrpc.php",
    "POST",
    (("Content-Type", "text/xml"),),
    xmlrpc.client.dumps((), "system.listMethods"),
)
USERS = Ask("/wp-json/wp/v2/users")
ARCHIVE = Ask("/author/alice/")
SITEMAP = Ask("/wp-sitemap-users-1.xml")
WRONG = Ask("/wp-login.php", "POST", FORM, "log=alice&pwd=wrong")

ANSWERS = """
$answers = array();
foreach ( json_decode( '%s' ) as $case ) {
    $answers[] = in_network( packed_address( $case[0] ), $case[1] );
}
echo json_encode( $answers );
"""

# A plugin that changes the query after the filter of requests.
OWN_ROUTE = """<?php
add_action( 'parse_request', function ( $wp ) {
    if ( ! empty( $_GET['own'] ) ) {
        $wp->query_vars['author'] = $_GET['own'];
    }
} );
"""

# What themes call and WordPress's own do not.
CURIOUS_THEME = """<?php
add_filter( 'post_class', function ( $classes ) {
    $classes[] = 'author-' . get_the_author_meta( 'user_nicename' );
    return array_merge( $classes, array( 'author-bob' ) );
}, 5 );
add_filter( 'body_class', function ( $classes ) {
    return array_merge( $classes, array( 'author-bob', 'author-box' ) );
}, 5 );
add_action( 'wp_footer', function () {
    update_post_meta( get_the_ID(), '_edit_last', get_post()->post_author );
    $author = get_post()->post_author;
    foreach ( array( 'display_name', 'nickname', 'login', 'user_login', 'nicename' ) as $field ) {
        echo '<i>', get_the_author_meta( $field, $author ), '</i>';
    }
    echo get_author_posts_url( $author ), get_author_feed_link( $author ), get_the_author_link();
    the_author_posts_link();
    the_modified_author();
    body_class();
    post_class();
} );
"""
MAIL_GOES_OUT = "<?php add_filter( 'pre_wp_mail', '__return_true' );"

Deploy = Callable[..., Site]


@pytest.fixture(scope="module")
def host(make_host: Callable[..., hosts.Host]) -> hosts.Host:
    made = make_host("guard-policy")
    prepare(made)
    return made


@contextmanager
def must_use(host: hosts.Host, code: str) -> Iterator[None]:
    """With another must-use plugin in place, made of ``code``."""
    path = "/var/www/blog/wp-content/mu-plugins/own.php"
    podman.execute(host.container, ["tee", path], stdin=code)
    restart_php(host)
    try:
        yield
    finally:
        podman.execute(host.container, ["rm", path])


@pytest.fixture
def deploy(host: hosts.Host, tmp_path: Path) -> Deploy:
    """Put the plugin there: deploy({"xmlrpc": "open"}, guard_capability="read")."""

    def write(policy: dict[str, str] | None = None, **variables: Any) -> Site:
        variables["__guard_policy"] = {**CLOSED, **(policy or {})}
        install(host, render(tmp_path / "plugin.php", **variables))
        return Site(host.address, 80, "blog.example")

    return write


def here(site: Site) -> str:
    """The address that the site sees us come from."""
    with socket.create_connection((site.address, site.port)) as connection:
        return str(connection.getsockname()[0])


def shown(site: Site, *asks: Ask) -> list[bool]:
    return [site.ask(ask).status == 200 for ask in asks]


@pytest.mark.parametrize(
    "ask",
    [
        LIST_METHODS,
        Ask("/xmlrpc.php"),
        Ask("/xmlrpc.php", "HEAD"),
        Ask("/xmlrpc.php?rsd"),
        Ask("/%78mlrpc.php", "POST", body="x"),
    ],
    ids=str,
)
def test_xmlrpc_that_reaches_php_is_refused_there(deploy: Deploy, ask: Ask) -> None:
    answer = deploy().ask(ask)
    assert answer.status == 403
    assert answer.header("Content-Type").startswith("text/plain")
    assert answer.body == (b"" if ask.method == "HEAD" else b"XML-RPC is closed on this site.\n")


def test_closed_xmlrpc_is_not_advertised(deploy: Deploy) -> None:
    advertised = [text(deploy(policy).ask(Ask("/first/"))) for policy in ({"xmlrpc": "open"}, {})]
    for sign in ("X-Pingback:", "xmlrpc.php?rsd"):
        assert [sign in page for page in advertised] == [True, False], sign
    assert ["wlwmanifest.xml" in page for page in advertised] == [False, False]


def test_a_trusted_client_uses_xmlrpc_and_nobody_else(deploy: Deploy, host: hosts.Host) -> None:
    site = deploy({"xmlrpc": "trusted"}, __guard_trusted=["192.0.2.0/24"])
    assert site.ask(LIST_METHODS).status == 403
    forged = (("X-Forwarded-For", "192.0.2.1"), ("X-Real-IP", "192.0.2.1"))
    assert site.ask(LIST_METHODS, forged).status == 403
    site = deploy({"xmlrpc": "trusted"}, __guard_trusted=["192.0.2.0/24", f"{here(site)}/32"])
    assert b"<methodResponse" in site.ask(LIST_METHODS).body
    call = xmlrpc.client.dumps((1, ALICE.login, ALICE.password), "wp.getUsers")
    answer: Any = xmlrpc.client.loads(site.ask(replace(LIST_METHODS, body=call)).body)
    assert {user["username"] for user in answer[0][0]} >= {"alice", "bob"}
    if host.address6:
        outside = Site(host.address6, 80, "blog.example")
        assert outside.ask(LIST_METHODS).status == 403
        site = deploy({"xmlrpc": "trusted"}, __guard_trusted=[f"{here(outside)}/64"])
        assert b"<methodResponse" in outside.ask(LIST_METHODS).body
        assert site.ask(LIST_METHODS).status == 403


def test_each_policy_opens_its_own_part(deploy: Deploy) -> None:
    asks = (ARCHIVE, USERS, SITEMAP)
    assert shown(deploy(), *asks) == [False, False, False]
    assert shown(deploy({"author_by_id": "open"}), *asks) == [True, False, False]
    assert shown(deploy({"rest_users": "open"}), *asks) == [False, True, False]
    assert shown(deploy({"users_sitemap": "open"}), *asks) == [False, False, True]


def test_login_hints_can_be_left_as_they_are(deploy: Deploy) -> None:
    assert b"for the username" in deploy(guard_neutral_login=False).ask(WRONG).body
    assert b"for the username" not in deploy().ask(WRONG).body


def test_another_capability_decides(deploy: Deploy, host: hosts.Host) -> None:
    for capability, sees in (("read", [True, True]), ("manage_options", [False, False])):
        site = deploy(guard_capability=capability)
        for user, expected in ((CARL, sees[0]), (BOB, sees[1])):
            visitor = Visitor(site).log_in(user.login, user.password)
            assert (visitor.ask(ARCHIVE).status == 200) is expected, (user.login, capability)
    code = "<?php add_filter( 'wpward_guard_capability', function () { return 'read'; } );"
    site = deploy()
    with must_use(host, code):
        carl = Visitor(site).log_in(CARL.login, CARL.password)
        assert carl.ask(ARCHIVE).status == 200
        assert site.ask(ARCHIVE).status == 404


def test_an_archive_by_a_plugin_of_its_own_is_closed(deploy: Deploy, host: hosts.Host) -> None:
    site = deploy()
    with must_use(host, OWN_ROUTE):
        for target in ("/?own=1", "/?own=2", "/?own=1&feed=rss2"):
            answer = site.ask(Ask(target))
            assert answer.status == 404, target
            assert not any(login in text(answer) for login in ("alice", "bob", "Zoe")), target


def test_a_theme_that_asks_for_names_gets_none(deploy: Deploy, host: hosts.Host) -> None:
    site = deploy({"author_by_id": "open"})
    with must_use(host, CURIOUS_THEME):
        shown = text(site.ask(Ask("/second/")))
        assert all(sign in shown for sign in ("<i>bob</i>", "author-bob", "/author/bob/feed/"))
        shown = text(deploy().ask(Ask("/second/")))
    assert "bob" not in shown
    assert "<i>Test blog</i>" in shown
    assert "author-box" in shown


@pytest.mark.parametrize("answers_first", [True, False])
@pytest.mark.parametrize("mail", ["goes out", "fails"])
def test_lost_passwords_answer_alike(
    deploy: Deploy, host: hosts.Host, mail: str, answers_first: bool
) -> None:
    setting = "" if answers_first else "disable_functions = fastcgi_finish_request"
    write = f"for there in /etc/php/*/fpm/conf.d; do echo '{setting}' > $there/99-finish.ini; done"
    podman.execute(host.container, ["sh", "-c", write])
    site = deploy()
    with must_use(host, MAIL_GOES_OUT if mail == "goes out" else "<?php"):
        answers = [
            comparable(
                site.ask(
                    Ask("/wp-login.php?action=lostpassword", "POST", FORM, f"user_login={who}")
                )
            )
            for who in ("alice", "nosuch", "alice@blog.example")
        ]
    assert len(set(answers)) == 1
    assert "wp-login.php?checkemail=confirm" in answers[0]
    assert "headers already sent" not in podman.execute(host.container, ["cat", debug_log(host)])


def test_posts_under_their_authors_stay_reachable(deploy: Deploy, host: hosts.Host) -> None:
    site = deploy()
    structure = (
        "<?php error_reporting( 0 ); require '/var/www/blog/wp-load.php'; "
        "$wp_rewrite->set_permalink_structure( '%s' ); flush_rewrite_rules();"
    )
    podman.execute(host.container, ["php"], stdin=structure % "/%author%/%postname%/")
    try:
        assert site.ask(Ask("/alice/first/")).status == 200
        assert site.ask(Ask("/alice/first/feed/")).status == 200
        for target in ("/author/alice/", "/?author_name=alice", "/alice/first/?author=1"):
            assert site.ask(Ask(target)).status == 404, target
        names = [site.ask(Ask(f"/author/{name}/")).status for name in ("alice", "nosuch")]
        assert names[0] == names[1]
    finally:
        podman.execute(host.container, ["php"], stdin=structure % "/%postname%/")


def test_networks_mean_what_python_means(host: hosts.Host) -> None:
    dice = random.Random(20150524)
    cases = []
    for bits, kind in ((32, "192.0.2.0"), (128, "2001:db8::")) * 200:
        near = int(ip_address(kind)) ^ dice.getrandbits(dice.choice((1, 3, 8, 9, 17)))
        prefix = dice.randint(1, bits)
        network = ip_network((int(ip_address(kind)) >> bits - prefix << bits - prefix, prefix))
        cases.append((str(ip_address(near)), str(network)))
    wanted = [ip_address(address) in ip_network(network) for address, network in cases]
    for address, trusted, inside in (
        ("::ffff:192.0.2.7", "192.0.2.0/24", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "::/1", False),
        ("::1", "128.0.0.0/1", False),
        ("", "192.0.2.0/24", False),
        ("unix:", "192.0.2.0/24", False),
    ):
        cases.append((address, trusted))
        wanted.append(inside)
    code = GATE.read_text(encoding="utf-8").replace("<?php", "<?php namespace Wpward\\Guard;", 1)
    said = podman.execute(host.container, ["php"], stdin=f"{code}{ANSWERS % json.dumps(cases)}")
    assert json.loads(said) == wanted
    assert 50 < sum(wanted) < 350
