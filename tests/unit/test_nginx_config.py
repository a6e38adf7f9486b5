# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration reader: nginx's tokens, positions, includes, and no exception on anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    INCLUDE_MARKER,
    MAX_DEPTH,
    Directive,
    ParsedFile,
    inserted_span,
    load,
    parse,
    resolve_include,
    server_include,
    would_include,
)
from hypothesis import given
from hypothesis import strategies as st


def read(text: str | bytes) -> ParsedFile:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(data, "/etc/nginx/nginx.conf")


def only(text: str | bytes) -> Directive:
    parsed = read(text)
    assert parsed.problems == ()
    (directive,) = parsed.directives
    return directive


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("root /var/www;", ("root", "/var/www")),
        ("root  /var/www\t\r\n;", ("root", "/var/www")),
        ('add_header X "a b;{}#";', ("add_header", "X", "a b;{}#")),
        ("add_header X 'it \"is\"';", ("add_header", "X", 'it "is"')),
        (r'return 200 "a\"b\\c\n\d";', ("return", "200", 'a"b\\c\n\\d')),
        (r"rewrite ^/a\{2\}$ /b;", ("rewrite", r"^/a\{2\}$", "/b")),
        (r"rewrite ^/a\;b /c;", ("rewrite", r"^/a\;b", "/c")),
        ("set $x ${host}suffix;", ("set", "$x", "${host}suffix")),
        ("set $x a#b;", ("set", "$x", "a#b")),
        ('set $x a"b;', ("set", "$x", 'a"b')),
        ("listen 80}x;", ("listen", "80}x")),
        ('"quoted_name" value;', ("quoted_name", "value")),
        ("a # comment ; }\n b;", ("a", "b")),
        ("a ''  \"\";", ("a", "", "")),
    ],
)
def test_words_are_cut_as_nginx_cuts_them(text: str, words: tuple[str, ...]) -> None:
    directive = only(text)
    assert (directive.name, *directive.args) == words


def test_a_closing_parenthesis_may_follow_a_quote() -> None:
    directive = only('if ($a = "b"){ return 403; }')
    assert directive.args == ("($a", "=", "b", ")")
    assert directive.block is not None
    assert directive.block[0].name == "return"


def test_positions_are_bytes_and_lines_are_counted_from_one() -> None:
    data = "# é\nhttp {\n  server {\n    root /é; } }\n".encode()
    http = only(data)
    assert http.block is not None
    server = http.block[0]
    assert server.block is not None
    root = server.block[0]
    assert data[root.offset : root.end] == "root /é;".encode()
    assert data[server.offset : server.offset + 8] == b"server {"
    assert server.block_offset == server.offset + 8
    assert data[server.end - 1 : server.end] == b"}"
    assert (http.line, server.line, root.line) == (2, 3, 4)


def test_bytes_that_are_not_utf8_survive() -> None:
    directive = only(b"root /var/www/\xff\xe9;")
    assert directive.args[0].encode("utf-8", "surrogateescape") == b"/var/www/\xff\xe9"


def test_lua_is_stepped_over() -> None:
    parsed = read(
        "location / { content_by_lua_block {\n"
        "  local t = { a = '}' } -- }\n"
        '  --[[ } ]] ngx.say("}") local s = [==[ } ]] ]==]\n'
        "} root /x; }"
    )
    assert parsed.problems == ()
    block = parsed.directives[0].block
    assert block is not None
    assert [directive.name for directive in block] == ["content_by_lua_block", "root"]
    assert block[1].line == 4


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a 1;\n}", 2, 'unexpected "}"'),
        ("server {\n root /x}", 2, "end of file"),
        ("server {\n root }", 2, 'has no ";"'),
        ("a;\n;", 2, 'unexpected ";"'),
        ("{ }", 1, 'unexpected "{"'),
        ("server {\n listen 80;\n", 3, "end of file"),
        ("root /x", 1, "end of file"),
        ('root "/x;\n', 1, "not closed"),
        ('root "/x"y;', 1, "closing quote"),
        ("a_by_lua_block {\n x = '}' ", 1, "Lua"),
    ],
)
def test_errors_are_reported_with_their_line(text: str, line: int, words: str) -> None:
    (problem,) = read(text).problems
    assert words in problem.message
    assert problem.line == line


def test_what_stands_before_an_error_is_kept() -> None:
    parsed = read("http { server { listen 80; root /x; } server { listen 81; } } }")
    assert len(parsed.problems) == 1
    (http,) = parsed.directives
    assert http.block is not None
    assert [one.name for one in http.block] == ["server", "server"]
    open_block = read("http { server { listen 80; ")
    assert open_block.directives[0].block is not None
    assert open_block.directives[0].block[0].name == "server"


def test_deep_nesting_is_refused_not_followed() -> None:
    parsed = read("a {" * 100_000)
    assert f"more than {MAX_DEPTH}" in parsed.problems[0].message


@given(st.binary(max_size=400))
def test_garbage_never_raises(data: bytes) -> None:
    parse(data, "/x")


@given(st.text(alphabet="ab{};\"'\\#$ \n\t()~*", max_size=200))
def test_likely_garbage_never_raises_and_positions_hold(text: str) -> None:
    data = text.encode()

    def check(directive: Directive, start: int, end: int) -> None:
        assert start <= directive.offset < directive.end <= end
        assert data[: directive.offset].count(b"\n") + 1 == directive.line
        for child in directive.block or ():
            assert directive.block_offset is not None
            check(child, directive.block_offset, directive.end)

    for directive in parse(data, "/x").directives:
        check(directive, 0, len(data))


def test_hostile_length_costs_linear_time() -> None:
    read('"' + "\\a" * 200_000)
    read("a " + "$" * 200_000)
    read("a" * 200_000 + "\\")


def write(base: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(base / "nginx.conf")


def test_includes_are_taken_in_place_and_in_nginx_order(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            {
                "nginx.conf": "a; include conf.d/*.conf; b; include one;",
                "conf.d/B.conf": "from_B;",
                "conf.d/a.conf": "from_a; include one;",
                "conf.d/.hidden.conf": "hidden;",
                "conf.d/other": "other;",
                "one": "from_one;",
            },
        )
    )
    assert config.problems == []
    names = [one.name for one in config.expand(config.directives)]
    assert names == ["a", "from_B", "from_a", "from_one", "b", "from_one"]
    assert len(config.files) == 4


def test_an_include_that_is_missing_or_comes_back_is_a_problem(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            {
                "nginx.conf": "include a; include missing; include none/*.conf;",
                "a": "x; include b;",
                "b": "y; include a;",
            },
        )
    )
    assert sorted(problem.message for problem in config.problems) == [
        "cannot be read: No such file or directory",
        "this include comes back to itself",
    ]
    assert [one.name for one in config.expand(config.directives)] == ["x", "y"]


def test_a_directory_as_an_include_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    config = load(write(tmp_path, {"nginx.conf": "include d;"}))
    assert "cannot be read" in config.problems[0].message


def test_glob_brackets_are_glibc_ones(tmp_path: Path) -> None:
    write(tmp_path, {"nginx.conf": "", "a.conf": "", "b.conf": ""})
    assert resolve_include(f"{tmp_path}/[^a].conf") == [f"{tmp_path}/b.conf"]
    assert resolve_include(f"{tmp_path}/absent") == [f"{tmp_path}/absent"]


def test_would_include() -> None:
    assert would_include("/etc/nginx/conf.d/*.conf", "/etc/nginx/conf.d/wpward.conf")
    assert would_include("/etc/nginx/sites-enabled/*", "/etc/nginx/sites-enabled/wpward.conf")
    assert not would_include("/etc/nginx/conf.d/*.conf", "/etc/nginx/sites-enabled/wpward.conf")
    assert not would_include("/etc/nginx/conf.d/blog.conf", "/etc/nginx/conf.d/wpward.conf")


@pytest.mark.parametrize(
    ("original", "comment"),
    [
        ("server {\n    listen 80;\n}\n", True),
        ("server { # main\n    listen 80;\n}\n", True),
        ("server { listen 80; }\n", False),
        ("server\n{\r\n    listen 80;\r\n}\r\n", True),
    ],
)
def test_what_is_inserted_is_found_again_to_the_byte(original: str, comment: bool) -> None:
    at = original.index("{") + 1
    text = server_include("    ", "/etc/nginx/wpward/server.conf", comment)
    data = (original[:at] + text + original[at:]).encode()
    server = only(data)
    assert server.block is not None
    assert [one.name for one in server.block] == ["include", "listen"]
    assert server.block_offset == at
    assert inserted_span(data, at, server.block[0]) == (at, len(text))


def test_a_moved_include_is_only_itself() -> None:
    data = f"server {{\n listen 80;\n include /w;  {INCLUDE_MARKER}\n}}".encode()
    server = only(data)
    assert server.block is not None
    offset, length = inserted_span(data, server.block_offset or 0, server.block[1])
    assert data[offset : offset + length] == b"include /w;"
