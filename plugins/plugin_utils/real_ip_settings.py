# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks what the operator says about the network in front of a host."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import known_networks

AUTO, NONE, CUSTOM = "auto", "none", "custom"
CHOICES = (AUTO, NONE, *known_networks.EDGES, CUSTOM)
FORWARDED_FOR = "X-Forwarded-For"
HEADERS = {"cloudflare": "CF-Connecting-IP"}
"""Where a network names the client better than in X-Forwarded-For. Fastly-Client-IP is not among
them: Fastly passes on what the client sent there unless the service's own configuration sets it."""

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
# These have another form, or are sent for another purpose, than one client's address.
_OTHER_HEADERS = ("forwarded", "host", "via", "user-agent", "cookie", "authorization", "referer")
_WIDEST = {4: 8, 6: 16}
"""Shortest prefix of a proxy's network; 10.0.0.0/8 is the widest that anybody has."""


class SettingsError(ValueError):
    """A setting that makes no sense; the text says what and what to do."""


@dataclass(frozen=True)
class Settings:
    """cdn: one of CHOICES. networks: of the proxies, only for ``custom``, canonical. header: empty
    for the usual one."""

    cdn: str
    networks: tuple[str, ...] = ()
    header: str = ""


def check_settings(cdn: Any, networks: Any, header: Any) -> Settings:
    """The settings, checked. Raises SettingsError."""
    if cdn not in CHOICES:
        raise SettingsError(f"wpward_cdn is {cdn!r}; it must be one of: {', '.join(CHOICES)}.")
    if cdn == NONE:
        return Settings(NONE)
    checked = _header(header)
    if cdn == CUSTOM:
        return Settings(CUSTOM, _networks(networks), checked)
    if networks:
        raise SettingsError(
            f"wpward_cdn_networks is set, but wpward_cdn is {cdn}; set wpward_cdn to custom, "
            "or leave the networks out."
        )
    if cdn == AUTO and checked:
        raise SettingsError(
            f"wpward_cdn_header is {checked}, but wpward_cdn is auto; say in wpward_cdn which "
            "network sends that header."
        )
    return Settings(cdn, (), checked)


def _header(header: Any) -> str:
    if header is None or header == "":
        return ""
    if not isinstance(header, str) or not _HEADER.fullmatch(header):
        raise SettingsError(
            f"wpward_cdn_header is {header!r}; it must be the name of a header such as "
            "X-Forwarded-For or True-Client-IP."
        )
    if header.lower() in _OTHER_HEADERS:
        raise SettingsError(
            f"wpward_cdn_header is {header}, which holds no address that nginx or httpd could "
            "read; name the header in which the network tells the client's address, such as "
            "X-Forwarded-For."
        )
    return header


def _networks(networks: Any) -> tuple[str, ...]:
    if isinstance(networks, (str, bytes)) or not isinstance(networks, Sequence | None):
        raise SettingsError(
            f"wpward_cdn_networks must be a list such as [192.0.2.0/24], not {networks!r}."
        )
    if not networks:
        raise SettingsError(
            "wpward_cdn is custom, but wpward_cdn_networks is empty; name the addresses from which "
            "the proxy connects to this host."
        )
    return tuple(dict.fromkeys(map(_network, networks)))


def _network(text: Any) -> str:
    try:
        # ip_network() reads a number as an address: 1 would become 0.0.0.1.
        if not isinstance(text, str):
            raise ValueError("it is not text")
        network = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise SettingsError(
            f"wpward_cdn_networks holds {text!r}, which is not an address or a network in CIDR "
            f"notation: {error}."
        ) from None
    if network.prefixlen < _WIDEST[network.version]:
        raise SettingsError(
            f"wpward_cdn_networks holds {text}, which is wider than any proxy's network: whoever "
            "connects from there could pass for any client. Name the proxy's own addresses."
        )
    return str(network)
