# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration reader against an independent one, on generated configurations."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Directive,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

crossplane = pytest.importorskip("crossplane")

_NAMES = st.sampled_from(["server", "location", "root", "listen", "map", "log_format", "set", "x"])
_WORDS = st.one_of(
    # No word ends in "}": the other reader takes the blank after ${host} for a part of it.
    st.sampled_from(["80", "[::]:443", "~*", "=", "/xmlrpc.php", "${host}a", r"\.php$", "a#b"]),
    st.text(alphabet="abc/$.=*~^|:+-_[]()@%é", min_size=1, max_size=12).filter(
        lambda word: word != "$"
    ),
)
_QUOTED = st.builds(
    lambda quote, text: quote + text.replace(quote, "\\" + quote) + quote,
    st.sampled_from(["'", '"']),
    st.text(alphabet="ab {};#$'\"\n/.é", max_size=12),
)
_GAPS = st.sampled_from([" ", "  ", "\t", "\n", "\r\n", " # note; { } \" '\n"])


@st.composite
def configurations(draw: st.DrawFn, depth: int = 0) -> str:
    text = draw(_GAPS)
    for _number in range(draw(st.integers(0, 4))):
        text += draw(_NAMES)
        for argument in draw(st.lists(st.one_of(_WORDS, _QUOTED), max_size=3)):
            text += draw(_GAPS) + argument
        if depth < 3 and draw(st.booleans()):
            text += draw(_GAPS) + "{" + draw(configurations(depth=depth + 1)) + "}"
        else:
            text += draw(st.sampled_from(["", " "])) + ";"
        text += draw(_GAPS)
    return text


def ours(directives: tuple[Directive, ...]) -> list[Any]:
    return [
        (one.name, list(one.args), one.line, None if one.block is None else ours(one.block))
        for one in directives
    ]


def theirs(directives: list[Any]) -> list[Any]:
    return [
        (
            one["directive"],
            one["args"],
            one["line"],
            theirs(one["block"]) if "block" in one else None,
        )
        for one in directives
        # Its name for a comment that stands among the arguments.
        if one["directive"] != "#"
    ]


@settings(max_examples=150, deadline=None)
@given(configurations())
def test_an_independent_reader_sees_the_same(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "nginx.conf")
        path.write_bytes(text.encode())
        payload = crossplane.parse(
            str(path), single=True, strict=False, check_ctx=False, check_args=False
        )
        assert payload["errors"] == []
        parsed = parse(text.encode(), str(path))
    assert parsed.problems == ()
    assert ours(parsed.directives) == theirs(payload["config"][0]["parsed"])
