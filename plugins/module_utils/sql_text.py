# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SQL written and read so that neither names nor contents can become part of a statement.

Visitors write to the tables of a site, so a statement that runs can hold passwords, session keys
and whatever an attacker wants to have in a report.
"""

from __future__ import annotations

import re

from ansible_collections.wpward.wordpress.plugins.module_utils.printable import printable

SHOWN = 300
"""Characters of a statement that are shown."""

# In the order in which they are tried at a place. A literal or comment without its end was cut off.
_PARTS = re.compile(
    r"""
      (?P<string>   '(?:[^'\\]|'')*'  |  "(?:[^"\\]|"")*" )
    | (?P<unclear>  ['"] )
    | (?P<name>     `(?:[^`]|``)*` )
    | (?P<comment>  /\*.*?(?:\*/|\Z)  |  \#[^\n]*  |  --(?:[\x00-\x20][^\n]*|\Z) )
    | (?P<bytes>    \b0x[0-9a-f]+ | \b0b[01]+ )
    | (?P<number>   \b\d{13,}\b )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def masked(statement: str) -> str:
    """A statement without its literals, on one line of at most SHOWN printable characters.

    Numbers of up to 12 digits stay, as they tell which rows a purge is after. What follows a
    literal with a backslash is left out: whether the backslash ends the literal depends on a mode
    that each connection chooses for itself.
    """
    shown: list[str] = []
    position = 0
    for part in _PARTS.finditer(statement):
        shown.append(statement[position : part.start()])
        position = part.end()
        if part.lastgroup == "unclear":
            shown.append("? ...")
            position = len(statement)
            break
        if part.lastgroup == "name":
            shown.append(part.group())
        elif part.lastgroup == "comment":
            shown.append(" ")
        else:
            shown.append("?")
    shown.append(statement[position:])
    return printable(" ".join("".join(shown).split()), SHOWN)


def quoted_name(name: str) -> str:
    """A schema, table or column as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def quoted_text(text: str) -> str:
    """A string literal that means the same in every SQL mode. ``_utf8`` makes it text again."""
    return f"_utf8 0x{text.encode().hex()}" if text else "''"


def encoded(expression: str) -> str:
    """An expression whose result is hexadecimal digits, so that no content can look like the end
    of a column or a row; NULL stays NULL, which are no such digits."""
    return f"HEX(CONVERT({expression} USING utf8mb4))"


def decoded(field: str) -> str | None:
    """What ``encoded`` gave. Raises ValueError for anything else."""
    if field == "NULL":
        return None
    return bytes.fromhex(field).decode("utf-8", "replace")
