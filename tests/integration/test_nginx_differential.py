# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Random request targets, three judges: nginx's deny log, our classifier, WordPress's answer.

Two equal hosts, one hardened, get the same requests. For each of them must agree:
the hardened nginx's verdict (its deny log), the classifier's verdict on the line that the open
nginx wrote to its access log, and what the open WordPress really answered.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ENDPOINTS,
    SITE_WORK,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import OPEN
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import classify
from testbed import hosts, podman

REQUESTS = 20_000
SEED = 20150524
# nginx writes the deny log once a second.
DENY_LOG_DELAY = 2.0
CLOSED = {endpoint.id for endpoint in ENDPOINTS if endpoint.default != OPEN}
LEAKS = {
    endpoint.id: [
        re.compile(leak.replace("{login}", login).encode())
        for leak in endpoint.leaks
        for login in (("alice", "bob") if "{login}" in leak else ("",))
    ]
    for endpoint in ENDPOINTS
    if endpoint.id in CLOSED
}
# A page of the open site names its authors in passing; only these are asked by URL.
SAYS_XMLRPC = LEAKS["xmlrpc"]

Mutation = Callable[[random.Random, str], str]


def _split(target: str) -> tuple[str, str, str]:
    path, mark, query = target.partition("?")
    return path, mark, query


def _encode_letter(dice: random.Random, target: str) -> str:
    places = [i for i, letter in enumerate(target) if letter.isalnum() or letter in "._/"]
    if not places:
        return target
    place = dice.choice(places)
    form = dice.choice(("%{:02x}", "%{:02X}"))
    return target[:place] + form.format(ord(target[place])) + target[place + 1 :]


def _swap_case(dice: random.Random, target: str) -> str:
    place = dice.randrange(len(target))
    return target[:place] + target[place].swapcase() + target[place + 1 :]


def _double_slash(dice: random.Random, target: str) -> str:
    places = [i for i, letter in enumerate(target) if letter == "/"]
    place = dice.choice(places) if places else 0
    return target[:place] + dice.choice(("/", "//", "/./", "/x/../", "/%2e/")) + target[place:]


def _path_info(dice: random.Random, target: str) -> str:
    path, mark, query = _split(target)
    return (
        path + dice.choice(("/", "/foo", "/index.php", "/x.css", "%2f", "/..", ".")) + mark + query
    )


def _before(dice: random.Random, target: str) -> str:
    return (
        dice.choice(("/index.php", "/wp-admin/..", "/wp-json", "/blog", "/wp-admin", "")) + target
    )


def _parameter(dice: random.Random, target: str) -> str:
    path, _, query = _split(target)
    extra = dice.choice(
        (
            "author=1",
            "author=2",
            "author[]=1",
            "author_name=alice",
            "rest_route=/wp/v2/users",
            "rest_route=/wp/v2/posts",
            "rest.route=/wp/v2/users/1",
            "x=y",
            "s=/xmlrpc.php",
            "_envelope=1",
            "sitemap=users",
            "rsd",
        )
    )
    parts = [part for part in (query, extra) if part]
    if dice.random() < 0.5:
        parts.reverse()
    return path + "?" + "&".join(parts)


def _mangle_name(dice: random.Random, target: str) -> str:
    path, mark, query = _split(target)
    place = query.find("_")
    if place < 0:
        return path + mark + dice.choice(("+", "%20", "&", "")) + query
    return path + mark + query[:place] + dice.choice(".+[ %") + query[place + 1 :]


def _noise(dice: random.Random, target: str) -> str:
    place = dice.randrange(1, len(target) + 1)
    noise = dice.choice(('"', "\\", "#", ";", "%00", "%0a", "%ff", "\xe4", "+", "&", "=", "?", "%"))
    return target[:place] + noise + target[place:]


MUTATIONS: tuple[Mutation, ...] = (
    _encode_letter,
    _encode_letter,
    _swap_case,
    _double_slash,
    _path_info,
    _before,
    _parameter,
    _mangle_name,
    _noise,
)


def _seeds() -> list[str]:
    words = {"{base}": "/", "{host}": "blog.example", "{site_url}": "http://blog.example/"}
    words["{login}"] = "alice"
    requests = [*SITE_WORK]
    for endpoint in ENDPOINTS:
        requests += [*endpoint.refused, *endpoint.guarded, *endpoint.lookalikes]
    targets = set()
    for request in requests:
        target = request.target
        for word, value in words.items():
            target = target.replace(word, value)
        targets.add(target)
    return sorted(targets)


def targets(seed: int, count: int) -> Iterator[str]:
    """Mutated targets of the catalogue, the same ones for the same seed."""
    dice = random.Random(seed)
    seeds = _seeds()
    for _ in range(count):
        target = dice.choice(seeds)
        for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4))):
            target = dice.choice(MUTATIONS)(dice, target)
        yield target.replace("\n", "").replace("\r", "")


@dataclass(frozen=True)
class Answer:
    status: int
    text: bytes


def _send(host: hosts.Host, number: int, target: str) -> Answer:
    method = "POST" if number % 2 else "GET"
    body = b"<methodCall><methodName>system.listMethods</methodName></methodCall>"
    got = fetch(
        Request(
            address=host.address,
            port=80,
            host="blog.example",
            target=target,
            method=method,
            headers=(("User-Agent", f"fuzz-{number}"), ("Content-Type", "text/xml")),
            body=body if method == "POST" else b"",
        ),
        60,
    )
    location = got.header("location")
    return Answer(got.status or 0, f"Location: {location}\n\n".encode("latin-1") + got.body)


def _access_log(host: hosts.Host) -> dict[int, str]:
    """What `$request` was, for each numbered request, as the access log has it."""
    text = podman.execute(host.container, ["cat", "/var/log/nginx/blog-access.log"])
    line = re.compile(r'\] "((?:[^"\\]|\\.)*)" \d+ \d+ "[^"]*" "fuzz-(\d+)"$')
    found = (line.search(row) for row in text.splitlines())
    return {int(hit.group(2)): hit.group(1) for hit in found if hit}


_AUTHOR_LINK = re.compile(rb"(?i)/author/([^/?#\"'<>\s]*)")


def _news(target: str, answer: bytes) -> bytes:
    """An answer without the author links that only repeat a name in the request.

    WordPress tidies such an address up, whether or not there is an author of that name.
    """
    asked = re.sub(r"[\x00-\x20]", "", unquote(target, "latin-1")).lower()

    def unless_asked(link: re.Match[bytes]) -> bytes:
        name = unquote(link.group(1).decode("latin-1"), "latin-1").lower()
        return b"" if name in asked else link.group(0)

    return _AUTHOR_LINK.sub(unless_asked, answer)


def _target_of(request: str) -> str:
    return request.partition(" ")[2].rpartition(" HTTP/")[0]


# Rendering the default block theme costs more than the rest of WordPress together; a classic theme
# of a few lines says the same about authors.
PLAIN_THEME = """
set -eu
mkdir -p "$1/wp-content/themes/plain"
cd "$1/wp-content/themes/plain"
echo "/* Theme Name: plain */" > style.css
cat > index.php
mysql "$2" -e "UPDATE wp_options SET option_value = 'plain'
    WHERE option_name IN ('template', 'stylesheet')"
"""
PLAIN_INDEX = """<!DOCTYPE html><html><head><?php wp_head(); ?></head><body <?php body_class(); ?>>
<?php while ( have_posts() ) : the_post(); ?>
<article <?php post_class(); ?>><h2><?php the_title(); ?></h2>
<?php the_author_posts_link(); the_content(); ?></article>
<?php endwhile; wp_footer(); ?></body></html>
"""


@pytest.fixture(scope="module")
def pair(make_host: Callable[..., hosts.Host]) -> tuple[hosts.Host, hosts.Host]:
    hosts_made = make_host("fuzz-open"), make_host("fuzz-hardened")
    for host in hosts_made:
        arguments = ["plain-theme", "/var/www/blog", "wordpress"]
        podman.execute(host.container, ["bash", "-c", PLAIN_THEME, *arguments], stdin=PLAIN_INDEX)
    return hosts_made


def test_three_judges_agree(
    pair: tuple[hosts.Host, hosts.Host], playbook: Callable[..., object]
) -> None:
    open_host, hardened = pair
    # Each worker has its own buffer; only one worker writes the deny log in the requests' order.
    one_worker = [
        "sed",
        "-i",
        "s/^worker_processes .*/worker_processes 1;/",
        "/etc/nginx/nginx.conf",
    ]
    podman.execute(hardened.container, one_worker)
    podman.execute(hardened.container, ["systemctl", "reload", "nginx"])
    playbook(hardened, "harden").proven()  # type: ignore[attr-defined]
    time.sleep(DENY_LOG_DELAY)
    podman.execute(hardened.container, ["truncate", "-s0", "/var/log/nginx/wpward-deny.log"])
    asked = list(targets(SEED, REQUESTS))
    numbers = range(len(asked))

    with ThreadPoolExecutor(3) as pool:
        # One after the other on the hardened host, so that its deny log has the requests' order.
        on_hardened = pool.submit(lambda: [_send(hardened, n, asked[n]) for n in numbers])
        on_open = list(pool.map(lambda n: _send(open_host, n, asked[n]), numbers))
        answers = on_hardened.result()

    time.sleep(DENY_LOG_DELAY)
    logged = _access_log(open_host)
    passed = set(_access_log(hardened))
    # A request line that nginx cannot read is logged without its headers, so without a number.
    denied = [n for n in numbers if n not in passed and answers[n].status != 400]
    deny_log = podman.execute(hardened.container, ["cat", "/var/log/nginx/wpward-deny.log"])
    rules = [line.split(" ")[2] for line in deny_log.splitlines()]
    assert len(rules) == len(denied), "each request is either in the access log or in the deny log"
    verdicts = dict(zip(denied, rules, strict=True))

    tally: Counter[str] = Counter()
    disagreements = []
    for number in numbers:
        verdict = verdicts.get(number)
        said = answers[number]
        if said.status == 400:
            tally["refused by nginx itself (400)"] += 1
            continue
        classes = [
            name
            for name in classify(_target_of(logged[number]), log_escaped=True)
            if name in CLOSED
        ]
        truth = on_open[number].text
        reached_xmlrpc = any(leak.search(truth) for leak in SAYS_XMLRPC)
        told = _news(asked[number], said.text)
        leaks_now = [
            name for name, found in LEAKS.items() if any(leak.search(told) for leak in found)
        ]
        agree = (
            (verdict in classes if verdict else not classes)
            and (verdict == "xmlrpc" or not reached_xmlrpc)
            and not leaks_now
        )
        tally[f"{verdict or 'passed'}"] += 1
        tally["reached XML-RPC on the open host"] += reached_xmlrpc
        if not agree:
            disagreements.append(
                f"{number} {asked[number]!r}: nginx {verdict or 'passed'}, classifier {classes}, "
                f"open host reached XML-RPC: {reached_xmlrpc}, hardened host leaks: {leaks_now}"
            )
    print(f"seed {SEED}, {len(asked)} requests: {dict(tally)}")
    assert tally["reached XML-RPC on the open host"] > REQUESTS / 100, "the targets are too tame"
    assert tally["passed"] > REQUESTS / 10, "the targets are too wild"
    assert not disagreements, "\n".join(
        [f"{len(disagreements)} disagreements", *disagreements[:40]]
    )
