# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns the catalogue into the HTTP checks of one site: what must be refused, what must work."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Dict, Iterator, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ENDPOINTS,
    SITE_WORK,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import (
    OPEN,
    TRUSTED,
    Endpoint,
    Request,
)

Check = Dict[str, Any]

CLIENT_HEADERS = (
    "X-Forwarded-For",
    "X-Real-IP",
    "CF-Connecting-IP",
    "True-Client-IP",
    "Fastly-Client-IP",
)
"""Headers from which servers behind a proxy take the client's address."""


def checks_for_site(
    site: Mapping[str, Any],
    connect: Mapping[str, Any],
    policy: Mapping[str, str],
    logins: Sequence[str] = (),
    guard: bool = True,
    endpoints: tuple[Endpoint, ...] = ENDPOINTS,
    forged: Sequence[str] = (),
) -> list[Check]:
    """The HTTP checks of one site over one connection, in the form that `http_checks` takes.

    site: a site of the evidence; `id` and `url_path` are used.
    connect: `address`, `port`, `tls`, `host` (the Host header, with a port that is not usual).
    policy: the complete policy, as `policy.check_policy` returns it.
    logins: login names whose appearance in an answer proves a leak. Requests that ask for a user
        by name are made for the first of them.
    guard: whether the guard plugin is installed, so that its refusals can be asked for.
    forged: trusted addresses that a stranger claims to come from, by the headers of proxies: where
        the server believes them from everybody, an endpoint under policy `trusted` is open.
    """
    asker = _Asker(site, connect, logins)
    checks = [asker.work(None, request) for request in SITE_WORK]
    for endpoint in endpoints:
        checks.extend(asker.work(endpoint, request) for request in endpoint.lookalikes)
        wanted = policy[endpoint.id]
        if wanted == OPEN:
            checks.extend(asker.work(endpoint, request) for request in endpoint.served)
            continue
        for request in endpoint.refused:
            checks.extend(asker.refuse(endpoint, request, (403,), wanted == TRUSTED))
        if guard:
            for request in endpoint.guarded:
                checks.extend(asker.refuse(endpoint, request, (), wanted == TRUSTED))
        if wanted == TRUSTED:
            checks.extend(asker.trusted(endpoint, request) for request in endpoint.served)
            for request in _claiming(endpoint.served[0], forged):
                checks.extend(asker.refuse(endpoint, request, (403,), True))
    # Two templates can come to the same request where the site is at "/".
    return list({check["id"]: check for check in checks}.values())


def _claiming(request: Request, forged: Sequence[str]) -> Iterator[Request]:
    for address in forged:
        for header in CLIENT_HEADERS:
            yield replace(
                request,
                headers=(*request.headers, (header, address)),
                note=f"claims to be {address} in {header}",
                statuses=None,
            )


class _Asker:
    """Fills the catalogue's templates in for one site and connection."""

    def __init__(
        self, site: Mapping[str, Any], connect: Mapping[str, Any], logins: Sequence[str]
    ) -> None:
        self._site = site["id"]
        self._connect = dict(connect)
        self._logins = tuple(logins)
        host = str(connect["host"])
        base = site["url_path"].rstrip("/") + "/"
        scheme = "https" if connect["tls"] else "http"
        self._words = {
            "{base}": base,
            "{host}": host,
            "{site_url}": f"{scheme}://{host}{base}",
            "{login}": self._logins[0] if self._logins else "",
        }
        self._server = f"{scheme}://{host} at {connect['address']}:{connect['port']}"

    def work(self, endpoint: Endpoint | None, request: Request) -> Check:
        return self._check(endpoint, "work", request, statuses=())

    def trusted(self, endpoint: Endpoint, request: Request) -> Check:
        return self._check(
            endpoint, "trusted", request, statuses=(200,), must_match=endpoint.served_shows
        )

    def refuse(
        self,
        endpoint: Endpoint,
        request: Request,
        statuses: tuple[int, ...],
        served_when_trusted: bool,
    ) -> Iterator[Check]:
        if "{login}" in request.target + request.body and not self._logins:
            return
        check = self._check(
            endpoint, "refuse", request, statuses, must_not_match=self._leaks(endpoint)
        )
        if served_when_trusted:
            check["when_trusted"] = "served"
        yield check

    def _leaks(self, endpoint: Endpoint) -> tuple[str, ...]:
        leaks = [leak for leak in endpoint.leaks if "{login}" not in leak]
        for leak in endpoint.leaks:
            if "{login}" in leak:
                leaks += [leak.replace("{login}", re.escape(login)) for login in self._logins]
        return tuple(leaks)

    def _fill(self, template: str) -> str:
        for word, value in self._words.items():
            template = template.replace(word, value)
        return template

    def _check(
        self,
        endpoint: Endpoint | None,
        kind: str,
        request: Request,
        statuses: tuple[int, ...],
        must_match: tuple[str, ...] = (),
        must_not_match: tuple[str, ...] = (),
    ) -> Check:
        if request.statuses is not None:
            statuses = request.statuses
        identity = endpoint.id if endpoint is not None else "site"
        version = "" if request.version == "1.1" else f" HTTP/{request.version}"
        note = f" ({request.note})" if request.note else ""
        target = self._fill(request.target)
        return {
            "id": f"{self._server} {identity} {kind} {request.method} {target}{version}{note}",
            "endpoint": endpoint.id if endpoint is not None else None,
            "kind": kind,
            "site": self._site,
            "connect": self._connect,
            "method": request.method,
            "target": target,
            "version": request.version,
            "headers": dict(request.headers),
            "body": self._fill(request.body),
            "note": request.note,
            "expect": {
                "status": list(statuses) or None,
                "must_not_match": list(must_not_match),
                "must_match": list(must_match),
            },
        }
