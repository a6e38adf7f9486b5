# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Random request targets and three judges, for any web server.

Two equal hosts, one hardened, get the same requests. The judges are the hardened server's verdict
(its deny log), the classifier's verdict on the line that the open server wrote to its access log,
and what the open WordPress really answered. Of every request must hold:

1. What reached XML-RPC on the open host is refused on the hardened one, as XML-RPC.
2. The hardened host names no author in its answer.
3. The hardened server refuses what the classifier names, under one of the names that the
   classifier gives, and nothing else. The exceptions are what the web server itself answers before
   any rule, on both hosts, and targets that servers read differently.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ENDPOINTS,
    SITE_WORK,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import OPEN
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import classify
from testbed import hosts, podman

SEED = 20150524
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


@dataclass(frozen=True)
class Vhost:
    """A virtual host of both hosts and how it is asked for."""

    name: str
    port: int = 80

    @property
    def authority(self) -> str:
        return self.name if self.port == 80 else f"{self.name}:{self.port}"


@dataclass(frozen=True)
class Question:
    """One request. Its number is in its user agent; a POST calls XML-RPC."""

    number: int
    vhost: Vhost
    method: str
    target: str


@dataclass(frozen=True)
class Answer:
    status: int
    text: bytes


@dataclass(frozen=True)
class Trial:
    """What both hosts answered to the same questions, in the questions' order."""

    questions: Sequence[Question]
    on_open: Sequence[Answer]
    on_hardened: Sequence[Answer]


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


def _seeds(vhost: Vhost) -> list[str]:
    words = {
        "{base}": "/",
        "{host}": vhost.authority,
        "{site_url}": f"http://{vhost.authority}/",
        "{login}": "alice",
    }
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


def _targets(vhost: Vhost, dice: random.Random) -> Iterator[str]:
    seeds = _seeds(vhost)
    while True:
        target = dice.choice(seeds)
        for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4))):
            target = dice.choice(MUTATIONS)(dice, target)
        yield target.replace("\n", "").replace("\r", "")


def questions(vhosts: Sequence[Vhost], count: int, seed: int = SEED) -> list[Question]:
    """Mutated targets of the catalogue, in turn for each vhost; the same ones for the same seed."""
    dice = random.Random(seed)
    sources = [_targets(vhost, dice) for vhost in vhosts]
    asked = []
    for number in range(count):
        turn, place = divmod(number, len(vhosts))
        method = "POST" if turn % 2 else "GET"
        asked.append(Question(number, vhosts[place], method, next(sources[place])))
    return asked


def _send(host: hosts.Host, question: Question) -> Answer:
    body = b"<methodCall><methodName>system.listMethods</methodName></methodCall>"
    got = fetch(
        Request(
            address=host.address,
            port=question.vhost.port,
            host=question.vhost.name,
            target=question.target,
            method=question.method,
            headers=(("User-Agent", f"fuzz-{question.number}"), ("Content-Type", "text/xml")),
            body=body if question.method == "POST" else b"",
        ),
        60,
    )
    location = got.header("location")
    return Answer(got.status or 0, f"Location: {location}\n\n".encode("latin-1") + got.body)


def ask(open_host: hosts.Host, hardened: hosts.Host, asked: Sequence[Question]) -> Trial:
    """Ask both hosts; the hardened one in order, so that its deny log has the same order."""
    with ThreadPoolExecutor(3) as pool:
        on_hardened = pool.submit(lambda: [_send(hardened, question) for question in asked])
        on_open = list(pool.map(lambda question: _send(open_host, question), asked))
        return Trial(asked, on_open, on_hardened.result())


def access_logs(host: hosts.Host, paths: Sequence[str]) -> dict[int, str]:
    """The request line of each numbered request, as the access logs have it."""
    text = podman.execute(host.container, ["cat", *paths])
    line = re.compile(r'\] "((?:[^"\\]|\\.)*)" \d+ \d+ "[^"]*" "fuzz-(\d+)"$')
    found = (line.search(row) for row in text.splitlines())
    return {int(hit.group(2)): hit.group(1) for hit in found if hit}


def empty_deny_log(host: hosts.Host, path: str) -> None:
    podman.execute(host.container, ["truncate", "-s0", path])


def verdicts(host: hosts.Host, path: str, refused: Sequence[Question]) -> dict[int, str]:
    """The rule of the deny log for each refused request, by their order."""
    lines = podman.execute(host.container, ["cat", path]).splitlines()
    assert len(lines) == len(refused), (
        f"{len(refused)} requests were refused, {len(lines)} are in the deny log"
    )
    rules: dict[int, str] = {}
    for question, line in zip(refused, lines, strict=True):
        _moment, _address, rule, vhost = line.split(" ")
        assert vhost == question.vhost.name, f"{question} is in the deny log as {line}"
        rules[question.number] = rule
    return rules


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


def _classes(target: str | bytes) -> list[str]:
    return [name for name in classify(target, isinstance(target, str)) if name in CLOSED]


def _agree(verdict: str | None, classes: Sequence[str]) -> bool:
    return verdict in classes if verdict else not classes


def judge(
    trial: Trial,
    verdicts: Mapping[int, str],
    logged: Mapping[int, str],
    refused_by_itself: Callable[[Question, Answer, Answer], bool],
    other_reading: Callable[[Vhost, str], bytes | None] = lambda _vhost, _target: None,
) -> None:
    """Hear the three judges on every request; AssertionError with each disagreement.

    verdicts: the hardened host's, by the question's number. logged: the open host's request lines.
    refused_by_itself: tells of the answers of both hosts whether the web server gave them before
        any rule of ours.
    other_reading: the target as this virtual host reads it, plain enough for everybody to read it
        alike, where that is not how the classifier reads it; it counts where they disagree.
    """
    tally: Counter[str] = Counter()
    disagreements = []
    for question, truth, said in zip(
        trial.questions, trial.on_open, trial.on_hardened, strict=True
    ):
        verdict = verdicts.get(question.number)
        reached_xmlrpc = any(leak.search(truth.text) for leak in SAYS_XMLRPC)
        if refused_by_itself(question, truth, said) and not reached_xmlrpc and not verdict:
            tally[f"refused by the web server itself ({said.status})"] += 1
            continue
        target = _target_of(logged[question.number])
        classes = _classes(target)
        if not _agree(verdict, classes):
            plain = other_reading(question.vhost, target)
            if plain is not None:
                classes = _classes(plain)
                tally["read differently"] += 1
        told = _news(question.target, said.text)
        leaks_now = [
            name for name, found in LEAKS.items() if any(leak.search(told) for leak in found)
        ]
        agree = (
            _agree(verdict, classes)
            and (verdict == "xmlrpc" or not reached_xmlrpc)
            and not leaks_now
        )
        tally[verdict or "passed"] += 1
        tally["reached XML-RPC on the open host"] += reached_xmlrpc
        if not agree:
            disagreements.append(
                f"{question}: {verdict or f'passed with {said.status}'}, classifier {classes}, "
                f"open host said {truth.status} and reached XML-RPC: {reached_xmlrpc}, "
                f"hardened host leaks: {leaks_now}"
            )
    count = len(trial.questions)
    print(f"seed {SEED}, {count} requests: {dict(tally)}")
    assert tally["reached XML-RPC on the open host"] > count / 100, "the targets are too tame"
    assert tally["passed"] > count / 10, "the targets are too wild"
    assert not disagreements, "\n".join(
        [f"{len(disagreements)} disagreements", *disagreements[:40]]
    )


# Rendering the default block theme costs more than the rest of WordPress together; a classic theme
# of a few lines says the same about authors.
_PLAIN_THEME = """
set -eu
mkdir -p "$1/wp-content/themes/plain"
cd "$1/wp-content/themes/plain"
echo "/* Theme Name: plain */" > style.css
cat > index.php
mysql wordpress -e "UPDATE $2options SET option_value = 'plain'
    WHERE option_name IN ('template', 'stylesheet')"
"""
_PLAIN_INDEX = """<!DOCTYPE html><html><head><?php wp_head(); ?></head><body <?php body_class(); ?>>
<?php while ( have_posts() ) : the_post(); ?>
<article <?php post_class(); ?>><h2><?php the_title(); ?></h2>
<?php the_author_posts_link(); the_content(); ?></article>
<?php endwhile; wp_footer(); ?></body></html>
"""


def give_plain_theme(host: hosts.Host, docroot: str, prefix: str) -> None:
    """Let a site render with a theme of a few lines; ``prefix`` is that of its tables."""
    arguments = ["plain-theme", docroot, prefix]
    podman.execute(host.container, ["bash", "-c", _PLAIN_THEME, *arguments], stdin=_PLAIN_INDEX)
