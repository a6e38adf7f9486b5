# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Access log lines: the incidents' published ones at other times, and those of everyday traffic.

Times are seconds since the epoch. Everything is the same from run to run but for the stamps.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import cycle
from pathlib import Path

PUBLISHED = Path(__file__).resolve().parents[1] / "fixtures" / "logs"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BINGBOT = "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
APP = "wp-android/24.3-rc-2 (Android 14; en_GB; Pixel 7/panther)"
BENCHMARKS = int(ipaddress.IPv4Address("198.18.0.0"))
"""First of the 131,072 addresses that no network on the Internet has."""
_STAMP_FORMAT = "%d/%b/%Y:%H:%M:%S %z"
_STAMP = re.compile(r"\[([^]]*)\]")

Event = tuple[float, str]
"""When, and the line."""


def published(name: str) -> list[str]:
    """The lines that an incident's operator published."""
    return (PUBLISHED / name).read_text().splitlines()


def repeat(lines: Sequence[str], begin: float, end: float, count: int) -> Iterator[Event]:
    """`count` of the lines, over and over, evenly between two times and in their own time zone."""
    parts = cycle([_around_stamp(line) for line in lines])
    for number in range(count):
        head, zone, tail = next(parts)
        at = begin + (end - begin) * number / count
        yield at, f"{head}{datetime.fromtimestamp(at, zone):{_STAMP_FORMAT}}{tail}"


def _around_stamp(line: str) -> tuple[str, tzinfo | None, str]:
    found = _STAMP.search(line)
    assert found, line
    zone = datetime.strptime(found[1], _STAMP_FORMAT).tzinfo
    return line[: found.start(1)], zone, line[found.end(1) :]


def combined(
    at: float, address: str, request: str, status: int, size: int = 5120, agent: str = BROWSER
) -> Event:
    """A line of the combined format, in UTC."""
    stamp = datetime.fromtimestamp(at, UTC)
    head = f"{address} - - [{stamp:{_STAMP_FORMAT}}]"
    return at, f'{head} "{request} HTTP/1.1" {status} {size} "-" "{agent}"'


def written(*streams: Iterable[Event], suffix: str = "") -> str:
    """All of it as one log file in the order of time; suffix: what follows the combined format."""
    events = sorted((event for stream in streams for event in stream), key=lambda event: event[0])
    return "".join(f"{line}{suffix}\n" for _, line in events)


def false_search_engine(begin: float, end: float, count: int) -> Iterator[Event]:
    """Few login attempts, nearly each from an address of its own."""
    draw = random.Random(4)
    for number in range(count):
        at = begin + (end - begin) * (number + draw.random() / 2) / count
        address = ipaddress.IPv4Address(BENCHMARKS + draw.randrange(1 << 17))
        yield combined(at, str(address), "POST /xmlrpc.php", 200, 403, GOOGLEBOT)


def everyday(begin: float, end: float) -> Iterator[Event]:
    """A healthy site's traffic: visitors, search engines, editors, apps, Jetpack, stray scanners.

    About 4,000 requests a day.
    """
    draw = random.Random(3)
    yield from _visitors(draw, begin, end)
    yield from _search_engines(draw, begin, end)
    yield from _jetpack(begin, end)
    yield from _app(begin, end)
    yield from _editors(begin, end)
    yield from _pingbacks_of_a_popular_post(draw, begin, end)


def _visitors(draw: random.Random, begin: float, end: float) -> Iterator[Event]:
    pages = ["/", "/first/", "/second/", "/feed/", "/wp-content/themes/x/style.css", "/nosuch"]
    for _ in range(int((end - begin) / 40)):
        page = draw.choice(pages)
        status = 404 if page == "/nosuch" else draw.choice([200, 200, 200, 304])
        address = f"203.0.113.{draw.randrange(1, 255)}"
        yield combined(draw.uniform(begin, end), address, f"GET {page}", status)


def _search_engines(draw: random.Random, begin: float, end: float) -> Iterator[Event]:
    """From addresses of their published ranges."""
    for address, agent in (("66.249.66.{}", GOOGLEBOT), ("157.55.39.{}", BINGBOT)):
        for _ in range(int((end - begin) / 120)):
            source = address.format(draw.randrange(1, 30))
            page = draw.choice(["/", "/first/", "/robots.txt", "/wp-sitemap.xml"])
            yield combined(draw.uniform(begin, end), source, f"GET {page}", 200, agent=agent)


def _jetpack(begin: float, end: float) -> Iterator[Event]:
    """Every five minutes from WordPress.com, a synchronisation of thirty requests twice a day."""
    request = "POST /xmlrpc.php?for=jetpack&token=abc%3A1%3A1&timestamp=1&nonce=x"
    agent = "Jetpack by WordPress.com"
    for number, at in enumerate(_every(300, begin, end)):
        yield combined(at, f"192.0.{96 + number % 8}.{number % 250}", request, 200, agent=agent)
    for at in _every(43200, begin + 3600, end):
        for step in range(30):
            yield combined(at + step, "192.0.101.7", request, 200, agent=agent)


def _app(begin: float, end: float) -> Iterator[Event]:
    """The owner's telephone: refreshes now and then, and uploads pictures for three minutes."""
    for at in _every(10800, begin + 1200, end):
        for step in range(25):
            yield combined(at + step * 7, "198.51.100.9", "POST /xmlrpc.php", 200, agent=APP)


def _editors(begin: float, end: float) -> Iterator[Event]:
    """One in the browser, who mistypes the password once, and one with Live Writer."""
    desk, home = "198.51.100.20", "198.51.100.77"
    writer = "Mozilla/4.0 (compatible; MSIE 9.11; Windows NT 6.2; Open Live Writer 1.0)"
    for at in _every(14400, begin + 600, end):
        yield combined(at, desk, "POST /wp-login.php", 200)
        yield combined(at + 20, desk, "POST /wp-login.php", 302)
        users = "GET /wp-json/wp/v2/users?who=authors&per_page=100&context=edit"
        yield combined(at + 60, desk, users, 200)
        for step in range(60):
            yield combined(at + 60 * step, desk, "POST /wp-admin/admin-ajax.php", 200)
        yield combined(at + 90, home, "GET /xmlrpc.php?rsd", 200, agent=writer)
        yield combined(at + 91, home, "GET /wp-includes/wlwmanifest.xml", 200, agent=writer)
        for step in range(12):
            yield combined(at + 95 + step * 5, home, "POST /xmlrpc.php", 200, agent=writer)


def _pingbacks_of_a_popular_post(draw: random.Random, begin: float, end: float) -> Iterator[Event]:
    middle = (begin + end) / 2
    for number in range(40):
        agent = f"WordPress/6.{number % 7}; https://site{number}.example"
        at = middle + draw.expovariate(1 / 2400)
        if at < end:
            address = f"203.0.113.{number + 1}"
            yield combined(at, address, "POST /xmlrpc.php", 200, 300, agent)


def _every(step: float, begin: float, end: float) -> Iterator[float]:
    """Times between two; what takes longer than the rest of the window is left out."""
    at = begin
    while at + 3600 < end:
        yield at
        at += step
