# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration reader against the nginx that reads the same words."""

from __future__ import annotations

import json
import random
import time

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import parse
from testbed import hosts, podman

from .conftest import MakeHost

PIECES = ["a", "b", "\\", '"', "'", "}", "#", ";", "{", " ", "\n", "\t", "\\n", "\\t", "\\r"]
PIECES += ['\\"', "\\'", "\\\\", "\\x", "(", ")", "é", "=", "~"]
FETCH = """
import json, sys, urllib.request
url = "http://127.0.0.1:9999/%d"
print(json.dumps([urllib.request.urlopen(url % n).read().hex() for n in range(int(sys.argv[1]))]))
"""


def words(generator: random.Random, number: int) -> list[tuple[str, str]]:
    """(as written, as we read it), for written words that are one argument to us."""
    found: list[tuple[str, str]] = []
    while len(found) < number:
        quote = generator.choice(["", '"', "'"])
        pieces = [generator.choice(PIECES) for _number in range(generator.randrange(1, 8))]
        written = quote + "".join(pieces) + quote
        line = f"a {written};"
        # The brace is an error, after the line; a line that swallows it is not one argument.
        directives = parse(f"{line}\n}}".encode(), "x").directives
        if len(directives) == 1 and directives[0].end == len(line.encode()):
            (directive,) = directives
            if directive.block is None and len(directive.args) == 1 and directive.args[0]:
                found.append((written, directive.args[0]))
    return found


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    return make_host("words")


@pytest.mark.parametrize("seed", range(3))
def test_nginx_reads_the_same_words(host: hosts.Host, seed: int) -> None:
    sample = words(random.Random(seed), 400)
    locations = "".join(
        f"location = /{number} {{ default_type text/plain; return 200 {written}; }}\n"
        for number, (written, _read) in enumerate(sample)
    )
    podman.execute(
        host.container,
        ["sh", "-c", "cat > /tmp/words.conf"],
        stdin="events {} error_log stderr; pid /tmp/words.pid; http { access_log off;\n"
        f"server {{ listen 127.0.0.1:9999;\n{locations}}} }}\n",
    )
    podman.execute(host.container, ["nginx", "-c", "/tmp/words.conf"])
    try:
        time.sleep(0.5)
        answers = json.loads(
            podman.execute(host.container, ["python3", "-c", FETCH, str(len(sample))])
        )
    finally:
        podman.execute(
            host.container,
            [
                "sh",
                "-c",
                "kill $(cat /tmp/words.pid); while [ -e /tmp/words.pid ]; do sleep 0.1; done",
            ],
        )
    differing = [
        (written, read, bytes.fromhex(answer))
        for (written, read), answer in zip(sample, answers, strict=True)
        if read.encode() != bytes.fromhex(answer)
    ]
    assert differing == []
