# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How role shared_bans acts on which host, by Ansible's own Templar from the real files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[2] / "roles" / "shared_bans"
NFTABLES = {"manager": "nftables", "nft": True, "iptables": True}
CHOSEN = {
    "networks": 1,
    "text": "192.0.2.7 - own\n198.51.100.0/24 - own\n",
    "notes": ["Something was left out."],
}


def evidence(**changes: Any) -> dict[str, Any]:
    listens = [{"port": 8443}, {"port": 80}, {"port": 22}, {"unix": "/run/nginx.sock"}]
    return {
        "firewall": NFTABLES,
        "nginx": {"unit": "nginx.service"},
        "httpd": None,
        "vhosts": [{"listens": listens}],
        **changes,
    }


def trusting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: trusting(one) for key, one in value.items()}
    if isinstance(value, list):
        return [trusting(one) for one in value]
    return trust_as_template(value) if isinstance(value, str) else value


def evaluate(expression: str, **changes: Any) -> Any:
    return render("{{ " + expression + " }}", **changes)


def render(text: str, **changes: Any) -> Any:
    """A template among the role's variables, on a host that shares CHOSEN."""
    variables: dict[str, Any] = {}
    for file in ("defaults/main.yml", "vars/main.yml"):
        # Lookups need the collection's loader; what they read is not the question here.
        source = re.sub(r"lookup\([^)]*\)", "'text'", (ROLE / file).read_text())
        variables.update(yaml.safe_load(source))
    variables.update(
        shared_bans_evidence=evidence(),
        shared_bans_enabled=True,
        shared_bans_list=CHOSEN,
        role_path=str(ROLE),
        ansible_search_path=[str(ROLE)],
    )
    variables.update(changes)
    loader = DataLoader()
    loader.set_basedir(str(ROLE))
    templar = Templar(loader=loader, variables=trusting(variables))
    return templar.template(trust_as_template(text))


@pytest.mark.parametrize(
    ("firewall", "layer"),
    [
        (NFTABLES, "nftables"),
        ({"manager": None, "nft": True, "iptables": False}, "nftables"),
        ({"manager": "firewalld", "nft": True, "iptables": True}, "nftables"),
        ({"manager": "iptables", "nft": True, "iptables": True}, ""),
        ({"manager": None, "nft": False, "iptables": False}, ""),
        (None, ""),
    ],
)
def test_the_layer_is_the_hosts_own(firewall: Any, layer: str) -> None:
    host = {"shared_bans_evidence": evidence(firewall=firewall)}
    assert evaluate("__shared_bans_layer", **host) == layer
    assert evaluate("__shared_bans_layer", shared_bans_behind="fastly", **host) == "http"
    with_ipset = evaluate("__shared_bans_layer", shared_bans_ipset={"rc": 0}, **host)
    assert with_ipset == (layer or "ipset")


def test_only_ports_of_the_web_servers_and_never_that_of_ssh() -> None:
    assert evaluate("__shared_bans_ports") == [80, 443, 8443]
    rules = render((ROLE / "templates" / "shared-bans.nft.j2").read_text())
    assert "tcp dport { 80, 443, 8443 } jump web" in rules


def files(**changes: Any) -> dict[str, Any]:
    return {one["path"]: one for one in evaluate("__shared_bans_files", **changes)}


@pytest.mark.parametrize(
    "changes",
    [
        {"shared_bans_enabled": False},
        {"shared_bans_list": {**CHOSEN, "text": ""}},
        {"shared_bans_evidence": evidence(firewall={"manager": "iptables", "iptables": True})},
    ],
)
def test_nothing_to_do_takes_everything_back(changes: dict[str, Any]) -> None:
    found = files(**changes)
    assert len(found) == 7
    assert {one["state"] for one in found.values()} == {"absent"}
    assert evaluate("__shared_bans_check", **changes) == ["true"]


def test_what_is_there_in_each_layer() -> None:
    def there(**changes: Any) -> set[str]:
        found = files(**changes).items()
        return {Path(path).name for path, one in found if one.get("state") != "absent"}

    always = {"shared-bans.list", "shared_bans.py", "wpward-shared-bans.service"}
    assert there() == always | {"shared-bans.nft"}
    assert there(shared_bans_behind="fastly") == always | {"wpward-shared-bans.timer"}
    unit = render((ROLE / "templates" / "shared-bans.service.j2").read_text())
    assert "Before=nginx.service\n" in unit
    assert "shared_bans.py load nftables 80,443,8443\n" in unit


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, []),
        ({"shared_bans_behind": "fastly"}, ["Behind fastly only single addresses"]),
        (
            {"shared_bans_evidence": evidence(firewall={"manager": "iptables", "iptables": True})},
            ["install the package ipset"],
        ),
        ({"shared_bans_evidence": evidence(firewall={})}, ["install nftables"]),
    ],
)
def test_notes(changes: dict[str, Any], says: list[str]) -> None:
    notes = evaluate("__shared_bans_said", **changes)
    assert notes[0] == "Something was left out."
    assert len(notes) == 1 + len(says)
    assert all(part in note for part, note in zip(says, notes[1:]))
    assert evaluate("__shared_bans_said", **{**changes, "shared_bans_enabled": False}) == []
