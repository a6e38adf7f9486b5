# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plays the incidents' request patterns against a test host, bounded in count and in time.

One file, standard library only, Python >= 3.9: it is handed as it is to the Python of a client
container. It sends only to loopback addresses and to a private network that this machine is
directly attached to.
"""

from __future__ import annotations

import ipaddress
import json
import math
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Union

MAX_COUNT = 200_000
MAX_SECONDS = 600.0
MAX_CONCURRENCY = 100
MAX_ANSWER = 1 << 18
TIMEOUT = 30.0

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; http://www.google.com/bot.html)"
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/78.0.3904.108 Safari/537.36"
)
# Not in Python 3.11's socket module; without it every bind() uses up a port for all destinations.
IP_BIND_ADDRESS_NO_PORT = 24

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]  # noqa: UP007


class RefusedError(Exception):
    """The request to send traffic was refused; the message says why."""


@dataclass(frozen=True)
class Pattern:
    """How an attacker behaves. `rate` is in requests per second, `give_up` in seconds."""

    target: str
    http: str
    rate: float
    user_agent: str
    sources: int | None
    give_up: float | None = None


PATTERNS = {
    # One address, and it does not wait for the answer: nginx logs 499.
    "a": Pattern("/xmlrpc.php", "1.0", 3, GOOGLEBOT, sources=1, give_up=0.01),
    # Ten edges of a CDN in the log, two slashes in the target.
    "c": Pattern("//xmlrpc.php", "1.1", 36, BROWSER, sources=10),
    # Few requests, each from another address: no count per address sees them.
    "d": Pattern("/xmlrpc.php", "1.0", 1, GOOGLEBOT, sources=None),
}


def _method_call(name: str, *values: str) -> str:
    params = "".join(f"<param><value>{value}</value></param>" for value in values)
    return f"<methodCall><methodName>{name}</methodName><params>{params}</params></methodCall>"


def _guess(number: int) -> tuple[str, str]:
    return "<string>alice</string>", f"<string>wrong-{number}</string>"


def _multicall(number: int) -> str:
    calls = "".join(
        "<value><struct>"
        "<member><name>methodName</name><value><string>wp.getUsersBlogs</string></value></member>"
        "<member><name>params</name><value><array><data>"
        + "".join(f"<value>{value}</value>" for value in _guess(number * 10 + step))
        + "</data></array></value></member></struct></value>"
        for step in range(10)
    )
    return _method_call("system.multicall", f"<array><data>{calls}</data></array>")


CALLS: dict[str, Callable[[int], str]] = {
    "wp.getUsersBlogs": lambda number: _method_call("wp.getUsersBlogs", *_guess(number)),
    "system.multicall": _multicall,
    "demo.sayHello": lambda number: _method_call("demo.sayHello"),
}


def check_destination(address: str, networks: Sequence[Network]) -> None:
    """Raise RefusedError unless the address is loopback or in one of the test networks."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return
    for network in networks:
        wide = 24 if network.version == 4 else 64
        if not network.is_private or network.prefixlen < wide:
            raise RefusedError(
                f"{network} is no test network: that is private and at most a /{wide}"
            )
        if parsed in network:
            return
    raise RefusedError(f"{address} is neither loopback nor in a test network; nothing was sent")


def check_attached(address: str, networks: Sequence[Network]) -> None:
    """Raise RefusedError unless this machine would send to the address without any router."""
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback:
        return
    family = socket.AF_INET6 if parsed.version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError as error:
            raise RefusedError(f"there is no way to {address}: {error.strerror}") from None
        own = ipaddress.ip_address(probe.getsockname()[0])
    if not any(own in network and parsed in network for network in networks):
        raise RefusedError(f"{address} is not on a network of this machine; nothing was sent")


def judge(answer: bytes) -> str:
    """What an answer says by its body; statuses lie."""
    if b"<methodResponse" in answer:
        return "methodResponse"
    if b"XML-RPC server accepts" in answer or b"<rsd" in answer:
        return "xmlrpc.php"
    return "other" if answer else "none"


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds at the usual percentiles, by the nearest-rank method; empty for no values."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
    ranks = {name: math.ceil(share * len(ordered)) for name, share in shares.items()}
    result = {name: ordered[rank - 1] for name, rank in ranks.items()}
    result["max"] = ordered[-1]
    return {name: round(value * 1000, 2) for name, value in result.items()}


@dataclass
class Tally:
    sent: int = 0
    gave_up: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.sent += other.sent
        self.gave_up += other.gave_up
        self.latencies += other.latencies
        for name in ("statuses", "bodies", "errors", "sources"):
            getattr(self, name).update(getattr(other, name))

    def as_dict(self, seconds: float) -> dict[str, Any]:
        answered = sum(self.statuses.values())
        return {
            "sent": self.sent,
            "answered": answered,
            "gave_up": self.gave_up,
            "errors": dict(self.errors),
            "statuses": dict(self.statuses),
            "bodies": dict(self.bodies),
            "sources": len(self.sources),
            "seconds": round(seconds, 3),
            "rate": round(self.sent / seconds, 2) if seconds else 0.0,
            "answered_rate": round(answered / seconds, 2) if seconds else 0.0,
            "latency_ms": percentiles(self.latencies),
        }


def exchange(
    address: str, port: int, request: bytes, source: str | None, give_up: float | None, tally: Tally
) -> None:
    """Send one request on a connection of its own and book what became of it."""
    tally.sent += 1
    tally.sources[source or "default"] += 1
    started = time.monotonic()
    answer = b""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            if source:
                connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((source, 0))
            connection.connect((address, port))
            connection.sendall(request)
            connection.settimeout(give_up or TIMEOUT)
            while len(answer) < MAX_ANSWER:
                part = connection.recv(65536)
                if not part:
                    break
                answer += part
        except socket.timeout:  # noqa: UP041
            if give_up:
                tally.gave_up += 1
            else:
                tally.errors["timeout"] += 1
            return
        except OSError as error:
            tally.errors[error.strerror or type(error).__name__] += 1
            return
    tally.latencies.append(time.monotonic() - started)
    words = answer[:32].split(b" ", 2)
    status = words[1].decode("ascii", "replace") if len(words) > 1 else "none"
    tally.statuses[status] += 1
    tally.bodies[judge(answer)] += 1


class Schedule:
    """Hands out request numbers, each when it is due, until count or time is used up."""

    def __init__(self, rate: float, count: int, seconds: float) -> None:
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        self._interval = 1 / rate if rate else 0.0
        self._count = count
        self._next = 0
        self._lock = threading.Lock()

    def take(self) -> int | None:
        with self._lock:
            number = self._next
            due = self._started + number * self._interval
            if number >= self._count or max(due, time.monotonic()) >= self._deadline:
                return None
            self._next += 1
        delay = due - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        return number

    def elapsed(self) -> float:
        """Seconds that the schedule took, with the pause that belongs to its last request."""
        return max(time.monotonic() - self._started, self._next * self._interval)


def flood(
    address: str,
    pattern: Pattern,
    *,
    port: int,
    host: str,
    call: str,
    rate: float,
    count: int,
    seconds: float,
    concurrency: int,
    sources: Sequence[str],
    headers: Sequence[str],
) -> dict[str, Any]:
    """Play a pattern; rate 0 is as fast as `concurrency` connections at a time go.

    Returns counts by status, by what the body was, by error, and latency percentiles in ms.
    """
    schedule = Schedule(rate, count, seconds)
    total = Tally()
    merging = threading.Lock()
    body_of = CALLS[call]
    more = "".join(f"{header}\r\n" for header in headers)

    def work() -> None:
        tally = Tally()
        while True:
            number = schedule.take()
            if number is None:
                break
            body = body_of(number).encode()
            head = (
                f"POST {pattern.target} HTTP/{pattern.http}\r\nHost: {host}\r\n"
                f"User-Agent: {pattern.user_agent}\r\nContent-Type: text/xml\r\n"
                f"Content-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
            )
            source = sources[number % len(sources)] if sources else None
            exchange(address, port, head.encode() + body, source, pattern.give_up, tally)
        with merging:
            total.add(tally)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(concurrency, count))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return total.as_dict(schedule.elapsed())


def latency(
    address: str,
    *,
    port: int,
    host: str,
    target: str,
    interval: float,
    count: int,
    seconds: float,
    source: str | None,
) -> dict[str, Any]:
    """What a visitor sees: one GET every `interval` seconds, one after the other."""
    schedule = Schedule(1 / interval, count, seconds)
    tally = Tally()
    request = (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {BROWSER}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    while schedule.take() is not None:
        exchange(address, port, request, source, None, tally)
    return tally.as_dict(schedule.elapsed())


def _bounded(name: str, value: float, most: float) -> None:
    if not 0 < value <= most:
        raise RefusedError(f"{name} {value:g} is out of bounds: more than 0, at most {most:g}")


def play(options: dict[str, Any]) -> dict[str, Any]:
    """Do what the options ask, after checking them; raises RefusedError.

    Options: pattern ("latency" or one of PATTERNS), address, networks (CIDR texts that traffic may
    go to), port, host, target (None for the pattern's own), sources (addresses to send from),
    count, seconds; for a flood also call, rate (None for the pattern's own), concurrency and
    perhaps headers ("Name: value"); for latency also interval (seconds).
    """
    address = str(ipaddress.ip_address(options["address"]))
    networks = [ipaddress.ip_network(text) for text in options["networks"]]
    check_destination(address, networks)
    check_attached(address, networks)
    sources: list[str] = options["sources"]
    for source in sources:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((source, 0))
            except OSError:
                raise RefusedError(f"{source} is no address of this machine") from None
    _bounded("seconds", options["seconds"], MAX_SECONDS)
    _bounded("count", options["count"], MAX_COUNT)
    common = {"port": options["port"], "host": options["host"]}
    bounds = {"count": options["count"], "seconds": options["seconds"]}
    if options["pattern"] == "latency":
        _bounded("interval", options["interval"], MAX_SECONDS)
        return latency(
            address,
            **common,
            **bounds,
            target=options["target"] or "/",
            interval=options["interval"],
            source=sources[0] if sources else None,
        )
    _bounded("concurrency", options["concurrency"], MAX_CONCURRENCY)
    pattern = PATTERNS[options["pattern"]]
    if options["target"]:
        pattern = replace(pattern, target=options["target"])
    rate = pattern.rate if options["rate"] is None else options["rate"]
    if rate < 0:
        raise RefusedError(f"rate {rate:g} is negative; 0 is full speed")
    return flood(
        address,
        pattern,
        **common,
        **bounds,
        call=options["call"],
        rate=rate,
        concurrency=options["concurrency"],
        sources=sources[: pattern.sources],
        headers=options.get("headers", ()),
    )


def main() -> int:
    """Options come as one JSON object, the result goes out as one."""
    try:
        result = play(json.loads(sys.argv[1]))
    except RefusedError as error:
        print(f"flood: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
