# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks that come from the catalogue."""

from __future__ import annotations

from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils import http_check
from ansible_collections.wpward.wordpress.plugins.module_utils.http_matrix import checks_for_site
from ansible_collections.wpward.wordpress.plugins.module_utils.policy import merge_policy

SITE = {"id": "blog.example/blog/", "url_path": "/blog/"}
CONNECT = {"address": "192.0.2.1", "port": 8443, "tls": True, "host": "blog.example:8443"}


def checks(**options: Any) -> list[dict[str, Any]]:
    policy = merge_policy(options.pop("policy", {}))
    return checks_for_site(SITE, CONNECT, policy, **options)


def of(found: list[dict[str, Any]], endpoint: str | None, kind: str) -> list[dict[str, Any]]:
    return [check for check in found if (check["endpoint"], check["kind"]) == (endpoint, kind)]


def test_every_check_can_be_made() -> None:
    found = checks(logins=["alice"], policy={"xmlrpc": "trusted", "login": "trusted"})
    assert len(http_check.parse_all(found)) == len(found)
    assert all(check["site"] == SITE["id"] and check["connect"] == CONNECT for check in found)


def test_no_two_entries_of_the_catalogue_are_the_same_request() -> None:
    found = checks(logins=["alice"])
    keys = [str({**check, "id": ""}) for check in found]
    assert len(set(keys)) == len(keys)


def test_the_same_request_is_made_once_where_templates_meet() -> None:
    root = checks_for_site({"id": "x", "url_path": "/"}, CONNECT, merge_policy({}))
    assert len({check["id"] for check in root}) == len(root)
    assert (
        sum(check["target"] == "//xmlrpc.php" and check["method"] == "POST" for check in root) == 1
    )


def test_targets_are_relative_to_the_site() -> None:
    targets = {check["target"] for check in checks()}
    assert {
        "/blog/xmlrpc.php",
        "//blog/xmlrpc.php",
        "/blog//xmlrpc.php",
        "/blog/?author=1",
        "https://blog.example:8443/blog/xmlrpc.php",
        "/blog/wp-json/oembed/1.0/embed?url=https://blog.example:8443/blog/",
        "/blog/",
    } <= targets
    assert not any("{" in target for target in targets)


def test_a_closed_endpoint_is_refused_to_everybody() -> None:
    found = checks()
    refused = of(found, "xmlrpc", "refuse")
    assert refused
    assert not of(found, "xmlrpc", "trusted")
    assert not any("when_trusted" in check for check in refused)
    plain = next(c for c in refused if c["target"] == "/blog/xmlrpc.php" and c["method"] == "POST")
    assert plain["expect"]["status"] == [403]
    assert "<methodResponse" in plain["expect"]["must_not_match"]
    assert "system.listMethods" in plain["body"]


def test_a_trusted_endpoint_is_refused_to_others_and_served_to_trusted_clients() -> None:
    found = checks(policy={"xmlrpc": "trusted"})
    assert all(check["when_trusted"] == "served" for check in of(found, "xmlrpc", "refuse"))
    served = of(found, "xmlrpc", "trusted")
    assert ["listMethods" in served[0]["body"], "sayHello" in served[1]["body"]] == [True, True]
    for check in served:
        assert check["expect"] == {
            "status": [200],
            "must_not_match": [],
            "must_match": ["<methodResponse"],
        }


def test_an_open_endpoint_must_work_as_before() -> None:
    found = checks(policy={"xmlrpc": "open"})
    assert not of(found, "xmlrpc", "refuse")
    assert "/blog/xmlrpc.php" in {check["target"] for check in of(found, "xmlrpc", "work")}
    assert of(checks(), "login", "work")


def test_the_sites_own_work_is_always_checked() -> None:
    everything_open = dict.fromkeys(merge_policy({}), "open")
    assert of(checks(), None, "work") == of(checks(policy=everything_open), None, "work")


def test_what_only_the_guard_refuses_is_asked_where_it_is_installed() -> None:
    with_guard, without = checks(), checks(guard=False)
    more = [check for check in with_guard if check not in without]
    assert more
    assert {check["kind"] for check in more} == {"refuse"}
    assert all(check["expect"]["status"] is None for check in more)
    assert any(check["body"] == "author=1" for check in more)


def test_known_logins_are_asked_for_and_must_not_come_back() -> None:
    without = {check["target"] for check in checks()}
    found = checks(logins=["al.ice", "bob"])
    assert "/blog/?author_name=al.ice" in {check["target"] for check in found} - without
    leaks = of(found, "rest_users", "refuse")[0]["expect"]["must_not_match"]
    assert sum(r"al\.ice" in leak for leak in leaks) == 1
    assert sum("bob" in leak for leak in leaks) == 1
    assert not any("{login}" in leak for leak in leaks)


def test_a_note_tells_requests_with_the_same_target_apart() -> None:
    ids = {check["id"] for check in checks()}
    server = "https://blog.example:8443 at 192.0.2.1:8443"
    assert f"{server} xmlrpc refuse POST /blog/xmlrpc.php" in ids
    assert f"{server} xmlrpc refuse POST /blog/xmlrpc.php (forged cookie)" in ids
    assert f"{server} xmlrpc refuse POST /blog/xmlrpc.php HTTP/1.0" in ids
    assert f"{server} site work GET /blog/" in ids


def test_a_stranger_who_claims_a_trusted_address_must_be_refused() -> None:
    found = checks(policy={"xmlrpc": "trusted"}, forged=["192.0.2.7"])
    claims = [check for check in of(found, "xmlrpc", "refuse") if "claims" in check["id"]]
    assert {header for check in claims for header in check["headers"]} >= {
        "X-Forwarded-For",
        "CF-Connecting-IP",
    }
    for check in claims:
        assert "192.0.2.7" in check["headers"].values()
        assert check["expect"]["status"] == [403]
        assert check["when_trusted"] == "served"


def test_nobody_claims_anything_where_nobody_is_trusted() -> None:
    assert not [check for check in checks(forged=["192.0.2.7"]) if "claims" in check["id"]]
