# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""harden.yml where httpd serves the sites: on each layout, and behind an nginx of the same host."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from integration.guard.wordpress import Ask, Site, Visitor, comparable
from testbed import editor, hosts, podman
from testbed.constants import ALICE

from .conftest import MakeHost, Playbook
from .test_harden import MOST_EXECUTIONS, MOST_EXECUTIONS_WITH_NOTHING_TO_DO, diff_of

REST = "/wp-json/wp/v2"
WITH_NONCE = (
    Ask(f"{REST}/users/me?context=edit"),
    Ask(f"{REST}/users?who=authors"),
    Ask("/?rest_route=/wp/v2/users/1"),
    Ask(f"{REST}/posts?context=edit&_embed"),
)
WITH_COOKIE = (
    Ask("/wp-admin/edit.php?author=1"),
    Ask("/wp-admin/post-new.php"),
    Ask("/wp-admin/users.php"),
    Ask("/?author=1"),
    Ask("/author/alice/"),
)
FROM_OUTSIDE = Ask("/xmlrpc.php", "POST", (("Content-Type", "text/xml"),), "<methodCall/>")


def without_manifest(page: str) -> str:
    """A page without the link to wlwmanifest.xml, which is closed to everybody."""
    return "\n".join(line for line in page.splitlines() if "wlwmanifest" not in line)


@dataclass(frozen=True)
class Case:
    """A host whose sites httpd serves. ``httpd_logs``, ``logs``: where httpd's logs lie, and those
    in which the requests are counted. ``in_front``: the names of the server blocks of nginx that
    pass requests on to httpd."""

    host: hosts.Host
    httpd_logs: str
    logs: str
    in_front: set[str]

    def inside(self, *argv: str) -> str:
        output: str = podman.execute(self.host.container, list(argv))
        return output

    def reloads(self) -> int:
        """How often a web server was told to load its configuration."""
        said = self.inside("journalctl", "-o", "cat", "-u", "nginx")
        said += self.inside("sh", "-c", f"cat {self.httpd_logs}*error*log")
        return len(re.findall(r"^Reloaded |AH00493: SIGUSR1 received", said, re.MULTILINE))

    def editor_sees(self) -> dict[str, str]:
        """The answers to an editor in the browser and to one with an application password."""
        site = Site(self.host.address, 80, "blog.example")
        alice = Visitor(site).log_in(ALICE.login, ALICE.password)
        found = {str(ask): alice.ask(ask, nonce=True) for ask in WITH_NONCE}
        found.update({str(ask): alice.ask(ask) for ask in WITH_COOKIE})
        tls = Site(self.host.address, 8443, "blog.example:8443", tls=True)
        word = base64.b64encode(f"{ALICE.login}:{ALICE.application_password}".encode()).decode()
        headers = [("Authorization", f"Basic {word}")]
        found.update({f"by password: {ask}": tls.ask(ask, headers) for ask in WITH_NONCE})
        return {name: without_manifest(comparable(answer)) for name, answer in found.items()}


DEBIAN = "/var/log/apache2/"
# RHEL's and Bitnami's layouts are Molecule's.
CASES: dict[str, tuple[list[str], str, str, set[str]]] = {
    "httpd": (["tls", "sub", "pathinfo", "static"], DEBIAN, DEBIAN, set()),
    "mixed": (
        ["tls", "direct"],
        DEBIAN,
        "/var/log/nginx/",
        {"blog.example", "direct.example"},
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, make_host: MakeHost) -> Case:
    vhosts, httpd_logs, logs, in_front = CASES[request.param]
    host = make_host(f"harden-{request.param}", web=request.param, vhosts=vhosts)
    return Case(host, httpd_logs, logs, in_front)


def test_a_run_and_its_rollback(
    case: Case, playbook: Playbook, tree: Callable[[hosts.Host], str]
) -> None:
    host = case.host
    controller = case.inside("sh", "-c", "ip -4 route show default | cut -d' ' -f3").strip()
    trusting = {"wpward_policy": {"xmlrpc": "trusted"}, "wpward_trusted": [f"{controller}/32"]}
    case.editor_sees()  # the first visit of wp-admin writes settings and drafts
    seen, before = case.editor_sees(), tree(host)

    dry = playbook(host, "harden", "--check", "--diff", **trusting).proven()
    assert tree(host) == before, "check mode changed the host"
    first = playbook(host, "harden", "--diff", **trusting).proven()
    assert dry.changed(host.name) == first.changed(host.name) == 2
    assert diff_of(dry.output) == diff_of(first.output) != [], "check mode showed another diff"
    assert first.executions[host.name] <= MOST_EXECUTIONS
    (document,) = first.reports.values()
    assert (document["outcome"], document["checks"]["failed"]) == ("confirmed", 0)

    assert case.editor_sees() == seen
    number = editor.publish(host.address, "From the trusted address")
    assert "From the trusted address" in editor.read(host.address, number)

    reloads = case.reloads()
    second = playbook(host, "harden", wpward_verify_vantages=["host"], **trusting).proven()
    assert second.changed(host.name) == 0
    assert case.reloads() == reloads > 0, "a run with nothing to do reloaded the server"
    assert second.executions[host.name] <= MOST_EXECUTIONS_WITH_NOTHING_TO_DO

    evidence = next(iter(playbook(host, "probe").proven().reports.values()))["evidence"]
    # Bitnami's root of the database has a password.
    problems = [one for one in evidence["problems"] if one["id"] != "database_unreachable"]
    assert (problems, evidence["traps"]) == ([], [])
    assert evidence["httpd"]["wpward"] is not None
    in_front = {one["server_names"][0] for one in evidence["vhosts"] if one.get("fronts")}
    assert in_front == case.in_front
    counted = {row["log"] for row in evidence["access"]}
    assert counted and all(log.startswith(case.logs) for log in counted)
    assert f"{case.httpd_logs}wpward-deny.log" not in counted

    assert playbook(host, "rollback").proven().changed(host.name) == 1
    assert tree(host) == before
    assert Site(host.address, 80, "blog.example").ask(FROM_OUTSIDE).status == 200
