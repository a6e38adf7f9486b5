# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folded parts of a host's report: everything else that the probe saw, as plain tables.

A section is a title, a phrase that says whether unfolding is worth it, and blocks: facts (names
with values), tables, and lists of sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_access import (
    ERROR_NAMES,
    estimates,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    NOTHING,
    count,
    decimal,
    mapping,
    moment,
    number,
    numbers,
    plural,
    rows,
    share,
    size,
    span,
    texts,
    whole,
)

MOST_ROWS = 100
Section = dict[str, Any]


def table(
    caption: str,
    head: Sequence[str],
    body: Iterable[Sequence[Any]],
    numeric: Sequence[int] = (),
    *,
    narrow: bool = False,
) -> dict[str, Any]:
    """A table block.

    ``numeric`` names the columns that stand on the right; ``narrow`` tables fit a phone as they
    are, the others show each row as a card there.
    """
    lines = [[str(cell) for cell in line] for line in body]
    return {
        "kind": "table",
        "caption": caption,
        "head": list(head),
        "rows": lines[:MOST_ROWS],
        "more": max(len(lines) - MOST_ROWS, 0),
        "numeric": list(numeric),
        "narrow": narrow,
    }


def facts(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A block of names with values; the ones without a value are left out."""
    return {"kind": "facts", "items": [(name, str(value)) for name, value in items if value]}


def sentences(items: Iterable[str]) -> dict[str, Any]:
    """A block of sentences."""
    lines = list(items)
    return {"kind": "list", "rows": lines[:MOST_ROWS], "more": max(len(lines) - MOST_ROWS, 0)}


def _section(title: str, phrase: str, *blocks: dict[str, Any]) -> Section | None:
    filled = [one for one in blocks if one.get("rows") or one.get("items")]
    return {"title": title, "phrase": phrase, "blocks": filled} if filled else None


def _yes(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, NOTHING) if isinstance(value, bool) else NOTHING


def _server(evidence: Mapping[str, Any]) -> Section | None:
    nginx, httpd = mapping(evidence.get("nginx")), mapping(evidence.get("httpd"))
    host = mapping(evidence.get("host"))
    system = mapping(host.get("os"))
    sites = rows(evidence.get("sites"))
    vhosts = rows(evidence.get("vhosts"))
    rules: list[tuple[object, ...]] = []
    for vhost in vhosts:
        for rule in rows(vhost.get("xmlrpc_rules")):
            place = (rule.get("file"), rule.get("line"), rule.get("text"))
            # A rule of httpd's main server stands in every virtual host.
            if place not in rules:
                rules.append(place)
    fronts = sum(1 for vhost in vhosts if vhost.get("fronts"))
    return _section(
        "Server and sites",
        plural(len(sites), "WordPress site"),
        facts(
            [
                ("System", " ".join(texts([system.get("id"), system.get("version_id")]))),
                ("nginx", nginx.get("version")),
                ("httpd", " ".join(texts([httpd.get("version"), httpd.get("mpm")]))),
                ("Addresses", ", ".join(texts(host.get("addresses")))),
                ("Virtual hosts", len(vhosts)),
                ("of them nginx in front of httpd", fronts or None),
            ]
        ),
        table(
            "WordPress sites",
            ("Site", "Version", "Directory", "Needs XML-RPC", "Claims to lock it", "Guarded"),
            (
                (
                    site.get("id"),
                    site.get("version") or NOTHING,
                    site.get("path"),
                    ", ".join(texts(site.get("xmlrpc_plugins"))) or "nothing found",
                    ", ".join(texts(site.get("locking_plugins"))) or NOTHING,
                    _yes(site.get("guarded")),
                )
                for site in sites
            ),
        ),
        table("Directives that mention XML-RPC already", ("File", "Line", "Text"), rules, (1,)),
    )


def _errors(evidence: Mapping[str, Any]) -> Section | None:
    found = sorted(rows(evidence.get("errors")), key=lambda row: -whole(row.get("count")))
    return _section(
        "Error logs",
        plural(sum(whole(row.get("count")) for row in found), "telling line"),
        table(
            "Errors in the window",
            ("What", "Times", "First", "Last", "Log", "Sample"),
            (
                (
                    ERROR_NAMES.get(str(row.get("kind")), row.get("kind")),
                    count(row.get("count")),
                    moment(row.get("first")),
                    moment(row.get("last")),
                    row.get("log"),
                    row.get("sample") or NOTHING,
                )
                for row in found
            ),
            (1,),
        ),
    )


def _averages(value: object) -> str:
    found = mapping(value)
    if not found:
        return NOTHING
    return " / ".join(decimal(found.get(name)) for name in ("avg10", "avg60", "avg300"))


def _now(evidence: Mapping[str, Any]) -> Section | None:
    now = mapping(evidence.get("now"))
    memory, connections = mapping(now.get("memory")), mapping(now.get("connections"))
    load = [decimal(one) for one in numbers(now.get("load"))]
    total, available = memory.get("total"), memory.get("available")
    swap, swap_free = number(memory.get("swap_total")), number(memory.get("swap_free"))
    files = mapping(now.get("open_files"))
    phrase = f"load {load[0]} on {count(now.get('cpus'))} cores" if load else ""
    if whole(total):
        phrase += f", {share(available, total)} of memory available"
    return _section(
        "The host now",
        phrase.lstrip(", "),
        facts(
            [
                ("Load, 1 / 5 / 15 min", " / ".join(load)),
                ("Cores", now.get("cpus")),
                ("Memory available", whole(total) and f"{size(available)} of {size(total)}"),
                ("Swap used", swap and f"{size(swap - (swap_free or 0))} of {size(swap)}"),
                (
                    "Connections",
                    connections
                    and f"{count(connections.get('established'))} established, "
                    f"{count(connections.get('half_open'))} half open",
                ),
                (
                    "Open files",
                    files and f"{count(files.get('used'))} of {count(files.get('max'))}",
                ),
            ]
        ),
        table(
            "Pressure: percent of time in which tasks waited, over 10 s / 60 s / 300 s",
            ("Resource", "Some waited", "All waited"),
            (
                (name, _averages(mapping(one).get("some")), _averages(mapping(one).get("full")))
                for name, one in mapping(now.get("pressure")).items()
            ),
            (1, 2),
            narrow=True,
        ),
        table(
            "Workers; memory is each process's own share (PSS)",
            ("Service", "Processes", "All", "Mean", "Largest", "Measured"),
            (
                (
                    one.get("service"),
                    count(one.get("count")),
                    size(one.get("pss_total")),
                    size(one.get("pss_mean")),
                    size(one.get("pss_max")),
                    count(one.get("sampled")),
                )
                for one in rows(now.get("workers"))
            ),
            (1, 2, 3, 4, 5),
        ),
        table(
            "Disks",
            ("Mounted on", "Available", "Of", "Free", "Inodes free"),
            (
                (
                    one.get("mount"),
                    size(one.get("available")),
                    size(one.get("size")),
                    share(one.get("available"), one.get("size")),
                    share(one.get("inodes_free"), one.get("inodes")) or NOTHING,
                )
                for one in rows(now.get("disks"))
            ),
            (1, 2, 3, 4),
        ),
        table(
            "Busiest processes",
            ("Process", "Name", "Cores used"),
            (
                (one.get("pid"), one.get("name"), decimal(one.get("cpu_share")))
                for one in rows(now.get("busiest"))
            ),
            (0, 2),
            narrow=True,
        ),
        table(
            "Connections by peer",
            ("Address", "Connections"),
            (
                (one.get("address"), count(one.get("count")))
                for one in rows(connections.get("peers"))
            ),
            (1,),
            narrow=True,
        ),
    )


def _traps(evidence: Mapping[str, Any]) -> Section | None:
    found = rows(evidence.get("traps"))
    return _section(
        "Traps in the configuration",
        f"{len(found)} found",
        table(
            "Settings that do not do what they look like",
            ("What it does", "Where", "Line", "Id"),
            (
                (
                    one.get("detail"),
                    ":".join(str(part) for part in (one.get("file"), one.get("line")) if part)
                    or one.get("server")
                    or NOTHING,
                    one.get("text") or (size(one["size"]) if number(one.get("size")) else NOTHING),
                    one.get("id"),
                )
                for one in found
            ),
        ),
    )


def _database(evidence: Mapping[str, Any]) -> Section | None:
    database = mapping(evidence.get("database"))
    statements, tables = rows(database.get("statements")), rows(database.get("tables"))
    slow = mapping(database.get("slow_log"))
    reachable = database.get("reachable")
    return _section(
        "Database",
        "could not be asked"
        if reachable is False
        else f"{plural(len(statements), 'long statement')}, {plural(len(tables), 'log table')}",
        facts(
            [
                ("Version", database.get("version")),
                ("Could not be asked", reachable is False and (database.get("reason") or "yes")),
                (
                    "Slow log",
                    slow
                    and (
                        f"{slow.get('file')}, from {span(slow.get('seconds'))}"
                        if slow.get("enabled")
                        else "off"
                    ),
                ),
            ]
        ),
        table(
            "Statements that were running for long",
            ("For", "User", "Database", "State", "Statement"),
            (
                (
                    span(one.get("seconds")),
                    one.get("user"),
                    one.get("schema") or NOTHING,
                    one.get("state") or NOTHING,
                    one.get("text"),
                )
                for one in statements
            ),
            (0,),
        ),
        table(
            "Tables that plugins use as logs",
            ("Table", "Plugin", "Rows, about", "Size", "Purged by", "Index on it", "Oldest"),
            (
                (
                    f"{one.get('schema')}.{one.get('table')}",
                    one.get("plugin") or NOTHING,
                    count(one.get("rows")),
                    size(one.get("bytes")),
                    one.get("purge_column") or NOTHING,
                    _yes(one.get("indexed")),
                    moment(one.get("oldest")),
                )
                for one in tables
            ),
            (2, 3),
        ),
    )


def _read(evidence: Mapping[str, Any]) -> Section | None:
    logs = rows(evidence.get("logs"))
    taken = evidence.get("duration_seconds")
    return _section(
        "What was read",
        f"{plural(len(logs), 'log')}, {size(sum(whole(log.get('bytes_read')) for log in logs))}"
        if logs
        else f"in {span(taken)}",
        facts(
            [
                ("Probed", evidence.get("collected_at") and moment(evidence["collected_at"])),
                (
                    "Took",
                    number(evidence.get("duration_seconds")) and span(evidence["duration_seconds"]),
                ),
                ("Logs from", evidence.get("since") and moment(evidence["since"])),
            ]
        ),
        table(
            "Access logs",
            ("Log", "Format", "From", "Files", "Read", "Time", "All of the window"),
            (
                (
                    str(log.get("path"))
                    + (" (the same requests as in others)" if log.get("repeats") else ""),
                    log.get("format") or NOTHING,
                    moment(log.get("since"))
                    + (" (further back, to the attack's start)" if log.get("extended") else ""),
                    count(log.get("files")),
                    size(log.get("bytes_read")),
                    span(log.get("seconds")),
                    _yes(log.get("complete")),
                )
                for log in logs
            ),
            (3, 4, 5),
        ),
        table(
            "Where the probe's time went",
            ("Part", "Time", "Complete"),
            (
                (one.get("part"), span(one.get("seconds")), _yes(one.get("complete")))
                for one in rows(evidence.get("budget"))
            ),
            (1,),
            narrow=True,
        ),
    )


def _problems(evidence: Mapping[str, Any], document: Mapping[str, Any]) -> Section | None:
    messages = [str(one.get("message")) for one in rows(evidence.get("problems"))]
    messages += [
        f"{path} was changed after nginx last loaded it; the next reload puts that into force."
        for path in texts(mapping(evidence.get("nginx")).get("config_newer_than_workers"))
    ]
    estimated = list(estimates(document))
    phrases = [plural(len(messages), "problem")] if messages else []
    phrases += [plural(len(estimated), "estimate")] if estimated else []
    return _section(
        "What is missing or estimated",
        ", ".join(phrases),
        sentences(messages),
        sentences(estimated),
    )


def sections(document: Mapping[str, Any]) -> list[Section]:
    """Every folded part that has something to show, in order."""
    evidence = mapping(document.get("evidence"))
    found = (
        _errors(evidence),
        _traps(evidence),
        _database(evidence),
        _now(evidence),
        _server(evidence),
        _read(evidence),
        _problems(evidence, document),
    )
    return [one for one in found if one]
