# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which web servers of a host have to refuse requests."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Mapping

from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_proxy import is_local

Row = Mapping[str, Any]

_LOOPBACK = ["127.0.0.0/8", "::1/128"]


def _mapping(value: object) -> Row:
    """A part of the evidence that may be missing."""
    return value if isinstance(value, dict) else {}


def endpoint_servers(evidence: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """For nginx and httpd: whether it ``serves``, is ``touched``, and whom it has to ``exempt``;
    see the filter of that name. What the evidence lacks is not there."""
    nginx, httpd = _mapping(evidence.get("nginx")), _mapping(evidence.get("httpd"))
    # Server blocks that must not be edited judge nothing: then httpd behind them has to.
    judges = not nginx.get("edit_refusal")
    of_nginx = [row for row in _serving(evidence, "nginx") if judges or not row.get("fronts")]
    of_httpd = [
        row for row in _serving(evidence, "httpd") if not (judges and is_behind_nginx_only(row))
    ]
    fronted = judges and bool(of_httpd) and all(row.get("fronted") for row in of_httpd)
    own = [
        one
        for one in _mapping(evidence.get("host")).get("addresses", [])
        if not ip_address(one).is_loopback
    ]
    return {
        "nginx": _server(nginx, of_nginx, judges and _left_in_nginx(evidence, nginx), []),
        "httpd": _server(
            httpd, of_httpd, bool(httpd.get("wpward")), [*_LOOPBACK, *own] if fronted else []
        ),
    }


def cannot_be_closed(evidence: Mapping[str, Any]) -> list[str]:
    """The web servers that have to refuse requests, and that role endpoints does not configure."""
    nginx, httpd = _mapping(evidence.get("nginx")), _mapping(evidence.get("httpd"))
    reasons = {
        "nginx": nginx.get("edit_refusal"),
        "httpd": httpd.get("conf_refusal") or not httpd.get("conf_file", True),
    }
    return [
        name for name, row in endpoint_servers(evidence).items() if row["serves"] and reasons[name]
    ]


def _server(server: Row, serving: list[Row], left: bool, exempt: list[str]) -> dict[str, Any]:
    usable = bool(server.get("running") and _mapping(server.get("config_test")).get("ok"))
    return {
        "serves": bool(serving),
        "touched": bool(serving) or (left and usable),
        "exempt": exempt,
    }


def _serving(evidence: Mapping[str, Any], server: str) -> list[Row]:
    vhosts = evidence.get("vhosts") or ()
    return [row for row in vhosts if row.get("server") == server and row.get("sites")]


def _left_in_nginx(evidence: Mapping[str, Any], nginx: Row) -> bool:
    included = any(row.get("wpward_include") for row in evidence.get("vhosts") or ())
    return bool(nginx) and (included or nginx.get("http_include_file") in nginx.get("files", {}))


def is_behind_nginx_only(row: Row) -> bool:
    """Whether nobody reaches a virtual host but through the nginx of the same host."""
    return bool(row.get("fronted")) and all(
        "unix" in listen or is_local(str(listen.get("address")), ())
        for listen in row.get("listens") or ()
    )
