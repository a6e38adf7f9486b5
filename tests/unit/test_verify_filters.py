# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which addresses are asked from where, and what the vantages prove together."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.wpward.wordpress.plugins.filter.verify_checks import verify_checks
from ansible_collections.wpward.wordpress.plugins.filter.verify_result import verify_result
from ansible_collections.wpward.wordpress.plugins.filter.verify_source import verify_source
from ansible_collections.wpward.wordpress.plugins.module_utils.http_connections import connections

Dict = dict[str, Any]


def listen(address: str = "*", port: int = 80, **more: Any) -> Dict:
    return {"address": address, "port": port, "tls": False, "default": False, **more}


def vhost(name: str, *listens: Dict, names: tuple[str, ...] = ("blog.example",)) -> Dict:
    return {"id": name, "listens": list(listens), "server_names": list(names)}


def evidence(*vhosts: Dict, sites: dict[str, list[str]] | None = None) -> Dict:
    sites = sites or {"blog.example/": [one["id"] for one in vhosts]}
    return {
        "host": {"addresses": ["192.0.2.10", "2001:db8::10"]},
        "vhosts": list(vhosts),
        "sites": [
            {"id": name, "url_path": "/", "vhosts": members} for name, members in sites.items()
        ],
    }


def places(document: Dict, address: str = "", site: int = 0) -> list[tuple[str, int]]:
    return [
        (one["address"], one["port"])
        for _vhost, one in connections(document, document["sites"][site], address)
    ]


def test_each_port_is_asked_once_over_ipv4() -> None:
    document = evidence(vhost("a", listen("::"), listen("*"), listen("::", 443, tls=True)))
    assert places(document) == [("127.0.0.1", 80), ("::1", 443)]
    assert places(document, "192.0.2.10") == [("192.0.2.10", 80), ("192.0.2.10", 443)]


def test_a_specific_address_is_asked_itself() -> None:
    document = evidence(vhost("a", listen("192.0.2.99", 8080)))
    assert places(document) == [("192.0.2.99", 8080)]
    assert places(document, "blog.example") == [("blog.example", 8080)]


@pytest.mark.parametrize(
    ("wanted", "address", "target"),
    [
        ("192.0.2.99", "192.0.2.10", "192.0.2.99"),  # both are the host's own
        ("192.0.2.99", "198.51.100.1", "198.51.100.1"),  # translated: its own is not reachable
        ("192.0.2.98", "192.0.2.10", "192.0.2.10"),
        ("::", "192.0.2.10", "192.0.2.10"),
        ("::", "2001:db8::10", "2001:db8::10"),
        ("*", "2001:db8::10", "192.0.2.10"),
        ("*", "blog.example", "blog.example"),
        ("::", "blog.example", "blog.example"),
        ("*", "192.0.2.10", "192.0.2.10"),
    ],
)
def test_the_controller_goes_where_the_server_block_listens(
    wanted: str, address: str, target: str
) -> None:
    document = evidence(vhost("a", listen(wanted)))
    own = ["fe80::1", "192.0.2.10", "192.0.2.99", "2001:db8::10"]
    document["host"]["addresses"] = own
    assert places(document, address) == [(target, 80)]


@pytest.mark.parametrize("loopback", ["127.0.0.1", "::1", "localhost"])
def test_the_controller_does_not_ask_for_a_loopback_port(loopback: str) -> None:
    assert places(evidence(vhost("a", listen(loopback, 8080))), "192.0.2.10") == []


def test_a_wildcard_hidden_by_a_specific_address_is_asked_elsewhere() -> None:
    document = evidence(
        vhost("a", listen("*")),
        vhost("b", listen("127.0.0.1")),
        sites={"blog.example/": ["a"]},
    )
    assert places(document) == [("192.0.2.10", 80)]


def test_a_wildcard_hidden_from_outside_is_asked_at_another_address() -> None:
    document = evidence(
        vhost("a", listen("*")),
        vhost("b", listen("192.0.2.10")),
        sites={"blog.example/": ["a"]},
    )
    document["host"]["addresses"] = ["192.0.2.10", "192.0.2.11", "2001:db8::10"]
    assert places(document, "192.0.2.10") == [("192.0.2.11", 80)]
    document["host"]["addresses"] = ["192.0.2.10"]
    assert places(document, "192.0.2.10") == []
    assert places(document, "198.51.100.1") == [("198.51.100.1", 80)]


def test_a_socket_file_is_asked_where_there_is_no_port() -> None:
    only = evidence(vhost("a", {"unix": "/run/x.sock"}))
    assert places(only) == [("unix:/run/x.sock", 0)] and places(only, "192.0.2.10") == []
    assert places(evidence(vhost("a", {"unix": "/run/x.sock"}, listen()))) == [("127.0.0.1", 80)]


@pytest.mark.parametrize(
    ("names", "port", "tls", "host"),
    [
        (
            ("_", "~^x", "*.a.example", ".b.example", "www.*", "blog.example"),
            80,
            False,
            "blog.example",
        ),
        (("blog.example",), 443, True, "blog.example"),
        (("blog.example",), 8443, True, "blog.example:8443"),
        (("_",), 80, False, "site.example"),
        ((), 81, False, "site.example:81"),
    ],
)
def test_the_host_header(names: tuple[str, ...], port: int, tls: bool, host: str) -> None:
    document = evidence(
        vhost("a", listen("*", port, tls=tls), names=names), sites={"site.example:81/": ["a"]}
    )
    [(_vhost, connect)] = connections(document, document["sites"][0], "")
    assert (connect["host"], connect["tls"]) == (host, tls)


def test_the_proxy_protocol_is_passed_on() -> None:
    document = evidence(vhost("a", listen("*", 80, proxy_protocol=True)))
    [(_vhost, connect)] = connections(document, document["sites"][0], "")
    assert connect["proxy_protocol"] is True


def test_checks_have_the_kinds_that_the_policy_asks_for() -> None:
    document = evidence(vhost("a", listen()))
    closed = verify_checks(document, {})
    assert {one["kind"] for one in closed} == {"refuse", "work"}
    assert {one["kind"] for one in verify_checks(document, {}, only_work=True)} == {"work"}
    trusted = verify_checks(document, {"xmlrpc": "trusted"}, ["192.0.2.7/32"])
    assert {one["kind"] for one in trusted} == {"refuse", "work", "trusted"}
    marked = [one["endpoint"] for one in trusted if one.get("when_trusted") == "served"]
    assert set(marked) == {"xmlrpc"}
    assert len({one["id"] for one in trusted}) == len(trusted)


@pytest.mark.parametrize(
    ("policy", "trusted", "said"),
    [
        ({"xmlrpc": "shut"}, [], "'shut'"),
        ({"xmlrpc": "trusted"}, [], "empty"),
        ({}, ["0.0.0.0/0"], "0.0.0.0/0"),
        ({}, ["nonsense"], "nonsense"),
    ],
)
def test_a_policy_that_makes_no_sense_is_named(policy: Dict, trusted: list[str], said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        verify_checks(evidence(vhost("a", listen())), policy, trusted)


def test_the_vantage_is_one_of_two() -> None:
    with pytest.raises(AnsibleFilterError, match="'moon'"):
        verify_checks(evidence(vhost("a", listen())), {}, vantage="moon")


@pytest.mark.parametrize(
    ("trusted", "source"),
    [
        ([], "127.8.8.8"),
        (["192.0.2.0/24", "::1/128"], "127.8.8.8"),
        (["127.0.0.0/12"], "127.77.13.9"),
        (["127.0.0.0/9"], "127.200.1.2"),
        (["127.8.0.0/16", "127.64.0.0/10", "127.128.0.0/9"], "127.0.0.1"),
        (["127.0.0.0/8"], ""),
    ],
)
def test_the_host_comes_from_an_untrusted_loopback_address(trusted: list[str], source: str) -> None:
    assert verify_source(trusted) == source


def test_a_trusted_network_that_is_none_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="nonsense"):
        verify_source(["nonsense"])


def mixed() -> Dict:
    """Two sites behind one nginx that takes every name; httpd is also reached past it."""
    front = vhost("nginx", listen(), names=("_", "second.example"))
    blog = vhost("blog", listen("127.0.0.1", 8080), listen(port=8082), names=("blog.example",))
    second = vhost("second", listen("127.0.0.1", 8080), names=("second.example",))
    members = {"blog.example/": ["nginx", "blog"], "second.example/": ["nginx", "second"]}
    document = evidence(front, blog, second, sites=members)
    front["fronts"] = ["blog", "second"]
    blog.update(fronted=True, sites=["blog.example/"])
    second.update(fronted=True, sites=["second.example/"])
    return document


def test_behind_another_server_only_the_outside_is_asked() -> None:
    document = mixed()
    assert places(document) == [("127.0.0.1", 80)]
    assert places(document, "192.0.2.10") == [("192.0.2.10", 80), ("192.0.2.10", 8082)]
    document["vhosts"][1]["fronted"] = False
    assert places(document) == [("127.0.0.1", 80), ("127.0.0.1", 8080), ("127.0.0.1", 8082)]


def test_one_front_is_asked_for_each_site_by_its_name() -> None:
    document = mixed()
    hosts = [connections(document, site, "")[0][1]["host"] for site in document["sites"]]
    assert hosts == ["blog.example", "second.example"]


@pytest.mark.parametrize(
    ("names", "host"),
    [(("*.blog.example",), "www.blog.example"), ((".b.example",), "www.b.example")],
)
def test_a_wildcard_is_asked_by_a_name_it_stands_for(names: tuple[str, ...], host: str) -> None:
    document = evidence(vhost("a", listen(), names=names))
    [(_vhost, connect)] = connections(document, document["sites"][0], "")
    assert connect["host"] == host


def test_the_sites_of_a_network_are_asked_for_what_must_be_refused() -> None:
    document = evidence(vhost("a", listen(port=81), names=("blog.example", "*.blog.example")))
    one = verify_checks(document, {})
    document["sites"][0]["multisite"] = "subdirectory"
    more = [check for check in verify_checks(document, {}) if check not in one]
    assert {check["kind"] for check in more} == {"refuse"}
    assert all("/wpward-sub-site/" in check["target"] for check in more)
    document["sites"][0]["multisite"] = "subdomain"
    more = [check for check in verify_checks(document, {}) if check not in one]
    hosts = {check["connect"]["host"] for check in more}
    assert hosts == {"wpward-sub-site.blog.example:81"}
    assert "/xmlrpc.php" in {check["target"] for check in more}


SERVER = "http://blog.example"


def row(outcome: str, kind: str = "refuse", server: str = SERVER) -> Dict:
    return {
        "outcome": outcome,
        "kind": kind,
        "endpoint": "xmlrpc",
        "server": server,
        "request": "GET /",
        "source": "192.0.2.7",
        "reason": "something",
    }


def run(*rows: Dict, passed: int = 5, endpoints: tuple[Dict, ...] = (), **more: Any) -> Dict:
    return {
        "counts": {"passed": passed},
        "results": list(rows),
        "endpoints": list(endpoints),
        "sites": ["blog.example/"],
        "servers": [SERVER],
        **more,
    }


SITE = evidence(vhost("a", listen()))


def test_two_vantages_prove_together() -> None:
    result = verify_result({"controller": run(), "host": run()}, SITE)
    assert (result["proven"], result["passed"], result["failed"]) == (True, 10, 0)
    assert result["table"] == "" and result["notes"] == []


@pytest.mark.parametrize("outcome", ["failed", "unreachable"])
def test_one_failure_anywhere_proves_nothing(outcome: str) -> None:
    result = verify_result({"controller": run(), "host": run(row(outcome))}, SITE)
    assert result["proven"] is (outcome == "unreachable")
    alone = verify_result({"host": run(row(outcome))}, SITE)
    assert alone["proven"] is False and alone["failed"] == 1
    assert alone["failures"][0]["vantage"] == "host" and "host 192.0.2.7" in alone["table"]


def test_an_address_reached_before_has_to_be_reached_after() -> None:
    seen = {"controller": run(row("unreachable"), servers=[]), "host": run()}
    assert verify_result(seen, SITE)["notes"] == [
        "http://blog.example was not reached from the controller, and is judged from elsewhere"
    ]
    assert verify_result(seen, SITE)["proven"] is True
    assert verify_result(seen, SITE, {"controller": run()})["proven"] is False
    assert verify_result(seen, SITE, {"controller": run(servers=[])})["proven"] is True


def test_an_address_that_is_never_reached_is_one_note_however_many_requests_it_would_get() -> None:
    """A virtual host for IPv6 only, seen from a controller that has none."""
    unasked = [row("unreachable"), *(row("skipped", kind="work") for _number in range(9))]
    result = verify_result({"controller": run(*unasked, servers=[]), "host": run()}, SITE)
    assert len(result["notes"]) == 1


def test_a_firewall_may_hide_the_httpd_behind_an_nginx() -> None:
    hidden = row("unreachable", server="http://blog.example:8082")
    sites = ["blog.example/", "second.example/"]
    seen = {"controller": run(hidden, sites=sites), "host": run(sites=sites)}
    result = verify_result(seen, mixed())
    assert result["proven"] and "8082 was not reached from the controller" in result["notes"][0]
    reached = {"controller": run(servers=["http://blog.example:8082"])}
    assert verify_result(seen, mixed(), reached)["proven"] is False


def test_a_site_that_nobody_asked_is_a_gap() -> None:
    two = evidence(vhost("a", listen()), sites={"blog.example/": ["a"], "other.example/": []})
    result = verify_result({"host": run()}, two)
    assert result["proven"] is False and result["failed"] == 1
    assert "other.example/: none of its requests was answered" in result["table"]


def test_nothing_passed_proves_nothing() -> None:
    assert verify_result({"host": run(passed=0)}, SITE)["proven"] is False
    assert verify_result({}, evidence(sites={}))["proven"] is False


def sums(kind: str, passed: int, skipped: int) -> Dict:
    counts = {"passed": passed, "failed": 0, "unreachable": 0, "skipped": skipped}
    return {"endpoint": "xmlrpc", "kind": kind, **counts}


def test_a_refusal_that_no_stranger_saw_is_a_gap() -> None:
    inside = run(endpoints=(sums("refuse", 0, 9), sums("trusted", 2, 0)))
    outside = run(endpoints=(sums("refuse", 9, 0), sums("trusted", 0, 2)))
    assert verify_result({"controller": inside, "host": outside}, SITE)["proven"] is True
    result = verify_result({"controller": inside}, SITE)
    assert result["proven"] is False and "nobody saw it refused" in result["gaps"][0]


def test_a_server_block_that_nobody_can_ask_is_a_note() -> None:
    document = evidence(vhost("a", listen()), vhost("b", listen("127.0.0.1", 8080)))
    assert verify_result({"controller": run(), "host": run()}, document)["notes"] == []
    [note] = verify_result({"controller": run()}, document)["notes"]
    assert "virtual host b was not asked" in note


def test_who_the_controller_is_matters_where_somebody_is_trusted() -> None:
    friend = run(row("failed"), endpoints=(sums("trusted", 0, 2), sums("refuse", 1, 0)))
    assert "verify_seen_as" in verify_result({"controller": friend}, SITE)["table"]
    assert "verify_seen_as" not in verify_result({"host": friend}, SITE)["table"]
    stranger = run(row("failed"), endpoints=(sums("refuse", 1, 0),))
    assert "verify_seen_as" not in verify_result({"controller": stranger}, SITE)["table"]


def test_a_service_that_no_friend_saw_is_a_note() -> None:
    result = verify_result({"host": run(endpoints=(sums("trusted", 0, 2),))}, SITE)
    assert result["proven"] is True
    assert "trusted clients are served was not seen" in result["notes"][0]


def test_what_did_not_work_before_is_a_note() -> None:
    result = verify_result({"host": run(row("skipped", "work"))}, SITE)
    assert result["proven"] is True and "seen from the host: something" in result["notes"][0]


def test_only_a_stranger_from_outside_claims_to_be_trusted() -> None:
    policy, trusted = {"xmlrpc": "trusted"}, ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/48"]
    document = evidence(vhost("a", listen("*")))

    def claims(vantage: str) -> set[str]:
        found = verify_checks(document, policy, trusted, vantage, "192.0.2.10")
        return {check["headers"].get("X-Real-IP", "") for check in found} - {""}

    assert claims("controller") == {"192.0.2.7", "2001:db8::"}
    assert claims("host") == set()


AID = {"run": "contain-1", "until": "2026-11-23T16:38:47Z"}


def test_first_aid_refuses_xmlrpc_in_its_own_way_and_nothing_else() -> None:
    document = evidence(vhost("a", listen()))
    usual = {one["id"]: one for one in verify_checks(document, {})}
    held = {one["id"]: one for one in verify_checks(document, {}, first_aid=True)}
    other = [held[name] for name in held if held[name] != usual[name]]
    assert {(one["endpoint"], one["kind"]) for one in other} == {("xmlrpc", "refuse")}
    assert all({401, 403, 404} <= set(one["expect"]["status"]) for one in other)
    for one in other:
        leaks = one["expect"]["must_not_match"]
        assert leaks == usual[one["id"]]["expect"]["must_not_match"] != []


def test_what_first_aid_holds_is_not_hardened() -> None:
    result = verify_result({"host": run()}, SITE, first_aid=AID)
    assert (result["proven"], result["passed"], result["failed"]) == (False, 5, 0)
    assert (result["table"], result["gaps"]) == ("", [])
    assert "held by first aid until 2026-11-23T16:38:47Z; not hardened yet" in result["first_aid"]
    assert verify_result({"host": run()}, SITE, first_aid={})["proven"] is True
    assert verify_result({"host": run()}, SITE, first_aid={})["first_aid"] == ""
