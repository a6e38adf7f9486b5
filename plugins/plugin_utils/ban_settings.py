# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks what the operator wants of the bans."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import EDGES
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import RANGES

AUTO = "auto"
PACKET = "packet"
HTTP = "http"

SERVICES = tuple(party for party in RANGES if party not in EDGES)
_LOG = re.compile(r"(?:/[A-Za-z0-9_.-]+){2,}")


class BanSettingsError(ValueError):
    """What the operator asked for makes no sense; the text says what and what to do."""


@dataclass(frozen=True)
class BanSettings:
    """What the operator wants. Times in seconds; deny_logs by web server."""

    seconds: int
    max_seconds: int
    layer: str
    extra_actions: tuple[str, ...]
    trusted_services: tuple[str, ...]
    login: bool
    deny_logs: Mapping[str, str]


def check_ban_settings(settings: Mapping[str, Any]) -> BanSettings:
    """The settings of role bans; raises BanSettingsError."""
    seconds = _seconds("wpward_bans_seconds", settings["seconds"])
    longest = _seconds("wpward_bans_max_seconds", settings["max_seconds"])
    if longest < seconds:
        raise BanSettingsError(
            f"wpward_bans_max_seconds is {longest}, less than wpward_bans_seconds ({seconds}); "
            "raise it."
        )
    if settings["layer"] not in (AUTO, PACKET, HTTP):
        raise BanSettingsError(
            f"wpward_bans_layer is {settings['layer']!r}; it must be one of: auto, packet, http."
        )
    for service in settings["trusted_services"]:
        if service not in SERVICES:
            raise BanSettingsError(
                f"wpward_trusted_services names {service!r}; known are: {', '.join(SERVICES)}."
            )
    for path in settings["deny_logs"].values():
        if not _LOG.fullmatch(str(path)):
            raise BanSettingsError(
                f"The deny log {path!r} must be an absolute path of letters, digits, dots, dashes "
                "and underscores, in a directory for logs."
            )
    for line in settings["extra_actions"]:
        # Not repeated in the message: there may be a password in it.
        if not isinstance(line, str) or "\n" in line or not re.match(r"[A-Za-z0-9_-]+(\[|$)", line):
            raise BanSettingsError(
                "wpward_bans_extra_actions must be a list of lines such as NAME[option=value], as "
                "the option action of a jail takes them."
            )
    return BanSettings(
        seconds=seconds,
        max_seconds=longest,
        layer=settings["layer"],
        extra_actions=tuple(settings["extra_actions"]),
        trusted_services=tuple(settings["trusted_services"]),
        login=bool(settings["login"]),
        deny_logs=settings["deny_logs"],
    )


def _seconds(name: str, value: Any) -> int:
    # A template makes text of a number.
    if not re.fullmatch(r"[1-9]\d{0,8}", str(value)):
        raise BanSettingsError(f"{name} is {value!r}; give a number of seconds.")
    return int(value)
