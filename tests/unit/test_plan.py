# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of whole hosts: the four incidents, what follows from a policy, and hostile input."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.wpward.wordpress.plugins.filter.plan import FilterModule
from ansible_collections.wpward.wordpress.plugins.filter.plan_problem import plan_problem
from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import (
    SEVERITIES,
    quote,
    sentence,
)
from unit.plan_cases import (
    STRANGER,
    database,
    errors,
    memory,
    now,
    recorder,
    rotation,
    statement,
)
from unit.plan_traffic import MIDNIGHT, SITE, evenly, evidence, iso, many, row, sessions

DATA = Path(__file__).parent / "data" / "plan"
AUDITOR = "all-in-one-wp-security-and-firewall"
plan = FilterModule().filters()["plan"]


def host(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return loaded


def found(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {finding["id"]: finding for finding in made["findings"]}


def roles(made: dict[str, Any]) -> list[str]:
    return [remedy["role"] for remedy in made["remedies"]]


def flooded(**changes: Any) -> dict[str, Any]:
    return evidence(row(evenly(7200, 1, many(9))), **changes)


# --- the four incidents, and none


def test_incident_a_is_one_false_googlebot_and_the_traps_of_its_first_aid() -> None:
    made = plan(host("incident_a"))
    findings = found(made)
    assert made["verdict"] == made["sites"][SITE] == "attack"
    assert findings["xmlrpc_attack"]["severity"] == "critical"
    for words in ("43200 requests", "3 a second", "80.82.65.206: 37800", "499 (37800 times)"):
        assert words in findings["xmlrpc_attack"]["message"]
    assert "80.82.65.206" in findings["claims_false"]["message"]
    assert "default.conf:23 (`proxy_pass" in findings["self_proxy"]["message"]
    assert "3.2 GiB" in findings["off_file"]["message"]
    assert {
        "xmlrpc_without_php",
        "error_log_off",
        "xmlrpc_log_off",
        "limits_conf_ineffective",
        "connections_exhausted",
        "open_files_exhausted",
    } <= set(findings)
    # More of what the loop eats is no cure.
    assert roles(made) == ["endpoints", "guard", "bans"]
    order = [one["id"] for one in made["findings"]]
    for eaten in ("connections_exhausted", "open_files_exhausted", "limits_conf_ineffective"):
        assert "the loop that self_proxy names" in findings[eaten]["message"].replace("The", "the")
        assert order.index("self_proxy") < order.index(eaten)


def test_incident_b_is_over_and_the_database_still_pays_for_it() -> None:
    made = plan(host("incident_b"))
    findings = found(made)
    assert made["verdict"] == made["sites"][SITE] == "aftermath"
    assert set(findings) == {
        "database_long_statement",
        "audit_index_missing",
        "audit_table_large",
        "slow_log_off",
        "xmlrpc_open",
    }
    statement = findings["database_long_statement"]
    assert statement["severity"] == "critical"
    for words in ("22 minutes", "mysqld is the busiest process (151 % CPU)", "DELETE FROM"):
        assert words in statement["message"]
    assert "777600 rows" in findings["audit_table_large"]["message"]
    assert "column created has no index" in findings["audit_index_missing"]["message"]
    assert roles(made) == ["endpoints", "database"]


def test_incident_c_hides_the_attacker_behind_edges_that_must_not_be_banned() -> None:
    made = plan(host("incident_c"))
    findings = found(made)
    assert findings["xmlrpc_attack"]["severity"] == "high"
    assert "37 a second" in findings["xmlrpc_attack"]["message"]
    assert "through cloudfront, which hides the clients" in findings["xmlrpc_attack"]["message"]
    assert (
        "88080 of 88080 requests came through cloudfront, from 7 addresses:"
        in findings["behind_cdn"]["message"]
    )
    assert findings["user_names_told"]["severity"] == "high"
    assert roles(made) == ["endpoints", "guard", "real_ip", "bans"]


def test_incident_d_is_seen_in_the_sum_and_in_what_it_did_to_the_host() -> None:
    made = plan(host("incident_d"))
    findings = found(made)
    assert findings["xmlrpc_low_and_slow"]["severity"] == "critical"
    for words in ("1440 requests", "1400 addresses"):
        assert words in findings["xmlrpc_low_and_slow"]["message"]
    assert "MaxClients" in findings["workers_exhausted"]["message"]
    assert "carry 80" in findings["workers_oversized"]["message"]
    assert "disable-xml-rpc" in findings["plugin_not_enough"]["message"]
    assert {"swapping", "out_of_memory", "claims_false"} <= set(findings)
    assert roles(made) == ["endpoints", "guard", "capacity", "recorder"]


def test_a_healthy_busy_host_has_no_findings() -> None:
    made = plan(host("healthy"))
    assert made == {"verdict": "quiet", "sites": {SITE: "quiet"}, "findings": [], "remedies": []}


# --- the shape


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("*.json")))
def test_the_plan_is_plain_data_in_order_and_leaves_the_evidence_alone(name: str) -> None:
    document = host(name)
    made = plan(document)
    assert document == host(name)
    assert json.loads(json.dumps(made)) == made == plan(document)
    order = [SEVERITIES.index(finding["severity"]) for finding in made["findings"]]
    assert order == sorted(order)
    for finding in made["findings"]:
        assert set(finding) == {
            *("id", "severity", "site", "verdict", "title", "message", "rests_on"),
        }
        assert finding["rests_on"] and "\n" not in finding["message"]
    ids = {finding["id"] for finding in made["findings"]}
    for remedy in made["remedies"]:
        assert set(remedy["findings"]) <= ids
        assert remedy["automated"] != ("By hand: docs/findings.md#" in remedy["reason"])


def automated(evidence: dict[str, Any]) -> set[str]:
    return {one["role"] for one in plan(evidence)["remedies"] if one["automated"]}


@pytest.mark.parametrize("server", ["incident_a", "incident_d"])
def test_both_web_servers_are_closed_by_this_collection(server: str) -> None:
    assert automated(host(server)) - {"bans"} == {"endpoints", "guard"}


def test_nothing_is_automated_where_no_web_server_can_be_closed() -> None:
    evidence = host("incident_d")
    assert automated({**evidence, "httpd": None}) == set()
    generated = {**evidence["httpd"], "conf_refusal": "Its files are generated."}
    vhost = {"server": "httpd", "sites": [SITE]}
    assert automated({**evidence, "httpd": generated, "vhosts": [vhost]}) == set()
    assert automated({**evidence, "httpd": generated, "vhosts": []}) == {"endpoints", "guard"}
    behind = {**vhost, "fronted": True, "listens": [{"address": "127.0.0.1", "port": 8080}]}
    assert automated({**evidence, "httpd": generated, "vhosts": [behind]}) != set()
    behind["listens"] = [{"address": "*", "port": 7080}]
    assert automated({**evidence, "httpd": generated, "vhosts": [behind]}) == set()
    # Where nginx's server blocks must not be edited, httpd has to; where there is none, nobody can.
    behind["listens"] = [{"address": "127.0.0.1", "port": 8080}]
    locked = {**evidence, "nginx": {"edit_refusal": "They are generated."}, "httpd": generated}
    assert automated({**locked, "vhosts": [behind]}) == set()
    front = {"server": "nginx", "sites": [SITE], "fronts": ["httpd:x:1"]}
    usable = {**locked, "httpd": evidence["httpd"]}
    assert automated({**usable, "vhosts": [behind, front]}) == {"endpoints", "guard"}
    assert automated({**usable, "vhosts": [behind, {**front, "fronts": []}]}) == set()
    nowhere = {**evidence["httpd"], "conf_file": None}
    assert automated({**evidence, "httpd": nowhere, "vhosts": [vhost]}) == set()


def test_what_does_not_rest_on_the_web_servers_refusals_needs_none() -> None:
    """A host whose web server nobody can close still gets limits, a database and a recorder."""
    document = host("incident_d")
    document["httpd"] = None
    document["database"] = database(500_000, False)
    services = [{"service": "mariadb", "manageable": False}]
    ready = {
        **document,
        "capacity": {"services": [*services, {"service": "httpd", "manageable": True}]},
        "recorder": recorder(None),
    }
    assert automated(ready) == {"capacity", "database", "recorder"}
    assert automated({**ready, "capacity": {"services": services}}) == {"database", "recorder"}
    assert automated({**ready, "capacity": None}) == {"database", "recorder"}
    unreachable = {**ready["database"], "reachable": False}
    assert automated({**ready, "database": unreachable}) == {"capacity", "recorder"}
    assert automated({**ready, "recorder": None}) == {"capacity", "database"}


def test_what_is_missing_to_understand_an_attack_is_told() -> None:
    short = [*rotation(14), {**rotation(9)[0], "file": "/etc/logrotate.d/apache2"}]
    short[1]["server"] = "httpd"
    made = found(plan(flooded(recorder=recorder("atop"), log_rotation=short)))
    assert "atop is installed and does not run" in made["recorder_missing"]["message"]
    assert made["recorder_missing"]["severity"] == made["logs_kept_short"]["severity"] == "low"
    assert made["logs_kept_short"]["message"] == (
        "Of the access logs, logrotate keeps nginx's for 14 days (/etc/logrotate.d/nginx); httpd's "
        "for 9 days (/etc/logrotate.d/apache2); an investigation needs 28 days."
    )
    seldom = found(plan(flooded(recorder=recorder("sysstat", 600))))["recorder_missing"]
    assert seldom["title"] == "The recorder takes samples too seldom"
    assert "one sample every 10 minutes" in seldom["message"]
    assert "recorder" in roles(plan(flooded(recorder=recorder(None))))
    # What a log or a file says stays harmless.
    hostile = rotation(3)
    hostile[0]["file"] = HOSTILE
    message = found(plan(flooded(log_rotation=hostile)))["logs_kept_short"]["message"]
    assert message.isprintable() and "{{" not in message


def test_parts_that_are_missing_are_no_error() -> None:
    assert plan({"schema": 2}) == {"verdict": "quiet", "sites": {}, "findings": [], "remedies": []}
    partly = row(evenly(18000, 1, many(9)), timeline=None, methods=None, claims=None, parties=None)
    assert plan(evidence(partly))["verdict"] == "attack"


# --- what follows from the policy


def test_the_parameters_are_the_complete_policy() -> None:
    made = plan(flooded(), {"xmlrpc": "trusted"}, {}, ["192.0.2.7"])
    (endpoints, *_others) = made["remedies"]
    assert endpoints["parameters"]["endpoints_policy"]["xmlrpc"] == "trusted"
    assert endpoints["parameters"]["endpoints_policy"]["rest_users"] == "closed"
    assert endpoints["parameters"]["endpoints_trusted"] == ["192.0.2.7/32"]


def test_what_is_open_on_purpose_is_not_closed() -> None:
    names_open = dict.fromkeys(("author_by_id", "rest_users", "users_sitemap"), "open")
    made = plan(flooded(), {"xmlrpc": "open", **names_open})
    assert roles(made) == ["bans"]
    assert set(found(made)) == {"xmlrpc_attack"}


def test_a_trusted_clients_flood_is_none() -> None:
    busy = evidence(row(evenly(7200, 1, ["203.0.113.9"])))
    assert plan(busy, {"xmlrpc": "trusted"}, {}, ["203.0.113.0/24"])["verdict"] == "quiet"
    assert plan(busy, {"xmlrpc": "trusted"}, {}, ["198.51.100.0/24"])["verdict"] == "attack"


def test_who_needs_xmlrpc_is_named_before_it_is_closed() -> None:
    document = flooded()
    document["sites"][0]["xmlrpc_plugins"] = ["jetpack"]
    message = found(plan(document))["xmlrpc_needed"]["message"]
    assert "jetpack" in message and "192.0.64.0/18" in message
    assert "xmlrpc_needed" not in found(plan(document, {"xmlrpc": "trusted"}, {}, ["192.0.2.7"]))


def test_a_flood_that_a_rule_refuses_calls_for_nothing() -> None:
    document = evidence(row(evenly(7200, 1, many(9), "403")))
    assert found(plan(document))["xmlrpc_attack"]["severity"] == "medium"
    assert "endpoints" in roles(plan(document))
    document["vhosts"][0]["xmlrpc_rules"] = [{"file": "/etc/nginx/x", "line": 1, "text": "deny"}]
    made = plan(document)
    assert (made["verdict"], made["remedies"]) == ("attack", [])
    assert found(made)["xmlrpc_attack"]["severity"] == "low"
    assert "100 % of them are refused already" in found(made)["xmlrpc_attack"]["message"]


def test_a_guarded_site_tells_no_names() -> None:
    document = flooded()
    document["sites"][0]["guarded"] = True
    assert set(found(plan(document))) == {"xmlrpc_attack"}
    assert "guard" not in roles(plan(document))


def test_the_site_with_the_plugin_bears_the_aftermath() -> None:
    document = evidence(database=database(500_000, False))
    document["sites"].append({**copy.deepcopy(document["sites"][0]), "id": "other.example/"})
    assert set(plan(document)["sites"].values()) == {"quiet"}
    assert plan(document)["verdict"] == "aftermath"
    document["sites"][1]["plugins"] = [AUDITOR]
    assert plan(document)["sites"] == {SITE: "quiet", "other.example/": "aftermath"}


@pytest.mark.parametrize(
    "address",
    ["192.0.2.200", "192.0.2.10", "127.0.0.1", "::1", "10.0.0.5", "::ffff:192.0.2.200"],
)
def test_the_operator_and_the_host_are_no_attackers(address: str) -> None:
    proof = evenly(18000, 500 / 18000, [address])
    noise = evenly(16, 24, many(300), "403")
    made = plan(evidence(row(proof + noise)))
    assert (made["verdict"], made["findings"]) == ("quiet", [])
    # An attack is seen all the same.
    made = plan(evidence(row(proof + noise + evenly(7200, 1, many(9)))))
    assert made["verdict"] == "aftermath"


def test_the_clients_behind_a_proxy_of_ones_own_are_not_taken_for_the_host() -> None:
    made = plan(evidence(row(evenly(7200, 1, ["127.0.0.1"]))))
    assert "a proxy of your own (127.0.0.1)" in found(made)["behind_cdn"]["message"]
    assert found(made)["behind_cdn"]["severity"] == "high"
    assert made["verdict"] == "attack"


def test_a_burst_from_many_private_addresses_is_no_proof() -> None:
    attackers = [f"10.89.1.{number}" for number in range(1, 11)]
    burst = evenly(36 * 3600, 15 / 3600, attackers)
    assert "xmlrpc_attack" in found(plan(evidence(row(burst))))
    proof = evenly(36 * 3600, 15 / 3600, attackers[:2])
    assert plan(evidence(row(proof)))["verdict"] == "quiet"


def test_a_private_network_need_not_be_a_proxy() -> None:
    behind = found(plan(evidence(row(evenly(7200, 1, ["10.89.1.190", "10.89.1.191"])))))[
        "behind_cdn"
    ]
    assert "most likely a proxy" in behind["message"]
    assert behind["severity"] == "medium"


def test_only_as_many_edges_are_told_as_were_seen() -> None:
    edges = [f"70.132.61.{number}" for number in range(1, 41)]
    message = found(plan(evidence(row(evenly(7200, 1, edges) + evenly(60, 1, many(50))))))[
        "behind_cdn"
    ]["message"]
    assert "7200 of 7260 requests came through cloudfront, from at least 20 addresses" in message
    neighbour = evenly(60, 1, ["10.89.1.190"])
    message = found(plan(evidence(row(evenly(7200, 1, edges[:7]) + neighbour))))["behind_cdn"][
        "message"
    ]
    assert "7200 of 7260 requests came through cloudfront, from 7 addresses" in message


def test_a_loop_is_the_cause_only_of_what_its_own_server_ran_out_of() -> None:
    loop = {"id": "self_proxy", "server": "nginx", "site": SITE, "detail": "It leads back."}
    rows = errors("httpd_max_request_workers", 1)
    made = plan(evidence(traps=[loop], errors=rows))
    assert roles(made) == ["endpoints", "capacity", "recorder"]
    assert found(made)["self_proxy"]["severity"] == "high"
    loop["server"] = "httpd"
    made = plan(evidence(traps=[loop], errors=rows))
    assert roles(made) == ["endpoints"]
    assert [one["id"] for one in made["findings"]] == ["self_proxy", "workers_exhausted"]


def test_a_single_line_about_php_fpm_is_no_alarm_on_a_quiet_host() -> None:
    made = plan(evidence(errors=errors("fpm_max_children", 2)))
    assert "which a burst of visitors leads to, too" in found(made)["fpm_exhausted"]["message"]
    assert made["remedies"] == []
    busy = plan(flooded(errors=errors("fpm_max_children", 2)))
    assert "burst" not in found(busy)["fpm_exhausted"]["message"]


def test_a_slow_attack_begins_where_the_level_rises_and_has_no_friends_in_it() -> None:
    """Of a day's everyday traffic, with a telephone and Jetpack, the last eight hours are worse."""
    phone = [
        one
        for hour in range(1, 24, 3)
        for one in evenly(500, 0.05, ["198.51.100.9"], claim="wordpress_app", start=hour * 3600)
    ]
    jetpack = evenly(12, 24, [f"192.0.80.{number}" for number in range(1, 200)], claim="jetpack")
    false = evenly(75, 8, many(600), claim="googlebot", start=16 * 3600)
    made = found(plan(evidence(row(phone + jetpack + false))))
    message = made["xmlrpc_low_and_slow"]["message"]
    assert "600 requests for XML-RPC" in message
    assert "since 2026-11-21 16:00 UTC" in message
    # Jetpack's addresses and the telephone are the busiest, and of the others none is known.
    assert "from 600 addresses;" in message
    few = evenly(30, 4, many(40), claim="googlebot", start=20 * 3600)
    message = found(plan(evidence(row(jetpack + few))))["xmlrpc_attack"]["message"]
    assert "since 2026-11-21 20:00 UTC" in message and "from 40 addresses" in message


def test_the_few_requests_of_jetpack_in_a_flood_are_no_part_of_it() -> None:
    jetpack = evenly(12, 24, [f"192.0.80.{number}" for number in range(1, 200)], claim="jetpack")
    fast = evenly(120_000, 0.1, STRANGER, start=80_000)
    message = found(plan(evidence(row(jetpack + fast))))["xmlrpc_attack"]["message"]
    assert message.startswith("12000 requests") and "from one address, 203.0.113.9" in message


def test_the_telephones_of_a_newsroom_are_not_named() -> None:
    """Of the addresses that call themselves an app only some are told."""
    phones = sessions(30, 25, many(30, "198.51"), "wordpress_app")
    message = found(plan(evidence(row(phones + evenly(60, 24, many(1440))))))[
        "xmlrpc_low_and_slow"
    ]["message"]
    assert "198.51" not in message and "from 1440 addresses;" in message
    # One that is busier than all telephones together is none of them, whatever it calls itself.
    loud = evenly(50, 24, STRANGER)
    message = found(plan(evidence(row(phones + loud + evenly(60, 24, many(1440))))))[
        "xmlrpc_low_and_slow"
    ]["message"]
    assert "most from 203.0.113.9: 1200" in message


def test_a_statement_about_another_sites_table_says_nothing_of_this_one() -> None:
    purge = statement(90, "DELETE FROM wp_aiowps_audit_log WHERE created < ?")
    made = plan(evidence(database=database(30_000, False, statements=purge)))
    assert "not counting rows that are deleted" in found(made)["audit_table_large"]["message"]
    purge[0]["schema"] = "shop"
    made = plan(evidence(database=database(30_000, False, statements=purge)))
    assert set(found(made)) == {"database_long_statement", "xmlrpc_open"}
    purge[0]["text"] = "DELETE FROM `blog`.`wp_aiowps_audit_log` WHERE created < ?"
    made = plan(evidence(database=database(30_000, False, statements=purge)))
    assert "audit_table_large" in found(made)
    purge[0].update(schema="blog", text="DELETE FROM wp_aiowps_audit_log_old")
    made = plan(evidence(database=database(30_000, False, statements=purge)))
    assert "audit_table_large" not in found(made)


def test_a_loops_own_requests_are_no_attack() -> None:
    """One request that goes round is seen as hundreds from the server itself."""
    loop = {"id": "self_proxy", "site": SITE, "detail": "It leads back."}
    made = plan(evidence(row(evenly(36000, 1 / 60, ["127.0.0.1"])), traps=[loop]))
    assert (made["verdict"], set(found(made))) == ("quiet", {"self_proxy"})


def test_an_attack_that_is_over_leaves_the_door_to_be_closed() -> None:
    document = flooded(collected_at=iso(MIDNIGHT + 8 * 3600))
    made = plan(document)
    assert made["verdict"] == made["sites"][SITE] == "aftermath"
    assert "to 2026-11-21 01:00 UTC, over since then" in found(made)["xmlrpc_attack"]["message"]
    assert "xmlrpc_open" in found(made) and roles(made)[0] == "endpoints"
    # What the host suffers from now is not the attack of this morning.
    document["now"] = memory(0.01, 0)
    assert found(plan(document))["xmlrpc_attack"]["severity"] == "high"
    assert found(plan(flooded(now=memory(0.01, 0))))["xmlrpc_attack"]["severity"] == "critical"


def test_both_logs_of_a_site_count_together() -> None:
    halves = [row(evenly(30, 24, many(350)), log=f"/var/log/nginx/{name}.log") for name in "ab"]
    halves[1]["timeline"]["from"] = iso(MIDNIGHT + 600)
    single = row(evenly(15, 24, many(350)))
    assert plan(evidence(single))["verdict"] == "quiet"
    assert plan(evidence(*halves))["verdict"] == "attack"


def test_the_database_is_told_apart_when_it_is_not_the_busiest() -> None:
    busy = now(busiest=[{"pid": 1, "name": "php-fpm", "cpu_share": 1.2}])
    made = plan(evidence(database=database(500_000, False), now=busy))
    assert found(made)["audit_index_missing"]["severity"] == "high"


def test_gaps_in_the_evidence_are_said() -> None:
    made = plan(
        evidence(
            budget=[{"part": "access", "seconds": 20.1, "complete": False}],
            database={"reachable": False, "reason": "access denied.", "tables": []},
            problems=[{"id": "log_unreadable", "message": "/var/log/x cannot be read."}],
        )
    )
    message = found(made)["evidence_partial"]["message"]
    assert message == (
        "The part access was cut short after 20 s; the database was not read: access denied; "
        "/var/log/x cannot be read."
    )
    assert made["verdict"] == "quiet"
    without = evidence(problems=[{"id": "nginx_not_found", "message": "No nginx."}])
    assert plan(without)["findings"] == []


def test_equal_traps_are_one_finding() -> None:
    trap = {"id": "access_log_buffered", "file": "/etc/nginx/a", "line": 3, "text": "x;"}
    trap.update(site=None, detail="It is buffered.", size=None)
    made = plan(evidence(traps=[trap, {**trap, "line": 9}, {"id": "unheard_of", "detail": ""}]))
    (finding,) = made["findings"]
    assert finding["message"] == "/etc/nginx/a:3 (`x;`): It is buffered; also in 1 more place."


def test_a_sentence_of_our_own_is_whole_and_a_place_stands_once() -> None:
    detail = (
        "limits.conf asks for 16384 open files for *, but nginx runs with 1024. That file acts "
        "where somebody logs in, never on a service of systemd; what raises it is LimitNOFILE in "
        "a drop-in of nginx.service and a restart."
    )
    trap = {"id": "limits_conf_ineffective", "file": "/etc/security/limits.conf", "line": 58}
    trap.update(server="nginx", text="* - nofile 16384", site=None, detail=detail, size=None)
    (finding,) = plan(evidence(traps=[trap, {**trap, "server": "php-fpm"}]))["findings"]
    assert f"{detail[:-1]}; the same goes for php-fpm." in finding["message"]
    assert finding["rests_on"] == ["traps: /etc/security/limits.conf:58"]
    (gap,) = plan(evidence(problems=[{"id": "x", "message": detail}]))["findings"]
    assert gap["message"].lower() == detail.lower()


def test_what_others_wrote_in_a_sentence_of_our_own_is_cut() -> None:
    assert sentence(f"{'It is so. ' * 20}See /{'x' * 300}.").endswith(f"See /{'x' * 159}")
    assert len(sentence("It goes on. " * 500)) < 700


# --- what makes no sense


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (({"schema": 1},), ["schema 1", "schema 2", "probe the host again"]),
        (({},), ["schema None"]),
        (("text",), ["not from str"]),
        (({"schema": 2, "access": [{"site": SITE}]},), ["form that the probe gives it"]),
        (({"schema": 2, "access": 7},), ["form that the probe gives it"]),
        (({"schema": 2}, {"xmlrcp": "closed"}), ["xmlrcp", "known are"]),
        (({"schema": 2}, {"xmlrpc": "trusted"}), ["empty"]),
        (({"schema": 2}, {}, {"fluud": 3}), ["'fluud'", "flood_per_minute"]),
        (({"schema": 2}, {}, {"flood_per_minute": "60"}), ["'60'", "above 0"]),
        (({"schema": 2}, {}, {"flood_per_minute": True}), ["True"]),
        (({"schema": 2}, {}, {"flood_per_minute": 0}), ["is 0", "requests a minute"]),
        (({"schema": 2}, {}, {"flood_per_minute": math.nan}), ["nan"]),
        (({"schema": 2}, {}, {"flood_per_minute": math.inf}), ["inf"]),
        (({"schema": 2}, {}, {"slow_spread": 1.5}), ["1.5", "between 0 and 1"]),
        (({"schema": 2}, {}, [1]), ["dictionary", "[1]"]),
        (({"schema": 2}, {}, {}, ["0.0.0.0/0"]), ["everybody"]),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments: Any, words: list[str]) -> None:
    with pytest.raises(AnsibleFilterError) as refused:
        plan(*arguments)
    assert "\n" not in str(refused.value)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (({},), ""),
        (({"xmlrpc": "trusted"}, {"slow_hours": 12}, ["192.0.2.7"]), ""),
        (({"xmlrpc": "shut"},), "'shut'"),
        (({}, {"slow_hours": "12"}), "'12'"),
        (({}, {}, ["nonsense"]), "nonsense"),
    ],
)
def test_settings_are_checked_without_evidence(arguments: Any, word: str) -> None:
    problem = plan_problem(*arguments)
    assert bool(problem) == bool(word) and word in problem and "\n" not in problem


HOSTILE = "\x1b[2J{{ lookup('pipe', 'id') }}{%raw%}{{{#\u202e\r\n<script>" + "A" * 5000


def hostile(value: Any) -> Any:
    """The evidence with every text an attacker might reach replaced."""
    if isinstance(value, dict):
        return {
            key: HOSTILE
            if key in ("sample", "text", "detail", "log", "file", "message", "address", "version")
            else hostile(one)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return value


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("incident_*.json")))
def test_nothing_that_an_attacker_writes_gets_through_unseen(name: str) -> None:
    document = hostile(host(name))
    document["problems"] = [{"id": "log_unreadable", "message": HOSTILE}]
    made = plan(document)
    assert set(found(made)) >= set(found(plan(host(name)))) - {"database_long_statement"}
    for finding in made["findings"]:
        for text in (finding["message"], finding["title"], *finding["rests_on"]):
            assert text.isprintable(), text
            assert not any(opening in text for opening in ("{{", "{%", "{#")), text
            assert len(text) < 1000


def test_a_quotation_keeps_what_is_harmless() -> None:
    assert quote("POST //xmlrpc.php é") == "POST //xmlrpc.php é"
    assert quote("a\tb\x00c") == "a b c"
    assert quote("{{{% x") == "{ { { % x"
    assert quote("x" * 161) == "x" * 160 + "..."
