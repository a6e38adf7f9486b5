# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""First aid on real hosts: every virtual host closed, the sites untouched, gone by itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from testbed import hosts, podman

MakeHost = Callable[..., hosts.Host]
Tree = Callable[[hosts.Host], str]
CALL = b"<?xml version='1.0'?><methodCall><methodName>system.listMethods</methodName></methodCall>"
SPELLINGS = ("/xmlrpc.php", "//xmlrpc.php", "/xmlrpc%2ephp", "/%78mlrpc.php", "/x/../xmlrpc.php")
# As an operator has it: a part of the site behind a password, except for everybody.
OWN_PASSWORD = "satisfy any;\\n    allow all;\\n    auth_basic staff;"
# A site that works with first aid, and no more without it once the web server refuses requests.
BREAKS_WHEN_HARDENED = """<?php
if (file_exists('/etc/nginx/conf.d/wpward.conf')
        && !file_exists('/etc/nginx/conf.d/wpward-contain.conf')) {
    http_response_code(500);
    exit('broken');
}
"""


def inside(host: hosts.Host, *argv: str, stdin: str | None = None) -> str:
    output: str = podman.execute(host.container, list(argv), stdin=stdin)
    return output


def status(host: hosts.Host, target: str, name: str = "blog.example", port: int = 80) -> int:
    request = Request(
        address=host.address, port=port, host=name, target=target, method="POST", body=CALL
    )
    return int(fetch(request, 10.0).status)


def page(host: hosts.Host, name: str = "blog.example") -> int:
    return int(fetch(Request(address=host.address, port=80, host=name, target="/"), 10.0).status)


@pytest.fixture(scope="module")
def nginx(make_host: MakeHost) -> hosts.Host:
    return make_host("contain-nginx", vhosts=["second"])


def test_nginx_closes_every_virtual_host_and_a_second_time_changes_nothing(
    nginx: hosts.Host, playbook: Any, tree: Tree
) -> None:
    edit = f"sed -i '0,/server_name/s//{OWN_PASSWORD}\\n    server_name/' "
    inside(nginx, "sh", "-ec", f"{edit} /etc/nginx/sites-available/second; nginx -s reload")
    before = tree(nginx)
    assert status(nginx, "/xmlrpc.php") == status(nginx, "/xmlrpc.php", "second.example") == 200

    assert playbook(nginx, "contain").proven().changed(nginx.name) == 1
    assert [status(nginx, target) for target in SPELLINGS] == [401] * len(SPELLINGS)
    # Its own satisfy lets everybody past a password, so there the file is taken away.
    assert status(nginx, "/xmlrpc.php", "second.example") == 404
    assert page(nginx) == page(nginx, "second.example") == 200
    assert "temporary" in inside(nginx, "python3", "/var/lib/wpward/rollback.py", "status")

    assert playbook(nginx, "contain").proven().changed(nginx.name) == 0
    verified = playbook(nginx, "verify", wpward_verify_settle=0)
    assert verified.code == 2
    assert "xmlrpc: held by first aid until 20" in verified.output
    assert "not hardened yet" in verified.output
    checks = verified.reports[nginx.name]["checks"]
    assert checks["failed"] == len(checks["failures"]) and checks["gaps"] == []
    assert f"{nginx.name}: {checks['failed']} checks do not hold" in verified.output
    opened = set(re.findall(r"^ *(?:open|shut): (\w+)", verified.output, re.MULTILINE))
    assert opened and "xmlrpc" not in opened, verified.output
    inside(nginx, "python3", "/var/lib/wpward/rollback.py", "rollback", "--role", "contain")
    assert tree(nginx) == before
    assert status(nginx, "/xmlrpc.php") == status(nginx, "/xmlrpc.php", "second.example") == 200


def test_an_nginx_that_takes_no_such_file_loses_xmlrpc_php(
    nginx: hosts.Host, playbook: Any
) -> None:
    own = "/etc/nginx/conf.d/own.conf"
    # At http level nginx takes auth_basic once.
    inside(nginx, "sh", "-ec", f"echo 'auth_basic off;' > {own}; nginx -s reload")
    try:
        run = playbook(nginx, "contain").proven()
        assert "closed by rename /var/www/" in " ".join(run.output.split())
        assert status(nginx, "/xmlrpc.php") == status(nginx, "/xmlrpc.php", "second.example") == 404
        assert page(nginx) == 200
        inside(nginx, "python3", "/var/lib/wpward/rollback.py", "rollback", "--role", "contain")
    finally:
        inside(nginx, "sh", "-ec", f"rm {own}; nginx -s reload")
    assert status(nginx, "/xmlrpc.php") == 200


def test_harden_replaces_it_and_gives_it_again_where_it_fails(
    nginx: hosts.Host, playbook: Any
) -> None:
    plugin = "/var/www/blog/wp-content/mu-plugins/breaks.php"
    inside(nginx, "sh", "-c", f'mkdir -p "$(dirname {plugin})"; cat > {plugin}', stdin="")
    inside(nginx, "sh", "-c", f"cat > {plugin}", stdin=BREAKS_WHEN_HARDENED)
    playbook(nginx, "contain").proven()
    failed = playbook(nginx, "harden")
    assert failed.code != 0
    assert failed.reports[nginx.name]["outcome"] == "rolled_back", failed.output
    assert status(nginx, "/xmlrpc.php") == 401, "the host is open after a run that failed"

    inside(nginx, "rm", plugin)
    done = playbook(nginx, "harden").proven()
    assert done.reports[nginx.name]["outcome"] == "confirmed"
    assert done.reports[nginx.name]["evidence"]["first_aid"]["run"].startswith("contain-")
    assert status(nginx, "/xmlrpc.php") == 403
    assert inside(nginx, "find", "/etc/nginx", "-name", "*contain*") == ""

    assert playbook(nginx, "contain").proven().changed(nginx.name) == 0
    assert playbook(nginx, "verify").proven().reports[nginx.name]["evidence"]["first_aid"] is None


def test_httpd_excepts_who_is_trusted_and_it_ends_by_itself(
    make_host: MakeHost, playbook: Any, tree: Tree, restored: Any
) -> None:
    host = make_host("contain-httpd", web="httpd", vhosts=["second"])
    before = tree(host)
    own = str(
        fetch(Request(address=host.address, port=80, host="blog.example", target="/"), 10).source
    )
    began = time.monotonic()
    playbook(host, "contain", wpward_trusted=[own], wpward_contain_seconds=60).proven()
    assert status(host, "/xmlrpc.php") == 200
    local = "curl -s -o /dev/null -w %{http_code} -X POST -H 'Host: %s' http://127.0.0.1/xmlrpc.php"
    for name in ("blog.example", "second.example"):
        assert inside(host, "sh", "-c", local.replace("%s", name)) == "403"
    assert page(host) == 200
    restored(host, before, 120)
    assert time.monotonic() - began >= 59
    # A graceful restart lets the old workers answer for a moment.
    deadline = time.monotonic() + 10
    while inside(host, "sh", "-c", local.replace("%s", "blog.example")) != "200":
        assert time.monotonic() < deadline, "the old rule is still answering"
    assert inside(host, "find", "/etc/systemd/system", "-name", "wpward*") == ""


def test_bad_input_is_one_sentence(nginx: hosts.Host, playbook: Any) -> None:
    run = playbook(nginx, "contain", wpward_contain_seconds=5)
    assert run.code != 0
    assert "seconds is 5; take 60 to 86400." in run.output
