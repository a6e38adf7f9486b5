# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a site's ``.htaccess`` says about XML-RPC."""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.wpward.wordpress.plugins.module_utils.files import read_regular
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import logical_lines

_MAX_BYTES = 1024 * 1024


class Line(NamedTuple):
    number: int
    text: str


def xmlrpc_line(path: str) -> Line | None:
    """The first line that names xmlrpc; None where there is none, or no readable file."""
    try:
        data = read_regular(path, _MAX_BYTES)
    except OSError:
        return None
    for number, text in logical_lines(data):
        if "xmlrpc" in text.lower() and not text.startswith("#"):
            shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            return Line(number, shown[:200])
    return None
