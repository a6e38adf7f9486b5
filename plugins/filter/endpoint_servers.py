# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say which web servers of a host have to refuse requests."""

from __future__ import annotations

DOCUMENTATION = r"""
name: endpoint_servers
version_added: 0.1.0
author: The wpward maintainers
short_description: Say which web servers of a host have to refuse requests
description:
  - A request is refused by the outermost server. So httpd need not refuse what only an nginx in
    front of it can ask for, unless the server blocks of that nginx must not be edited.
options:
  _input:
    description: The evidence that M(wpward.wordpress.probe) returns.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the servers
  ansible.builtin.debug:
    msg: "{{ probe_evidence | wpward.wordpress.endpoint_servers }}"
"""

RETURN = r"""
_value:
  description: C(nginx) and C(httpd), of each what follows.
  type: dict
  contains:
    serves:
      description: Whether clients reach WordPress there, so that it has to refuse requests.
      type: bool
    touched:
      description:
        - Whether its files are looked at, because it serves WordPress or because there is something
          of ours left in a server that could be reloaded.
      type: bool
    exempt:
      description: Networks of the proxies that have judged their requests already.
      type: list
      elements: str
"""

from ipaddress import ip_address
from typing import Any

_LOOPBACK = ["127.0.0.0/8", "::1/128"]


def endpoint_servers(evidence: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """See DOCUMENTATION."""
    nginx = evidence["nginx"]
    # Server blocks that must not be edited judge nothing: then httpd behind them has to.
    judges = not (nginx and nginx.get("edit_refusal"))
    rows = [row for row in _rows(evidence, "nginx") if judges or not row.get("fronts")]
    return {
        "nginx": _server(nginx, rows, judges and _left_in_nginx(evidence), []),
        "httpd": _httpd(evidence, _rows(evidence, "httpd"), judges),
    }


def _httpd(
    evidence: dict[str, Any], rows: list[dict[str, Any]], nginx_judges: bool
) -> dict[str, Any]:
    if nginx_judges:
        rows = [row for row in rows if not _is_behind_nginx_only(row)]
    own = [one for one in evidence["host"].get("addresses", []) if not ip_address(one).is_loopback]
    fronted = nginx_judges and bool(rows) and all(row.get("fronted") for row in rows)
    left = bool(evidence["httpd"] and evidence["httpd"].get("wpward"))
    return _server(evidence["httpd"], rows, left, [*_LOOPBACK, *own] if fronted else [])


def _server(
    server: dict[str, Any] | None, rows: list[dict[str, Any]], left: bool, exempt: list[str]
) -> dict[str, Any]:
    usable = server is not None and server["running"] and server["config_test"]["ok"]
    return {"serves": bool(rows), "touched": bool(rows) or (left and usable), "exempt": exempt}


def _rows(evidence: dict[str, Any], server: str) -> list[dict[str, Any]]:
    return [row for row in evidence["vhosts"] if row["server"] == server and row["sites"]]


def _left_in_nginx(evidence: dict[str, Any]) -> bool:
    nginx = evidence["nginx"]
    included = any(row.get("wpward_include") for row in evidence["vhosts"])
    return nginx is not None and (included or nginx["http_include_file"] in nginx.get("files", {}))


def _is_behind_nginx_only(row: dict[str, Any]) -> bool:
    return bool(row.get("fronted")) and all(
        "unix" in listen or _is_loopback(listen["address"]) for listen in row["listens"]
    )


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class FilterModule:
    """The filter, as Ansible looks for it."""

    def filters(self) -> dict[str, Any]:
        """Name it."""
        return {"endpoint_servers": endpoint_servers}
