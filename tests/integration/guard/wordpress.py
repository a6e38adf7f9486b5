# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One WordPress as its visitors and its users see it, and what its answers tell."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.http_answer import ANSWERED, Exchange
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from testbed import hosts, podman
from testbed.constants import USERS

HERE = Path(__file__).resolve().parent
CLOSED = {endpoint.id: endpoint.default for endpoint in ENDPOINTS}
# WordPress 5.7 with PHP 7.4, 6.1 with 8.2, 6.8 with 8.4: WPWARD_SUITES="bullseye bookworm trixie".
SUITES = os.environ.get("WPWARD_SUITES", "bookworm").split()
SECONDS = 30
LOGINS = tuple(user.login for user in USERS)
FORM = (("Content-Type", "application/x-www-form-urlencoded"),)
NOBODY = "nosuch"

_LOGIN = re.compile(rf"(?<![a-z0-9])({'|'.join(LOGINS)})(?![a-z0-9])", re.IGNORECASE)
# Clocks, nonces, suggested passwords: what differs between two answers to one request.
_VOLATILE = re.compile(r'\b[0-9a-f]{10,}\b|\d+ \w+ ago|\d+|data-pw="[^"]*"')
_NOT_COMPARED = ("date", "expires", "last-modified", "etag", "set-cookie")


@dataclass(frozen=True)
class Ask:
    """A request to the site, and whether WordPress 6.1 tells a login in answer to it."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    group: str = ""
    leaks: bool = False

    def __str__(self) -> str:
        said = [f"{name}: {value}" for name, value in self.headers]
        return " ".join(
            part for part in (self.method, self.target, *said, repr(self.body)[1:-1]) if part
        )

    def about(self, old: str, new: str) -> Ask:
        """The same request about somebody else."""
        swap = re.compile(re.escape(old), re.IGNORECASE)
        return replace(self, target=swap.sub(new, self.target), body=swap.sub(new, self.body))


@dataclass(frozen=True)
class Site:
    """Where a WordPress is asked. ``host`` is the Host header, with the port where it has one."""

    address: str
    port: int
    host: str
    tls: bool = False

    def ask(self, ask: Ask, headers: Iterable[tuple[str, str]] = ()) -> Exchange:
        scheme = "https" if self.tls else "http"
        request = Request(
            address=self.address,
            port=self.port,
            host=self.host,
            target=ask.target.replace("{home}", f"{scheme}://{self.host}"),
            tls=self.tls,
            method=ask.method,
            headers=(*ask.headers, *headers),
            body=ask.body.encode("latin-1"),
        )
        answer = fetch(request, SECONDS)
        assert answer.outcome == ANSWERED and answer.complete, f"{ask}: {answer.detail}"
        return answer


def text(exchange: Exchange) -> str:
    """Everything the answer says: status, headers, body."""
    head = "\n".join(f"{name}: {value}" for name, value in exchange.headers)
    return f"{exchange.status}\n{head}\n\n{exchange.body.decode('utf-8', 'replace')}"


def comparable(exchange: Exchange, *names: str) -> str:
    """What the answer says apart from clocks and nonces, with ``names`` made equal."""
    head = "\n".join(
        f"{name}: {value}" for name, value in exchange.headers if name.lower() not in _NOT_COMPARED
    )
    # WordPress writes e-mail addresses with other entities each time.
    body = html.unescape(exchange.body.decode("utf-8", "replace"))
    for name in names:
        head = re.sub(re.escape(name), "NAME", head, flags=re.IGNORECASE)
        body = re.sub(re.escape(name), "NAME", body, flags=re.IGNORECASE)
    return f"{exchange.status}\n{_VOLATILE.sub('#', head)}\n\n{_VOLATILE.sub('#', body)}"


def tells(site: Site, ask: Ask) -> str:
    """What the answer to a visitor tells about logins; "" for nothing.

    A name that the visitor wrote into the request may come back in the answer; it tells nothing if
    a name that nobody has comes back in the same way.
    """
    answer = site.ask(ask)
    asked = {found.lower() for found in _LOGIN.findall(f"{ask.target} {ask.body}")}
    named = {found.lower() for found in _LOGIN.findall(text(answer))} - asked
    if named:
        return f"names {', '.join(sorted(named))}"
    for login in asked:
        other = site.ask(ask.about(login, NOBODY))
        if comparable(answer, login) != comparable(other, NOBODY):
            return f"answers otherwise for {login} than for nobody"
    return ""


@dataclass
class Visitor:
    """A browser that is logged in, with the nonce that the REST API wants from it."""

    site: Site
    cookies: dict[str, str] = field(default_factory=dict)
    nonce: str = ""

    def log_in(self, login: str, password: str) -> Visitor:
        form = urlencode({"log": login, "pwd": password, "testcookie": "1"})
        cookie = ("Cookie", "wordpress_test_cookie=WP%20Cookie%20check")
        answer = self.site.ask(Ask("/wp-login.php", "POST", FORM, form), [cookie])
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                key, _, content = value.partition(";")[0].partition("=")
                self.cookies[key] = content
        assert any(key.startswith("wordpress_logged_in_") for key in self.cookies), text(answer)
        self.nonce = self.ask(Ask("/wp-admin/admin-ajax.php?action=rest-nonce")).body.decode()
        return self

    def ask(self, ask: Ask, *, nonce: bool = False) -> Exchange:
        headers = [("Cookie", "; ".join(f"{key}={value}" for key, value in self.cookies.items()))]
        if nonce:
            headers.append(("X-WP-Nonce", self.nonce))
        return self.site.ask(ask, headers)


def read_asks(path: Path) -> list[Ask]:
    """The requests of a table: what it tells on 6.1, method, target, headers, body by tabs."""
    asks: list[Ask] = []
    group = ""
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("## "):
            group = line[3:]
        if not line or line.startswith("#"):
            continue
        truth, method, target, headers, body = (*line.split("\t"), "", "")[:5]
        assert truth in ("tells", "never"), line
        pairs = (header.partition(": ") for header in headers.split(" | ") if header)
        asks.append(
            Ask(
                target=target.encode("ascii").decode("unicode_escape"),
                method=method,
                headers=tuple((name, value) for name, _, value in pairs),
                body=body.encode("ascii").decode("unicode_escape"),
                group=group,
                leaks=truth == "tells",
            )
        )
    return asks


def render(destination: Path, **variables: Any) -> str:
    """The plugin as the role writes it; closed unless ``variables`` say otherwise."""
    variables.setdefault("__guard_policy", CLOSED)
    subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            *("--inventory", "localhost,"),
            *("--extra-vars", json.dumps({"destination": str(destination), **variables})),
            str(HERE / "render.yml"),
        ],
        cwd=HERE.parents[2],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return destination.read_text(encoding="utf-8")


# What the users of the test bed have not done yet: a remark, a page, a picture, a reusable block of
# somebody whose displayed name is the login.
_MORE = r"""
require '/var/www/blog/wp-load.php';
$post = get_page_by_path( 'first', OBJECT, 'post' )->ID;
$bob = get_user_by( 'login', 'bob' )->ID;
$alices = get_comments( array( 'post_id' => $post, 'number' => 1, 'fields' => 'ids' ) );
wp_insert_comment( array( 'comment_post_ID' => $post, 'user_id' => $bob, 'comment_author' => 'bob',
    'comment_author_email' => 'bob@blog.example', 'comment_content' => 'A remark of the author.',
    'comment_approved' => 1, 'comment_parent' => $alices ? $alices[0] : 0 ) );
foreach ( array( 'page' => 'about', 'wp_block' => 'a-block' ) as $type => $name ) {
    wp_insert_post( array( 'post_type' => $type, 'post_name' => $name, 'post_title' => $name,
        'post_content' => 'Text.', 'post_status' => 'publish', 'post_author' => $bob ) );
}
wp_insert_attachment( array( 'post_title' => 'picture', 'post_name' => 'picture',
    'post_mime_type' => 'image/png', 'post_status' => 'inherit', 'post_author' => $bob ),
    '/var/www/blog/wp-content/uploads/picture.png', $post );
"""
# Core finds the user only after it has looked for errors, so that a wrong application password
# passes for no password at all. Many plugins ask for the user earlier; then the error shows.
_EARLY_USER = """<?php add_filter( 'rest_authentication_errors', function ( $errors ) {
    is_user_logged_in();
    return $errors;
} );
"""
_MUST_USE = "/var/www/blog/wp-content/mu-plugins"

_DEBUG = (
    "define( 'WP_DEBUG', true ); define( 'WP_DEBUG_DISPLAY', false ); "
    "define( 'WP_DEBUG_LOG', '/var/log/wordpress-debug.log' );"
)


def prepare(host: hosts.Host) -> None:
    """Give the site content of every kind, and let it note every notice of PHP."""
    # The logs of PHP must not fill with what WordPress does on a command line.
    podman.execute(host.container, ["php"], stdin=f"<?php error_reporting( 0 ); {_MORE}")
    _write(host, f"{_MUST_USE}/early-user.php", _EARLY_USER)
    podman.execute(
        host.container,
        ["sed", "-i", f"s|^\\$table_prefix|{_DEBUG}\\n&|", "/var/www/blog/wp-config.php"],
    )
    podman.execute(host.container, ["install", "-o", "www-data", "/dev/null", debug_log(host)])


def debug_log(host: hosts.Host) -> str:
    """Where the site notes what PHP has to say."""
    return "/var/log/wordpress-debug.log"


def restart_php(host: hosts.Host) -> None:
    """Have PHP see what changed at once."""
    # systemd refuses the sixth start within ten seconds.
    podman.execute(host.container, ["systemctl", "reset-failed", "php*-fpm.service"])
    podman.execute(host.container, ["systemctl", "restart", "php*-fpm.service"])


def install(host: hosts.Host, plugin: str) -> None:
    """Put the plugin there as the role would."""
    _write(host, f"{_MUST_USE}/wpward-guard.php", plugin)
    restart_php(host)


def _write(host: hosts.Host, path: str, content: str) -> None:
    podman.execute(
        host.container, ["install", "-D", "-m", "0644", "/dev/stdin", path], stdin=content
    )
