# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Constants of a wp-config.php, read as PHP would have them and never guessed."""

from __future__ import annotations

import time

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.php_constants import (
    Constants,
    read_constants,
)
from hypothesis import given
from hypothesis import strategies as st


def read(source: str) -> Constants:
    return read_constants(
        "<?php\n" + source,
        "/var/www/blog/wp-config.php",
        {"ABSPATH": "/var/www/blog/", "$_SERVER[DOCUMENT_ROOT]": "/var/www/blog"},
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'/srv/content'", "/srv/content"),
        ('"/srv/content"', "/srv/content"),
        (r"'it\'s'", "it's"),
        (r'"a\$b"', "a$b"),
        ("dirname(__FILE__) . '/content'", "/var/www/blog/content"),
        ("dirname( __FILE__ ).'/content'", "/var/www/blog/content"),
        ("__DIR__ . '/content'", "/var/www/blog/content"),
        ("dirname(__DIR__) . '/content'", "/var/www/content"),
        ("\\dirname(dirname(__FILE__)) . '/content'", "/var/www/content"),
        ("ABSPATH . 'content'", "/var/www/blog/content"),
        ("(ABSPATH . 'con') . 'tent'", "/var/www/blog/content"),
        ("$_SERVER['DOCUMENT_ROOT'] . '/content'", "/var/www/blog/content"),
        ("/* where */ '/srv' . # on the big disk\n '/content'", "/srv/content"),
    ],
)
def test_known_expressions(expression: str, value: str) -> None:
    for source in (
        f"define( 'WP_CONTENT_DIR', {expression} );",
        f'DEFINE("WP_CONTENT_DIR",{expression});',
        f"\\define('WP_CONTENT_DIR', {expression}, true);",
        f"const WP_CONTENT_DIR = {expression};",
    ):
        found = read(source)
        assert found.values == {"WP_CONTENT_DIR": value}, source
        assert found.unknown == ()


@pytest.mark.parametrize(
    "expression",
    [
        "getenv('CONTENT')",
        "$content",
        '"$root/content"',
        '"{$root}/content"',
        "'/srv' . $x",
        "$x ? '/a' : '/b'",
        "realpath(__DIR__ . '/content')",
        "dirname(__DIR__, 2) . '/x'",
        "UNKNOWN . '/x'",
        "'/a' + '/b'",
        "$_SERVER['HTTP_HOST']",
    ],
)
def test_what_only_php_can_tell_is_unknown(expression: str) -> None:
    found = read(f"define('WP_CONTENT_DIR', {expression});")
    assert found.values == {}
    assert found.unknown == ("WP_CONTENT_DIR",)


def test_comments_and_strings_define_nothing() -> None:
    found = read(
        "// define('A', 'x');\n# define('A', 'x');\n/* define('A', 'x'); */\n"
        "$text = \"define('A', 'x');\"; $other = 'define(\"A\", \"x\");';\n"
        "$object->define; define('B', 'y');"
    )
    assert found == Constants({"B": "y"}, (), ())


def test_the_first_definition_counts_and_later_ones_may_use_it() -> None:
    found = read("define('A', '/a'); define('A', '/b'); define('C', A . '/c');")
    assert found.values == {"A": "/a", "C": "/a/c"}


def test_included_files() -> None:
    found = read(
        "require_once ABSPATH . 'wp-settings.php'; include(__DIR__ . '/local.php');"
        "require $x; require getenv('X');"
    )
    assert found.included == ("/var/www/blog/wp-settings.php", "/var/www/blog/local.php")


@given(st.text(alphabet="define(const'\"A,.)\\/*#$;=\n _DIR", max_size=200))
def test_garbage_never_raises(text: str) -> None:
    read(text)


@pytest.mark.parametrize(
    "source",
    [
        "'\\" * 200_000,
        '"\\' * 200_000,
        "/*" * 200_000,
        "define('A', " + "(" * 100_000,
        "define('A', " + "dirname(" * 50_000,
        "require(" * 50_000,
    ],
)
def test_hostile_sources_end_soon(source: str) -> None:
    began = time.monotonic()
    read(source)
    assert time.monotonic() - began < 5
