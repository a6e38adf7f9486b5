# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who stands in front of a host, told from evidence and settings."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks_data import (
    DATES,
    RANGES,
)
from ansible_collections.wpward.wordpress.plugins.plugin_utils.real_ip_plan import real_ip_plan
from unit.plan_traffic import SITE, evenly, evidence, many, row

EDGES = [f"70.132.61.{number}" for number in range(10)]
OURS = "/etc/nginx/conf.d/wpward-real-ip.conf"
NGINX = {"server": "nginx", "sites": [SITE], "fronts": ["httpd:1"], "tells_client": False}
HTTPD = {
    "id": "httpd:1",
    "server": "httpd",
    "sites": [SITE],
    "fronted": True,
    "listens": [{"address": "127.0.0.1", "port": 8080}],
}


def visited(*parts: Any, **changes: Any) -> dict[str, Any]:
    """A host whose log shows these requests for its login page."""
    return evidence(row([one for part in parts for one in part], "login"), **changes)


def configured(file: str, networks: list[str], header: str | None = "X-Real-IP") -> dict[str, Any]:
    settings = {"header": header, "from": networks, "recursive": True, "module": True}
    return {"nginx": {"real_ip": {**settings, "places": [{"file": file, "line": 3}]}}}


def mixed(**nginx: Any) -> dict[str, Any]:
    return {"vhosts": [{**NGINX, **nginx}, HTTPD], "httpd": {"version": "2.4.62"}}


TELLS = {"tells_client": True}
THROUGH_EDGES = evenly(20, 5, EDGES, "302")
DIRECT = evenly(20, 5, many(50), "302")


# --- auto


def test_a_quiet_site_behind_a_network_is_seen() -> None:
    plan = real_ip_plan(visited(THROUGH_EDGES))
    assert plan["behind"] == "cloudfront"
    assert plan["active"] and plan["nginx"]["state"] == "present"
    assert plan["httpd"]["state"] is None
    assert plan["header"] == "X-Forwarded-For"
    assert plan["networks"] == plan["nginx"]["trusted"] == RANGES["cloudfront"].split()


@pytest.mark.parametrize(
    "made",
    [
        visited(DIRECT),
        visited(DIRECT, evenly(18, 5, EDGES)),
        visited(evenly(1, 9, EDGES)),
        evidence(),
        # What the operator and the host ask for makes no proxy.
        visited(evenly(200, 1, ["192.0.2.200", "192.0.2.10"])),
        # Nor does an office with private addresses.
        visited(evenly(20, 10, ["192.168.1.7"], "302")),
    ],
)
def test_where_clients_connect_themselves_nothing_is_in_front(made: dict[str, Any]) -> None:
    plan = real_ip_plan(made)
    assert (plan["behind"], plan["networks"], plan["active"]) == (None, [], False)
    assert (plan["refusal"], plan["notes"]) == ("", [])
    assert (plan["nginx"]["state"], plan["httpd"]["state"]) == (None, None)


def test_the_operators_own_proof_does_not_hide_the_network() -> None:
    proof = evenly(18000, 300 / 18000, ["127.0.0.1", "192.0.2.10", "192.0.2.200"])
    assert real_ip_plan(visited(THROUGH_EDGES, proof))["behind"] == "cloudfront"


def test_two_networks_are_both_believed_in_the_header_that_both_send() -> None:
    cloudflare = row(evenly(20, 9, ["104.16.0.1"]), "login", site="b.example/")
    cloudflare["parties"] = {"cloudflare": 180}
    plan = real_ip_plan(evidence(row(THROUGH_EDGES, "login"), cloudflare))
    assert plan["behind"] == "cloudflare" and plan["header"] == "X-Forwarded-For"
    assert set(plan["networks"]) == {*RANGES["cloudflare"].split(), *RANGES["cloudfront"].split()}


def test_a_flood_from_a_private_address_makes_a_proxy_that_is_neither_banned_nor_believed() -> None:
    plan = real_ip_plan(evidence(row(evenly(7200, 1, ["10.0.0.5"]))))
    assert (plan["behind"], plan["networks"]) == ("custom", ["10.0.0.5/32"])
    assert (plan["active"], plan["header"], plan["nginx"]["trusted"]) == (False, "", [])
    assert "10.0.0.5" in plan["notes"][0] and "wpward_cdn to none" in plan["notes"][0]


def test_a_flood_from_loopback_is_the_hosts_own_nginx_where_there_is_one() -> None:
    flood = row(evenly(7200, 1, ["127.0.0.1"]))
    assert real_ip_plan(evidence(flood))["networks"] == ["127.0.0.1/32"]
    assert real_ip_plan(evidence(flood, **mixed()))["behind"] is None


# --- what is there


def test_the_operators_own_settings_are_believed_and_left_alone() -> None:
    networks = ["198.51.100.0/24", "unix:", "proxy.example", "203.0.113.4", "2001:db8::1/64"]
    made = visited(THROUGH_EDGES, **configured("/etc/nginx/nginx.conf", networks))
    plan = real_ip_plan(made)
    assert plan["behind"] == "configured" and plan["header"] == "X-Real-IP"
    assert plan["networks"] == ["198.51.100.0/24", "203.0.113.4/32", "2001:db8::/64"]
    assert not plan["active"] and plan["nginx"]["state"] is None and plan["notes"] == []


def test_settings_that_believe_nobody_or_everybody_are_told() -> None:
    made = visited(THROUGH_EDGES, **configured("/etc/nginx/nginx.conf", []))
    plan = real_ip_plan(made)
    assert plan["behind"] == "configured" and "believes nobody" in plan["notes"][0]
    made = visited(THROUGH_EDGES, vhosts=[{**HTTPD, "fronted": False}])
    place = {"file": "/etc/apache2/conf-enabled/x.conf", "line": 2}
    made["httpd"] = {"real_ip": {"header": "X-Client", "proxies": [], "places": [place]}}
    plan = real_ip_plan(made)
    assert plan["behind"] == "configured" and "x.conf:2) whoever sends it" in plan["notes"][0]


def test_what_is_asked_for_beside_the_operators_own_settings_is_told() -> None:
    made = visited(DIRECT, **configured("/etc/nginx/nginx.conf", ["198.51.100.0/24"]))
    plan = real_ip_plan(made, "cloudflare")
    assert plan["behind"] == "configured" and not plan["active"]
    assert "/etc/nginx/nginx.conf:3" in plan["notes"][0]


def test_settings_that_came_after_ours_do_not_remove_ours() -> None:
    made = visited(DIRECT, **configured("/etc/nginx/sites-enabled/b", ["198.51.100.0/24"]))
    made["nginx"]["files"] = {OURS: {}}
    for cdn in ("auto", "cloudfront"):
        plan = real_ip_plan(made, cdn)
        assert (plan["behind"], plan["nginx"]["state"]) == ("configured", "kept")
        assert len(plan["notes"]) == 1 and "take ours back" in plan["notes"][0]
    assert real_ip_plan(made, "none")["nginx"]["state"] == "absent"


def test_a_mistake_in_the_settings_takes_nothing_back() -> None:
    made = visited(DIRECT, nginx={"files": {OURS: {}}})
    assert real_ip_plan(made, "custom")["nginx"]["state"] == "kept"


def test_none_is_obeyed_whatever_the_log_shows() -> None:
    for made in (
        visited(THROUGH_EDGES),
        visited(DIRECT, **configured("/etc/nginx/nginx.conf", ["198.51.100.0/24"])),
    ):
        plan = real_ip_plan(made, "none", ["192.0.2.0/24"])
        assert (plan["behind"], plan["active"], plan["refusal"]) == (None, False, "")


def test_what_an_earlier_run_set_up_stays_unless_it_is_named_or_refused() -> None:
    for requests in (THROUGH_EDGES, DIRECT):
        made = visited(requests, nginx={"files": {OURS: {"sha256": "x"}}})
        plan = real_ip_plan(made)
        assert plan["behind"] == "configured" and plan["active"]
        assert (plan["nginx"]["state"], plan["httpd"]["state"]) == ("kept", None)
        assert "wpward_cdn" in plan["notes"][0]
        assert real_ip_plan(made, "cloudfront")["nginx"]["state"] == "present"
        plan = real_ip_plan(made, "none")
        assert plan["nginx"]["state"] == "absent" and not plan["active"]


# --- nginx in front of httpd


def test_httpd_behind_nginx_learns_who_nginx_is() -> None:
    plan = real_ip_plan(visited(THROUGH_EDGES, **mixed(**TELLS)))
    assert plan["nginx"]["trusted"] == RANGES["cloudfront"].split()
    assert plan["httpd"] == {
        "state": "present",
        "header": "X-Forwarded-For",
        "trusted": [],
        "internal": ["127.0.0.0/8", "::1/128", "192.0.2.10"],
    }


def test_httpd_is_not_told_to_believe_what_nginx_lets_through() -> None:
    plan = real_ip_plan(visited(THROUGH_EDGES, **mixed()))
    assert plan["nginx"]["state"] == "present" and plan["httpd"]["state"] is None
    assert "proxy_set_header" in plan["notes"][-1]
    # Also where it is another server block that does.
    made = visited(THROUGH_EDGES, **mixed(**TELLS))
    made["vhosts"].append({**NGINX, "sites": []})
    assert real_ip_plan(made)["httpd"]["state"] is None


def test_an_httpd_that_knows_its_nginx_is_left_alone() -> None:
    made = visited(THROUGH_EDGES, **mixed(**TELLS))
    made["httpd"]["real_ip"] = {"header": "X-Forwarded-For", "proxies": ["127.0.0.1"], "places": []}
    plan = real_ip_plan(made)
    assert plan["behind"] == "cloudfront" and plan["nginx"]["state"] == "present"
    assert plan["httpd"]["state"] is None and plan["notes"] == []


def test_a_virtual_host_of_httpd_that_is_reached_past_nginx_gets_both() -> None:
    made = visited(THROUGH_EDGES, **mixed(**TELLS))
    listens = [{"address": "127.0.0.1", "port": 8080}, {"address": "*", "port": 8082}]
    made["vhosts"][1] = {**HTTPD, "listens": listens}
    plan = real_ip_plan(made, "cloudflare")["httpd"]
    assert plan["trusted"] == RANGES["cloudflare"].split() and plan["internal"]
    assert plan["header"] == "X-Forwarded-For"
    # nginx sends another header than this network: only one of the two can be believed.
    plan = real_ip_plan(made, "custom", ["10.0.0.0/28"], "True-Client-IP")
    assert plan["httpd"]["header"] == "True-Client-IP"
    assert plan["httpd"]["internal"] == ["10.0.0.0/28"]
    assert "reached past nginx" in plan["notes"][-1]


def test_a_private_proxy_may_tell_httpd_of_private_clients() -> None:
    made = visited(DIRECT, vhosts=[{**HTTPD, "fronted": False}], httpd={"version": "2.4.62"})
    plan = real_ip_plan(made, "custom", ["10.0.0.0/28", "192.0.2.0/28", "fd00::/64"])["httpd"]
    assert plan["internal"] == ["10.0.0.0/28", "fd00::/64"]
    assert plan["trusted"] == ["192.0.2.0/28"]


def test_log_formats_that_name_the_proxy_are_told() -> None:
    logs = [{"path": "/var/log/a.log", "format": "peer"}, {"path": "/b.log", "format": "%h %{c}a"}]
    made = visited(DIRECT, vhosts=[{**HTTPD, "fronted": False, "access_logs": logs}])
    made["httpd"] = {"log_formats": {"peer": "%{c}a %l", "combined": "%h %l %u"}}
    notes = real_ip_plan(made, "cloudfront")["notes"]
    assert "/b.log, /var/log/a.log has %{c}a" in notes[-1]
    assert real_ip_plan(made, "none")["notes"] == []
    logs[:] = [{"path": "/var/log/a.log", "format": "combined"}]
    assert not any("log format" in note for note in real_ip_plan(made, "cloudfront")["notes"])


# --- settings


def test_a_named_network_and_its_header() -> None:
    for party, header in (
        ("cloudfront", "X-Forwarded-For"),
        ("cloudflare", "CF-Connecting-IP"),
        ("fastly", "X-Forwarded-For"),
    ):
        plan = real_ip_plan(visited(DIRECT), party)
        assert (plan["behind"], plan["header"], plan["active"]) == (party, header, True)
        assert plan["networks"] == RANGES[party].split()
    assert real_ip_plan(visited(DIRECT), "fastly", [], "Fastly-Client-IP")["header"] == (
        "Fastly-Client-IP"
    )


def test_a_proxy_of_the_operators_own() -> None:
    given = ["10.0.0.5", "2001:db8::/64", "10.0.0.5/32"]
    plan = real_ip_plan(visited(DIRECT), "custom", given)
    assert (plan["behind"], plan["header"], plan["active"]) == ("custom", "X-Forwarded-For", True)
    assert plan["networks"] == ["10.0.0.5/32", "2001:db8::/64"]
    assert real_ip_plan(visited(DIRECT), "custom", given, "True-Client-IP")["header"] == (
        "True-Client-IP"
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("akamai",), "wpward_cdn is 'akamai'; it must be one of: auto, none, cloudfront"),
        ((["auto"],), "it must be one of"),
        (("custom",), "wpward_cdn_networks is empty"),
        (("custom", []), "wpward_cdn_networks is empty"),
        (("custom", None), "wpward_cdn_networks is empty"),
        (("custom", "10.0.0.5"), "must be a list"),
        (("custom", {"10.0.0.5": 1}), "must be a list"),
        (("custom", ["0.0.0.0/0"]), "0.0.0.0/0, which is wider than any"),
        (("custom", ["0.0.0.0/1", "128.0.0.0/1"]), "0.0.0.0/1, which is wider than any"),
        (("custom", ["::/0"]), "::/0, which is wider than any"),
        (("custom", ["10.0.0.5/24"]), "'10.0.0.5/24', which is not"),
        (("custom", ["proxy.example"]), "'proxy.example', which is not"),
        (("custom", [5]), "5, which is not"),
        (("custom", ["10.0.0.5"], "X Forwarded"), "'X Forwarded'; it must be the name"),
        (("custom", ["10.0.0.5"], "X-A;\nuser root"), "must be the name"),
        (("custom", ["10.0.0.5"], "proxy_protocol"), "must be the name"),
        (("custom", ["10.0.0.5"], ["X"]), "must be the name"),
        (("custom", ["10.0.0.5"], "Forwarded"), "Forwarded, which holds no address"),
        (("auto", ["10.0.0.5"]), "set wpward_cdn to custom"),
        (("fastly", ["10.0.0.5"]), "set wpward_cdn to custom"),
        (("auto", [], "True-Client-IP"), "True-Client-IP, but wpward_cdn is auto"),
    ],
)
def test_settings_that_make_no_sense_are_one_sentence(settings: tuple[Any, ...], says: str) -> None:
    plan = real_ip_plan(visited(THROUGH_EDGES), *settings)
    assert says in plan["refusal"] and plan["refusal"].endswith(".")
    assert "\n" not in plan["refusal"]
    assert not plan["active"] and not plan["nginx"]["trusted"] and not plan["networks"]


def test_an_old_table_is_told() -> None:
    for collected_at, notes in ((f"{DATES['fastly']}T12:00:00Z", 0), ("2036-01-01T00:00:00Z", 1)):
        plan = real_ip_plan(visited(DIRECT, collected_at=collected_at), "fastly")
        assert len(plan["notes"]) == notes
    assert DATES["fastly"] in plan["notes"][0] and "wpward cdn refresh" in plan["notes"][0]


def test_evidence_without_any_of_it_is_a_host_with_nothing_in_front() -> None:
    plan = real_ip_plan({"nginx": None, "httpd": None})
    assert (plan["behind"], plan["active"]) == (None, False)
