# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Feed the access log scanner lines that a hostile client, a full disk or a bad cable would make.

Ten million lines by default. Each file is scanned in every format; nothing may raise, no count may
contradict another, and no more lines may be counted than there are.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "playbooks" / "collections"))

from ansible_collections.wpward.wordpress.plugins.module_utils import (  # noqa: E402
    access_log,
    claims,
    courtesy,
    httpd_log_format,
    known_networks,
    log_format,
    request_target,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import (  # noqa: E402
    Problems,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.tally import (  # noqa: E402
    Identities,
)

LINES_PER_FILE = 100_000
IDENTITIES = Identities(
    known_networks.party_of, claims.claim_of, claims.KIND, known_networks.party_of_claim
)
FORMATS = (
    log_format.compile_format(log_format.COMBINED),
    log_format.compile_format(log_format.COMBINED + ' "$http_x_forwarded_for"'),
    log_format.compile_format(
        'escape=json {"t":"$time_iso8601","a":"$remote_addr","request":"$request",'
        '"s":$status,"agent":"$http_user_agent"}'
    ),
    httpd_log_format.compile_format('%h %l %u %t "%r" %>s %b'),
    httpd_log_format.compile_format('%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"'),
)
PIECES = (
    b"192.0.2.1",
    b"2001:db8::1",
    b"blog.example:80",
    b" ",
    b" - - ",
    b"[20/Oct/2015:18:52:00 +0900]",
    b"[31/Feb/2015:18:52:00 +0900]",
    b"[99/Foo/9999:99:99:99 +9999]",
    b'] "',
    b'"POST //xmlrpc.php HTTP/1.1"',
    b'"GET /?author=1 HTTP/1.0"',
    b'"GET /%78mlrpc.php"',
    b'"',
    b'\\"',
    b"\\x22",
    b"\\",
    b" 200 12 ",
    b" 000 - ",
    b'"-" "Googlebot/2.1"',
    b'{"t":"2026-11-21T10:00:00+01:00","a":"',
    b'","request":"',
    b'","s":403,"agent":"',
    b'"}',
    b"%",
    b"\0",
    b"\r",
    b"\xff\xfe",
    b"\t",
)


def good_line(choose: random.Random) -> bytes:
    second = choose.randrange(4_000_000_000)
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(second)).encode()
    address = b"203.0.%d.%d" % (choose.randrange(256), choose.randrange(256))
    target = choose.choice([b"/", b"//xmlrpc.php", b"/xmlrpc.php?%d" % second, b"/wp-login.php"])
    agent = choose.choice([b"Googlebot/2.1", b"bingbot", b"-", b"x%d" % second])
    head = b"blog.example:443 " if choose.random() < 0.3 else b""
    return head + b'%s - - [%s] "POST %s HTTP/1.1" 200 1 "-" "%s"' % (address, stamp, target, agent)


def spoiled(line: bytes, choose: random.Random) -> bytes:
    """With some bytes lost, doubled or replaced."""
    for _time in range(choose.randrange(1, 4)):
        place = choose.randrange(len(line) + 1)
        change = choose.choice([b"", choose.choice(PIECES), bytes([choose.randrange(256)])])
        line = line[:place] + change + line[place + choose.randrange(4) :]
    return line


def any_line(choose: random.Random) -> bytes:
    number = choose.random()
    if number < 0.3:
        return good_line(choose)
    if number < 0.6:
        return spoiled(good_line(choose), choose)
    if number < 0.9:
        return b"".join(choose.choices(PIECES, k=choose.randrange(14)))
    if number < 0.9999:
        return bytes(choose.choices(range(256), k=choose.randrange(80)))
    return choose.choice(PIECES) * choose.randrange(200_000)


def check(path: Path, lines: int) -> int:
    """Scan in every format; how many requests were counted. Raises AssertionError."""
    hits = 0
    for line_format in FORMATS:
        problems = Problems()
        result = access_log.scan_log(
            str(path),
            line_format,
            lambda target, host: tuple(
                ("site", endpoint) for endpoint in request_target.classify(target, True)
            ),
            0,
            time.monotonic() + 3600,
            problems,
            IDENTITIES,
            may_share=lambda: False,
        )
        assert result.complete, problems.describe()
        for tally in result.tallies.values():
            row = tally.describe()
            assert tally.hits <= lines
            for counts in (row["statuses"], row["methods"]):
                assert isinstance(counts, dict)
                assert sum(counts.values()) == tally.hits
            hits += tally.hits
    return hits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    courtesy.step_back()
    print(f"seed {arguments.seed}")
    choose = random.Random(arguments.seed)
    done = hits = 0
    with tempfile.TemporaryDirectory(prefix="wpward-fuzz-") as directory:
        path = Path(directory, "access.log")
        while done < arguments.lines:
            number = min(LINES_PER_FILE, arguments.lines - done)
            text = b"\n".join(any_line(choose) for _line in range(number))
            path.write_bytes(text)
            hits += check(path, text.count(b"\n") + 1)
            done += number
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{done} lines in {len(FORMATS)} formats, {hits} requests counted, {memory} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
