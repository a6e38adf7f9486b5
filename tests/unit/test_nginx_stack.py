# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Known stacks are told by the files they include, and their own rules are seen there."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import nginx_stack
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Config, load
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import Build
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_stack import (
    edit_refusal,
    recognise,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_vhosts import find_vhosts
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems

PHP = "location ~ \\.php$ { fastcgi_pass unix:/run/php/php-fpm.sock; }\n"


class Host:
    def __init__(self, base: Path) -> None:
        self.base = base

    def load(self, main: str, **files: str) -> Config:
        for name, text in {"nginx.conf": main, **files}.items():
            path = self.base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        config = load(str(self.base / "nginx.conf"))
        assert config.problems == []
        return config

    def rules(self, config: Config) -> list[dict[str, object]]:
        build = Build("1.22.1", str(self.base), config.path, "/var/log/a", "/var/log/e")
        (vhost,) = find_vhosts(config, build, Problems())
        return vhost.xmlrpc_rules


@pytest.fixture()
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(nginx_stack, "_PLESK", str(tmp_path / "no-plesk"))
    return Host(tmp_path)


def http(server: str) -> str:
    return "http {\ninclude sites-enabled/*;\nserver {\n" + server + "}\n}\n"


def test_wordops(host: Host) -> None:
    common = "# WordPress COMMON SETTINGS - WordOps v3.20.0\n"
    common += "location = /xmlrpc.php { allow 192.0.80.0/20; deny all; fastcgi_pass php; }\n"
    config = host.load(
        http("server_name blog.example;\ninclude common/wpcommon-php81.conf;\n"),
        **{"common/wpcommon-php81.conf": common},
    )
    assert recognise(config) == "wordops"
    (rule,) = host.rules(config)
    assert (rule["file"], rule["line"]) == (f"{host.base}/common/wpcommon-php81.conf", 2)
    assert edit_refusal(config, "wordops") is None
    # EasyEngine, which it was made from, names its files alike.
    config = host.load(
        http("include common/wpcommon-php81.conf;\n"),
        **{"common/wpcommon-php81.conf": "# EasyEngine\n"},
    )
    assert recognise(config) is None
    config = host.load(
        http("include common/locations-wo.conf;\n"), **{"common/locations-wo.conf": "\n"}
    )
    assert recognise(config) == "wordops"


def test_slickstack(host: Host) -> None:
    site = "####\n#### author: SlickStack ####\nserver { server_name blog.example;\n"
    site += "location = /xmlrpc.php { deny all; }\n" + PHP + "}\n"
    config = host.load(
        "http {\ninclude sites/production[.]conf;\n}\n", **{"sites/production.conf": site}
    )
    assert recognise(config) == "slickstack"
    assert [rule["line"] for rule in host.rules(config)] == [4]


def test_trellis(host: Host) -> None:
    site = "server { server_name blog.example;\ninclude includes.d/all/*.conf;\n"
    site += "location ~* xmlrpc\\.php$ { return 444; }\n" + PHP + "}\n"
    config = host.load(
        "http {\ninclude includes.d/http/*.conf;\ninclude sites-enabled/*.conf;\n}\n",
        **{"sites-enabled/blog.example.conf": site},
    )
    assert recognise(config) == "trellis"
    assert [rule["line"] for rule in host.rules(config)] == [3]


def test_plesk_is_not_edited(host: Host) -> None:
    heading = "#ATTENTION!\n#\n#DO NOT MODIFY THIS FILE BECAUSE IT WAS GENERATED AUTOMATICALLY,\n"
    generated = heading + "server { server_name blog.example; }\n"
    config = host.load(
        "http {\ninclude plesk.conf.d/vhosts/*.conf;\n}\n",
        **{"plesk.conf.d/vhosts/blog.example.conf": generated},
    )
    assert recognise(config) == "plesk"
    refusal = edit_refusal(config, "plesk")
    assert refusal is not None and "plesk.conf.d/vhosts/blog.example.conf says so" in refusal
    (host.base / "no-plesk").touch()
    config = host.load(http("server_name blog.example;\n"))
    assert recognise(config) == "plesk"
    assert edit_refusal(config, "plesk") is not None


def test_a_configuration_of_ones_own(host: Host) -> None:
    config = host.load(
        http("include common/all.conf;\n" + PHP), **{"common/all.conf": "# our own\n"}
    )
    assert recognise(config) is None
    assert edit_refusal(config, None) is None
    assert host.rules(config) == []
