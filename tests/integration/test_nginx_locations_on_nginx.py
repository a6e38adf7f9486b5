# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which location takes a path: our answer against that of the nginx with the same locations."""

from __future__ import annotations

import json
import random

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Config, parse
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_locations import (
    read_locations,
    winner,
)
from testbed import hosts, podman

from .conftest import MakeHost

PREFIXES = ["/", "/x", "/xmlrpc.php", "/wp/", "/wp/xmlrpc.php", "/xmlrpc", "/wp"]
REGEXES = [r"\.php$", r"[^/]\.php(/|$)", "xmlrpc", r"^/xmlrpc\.php$", "XMLRPC", r"^/wp/", r"/$"]
PATHS = ["/", "/xmlrpc.php", "/xmlrpc.php/", "/xmlrpc.php/index.php", "/wp/xmlrpc.php", "/wp/"]
PATHS += ["/wp", "/XMLRPC.PHP", "/x", "/index.php", "/wp/index.php", "/wp/xmlrpc.php/a", "/other"]
FETCH = """
import http.client, json, sys
def answer(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.read().decode() if response.status == 200 else ""
ports = range(9000, 9000 + int(sys.argv[2]))
print(json.dumps([[answer(port, path) for path in json.loads(sys.argv[1])] for port in ports]))
"""


class Writer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.number = 0

    def locations(self, within: str | None = "/", depth: int = 0) -> str:
        text = ""
        used: set[str] = set()
        for _number in range(self.random.randrange(1, 6 - 2 * depth)):
            self.number += 1
            name = f"return 200 {self.number};"
            modifier = self.random.choice(["", "", "=", "^~", "~", "~*"])
            if within is None or modifier.startswith("~"):
                modifier = self.random.choice(["~", "~*"])
                pattern = self.random.choice(REGEXES)
            else:
                # nginx refuses a nested prefix that does not begin as the one around it, and any in
                # a regular expression.
                pattern = self.random.choice([one for one in PREFIXES if one.startswith(within)])
                key = ("=" if modifier == "=" else "") + pattern
                if key in used:
                    continue
                used.add(key)
            if depth < 2 and modifier != "=" and self.random.random() < 0.4:
                inner = None if modifier.startswith("~") else pattern
                name += self.locations(inner, depth + 1)
            text += f"location {modifier} {pattern} {{ {name} }}\n"
        return text


@pytest.fixture(scope="module")
def host(make_host: MakeHost) -> hosts.Host:
    return make_host("locations")


def ours(body: str, path: str) -> str:
    config = Config("x", "/")
    (server,) = parse(f"server {{ {body} }}".encode(), "x").directives
    location = winner(read_locations(config, server.block), path)
    if location is None:
        return ""
    return next(one.args[1] for one in location.level if one.name == "return")


@pytest.mark.parametrize("seed", range(3))
def test_nginx_takes_the_same_location(host: hosts.Host, seed: int) -> None:
    writer = Writer(seed)
    bodies = [writer.locations() for _number in range(60)]
    servers = "".join(
        f"server {{ listen 127.0.0.1:{9000 + number};\n{body}}}\n"
        for number, body in enumerate(bodies)
    )
    head = (
        "events {} error_log stderr; pid /tmp/locations.pid; http { access_log off; root /none;\n"
    )
    podman.execute(
        host.container,
        ["sh", "-c", "cat > /tmp/locations.conf && nginx -c /tmp/locations.conf && sleep 0.5"],
        stdin=head + servers + "}\n",
    )
    try:
        arguments = [json.dumps(PATHS), str(len(bodies))]
        answers = json.loads(podman.execute(host.container, ["python3", "-c", FETCH, *arguments]))
    finally:
        stop = "kill $(cat /tmp/locations.pid); while [ -e /tmp/locations.pid ]; do sleep 0.1; done"
        podman.execute(host.container, ["sh", "-c", stop])
    differing = [
        (body, path, answer)
        for body, paths in zip(bodies, answers, strict=True)
        for path, answer in zip(PATHS, paths, strict=True)
        if ours(body, path) != answer
    ]
    assert differing == []
