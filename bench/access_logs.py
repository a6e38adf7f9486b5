# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Access logs as a busy WordPress under attack writes them, of any size, reproducibly.

The pages of a blog by Zipf's law, its static files, feeds, searches and campaign links that are
different each time, bots; among them the attack: mostly POST //xmlrpc.php, with the other endpoints
and encoded forms, from the edges of a content delivery network or from a botnet.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

START = 1_763_600_000
_BLOCK = 2000
_WORDS = ("garden", "server", "recipe", "holiday", "travel", "kernel", "camera", "bicycle", "bread")


@dataclass(frozen=True)
class Mix:
    """attack: share of the lines. rate: lines a second. attackers: how many addresses."""

    name: str
    attack: float
    rate: float
    attackers: int


MIXES = (Mix("quiet", 0.01, 4, 40), Mix("mixed", 0.2, 12, 3000), Mix("flood", 0.9, 40, 11))

_ATTACK = (
    ("POST //xmlrpc.php", 60),
    ("POST /xmlrpc.php", 25),
    ("POST /wp-login.php", 8),
    ("GET /wp-json/wp/v2/users", 2),
    ("GET /?author=1", 1),
    ("GET /?author=2", 1),
    ("GET /wp-includes/wlwmanifest.xml", 1),
    ("POST /%78mlrpc.php", 1),
    ("POST /xmlrp%63.php", 1),
    ("GET /WP-JSON/wp/v2/users/", 0.5),
    ("GET /?rest_route=/wp/v2/%75sers", 0.5),
)
_ATTACK_AGENTS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/4.0 (compatible: MSIE 7.0; Windows NT 6.0)",
    "-",
)


def _browsers(choose: random.Random) -> list[str]:
    systems = (
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
    )
    browsers = [
        f"Mozilla/5.0 ({choose.choice(systems)}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{choose.randrange(90, 132)}.0.0.0 Safari/537.36"
        for _number in range(120)
    ]
    phones = [
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_{minor} like Mac OS X) AppleWebKit/605.1.15 "
        f"(KHTML, like Gecko) Version/17.{minor} Mobile/15E148 Safari/604.1"
        for minor in range(6)
    ]
    return (
        browsers
        + 8 * phones
        + ["Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"]
    )


def _requests(choose: random.Random) -> tuple[list[str], list[float]]:
    """Request targets of ordinary visitors, with cumulated weights."""
    pages = [
        f"/20{choose.randrange(14, 27)}/{choose.randrange(1, 13):02}/"
        + (
            f"{choose.choice(_WORDS)}-{choose.choice(_WORDS)}-{number}/"
            if number % 5
            else f"%e6%97%a5%e8%a8%98-{number}/"
        )
        for number in range(4000)
    ]
    uploads = [
        f"/wp-content/uploads/2026/{choose.randrange(1, 13):02}/img-{number}-1024x768.jpg"
        for number in range(6000)
    ]
    weighted = [(page, 3000 / (place + 10)) for place, page in enumerate(pages)]
    weighted += [(upload, 2000 / (place + 10)) for place, upload in enumerate(uploads)]
    weighted += [
        ("/", 1500),
        ("/favicon.ico", 900),
        ("/robots.txt", 300),
        ("/feed/", 500),
        ("/wp-includes/js/jquery/jquery.min.js?ver=3.7.1", 1500),
        ("/wp-includes/css/dist/block-library/style.min.css?ver=6.5", 1500),
        ("/wp-content/themes/twentytwentyfour/style.css?ver=1.2", 1500),
        ("/wp-admin/admin-ajax.php", 700),
        ("/wp-admin/load-scripts.php?c=1&load%5Bchunk_0%5D=jquery-core&ver=6.5", 40),
        ("/wp-json/wp/v2/posts?per_page=10&_embed=author", 60),
        ("/author/anna/", 60),
        ("/wp-cron.php?doing_wp_cron", 100),
    ]
    return [target for target, _weight in weighted], list(
        accumulate(weight for _target, weight in weighted)
    )


def lines(mix: Mix, seed: int = 1) -> Iterator[bytes]:
    """Blocks of lines in nginx's and httpd's combined format, without end."""
    choose = random.Random(seed)
    targets, weights = _requests(choose)
    agents = _browsers(choose)
    visitors = [
        f"{choose.randrange(1, 224)}.{choose.randrange(256)}.{choose.randrange(256)}."
        f"{choose.randrange(256)}"
        for _number in range(30_000)
    ] + [f"2001:db8:{number:x}::{choose.randrange(65536):x}" for number in range(6000)]
    attackers = [f"203.0.{113 + number // 250}.{number % 250}" for number in range(mix.attackers)]
    attack, attack_weights = zip(*_ATTACK, strict=True)
    second, elapsed = START, 0.0
    while True:
        hostile = [choose.random() < mix.attack for _line in range(_BLOCK)]
        asked = choose.choices(targets, cum_weights=weights, k=_BLOCK)
        attacked = choose.choices(attack, attack_weights, k=_BLOCK)
        block = []
        for place, is_attack in enumerate(hostile):
            elapsed += choose.expovariate(mix.rate)
            if elapsed >= 1:
                second, elapsed = second + int(elapsed), elapsed % 1
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(second))
            if is_attack:
                block.append(
                    f'{choose.choice(attackers)} - - [{stamp}] "{attacked[place]} HTTP/1.1" '
                    f'{choose.choice((200, 200, 403, 499))} {choose.choice((497, 403, 0))} "-" '
                    f'"{choose.choice(_ATTACK_AGENTS)}"\n'
                )
                continue
            target = asked[place]
            if target.endswith("/") and choose.random() < 0.15:
                target += f"?fbclid=IwAR{choose.getrandbits(120):x}"
            block.append(
                f'{choose.choice(visitors)} - - [{stamp}] "GET {target} HTTP/1.1" '
                f"{choose.choice((200, 200, 200, 304, 301, 404))} {choose.randrange(90_000)} "
                f'"https://blog.example{choose.choice(targets)}" "{choose.choice(agents)}"\n'
            )
        yield "".join(block).encode()


def write(path: Path, size: int, mix: Mix) -> None:
    """Write a log of at least that many bytes; it ends with a whole line."""
    written = 0
    with path.open("wb") as stream:
        for block in lines(mix):
            written += stream.write(block)
            if written >= size:
                return
