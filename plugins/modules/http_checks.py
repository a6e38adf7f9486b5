#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: send attack and work requests, and judge what comes back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: http_checks
short_description: Prove over HTTP that an endpoint is closed and a site works
version_added: 0.1.0
author: The wpward maintainers
description:
  - Sends requests exactly as written, byte for byte, to addresses that are named apart from the
    virtual host, and judges what comes back by its content. Runs on a server or on the controller,
    needs no privileges, and takes one execution for all sites and requests.
  - A refusal counts only where the whole answer was read and nothing in it speaks of the endpoint.
    A server that cannot be reached, or does not answer, has refused nothing.
  - A work request is described before a change (O(record=true)) and compared after it
    (O(baseline)). The status, the redirect, the media type, the title, an XML document's root, a
    JSON document's top-level keys and the end of the document must be as before, no error of PHP
    may have appeared, and O(lines_kept) of the visible lines that two fetches had in common must
    still be there. Names and links of authors do not count, since hiding them is what the
    hardening is for.
  - Certificates are not verified. A self-signed virtual host is normal, the requests carry no
    secret, and the answer's content is what is judged.
  - The module never fails because a check failed. Look at RV(proven).
attributes:
  check_mode:
    description: Can run in check mode and returns the same.
    support: full
  diff_mode:
    description: Returns what would change.
    support: none
options:
  checks:
    description:
      - The checks, as plain data. The catalogue writes them; the fields are described in
        C(module_utils/http_check.py).
      - RV(results) name them by C(id), which must be unique.
    type: list
    elements: dict
    required: true
  record:
    description:
      - Fetch each C(work) check twice, a second apart, and return RV(baseline). Other kinds of
        checks are left out.
    type: bool
    default: false
  baseline:
    description: What a run with O(record=true) returned, with which C(work) checks are compared.
    type: dict
    default: {}
  source_address:
    description:
      - Local IP address to come from. On Linux any address of C(127.0.0.0/8) will do for a server
        that is reached on the host itself, which makes the host its own untrusted client.
      - It is used for connections of its own family only.
    type: str
  seen_as:
    description:
      - IP address as which the server sees this client, where address translation makes it another
        one than the local address. Connections of the other family are not affected.
    type: str
  trusted:
    description:
      - Networks (CIDR) whose clients the server lets through. From a client in one of them, checks
        of kind C(trusted) are sent and refusals marked C(when_trusted=served) are skipped; from any
        other client it is the other way round.
    type: list
    elements: str
    default: []
  parallel:
    description:
      - Number of requests under way at once. The default leaves visitors a worker of the smallest
        usual PHP-FPM pool, which has five.
    type: int
    default: 4
  timeout:
    description: Seconds for one request, from connecting to the last byte.
    type: float
    default: 15
  time_limit:
    description: Seconds for the whole execution. Checks that had no turn by then have failed.
    type: float
    default: 180
  settle:
    description:
      - Seconds for which failed checks are tried again, since a web server's reload is
        asynchronous. Once all hold, every refusal is tried once more, and that round counts.
    type: float
    default: 0
  lines_kept:
    description: Share of a page's lines, from 0 to 1, that must be there after the change.
    type: float
    default: 0.9
  report:
    description: Whether RV(results) lists every check, or only those that want a look.
    type: str
    choices: [failures, all]
    default: failures
"""

EXAMPLES = r"""
- name: Describe the pages before the change
  wpward.wordpress.http_checks:
    checks: "{{ work_checks }}"
    record: true
  register: before

- name: Prove the change
  wpward.wordpress.http_checks:
    checks: "{{ refusal_checks + work_checks }}"
    baseline: "{{ before.baseline }}"
    settle: 20
  register: after

- name: Ask one server for one thing
  wpward.wordpress.http_checks:
    checks:
      - id: two-slashes
        endpoint: xmlrpc
        kind: refuse
        site: blog.example
        connect: {address: 192.0.2.10, port: 443, tls: true, host: blog.example}
        method: POST
        target: //xmlrpc.php
        headers: {Content-Type: text/xml}
        body: <methodCall><methodName>demo.sayHello</methodName></methodCall>
        expect: {status: [403], must_not_match: ['<methodResponse>']}
  delegate_to: localhost
"""

RETURN = r"""
proven:
  description: Whether at least one check was made and none failed or was unreachable.
  type: bool
  returned: success
counts:
  description: Number of checks by what became of them.
  type: dict
  returned: success
  contains:
    passed:
      description: Checks that hold.
      type: int
    failed:
      description: Checks that do not hold.
      type: int
    unreachable:
      description: Checks whose server could not be asked at all.
      type: int
    skipped:
      description:
        - Checks that say nothing from here (see O(trusted)), or did not work before the change
          either.
      type: int
results:
  description:
    - The checks that failed, were unreachable, or did not work before the change either; or all
      of them. In their order.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: The check's id.
      type: str
    site:
      description: The check's site.
      type: str
    endpoint:
      description: The check's endpoint, or an empty string.
      type: str
    kind:
      description: V(refuse), V(work) or V(trusted).
      type: str
    server:
      description: The virtual host that was asked, as a URL.
      type: str
    request:
      description: The request, with bytes that are not printable written as C(\\xNN).
      type: str
    source:
      description: The local address that the request came from; empty if nothing was sent.
      type: str
    outcome:
      description: V(passed), V(failed), V(unreachable) or V(skipped).
      type: str
    ok:
      description: Whether the outcome is V(passed) or V(skipped).
      type: bool
    status:
      description: The HTTP status that came back, or 0.
      type: int
    reason:
      description: One clause about what came back.
      type: str
    seconds:
      description: Time from connecting to the last byte.
      type: float
endpoints:
  description: What became of the checks, by endpoint and kind.
  type: list
  elements: dict
  returned: success
  contains:
    endpoint:
      description: The endpoint, or an empty string for requests that belong to none.
      type: str
    kind:
      description: V(refuse), V(work) or V(trusted).
      type: str
    passed:
      description: Number of checks; likewise C(failed), C(unreachable) and C(skipped).
      type: int
sites:
  description: The sites of which at least one request was answered.
  type: list
  elements: str
  returned: success
servers:
  description: The virtual hosts that answered at least one request, as URLs.
  type: list
  elements: str
  returned: success
baseline:
  description: A fingerprint for each work check, by its id.
  type: dict
  returned: with O(record=true)
table:
  description:
    - What failed, could not be reached, or was skipped because it was broken before, as text.
  type: str
  returned: success
source_addresses:
  description: The local addresses that requests came from.
  type: list
  elements: str
  returned: success
"""

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wpward.wordpress.plugins.module_utils.http_check import (
    CheckError,
    parse_all,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_report import report
from ansible_collections.wpward.wordpress.plugins.module_utils.http_rounds import (
    Runner,
    Settings,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import (
    PolicyError,
    parse_trusted,
)


class _ArgumentError(ValueError):
    pass


def _address(params: dict[str, Any], name: str) -> str:
    if not params[name]:
        return ""
    try:
        return str(ipaddress.ip_address(params[name]))
    except ValueError:
        raise _ArgumentError(f"{name} is '{params[name]}', which is not an IP address") from None


def _settings(params: dict[str, Any]) -> Settings:
    for name, least in (("parallel", 1), ("timeout", 0.1), ("time_limit", 0.1), ("settle", 0)):
        if params[name] < least:
            raise _ArgumentError(f"{name} is {params[name]}, it must be at least {least}")
    if not 0 <= params["lines_kept"] <= 1:
        raise _ArgumentError(f"lines_kept is {params['lines_kept']}, it must be from 0 to 1")
    return Settings(
        timeout=params["timeout"],
        time_limit=params["time_limit"],
        settle=params["settle"],
        parallel=params["parallel"],
        source=_address(params, "source_address"),
        seen_as=_address(params, "seen_as"),
        trusted=tuple(str(network) for network in parse_trusted(params["trusted"])),
        before=params["baseline"],
        lines_kept=params["lines_kept"],
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "checks": {"type": "list", "elements": "dict", "required": True},
            "record": {"type": "bool", "default": False},
            "baseline": {"type": "dict", "default": {}},
            "source_address": {"type": "str"},
            "seen_as": {"type": "str"},
            "trusted": {"type": "list", "elements": "str", "default": []},
            "parallel": {"type": "int", "default": 4},
            "timeout": {"type": "float", "default": 15},
            "time_limit": {"type": "float", "default": 180},
            "settle": {"type": "float", "default": 0},
            "lines_kept": {"type": "float", "default": 0.9},
            "report": {"type": "str", "choices": ["failures", "all"], "default": "failures"},
        },
        supports_check_mode=True,
    )
    try:
        checks = parse_all(module.params["checks"])
        runner = Runner(_settings(module.params))
    except (CheckError, PolicyError, _ArgumentError) as error:
        module.fail_json(msg=str(error))
    recorded: dict[str, Any] = {}
    if module.params["record"]:
        results, recorded["baseline"] = runner.record_all(checks)
    else:
        results = runner.prove(checks)
    module.exit_json(changed=False, **recorded, **report(results, module.params["report"]))


if __name__ == "__main__":
    main()
