# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nginx and httpd are told about the proxies in front of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_config,
    nginx_config,
    real_ip_state,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known

NGINX = """http {
  include conf.d/*.conf;
  server {
    set_real_ip_from 203.0.113.0/24;
    real_ip_header X-Server;
    location / { set_real_ip_from 198.51.100.99; }
  }
}
stream { set_real_ip_from 198.51.100.98; }
"""


def write(base: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("ROOT", str(base)))


def of_nginx(base: Path, main: str = NGINX, **files: str) -> dict[str, Any]:
    named = {f"conf.d/{name.replace('__', '-')}.conf": text for name, text in files.items()}
    write(base, {"nginx.conf": main, **named})
    return real_ip_state.nginx(nginx_config.load(str(base / "nginx.conf")), True)


def test_nginx_without_any(tmp_path: Path) -> None:
    assert of_nginx(tmp_path, "http { server { listen 80; } }") == {
        "module": True,
        "header": None,
        "from": [],
        "recursive": False,
        "places": [],
    }
    config = nginx_config.load(str(tmp_path / "nginx.conf"))
    assert real_ip_state.nginx(config, False)["module"] is False


def test_nginx_http_level_comes_before_the_servers(tmp_path: Path) -> None:
    found = of_nginx(
        tmp_path,
        proxy="set_real_ip_from 192.0.2.0/24;\nset_real_ip_from unix:;\n"
        "set_real_ip_from 203.0.113.0/24;\nreal_ip_header X-Forwarded-For;\n"
        "real_ip_recursive on;\n",
    )
    assert found["header"] == "X-Forwarded-For"
    assert found["from"] == ["192.0.2.0/24", "unix:", "203.0.113.0/24"]
    assert found["recursive"] is True
    conf_d, main = f"{tmp_path}/conf.d/proxy.conf", f"{tmp_path}/nginx.conf"
    assert found["places"] == [
        *({"file": conf_d, "line": line} for line in range(1, 6)),
        {"file": main, "line": 4},
        {"file": main, "line": 5},
    ]


def test_nginx_has_a_header_of_its_own(tmp_path: Path) -> None:
    found = of_nginx(tmp_path, "http { set_real_ip_from 192.0.2.1; real_ip_recursive off; }")
    assert (found["header"], found["recursive"]) == ("X-Real-IP", False)
    found = of_nginx(tmp_path, "http { real_ip_header X-Forwarded-For; }")
    assert (found["header"], found["from"]) == ("X-Forwarded-For", [])


@pytest.mark.parametrize("name", ["wpward", "wpward__real__ip", "00__wpward"])
def test_ours_is_not_the_operators(tmp_path: Path, name: str) -> None:
    text = "set_real_ip_from 192.0.2.0/24; real_ip_header X-Ours;"
    assert of_nginx(tmp_path, "http { include conf.d/*.conf; }", **{name: text})["places"] == []
    write(tmp_path, {"nginx.conf": "http { include ROOT/wpward/*; }", "wpward/x": text})
    config = nginx_config.load(str(tmp_path / "nginx.conf"))
    assert real_ip_state.nginx(config, True)["header"] is None
    found = of_nginx(tmp_path, "http { include conf.d/*.conf; }", my__wpward__notes=text)
    assert found["header"] == "X-Ours"


def of_httpd(base: Path, main: str, files: dict[str, str]) -> dict[str, Any]:
    write(base, {"apache2.conf": main, **files})
    known = Known(str(base), "2.4.62")
    return real_ip_state.httpd(httpd_config.load(str(base / "apache2.conf"), known, {}))


LOAD = "LoadModule remoteip_module ROOT/modules/mod_remoteip.so\n"
OTHER = "LoadModule mpm_event_module modules/mod_mpm_event.so\n"


def test_httpd_without_any(tmp_path: Path) -> None:
    assert of_httpd(tmp_path, "Listen 80\n", {}) == {
        "module": False,
        "load_file": None,
        "load_link": None,
        "module_file": None,
        "header": None,
        "proxies": [],
        "places": [],
    }


def test_httpd_on_debian_before_it_is_loaded(tmp_path: Path) -> None:
    files = {
        "mods-available/remoteip.load": LOAD,
        "mods-enabled/mpm.load": OTHER,
        "modules/mod_mpm_event.so": "",
        "conf.d/proxy.conf": "<IfModule mod_remoteip.c>\nRemoteIPHeader X-Void\n</IfModule>\n",
    }
    main = "IncludeOptional mods-enabled/*.load\nIncludeOptional conf.d/*.conf\n"
    found = of_httpd(tmp_path, main, files)
    assert found["load_file"] == f"{tmp_path}/mods-available/remoteip.load"
    assert found["load_link"] == f"{tmp_path}/mods-enabled/remoteip.load"
    assert (found["module"], found["module_file"], found["header"]) == (False, None, None)

    (tmp_path / "modules/mod_remoteip.so").touch()
    found = of_httpd(tmp_path, main, {})
    assert (found["module"], found["module_file"]) == (
        False,
        f"{tmp_path}/modules/mod_remoteip.so",
    )

    (tmp_path / "mods-enabled/remoteip.load").symlink_to("../mods-available/remoteip.load")
    found = of_httpd(tmp_path, main, {})
    assert (found["module"], found["header"]) == (True, "X-Void")
    assert found["module_file"] == f"{tmp_path}/modules/mod_remoteip.so"


def test_httpd_main_server_comes_before_virtual_hosts(tmp_path: Path) -> None:
    main = (
        LOAD + "<VirtualHost *:80>\nRemoteIPHeader X-Vhost\nRemoteIPInternalProxy 192.0.2.1\n"
        "RemoteIPTrustedProxyList lists/trusted.txt\nRemoteIPInternalProxyList /nonexistent\n"
        "</VirtualHost>\n"
        "RemoteIPHeader X-Forwarded-For\nRemoteIPTrustedProxy 198.51.100.0/24 192.0.2.1\n"
        "IncludeOptional conf-enabled/*.conf\n"
    )
    trusted = "# edges\n203.0.113.0/24\n\n2001:db8::/32 # more\n198.51.100.0/24\n"
    ours = "RemoteIPHeader X-Ours\nRemoteIPTrustedProxy 203.0.113.99\n"
    files = {"lists/trusted.txt": trusted, "conf-enabled/wpward-real-ip.conf": ours}
    found = of_httpd(tmp_path, main, files)
    assert found["module"] is True
    assert found["header"] == "X-Forwarded-For"
    assert found["proxies"] == ["198.51.100.0/24", "192.0.2.1", "203.0.113.0/24", "2001:db8::/32"]
    file = f"{tmp_path}/apache2.conf"
    assert found["places"] == [{"file": file, "line": line} for line in (8, 9, 3, 4, 5, 6)]


def test_httpd_header_of_a_virtual_host_alone(tmp_path: Path) -> None:
    main = LOAD + "<VirtualHost *:80>\nRemoteIPHeader X-Vhost\n</VirtualHost>\n"
    assert of_httpd(tmp_path, main, {})["header"] == "X-Vhost"
