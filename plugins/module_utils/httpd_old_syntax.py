# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Directives of httpd 2.2 that a 2.4 configuration still has.

They are read and kept as they are: they work by mod_access_compat only, and beside the newer
Require they do not do what they say alone.
"""

from __future__ import annotations

from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import real_path
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Directive
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_layout import FILE_NAME
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import (
    HttpdVhost,
    shown,
    walk,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.traps import only_site, trap

TRAP = "httpd_old_syntax"
_ACCESS = frozenset({"order", "allow", "deny", "satisfy"})
_NO_EFFECT = "namevirtualhost"


def _detail(one: Directive) -> str | None:
    if one.name == _NO_EFFECT:
        return "NameVirtualHost has no effect since httpd 2.4, and a later one will refuse it."
    if one.name not in _ACCESS:
        return None
    if one.name == "satisfy" and one.args[:1] and one.args[0].lower() == "any":
        return (
            "This is httpd 2.2's access control: with Satisfy Any, an Allow lets in whom a Require "
            "refuses."
        )
    return (
        "This is httpd 2.2's access control: it needs mod_access_compat, and where a Require holds "
        "too, a request must pass both."
    )


def _about_vhost(vhost: HttpdVhost) -> Iterator[tuple[Directive, str]]:
    for one in (*walk(vhost.own), *walk(vhost.main)):
        detail = _detail(one)
        if detail is not None and not one.file.endswith("/" + FILE_NAME):
            yield one, detail


def find(vhosts: Sequence[HttpdVhost]) -> Iterator[dict[str, Any]]:
    """One trap per file and kind, at the first line of it."""
    seen: set[tuple[str, str]] = set()
    for vhost in vhosts:
        for one, detail in _about_vhost(vhost):
            file = real_path(one.file)
            if (file, detail) in seen:
                continue
            seen.add((file, detail))
            own = any(inner is one for inner in walk(vhost.own))
            yield trap(
                TRAP,
                "httpd",
                detail,
                file=file,
                line=one.line,
                text=shown(one),
                site=only_site(vhost) if own and vhost.line else None,
            )
