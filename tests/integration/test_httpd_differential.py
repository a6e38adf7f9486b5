# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""2,000 random request targets on httpd; see differential.py for the three judges.

It covers Debian's event MPM, the guard plugin, and four virtual hosts for which httpd reads a
request target differently:

- `blog`: php-fpm by SetHandler; an encoded slash is answered with 404, before any rule.
- `twin`: the same with AllowEncodedSlashes On, where an encoded slash is a slash.
- `nodecode`: the same with AllowEncodedSlashes NoDecode, where it is no slash to httpd, though it
  is one to PHP.
- `pathinfo`: php-fpm by ProxyPassMatch, AllowEncodedSlashes On, MergeSlashes Off.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.request_target import (
    decode_log_escapes,
    decode_percent,
)
from testbed import hosts, podman

from . import differential
from .differential import Answer, Question, Vhost

REQUESTS = 2_000
BLOG = Vhost("blog.example")
PATHINFO = Vhost("pathinfo.example", 8081)
TWIN = Vhost("twin.example", 8099)
NODECODE = Vhost("nodecode.example", 8097)
VHOSTS = [BLOG, PATHINFO, TWIN, NODECODE]
ACCESS_LOGS = [f"/var/log/apache2/{vhost.name.partition('.')[0]}-access.log" for vhost in VHOSTS]
DENY_LOG = "/var/log/apache2/wpward-deny.log"
REFUSAL = b"\n\nForbidden\n"

ENCODED_SLASHES = r"""
set -eu
cd /etc/apache2/sites-available
sed 's/8099/8097/; s/twin/nodecode/; /ServerName/a AllowEncodedSlashes NoDecode' \
    twin.conf > nodecode.conf
sed -i '/ServerName/a AllowEncodedSlashes On' twin.conf
a2ensite --quiet nodecode
systemctl restart apache2
"""
# A single thread writes a request to the deny log before it reads the next one.
ONE_THREAD = r"""
set -eu
for one in StartServers ServerLimit ThreadLimit ThreadsPerChild MinSpareThreads MaxSpareThreads \
    MaxRequestWorkers; do
    echo "$one 1"
done > /etc/apache2/mods-available/mpm_event.conf
systemctl restart apache2
"""


@pytest.fixture(scope="module")
def pair(make_host: Callable[..., hosts.Host]) -> tuple[hosts.Host, hosts.Host]:
    options = {"web": "httpd", "vhosts": ["pathinfo", "twin"]}
    hosts_made = make_host("fuzz-httpd-open", **options), make_host("fuzz-httpd-hard", **options)
    for host in hosts_made:
        podman.execute(host.container, ["bash", "-c", ENCODED_SLASHES])
        differential.give_plain_theme(host, "/var/www/blog", "wp_")
        differential.give_plain_theme(host, "/var/www/pathinfo", "pathinfo_")
    return hosts_made


def refused_by_httpd(question: Question, truth: Answer, said: Answer) -> bool:
    """Whether httpd answered on both hosts before any rule: a request that it cannot read, or an
    encoded slash where that is not allowed."""
    if said.status == truth.status == 400:
        return True
    path = question.target.partition("?")[0].lower()
    return question.vhost == BLOG and "%2f" in path and said.status == truth.status == 404


DOTS_AND_SLASHES = re.compile(r"(?i)(?:/|%2f)(?:\.|%2e){2}(?:/|%2f|$)")


def read_by_httpd(vhost: Vhost, target: str) -> bytes | None:
    """A target with two dots next to slashes as httpd reads it: it takes them out before it decodes
    slashes, and where slashes are not merged a slash too many is what they take out."""
    path, mark, query = decode_log_escapes(target).partition("?")
    path = re.sub(r"(?i)^[a-z]+:(?://[^/]*)?", "", path)
    if not DOTS_AND_SLASHES.search(path):
        return None
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        pieces = [decode_percent(piece) for piece in re.split("(?i)%2f", segment)]
        if pieces == [".."]:
            del kept[-1:]
        elif pieces != ["."] and (pieces != [""] or vhost == PATHINFO):
            if vhost == NODECODE and len(pieces) > 1:
                # Part of a name to httpd: nothing may take it for a step any more.
                pieces = ["--" if piece in (".", "..") else piece for piece in pieces]
            kept.append("%2f".join(quote(piece, encoding="latin-1") for piece in pieces))
    return ("/" + "/".join(kept) + mark + query).encode("latin-1")


def test_three_judges_agree(
    pair: tuple[hosts.Host, hosts.Host], playbook: Callable[..., object]
) -> None:
    open_host, hardened = pair
    playbook(hardened, "harden").proven()  # type: ignore[attr-defined]
    podman.execute(hardened.container, ["bash", "-c", ONE_THREAD])
    differential.empty_deny_log(hardened, DENY_LOG)
    asked = differential.questions(VHOSTS, REQUESTS)

    trial = differential.ask(open_host, hardened, asked)

    refused = [
        question
        for question, answer in zip(asked, trial.on_hardened, strict=True)
        if answer.status == 403 and answer.text.endswith(REFUSAL)
    ]
    differential.judge(
        trial,
        differential.verdicts(hardened, DENY_LOG, refused),
        differential.access_logs(open_host, ACCESS_LOGS),
        refused_by_httpd,
        read_by_httpd,
    )
