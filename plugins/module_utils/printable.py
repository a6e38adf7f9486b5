# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Text that somebody else wrote, made fit to be shown in a terminal or a report."""

from __future__ import annotations


def printable(text: str | bytes, limit: int) -> str:
    """At most ``limit`` characters in which everything that does not show by itself (control
    characters, bytes that are not UTF-8, characters that turn the direction of writing) is
    written as ``\\x1b`` or ``\\u202e``."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    plain = text[: limit * 4].decode("utf-8", "backslashreplace")
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in plain
    )
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
