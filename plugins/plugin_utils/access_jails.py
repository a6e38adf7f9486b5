# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jails on the sites' own access logs, for a host whose web servers cannot be given a deny log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint
from ansible_collections.wpward.wordpress.plugins.plugin_utils.access_filter import (
    UnusableFormat,
    access_filter,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import mapping, quote

Row = Mapping[str, Any]

FILTERS = ("wpward-access-1", "wpward-access-2", "wpward-access-3", "wpward-access-4")
"""The names there can be: what an earlier run wrote is taken back by its name."""


def access_jails(
    evidence: Row, rules: Sequence[Endpoint]
) -> tuple[list[dict[str, Any]], dict[str, str], list[str]]:
    """The jails, the text of the filter of each by its name, and notes about logs that no jail
    reads. Only XML-RPC is counted: for anything else a log does not tell who asked in earnest."""
    ban = next((one.ban for one in rules if one.id == "xmlrpc"), None)
    if ban is None:
        return [], {}, []
    jails: list[dict[str, Any]] = []
    filters: dict[str, str] = {}
    notes: list[str] = []
    for (server, text), paths in _by_format(evidence).items():
        if len(filters) == len(FILTERS):
            notes.append(f"No jail reads {', '.join(map(quote, paths))}: too many log formats.")
            continue
        try:
            content = access_filter(text, server)
        except UnusableFormat as error:
            notes.append(
                f"No jail reads {', '.join(map(quote, paths))}: the log format {quote(text)} "
                f"cannot be used, as {error}."
            )
            continue
        name = FILTERS[len(filters)]
        filters[name] = content
        jails.append(
            {
                "name": name,
                "filter": name,
                "rule": "",
                "logs": paths,
                "max_refusals": ban.max_refusals,
                "find_seconds": ban.find_seconds,
                "seconds": None,
            }
        )
    return jails, filters, notes


def _by_format(evidence: Row) -> dict[tuple[str, str], list[str]]:
    """(server, text of the format) -> the logs of virtual hosts with WordPress that are there."""
    there = {row["path"] for row in evidence.get("logs") or ()}
    found: dict[tuple[str, str], list[str]] = {}
    for vhost in evidence.get("vhosts") or ():
        formats = mapping(mapping(evidence.get(vhost["server"])).get("log_formats"))
        for log in vhost.get("access_logs") or () if vhost.get("sites") else ():
            paths = found.setdefault(
                (vhost["server"], formats.get(log["format"], log["format"])), []
            )
            if log["path"] in there and log["path"] not in paths:
                paths.append(log["path"])
    return {key: paths for key, paths in found.items() if paths}
