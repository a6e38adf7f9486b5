# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""2,000 random request targets on nginx; see differential.py for the three judges.

It covers Debian's way to PHP (`location ~ \\.php$`) with merged slashes, and the guard plugin.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from testbed import hosts, podman

from . import differential

REQUESTS = 2_000
BLOG = differential.Vhost("blog.example")
ACCESS_LOG = "/var/log/nginx/blog-access.log"
DENY_LOG = "/var/log/nginx/wpward-deny.log"
# nginx writes the deny log once a second.
DENY_LOG_DELAY = 2.0
# Each worker has its own buffer; only one worker writes the deny log in the requests' order.
ONE_WORKER = ["sed", "-i", "s/^worker_processes .*/worker_processes 1;/", "/etc/nginx/nginx.conf"]


@pytest.fixture(scope="module")
def pair(make_host: Callable[..., hosts.Host]) -> tuple[hosts.Host, hosts.Host]:
    hosts_made = make_host("fuzz-open"), make_host("fuzz-hardened")
    for host in hosts_made:
        differential.give_plain_theme(host, "/var/www/blog", "wp_")
    return hosts_made


def test_three_judges_agree(
    pair: tuple[hosts.Host, hosts.Host], playbook: Callable[..., object]
) -> None:
    open_host, hardened = pair
    podman.execute(hardened.container, ONE_WORKER)
    podman.execute(hardened.container, ["systemctl", "reload", "nginx"])
    playbook(hardened, "harden").proven()  # type: ignore[attr-defined]
    time.sleep(DENY_LOG_DELAY)
    differential.empty_deny_log(hardened, DENY_LOG)
    asked = differential.questions([BLOG], REQUESTS)

    trial = differential.ask(open_host, hardened, asked)

    time.sleep(DENY_LOG_DELAY)
    # Each request is either in the access log or in the deny log. A request line that nginx cannot
    # read is logged without its headers, so without a number.
    passed = set(differential.access_logs(hardened, [ACCESS_LOG]))
    refused = [
        question
        for question, answer in zip(asked, trial.on_hardened, strict=True)
        if question.number not in passed and answer.status != 400
    ]
    differential.judge(
        trial,
        differential.verdicts(hardened, DENY_LOG, refused),
        differential.access_logs(open_host, [ACCESS_LOG]),
        lambda _question, _open, said: said.status == 400,
    )
