# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role real_ip writes and what it refuses, evaluated by Ansible's own Templar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import crossplane  # type: ignore[import-untyped]
import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.wpward.wordpress.plugins.plugin_utils.real_ip_plan import real_ip_plan

ROLE = Path(__file__).resolve().parents[2] / "roles" / "real_ip"
NETWORKS = ["192.0.2.0/28", "10.0.0.5/32", "2001:db8::/64"]
DEBIAN = {
    "module": False,
    "load_file": "/etc/apache2/mods-available/remoteip.load",
    "load_link": "/etc/apache2/mods-enabled/remoteip.load",
    "module_file": "/usr/lib/apache2/modules/mod_remoteip.so",
}
RHEL = {"module": False, "load_file": None, "load_link": None, "module_file": "/m/mod_remoteip.so"}


def nginx(**changes: Any) -> dict[str, Any]:
    return {
        "binary": "/usr/sbin/nginx",
        "config_path": "/etc/nginx/nginx.conf",
        "running": True,
        "config_test": {"ok": True, "message": ""},
        "http_include_file": "/etc/nginx/conf.d/wpward.conf",
        "control": {"test": ["nginx", "-t"], "reload": ["systemctl", "reload", "nginx"]},
        "real_ip": {"module": True},
        **changes,
    }


def httpd(**changes: Any) -> dict[str, Any]:
    return {
        "running": True,
        "config_test": {"ok": True, "message": ""},
        "modules": [],
        "conf_file": "/etc/apache2/conf-available/wpward.conf",
        "conf_link": "/etc/apache2/conf-enabled/wpward.conf",
        "conf_refusal": None,
        "control": {"test": ["apache2", "-t"], "reload": ["systemctl", "reload", "apache2"]},
        "real_ip": DEBIAN,
        **changes,
    }


def templar(evidence: dict[str, Any], cdn: str = "custom") -> Templar:
    """The role's variables, as Ansible would have them."""
    found: dict[str, Any] = {
        key: trust_as_template(value)
        for key, value in yaml.safe_load((ROLE / "vars" / "main.yml").read_text()).items()
    }
    [tell] = yaml.safe_load((ROLE / "tasks" / "tell.yml").read_text())
    found |= {key: _trusted(value) for key, value in tell["vars"].items()}
    server = "nginx" if "nginx" in evidence else "httpd"
    whole = {
        "nginx": None,
        "httpd": None,
        "vhosts": [{"server": server, "sites": ["blog.example/"]}],
        **evidence,
    }
    networks = NETWORKS if cdn == "custom" else []
    found |= {
        "inventory_hostname": "web1",
        "real_ip_evidence": whole,
        "real_ip_plan": real_ip_plan(whole, cdn, networks),
    }
    return Templar(loader=DataLoader(), variables=found)


def _trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trusted(one) for key, one in value.items()}
    return trust_as_template(value)


def evaluate(expression: str, evidence: dict[str, Any], cdn: str = "custom") -> Any:
    return templar(evidence, cdn).template(trust_as_template(expression))


def render(name: str, evidence: dict[str, Any]) -> str:
    return str(evaluate((ROLE / "templates" / name).read_text(), evidence))


def refused(evidence: dict[str, Any], server: str) -> list[str]:
    """The messages of the preflight's checks that do not hold."""
    found = []
    for task in yaml.safe_load((ROLE / "tasks" / f"preflight_{server}.yml").read_text()):
        check = task["ansible.builtin.assert"]
        if not evaluate(f"{{{{ {check['that']} }}}}", evidence):
            found.append(str(evaluate(check["fail_msg"], evidence)))
    return found


def test_nginx_gets_a_file_for_all_server_blocks(tmp_path: Path) -> None:
    text = render("nginx.conf.j2", {"nginx": nginx()})
    assert text.startswith("# wpward:real_ip - ") and text.endswith(";\n")
    path = tmp_path / "nginx.conf"
    path.write_text(f"http {{\n{text}}}\n")
    parsed = crossplane.parse(str(path), check_ctx=True, check_args=True)
    assert parsed["errors"] == []
    directives = parsed["config"][0]["parsed"][0]["block"]
    assert [(one["directive"], *one["args"]) for one in directives] == [
        *(("set_real_ip_from", network) for network in NETWORKS),
        ("real_ip_header", "X-Forwarded-For"),
        ("real_ip_recursive", "on"),
    ]
    assert evaluate("{{ __real_ip_nginx_file }}", {"nginx": nginx()}) == (
        "/etc/nginx/conf.d/wpward-real-ip.conf"
    )


def directives_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if not line.startswith("#")]


def test_httpd_believes_private_proxies_only_of_private_clients() -> None:
    text = render("httpd.conf.j2", {"httpd": httpd()})
    assert text.startswith("# wpward:real_ip - ")
    assert directives_of(text) == [
        "RemoteIPHeader X-Forwarded-For",
        "RemoteIPInternalProxy 10.0.0.5/32",
        "RemoteIPTrustedProxy 192.0.2.0/28",
        "RemoteIPTrustedProxy 2001:db8::/64",
    ]


def test_the_module_is_loaded_as_the_system_does_it() -> None:
    debian = {"httpd": httpd()}
    links = evaluate("{{ [__real_ip_link_entry, __real_ip_load_entry] }}", debian)
    assert [(one["path"], one["target"]) for one in links] == [
        (
            "/etc/apache2/conf-enabled/wpward-real-ip.conf",
            "../conf-available/wpward-real-ip.conf",
        ),
        ("/etc/apache2/mods-enabled/remoteip.load", "../mods-available/remoteip.load"),
    ]
    loaded = {"httpd": httpd(real_ip={**DEBIAN, "module": True})}
    assert evaluate("{{ __real_ip_load_link }}", debian) == DEBIAN["load_link"]
    assert evaluate("{{ __real_ip_load_link }}", loaded) == ""
    assert "LoadModule" not in render("httpd.conf.j2", debian)
    for module in (False, True):
        # Once it is loaded, it is by this very file.
        elsewhere = {"httpd": httpd(real_ip={**RHEL, "module": module}, conf_link=None)}
        assert directives_of(render("httpd.conf.j2", elsewhere))[:3] == [
            "<IfModule !remoteip_module>",
            "LoadModule remoteip_module /m/mod_remoteip.so",
            "</IfModule>",
        ]
        assert evaluate("{{ __real_ip_load_link ~ __real_ip_httpd_link }}", elsewhere) == ""


def test_what_is_taken_back_goes_and_the_module_stays() -> None:
    left = httpd(files={"/etc/apache2/conf-available/wpward-real-ip.conf": {}})
    files = evaluate("{{ __real_ip_httpd_files }}", {"httpd": left}, "none")
    assert [(one["path"], one["state"]) for one in files] == [
        ("/etc/apache2/conf-available/wpward-real-ip.conf", "absent"),
        ("/etc/apache2/conf-enabled/wpward-real-ip.conf", "absent"),
    ]
    assert evaluate("{{ __real_ip_label }}", {"httpd": left}, "none") == []


@pytest.mark.parametrize("cdn", ["none", "auto"])
def test_where_nothing_is_in_front_nothing_is_touched(cdn: str) -> None:
    for evidence in ({"nginx": nginx()}, {"httpd": httpd()}):
        touched = "{{ __real_ip_touches_nginx or __real_ip_touches_httpd }}"
        assert evaluate(touched, evidence, cdn) is False


def test_a_host_that_can_be_told_is_not_refused() -> None:
    assert refused({"nginx": nginx()}, "nginx") == []
    assert refused({"httpd": httpd()}, "httpd") == []
    assert refused({"httpd": httpd(real_ip=RHEL)}, "httpd") == []


BROKEN = {"config_test": {"ok": False, "message": "unknown directive\n"}}


@pytest.mark.parametrize(
    ("server", "changes", "says"),
    [
        ("nginx", BROKEN, "refuses its own configuration already"),
        ("nginx", {"running": False}, "does not run"),
        ("nginx", {"real_ip": {"module": False}}, "without ngx_http_realip_module"),
        ("nginx", {"http_include_file": None}, "includes no directory of files at http level"),
        ("httpd", BROKEN, "refuses its own configuration already"),
        ("httpd", {"running": False}, "does not run"),
        ("httpd", {"conf_refusal": "No place."}, "No place."),
        ("httpd", {"real_ip": {"module": False}}, "mod_remoteip is not installed"),
        ("httpd", {"real_ip": {**RHEL, "module_file": None}}, "mod_remoteip is not installed"),
    ],
)
def test_a_host_that_cannot_be_told_is_one_sentence(
    server: str, changes: dict[str, Any], says: str
) -> None:
    make = {"nginx": nginx, "httpd": httpd}[server]
    [message] = refused({server: make(**changes)}, server)
    assert message.startswith("web1: ") and says in message
    assert "Nothing was changed." in message and "\n" not in message


def test_the_argument_spec_is_the_manual_of_exactly_the_defaults() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    spec = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    required = {name for name, option in options.items() if option.get("required")}
    assert required == {"real_ip_evidence", "real_ip_run"}
    assert {
        name: option["default"] for name, option in options.items() if name not in required
    } == (defaults)
