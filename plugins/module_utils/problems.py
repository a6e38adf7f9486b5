# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a probe could not find or read: sentences for the operator, not errors."""

from __future__ import annotations


class Problems:
    """Problems in the order in which they were found, each once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], None] = {}

    def add(self, identity: str, message: str) -> None:
        """``identity``: what kind it is, for programs. ``message``: one sentence for people."""
        self._found[identity, message] = None

    def describe(self) -> list[dict[str, str]]:
        """The evidence's form."""
        return [{"id": identity, "message": message} for identity, message in self._found]
