# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What role capacity writes and runs for each service, evaluated by Ansible's own Templar."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[2] / "roles" / "capacity"
LIMIT_ACTS = ROLE / "files" / "limit_acts.sh"
LOOKUP = re.compile(r"lookup\('ansible\.builtin\.(?:file|template)', '([^']+)'\)")
FPM = "php8.2-fpm.service"
EVIDENCE: dict[str, Any] = {
    "nginx": {"control": {"test": ["nginx", "-t"], "reload": ["systemctl", "reload", "nginx"]}},
    "httpd": {
        "config_path": "/etc/apache2/apache2.conf",
        "conf_file": "/etc/apache2/conf-available/wpward.conf",
        "conf_link": "/etc/apache2/conf-enabled/wpward.conf",
        "control": {"test": ["apache2ctl", "-t"]},
    },
    "capacity": {
        "nofile_ceiling": 524288,
        "httpd": {"mpm": "event"},
        "php_fpm": [
            {"unit": "php7.4-fpm.service", "include_directory": "/etc/php/7.4/fpm/pool.d"},
            {"unit": FPM, "include_directory": "/etc/php/8.2/fpm/pool.d", "test": ["php", "-t"]},
        ],
    },
}


def service(name: str, unit: str, **changes: Any) -> dict[str, Any]:
    return {
        "service": name,
        "unit": unit,
        "nofile": 16384,
        "dropin": f"/etc/systemd/system/{unit}.d/wpward.conf",
        "apachectl_ulimit": False,
        "file_entries": [],
        "settings": {},
        **changes,
    }


def _trusted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trusted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_trusted(one) for one in value]
    if not isinstance(value, str):
        return value
    # Lookups want the whole of Ansible; a variable that is a template is rendered as well.
    return trust_as_template(LOOKUP.sub(r"__read['\1']", value))


def evaluate(expression: str, **variables: Any) -> Any:
    """An expression over the role's variables and those of its tasks, as Ansible would have it."""
    found = _trusted(yaml.safe_load((ROLE / "vars" / "main.yml").read_text()))
    found |= {
        "__read": {path.name: _trusted(path.read_text()) for path in ROLE.glob("templates/*.j2")},
        "inventory_hostname": "web1",
        "capacity_evidence": EVIDENCE,
        "capacity_nofile": 16384,
        "__capacity_envvars": {"skipped": True},
        **variables,
    }
    templar = Templar(loader=DataLoader(), variables=found)
    return templar.template(trust_as_template(expression))


def change(of: dict[str, Any], **variables: Any) -> Any:
    """What the role makes of one service of the plan."""
    tasks = yaml.safe_load((ROLE / "tasks" / "files.yml").read_text())
    [task] = [one for one in tasks if one["name"] == "Write the files of each service"]
    merged = {**_trusted(task["vars"]), "__capacity_service": of, **variables}
    return evaluate("{{ __capacity_change }}", **merged)


def activation(of: dict[str, Any], *changed: str) -> Any:
    """The commands after a change of these files."""
    [block] = [
        one
        for one in yaml.safe_load((ROLE / "tasks" / "service.yml").read_text())
        if "block" in one
    ]
    variables = _trusted(block["block"][0]["vars"])
    made = {**change(of), "changed": list(changed)}
    return evaluate("{{ __capacity_activate }}", **variables, __capacity_change=made)


def test_a_unit_gets_a_drop_in() -> None:
    made = change(service("nginx", "nginx.service"))
    [file] = made["files"]
    assert file["path"] == "/etc/systemd/system/nginx.service.d/wpward.conf"
    assert file["content"].startswith("# wpward:capacity - ")
    assert file["content"].endswith("\n[Service]\nLimitNOFILE=16384\n")
    assert made["validate"] == [["nginx", "-t"]]


def test_nothing_planned_is_nothing_written() -> None:
    made = change(service("nginx", "nginx.service", nofile=None, dropin=None))
    assert made["files"] == [] and made["nofile"] == 0


def test_edits_of_the_plan_are_made_as_they_are() -> None:
    edits = {"path": "/etc/nginx/nginx.conf", "sha256": "0" * 64, "edits": [{"offset": 1}]}
    made = change(service("nginx", "nginx.service", file_entries=[edits]))
    assert made["files"][-1] == edits


APACHECTL = service("httpd", "apache2.service", apachectl_ulimit=True)


def test_apachectl_is_told_by_its_environment() -> None:
    [file] = change(APACHECTL)["files"]
    assert 'Environment="APACHE_ULIMIT_MAX_FILES=ulimit -n 16384"\n' in file["content"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("export APACHE_ULIMIT_MAX_FILES='ulimit -n 8192'", "export APACHE_ULIMIT_MAX_FILES={}"),
        ("  APACHE_ULIMIT_MAX_FILES=true", "  APACHE_ULIMIT_MAX_FILES={}"),
        ("#APACHE_ULIMIT_MAX_FILES='ulimit -n 65536'", None),
        ("export LANG=C", None),
    ],
)
def test_apachectls_own_file_is_changed_only_where_it_says_otherwise(
    before: str, after: str | None
) -> None:
    encoded = evaluate("{{ text | b64encode }}", text=f"umask 022\n{before}\nexport LANG\n")
    read = {"content": encoded, "source": "/etc/apache2/envvars"}
    files = change(APACHECTL, __capacity_envvars=read)["files"]
    own = [one["content"] for one in files if one["path"] == "/etc/apache2/envvars"]
    wanted = after and after.format('"ulimit -n 16384"')
    assert own == ([f"umask 022\n{wanted}\nexport LANG\n"] if wanted else [])


POOL = {
    "name": "www",
    "max_children": 16,
    "start_servers": None,
    "backlog": 64,
    "rlimit_files": None,
}


def test_pools_go_on_in_the_directory_of_their_own_php() -> None:
    shop = {"name": "shop", "max_children": 8}
    made = change(service("php-fpm", FPM, settings={"pools": [POOL, shop]}))
    pools = made["files"][-1]
    assert pools["path"] == "/etc/php/8.2/fpm/pool.d/zz-wpward.conf"
    lines = [line for line in pools["content"].splitlines() if line[:1] != ";"]
    assert "\n".join(lines).strip() == (
        "[www]\npm.max_children = 16\nlisten.backlog = 64\n\n[shop]\npm.max_children = 8"
    )
    assert made["validate"] == [["php", "-t"]]


def test_httpd_gets_numbers_for_its_own_mpm_only() -> None:
    numbers = {"MaxRequestWorkers": 75, "ServerLimit": 3, "ListenBacklog": None}
    made = change(service("httpd", "apache2.service", settings=numbers))
    file, link = made["files"][-2:]
    assert file["path"] == "/etc/apache2/conf-available/wpward-capacity.conf"
    lines = [line.strip() for line in file["content"].splitlines() if line[:1] != "#"]
    assert lines == [
        "<IfModule mpm_event_module>",
        "MaxRequestWorkers 75",
        "ServerLimit 3",
        "</IfModule>",
    ]
    assert link["path"] == "/etc/apache2/conf-enabled/wpward-capacity.conf"
    assert link["target"] == "../conf-available/wpward-capacity.conf"


def test_httpd_gets_a_limit_for_each_worker_of_mod_proxy() -> None:
    limits = [{"name": f"fcgi://{name}", "max": 19, "acquire": 1000} for name in ("a", "b:1")]
    file = change(service("httpd", "apache2.service", settings={"fcgi": limits}))["files"][-2]
    lines = [line.strip() for line in file["content"].splitlines()]
    assert [line for line in lines if line[:1] != "#"] == [
        word
        for name in ("a", "b:1")
        for word in (
            "<IfModule proxy_fcgi_module>",
            f'<Proxy "fcgi://{name}/" max=19 acquire=1000 retry=0>',
            "</Proxy>",
            "</IfModule>",
        )
    ]


def test_only_numbers_of_nginx_alone_take_a_reload() -> None:
    nginx = service("nginx", "nginx.service")
    restart = [["systemctl", "daemon-reload"], ["systemctl", "restart", "nginx.service"]]
    assert activation(nginx, "/etc/nginx/nginx.conf") == [["systemctl", "reload", "nginx"]]
    assert activation(nginx, nginx["dropin"], "/etc/nginx/nginx.conf") == restart
    restart[1][2] = FPM
    pools = service("php-fpm", FPM, nofile=None, dropin=None, settings={"pools": [POOL]})
    assert activation(pools, "/etc/php/8.2/fpm/pool.d/zz-wpward.conf") == restart


def test_what_others_need_comes_first() -> None:
    names = ["nginx", "httpd", "php-fpm", "mariadb", "php-fpm"]
    plan = {"services": [service(name, f"{name}{at}") for at, name in enumerate(names)]}
    ordered = evaluate("{{ __capacity_services | map(attribute='unit') }}", capacity_plan=plan)
    assert ordered == ["mariadb3", "php-fpm2", "php-fpm4", "httpd1", "nginx0"]


def test_login_shells_get_no_more_than_the_host_can_give() -> None:
    template = (ROLE / "templates" / "limits.conf.j2").read_text()
    evidence = {**EVIDENCE, "capacity": {**EVIDENCE["capacity"], "nofile_ceiling": 9000}}
    plan = {"accounts": ["mysql", "www-data"]}
    text = evaluate(template, capacity_plan=plan, capacity_evidence=evidence)
    assert text.splitlines()[-2:] == ["mysql soft nofile 9000", "www-data soft nofile 9000"]


def test_the_check_holds_no_apostrophe_that_would_be_quoted_in_a_message() -> None:
    assert "'" not in LIMIT_ACTS.read_text()


def test_a_unit_that_does_not_run_fails_the_check(tmp_path: Path) -> None:
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\necho failed\n")
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", LIMIT_ACTS.read_text(), "limit_acts", "x.service", "0"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "x.service is failed\n")


def test_the_argument_spec_is_the_manual_of_exactly_the_defaults() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    spec = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    options = spec["argument_specs"]["main"]["options"]
    required = {name for name, option in options.items() if option.get("required")}
    assert required == {"capacity_evidence", "capacity_run"}
    assert {
        name: option["default"] for name, option in options.items() if name not in required
    } == defaults
