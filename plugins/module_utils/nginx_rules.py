# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Says the catalogue in nginx's language: regular expressions for maps, and the verdicts.

`$uri` comes decoded, merged and without dot segments; `$args` comes as the client sent it, so each
character of a parameter is also matched as %XX, and the name in every spelling that PHP accepts.

A later map's input is only ever made of tokens from this file (`xmlrpc`, `elsewhere`, 0 and 1):
nothing that a client sends can reach it. The expressions over `$args` use possessive quantifiers:
a client who could make the matching fail on its limits would get the map's default, no rule.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import (
    ELSEWHERE_PARAMETERS,
    ELSEWHERE_PATHS,
    ENDPOINTS,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import (
    CLOSED,
    OPEN,
    PREFILTER,
    Endpoint,
    Parameter,
)

ELSEWHERE = "elsewhere"
"""The token for wp-admin and the REST API, where a `front_end_only` parameter does not count."""

NAME_MANGLED = " ._["
"""What PHP turns into an underscore in a parameter's name."""


def _hex(character: str) -> str:
    digits = f"{ord(character):02x}"
    return "%" + "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)


def _raw(character: str) -> list[str]:
    """The ways in which a character stands unencoded in a query."""
    if character == " ":
        return [r"\+", " "]
    return [re.escape(character)] if "!" <= character <= "~" and character not in '&#%+"' else []


def _one_of(characters: str) -> str:
    forms = [form for character in characters for form in (*_raw(character), _hex(character))]
    return "(?:" + "|".join(forms) + ")"


def _any_case(character: str) -> str:
    return "".join(dict.fromkeys((character.lower(), character.upper())))


def _name(name: str) -> str:
    return "".join(_one_of(NAME_MANGLED if letter == "_" else letter) for letter in name)


def _holds(characters: str) -> str:
    plain = "".join(form for character in characters for form in _raw(character) if form != " ")
    encoded = "|".join(_hex(character)[1:] for character in characters)
    skipped = (
        rf"(?:[^&%{plain}]++|%(?!{encoded})[0-9A-Fa-f][0-9A-Fa-f]|%(?![0-9A-Fa-f][0-9A-Fa-f]))*+"
    )
    return skipped + _one_of(characters)


def _value(parameter: Parameter) -> str:
    start = "".join(_one_of(_any_case(character)) for character in parameter.starts_with)
    if start and parameter.followed_by is not None:
        following = "".join(f"|{_one_of(character)}" for character in parameter.followed_by)
        start += f"(?:&|${following})"
    if parameter.contains:
        holds = _holds(parameter.contains)
        return f"(?={holds}){start}" if start else holds
    return start or "[^&]"


def args_expression(parameter: Parameter) -> str:
    """A PCRE over `$args` that matches where PHP would read such a parameter; case counts."""
    spaces = r"(?:\+|%20| )*+"
    return rf"(?:^|&){spaces}{_name(parameter.name)}(?:%00[^&=]*+)?={_value(parameter)}"


def nginx_rules(
    policy: Mapping[str, str],
    trusted: Sequence[str] = (),
    endpoints: tuple[Endpoint, ...] = ENDPOINTS,
) -> dict[str, Any]:
    """What the nginx templates need, as plain data.

    policy, trusted: as `policy.check_policy` returns them.

    Returns:
        active: whether any endpoint is not open.
        trusted: the networks.
        paths: pairs of a regular expression over `$uri`, letter case ignored, and its token.
        parameters: pairs of a regular expression over `$args`, letter case counting, and its token;
            the first that matches wins.
        everywhere: the endpoints whose parameters count in wp-admin and the REST API too.
        verdicts: pairs of `<trusted><anonymous> <endpoint>` and the endpoint; whatever is not
            among them is let through.
    """
    closed = [endpoint for endpoint in endpoints if policy[endpoint.id] != OPEN]
    parameters = [(one, endpoint.id) for endpoint in closed for one in endpoint.parameters]
    everywhere = [(one, token) for one, token in parameters if not one.front_end_only]
    front_end = [(one, token) for one, token in parameters if one.front_end_only]
    elsewhere = [(one, ELSEWHERE) for one in ELSEWHERE_PARAMETERS if front_end]
    verdicts = []
    for endpoint in closed:
        for is_trusted, is_anonymous in product("01", "01"):
            if is_trusted == "1" and policy[endpoint.id] != CLOSED:
                continue
            if is_anonymous == "0" and endpoint.layer == PREFILTER:
                continue
            verdicts.append([f"{is_trusted}{is_anonymous} {endpoint.id}", endpoint.id])
    paths = [[pattern, endpoint.id] for endpoint in closed for pattern in endpoint.paths]
    return {
        "active": bool(closed),
        "trusted": list(trusted),
        "paths": paths + [[pattern, ELSEWHERE] for pattern in ELSEWHERE_PATHS],
        "parameters": [
            [args_expression(one), token] for one, token in (*everywhere, *elsewhere, *front_end)
        ],
        "everywhere": list(dict.fromkeys(token for _, token in everywhere)),
        "verdicts": verdicts,
    }
