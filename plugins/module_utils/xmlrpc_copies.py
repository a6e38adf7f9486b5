# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A WordPress xmlrpc.php that somebody renamed and left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_file,
    names_in,
    read_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.traps import trap
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site

_MARK = b"XML-RPC protocol support for WordPress"
"""In the first lines of xmlrpc.php, of WordPress 2.x as of 6.x."""
_HEAD_BYTES = 400
_MAX_FILES = 300
"""Files of other names that are opened; those with xmlrpc in their name always are."""


def _is_copy(path: str) -> bool:
    try:
        return _MARK in read_regular(path, _HEAD_BYTES)
    except OSError:
        return False


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def _copies(directory: str) -> Iterator[str]:
    names = [name for name in names_in(directory) if name.lower() != "xmlrpc.php"]
    telling = [name for name in names if "xmlrpc" in name.lower()]
    others = [name for name in names if "xmlrpc" not in name.lower()][:_MAX_FILES]
    for name in (*telling, *others):
        path = f"{directory}/{name}"
        if _is_copy(path):
            yield path


def find(sites: Sequence[Site]) -> list[dict[str, Any]]:
    """The evidence's traps, one for each copy in a site's own directory."""
    found: list[dict[str, Any]] = []
    for site in sites:
        gone = "" if is_file(site.path + "/xmlrpc.php") else "; xmlrpc.php itself is missing"
        for path in _copies(site.path):
            if path.lower().endswith((".php", ".phtml", ".php5", ".php7")):
                detail = f"This is WordPress's xmlrpc.php, open under another name{gone}."
            else:
                detail = f"This is WordPress's xmlrpc.php, renamed{gone}: an update puts it back."
            size = _size(path)
            found.append(trap("xmlrpc_renamed", None, detail, file=path, site=site.id, size=size))
    return found
