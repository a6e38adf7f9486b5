# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who stands in front of a host, and which of its web servers has to be told so."""

from __future__ import annotations

import ipaddress
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import known_networks
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import (
    DATES,
    RANGES,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.serving import is_behind_nginx_only
from ansible_collections.wpward.wordpress.plugins.plugin_utils.edges import (
    delivery_networks,
    local_proxies,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import epoch, mapping, quote
from ansible_collections.wpward.wordpress.plugins.plugin_utils.real_ip_settings import (
    AUTO,
    CUSTOM,
    FORWARDED_FOR,
    HEADERS,
    NONE,
    Settings,
    SettingsError,
    check_settings,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.thresholds import (
    complete_thresholds,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.traffic import (
    Known,
    is_local,
    pool,
)

Row = Mapping[str, Any]

CONFIGURED = "configured"
PRESENT, ABSENT, KEPT = "present", "absent", "kept"
OUR_FILE = "wpward-real-ip.conf"
OLD = 90
"""Days after which the table of published ranges is called old."""

_LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True)
class Server:
    """One web server of the host.

    outer: clients or the network in front connect to it. inner: an nginx of the same host connects
    to it. told: that nginx says for whom. header, networks, places: the operator's own settings.
    present: our file is part of its configuration.
    """

    outer: bool
    inner: bool
    told: bool
    header: str
    networks: tuple[str, ...]
    places: tuple[str, ...]
    present: bool

    @property
    def is_configured(self) -> bool:
        """Whether it has settings that are not ours."""
        return bool(self.header)


@dataclass(frozen=True)
class _Front:
    """Who stands in front. active: whether the servers are to be told. kept: whether that is done,
    by an earlier run, and stays as it is."""

    behind: str | None
    networks: tuple[str, ...] = ()
    header: str = ""
    active: bool = False
    kept: bool = False
    notes: list[str] = field(default_factory=list)


def real_ip_plan(
    evidence: Row, cdn: Any = AUTO, networks: Any = None, header: Any = ""
) -> dict[str, Any]:
    """See the filter of that name."""
    nginx, httpd = _servers(evidence)
    try:
        settings = check_settings(cdn, networks, header)
    except SettingsError as error:
        return _describe(_Front(None, kept=True), nginx, httpd, (), str(error))
    front = _configured(settings, nginx, httpd) or _front(evidence, settings, nginx, httpd)
    plan = _describe(front, nginx, httpd, _own(evidence), "")
    if plan["httpd"]["state"] == PRESENT:
        plan["notes"] += _log_notes(evidence)
    return plan


# --- the servers ---------------------------------------------------------------------------------


def _servers(evidence: Row) -> tuple[Server, Server]:
    rows = [row for row in evidence.get("vhosts") or () if row.get("sites")]
    of_httpd = [row for row in rows if row.get("server") == "httpd"]
    nginx, httpd = mapping(evidence.get("nginx")), mapping(evidence.get("httpd"))
    return (
        _server(
            nginx,
            "from",
            outer=any(row.get("server") == "nginx" for row in rows),
            inner=False,
            told=False,
        ),
        _server(
            httpd,
            "proxies",
            outer=not all(map(is_behind_nginx_only, of_httpd)),
            inner=any(row.get("fronted") for row in of_httpd),
            told=_tells_httpd(evidence.get("vhosts") or ()),
        ),
    )


def _tells_httpd(rows: Iterable[Row]) -> bool:
    """Whether nginx itself writes the client's address into the header wherever it passes requests
    on to httpd. Where it does not, a client's own header comes through."""
    return all(
        row.get("tells_client")
        for row in rows
        if row.get("server") == "nginx" and row.get("fronts")
    )


def _server(server: Row, name: str, outer: bool, inner: bool, told: bool) -> Server:
    found = mapping(server.get("real_ip"))
    networks = tuple(filter(None, map(_canonical, found.get(name) or ())))
    places = [place for place in found.get("places") or () if isinstance(place, Mapping)]
    return Server(
        outer,
        inner,
        told,
        found.get("header") or "",
        networks,
        tuple(f"{place.get('file')}:{place.get('line')}" for place in places),
        any(posixpath.basename(path) == OUR_FILE for path in mapping(server.get("files"))),
    )


def _canonical(text: Any) -> str | None:
    """None for what is no network, such as a host's name or ``unix:``."""
    try:
        return str(ipaddress.ip_network(str(text), strict=False))
    except ValueError:
        return None


def _own(evidence: Row) -> tuple[str, ...]:
    addresses = mapping(evidence.get("host")).get("addresses") or ()
    return tuple(one for one in addresses if not ipaddress.ip_address(one).is_loopback)


def _log_notes(evidence: Row) -> list[str]:
    """What goes on writing the proxy's address into httpd's logs."""
    formats = mapping(mapping(evidence.get("httpd")).get("log_formats"))
    written = {
        log["path"]: formats.get(log["format"], log["format"])
        for row in evidence.get("vhosts") or ()
        if row.get("server") == "httpd"
        for log in row.get("access_logs") or ()
    }
    peers = [path for path, text in written.items() if "%{c}a" in text or "%{c}h" in text]
    if not peers:
        return []
    return [
        f"The log format of {quote(', '.join(sorted(peers)))} has %{{c}}a or %{{c}}h, which is the "
        "proxy's address; %a and %h are the client's."
    ]


# --- who stands in front -------------------------------------------------------------------------


def _configured(settings: Settings, nginx: Server, httpd: Server) -> _Front | None:
    """The operator's own settings, which are left alone; None where there are none."""
    if settings.cdn == NONE:
        return None
    theirs = [server for server in (nginx, httpd) if server.outer and server.is_configured]
    if nginx.outer and httpd in theirs and all(map(_is_loopback, httpd.networks)):
        # That only tells httpd of the nginx in front of it.
        theirs.remove(httpd)
    if not theirs:
        return None
    notes = []
    places = quote(", ".join(place for server in theirs for place in server.places))
    kept = any(server.present for server in theirs)
    if kept:
        notes.append(
            f"The web server has settings of its own for the real address of clients ({places}) "
            "beside those of an earlier run; both are left as they are. Set wpward_cdn to none to "
            "take ours back, or remove the others."
        )
    elif settings.cdn != AUTO:
        notes.append(
            f"The web server has settings of its own for the real address of clients ({places}); "
            f"wpward_cdn {settings.cdn} is not applied. Remove them if they are not right."
        )
    if nginx in theirs and not nginx.networks:
        notes.append(
            f"nginx is to read {quote(nginx.header)} ({quote(', '.join(nginx.places))}), but "
            "believes nobody; add set_real_ip_from with the proxy's networks, or remove it."
        )
    if httpd in theirs and not httpd.networks:
        notes.append(
            f"httpd takes the client's address from {quote(httpd.header)} "
            f"({quote(', '.join(httpd.places))}) whoever sends it, so that everybody can pass for "
            "anybody; add RemoteIPTrustedProxy with the proxy's networks, or remove it."
        )
    networks = tuple(dict.fromkeys(one for server in theirs for one in server.networks))
    return _Front(CONFIGURED, networks, theirs[0].header, kept=kept, notes=notes)


def _front(evidence: Row, settings: Settings, nginx: Server, httpd: Server) -> _Front:
    if settings.cdn == NONE:
        return _Front(None)
    if settings.cdn == CUSTOM:
        header = settings.header or FORWARDED_FOR
        return _Front(CUSTOM, settings.networks, header, active=True)
    if settings.cdn != AUTO:
        return _published([settings.cdn], settings.header, evidence)
    if nginx.present or httpd.present:
        # Now that the log shows the clients, it no longer tells what is in front.
        note = (
            "An earlier run set up the real address of clients here, and with wpward_cdn auto that "
            "stays as it is. Name the network in wpward_cdn to keep its ranges up to date, or set "
            "it to none to take that back."
        )
        return _Front(CONFIGURED, active=True, kept=True, notes=[note])
    return _seen(evidence, fronted=httpd.inner)


def _seen(evidence: Row, fronted: bool) -> _Front:
    """What the logs tell. fronted: whether loopback may be the host's own nginx."""
    host = mapping(evidence.get("host"))
    known = Known(
        own=frozenset(host.get("addresses") or ()),
        operator=host.get("controller_address"),
        loop=any(trap.get("id") == "self_proxy" for trap in evidence.get("traps") or ()),
    )
    limits = complete_thresholds({})
    traffics = pool(evidence.get("access") or ())
    parties = delivery_networks(traffics, known, limits)
    if parties:
        return _published(parties, "", evidence)
    proxies = local_proxies(traffics, known, limits)
    if not proxies or (fronted and all(map(_is_loopback, proxies))):
        return _Front(None)
    named = ", ".join(proxies)
    note = (
        f"Most requests come from {named}, most likely a proxy of your own. What it sends is not "
        "trusted unless you say so: set wpward_cdn to custom and wpward_cdn_networks to its "
        "addresses, or wpward_cdn to none where these are the clients themselves."
    )
    networks = tuple(str(ipaddress.ip_network(address)) for address in proxies)
    return _Front(CUSTOM, networks, notes=[note])


def _published(parties: Sequence[str], header: str, evidence: Row) -> _Front:
    """Networks whose ranges are known."""
    usual = HEADERS.get(parties[0], FORWARDED_FOR) if len(parties) == 1 else FORWARDED_FOR
    networks = tuple(network for party in parties for network in RANGES[party].split())
    return _Front(
        parties[0], networks, header or usual, active=True, notes=_ages(parties, evidence)
    )


def _ages(parties: Iterable[str], evidence: Row) -> list[str]:
    now = evidence.get("collected_at")
    if not now:
        return []
    days = {
        party: int((epoch(now) - epoch(f"{DATES[party]}T00:00:00Z")) // 86400) for party in parties
    }
    return [
        f"The table of {party}'s published ranges is of {DATES[party]}, {age} days old; bring it "
        "up to date with `wpward cdn refresh` and run again."
        for party, age in days.items()
        if age > OLD
    ]


def _is_loopback(network: str) -> bool:
    return ipaddress.ip_network(network).is_loopback


def _first(network: str) -> str:
    return network.partition("/")[0]


# --- what to do ----------------------------------------------------------------------------------


def _describe(
    front: _Front, nginx: Server, httpd: Server, own: Sequence[str], refusal: str
) -> dict[str, Any]:
    outer = httpd.outer and not httpd.is_configured
    # httpd reads one header only; nginx, and all the known networks too, send X-Forwarded-For.
    suits = front.header == FORWARDED_FOR or front.behind in known_networks.EDGES
    inner = httpd.inner and not httpd.is_configured and httpd.told and (suits or not httpd.outer)
    # Of a client with a private address httpd is told by a proxy of the private network only.
    believed = front.networks if front.active and outer else ()
    notes = list(front.notes)
    if front.active and not front.kept and httpd.inner and not (inner or httpd.is_configured):
        why = (
            f"it is also reached past nginx, with the client in {front.header}"
            if httpd.told
            else "nginx does not say `proxy_set_header X-Forwarded-For "
            "$proxy_add_x_forwarded_for;` wherever it passes requests on"
        )
        notes.append(f"httpd goes on taking the nginx in front of it for the client, as {why}.")
    servers = {
        "nginx": {
            "state": _state(front, nginx, nginx.outer and not nginx.is_configured),
            "header": front.header,
            "trusted": list(front.networks) if front.active else [],
        },
        "httpd": {
            "state": _state(front, httpd, inner or outer),
            "header": FORWARDED_FOR if inner else front.header,
            "trusted": [one for one in believed if not is_local(_first(one))],
            "internal": [
                *([*_LOOPBACK, *own] if front.active and inner else []),
                *(one for one in believed if is_local(_first(one))),
            ],
        },
    }
    return {
        "behind": front.behind,
        "networks": list(front.networks),
        "header": front.header,
        "active": any(server["state"] in (PRESENT, KEPT) for server in servers.values()),
        "refusal": refusal,
        "notes": notes,
        **servers,
    }


def _state(front: _Front, server: Server, possible: bool) -> str | None:
    """What becomes of our file in a server; None where there is none and shall be none."""
    if front.kept:
        return KEPT if server.present else None
    if front.active and possible:
        return PRESENT
    return ABSENT if server.present else None
