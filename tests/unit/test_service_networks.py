# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Services that are trusted by their name."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.wpward.wordpress.plugins.filter.service_networks import service_networks
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import party_of
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import parse_trusted


def test_jetpack_is_its_published_networks() -> None:
    found = service_networks(["jetpack", "jetpack"])
    assert found and len(parse_trusted(found)) == len(found)
    assert {party_of(network.partition("/")[0]) for network in found} == {"jetpack"}
    assert service_networks([]) == []
    assert service_networks(["jetpack"], ["192.0.2.7/32"]) == ["192.0.2.7/32", *found]


@pytest.mark.parametrize("beside", ["192.0.2.7", None, 5, {"a": 1}])
def test_what_is_no_list_of_networks_is_judged_elsewhere(beside: Any) -> None:
    assert service_networks(["jetpack"], beside) is beside


@pytest.mark.parametrize(
    "names", [["jetpac"], ["googlebot"], ["cloudfront"], [""], [None], [["x"]]]
)
def test_an_unknown_service_names_the_known_ones(names: list[Any]) -> None:
    with pytest.raises(AnsibleFilterError, match=r"is not known; known are: jetpack\."):
        service_networks(names)


@pytest.mark.parametrize("names", ["jetpack", None, 5, {"jetpack": True}])
def test_what_is_no_list_is_told(names: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="must be a list such as"):
        service_networks(names)
