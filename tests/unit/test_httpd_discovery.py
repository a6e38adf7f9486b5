# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which httpd is here, how it was started, and what it says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_discovery,
    processes,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_discovery import (
    Build,
    command_line,
    discover,
    environment,
    find_binary,
    masters,
    plain_assignments,
    read_build,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

VERSION = """Server version: Apache/2.4.62 (Debian)
Server built:   2024-10-04T15:21:08
Server MPM:     event
 -D HTTPD_ROOT="/etc/apache2"
 -D SERVER_CONFIG_FILE="{}"
"""
STATIC = "Compiled in modules:\n  core.c\n  mod_so.c\n  http_core.c\n"
CONFIG = """ServerRoot {base}
LoadModule mpm_event_module modules/mod_mpm_event.so
Define SITES conf.d
Listen 80
LogFormat "%h %t" short
CustomLog ${{LOG_DIR}}/access.log short
ErrorLog ${{LOG_DIR}}/error.log
<IfModule mpm_event_module>
MaxRequestWorkers 150
ThreadsPerChild many
</IfModule>
<IfModule mpm_prefork_module>
MaxRequestWorkers 10
</IfModule>
IncludeOptional ${{SITES}}/*.conf
<IfDefine STARTED>
<VirtualHost *:80>
ServerName started.example
</VirtualHost>
</IfDefine>
"""


ENVVARS = """unset HOME
if [ "${CONFDIR##/etc/apache2-}" != "${CONFDIR}" ] ; then
    SUFFIX="-${CONFDIR##/etc/apache2-}"
else
    SUFFIX=
fi
export LOG_DIR=/var/log/apache2$SUFFIX
"""

LAYOUT = ("layout", "conf_file", "conf_link", "conf_refusal", "control", "log_directory", "wpward")


class Host:
    """A directory with a configuration and a program that answers as httpd does."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.config = base / "apache2.conf"
        self.problems = Problems()
        self.config.write_text(CONFIG.format(base=base))
        (base / "envvars").write_text(ENVVARS)
        self.program("")

    def lay_out(self, main: str, files: dict[str, str]) -> None:
        """Another layout than Debian's; ``main`` is the main file's name."""
        self.config = self.base / main
        for name, text in files.items():
            path = self.base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("ROOT", str(self.base)))
        self.program("")

    def program(self, dump: str, code: int = 0, message: str = "Syntax OK") -> None:
        script = (
            '#!/bin/sh\ncase " $* " in\n'
            f"*' -V '*) cat <<'END'\n{VERSION.format(self.config)}END\n;;\n"
            f"*' -l '*) cat <<'END'\n{STATIC}END\n;;\n"
            f"*) echo \"$LOG_DIR$NOTIFY_SOCKET $*\" > {self.base}/called\ncat <<'END'\n{dump}END\n"
            f"echo '{message}' >&2; exit {code};;\nesac\n"
        )
        path = self.base / "apache2"
        path.write_text(script)
        path.chmod(0o755)

    def discover(self, *running: Process) -> tuple[dict[str, Any] | None, list[Any]]:
        found = discover(running, self.problems)
        return (found.described, list(found.vhosts)) if found else (None, [])

    @property
    def told(self) -> list[str]:
        return [one["id"] for one in self.problems.describe()]


@pytest.fixture()
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Host(tmp_path)


def process(
    base: Path, pid: int = 10, role: str = "master", *words: str, environ: str = ""
) -> Process:
    (base / "proc" / str(pid)).mkdir(parents=True)
    (base / "proc" / str(pid) / "cmdline").write_text("\0".join(("httpd", *words)) + "\0")
    (base / "proc" / str(pid) / "environ").write_text(environ)
    return Process(pid, 1, "httpd", role, "", str(base / "apache2"), 0.0, "apache2.service", False)


def test_without_httpd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(httpd_discovery, "_BINARIES", (str(tmp_path / "httpd"),))
    problems = Problems()
    assert find_binary([]) is None
    assert discover([], problems) is None
    assert problems.describe() == []


def test_an_installed_httpd(host: Host) -> None:
    described, vhosts = host.discover()
    assert described is not None
    assert described["files"].keys() == {str(host.config)}
    assert {name: described[name] for name in described if name not in LAYOUT} == {
        "version": "2.4.62",
        "binary": str(host.base / "apache2"),
        "config_path": str(host.config),
        "server_root": str(host.base),
        "mpm": "event",
        "running": False,
        "unit": None,
        "config_test": {"ok": True, "message": "Syntax OK"},
        "modules": ["core_module", "http_module", "mpm_event_module", "so_module"],
        "log_formats": {"CLF": '%h %l %u %t "%r" %>s %b', "short": "%h %t"},
        "files": described["files"],
        "limits": {"MaxRequestWorkers": 150, "ServerLimit": None, "ThreadsPerChild": None},
        "real_ip": {
            "module": False,
            "load_file": None,
            "load_link": None,
            "module_file": None,
            "header": None,
            "proxies": [],
            "places": [],
        },
    }
    (main,) = vhosts
    assert main.describe()["access_logs"] == [
        {"path": "/var/log/apache2/access.log", "format": "short"}
    ]
    assert host.told == []
    # The variables that the configuration names, and the running server's own choices.
    assert (host.base / "called").read_text().startswith("/var/log/apache2 -d /etc/apache2 -f ")


def test_how_the_running_one_was_started(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROC", str(host.base / "proc"))
    environ = "LOG_DIR=/srv/logs\0NOTIFY_SOCKET=/run/x\0broken\0"
    master = process(host.base, 10, "master", "-DSTARTED", "-k", "start", environ=environ)
    described, vhosts = host.discover(master, process(host.base, 11, "worker"))
    assert described is not None
    assert (described["running"], described["unit"]) == (True, "apache2.service")
    (vhost,) = vhosts
    assert vhost.server_names == ["started.example"]
    assert vhost.error_logs == ["/srv/logs/error.log"]
    assert (host.base / "called").read_text().startswith("/srv/logs -D STARTED -d ")
    host.discover(master, process(host.base, 12))
    assert "httpd_several" in host.told


def test_a_configuration_that_httpd_refuses(host: Host) -> None:
    host.program("", 1, "Syntax error on line 3")
    with host.config.open("a") as stream:
        stream.write("Include gone.conf\n</Directory>\n")
    described, vhosts = host.discover()
    assert described is not None
    assert described["config_test"] == {"ok": False, "message": "Syntax error on line 3"}
    assert len(vhosts) == 1
    assert host.told == ["httpd_config_invalid", "httpd_config_unread", "httpd_config_unread"]


def test_httpds_own_reading_is_the_judge(host: Host) -> None:
    main = f"Included configuration files:\n  (*) {host.config}\n"
    host.program(main + f"    (12) {host.base}/conf.d/x.conf\n")
    host.discover()
    assert host.told == ["httpd_files_differ"]
    host.problems = Problems()
    host.program(main + f"*:80   a.example ({host.base}/apache2.conf:99)\n")
    host.discover()
    assert host.told == ["httpd_vhosts_differ"]


def test_httpd_knows_its_modules_best(host: Host) -> None:
    host.program("Loaded Modules:\n core_module (static)\n ldap_module (static)\n")
    described, _vhosts = host.discover()
    assert described is not None
    assert described["modules"] == ["core_module", "ldap_module"]


def test_what_the_unit_of_red_hat_would_start(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.base / "sysconfig").write_text('OPTIONS="-D STARTED"\nLANG=C\n')
    monkeypatch.setattr(httpd_discovery, "_SYSCONFIG", str(host.base / "sysconfig"))
    _described, vhosts = host.discover()
    assert [vhost.server_names for vhost in vhosts] == [["started.example"]]


def test_the_document_root_that_none_is_configured_for(host: Host) -> None:
    host.program('Main DocumentRoot: "/var/www/html"\n')
    _described, (main,) = host.discover()
    assert [one.path for one in main.roots] == ["/var/www/html"]


def test_a_program_that_is_no_httpd(host: Host) -> None:
    (host.base / "apache2").write_text("#!/bin/sh\nexit 1\n")
    assert host.discover() == (None, [])
    assert host.told == ["httpd_unusable"]
    assert read_build("/nonexistent/httpd", []) is None


def test_options_that_move_the_configuration(host: Host) -> None:
    build = read_build(str(host.base / "apache2"), ["-d", "/srv/httpd", "-f", "conf/a.conf"])
    assert build == Build(
        "2.4.62",
        "/srv/httpd",
        "/srv/httpd/conf/a.conf",
        str(host.config),
        ("core_module", "so_module", "http_module"),
    )


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "PROC", str(tmp_path / "proc"))
    words = ("-k", "start", "-f", "/srv/a b.conf", "-DONE", "-D", "TWO", "-d/srv", "-D")
    master = process(tmp_path, 10, "master", *words)
    expected = ["-f", "/srv/a b.conf", "-D", "ONE", "-D", "TWO", "-d", "/srv"]
    assert command_line(master) == expected
    assert command_line(None) == []
    assert masters([master]) == [master]


RHEL = {
    "conf/httpd.conf": """ServerRoot "ROOT"
Listen 80
Include conf.modules.d/*.conf
DocumentRoot "/var/www/html"
ErrorLog "logs/error_log"
<IfModule log_config_module>
    LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
    CustomLog "logs/access_log" common
</IfModule>
IncludeOptional conf.d/*.conf
""",
    "conf.modules.d/00-mpm.conf": "LoadModule mpm_event_module modules/mod_mpm_event.so\n",
    "conf.modules.d/00-base.conf": "LoadModule log_config_module modules/mod_log_config.so\n",
    "conf.d/php.conf": """<FilesMatch \\.(php|phar)$>
    SetHandler "proxy:unix:/run/php-fpm/www.sock|fcgi://localhost"
</FilesMatch>
""",
    "conf.d/README": "This directory holds configuration files.\n",
}
BITNAMI = {
    "conf/httpd.conf": """ServerRoot "ROOT"
Listen 80
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule log_config_module modules/mod_log_config.so
<IfModule log_config_module>
    LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
    CustomLog "logs/access_log" common
</IfModule>
ErrorLog "logs/error_log"
Include "ROOT/conf/bitnami/bitnami.conf"
IncludeOptional "ROOT/conf/vhosts/*.conf"
""",
    "conf/bitnami/bitnami.conf": """<VirtualHost _default_:80>
  DocumentRoot "ROOT/htdocs"
</VirtualHost>
""",
    "conf/vhosts/wordpress-vhost.conf": """<VirtualHost 127.0.0.1:80 _default_:80>
  ServerName www.example.com
  DocumentRoot /opt/bitnami/wordpress
  <Directory "/opt/bitnami/wordpress">
    AllowOverride None
  </Directory>
  Include "ROOT/conf/vhosts/htaccess/wordpress-htaccess.conf"
</VirtualHost>
""",
    "conf/vhosts/htaccess/wordpress-htaccess.conf": """<Directory "/opt/bitnami/wordpress">
  <Files xmlrpc.php>
    Require all denied
  </Files>
</Directory>
""",
}


def test_the_layout_of_red_hat(host: Host) -> None:
    host.lay_out("conf/httpd.conf", RHEL)
    described, (main,) = host.discover()
    assert described is not None
    assert described["mpm"] == "event"
    assert len(described["files"]) == 4
    assert [(one.path, one.format) for one in main.access_logs] == [
        (f"{host.base}/logs/access_log", "common")
    ]
    assert main.error_logs == [f"{host.base}/logs/error_log"]
    assert [one.path for one in main.roots] == ["/var/www/html"]
    assert "httpd_config_unread" not in host.told
    assert described["layout"] == "rhel"
    assert described["conf_file"] == f"{host.base}/conf.d/wpward.conf"
    assert described["conf_refusal"] is None
    assert described["wpward"] is None
    (host.base / "conf.d/wpward.conf").touch()
    described, _vhosts = host.discover()
    assert described is not None
    assert described["wpward"] == {"path": f"{host.base}/conf.d/wpward.conf"}


def test_the_layout_of_bitnami(host: Host) -> None:
    host.lay_out("conf/httpd.conf", BITNAMI)
    described, vhosts = host.discover()
    assert described is not None
    assert len(described["files"]) == 4
    assert [[one.path for one in vhost.roots] for vhost in vhosts] == [
        [f"{host.base}/htdocs"],
        ["/opt/bitnami/wordpress"],
    ]
    assert [one.path for one in vhosts[1].access_logs] == [f"{host.base}/logs/access_log"]
    assert [one["text"] for one in vhosts[1].xmlrpc_rules] == ["<Files xmlrpc.php>"]
    assert described["layout"] == "bitnami"
    assert described["conf_file"] == f"{host.base}/conf/vhosts/wpward.conf"
    assert "httpd_config_unread" not in host.told


def test_plain_assignments() -> None:
    assert plain_assignments(
        "export A=1\nB='x $A'\nC=\"y ${A}$A\"\n  D=/var$A # note\n# E=no\nF=`id`\nG=$(id)\n"
        'H="${A##x}"\nI=$UNKNOWN\nif true; then J=1; fi\nexport K\nL=a;rm\nM=\n'
        'A=2\nN=$A\nO="a\\"b"\n'
    ) == {"A": "2", "B": "x $A", "C": "y 11", "D": "/var1", "M": "", "N": "2"}


def test_environment_files(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/envvars").write_bytes(b"A=1\nB=caf\xe9\n")
    assert environment(str(tmp_path / "conf/httpd.conf"), None)["A"] == "1"
