# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lines of a log that may ask for an endpoint, as columns, read by the format's expression."""

from __future__ import annotations

from itertools import compress
from operator import itemgetter
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Tuple, Union
from urllib.parse import unquote_to_bytes

from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    PERCENT,
    LineFormat,
    with_query,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.memo import Memo
from ansible_collections.wpward.wordpress.plugins.module_utils.request_filter import may_ask
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import OTHER

Buffer = Union[bytes, bytearray]
Key = Union[bytes, Tuple[bytes, ...]]
KindOf = Callable[[bytes, Optional[bytes], bytes, bytes], Any]
"""(target, host, status, method) -> what a line of such counts for; None for nothing."""

MEMO = 1024 * 1024
"""Bytes for what is remembered of requests."""
_OF_KIND = ("request", "target", "query", "host", "method", "status")


class Lines(NamedTuple):
    """Lines that count for something: a column for each thing that is counted. None for what the
    format lacks."""

    kinds: list[Any]
    times: Sequence[bytes]
    addresses: Sequence[bytes] | None
    agents: Sequence[bytes] | None
    zone: bytes = b""
    """The end of each of the times, with the blank before it, where that is the same for all and
    was left out."""


def target_of(request: bytes) -> bytes:
    """The request target in a logged request line; the whole of it where it is none."""
    _method, space, rest = request.partition(b" ")
    if not space:
        return request
    target, space, protocol = rest.rpartition(b" ")
    return target if space and protocol.startswith(b"HTTP/") else rest


def status_of(text: bytes) -> bytes:
    return text if len(text) == 3 and text.isdigit() else OTHER


class RequestReader:
    """What a format's values say of a request."""

    def __init__(self, line_format: LineFormat, kind_of: KindOf) -> None:
        self._kind_of = kind_of
        self._whole_request = "target" not in line_format.fields
        self._percent = line_format.escapes == PERCENT

    def target(self, request: bytes, query: bytes = b"") -> bytes:
        """From a logged request, as the client sent it but for the log's escapes."""
        target = target_of(request) if self._whole_request else request
        if self._percent:
            # On top of what the client encoded.
            target, query = unquote_to_bytes(target), unquote_to_bytes(query)
        return with_query(target, query)

    def kind(self, values: Mapping[str, bytes]) -> Any:
        """What a line with these values counts for."""
        request = values["request"] if self._whole_request else values["target"]
        method = request.partition(b" ")[0] if self._whole_request else values.get("method", OTHER)
        return self._kind_of(
            self.target(request, values.get("query", b"")),
            values.get("host"),
            status_of(values.get("status", OTHER)),
            method,
        )


class ExpressionLines:
    """Reads every line in full, whatever its format and its bytes."""

    def __init__(self, line_format: LineFormat, kind_of: KindOf) -> None:
        self._findall = line_format.pattern.findall
        self._places = {name: place for place, name in enumerate(line_format.fields)}
        self._of_kind = [name for name in _OF_KIND if name in self._places]
        self._key = itemgetter(*(self._places[name] for name in self._of_kind))
        self._request = RequestReader(line_format, kind_of)
        self._percent = line_format.escapes == PERCENT
        self._kinds: Memo[Any] = Memo(self._kind, MEMO)

    def _kind(self, key: Key) -> Any:
        text = key if isinstance(key, bytes) else b" ".join(key)
        # Cheaper than to classify it.
        if not self._percent and not may_ask(text):
            return None
        return self._request.kind(
            dict(zip(self._of_kind, (key,) if isinstance(key, bytes) else key))
        )

    def read(self, buffer: Buffer, end: int) -> Lines | None:
        """The lines in a buffer that count for something; None where there are none.

        ``buffer``: each line with the newline before it; up to ``end``. What comes before the
        first newline is left out.
        """
        found: list[tuple[bytes, ...]] = self._findall(buffer, 0, end)
        kinds = list(map(self._kinds.__getitem__, map(self._key, found)))
        found = list(compress(found, kinds))
        if not found:
            return None
        columns = list(zip(*found))

        def column(name: str) -> Sequence[bytes] | None:
            return columns[self._places[name]] if name in self._places else None

        return Lines(
            list(filter(None, kinds)),
            columns[self._places["time"]],
            column("address"),
            column("agent"),
        )
