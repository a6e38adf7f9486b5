# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operator's own fail2ban jails make of what our rules refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import mapping

Row = Mapping[str, Any]

OURS = "wpward-"

# A refused request in the formats that httpd and nginx come with. fail2ban takes the time out
# before it matches, and some versions and patterns take the brackets with it.
_REQUEST = '"POST /xmlrpc.php HTTP/1.1" 403 10'
_LINES = tuple(
    f"{host}203.0.113.7 - - {time}{_REQUEST}{rest}"
    for host in ("", "blog.example:80 ")
    for time in ("[] ", " ", "")
    for rest in ("", ' "-" "Mozilla/5.0"')
)
_TAGS = (
    (re.compile(r"<(?:HOST|ADDR|IP4|IP6|SUBNET|DNS|F-ID/|F-IP4/|F-IP6/)>"), r"203\\.0\\.113\\.7"),
    (re.compile(r"<SKIPLINES>"), r"(?:\\n)*"),
    (re.compile(r"</?F-[A-Z0-9_]+/?>"), ""),
)


def matches_refusal(expression: str) -> bool:
    """Whether a failregex counts a refused request as a failure.

    An expression that Python alone cannot read counts as one that does not.
    """
    for tag, text in _TAGS:
        expression = tag.sub(text, expression)
    try:
        pattern = re.compile(expression)
    except re.error:
        return False
    return any(pattern.search(line) for line in _LINES)


def operator_jail_notes(evidence: Row) -> Iterator[str]:
    """A sentence for each jail of the operator that our refusals feed."""
    logs = {
        log["path"]
        for vhost in evidence.get("vhosts") or ()
        if vhost.get("server") == "httpd" and vhost.get("sites")
        for log in vhost.get("access_logs") or ()
    }
    for jail in _jails(mapping(evidence.get("fail2ban"))):
        read = [path for path in jail.get("logs") or () if path in logs]
        if read and any(map(matches_refusal, jail.get("failregex") or ())):
            yield (
                f"The jail {jail['name']} reads {', '.join(read)}, where httpd notes what wpward "
                "refuses, and bans for it by its own rules: trusted addresses and editors are not "
                "exempt there. Give it their addresses as ignoreip, or switch it off."
            )


def has_recidive(fail2ban: Row) -> str:
    """The name of the operator's jail that counts repeated bans; empty where there is none."""
    for jail in _jails(fail2ban):
        if "recidive" in jail["name"]:
            return str(jail["name"])
    return ""


def _jails(fail2ban: Row) -> list[Row]:
    """The operator's."""
    found = fail2ban.get("jails") or ()
    return [jail for jail in found if not jail["name"].startswith(OURS)]
