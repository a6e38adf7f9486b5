# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host's plan on one screen: is it an attack, what, from whom, since when, what burns, what now.

Everything that is judged here is judged by the plan's own code; this only chooses and words it.
"""

from __future__ import annotations

import json
import math
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    AFTERMATH,
    ATTACK,
    clock,
    epoch,
    mapping,
    percent,
    plural,
    quote,
    size,
    span,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.judgement import judge
from ansible_collections.wpward.wordpress.plugins.plugin_utils.thresholds import (
    complete_thresholds,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    Known,
    Traffic,
    pool,
    strangers,
)

WIDTH = 80
HEIGHT = 24
_LABEL = 9
_HEADLINES = {
    "attack": "ATTACK, going on now",
    "aftermath": "AFTERMATH: an attack is over and still does harm",
    "probing": "PROBING: somebody unknown tries doors, no attack",
    "quiet": "quiet: no attack",
}
_BLIND = (
    "part_failed",
    "web_server_not_found",
    "wordpress_not_found",
    "nginx_unusable",
    "nginx_config_unread",
    "httpd_unusable",
    "httpd_config_unread",
)
"""Problems, beside those of logs, behind which an attack may hide."""
_UNSURE = "NOT CERTAIN: no attack in what could be read"
_ENDPOINTS = ("xmlrpc", "login")


@dataclass(frozen=True)
class Way:
    """How the operator reaches the host, for command lines that do the same."""

    host: str
    user: str | None = None
    port: int | None = None
    config: Path | None = None
    ask_password: bool = False


def verdict(
    way: Way,
    evidence: Mapping[str, Any],
    plan: Mapping[str, Any],
    report: str,
    first_aid: Mapping[str, Any] | None = None,
) -> list[str]:
    """At most HEIGHT - 1 lines of WIDTH columns, so that a prompt still fits below.

    ``report``: where the whole of it is. ``first_aid``: what came of that, None where it was not
    asked for.
    """
    findings = plan["findings"]
    missing = _missing(evidence)
    # Who has not seen everything cannot say that there is nothing.
    unsure = not complete(evidence) and plan["verdict"] not in (ATTACK, AFTERMATH)
    headline = _UNSURE if unsure else _HEADLINES[plan["verdict"]]
    lines = [_cut(f"{way.host}: {headline}")]
    held = mapping(evidence.get("first_aid"))
    if first_aid is not None:
        lines += _block("first", first_aid_said(first_aid), 3)
    elif held:
        lines += _block("first", f"aid holds until {quote(held.get('until'))}, given before", 1)
    lines += _block("what", _what(findings), 4)
    worst = _worst(evidence, findings)
    if worst is not None:
        lines += _block("from", _from(worst, evidence), 2)
        lines += _block("since", _since(worst, evidence), 1)
    lines += _rows("burns", list(_burns(evidence)), 5)
    last = _block("missing", missing, 2)
    last += _rows("next", list(_next(way, evidence, plan, first_aid is not None)), 5)
    last += [f"{'report':{_LABEL}}{report}"]
    room = HEIGHT - 1 - _height(lines) - _height(last)
    also = [f"{one['severity']}: {one['title']}" for one in findings[1:]]
    return [*lines, *(_rows("also", also, room) if room > 0 else ()), *last]


def complete(evidence: Mapping[str, Any]) -> bool:
    """Whether all of it was read that can show an attack."""
    read = [*(evidence.get("budget") or ()), *(evidence.get("logs") or ())]
    return all(one.get("complete", True) for one in read) and not any(
        map(_blinding, evidence.get("problems") or ())
    )


def _blinding(problem: Mapping[str, Any]) -> bool:
    return problem["id"].startswith("log_") or problem["id"] in _BLIND


def commands(
    way: Way, evidence: Mapping[str, Any], plan: Mapping[str, Any], aided: bool
) -> list[str]:
    """The command lines to go on with. ``aided``: whether first aid was asked for."""
    return [line for line in _next(way, evidence, plan, aided) if line.startswith("wpward ")]


def first_aid_said(first_aid: Mapping[str, Any]) -> str:
    """What came of first aid, in a sentence or two."""
    if first_aid.get("failure"):
        return f"first aid FAILED, nothing was changed: {quote(first_aid['failure'])}"
    by = ", ".join(quote(way) for way in first_aid.get("ways") or ())
    until = f" until {quote(first_aid['until'])}" if first_aid.get("until") else ""
    said = f"aid: XML-RPC is closed by {by}{until}."
    still = first_aid.get("open") or ()
    if still:
        said = f"aid holds, but STILL OPEN: {quote(still[0])}" + (
            f" (and {len(still) - 1} more)" if len(still) > 1 else ""
        )
    return " ".join([said, *(quote(note) for note in first_aid.get("notes") or ())])


def _height(lines: Sequence[str]) -> int:
    """Lines of the screen that they take: command lines and paths are never cut."""
    return sum(max(math.ceil(len(line) / WIDTH), 1) for line in lines)


def _cut(line: str, width: int = WIDTH) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."


def _block(label: str, text: str, most: int) -> list[str]:
    """A text under a label, wrapped, at most so many lines."""
    if not text:
        return []
    wrapped = textwrap.wrap(
        text,
        WIDTH - _LABEL,
        max_lines=most,
        placeholder=" ...",
        break_on_hyphens=False,
    )
    return [f"{label if not number else '':{_LABEL}}{one}" for number, one in enumerate(wrapped)]


def _rows(label: str, rows: Sequence[str], most: int) -> list[str]:
    """One row each under a label; what is too much is counted."""
    shown = list(rows)
    if len(shown) > most:
        shown = [*shown[: most - 1], f"and {len(shown) - most + 1} more"]
    return [
        f"{label if not number else '':{_LABEL}}"
        + (one if one.startswith("wpward ") else _cut(one, WIDTH - _LABEL))
        for number, one in enumerate(shown)
    ]


def _what(findings: Sequence[Mapping[str, Any]]) -> str:
    if not findings:
        return "Nothing is wrong that the probe looks for."
    first = findings[0]
    site = f" on {quote(first['site'])}" if first["site"] else ""
    return f"{first['severity'].upper()}: {first['title']}{site}. {first['message']}"


def _known(evidence: Mapping[str, Any]) -> Known:
    host = mapping(evidence.get("host"))
    return Known(
        trusted=[],
        own=frozenset(host.get("addresses") or ()),
        operator=host.get("controller_address"),
        loop=any(trap.get("id") == "self_proxy" for trap in evidence.get("traps") or ()),
    )


def _worst(evidence: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> Traffic | None:
    """The traffic of the attack with the most requests."""
    attacked = {one["site"] for one in findings if one["verdict"] in (ATTACK, AFTERMATH)}
    limits = complete_thresholds({})
    candidates = [
        one
        for one in pool(evidence.get("access") or ())
        if one.endpoint in _ENDPOINTS
        and one.site in attacked
        and judge(one, _known(evidence), limits).pattern
    ]
    return max(candidates, key=lambda one: one.hits, default=None)


def _from(traffic: Traffic, evidence: Mapping[str, Any]) -> str:
    limits = complete_thresholds({})
    behind = judge(traffic, _known(evidence), limits).behind_edge
    busiest = strangers(traffic, _known(evidence), limits)[:3] or traffic.clients.most_common(3)
    shares = ", ".join(
        f"{quote(address)} ({percent(hits / traffic.hits)})" for address, hits in busiest
    )
    what = "proxies that hide the clients" if behind else "clients"
    return f"{shares}; {plural(traffic.distinct, 'address')}{' of ' + what if behind else ''}"


def _since(traffic: Traffic, evidence: Mapping[str, Any]) -> str:
    found = judge(traffic, _known(evidence), complete_thresholds({}))
    ago = max(epoch(evidence["collected_at"]) - found.since, 0)
    return f"{clock(found.since)}, {span(ago)} ago; {plural(traffic.hits, 'request')} so far"


def _burns(evidence: Mapping[str, Any]) -> Iterator[str]:
    now, capacity = mapping(evidence.get("now")), mapping(evidence.get("capacity"))
    yield from _processor(now)
    yield from _memory(now, capacity)
    yield from _workers(now, capacity)
    database = mapping(evidence.get("database"))
    if database and not database.get("reachable"):
        yield "database: does not answer, or does not let root in"
    statements = database.get("statements") or ()
    if statements:
        longest = max(one.get("seconds") or 0 for one in statements)
        yield f"database: {plural(len(statements), 'statement')} running, up to {span(longest)}"


def _processor(now: Mapping[str, Any]) -> Iterator[str]:
    load = now.get("load")
    if not load:
        return
    waited = mapping(mapping(mapping(now.get("pressure")).get("cpu")).get("some")).get("avg10")
    waiting = f", something waited {waited:.0f} % of 10 s" if waited is not None else ""
    yield f"CPU: load {load[0]:.1f} on {plural(now.get('cpus') or 1, 'core')}{waiting}"
    names: dict[str, float] = {}
    for one in now.get("busiest") or ():
        names[one["name"]] = names.get(one["name"], 0) + one["cpu_share"]
    busiest = [
        f"{quote(name)} {share * 100:.0f} %" for name, share in names.items() if share >= 0.05
    ]
    if busiest:
        yield f"busiest (of a core): {', '.join(busiest[:4])}"


def _memory(now: Mapping[str, Any], capacity: Mapping[str, Any]) -> Iterator[str]:
    memory = mapping(capacity.get("memory")) or mapping(now.get("memory"))
    total, available = memory.get("total"), memory.get("available")
    if not total or available is None:
        return
    kept = mapping(now.get("memory"))
    swapped = (kept.get("swap_total") or 0) - (kept.get("swap_free") or 0)
    swap = f", {size(swapped)} swapped out" if swapped > 0 else ""
    yield f"memory: {size(available)} of {size(total)} left{swap}"


def _workers(now: Mapping[str, Any], capacity: Mapping[str, Any]) -> Iterator[str]:
    pools = [
        f"php-fpm {quote(one['name'])} {one['workers']} of {one['max_children']}"
        for master in capacity.get("php_fpm") or ()
        for one in master.get("pools") or ()
        if one.get("workers") and one.get("max_children")
    ]
    counts = [
        f"{one['service']} {one['count']}"
        for one in now.get("workers") or ()
        if one["service"] not in ("mariadb", "php-fpm" if pools else "")
    ]
    if pools or counts:
        yield f"workers: {', '.join([*pools[:3], *counts])}"


def _missing(evidence: Mapping[str, Any]) -> str:
    parts = [one["part"] for one in evidence.get("budget") or () if not one["complete"]]
    problems = sorted(evidence.get("problems") or (), key=_blinding, reverse=True)
    said = []
    if parts:
        said.append(f"{', '.join(parts)} not read to the end (--budget gives more time)")
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        said.append(f"{quote(problems[0]['message'])}{more}")
    return "; ".join(said)


def _next(
    way: Way, evidence: Mapping[str, Any], plan: Mapping[str, Any], aided: bool
) -> Iterator[str]:
    held = bool(mapping(evidence.get("first_aid")))
    planned = [one for one in plan["remedies"] if one["automated"]]
    attacked = plan["verdict"] == ATTACK and any(
        one["id"].startswith("xmlrpc_") for one in plan["findings"]
    )
    # First aid would cut Jetpack off; to harden does not.
    if attacked and not aided and not held and not _needs_jetpack(plan):
        yield "to close XML-RPC within seconds, for a day:"
        yield _contain(way)
    if planned:
        roles = ", ".join(one["role"] for one in planned)
        yield f"to apply {roles}:"
        yield _harden(way, plan)
    elif held:
        yield "to close XML-RPC for good:"
        yield _harden(way, plan)
    by_hand = [one["findings"][0] for one in plan["remedies"] if not one["automated"]]
    if by_hand:
        yield f"by hand: docs/findings.md#{by_hand[0]}"
    if not plan["remedies"] and not held:
        yield "nothing to do"


def _needs_jetpack(plan: Mapping[str, Any]) -> bool:
    return any(
        one["id"] == "xmlrpc_needed" and "jetpack" in one["message"].lower()
        for one in plan["findings"]
    )


def _contain(way: Way) -> str:
    words = ["wpward", "triage", "--contain"]
    words += ["-p", str(way.port)] if way.port else []
    words += ["-K"] if way.ask_password else []
    words += ["-F", str(way.config)] if way.config else []
    return shlex.join([*words, f"{way.user}@{way.host}" if way.user else way.host])


def _harden(way: Way, plan: Mapping[str, Any]) -> str:
    words = ["wpward", "harden", "-i", f"{way.host},"]
    words += ["-u", way.user] if way.user else []
    words += ["-K"] if way.ask_password else []
    variables: dict[str, Any] = {}
    if way.port:
        variables["ansible_port"] = way.port
    if way.config:
        variables["ansible_ssh_common_args"] = shlex.join(["-F", str(way.config.absolute())])
    if _needs_jetpack(plan):
        # It would stop working, and its networks are known.
        variables |= {
            "wpward_trusted_services": ["jetpack"],
            "wpward_policy": {"xmlrpc": "trusted"},
        }
    if variables:
        words += ["-e", json.dumps(variables)]
    return shlex.join(words)
