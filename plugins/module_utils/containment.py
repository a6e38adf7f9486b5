# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""First aid: XML-RPC closed on every virtual host at once, by one file per web server.

No virtual host is edited, so that there is nothing to get wrong in one. On nginx, ``auth_basic``
with a realm that is "off" for every other path asks for a password that does not exist (401). On
httpd, a condition at main scope answers 403. Where a web server offers no place for such a file,
xmlrpc.php itself is taken away until first aid ends; the journal keeps it.

First aid is a temporary transaction: it ends by itself, and role endpoints, which does more, can be
applied while it holds.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import XMLRPC
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import (
    CLOSED,
    TRUSTED,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.http_connections import connections
from ansible_collections.wpward.wordpress.plugins.module_utils.http_matrix import checks_for_site
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_rules import httpd_rules
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_rules import nginx_rules
from ansible_collections.wpward.wordpress.plugins.module_utils.serving import endpoint_servers

ROLE = "contain"
NAME = "wpward-contain.conf"
_HEADING = (
    "# wpward:contain - first aid, ends by itself. At once: "
    "python3 /var/lib/wpward/rollback.py rollback --role contain\n"
)
_NOBODY = "wpward/nobody"
_RENAME = "rename "
_LABEL = 'if command -v restorecon > /dev/null; then restorecon -i "$@"; fi'
_ENDPOINTS = (XMLRPC,)
_CHECKED = 6
"""Requests per virtual host: the plain one and its commonest spellings. First aid has to be quick;
all of the matrix is role verify's."""

Evidence = Mapping[str, Any]


@dataclass
class Aid:
    """What to do on a host. ``files``, ``validate``, ``activate``: as module transaction takes
    them. ``ways``: a word per server or site, such as ``nginx`` or ``rename /var/www/blog``.
    ``notes``: sentences that an operator should read."""

    files: list[dict[str, Any]] = field(default_factory=list)
    validate: list[list[str]] = field(default_factory=list)
    activate: list[list[str]] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(evidence: Evidence, trusted: Sequence[str] = ()) -> Aid:
    """What closes XML-RPC on this host.

    evidence: ``host``, ``nginx``, ``httpd``, ``vhosts`` and ``sites`` of the evidence document.
    trusted: networks as `policy.parse_trusted` gives them, for which it stays open.
    """
    aid = Aid()
    servers = endpoint_servers(evidence)
    unmanageable: list[str] = []
    for name, offer in (("nginx", _nginx), ("httpd", _httpd)):
        if not servers[name]["serves"]:
            continue
        refusal = _refusal(name, evidence[name])
        if refusal:
            unmanageable.append(name)
            aid.notes.append(refusal)
            continue
        offer(aid, evidence[name], trusted, servers[name]["exempt"])
        aid.ways.append(name)
    if unmanageable:
        _take_away(
            aid,
            [
                site["path"]
                for site in evidence["sites"]
                if any(vhost.partition(":")[0] in unmanageable for vhost in site["vhosts"])
            ],
            trusted,
        )
    return aid


def plan_to_rename(paths: Sequence[str], trusted: Sequence[str] = ()) -> Aid:
    """What closes XML-RPC of the sites in these directories, whatever their web servers do."""
    aid = Aid()
    _take_away(aid, paths, trusted)
    return aid


def _take_away(aid: Aid, paths: Sequence[str], trusted: Sequence[str]) -> None:
    for path in dict.fromkeys(paths):
        aid.files.append({"path": posixpath.join(path, "xmlrpc.php"), "state": "absent"})
        aid.ways.append(f"{_RENAME}{path}")
    if trusted and paths:
        aid.notes.append(
            "Where xmlrpc.php is taken away, trusted clients cannot use it either while first aid "
            "holds."
        )


def checks(evidence: Evidence, trusted: Sequence[str], aid: Aid) -> list[dict[str, Any]]:
    """The requests that must be refused afterwards, as module http_checks takes them, asked from
    the host itself."""
    policy = _policy(trusted)
    renamed = [way[len(_RENAME) :] for way in aid.ways if way.startswith(_RENAME)]
    found: dict[str, dict[str, Any]] = {}
    for site in evidence["sites"]:
        statuses = [404, 403] if site["path"] in renamed else [401, 403]
        for _vhost, connect in connections(dict(evidence), site, ""):
            made = checks_for_site(site, connect, policy, guard=False, endpoints=_ENDPOINTS)
            refused = [check for check in made if check["kind"] == "refuse"]
            for check in refused[:_CHECKED]:
                found[check["id"]] = {**check, "expect": {**check["expect"], "status": statuses}}
    return list(found.values())


def while_it_holds(check: Mapping[str, Any]) -> dict[str, Any]:
    """A check of role verify's as it has to be judged on a host that first aid is in force on.

    nginx then asks for a password (401), and where the file is taken away there is none (404). The
    body still has to be free of all that XML-RPC says.
    """
    expect = check["expect"]
    ours = check["kind"] == "refuse" and check["endpoint"] in [one.id for one in _ENDPOINTS]
    if not ours or not expect["status"]:
        return dict(check)
    return {**check, "expect": {**expect, "status": sorted({*expect["status"], 401, 404})}}


def _refusal(name: str, server: Mapping[str, Any]) -> str:
    """Why a server cannot be given a file; "" where it can."""
    if not server["running"]:
        return f"{name} is installed but does not run."
    if not server["config_test"]["ok"]:
        return f"{name} refuses its own configuration, so that nothing can be loaded into it."
    if name == "nginx" and server["http_include_file"] is None:
        return f"{server['config_path']} includes no directory of files at http level."
    if name == "httpd":
        if server["conf_refusal"] or not server["conf_file"]:
            why = server["conf_refusal"] or "no place was found where one file acts everywhere."
            return f"httpd: {why}"
        if "alias_module" not in server["modules"]:
            return "httpd runs without mod_alias, which refuses requests."
    return ""


def _policy(trusted: Sequence[str]) -> dict[str, str]:
    return {XMLRPC.id: TRUSTED if trusted else CLOSED}


def _nginx(
    aid: Aid, server: Mapping[str, Any], trusted: Sequence[str], _exempt: Sequence[str]
) -> None:
    path = posixpath.join(posixpath.dirname(server["http_include_file"]), NAME)
    nobody = posixpath.join(posixpath.dirname(server["config_path"]), _NOBODY)
    rules = nginx_rules(_policy(trusted), trusted, _ENDPOINTS)
    networks = "".join(f"    {network} 1;\n" for network in rules["trusted"])
    paths = "".join(
        f'    "~*{expression}" 1;\n' for expression, token in rules["paths"] if token == XMLRPC.id
    )
    text = (
        f"{_HEADING}"
        "geo $wpward_contain_trusted {\n    default 0;\n" + networks + "}\n"
        "map $uri $wpward_contain_path {\n    default 0;\n" + paths + "}\n"
        'map "$wpward_contain_trusted$wpward_contain_path" $wpward_contain_realm {\n'
        '    default off;\n    "01" closed;\n}\n'
        "auth_basic $wpward_contain_realm;\n"
        f"auth_basic_user_file {nobody};\n"
    )
    aid.files += [_file(nobody, ""), _file(path, text)]
    aid.validate.append(server["control"]["test"])
    aid.activate += [_labelled([nobody, path]), server["control"]["reload"]]


def _httpd(
    aid: Aid, server: Mapping[str, Any], trusted: Sequence[str], exempt: Sequence[str]
) -> None:
    path = posixpath.join(posixpath.dirname(server["conf_file"]), NAME)
    rules = httpd_rules(_policy(trusted), trusted, exempt, _ENDPOINTS)["rules"]
    conditions = "".join(
        f'    <If "{rule["when"]}">\n'
        "        Redirect 403\n"
        '        ErrorDocument 403 "Forbidden\\n"\n'
        "        <IfModule mod_rewrite.c>\n            RewriteEngine Off\n        </IfModule>\n"
        "    </If>\n"
        for rule in rules
    )
    aid.files.append(_file(path, f'{_HEADING}<Location "/">\n{conditions}</Location>\n'))
    if server["conf_link"]:
        link = posixpath.join(posixpath.dirname(server["conf_link"]), NAME)
        target = posixpath.join("..", posixpath.basename(posixpath.dirname(path)), NAME)
        aid.files.append({"path": link, "state": "link", "target": target})
    aid.validate.append(server["control"]["test"])
    aid.activate += [_labelled([path]), server["control"]["reload"]]


def _file(path: str, content: str) -> dict[str, Any]:
    return {"path": path, "content": content, "owner": "root", "group": "root", "mode": "0644"}


def _labelled(paths: Sequence[str]) -> list[str]:
    # Where SELinux is, a new file has the label of the program that wrote it until told otherwise.
    return ["sh", "-c", _LABEL, "restorecon", *paths]
