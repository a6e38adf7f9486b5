# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role endpoints writes, rendered by Ansible's own Templar from the real files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import crossplane  # type: ignore[import-untyped]
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.wpward.wordpress.plugins.filter.endpoint_notes import endpoint_notes
from ansible_collections.wpward.wordpress.plugins.filter.endpoint_servers import endpoint_servers
from ansible_collections.wpward.wordpress.plugins.filter.httpd_rules import httpd_rules
from ansible_collections.wpward.wordpress.plugins.filter.nginx_rules import nginx_rules
from ansible_collections.wpward.wordpress.plugins.filter.policy import policy as check
from ansible_collections.wpward.wordpress.plugins.filter.vhost_edits import vhost_edits

ROLE = Path(__file__).resolve().parents[2] / "roles" / "endpoints"
INCLUDE = "/etc/nginx/wpward/server.conf"
TRUSTED = {"endpoints_trusted": ["192.0.2.7", "2001:db8::/32"]}


def nginx(**changes: Any) -> dict[str, Any]:
    return {
        "binary": "/usr/sbin/nginx",
        "config_path": "/etc/nginx/nginx.conf",
        "unit": "nginx.service",
        "running": True,
        "config_test": {"ok": True, "message": ""},
        "http_include_file": "/etc/nginx/conf.d/wpward.conf",
        **changes,
    }


def httpd(**changes: Any) -> dict[str, Any]:
    return {
        "version": "2.4.57",
        "running": True,
        "config_test": {"ok": True, "message": ""},
        "modules": ["alias_module", "log_config_module"],
        "log_directory": "/var/log/httpd",
        "conf_file": "/etc/httpd/conf.d/wpward.conf",
        "conf_link": None,
        "conf_refusal": None,
        "control": {"test": ["httpd", "-t"], "reload": ["systemctl", "reload", "httpd"]},
        "wpward": None,
        **changes,
    }


def vhost(text: bytes, line: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "server": "nginx",
        "file": "/etc/nginx/sites-available/blog",
        "line": line,
        "sha256": hashlib.sha256(text).hexdigest(),
        "insert_offset": text.index(b"{") + 1,
        "insert_comment": True,
        "indent": "    ",
        "wpward_include": None,
        "xmlrpc_rules": [],
        "sites": ["blog.example/"],
        **changes,
    }


def variables(evidence: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The role's variables, as Ansible would have them."""
    found: dict[str, Any] = {"inventory_hostname": "web1"}
    for name in ("defaults", "vars"):
        found.update(yaml.safe_load((ROLE / name / "main.yml").read_text()))
    found = {
        key: trust_as_template(value) if isinstance(value, str) else value
        for key, value in found.items()
        if key not in ("endpoints_policy", "endpoints_trusted")
    }
    found["endpoints_evidence"] = {
        "nginx": nginx(),
        "httpd": httpd(),
        "vhosts": [],
        "sites": [],
        "host": {"addresses": ["192.0.2.1", "2001:db8::1"]},
        **(evidence or {}),
    }
    found.update(changes)
    # The collection's filters are not to be had without a play; this is what they return.
    checked = check(found.get("endpoints_policy", {}), found.get("endpoints_trusted", []))
    return {
        **found,
        "__endpoints_checked": checked,
        "__endpoints_rules": nginx_rules(checked),
        "__endpoints_httpd_rules": httpd_rules(checked),
        "__endpoints_servers": endpoint_servers(found["endpoints_evidence"]),
    }


def render(name: str, **changes: Any) -> str:
    templar = Templar(loader=DataLoader(), variables=variables(**changes))
    text = (ROLE / "templates" / name).read_text()
    return str(templar.template(trust_as_template(text)))


def evaluate(expression: str, **changes: Any) -> Any:
    templar = Templar(loader=DataLoader(), variables=variables(**changes))
    return templar.template(trust_as_template(expression))


def parse(text: str, tmp_path: Path, context: tuple[str, ...]) -> list[dict[str, Any]]:
    """The directives, read by an independent parser that knows nginx's grammar and contexts."""
    path = tmp_path / "rendered.conf"
    inner = text
    for block in reversed(context):
        inner = f"{block} {{\n{inner}\n}}\n"
    path.write_text(inner)
    parsed = crossplane.parse(str(path), check_ctx=True, check_args=True)
    assert parsed["errors"] == []
    directives: list[dict[str, Any]] = parsed["config"][0]["parsed"]
    for _ in context:
        directives = directives[0]["block"]
    return directives


def test_the_http_file_decides(tmp_path: Path) -> None:
    text = render(
        "nginx-http.conf.j2",
        endpoints_policy={"xmlrpc": "trusted"},
        endpoints_trusted=["192.0.2.7", "2001:db8::/32"],
    )
    directives = parse(text, tmp_path, ("http",))
    assert [directive["directive"] for directive in directives] == [
        "geo",
        *["map"] * 7,
        "log_format",
    ]
    maps = {
        directive["args"][-1]: [(line["directive"], *line["args"]) for line in directive["block"]]
        for directive in directives[:-1]
    }
    assert maps["$wpward_trusted"] == [
        ("default", "0"),
        ("192.0.2.7/32", "1"),
        ("2001:db8::/32", "1"),
    ]
    assert maps["$wpward_path"][:2] == [("default", ""), (r"~*/xmlrpc\.php(?:[/?]|$)", "xmlrpc")]
    # For nginx's if, 0 is false; in the deny log it still is a word.
    assert maps["$wpward_rule"][0] == ("default", "0")
    assert ("01 xmlrpc", "xmlrpc") in maps["$wpward_rule"]
    assert ("11 xmlrpc", "xmlrpc") not in maps["$wpward_rule"]
    assert ("11 wlwmanifest", "wlwmanifest") in maps["$wpward_rule"]
    assert not any("login" in line[0] for line in maps["$wpward_rule"])
    # A volatile rule would be empty by the time the deny log is written.
    assert not any("volatile" in line for lines in maps.values() for line in lines)
    assert directives[-1]["args"] == [
        "wpward",
        "$msec $remote_addr $wpward_rule $server_name",
    ]


def test_nothing_that_a_client_sends_reaches_a_log_line_or_a_later_map(tmp_path: Path) -> None:
    directives = parse(render("nginx-http.conf.j2"), tmp_path, ("http",))
    sources = {d["args"][1]: d["args"][0] for d in directives if d["directive"] == "map"}
    assert sources["$wpward_rule"] == "$wpward_trusted$wpward_anonymous $wpward_endpoint"
    assert sources["$wpward_endpoint"] == "$wpward_path"
    for directive in directives:
        for line in directive.get("block", []):
            for word in line["args"]:
                assert not word.startswith("$") or word.startswith("$wpward_"), line


def test_the_server_file_acts(tmp_path: Path) -> None:
    text = render("nginx-server.conf.j2", endpoints_deny_log="/var/log/nginx/refused.log")
    include, condition, location = parse(text, tmp_path, ("http", "server"))
    assert condition["args"] == ["$wpward_rule"]
    assert condition["block"][0]["args"] == ["^", "/.wpward/deny", "last"]
    assert location["args"] == ["=", "/.wpward/deny"]
    inside = {line["directive"]: line["args"] for line in location["block"]}
    assert inside["internal"] == []
    assert inside["access_log"][:2] == ["/var/log/nginx/refused.log", "wpward"]
    # Without a text nginx would go through the site's error_page.
    assert inside["return"] == ["403", "Forbidden\\n"]
    # A pattern: nginx takes it that nothing is there.
    assert include["args"] == ["/etc/nginx/wpward/server.d/*.conf"]


@pytest.mark.parametrize("name", ["nginx-http.conf.j2", "nginx-server.conf.j2", "httpd.conf.j2"])
def test_every_file_says_who_wrote_it_and_ends_in_one_line_feed(name: str) -> None:
    text = render(name)
    assert text.startswith("# wpward:endpoints - written by Ansible")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "{{" not in text
    assert "__endpoints" not in text


def test_rendering_is_the_same_every_time() -> None:
    assert render("nginx-http.conf.j2") == render("nginx-http.conf.j2")


def test_the_files_go_where_nginx_reads_them() -> None:
    evidence = {"nginx": nginx(config_path="/opt/nginx/conf/nginx.conf")}
    assert evaluate("{{ __endpoints_server_file }}", evidence=evidence) == (
        "/opt/nginx/conf/wpward/server.conf"
    )


def test_httpd_notes_refusals_beside_its_other_logs_unless_told_otherwise() -> None:
    wanted = "{{ __endpoints_httpd_deny_log }}"
    assert evaluate(wanted) == "/var/log/httpd/wpward-deny.log"
    assert evaluate(wanted, endpoints_httpd_deny_log="/srv/logs/deny") == "/srv/logs/deny"
    # Nothing that the preflight would take.
    assert evaluate(wanted, evidence={"httpd": httpd(log_directory=None)}) == "/wpward-deny.log"


def test_the_httpd_file_refuses_and_notes_by_the_same_conditions() -> None:
    text = render("httpd.conf.j2", endpoints_policy={"login": "trusted"}, **TRUSTED)
    refused = re.findall(r'<If "(.*)">', text)
    noted = re.findall(
        r"GlobalLog /var/log/httpd/wpward-deny.log wpward_(\w+) "
        r'"expr=%{REQUEST_STATUS} -eq 403 '
        r"&& ! -f '/run/wpward/banned/%{REMOTE_ADDR}' && (.*)\"",
        text,
    )
    assert len(refused) == text.count("<If ") == text.count("GlobalLog") == 8
    assert [condition for _, condition in noted] == refused
    formats = dict(re.findall(r'LogFormat "(.*)" (\w+)', text))
    assert set(formats.values()) == {f"wpward_{name}" for name, _ in noted}
    # Time, client, endpoint and the configured name: nothing that a client sends.
    for pattern, name in formats.items():
        assert pattern == f"%{{end:sec}}t.%{{end:msec_frac}}t %a {name[len('wpward_') :]} %v"


def test_every_refusal_in_httpd_is_a_whole_one() -> None:
    text = render("httpd.conf.j2")
    assert text.index('<Location "/">') < text.index("<If ")
    for block in re.findall(r"<If .*?</If>", text, re.DOTALL):
        assert "        Redirect 403\n" in block
        # With a text httpd does not go through the site's ErrorDocument.
        assert 'ErrorDocument 403 "Forbidden\\n"' in block
        assert "RewriteEngine Off" in block


def test_the_argument_spec_is_the_manual_of_exactly_the_defaults() -> None:
    spec = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert {name: option["default"] for name, option in options.items() if "default" in option} == (
        defaults
    )
    assert {name for name, option in options.items() if option.get("required")} == {
        "endpoints_evidence",
        "endpoints_run",
    }


# -- vhost_edits


def apply(text: bytes, edits: list[dict[str, Any]]) -> bytes:
    """What the transaction makes of edits; from the end, so that offsets stay true."""
    for edit in sorted(edits, key=lambda one: one["offset"], reverse=True):
        end = edit["offset"] + edit.get("remove", 0)
        text = text[: edit["offset"]] + edit.get("insert", "").encode() + text[end:]
    return text


def test_the_include_comes_first_in_the_server_block() -> None:
    text = b"server {\n    listen 80;\n}\n"
    (entry,) = vhost_edits({"vhosts": [vhost(text)]}, INCLUDE)
    assert entry["path"] == "/etc/nginx/sites-available/blog"
    assert entry["sha256"] == hashlib.sha256(text).hexdigest()
    assert apply(text, entry["edits"]) == (
        b"server {\n    include /etc/nginx/wpward/server.conf;  # wpward\n    listen 80;\n}\n"
    )


def test_a_one_line_block_gets_no_comment() -> None:
    text = b"server { listen 80; }\n"
    one = vhost(text, insert_comment=False)
    (entry,) = vhost_edits({"vhosts": [one]}, INCLUDE)
    assert apply(text, entry["edits"]) == (
        b"server {\n    include /etc/nginx/wpward/server.conf; listen 80; }\n"
    )


def test_several_blocks_in_one_file_are_edits_of_one_file() -> None:
    text = b"server {\n}\nserver {\n}\nserver {\n}\n"
    blocks = [
        vhost(text, line=1, insert_offset=8),
        vhost(text, line=3, insert_offset=19, sites=[]),
        vhost(text, line=5, insert_offset=30),
    ]
    (entry,) = vhost_edits({"vhosts": blocks}, INCLUDE)
    assert [edit["offset"] for edit in entry["edits"]] == [8, 30]


def there(offset: int, length: int, path: str = INCLUDE) -> dict[str, Any]:
    return {"offset": offset, "length": length, "path": path}


def test_what_is_there_already_stays() -> None:
    text = b"server {\n    include /etc/nginx/wpward/server.conf;  # wpward\n}\n"
    one = vhost(text, wpward_include=there(8, 52))
    assert vhost_edits({"vhosts": [one]}, INCLUDE) == []


@pytest.mark.parametrize(("wanted", "sites"), [(False, ["blog.example/"]), (True, [])])
def test_what_is_no_longer_wanted_goes(wanted: bool, sites: list[str]) -> None:
    inserted = b"\n    include /etc/nginx/wpward/server.conf;  # wpward"
    text = b"server {" + inserted + b"\n    listen 80;\n}\n"
    one = vhost(text, wpward_include=there(8, len(inserted)), sites=sites)
    (entry,) = vhost_edits({"vhosts": [one]}, INCLUDE, wanted)
    assert apply(text, entry["edits"]) == b"server {\n    listen 80;\n}\n"


def test_an_include_that_was_moved_behind_other_lines_comes_first_again() -> None:
    inserted = b"\n    include /etc/nginx/wpward/server.conf;"
    text = b"server {\n    rewrite ^/api$ /xmlrpc.php;" + inserted + b"\n}\n"
    one = vhost(text, wpward_include=there(text.index(inserted), len(inserted)))
    (entry,) = vhost_edits({"vhosts": [one]}, INCLUDE)
    after = apply(text, entry["edits"])
    assert after.startswith(b"server {\n    include /etc/nginx/wpward/server.conf;")
    assert after.count(b"include") == 1


def test_an_include_of_another_path_is_replaced() -> None:
    inserted = b"\n    include /old/wpward/server.conf;"
    text = b"server {" + inserted + b"\n}\n"
    one = vhost(text, wpward_include=there(8, len(inserted), "/old/wpward/server.conf"))
    (entry,) = vhost_edits({"vhosts": [one]}, INCLUDE)
    after = apply(text, entry["edits"])
    assert after.count(b"include") == 1
    assert INCLUDE.encode() in after


def test_other_servers_are_left_alone() -> None:
    assert vhost_edits({"vhosts": [vhost(b"server {}", server="httpd")]}, INCLUDE) == []


# -- endpoint_servers


def row(server: str, **changes: Any) -> dict[str, Any]:
    listens = [{"address": "*", "port": 80, "tls": False}]
    return {"server": server, "sites": ["blog.example/"], "listens": listens, **changes}


def servers(*rows: dict[str, Any], **changes: Any) -> dict[str, dict[str, Any]]:
    return endpoint_servers(
        {
            "nginx": nginx(),
            "httpd": httpd(),
            "host": {"addresses": ["192.0.2.1", "2001:db8::1"]},
            "vhosts": list(rows),
            **changes,
        }
    )


LOOPBACK = [{"address": "127.0.0.1", "port": 8080, "tls": False}, {"unix": "/run/httpd.sock"}]
OWN = ["127.0.0.0/8", "::1/128", "192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize(
    ("rows", "nginx_serves", "httpd_serves", "exempt"),
    [
        ([row("nginx"), row("httpd", sites=[])], True, False, []),
        ([row("httpd"), row("nginx", sites=[])], False, True, []),
        ([row("nginx"), row("httpd", fronted=True)], True, True, OWN),
        ([row("nginx"), row("httpd", fronted=True, listens=LOOPBACK)], True, False, []),
        # Somebody else may ask there from the host itself, a cache for instance.
        ([row("httpd", listens=LOOPBACK)], False, True, []),
        ([row("httpd", fronted=True), row("httpd")], False, True, []),
        ([row("httpd", fronted=True), row("httpd", sites=[])], False, True, OWN),
    ],
)
def test_a_request_is_refused_by_the_outermost_server(
    rows: list[dict[str, Any]], nginx_serves: bool, httpd_serves: bool, exempt: list[str]
) -> None:
    found = servers(*rows)
    assert found["nginx"]["serves"] is found["nginx"]["touched"] is nginx_serves
    assert found["httpd"]["serves"] is found["httpd"]["touched"] is httpd_serves
    assert found["httpd"]["exempt"] == exempt


def test_httpd_judges_where_the_server_blocks_in_front_of_it_must_not_be_edited() -> None:
    """Nobody who comes through that nginx may be exempt then."""
    front = row("nginx", fronts=["httpd:/etc/httpd/conf.d/blog.conf:1"])
    locked = {"nginx": nginx(edit_refusal="Plesk generates them.")}
    for listens in (LOOPBACK, row("httpd")["listens"]):
        found = servers(front, row("httpd", fronted=True, listens=listens), **locked)
        assert not found["nginx"]["touched"]
        assert found["httpd"] == {"serves": True, "touched": True, "exempt": []}
    # What nginx hands to PHP itself, it would have to refuse: the preflight says no.
    assert servers(front, row("nginx"), **locked)["nginx"]["serves"]


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        ({}, []),
        ({"httpd": httpd(wpward={"path": "/etc/httpd/conf.d/wpward.conf"})}, ["httpd"]),
        ({"nginx": nginx(files={"/etc/nginx/conf.d/wpward.conf": {}})}, ["nginx"]),
        ({"nginx": None, "httpd": None}, []),
        ({"httpd": httpd(wpward={"path": "/x"}, running=False)}, []),
        ({"httpd": httpd(wpward={"path": "/x"}, config_test={"ok": False, "message": ""})}, []),
    ],
)
def test_what_is_left_of_ours_is_removed_where_the_server_can_be_reloaded(
    changes: dict[str, Any], touched: list[str]
) -> None:
    found = servers(row("nginx", sites=[]), row("httpd", sites=[]), **changes)
    assert [name for name, server in found.items() if server["touched"]] == touched
    assert not any(server["serves"] for server in found.values())


# -- endpoint_notes


def notes(policy: str, plugins: tuple[str, ...] = ()) -> list[str]:
    rule = {"file": "/etc/nginx/snippets/wp.conf", "line": 3, "text": "location = /xmlrpc.php"}
    evidence = {
        "vhosts": [vhost(b"{", xmlrpc_rules=[rule]), vhost(b"{", line=9, xmlrpc_rules=[rule])],
        "sites": [{"id": "blog.example/", "xmlrpc_plugins": list(plugins)}],
    }
    return endpoint_notes(evidence, check({"xmlrpc": policy}, ["192.0.2.7"]))


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("closed", "closed with or without it."),
        ("trusted", "may refuse trusted clients too: remove it if they need XML-RPC."),
        ("open", "although the policy for xmlrpc is open: remove it if XML-RPC is needed."),
    ],
)
def test_a_rule_that_is_there_already_is_said_once(policy: str, said: str) -> None:
    (note,) = notes(policy)
    assert note.startswith("/etc/nginx/snippets/wp.conf:3 already has a rule for XML-RPC")
    assert note.endswith(said)


def test_plugins_that_would_stop_working_are_named() -> None:
    assert notes("closed", ("jetpack",))[1] == (
        "blog.example/ has plugins that use XML-RPC (jetpack); they stop working."
    )
    assert "unless their servers are among the trusted clients" in notes("trusted", ("jetpack",))[1]
    assert len(notes("open", ("jetpack",))) == 1


@pytest.mark.parametrize(
    ("policy", "fronted", "said"),
    [
        ("trusted", [True, False], True),
        ("closed", [True, False], False),
        ("trusted", [True, True], False),
        ("trusted", [False, False], False),
    ],
)
def test_trusted_clients_behind_nginx_may_be_strangers_to_httpd(
    policy: str, fronted: list[bool], said: bool
) -> None:
    rows = [
        row("httpd", fronted=one, file="/etc/httpd/x.conf", line=line, xmlrpc_rules=[])
        for line, one in enumerate(fronted, 1)
    ]
    checked = check({"xmlrpc": policy}, ["192.0.2.7"])
    found = endpoint_notes({"vhosts": rows, "sites": []}, checked)
    assert bool(found) is said
    if said:
        assert found[0].startswith("nginx stands in front of /etc/httpd/x.conf:1, but not")
