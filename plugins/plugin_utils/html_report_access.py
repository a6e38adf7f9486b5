# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the access logs say, for the report: the attack over time, and who sent it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import known_networks
from ansible_collections.wpward.wordpress.plugins.plugin_utils import html_report_recorder
from ansible_collections.wpward.wordpress.plugins.plugin_utils.html_report_values import (
    clock,
    count,
    mapping,
    moment,
    number,
    plural,
    rows,
    seconds_of,
    share,
    span,
    whole,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.svg_plot import (
    Bars,
    marks,
    paths,
    ticks,
)
from markupsafe import Markup

LAYERS = {
    "refused": "4xx: refused, or not there",
    "redirect": "3xx: sent elsewhere",
    "other": "other statuses",
    "served": "2xx: answered",
    "failed": "499 and 5xx: the client gave up, or the server failed",
}
"""Groups of statuses in the order they are stacked. A status alone does not tell whether an
attack succeeded, so the words claim no more than the status does."""
_SHORT = {
    "refused": "4xx",
    "redirect": "3xx",
    "other": "other",
    "served": "2xx",
    "failed": "499 and 5xx",
}

ERROR_NAMES = {
    "nginx_worker_connections": "nginx ran out of worker_connections",
    "nginx_open_files": "nginx ran out of open files",
    "nginx_upstream_timeout": "PHP did not answer nginx in time",
    "nginx_upstream_refused": "PHP refused nginx's connection",
    "httpd_max_request_workers": "httpd reached MaxRequestWorkers (AH00484, AH00161)",
    "httpd_min_spare_threads": "httpd reached MinSpareThreads (AH10159)",
    "httpd_scoreboard_full": "httpd's scoreboard was full",
    "httpd_open_files": "httpd ran out of open files",
    "fpm_max_children": "php-fpm reached pm.max_children",
    "kernel_oom": "the kernel killed a process for want of memory",
    "kernel_oom_service": "a service was killed for want of memory",
}
MOST_LANES = 6
LEAST_SCALE = 10
"""Requests per step below which no bar fills its lane: three requests are no mountain."""
MINOR = 20
"""A lane whose peak is so many times smaller than the highest one's is drawn lower."""
MOST_ROWS = 8
MOST_CLIENTS = 10
_MOST_STEPS = 2000


@dataclass(frozen=True)
class Event:
    """Something that happened at a time and belongs beside the requests."""

    at: float
    what: str
    kind: str


def access_rows(evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the access logs, most requests first."""
    return sorted(rows(evidence.get("access")), key=lambda row: -whole(row.get("hits")))


def endpoint_of(row: Mapping[str, Any]) -> str:
    """The row's endpoint and its site; the log where the log does not tell the site."""
    where = f"on {row['site']}" if row.get("site") else f"in {row.get('log')}"
    return f"{row.get('endpoint')} {where}"


def busiest(row: Mapping[str, Any]) -> tuple[int, int]:
    """The row's requests in its busiest second and in its busiest minute."""
    return (
        whole(mapping(row.get("peak_per_second")).get("count")),
        whole(mapping(row.get("peak_per_minute")).get("count")),
    )


def peak(row: Mapping[str, Any]) -> str:
    """The busiest second or minute in words, empty where neither is known."""
    second, minute = busiest(row)
    if second > 1:
        return f"{count(second)} a second"
    return f"{count(minute)} a minute" if minute else ""


def _layer_of(status: str) -> str:
    if status == "499" or status.startswith("5"):
        return "failed"
    return {"2": "served", "3": "redirect", "4": "refused"}.get(status[:1], "other")


def _bars(row: Mapping[str, Any]) -> Bars | None:
    timeline = mapping(row.get("timeline"))
    start, step = seconds_of(timeline.get("from")), number(timeline.get("step"))
    columns = {
        str(status): [whole(one) for one in column[:_MOST_STEPS]]
        for status, column in mapping(timeline.get("counts")).items()
        if isinstance(column, list)
    }
    if start is None or not step or step < 1 or not columns:
        return None
    length = max(map(len, columns.values()))
    layers = {name: [0] * length for name in LAYERS}
    for status, column in columns.items():
        layer = layers[_layer_of(status)]
        for index, hits in enumerate(column):
            layer[index] += hits
    return Bars(start, step, layers)


def events(document: Mapping[str, Any]) -> list[Event]:
    """What happened on the host beside the requests, in order."""
    evidence = mapping(document.get("evidence"))
    found: list[Event] = []
    for row in rows(evidence.get("errors")):
        name = ERROR_NAMES.get(str(row.get("kind")), str(row.get("kind")))
        first, last = seconds_of(row.get("first")), seconds_of(row.get("last"))
        times = f", {count(row.get('count'))} times" if whole(row.get("count")) > 1 else ""
        if first is not None:
            until = f" until {moment(row.get('last'))}" if last and last > first else ""
            found.append(Event(first, f"{name}{times}{until}", "error"))
    probed = seconds_of(evidence.get("collected_at"))
    # Logs alone were read when they were read, whatever their lines are about.
    if probed is not None and document.get("outcome") != "analysed":
        found.append(Event(probed, "this host was probed", "run"))
    written = seconds_of(document.get("written_at"))
    settled = {
        "confirmed": "the hardening was proven and confirmed",
        "proven_unchanged": "the hardening was proven again",
        "rolled_back": "everything was put back",
    }.get(str(document.get("outcome")))
    if written is not None and settled:
        found.append(Event(written, settled, "run"))
    return sorted(found, key=lambda event: event.at)


def _reach(lanes: Sequence[Bars], happened: Sequence[Event]) -> tuple[float, float] | None:
    """From the first request to the last, and a quarter further where events lie close by."""
    spans = [busy for lane in lanes if (busy := lane.busy())]
    if not spans:
        return None
    start, end = min(first for first, _last in spans), max(last for _first, last in spans)
    room = (end - start) / 4
    near = [one.at for one in happened if start - room <= one.at <= end + room]
    edge = (end - start) / 50
    return min([start, *near]) - edge, max([end, *near]) + edge


def _core(lanes: Sequence[Bars]) -> tuple[float, float] | None:
    """Where all but one in a hundred of the requests at either end lie."""
    steps = sorted(
        (lane.start + index * lane.step, total, lane.step)
        for lane in lanes
        for index, total in enumerate(lane.totals())
        if total
    )
    wanted = sum(total for _at, total, _step in steps) / 100
    if not steps:
        return None

    def skip(ordered: Sequence[tuple[float, int, float]]) -> tuple[float, int, float]:
        passed = 0
        for one in ordered:
            passed += one[1]
            if passed > wanted:
                return one
        return ordered[-1]

    last = skip(steps[::-1])
    start, end = skip(steps)[0], last[0] + last[2]
    room = max((end - start) / 10, 2 * last[2])
    return start - room, end + room


def _figure(
    caption: str,
    evidence: Mapping[str, Any],
    drawn: Sequence[tuple[Mapping[str, Any], Bars]],
    happened: Sequence[Event],
    start: float,
    end: float,
) -> dict[str, Any]:
    days = end - start > 20 * 3600
    lanes: list[dict[str, Any]] = []
    for row, bars in drawn:
        # Numbers and SVG's own letters only, and longer than any text of a host may be.
        shapes = [(layer, Markup(path)) for layer, path in paths(bars, start, end, LEAST_SCALE)]
        if not shapes:
            continue
        view = [
            index
            for index in range(len(bars.totals()))
            if start <= bars.start + index * bars.step < end
        ]
        totals = bars.totals()
        hits = sum(totals[index] for index in view)
        parts = {name: sum(column[index] for index in view) for name, column in bars.layers.items()}
        lanes.append(
            {
                "name": endpoint_of(row),
                "hits": count(hits),
                "parts": ", ".join(
                    f"{_SHORT[name]} {share(part, hits)}" for name, part in parts.items() if part
                ),
                "peak": max(totals[index] for index in view),
                "step": span(bars.step),
                "paths": shapes,
            }
        )
    highest = max((lane["peak"] for lane in lanes), default=0)
    for lane in lanes:
        lane["minor"] = lane["peak"] * MINOR < highest
        lane["top"] = count(lane["peak"])
    return {
        "caption": caption,
        "lanes": lanes,
        "recorder": html_report_recorder.plots(evidence, start, end),
        "marks": marks([one.at for one in happened], start, end),
        "ticks": [
            (left, clock(at, "%-d %b %H:%M" if days and at % 86400 else "%-d %b"))
            if days
            else (left, clock(at, "%H:%M"))
            for left, at in ticks(start, end, 4 if days else 6)
        ],
        "start": clock(start, "%-d %b %Y %H:%M"),
        "end": clock(end, "%-d %b %Y %H:%M"),
    }


def timeline(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The figures with their legend and events; None where neither a log nor a recorder tells
    anything over time."""
    evidence = mapping(document.get("evidence"))
    found = access_rows(evidence)
    drawn = [(row, bars) for row in found if (bars := _bars(row)) and bars.busy()][:MOST_LANES]
    lanes = [bars for _row, bars in drawn]
    happened = events(document)
    reach = _reach(lanes, happened) or html_report_recorder.recorded(evidence)
    if reach is None:
        return None
    figures = []
    core = _core(lanes)
    if core and core[1] - core[0] < (reach[1] - reach[0]) / 5:
        figures.append(_figure("The busiest part, closer", evidence, drawn, happened, *core))
    figures.append(_figure("All of it" if figures else "", evidence, drawn, happened, *reach))
    used = {layer for figure in figures for lane in figure["lanes"] for layer, _ in lane["paths"]}
    return {
        "figures": figures,
        "legend": [(layer, words) for layer, words in LAYERS.items() if layer in used],
        "events": [
            {
                "number": number_of,
                "at": clock(one.at, "%-d %b %H:%M:%S"),
                "what": one.what,
                "kind": one.kind,
                "drawn": reach[0] <= one.at <= reach[1],
            }
            for number_of, one in enumerate(happened, start=1)
        ],
        "left_out": max(len(found) - len(drawn), 0),
        "requests": bool(drawn),
        "recorder": any(figure["recorder"] for figure in figures),
        "no_recorder": html_report_recorder.missing(evidence),
    }


def _claims(row: Mapping[str, Any]) -> Iterator[str]:
    for claim in rows(row.get("claims")):
        hits, genuine = whole(claim.get("hits")), number(claim.get("genuine_hits"))
        who = (
            f"{plural(hits, 'request')} from {plural(whole(claim.get('addresses')), 'address')} "
            f"claimed to be {claim.get('claim')}"
        )
        if genuine is None:
            yield f"{who}; nobody publishes its addresses, so that cannot be checked."
        elif genuine >= hits:
            yield f"{who}, and came from its published addresses."
        elif genuine <= 0:
            yield f"{who}: false, none came from its published addresses."
        else:
            yield f"{who}: true of {count(genuine)}, false of {count(hits - genuine)}."


def _through_cdn(row: Mapping[str, Any]) -> str:
    parties = mapping(row.get("parties"))
    hits = whole(row.get("hits"))
    for party in known_networks.EDGES:
        if hits and whole(parties.get(party)) * 2 > hits:
            return (
                f"{share(parties.get(party), hits)} of these requests came through {party}: the "
                "addresses below are its edges, not the clients. Never ban them. Its own logs name "
                "the clients: wpward logs PATH reads them."
            )
    return ""


def sources(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Who asked for each endpoint, for the busiest rows."""
    found = []
    for row in access_rows(mapping(document.get("evidence")))[:MOST_ROWS]:
        hits = row.get("hits")
        exact = row.get("clients_exact") is not False
        clients, networks = rows(row.get("clients")), rows(row.get("networks"))
        found.append(
            {
                "name": endpoint_of(row),
                "hits": count(hits),
                "peak": peak(row),
                "first": moment(row.get("first")),
                "last": moment(row.get("last")),
                "distinct": ("" if row.get("distinct_clients_exact") is not False else "about ")
                + plural(whole(row.get("distinct_clients")), "client"),
                "statuses": _shares(row.get("statuses"), hits),
                "methods": _shares(row.get("methods"), hits),
                "cdn": _through_cdn(row),
                "parties": _shares(row.get("parties"), hits),
                "claims": list(_claims(row)),
                "exact": exact,
                "clients": [
                    (
                        str(one.get("address")),
                        ("" if exact else "≥ ") + count(one.get("hits")),
                        share(one.get("hits"), hits),
                    )
                    for one in clients[:MOST_CLIENTS]
                ],
                "networks": [
                    (
                        str(one.get("network")),
                        count(one.get("hits")),
                        share(one.get("hits"), hits),
                        count(one.get("clients")),
                    )
                    for one in networks[:MOST_CLIENTS]
                ],
            }
        )
    return found


def _shares(counts: object, hits: object) -> list[str]:
    ordered = sorted(mapping(counts).items(), key=lambda item: -whole(item[1]))
    return [f"{name}: {count(part)} ({share(part, hits)})" for name, part in ordered[:8]]


def estimates(document: Mapping[str, Any]) -> Iterator[str]:
    """What in the report is not exact, one sentence each."""
    evidence = mapping(document.get("evidence"))
    for row in access_rows(evidence):
        if row.get("clients_exact") is False:
            yield (
                f"{endpoint_of(row)}: requests per client are lower bounds, there were too many "
                "clients to keep each; the totals are exact."
            )
        if row.get("distinct_clients_exact") is False:
            yield f"{endpoint_of(row)}: the number of different clients is estimated."
    for log in rows(evidence.get("logs")):
        if log.get("complete") is False:
            yield f"{log.get('path')}: only its newest part was read, the time ran out."
    for part in rows(evidence.get("budget")):
        if part.get("complete") is False:
            yield (
                f"The part “{part.get('part')}” of the probe was cut short after "
                f"{span(part.get('seconds'))}."
            )
    if rows(mapping(evidence.get("database")).get("tables")):
        yield "Rows of database tables are the server's own estimates."
