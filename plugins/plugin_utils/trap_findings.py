# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Findings that the probe has named already: traps in a configuration, and gaps in the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.case import Case, make
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    QUIET,
    Finding,
    mapping,
    plural,
    quote,
    sentence,
    size,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding_catalogue import TRAPS

# What the probe says of a host that is not about missing evidence.
_NO_GAP = {
    "systemd_missing",
    "nginx_not_found",
    "nginx_not_running",
    "httpd_not_found",
    "httpd_not_running",
    "wordpress_not_found",
    "wordpress_not_configured",
    "name_not_utf8",
    "nginx_config_invalid",
    "httpd_config_invalid",
}


def traps(case: Case) -> list[Finding]:
    """One finding per trap and site, however many places have it."""
    found: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for trap in case.part("traps"):
        # A newer probe may know traps that this catalogue does not.
        if trap["id"] in TRAPS:
            found.setdefault((trap["id"], trap.get("site")), []).append(trap)
    return [_trap(identity, site, places) for (identity, site), places in found.items()]


def _trap(identity: str, site: str | None, places: list[Mapping[str, Any]]) -> Finding:
    first = places[0]
    at = list(
        dict.fromkeys(
            f"{quote(one['file'])}:{one['line']}" if one.get("line") else quote(one["file"])
            for one in places
            if one.get("file")
        )
    )
    line = f" (`{quote(first['text'])}`)" if first.get("text") else ""
    big = f", {size(first['size'])}" if first.get("size") else ""
    # One line, such as one of limits.conf, can be a trap for several servers.
    others = {one["server"]: None for one in places if one.get("server") != first.get("server")}
    more = f"; the same goes for {quote(' and '.join(map(str, others)))}" if others else ""
    if len(at) > 1:
        more += f"; also in {plural(len(at) - 1, 'more place')}"
    beginning = f"{at[0]}{big}{line}: " if at else ""
    return make(
        identity,
        site,
        QUIET,
        f"{beginning}{sentence(first['detail'])}{more}.",
        [f"traps: {one}" for one in at] or [f"traps: {identity}"],
    )


def gaps(case: Case) -> list[Finding]:
    """What the probe could not read, as one finding."""
    said = [
        f"the part {quote(one['part'])} was cut short after {one['seconds']:.0f} s"
        for one in case.part("budget")
        if not one["complete"]
    ]
    rests_on = ["budget"] if said else []
    database = mapping(case.evidence.get("database"))
    if database and not database["reachable"]:
        said.append(f"the database was not read: {sentence(database.get('reason'))}")
        rests_on.append("database: reachable")
    problems = [one for one in case.part("problems") if one["id"] not in _NO_GAP]
    if problems:
        said.append(sentence(problems[0]["message"]))
        rests_on += [f"problems: {quote(one['id'])}" for one in problems]
    if len(problems) > 1:
        said.append(f"and {len(problems) - 1} more problems")
    if not said:
        return []
    told = "; ".join(said)
    return [
        make(
            "evidence_partial",
            None,
            QUIET,
            f"{told[0].upper()}{told[1:]}.",
            rests_on,
        )
    ]
