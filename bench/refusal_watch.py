# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a test host's xmlrpc.php every few milliseconds, and says when the first one was refused.

One file, standard library only, Python >= 3.9: it is handed as it is to the Python of a client
container, as the flood is.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections import Counter
from contextlib import suppress
from typing import Any

_REFUSED = ("401", "403")
_PATIENCE = 2.0
_SETTLE = 10.0
_MOST = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_BODY = b"<?xml version='1.0'?><methodCall><methodName>system.listMethods</methodName></methodCall>"


class Asked:
    """One request that is under way. ``since``: time.monotonic()."""

    def __init__(self, options: dict[str, Any], head: bytes) -> None:
        self.since = time.monotonic()
        self.answer = b""
        self._left = head
        self.connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.connection.bind((options["source"], 0))
        self.connection.setblocking(False)
        self.connection.connect_ex((options["address"], 80))

    @property
    def wants(self) -> int:
        return selectors.EVENT_WRITE if self._left else selectors.EVENT_READ

    def move(self) -> bool:
        """Send or read what can be; whether the answer has ended."""
        try:
            if self._left:
                self._left = self._left[self.connection.send(self._left) :]
                return False
            part = self.connection.recv(_MOST)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.answer += part
        return not part or is_whole(self.answer)


def is_whole(answer: bytes) -> bool:
    """nginx keeps the connection open after it, for the rest of the request."""
    head, _gap, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return len(answer) > _MOST or (length is not None and len(body) >= int(length[1]))


def status(answer: bytes) -> str:
    return answer[9:12].decode("ascii", "replace") or "none"


def refused(answer: bytes) -> bool:
    """Judged by the body, too: an answer of XML-RPC itself is none, whatever its status."""
    return (
        status(answer) in _REFUSED
        and b"<methodResponse" not in answer
        and b"XML-RPC server accepts" not in answer
    )


def whole(options: dict[str, Any], head: bytes) -> bytes:
    """The answer to a complete request; empty where none came in time."""
    address = (options["address"], 80)
    answer = b""
    with (
        suppress(OSError),
        socket.create_connection(address, 10.0, (options["source"], 0)) as connection,
    ):
        connection.sendall(head + _BODY)
        while part := connection.recv(_MOST):
            answer += part
    return answer


def stays_refused(options: dict[str, Any], head: bytes) -> bool:
    """Whether complete requests are refused, too. A worker from before the reload may take one
    more."""
    until = time.monotonic() + _SETTLE
    while not refused(whole(options, head)):
        if time.monotonic() > until:
            return False
    return True


def watch(options: dict[str, Any]) -> dict[str, Any]:
    """Ask until a request is refused, at most ``seconds`` long.

    Options: address, source (the client's own), host, target, interval and seconds. Returns
    refused_at (time.monotonic(), which all containers of a machine share; None where it did not
    come to that), status, confirmed (whether a complete request was refused after it), asked, and
    others (answers that were no refusal, by status).
    """
    head = (
        f"POST {options['target']} HTTP/1.1\r\nHost: {options['host']}\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(_BODY)}\r\nConnection: close\r\n\r\n"
    ).encode()
    selector = selectors.DefaultSelector()
    until = time.monotonic() + options["seconds"]
    due = time.monotonic()
    asked = 0
    others: Counter[str] = Counter()

    def leave(one: Asked) -> None:
        selector.unregister(one.connection)
        one.connection.close()

    while time.monotonic() < until:
        if time.monotonic() >= due:
            # The body is kept back. A web server refuses without it; one that would not refuse
            # waits for it, so that no request stands in PHP's queue and the flood stays as it is.
            one = Asked(options, head)
            selector.register(one.connection, one.wants, one)
            asked += 1
            due = max(due + options["interval"], time.monotonic())
        for key, _events in selector.select(max(due - time.monotonic(), 0)):
            one = key.data
            if not one.move():
                selector.modify(one.connection, one.wants, one)
                continue
            leave(one)
            if refused(one.answer):
                return {
                    "refused_at": time.monotonic(),
                    "status": status(one.answer),
                    "confirmed": stays_refused(options, head),
                    "asked": asked,
                    "others": others,
                }
            others[status(one.answer)] += 1
        for key in list(selector.get_map().values()):
            if key.data.since + _PATIENCE < time.monotonic():
                leave(key.data)
    return {"refused_at": None, "asked": asked, "others": others}


if __name__ == "__main__":
    print("watching", flush=True)
    print(json.dumps(watch(json.loads(sys.argv[1]))))
