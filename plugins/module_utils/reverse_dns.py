# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether addresses belong to the search bots they claim to be, by forward-confirmed reverse DNS.

Whoever has an address chooses the name that it resolves to, so the name counts only if it lies in a
domain of the bot's owner and itself resolves to the address.
"""

from __future__ import annotations

import queue
import re
import socket
import threading
import time
from typing import Callable, Mapping

GENUINE = "genuine"
FALSE = "false"
UNKNOWN = "unknown"

_HOST_NAMES = {
    "googlebot": r"[\w.-]+\.googlebot\.com|rate-limited-proxy-[\w-]+\.google\.com",
    "bingbot": r"[\w-]+\.search\.msn\.com",
    "applebot": r"[\w-]+\.applebot\.apple\.com",
    "yandexbot": r"[\w.-]+\.yandex\.(?:ru|net|com)",
    "baiduspider": r"[\w.-]+\.(?:crawl\.)?baidu\.(?:com|jp)",
    "petalbot": r"[\w.-]+\.(?:petalsearch|aspiegel)\.com",
    "seznambot": r"[\w.-]+\.seznam\.cz",
    "naverbot": r"[\w.-]+\.naver\.com",
    "amazonbot": r"[\w.-]+\.crawl\.amazonbot\.amazon",
}
"""claim -> the names that its owner publishes for its bots. Translators and other proxies of the
same owner, such as google-proxy-*.google.com, carry other people's requests and do not count."""

_CONTROLS = {
    "googlebot": "www.google.com",
    "bingbot": "www.bing.com",
    "applebot": "www.apple.com",
    "yandexbot": "yandex.com",
    "baiduspider": "www.baidu.com",
    "petalbot": "petalsearch.com",
    "seznambot": "www.seznam.cz",
    "naverbot": "www.naver.com",
    "amazonbot": "www.amazon.com",
}

_THREADS = 8
_MAX_ADDRESSES = 64

NameOf = Callable[[str], str]
AddressesOf = Callable[[str], "set[str]"]


class NotFound(Exception):
    """The domain name system knows no such name or address."""


class NoAnswer(Exception):
    """The domain name system did not say."""


def _normal(address: str) -> str | None:
    """The one way of writing an address; None for other text, such as a name that a client sent
    in a header: it must not be looked up."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, address))
    except (OSError, ValueError):
        return None


def name_of(address: str) -> str:
    """The name of an address. Raises NotFound and NoAnswer."""
    try:
        return socket.gethostbyaddr(address)[0]
    except socket.herror as error:
        # 1 and 4 are HOST_NOT_FOUND and NO_DATA of netdb.h, which Python does not name.
        if error.args and error.args[0] in (1, 4):
            raise NotFound from error
        raise NoAnswer from error
    except (OSError, UnicodeError) as error:
        raise NoAnswer from error


def addresses_of(name: str) -> set[str]:
    """All addresses of a name. Raises NotFound and NoAnswer."""
    try:
        return {str(row[4][0]) for row in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)):
            raise NotFound from error
        raise NoAnswer from error
    except (OSError, UnicodeError) as error:
        raise NoAnswer from error


def judge(address: str, claim: str, find_name: NameOf, find_addresses: AddressesOf) -> str:
    """GENUINE, FALSE or UNKNOWN of one address."""
    pattern = _HOST_NAMES.get(claim)
    normal = _normal(address)
    if pattern is None or normal is None:
        return UNKNOWN
    try:
        name = find_name(normal).lower().rstrip(".")
        if re.fullmatch(pattern, name, re.ASCII) and normal in find_addresses(name):
            return GENUINE
    except NoAnswer:
        return UNKNOWN
    except NotFound:
        pass
    try:
        # Where no name at all resolves, "not found" says nothing about this one.
        find_addresses(_CONTROLS[claim])
    except (NotFound, NoAnswer):
        return UNKNOWN
    return FALSE


def verify(
    claims: Mapping[str, str],
    deadline: float,
    find_name: NameOf = name_of,
    find_addresses: AddressesOf = addresses_of,
) -> dict[str, str]:
    """What each address is: "genuine", "false" or "unknown".

    ``claims``: address -> claim of claims.py; those beyond the first 64 are "unknown", as are all
    that have no answer at ``deadline`` (``time.monotonic()``).
    """
    asked = list(claims.items())[:_MAX_ADDRESSES]
    waiting: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    for item in asked:
        waiting.put(item)

    def work() -> None:
        while time.monotonic() < deadline:
            try:
                address, claim = waiting.get_nowait()
            except queue.Empty:
                return
            answers.put((address, judge(address, claim, find_name, find_addresses)))

    # A look-up cannot be interrupted; a daemon does not keep the program from ending.
    for _number in range(min(_THREADS, len(asked))):
        threading.Thread(target=work, daemon=True).start()
    verdicts = dict.fromkeys(claims, UNKNOWN)
    for _item in asked:
        try:
            address, verdict = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        verdicts[address] = verdict
    return verdicts
