# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SQL that others wrote is shown without what is in it; SQL of ours cannot be broken out of."""

from __future__ import annotations

import re

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.sql_text import (
    decoded,
    masked,
    quoted_name,
    quoted_text,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (
            "DELETE FROM wp_aiowps_audit_log WHERE created < 1700400000",
            "DELETE FROM wp_aiowps_audit_log WHERE created < 1700400000",
        ),
        ("SELECT\n\t*  FROM t", "SELECT * FROM t"),
        ("SELECT 'a''b', \"c\"\"d\", e", "SELECT ?, ?, e"),
        ("SELECT `it's`, 'secret'", "SELECT `it's`, ?"),
        ("SELECT x'6162', 0x6162, b'01', 0b01", "SELECT x?, ?, b?, ?"),
        ("SELECT 4111111111111111, 42", "SELECT ?, 42"),
        ("SELECT 1 /* secret */ + 2 -- secret\n+ 3 # secret", "SELECT 1 + 2 + 3"),
        ("SELECT 5--4", "SELECT 5--4"),
        ("SELECT 'cut off", "SELECT ? ..."),
        ("SELECT 1 /* cut off", "SELECT 1"),
        # Where a backslash is no escape, the first literal ends before AND, and the second is
        # outside of what the escape would make one.
        ("SELECT 'a\\' AND b = 'secret'", "SELECT ? ..."),
        ("SELECT \x1b[31m\u202e", "SELECT \\x1b[31m\\u202e"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_statement(statement: str, shown: str) -> None:
    assert masked(statement) == shown


def test_a_long_statement_is_cut() -> None:
    assert len(masked("SELECT " + "a, " * 1000)) == 300


@given(st.text(alphabet="ab'\"\\`/*-# \n\t0x1é", max_size=60))
def test_what_is_between_quotes_never_shows(text: str) -> None:
    literal = text.replace("'", "''")
    shown = masked(f"UPDATE t SET a = 'hidden{literal}hidden' WHERE b = 1")
    assert "hidden" not in shown


@given(st.text(max_size=400))
def test_any_text_gives_a_printable_line(text: str) -> None:
    shown = masked(text)
    assert len(shown) <= 300 and shown.isprintable()


@given(st.text(min_size=1, max_size=40))
def test_names_and_texts_stay_inside_their_quotes(text: str) -> None:
    name = quoted_name(text)
    assert name[0] == name[-1] == "`" and "`" not in name[1:-1].replace("``", "")
    found = re.fullmatch(
        "_utf8 0x([0-9a-f]+)", quoted_text(text.encode("utf-8", "replace").decode())
    )
    assert found


@given(st.text(max_size=60))
def test_a_column_comes_back_as_it_was(text: str) -> None:
    content = text.encode("utf-8", "replace")
    assert decoded(content.hex().upper()) == content.decode()


def test_what_is_no_column_is_refused() -> None:
    assert decoded("NULL") is None
    assert decoded("") == ""
    for field in ("NUL", "abc", "zz", "4e'"):
        with pytest.raises(ValueError):
            decoded(field)
