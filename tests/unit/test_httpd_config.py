# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading httpd's configuration: lines, words, includes, conditions, and what is broken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_config
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import (
    Known,
    module_of_source,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import (
    Config,
    Directive,
    load,
    logical_lines,
    words,
)
from hypothesis import given, settings
from hypothesis import strategies as st


class Httpd:
    def __init__(self, base: Path) -> None:
        self.base = base

    def load(self, text: str | bytes, **variables: str) -> Config:
        path = self.base / "httpd.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        known = Known(str(self.base), "2.4.62")
        known.load_static(["core_module", "so_module", "http_module"])
        return load(str(path), known, variables)

    def read(self, text: str, **variables: str) -> list[Any]:
        config = self.load(text, **variables)
        assert config.problems == []
        return plain(config.directives)


@pytest.fixture()
def httpd(tmp_path: Path) -> Httpd:
    return Httpd(tmp_path)


def plain(directives: tuple[Directive, ...]) -> list[Any]:
    return [
        [one.name, *one.args] if one.block is None else [one.name, *one.args, plain(one.block)]
        for one in directives
    ]


# As httpd 2.4.71 reads them (ServerAlias, shown by -D DUMP_VHOSTS).
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]),
        ("\ta \t b ", ["a", "b"]),
        ("\"a b\" 'c\\'d' e\\ f", ["a b", "c'd", "e\\", "f"]),
        ('ab"c d"e', ['ab"c', 'd"e']),
        ('"open quote', ["open quote"]),
        ("\"c\"d 'e''f'", ["c", "d", "e", "f"]),
        (r'"\q\"\'"', ["\\q\"\\'"]),
        (r'"\\\""', ['\\"']),
        (r"a\\b a\b", ["a\\b", "a\\b"]),
        ("<x> x#y", ["<x>", "x#y"]),
        ('"a\\', ["a\\"]),
        ("\xa0 b", ["\xa0", "b"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


def test_lines_are_joined_and_trimmed() -> None:
    data = b"a \\\n  b\n\\\r\nc\r\n# d \\\nstill a comment\ne\\\\\nf\n  g\\"
    assert list(logical_lines(data)) == [
        (1, "a   b"),
        (3, "c"),
        (5, "# d still a comment"),
        (7, "e\\f"),
        (9, "g\\"),
    ]


def test_a_continued_directive_is_where_it_begins(httpd: Httpd) -> None:
    config = httpd.load("\nServerAlias a \\\n  b\nServerName c\n")
    assert [(one.line, one.args) for one in config.directives] == [(2, ("a", "b")), (4, ("c",))]


def test_sections_and_names_in_any_case(httpd: Httpd) -> None:
    assert httpd.read(
        " <virtualhost\t*:80>\nSERVERNAME x \n<Files ~ 'a b'>\n<RequireAll>\n</requireall>\n"
        "</FILES>\n </VirtualHost>\n"
    ) == [
        [
            "virtualhost",
            "*:80",
            [["servername", "x"], ["files", "~", "a b", [["requireall", []]]]],
        ]
    ]


def test_variables_are_filled_in_line_by_line(httpd: Httpd) -> None:
    assert httpd.read(
        'Define Y "p q"\nA ${Y} "${Y}" $${Y} ${Z} ${ENV} ${} ${Y ${Y:-x}\n'
        "Define Y two\nA ${Y}\n<Directory />\nDefine Y three\n</Directory>\nA ${Y}\n"
        "UnDefine Y\nA ${Y}\nDefine ENV shadow\nA ${ENV}\n",
        ENV="environment",
        Y="outer",
    ) == [
        ["define", "Y", "p q"],
        ["a", "p", "q", "p q", "$p", "q", "${Z}", "environment", "${}", "${Y", "${Y:-x}"],
        ["define", "Y", "two"],
        ["a", "two"],
        ["directory", "/", [["define", "Y", "three"]]],
        ["a", "three"],
        ["undefine", "Y"],
        ["a", "outer"],
        ["define", "ENV", "shadow"],
        ["a", "shadow"],
    ]


def test_the_line_as_written_keeps_variables(httpd: Httpd) -> None:
    (one,) = httpd.load("SetEnv PASSWORD ${SECRET}\n", SECRET="hidden").directives
    assert one.args == ("PASSWORD", "hidden")
    assert one.text == "SetEnv PASSWORD ${SECRET}"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("IfModule so_module", True),
        ("IfModule mod_so.c", True),
        ("IfModule core.c", True),
        ("IfModule http_core.c", True),
        ("IfModule !mod_so.c", False),
        ("IfModule mod_nope.c", False),
        ("IfModule !nope_module", True),
        ("IfModule mod_ssl.c", True),
        ('IfModule "ssl_module"', True),
        ("IfModule event.c", True),
        ("IfModule mpm_event_module", True),
        ("IfModule mod_mpm_event.c", False),
        ("IfModule prefork.c", False),
        ("IfModule mod_php.c", True),
        ("IfModule mod_php7.c", False),
        ("IfDefine SET", True),
        ("IfDefine !SET", False),
        ("IfDefine GONE", False),
        ("IfVersion >= 2.4", True),
        ("IfVersion 2.4.62", True),
        ("IfVersion < 2.4.62", False),
        ("IfVersion !< 2.4.62", True),
        ("IfVersion > 2.4.9", True),
        ("IfVersion = /^2\\.4\\./", True),
        ("IfVersion ~ ^2\\.2", False),
        ("IfVersion !~ ^2\\.2", True),
        ("IfFile httpd.conf", True),
        ("IfFile /nowhere/httpd.conf", False),
        ("IfFile !/nowhere/httpd.conf", True),
    ],
)
def test_conditions(httpd: Httpd, condition: str, holds: bool) -> None:
    name = condition.split()[0]
    found = httpd.read(
        "LoadModule ssl_module modules/mod_ssl.so\n"
        "LoadModule mpm_event_module modules/mod_mpm_event.so\n"
        "LoadModule php_module modules/libphp8.2.so\n"
        "Define SET\nDefine GONE\nUnDefine GONE\n"
        f"<{condition}>\nInside\n<X>\n</X>\n</{name}>\nAfter\n"
    )
    assert found[6:] == ([["inside"], ["x", []], ["after"]] if holds else [["after"]])


def test_a_module_is_known_from_its_line_on(httpd: Httpd) -> None:
    text = "<IfModule ssl_module>\nA\n</IfModule>\n"
    found = httpd.read(text + "LoadModule ssl_module modules/mod_ssl.so\n" + text)
    assert [one[0] for one in found] == ["loadmodule", "a"]


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("core.c", "core_module"),
        ("http_core.c", "http_module"),
        ("mod_so.c", "so_module"),
        ("prefork.c", "mpm_prefork_module"),
        ("mod_log_config.c", "log_config_module"),
    ],
)
def test_modules_by_source_file(source: str, module: str) -> None:
    assert module_of_source(source) == module


@pytest.mark.parametrize(
    "condition", ["IfDirective X", "IfSection X", "IfVersion ? 2", "IfVersion ~ (", "IfModule"]
)
def test_conditions_that_cannot_be_evaluated(httpd: Httpd, condition: str) -> None:
    config = httpd.load(f"<{condition}>\nA\n</{condition.split()[0]}>\nB\n")
    assert plain(config.directives) == [["b"]]
    (problem,) = config.problems
    assert "cannot be evaluated" in problem.message


class TestIncludes:
    @pytest.fixture()
    def tree(self, httpd: Httpd) -> Httpd:
        for name in ("conf.d/b.conf", "conf.d/a.conf", "conf.d/.hidden", "conf.d/x.off"):
            path = httpd.base / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"I {path.name}\n")
        (httpd.base / "conf.d/sub").mkdir()
        (httpd.base / "conf.d/sub/deep").write_text("I deep\n")
        return httpd

    @pytest.mark.parametrize(
        ("pattern", "expected"),
        [
            ("conf.d/*.conf", ["a.conf", "b.conf"]),
            ("conf.d/[^a].conf", ["b.conf"]),
            ("conf.d/b.conf", ["b.conf"]),
            ("conf.d", [".hidden", "a.conf", "b.conf", "deep", "x.off"]),
            ("conf.?", [".hidden", "a.conf", "b.conf", "deep", "x.off"]),
            ("conf.d/*", ["a.conf", "b.conf", "deep", "x.off"]),
            ("*.d/sub/d*", ["deep"]),
        ],
    )
    @pytest.mark.parametrize("name", ["Include", "IncludeOptional"])
    def test_what_they_stand_for(
        self, tree: Httpd, name: str, pattern: str, expected: list[str]
    ) -> None:
        absolute = f'{name} "{tree.base}/{pattern}"\n'
        assert tree.read(f"{name} {pattern}\n") == [["i", one] for one in expected]
        assert tree.read(absolute) == [["i", one] for one in expected]

    def test_within_a_section_and_from_a_serverroot(self, tree: Httpd) -> None:
        text = f"ServerRoot {tree.base}/conf.d\n<VirtualHost *>\nInclude a.conf\n</VirtualHost>\n"
        (_root, vhost) = tree.load(text).directives
        assert vhost.block is not None
        (included,) = vhost.block
        assert (included.file, included.line) == (f"{tree.base}/conf.d/a.conf", 1)

    def test_what_is_missing(self, tree: Httpd) -> None:
        config = tree.load("Include gone.conf\nInclude gone/*\nIncludeOptional gone.conf\nA\n")
        assert plain(config.directives) == [["a"]]
        assert [(problem.line, problem.message) for problem in config.problems] == [
            (0, "cannot be read: No such file or directory"),
            (2, f"nothing matches the Include {tree.base}/gone/*"),
        ]

    def test_one_that_comes_back_to_itself(self, tree: Httpd) -> None:
        (tree.base / "conf.d/a.conf").write_text("A\nInclude conf.d/a.conf\nB\n")
        config = tree.load("Include conf.d/a.conf\nInclude httpd.conf\nC\n")
        assert plain(config.directives) == [["a"], ["b"], ["c"]]
        assert [problem.message for problem in config.problems] == [
            "this Include comes back to itself"
        ] * 2

    def test_many_within_each_other_end(self, tree: Httpd, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(httpd_config, "MAX_DIRECTIVES", 500)
        for number in range(40):
            following = f"Include {number + 1}.conf\n" * 2
            (tree.base / f"{number}.conf").write_text("A\n" + following)
        (tree.base / "40.conf").write_text("A\n")
        config = tree.load("Include 0.conf\n")
        assert len(config.directives) <= 500
        assert "more than 500 directives" in {problem.message for problem in config.problems}

    def test_what_is_no_file(self, tree: Httpd) -> None:
        os.mkfifo(tree.base / "pipe")
        config = tree.load("Include pipe\nIncludeOptional pipe\n")
        assert [problem.message for problem in config.problems] == [
            "cannot be read: not a regular file"
        ] * 2


@pytest.mark.parametrize(
    ("text", "kept", "message"),
    [
        ("A\n</VirtualHost>\nB\n", [["a"]], "a section is closed that is not open"),
        ("A\n<X y\nB\n</X>\n", [["a"]], '<x has no closing ">"'),
        ("<X>\nA\n", [["x", [["a"]]]], "<x> is not closed"),
        ("<X>\nA\n<Y>\nB\n</X>\n", [["x", [["a"], ["y", [["b"]]]]]], "a section is closed"),
        ("<Macro V $n>\n<X>\n</X>\n</Macro>\nA\n", [["a"]], "<macro> is not supported"),
        ("Use V a\nA\n", [["use", "V", "a"], ["a"]], "Use of a macro is not supported"),
        ("<Perl>\n</x>\n$a <$b>\n</Perl>\nA\n", [["a"]], "<perl> is not supported"),
        ("<X>\n" * 70, None, "more than 64 sections within each other"),
    ],
)
def test_broken_text_keeps_what_came_before(
    httpd: Httpd, text: str, kept: list[Any] | None, message: str
) -> None:
    config = httpd.load(text)
    assert kept is None or plain(config.directives) == kept
    (problem,) = config.problems
    assert problem.message.startswith(message)


def test_bytes_that_are_not_utf8(httpd: Httpd) -> None:
    (one,) = httpd.load(b"ServerName caf\xe9.example\n").directives
    assert os.fsencode(one.args[0]) == b"caf\xe9.example"


def test_a_missing_main_file(tmp_path: Path) -> None:
    config = load(str(tmp_path / "gone"), Known("/", "2.4"), {})
    assert config.directives == ()
    assert [problem.line for problem in config.problems] == [0]


def test_a_file_that_is_too_large(httpd: Httpd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpd_config, "MAX_FILE_BYTES", 1024)
    assert "larger than" in httpd.load("A\n" * 1000).problems[0].message


# No absolute path: an Include of it would read this machine.
_PIECES = [b"<", b">", b"</x", b"X", b" ", b"\n", b"\\\n", b'"', b"'", b"${", b"}", b"\xff", b"\0"]
_WORDS = [b"\r", b"*", b"[", b"IfModule ", b"Define A ${A}\n", b"Include ", b"<Macro x>\n"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_PIECES + _WORDS)))
def test_no_text_is_an_exception(tmp_path_factory: Any, pieces: list[bytes]) -> None:
    base = tmp_path_factory.getbasetemp() / "fuzz"
    base.mkdir(exist_ok=True)
    Httpd(base).load(b"".join(pieces))
