# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Pools as php-fpm reads them. What is expected of single lines is what php-fpm 8.2 -tt said."""

from __future__ import annotations

import configparser
import string
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import php_fpm_config
from ansible_collections.wpward.wordpress.plugins.module_utils.php_fpm_config import (
    Config,
    drop_in_directory,
    load,
)
from hypothesis import given
from hypothesis import strategies as st

MAIN = "[global]\npid = /run/php-fpm.pid\ninclude={}/pool.d/*.conf\n"
POOL = "[www]\nuser = www-data\npm = dynamic\npm.max_children = 5\n"


def read(text: str, tmp_path: Path, **variables: str) -> Config:
    path = tmp_path / "php-fpm.conf"
    path.write_text(text)
    return load(str(path), variables)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('pm.max_children = "9"', "9"),
        ("pm.max_children = '9'", "9"),
        ("pm.max_children=9;x", "9"),
        ("  PM.MAX_CHILDREN = 9  ; a = b", "9"),
        ("pm.max_children = ${NUMBER}", "17"),
        ('pm.max_children = "${NUMBER}"', "17"),
        ("pm.max_children = '${NUMBER}'", "${NUMBER}"),
        ("pm.max_children = ${NOPE}", ""),
        ("pm.max_children = ", ""),
        ('pm.max_children = "a b" ;z', "a b"),
        ('pm.max_children = a"b;c"d', "ab;cd"),
        (r'pm.max_children = "a\"b"', 'a"b'),
        (r"pm.max_children = a\\b", r"a\\b"),
        ("; pm.max_children = 3", None),
        ("other.max_children = 3", None),
    ],
)
def test_a_line(line: str, value: str | None, tmp_path: Path) -> None:
    config = read(f"[www]\n{line}\n", tmp_path, NUMBER="17")
    assert config.value("www", "pm.max_children") == value
    assert config.problems == []


@pytest.mark.parametrize(
    "line",
    ["[www]x", "pm.max_children", 'user = "a', "user = 'a", "= 3", "include = relative.conf"],
)
def test_what_php_fpm_refuses_is_a_problem_and_the_rest_is_read(line: str, tmp_path: Path) -> None:
    config = read(f"[www]\n{line}\nlisten = /run/www.sock\n", tmp_path)
    assert [problem.line for problem in config.problems] == [2]
    assert config.value("www", "listen") == "/run/www.sock"


@pytest.mark.parametrize(
    ("text", "number", "seconds"),
    [
        ("9", 9, 9),
        ("-1", -1, None),
        ("30s", None, 30),
        ("30 s", None, 30),
        ("2m", None, 120),
        ("1h", None, 3600),
        ("1d", None, 86400),
        ("+9", None, None),
        ("PHP_MAJOR_VERSION", None, None),
        ("9" * 30, None, None),
        ("٣", None, None),
    ],
)
def test_numbers_and_times(
    text: str, number: int | None, seconds: int | None, tmp_path: Path
) -> None:
    config = read(f"[www]\nx = {text}\n", tmp_path)
    assert config.number("www", "x") == number
    assert config.seconds("www", "x") == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("128M", 128 << 20), ("1g", 1 << 30), ("64 k", 64 << 10), ("4096", 4096), ("-1", -1)]
    + [(odd, None) for odd in ("M", "1T", "E_ALL", "0x10", "1.5G")],
)
def test_sizes_in_phps_shorthand(text: str, expected: int | None, tmp_path: Path) -> None:
    config = read(f"[www]\nphp_admin_value[memory_limit] = {text}\n", tmp_path)
    assert config.size("www", "php_admin_value", "memory_limit") == expected


def test_a_section_that_comes_again_continues_the_pool(tmp_path: Path) -> None:
    config = read(
        POOL + "[other]\npm.max_children = 2\n[WWW] ; again\npm.max_children = 7\n"
        "php_admin_value[memory_limit] = 256M\nphp_admin_value['upload'] = 8M\n"
        "[GLOBAL]\nprocess.max = 30\n",
        tmp_path,
    )
    assert list(config.pools) == ["www", "other"]
    assert config.number("www", "pm.max_children") == 7
    assert config.number("other", "pm.max_children") == 2
    assert config.size("www", "php_admin_value", "memory_limit") == 256 << 20
    assert config.value("www", "php_admin_value", "upload") == "8M"
    assert config.value("www", "php_admin_value") is None
    assert config.number(None, "process.max") == 30


def test_a_section_goes_on_across_the_end_of_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "pool.d").mkdir()
    (tmp_path / "pool.d/a.conf").write_text(POOL)
    (tmp_path / "pool.d/b.conf").write_text("pm.max_children = 4\n")
    (tmp_path / "pool.d/.c.conf").write_text("pm.max_children = 3\n")
    (tmp_path / "pool.d/d.conf.dpkg-old").write_text("pm.max_children = 2\n")
    (tmp_path / "pool.d/dir.conf").mkdir()
    config = read(MAIN.format(tmp_path) + "pm.start_servers = 2\n", tmp_path)
    assert config.problems == []
    assert config.pools == {"www": f"{tmp_path}/pool.d/a.conf"}
    assert config.number("www", "pm.max_children") == 4
    assert config.number("www", "pm.start_servers") == 2


def test_where_a_file_of_ours_has_the_last_word(tmp_path: Path) -> None:
    folder = tmp_path / "pool.d"
    folder.mkdir()
    (folder / "www.conf").write_text(POOL)
    assert drop_in_directory(read(MAIN.format(tmp_path), tmp_path)) == str(folder)
    (folder / "zz-wpward.conf").write_text("[www]\npm.max_children = 3\n")
    config = read(MAIN.format(tmp_path), tmp_path)
    assert drop_in_directory(config) == str(folder)
    assert config.number("www", "pm.max_children") == 3


@pytest.mark.parametrize(
    ("main", "name"),
    [
        (MAIN + POOL, "www.conf"),
        (MAIN, "zzz.conf"),
        (POOL, "www.conf"),
        ("include={}/pool.d/www.conf\n", "www.conf"),
        ("include={}/*/*.conf\n", "www.conf"),
        ("include={}/missing/*.conf\n", "www.conf"),
    ],
)
def test_where_none_would_have_it(main: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "pool.d").mkdir()
    (tmp_path / "pool.d" / name).write_text(POOL)
    assert drop_in_directory(read(main.format(tmp_path), tmp_path)) is None


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    config = read(f"[www]\nuser = a\ninclude={tmp_path}/*.conf\n", tmp_path)
    assert "within each other" in config.problems[0].message
    assert config.value("www", "user") == "a"


def test_a_file_that_is_too_large_or_missing_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cannot be read" in load(str(tmp_path / "none"), {}).problems[0].message
    monkeypatch.setattr(php_fpm_config, "_MAX_FILE_BYTES", 10)
    assert "was not read" in read(POOL, tmp_path).problems[0].message


_NAMES = st.text(string.ascii_lowercase + "._", min_size=1, max_size=6).filter(
    lambda name: name != "include"
)
_VALUES = st.text(string.ascii_letters + string.digits + " /:.-_", max_size=12)
_COMMENTS = st.sampled_from(["", "", " ; x = 3", "\t;;"])
_POOLS = st.sampled_from(["www", "shop", "a.b"])
_SECTIONS = st.tuples(_POOLS, st.lists(st.tuples(_NAMES, _VALUES, _COMMENTS), max_size=4))


@given(sections=st.lists(_SECTIONS, max_size=6))
def test_where_they_agree_it_reads_what_configparser_reads(
    sections: list[tuple[str, list[tuple[str, str, str]]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lines: list[str] = []
    for pool, entries in sections:
        lines.append(f"[{pool}]")
        lines += [f"{name} = {value}{comment}" for name, value, comment in entries]
    text = "\n".join(lines)
    oracle = configparser.ConfigParser(
        strict=False,
        interpolation=None,
        delimiters="=",
        comment_prefixes=";",
        inline_comment_prefixes=";",
    )
    oracle.read_string(text)
    config = read(text, tmp_path_factory.mktemp("pools"))
    assert config.problems == []
    assert {pool: {} for pool in config.pools} == {pool: {} for pool in oracle.sections()}
    assert config.values == {
        (pool, name, None): value
        for pool in oracle.sections()
        for name, value in oracle[pool].items()
    }


@given(data=st.binary(max_size=300))
def test_nothing_that_a_file_contains_makes_it_fail(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "php-fpm.conf"
    path.write_bytes(b"[www]\nuser = a\n" + data)
    config = load(str(path), {})
    drop_in_directory(config)
    assert "www" in config.pools
