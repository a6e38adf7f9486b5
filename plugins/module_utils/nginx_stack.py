# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which known stack wrote an nginx configuration, told by the files that it includes."""

from __future__ import annotations

import posixpath
from typing import Iterable, Iterator

from ansible_collections.wpward.wordpress.plugins.module_utils.files import is_file
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
    ParsedFile,
)

WORDOPS, SLICKSTACK, TRELLIS, PLESK = "wordops", "slickstack", "trellis", "plesk"

_PLESK = "/etc/psa/psa.conf"
_GENERATED = b"DO NOT MODIFY THIS FILE BECAUSE IT WAS GENERATED AUTOMATICALLY"
_HEADING_BYTES = 1024


def _patterns(config: Config, directives: Iterable[Directive]) -> Iterator[str]:
    for one in directives:
        if one.name == "include" and len(one.args) == 1:
            yield config.include_pattern(one)
        if one.block:
            yield from _patterns(config, one.block)


def _is_wordops(parsed: ParsedFile) -> bool:
    directory, name = posixpath.split(parsed.path)
    if posixpath.basename(directory) != "common":
        return False
    # EasyEngine, which it comes from, has files of the other names too.
    return name == "locations-wo.conf" or b"WordOps" in parsed.data[:_HEADING_BYTES]


def recognise(config: Config) -> str | None:
    """The evidence's ``nginx.stack``; None for a configuration of the host's own."""
    files = config.files.values()
    patterns = {
        pattern for parsed in files for pattern in _patterns(config, parsed.directives)
    }.union(config.files)
    if is_file(_PLESK) or any("/plesk.conf.d/" in pattern for pattern in patterns):
        return PLESK
    if any(map(_is_wordops, files)):
        return WORDOPS
    if any(b"author: SlickStack" in parsed.data[:_HEADING_BYTES] for parsed in files):
        return SLICKSTACK
    # What a site includes by its own name has varied; these two have been the same since 2019.
    if any(
        pattern.endswith(("/includes.d/all/*.conf", "/includes.d/http/*.conf"))
        for pattern in patterns
    ):
        return TRELLIS
    return None


def edit_refusal(config: Config, stack: str | None) -> str | None:
    """Why the server blocks must not be edited; None where they may be."""
    generated = sorted(
        parsed.path
        for parsed in config.files.values()
        if _GENERATED in parsed.data[:_HEADING_BYTES]
    )
    if stack != PLESK and not generated:
        return None
    first = f" ({generated[0]} says so)" if generated else ""
    return (
        f"Plesk generates nginx's server blocks{first}: an edit would last until the domain's "
        "settings are next saved."
    )
