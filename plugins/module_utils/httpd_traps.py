# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""httpd settings that do something else than their author meant."""

from __future__ import annotations

import re
from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    htaccess,
    httpd_old_syntax,
    httpd_scope,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Directive
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import (
    HttpdVhost,
    is_on,
    shown,
    walk,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_proxy import is_local
from ansible_collections.wpward.wordpress.plugins.module_utils.traps import (
    only_site,
    site_uris,
    trap,
    unique,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

_BY_FILE = ("files", "filesmatch", "directory", "directorymatch")
"""Sections that a request which is proxied at once never meets."""
_FOLLOWING = ("", "/", "/index.php")
_TARGET = re.compile(r"https?://(?P<host>\[[^\]]*\]|[^/:]+)(?::(?P<port>\d+))?(?P<path>/.*)?$")


class _Served(NamedTuple):
    """One site as one virtual host serves it. ``uri``: the path of its xmlrpc.php."""

    vhost: HttpdVhost
    site: Site
    uri: str


def _mentions(directive: Directive) -> bool:
    return "xmlrpc" in directive.text.lower()


def _trap(identity: str, directive: Directive, site: str | None, detail: str) -> dict[str, Any]:
    return trap(
        identity,
        "httpd",
        detail,
        file=real_path(directive.file),
        line=directive.line,
        text=shown(directive),
        site=site,
    )


def _served(vhosts: Sequence[HttpdVhost], sites: Sequence[Site]) -> list[_Served]:
    by_id = {site.id: site for site in sites}
    return [
        _Served(vhost, by_id[site], uri)
        for vhost in vhosts
        for site, uri in site_uris(vhost, sites)
    ]


def _htaccess_files(one: _Served) -> Iterator[str]:
    roots = [root.path for root in one.vhost.roots if one.site.path.startswith(root.path)]
    for directory in httpd_scope.parents(one.site.path, max(roots, key=len, default="/")):
        for name in httpd_scope.access_file_names(one.vhost):
            yield f"{directory}/{name}"


def htaccess_ignored(served: Sequence[_Served]) -> Iterator[dict[str, Any]]:
    for one in served:
        for path in [] if one.vhost.closed else _htaccess_files(one):
            line = htaccess.xmlrpc_line(path)
            if line is None:
                continue
            directory = path.rpartition("/")[0]
            proxied = httpd_scope.proxied(one.vhost, one.uri)
            if not httpd_scope.allows_override(one.vhost, directory):
                detail = f"httpd does not read this file: AllowOverride is None for {directory}."
            elif proxied is not None:
                where = f"{real_path(proxied.directive.file)}:{proxied.directive.line}"
                detail = (
                    f"This has no effect: {shown(proxied.directive).split()[0]} at {where} passes "
                    f"{one.uri} on before httpd looks for its directory."
                )
            else:
                continue
            yield trap(
                "htaccess_ignored",
                "httpd",
                detail,
                file=real_path(path),
                line=line.number,
                text=line.text,
                site=one.site.id,
            )


def _void_by_proxy(one: _Served) -> Iterator[dict[str, Any]]:
    proxied = httpd_scope.proxied(one.vhost, one.uri)
    if proxied is None:
        return
    where = f"{real_path(proxied.directive.file)}:{proxied.directive.line}"
    detail = (
        f"This has no effect: {shown(proxied.directive).split()[0]} at {where} passes {one.uri} on "
        "before this is looked at."
    )
    for directive in (*one.vhost.main, *one.vhost.own):
        if directive.name in _BY_FILE:
            for inner in walk((directive,)):
                if _mentions(inner):
                    yield _trap("xmlrpc_rule_never_fires", inner, one.site.id, detail)
                    break
        elif directive.name in ("redirect", "redirectmatch") and _mentions(directive):
            yield _trap("xmlrpc_rule_never_fires", directive, one.site.id, detail)


def _rewrite_rules(level: Sequence[Directive]) -> Iterator[Directive]:
    """RewriteRules that are about xmlrpc, by their pattern or by a condition before them."""
    conditions: list[Directive] = []
    for one in level:
        if one.name == "rewritecond":
            conditions.append(one)
        elif one.name == "rewriterule":
            if _mentions(one) or any(map(_mentions, conditions)):
                yield one
            conditions = []


def _dead_rewrites(
    vhosts: Sequence[HttpdVhost], served: Sequence[_Served]
) -> Iterator[dict[str, Any]]:
    for one in served:
        if not is_on(one.vhost.own, "rewriteengine"):
            for rule in _rewrite_rules(one.vhost.own):
                detail = "RewriteEngine is not On here, so this rule is not looked at."
                yield _trap("xmlrpc_rule_never_fires", rule, one.site.id, detail)
    main = next((vhost.main for vhost in vhosts if vhost.line), ())
    if any(one.vhost.line == 0 or httpd_scope.inherits_rewrite(one.vhost) for one in served):
        return
    names = sorted({one.site.id for one in served})
    for rule in _rewrite_rules(main) if names else ():
        detail = (
            "RewriteRules of the main server are not inherited by virtual hosts, and every "
            "WordPress here is in one."
        )
        yield _trap("xmlrpc_rule_never_fires", rule, names[0] if len(names) == 1 else None, detail)


def _elsewhere(served: Sequence[_Served]) -> Iterator[dict[str, Any]]:
    """``<Location>`` sections whose path is no site's xmlrpc.php."""
    for vhost in {one.vhost.id: one.vhost for one in served}.values():
        mine = [one for one in served if one.vhost is vhost]
        scopes = [(vhost.own, mine)] if vhost.line else []
        scopes.append((vhost.main or vhost.own, list(served)))
        for level, reached in scopes:
            for section in level:
                if section.name not in ("location", "locationmatch") or not _mentions(section):
                    continue
                answers = [
                    httpd_scope.location_matches(section, one.uri + more)
                    for one in reached
                    for more in _FOLLOWING
                ]
                if any(answer or answer is None for answer in answers):
                    continue
                detail = f"This is for no WordPress here: its xmlrpc.php is {reached[0].uri}."
                site = reached[0].site.id if len(reached) == 1 else None
                yield _trap("xmlrpc_rule_never_fires", section, site, detail)


def _in_another_vhost(
    vhosts: Sequence[HttpdVhost], served: Sequence[_Served]
) -> Iterator[dict[str, Any]]:
    ruled = {
        one.site.id
        for one in served
        if one.vhost.closed
        or one.vhost.xmlrpc_rules
        or any(map(htaccess.xmlrpc_line, _htaccess_files(one)))
    }
    bare = sorted({one.site.id for one in served} - ruled)
    for vhost in vhosts if bare else ():
        if vhost.sites:
            continue
        for one in vhost.own:
            about = next((inner for inner in walk((one,)) if _mentions(inner)), None)
            if about is not None:
                detail = f"This virtual host serves no WordPress, and {bare[0]} has no such rule."
                site = bare[0] if len(bare) == 1 else None
                yield _trap("xmlrpc_rule_never_fires", about, site, detail)


def rules_that_never_fire(
    vhosts: Sequence[HttpdVhost], served: Sequence[_Served]
) -> Iterator[dict[str, Any]]:
    for one in served:
        yield from _void_by_proxy(one)
    yield from _dead_rewrites(vhosts, served)
    yield from _elsewhere(served)
    yield from _in_another_vhost(vhosts, served)


def _answering(
    vhosts: Sequence[HttpdVhost], vhost: HttpdVhost, host: str, port: int, own: Sequence[str]
) -> HttpdVhost | None:
    """The virtual host that answers at an address with that Host header."""
    here = [
        (one, listen)
        for one in vhosts
        for listen in one.listens
        if listen.port == port
        and (listen.address == host or (listen.address == "*" and is_local(host, own)))
    ]
    keeps = is_on(vhost.own, "proxypreservehost")
    if is_on(vhost.main, "proxypreservehost") if keeps is None else keeps:
        return next((one for one, _listen in here if one is vhost), None)
    named = [one for one, _listen in here if host.lower() in map(str.lower, one.server_names)]
    return next(iter([*named, *[one for one, listen in here if listen.default]]), None)


def self_proxies(
    vhosts: Sequence[HttpdVhost], served: Sequence[_Served], own: Sequence[str]
) -> Iterator[dict[str, Any]]:
    paths = {vhost.id: ["/"] for vhost in vhosts}
    for one in served:
        paths[one.vhost.id].append(one.uri)
    for vhost in vhosts:
        for path in paths[vhost.id]:
            proxied = httpd_scope.proxied(vhost, path)
            match = _TARGET.match(proxied.target) if proxied else None
            if proxied is None or match is None:
                continue
            default = 443 if proxied.target.startswith("https") else 80
            port = int(match.group("port") or default)
            host = match.group("host").strip("[]")
            answering = _answering(vhosts, vhost, host, port, own)
            back = match.group("path") or "/"
            again = httpd_scope.proxied(answering, back) if answering else None
            if again is not None and again.directive is proxied.directive:
                detail = (
                    "This passes the request to the same httpd, which comes back here: the request "
                    "calls itself until no worker is left."
                )
                yield _trap("self_proxy", proxied.directive, only_site(vhost), detail)


def _logs(vhost: HttpdVhost) -> list[Directive]:
    names = ("customlog", "transferlog")
    mine = [one for one in vhost.own if one.name in names]
    logs = mine or [one for one in vhost.main if one.name in names]
    everywhere = vhost.main or vhost.own
    return logs + [one for one in everywhere if one.name == "globallog"]


def blind_logs(served: Sequence[_Served]) -> Iterator[dict[str, Any]]:
    for one in served:
        marks = {
            word.partition("=")[0]
            for directive in walk((*one.vhost.main, *one.vhost.own))
            if directive.name in ("setenvif", "setenvifnocase")
            and len(directive.args) > 2
            and directive.args[0].lower() == "request_uri"
            and httpd_scope.searches(directive.args[1], one.uri)
            for word in directive.args[2:]
        }
        logs = _logs(one.vhost)
        left_out = [
            log
            for log in logs
            if log.args[-1].startswith("env=!") and log.args[-1][len("env=!") :] in marks
        ]
        if logs and len(left_out) == len(logs):
            detail = f"Requests for {one.uri} are not logged: nobody, and no ban, sees them."
            yield _trap("xmlrpc_log_off", left_out[0], one.site.id, detail)


def buffered_logs(vhosts: Sequence[HttpdVhost]) -> Iterator[dict[str, Any]]:
    for vhost in vhosts:
        for one in vhost.main or vhost.own:
            if one.name == "bufferedlogs" and one.args and one.args[0].lower() == "on":
                detail = "Logs are written with a delay, and so is every ban that reads them."
                yield _trap("access_log_buffered", one, None, detail)


def find(
    vhosts: Sequence[HttpdVhost], sites: Sequence[Site], addresses: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The evidence's traps of an httpd. ``addresses``: the host's own, beside loopback."""
    served = _served(vhosts, sites)
    return unique(
        [
            *self_proxies(vhosts, served, addresses),
            *htaccess_ignored(served),
            *rules_that_never_fire(vhosts, served),
            *blind_logs(served),
            *buffered_logs(vhosts),
            *httpd_old_syntax.find(vhosts),
        ]
    )
