# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks what the operator wants for each endpoint and whom they trust."""

from __future__ import annotations

import ipaddress
from typing import Any, Mapping, Sequence, Union

from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import TRUSTED, Endpoint

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

# nginx compares an IPv4-mapped client (::ffff:192.0.2.7) with IPv4 networks only.
_MAPPED_BITS = 96


class PolicyError(ValueError):
    """What the operator asked for makes no sense; the text says what and what to do."""


def merge_policy(
    policy: Mapping[str, Any] | None, endpoints: tuple[Endpoint, ...] = ENDPOINTS
) -> dict[str, str]:
    """The policy for every endpoint: the operator's words over the catalogue's defaults.

    Raises PolicyError for an unknown endpoint, or a policy that the endpoint does not take.
    """
    if policy is not None and not isinstance(policy, Mapping):
        raise PolicyError(
            f"The policy must be a dictionary such as {{xmlrpc: closed}}, not {policy!r}."
        )
    known = {endpoint.id: endpoint for endpoint in endpoints}
    for identity, wanted in (policy or {}).items():
        if identity not in known:
            raise PolicyError(
                f"The policy names an unknown endpoint {identity!r}; known are: {', '.join(known)}."
            )
        if wanted not in known[identity].policies:
            raise PolicyError(
                f"The policy for {identity} is {wanted!r}; "
                f"it must be one of: {', '.join(known[identity].policies)}."
            )
    return {
        endpoint.id: (policy or {}).get(endpoint.id, endpoint.default) for endpoint in endpoints
    }


def parse_trusted(trusted: Sequence[Any] | None) -> list[Network]:
    """The trusted networks without repetition, in the given order.

    trusted: addresses or networks in CIDR notation, IPv4 or IPv6.

    Raises PolicyError for anything else, for host bits set, and for everybody (`/0`).
    """
    if trusted is None:
        return []
    if isinstance(trusted, (str, bytes)) or not isinstance(trusted, Sequence):
        raise PolicyError(
            f"The trusted clients must be a list such as [192.0.2.7/32], not {trusted!r}."
        )
    networks: list[Network] = []
    for text in trusted:
        network = _network(text)
        if network not in networks:
            networks.append(network)
    return networks


def _network(text: Any) -> Network:
    # ip_network() reads a number as an address: 1 would become 0.0.0.1.
    if not isinstance(text, str):
        raise PolicyError(
            f"The trusted client {text!r} is not text; write an address or a network in quotes."
        )
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise PolicyError(
            f"The trusted client {text!r} is not an address or a network in CIDR notation: {error}."
        ) from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            network = ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))
    if network.prefixlen == 0:
        raise PolicyError(
            f"The trusted client {text!r} means everybody; to let everybody in, "
            "set the endpoint's policy to open."
        )
    return network


def check_policy(
    policy: Mapping[str, Any] | None,
    trusted: Sequence[Any] | None,
    endpoints: tuple[Endpoint, ...] = ENDPOINTS,
) -> tuple[dict[str, str], list[str]]:
    """The complete policy and the trusted networks in canonical notation.

    Raises PolicyError also where an endpoint is for trusted clients and there are none.
    """
    merged = merge_policy(policy, endpoints)
    networks = parse_trusted(trusted)
    for identity, wanted in merged.items():
        if wanted == TRUSTED and not networks:
            raise PolicyError(
                f"The policy for {identity} is trusted, but the list of trusted clients is empty; "
                f"name at least one, or set {identity} to another policy."
            )
    return merged, [str(network) for network in networks]


def is_trusted(address: str, trusted: Sequence[str]) -> bool:
    """Whether an address lies in one of the networks; an IPv4-mapped one counts as IPv4.

    Raises PolicyError for malformed networks; anything that is no address is not trusted.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(
        network.version == parsed.version and parsed in network
        for network in parse_trusted(trusted)
    )
