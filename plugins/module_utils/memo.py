# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remembering what was worked out, in bounded memory, although an attacker chooses the keys."""

from __future__ import annotations

from typing import Any, Callable, Dict, Generic, TypeVar

V = TypeVar("V")
_ENTRY = 200
"""Bytes that an entry takes besides its key's text."""


class Memo(Dict[Any, V], Generic[V]):
    """A dictionary that works out what it lacks, from keys of bytes or of tuples of bytes.

    It forgets everything when it would outgrow ``size`` bytes: a key that comes often is back at
    once, and all that a flood of others can do is to make it useless.
    """

    def __init__(self, function: Callable[[Any], V], size: int) -> None:
        super().__init__()
        self._function = function
        self._size = size
        self._used = 0

    def __missing__(self, key: Any) -> V:
        length = len(key) if isinstance(key, bytes) else sum(map(len, key))
        self._used += length + _ENTRY
        if self._used > self._size:
            self.clear()
            self._used = length + _ENTRY
        value = self[key] = self._function(key)
        return value
