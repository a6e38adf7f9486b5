# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of many logged requests may ask for an endpoint of the catalogue, without reading each.

A request without escapes has to contain one of a few words as they are. Looking for those in all
requests at once is ten times cheaper than classifying each; and most requests hold none.
"""

from __future__ import annotations

import re
from typing import Callable, Collection, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint

_WORD = re.compile(r"(?<![\\a-z0-9])[a-z]{4,}(?![a-z0-9?*+{])")
_GROUP = re.compile(r"[(\[].*")
# Only an encoded letter can hide a word of letters; others, such as those of a Japanese title,
# cannot. A backslash begins an escape of the log.
_ESCAPES = (b"%4", b"\\")
_PLAIN = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ567", b"abcdefghijklmnopqrstuvwxyz444")
"""Makes a request such that a few plain texts are to be looked for."""


def words_of(endpoints: Sequence[Endpoint]) -> tuple[bytes, ...]:
    """Words of lower-case letters, one of which every request for one of the endpoints contains
    in either case, unless it contains escapes.

    Raises ValueError for an endpoint that has no such word.
    """
    words = set()
    for endpoint in endpoints:
        # The literal beginning of a path; of parameters the name, since any value may match. PHP
        # turns several characters into the underscore that joins a name's words.
        texts = [_GROUP.sub("", path) for path in endpoint.paths]
        for text in texts + [parameter.name for parameter in endpoint.parameters]:
            found = _WORD.findall(text.replace("_", " "))
            if not found:
                raise ValueError(f"{endpoint.id}: no word in {text}")
            words.add(max(found, key=len).encode())
    return tuple(
        sorted(word for word in words if not any(other in word for other in words if other != word))
    )


WORDS = words_of(ENDPOINTS)
_SIGNS = (*WORDS, *_ESCAPES)


def _positions(text: bytes) -> Iterator[int]:
    for sign in _SIGNS:
        position = text.find(sign)
        while position >= 0:
            yield position
            position = text.find(b"\n", position)
            if position >= 0:
                position = text.find(sign, position)


def candidates(requests: Collection[bytes]) -> set[bytes]:
    """Those that may ask for an endpoint; all that do are among them. No request may hold a line
    feed."""
    text = b"\n".join(requests)
    found = set()
    for position in _positions(text.translate(_PLAIN)):
        end = text.find(b"\n", position)
        found.add(text[text.rfind(b"\n", 0, position) + 1 : end if end >= 0 else len(text)])
    return found


def may_ask(request: bytes) -> bool:
    """The same of one text that holds a request, whatever its bytes."""
    plain = request.translate(_PLAIN)
    return any(sign in plain for sign in _SIGNS)


def is_odd(request: bytes) -> bool:
    """Whether it was not cut out of its line correctly: at an escaped quote, or from a line
    without quotes on."""
    return request.endswith(b"\\") or b"\n" in request


class RequestFilter:
    """Remembers, in bounded memory, which requests matter.

    ``matters``: tells it of one request.
    """

    _SIZE = 3 * 1024 * 1024
    _ENTRY = 120

    def __init__(self, matters: Callable[[bytes], bool]) -> None:
        self._matters = matters
        self._known: set[bytes] = set()
        self._wanted: set[bytes] = set()
        self._used = 0

    def wanted(self, requests: set[bytes]) -> set[bytes]:
        """Those that matter, and the odd ones, of which one cannot tell."""
        fresh = requests.difference(self._known)
        if fresh:
            size = sum(map(len, fresh)) + self._ENTRY * len(fresh)
            if self._used + size > self._SIZE:
                self._known, self._wanted, self._used = set(), set(), 0
                fresh = requests
            self._used += size
            self._learn(fresh)
        return requests & self._wanted

    def _learn(self, fresh: set[bytes]) -> None:
        self._known.update(fresh)
        text = b"\n".join(fresh) + b"\n"
        odd: set[bytes] = set()
        if b"\\\n" in text or text.count(b"\n") > len(fresh):
            odd = set(filter(is_odd, fresh))
        self._wanted |= odd
        for request in candidates(fresh - odd if odd else fresh):
            if self._matters(request):
                self._wanted.add(request)
