# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How httpd reaches php-fpm, and whose definitions of mod_proxy's workers are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_config
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_fcgi import describe

HANDLER = 'SetHandler "proxy:unix:{}|fcgi://{}"\n'


def found(base: Path, text: str, ours: str = "") -> dict[str, Any]:
    (base / "conf").mkdir()
    (base / "conf/wpward-capacity.conf").write_text(ours)
    (base / "httpd.conf").write_text("IncludeOptional conf/*.conf\n" + text)
    known = Known(str(base), "2.4.62")
    config = httpd_config.load(str(base / "httpd.conf"), known, {})
    return describe(config, str(base / "conf/wpward.conf"))


def test_handlers_of_one_name_are_one_worker_whatever_their_sockets(tmp_path: Path) -> None:
    text = (
        f'<FilesMatch "php$">\n{HANDLER.format("/run/a.sock", "localhost")}</FilesMatch>\n'
        f"<VirtualHost *:80>\n<Directory /x>\n{HANDLER.format('/run/b.sock', 'LOCALHOST/')}"
        f"</Directory>\n</VirtualHost>\n{HANDLER.format('/run/c.sock', 'shop')}"
        'SetHandler "proxy:fcgi://127.0.0.1:9000"\nSetHandler server-status\n'
    )
    workers = found(tmp_path, text)["workers"]
    assert [(one["name"], one["sockets"]) for one in workers] == [
        ("fcgi://localhost", ["/run/a.sock", "/run/b.sock"]),
        ("fcgi://shop", ["/run/c.sock"]),
    ]
    assert all(one["defined"] is None and one["limit"] is None for one in workers)


def test_a_socket_is_known_without_links_too(tmp_path: Path) -> None:
    (tmp_path / "link.sock").symlink_to("php8.sock")
    [worker] = found(tmp_path, HANDLER.format(tmp_path / "link.sock", "localhost"))["workers"]
    assert worker["sockets"] == [str(tmp_path / "link.sock"), str(tmp_path / "php8.sock")]


@pytest.mark.parametrize(
    ("line", "mixed"),
    [
        ('<Proxy "fcgi://localhost" max=9>\n</Proxy>', True),
        ('<Proxy "unix:/run/a.sock|fcgi://localhost/">\n</Proxy>', True),
        ("<VirtualHost *:80>\n<Proxy fcgi://LocalHost/x>\n</Proxy>\n</VirtualHost>", True),
        ("ProxySet fcgi://localhost max=9", True),
        ("ProxyPass /x unix:/run/b.sock|fcgi://localhost/var/www/", True),
        ("<VirtualHost *:80>\nProxyPass /x fcgi://localhost/\n</VirtualHost>", True),
        ("<VirtualHost *:80>\nProxyPass /x fcgi://localhost/var/www/\n</VirtualHost>", False),
        ('<Proxy "fcgi://localhost2/">\n</Proxy>', False),
        ('<Proxy "fcgi://localhost:9000/">\n</Proxy>', False),
        ('<Proxy "*">\nRequire all granted\n</Proxy>', False),
    ],
)
def test_another_definition_of_the_same_worker_is_found(
    tmp_path: Path, line: str, mixed: bool
) -> None:
    text = f"{line}\n{HANDLER.format('/run/a.sock', 'localhost')}"
    [worker] = found(tmp_path, text)["workers"]
    assert (worker["defined"] is not None) is mixed
    assert not mixed or worker["defined"].startswith(f"{tmp_path}/httpd.conf:")


def test_our_own_definition_is_the_limit_that_is_set(tmp_path: Path) -> None:
    ours = '<Proxy "fcgi://localhost/" max=19 acquire=1000 retry=0>\n</Proxy>\n'
    [worker] = found(tmp_path, HANDLER.format("/run/a.sock", "localhost"), ours)["workers"]
    assert worker["limit"] == {"max": 19, "acquire": 1000} and worker["defined"] is None


def test_what_is_passed_has_workers_of_its_own(tmp_path: Path) -> None:
    text = (
        "<VirtualHost *:80>\n"
        'ProxyPassMatch "^/(.*)$" "unix:/run/a.sock|fcgi://localhost/var/www/"\n'
        '<Location "/x">\nProxyPass "unix:/run/b.sock|fcgi://localhost/srv/"\n</Location>\n'
        "ProxyPass /y http://127.0.0.1/\n</VirtualHost>\n"
    )
    said = found(tmp_path, text)
    assert said["workers"] == []
    assert said["passed"] == ["/run/a.sock", "/run/b.sock"]
    assert said["passes"] == [f"{tmp_path}/httpd.conf:{line}" for line in (3, 5)]


def test_a_name_that_could_not_be_written_back_is_left_out(tmp_path: Path) -> None:
    assert found(tmp_path, HANDLER.format("/run/a.sock", "x'y"))["workers"] == []
