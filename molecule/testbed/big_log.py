# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes an access log of any size in seconds: combined format, everyday requests and a flood.

One file, standard library only, Python >= 3.9: it is handed as it is to the Python of a host.
"""

from __future__ import annotations

import json
import random
import sys
import time

TEMPLATES = 16
STAMP = b"@" * len("01/Jan/2026:00:00:00 +0000")
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
)
PAGES = (
    "/", "/first/", "/category/news/page/2/", "/wp-content/uploads/2026/11/picture-1024x768.jpg",
    "/wp-includes/js/jquery/jquery.min.js?ver=3.6.1", "/wp-admin/admin-ajax.php", "/feed/",
)  # fmt: skip


def line(draw: random.Random, attack: bool) -> bytes:
    """A line of the combined format with a placeholder for its time."""
    if attack:
        # 198.18.0.0/15 is set aside for benchmarks.
        address = f"198.18.{draw.randrange(4)}.{draw.randrange(256)}"
        request, status, size, referrer = "POST //xmlrpc.php", "200", 497, "-"
    else:
        address = f"203.0.113.{draw.randrange(256)}"
        request, status, size = f"GET {draw.choice(PAGES)}", "200", draw.randrange(200, 90000)
        referrer = draw.choice(("-", "https://blog.example/first/"))
    text = (
        f'{address} - - [{STAMP.decode()}] "{request} HTTP/1.1" {status} {size} "{referrer}" '
        f'"{draw.choice(AGENTS)}"\n'
    )
    return text.encode()


def second(draw: random.Random, lines: int, share: float) -> tuple[bytes, int]:
    """The lines of one second and how many of them are attacks."""
    attacks = round(lines * share)
    kinds = [True] * attacks + [False] * (lines - attacks)
    draw.shuffle(kinds)
    return b"".join(line(draw, attack) for attack in kinds), attacks


def fill(path: str, size: int, begin: int, end: int, share: float) -> dict[str, int]:
    """Write about `size` bytes that span from begin to end (seconds since the epoch, UTC).

    share: of attack lines. Returns what the file then holds: bytes, lines, attacks.
    """
    draw = random.Random(5)
    mean = len(second(draw, 1000, share)[0]) / 1000
    # A small log has lines in some seconds only.
    seconds = max(min(end - begin, int(size / mean / 10)), 1)
    count = max(round(size / mean / seconds), 1)
    templates = [second(draw, count, share) for _ in range(TEMPLATES)]
    written = lines = attacks = 0
    # In place: the web server goes on writing to the same file.
    with open(path, "wb", buffering=1 << 20) as file:  # noqa: PTH123
        for number in range(seconds):
            at = begin + (end - begin) * number // seconds
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at)).encode()
            template, hits = templates[number % TEMPLATES]
            written += file.write(template.replace(STAMP, stamp))
            lines += count
            attacks += hits
    return {"bytes": written, "lines": lines, "attacks": attacks}


if __name__ == "__main__":
    print(json.dumps(fill(**json.loads(sys.argv[1]))))
