# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No secret of a configuration or a command line is kept, and everything else is."""

from __future__ import annotations

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_redact import (
    command_line,
    configuration,
    holds_private_key,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_state import without_values

SECRET = b"tr0ub4dor"


@pytest.mark.parametrize(
    "line",
    [
        b"password = tr0ub4dor",
        b"password=tr0ub4dor # since 2019",
        b"master_password   tr0ub4dor",
        b"env[DB_PASSWORD] = tr0ub4dor",
        b"env['db_pass'] = \"tr0ub4dor\"",
        b'SetEnv DB_PASSWORD "tr0ub4dor"',
        b"    fastcgi_param WP_SECRET_KEY tr0ub4dor;",
        b'proxy_set_header Authorization "Basic tr0ub4dor";',
        b'RequestHeader set X-Api-Key "tr0ub4dor"',
        b"cftoken = tr0ub4dor",
        b'Environment="A=1" "AUTH_KEY=tr0ub4dor"',
        b"AuthLDAPBindPassword tr0ub4dor",
        b"proxy_pass http://user:tr0ub4dor@127.0.0.1:8080/;",
        b"Environment=DSN=mysql://wp:tr0ub4dor@localhost/wp",
        b"pwd: tr0ub4dor",
        b"password = \\\n  tr0ub4dor",
    ],
)
def test_a_secret_is_taken_out_and_counted(line: bytes) -> None:
    shown, count = configuration(b"before\n" + line + b"\nafter\n")
    assert SECRET not in shown
    assert count == 1
    assert shown.startswith(b"before\n")
    assert shown.endswith(b"\nafter\n")


@pytest.mark.parametrize(
    "line",
    [
        b"server_tokens off;",
        b"ServerTokens Prod",
        b"fastcgi_pass unix:/run/php/php-fpm.sock;",
        b"proxy_pass http://127.0.0.1:8080;",
        b"fastcgi_pass_header Authorization;",
        b"proxy_set_header Authorization $http_authorization;",
        b'map "$http_cookie$http_authorization" $wpward_visitor {',
        b'if ($http_cookie ~* "wordpress_logged_in") { set $skip 1; }',
        b"auth_basic_user_file /etc/nginx/users;",
        b"innodb_ft_min_token_size = 3",
        b"location = /wp-login.php {",
    ],
)
def test_what_is_none_is_kept(line: bytes) -> None:
    assert configuration(line) == (line, 0)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["/usr/bin/mysql", "-uroot", "-ptr0ub4dor"], b"/usr/bin/mysql -uroot -p<redacted>"),
        (["mysqldump", "--password=tr0ub4dor"], b"mysqldump --password=<redacted>"),
        (["wp", "--dbpass", "x", "--admin_password", "tr0ub4dor"], None),
        (["curl", "-u", "me:tr0ub4dor", "https://blog.example"], None),
        (["git", "fetch", "https://me:tr0ub4dor@git.example/"], None),
        (["nginx", "-p", "/etc/nginx"], b"nginx -p /etc/nginx"),
    ],
)
def test_a_command_line_has_no_password(words: list[str], shown: bytes | None) -> None:
    made = command_line([word.encode() for word in words])
    assert SECRET not in made
    assert shown is None or made == shown


def test_a_private_key_is_known() -> None:
    assert holds_private_key(b"x\n-----BEGIN PRIVATE KEY-----\n")
    assert holds_private_key(b"-----BEGIN EC PRIVATE KEY-----\n")
    assert not holds_private_key(b"-----BEGIN CERTIFICATE-----\n")


def test_innodb_shows_no_values() -> None:
    status = (
        "TRANSACTIONS\n------------\n"
        "---TRANSACTION 421, ACTIVE 3 sec\n"
        "MariaDB thread id 33, OS thread handle 1, query id 77 localhost wp Updating\n"
        "UPDATE wp_users SET user_pass = 'tr0ub4dor'\n"
        "WHERE name = 'it\\'s tr0ub4dor' AND ID = 7\n"
        "------- TRX HAS BEEN WAITING 3 SEC FOR THIS LOCK TO BE GRANTED:\n"
        " 2: len 9; hex 7472307562; asc tr0ub4dor;;\n"
        "--------\nFILE I/O\n--------\n"
        "MariaDB thread id 34, OS thread handle 2, query id 78 localhost wp\n"
        "SELECT 'tr0ub4dor"
    )
    shown = without_values(status)
    assert "tr0ub4dor" not in shown
    assert "7472307562" not in shown
    assert "UPDATE wp_users SET user_pass = ?" in shown
    assert "TRX HAS BEEN WAITING 3 SEC" in shown
    assert "FILE I/O" in shown
