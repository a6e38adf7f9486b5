# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What first aid does on which host, judged without one."""

from __future__ import annotations

from typing import Any

from ansible_collections.wpward.wordpress.plugins.module_utils.containment import (
    checks,
    plan,
    plan_to_rename,
)

LISTEN = {"address": "*", "port": 80, "tls": False}
TRUSTED = ["192.0.2.7/32", "2001:db8::/32"]


def vhost(server: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"{server}:/etc/{server}/blog:1",
        "server": server,
        "server_names": ["blog.example"],
        "sites": ["blog.example/"],
        "listens": [LISTEN],
        "fronts": [],
        "fronted": False,
        **changes,
    }


def server(name: str, **changes: Any) -> dict[str, Any]:
    shared = {
        "running": True,
        "config_test": {"ok": True, "message": ""},
        "control": {"test": [name, "-t"], "reload": ["systemctl", "reload", name]},
    }
    own: dict[str, Any] = {
        "nginx": {
            "config_path": "/etc/nginx/nginx.conf",
            "http_include_file": "/etc/nginx/conf.d/wpward.conf",
            "edit_refusal": None,
            "files": {},
        },
        "httpd": {
            "conf_file": "/etc/apache2/conf-available/wpward.conf",
            "conf_link": "/etc/apache2/conf-enabled/wpward.conf",
            "conf_refusal": None,
            "modules": ["alias_module"],
            "wpward": False,
        },
    }
    return {**shared, **own[name], **changes}


def host(*names: str, **servers: Any) -> dict[str, Any]:
    return {
        "host": {"addresses": ["198.51.100.1"]},
        "nginx": servers.get("nginx", server("nginx") if "nginx" in names else None),
        "httpd": servers.get("httpd", server("httpd") if "httpd" in names else None),
        "vhosts": [vhost(name) for name in names],
        "sites": [
            {
                "id": "blog.example/",
                "path": "/var/www/blog",
                "url_path": "/",
                "vhosts": [f"{name}:/etc/{name}/blog:1" for name in names],
            }
        ],
    }


def content(aid: Any, path: str) -> str:
    (found,) = [file["content"] for file in aid.files if file["path"] == path]
    return str(found)


def test_nginx_gets_one_file_and_nobody_a_password() -> None:
    aid = plan(host("nginx"), TRUSTED)
    text = content(aid, "/etc/nginx/conf.d/wpward-contain.conf")
    assert "    192.0.2.7/32 1;\n    2001:db8::/32 1;\n" in text
    assert '"~*/xmlrpc\\.php(?:[/?]|$)" 1;' in text
    assert text.index("default off;") < text.index('"01" closed;')
    assert content(aid, "/etc/nginx/wpward/nobody") == ""
    assert (aid.ways, aid.notes) == (["nginx"], [])
    assert aid.activate[-1] == ["systemctl", "reload", "nginx"]
    assert all(file["mode"] == "0644" for file in aid.files)


def test_httpd_gets_one_file_and_its_link() -> None:
    aid = plan(host("httpd"), TRUSTED)
    text = content(aid, "/etc/apache2/conf-available/wpward-contain.conf")
    assert "Redirect 403" in text and "! (-R '192.0.2.7/32' || -R '2001:db8::/32')" in text
    link = aid.files[-1]
    assert link["path"] == "/etc/apache2/conf-enabled/wpward-contain.conf"
    assert link["target"] == "../conf-available/wpward-contain.conf"


def test_without_trusted_clients_nobody_is_excepted() -> None:
    assert "-R" not in content(
        plan(host("httpd")), "/etc/apache2/conf-available/wpward-contain.conf"
    )


def test_a_server_that_takes_no_file_loses_xmlrpc_php() -> None:
    for name, changes in (
        ("nginx", {"http_include_file": None}),
        ("nginx", {"config_test": {"ok": False, "message": "emerg"}}),
        ("httpd", {"conf_file": None}),
        ("httpd", {"conf_refusal": "cPanel writes it."}),
        ("httpd", {"modules": []}),
    ):
        aid = plan(host(name, **{name: server(name, **changes)}), TRUSTED)
        assert aid.files == [{"path": "/var/www/blog/xmlrpc.php", "state": "absent"}], changes
        assert aid.ways == ["rename /var/www/blog"]
        assert aid.validate == aid.activate == []
        assert len(aid.notes) == 2 and "trusted clients" in aid.notes[1]


def test_httpd_behind_an_nginx_of_the_host_is_left_to_that() -> None:
    made = host("nginx", "httpd")
    made["vhosts"][1].update(fronted=True, listens=[{**LISTEN, "address": "127.0.0.1"}])
    made["vhosts"][0]["fronts"] = [made["vhosts"][1]["id"]]
    assert plan(made).ways == ["nginx"]


def test_what_must_be_refused_afterwards() -> None:
    made = host("nginx")
    aid = plan(made)
    asked = checks(made, [], aid)
    assert len(asked) == 6
    assert {check["kind"] for check in asked} == {"refuse"}
    assert {tuple(check["expect"]["status"]) for check in asked} == {(401, 403)}
    assert "/xmlrpc.php" in {check["target"] for check in asked}
    taken = checks(made, [], plan_to_rename(["/var/www/blog"]))
    assert {tuple(check["expect"]["status"]) for check in taken} == {(404, 403)}
