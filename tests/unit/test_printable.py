# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text of strangers, made fit to be shown."""

from __future__ import annotations

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"plain text", "plain text"),
        (b"\x1b]0;owned\x07\r\n\0", "\\x1b]0;owned\\x07\\r\\n\\x00"),
        ("caf\xe9".encode(), "caf\xe9"),
        (b"caf\xe9", "caf\\xe9"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\udce9", "\\xe9"),
        (b"x" * 50, "x" * 17 + "..."),
    ],
)
def test_what_does_not_show_is_spelled_out(text: str | bytes, shown: str) -> None:
    assert printable(text, 20 if len(text) == 50 else 100) == shown


@given(st.binary(max_size=2000), st.integers(3, 300))
def test_always_printable_and_never_longer(text: bytes, limit: int) -> None:
    shown = printable(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
