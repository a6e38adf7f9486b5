# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finding nginx and its configuration, with a stand-in for the binary."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import nginx_discovery
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import Config, load
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import (
    Build,
    find_binary,
    http_include_directory,
    http_include_file,
    log_formats,
    newer_than_workers,
    read_build,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import (
    test_config as run_config_test,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

DEBIAN = (
    "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.8\nTLS SNI support enabled\n"
    "configure arguments: --with-cc-opt='-g -O2 -fstack-protector' --prefix=/usr/share/nginx "
    "--conf-path=/etc/nginx/nginx.conf --http-log-path=/var/log/nginx/access.log "
    "--error-log-path=stderr\n"
)


def process(
    title: str, role: str = "master", started: float = 0.0, leaving: bool = False
) -> Process:
    return Process(1, 0, "nginx", role, title, "/opt/nginx", started, None, leaving)


def binary(base: Path, script: str) -> str:
    path = base / "nginx"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return str(path)


def configuration(base: Path, files: dict[str, str]) -> Config:
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load(str(base / "nginx.conf"))


def test_the_running_binary_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert find_binary([process("nginx: master process nginx")]) == "/opt/nginx"
    path = binary(tmp_path, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary([]) == path
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(nginx_discovery, "_BINARIES", ("/nonexistent/nginx",))
    assert find_binary([]) is None


def test_compiled_in_paths(tmp_path: Path) -> None:
    path = binary(tmp_path, f"cat >&2 <<'END'\n{DEBIAN}END\n")
    assert read_build(path, None) == Build(
        version="1.22.1",
        prefix="/usr/share/nginx",
        config_path="/etc/nginx/nginx.conf",
        access_log="/var/log/nginx/access.log",
        error_log="/usr/share/nginx/stderr",
    )
    path = binary(tmp_path, "echo 'configure arguments: --with-http_realip_module' >&2")
    built = read_build(path, None)
    assert built is not None
    assert built.real_ip


@pytest.mark.parametrize(
    ("title", "prefix", "config"),
    [
        ("nginx: master process /usr/sbin/nginx -g daemon on; master_process on;", None, None),
        ("nginx: master process nginx -c /srv/n.conf -g daemon off;", None, "/srv/n.conf"),
        (
            "nginx: master process nginx -p /srv/www -c conf/n.conf",
            "/srv/www",
            "/srv/www/conf/n.conf",
        ),
        ("nginx: master process nginx -p/srv/www", "/srv/www", None),
    ],
)
def test_the_masters_own_options_count(
    tmp_path: Path, title: str, prefix: str | None, config: str | None
) -> None:
    path = binary(tmp_path, f"cat >&2 <<'END'\n{DEBIAN}END\n")
    build = read_build(path, process(title))
    assert build is not None
    assert build.prefix == (prefix or "/usr/share/nginx")
    assert build.config_path == (config or "/etc/nginx/nginx.conf")


def test_a_bare_build_has_nginx_own_defaults(tmp_path: Path) -> None:
    build = read_build(binary(tmp_path, "echo 'nginx version: nginx/1.26.0' >&2\n"), None)
    assert build is not None
    assert build.config_path == "/usr/local/nginx/conf/nginx.conf"
    assert build.access_log == "/usr/local/nginx/logs/access.log"


def test_a_binary_that_fails_is_none(tmp_path: Path) -> None:
    assert read_build(binary(tmp_path, "exit 1"), None) is None
    assert read_build(str(tmp_path / "absent"), None) is None


def build_of(config: Config) -> Build:
    return Build("1.22.1", "/usr/share/nginx", config.path, "/a", "/e")


def test_the_dump_names_the_files_and_a_forged_heading_does_not(tmp_path: Path) -> None:
    text = "events {}\n# configuration file /etc/shadow:\ninclude other;\n"
    config = configuration(tmp_path, {"nginx.conf": text, "other": "# nothing"})
    script = "\n".join(
        [
            'echo "$*" > "$0.args"',
            "echo 'test is successful' >&2",
            *(
                f"echo '# configuration file {tmp_path}/{name}:'; cat {tmp_path}/{name}; echo"
                for name in ("nginx.conf", "other")
            ),
        ]
    )
    path = binary(tmp_path, script)
    test = run_config_test(path, build_of(config), config)
    assert test.ok
    assert test.message == "test is successful"
    assert test.files == (f"{tmp_path}/nginx.conf", f"{tmp_path}/other")
    assert set(test.files) == set(config.files)
    arguments = (tmp_path / "nginx.args").read_text().split()
    assert arguments == ["-T", "-p", "/usr/share/nginx", "-c", str(tmp_path / "nginx.conf")]


def test_a_refused_configuration_gives_nginx_own_message(tmp_path: Path) -> None:
    config = configuration(tmp_path, {"nginx.conf": "x"})
    path = binary(tmp_path, "echo 'nginx: [emerg] unknown directive \"x\"' >&2; exit 1")
    test = run_config_test(path, build_of(config), config)
    assert not test.ok
    assert test.message == 'nginx: [emerg] unknown directive "x"'
    assert test.files is None


def test_a_test_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_discovery, "_COMMAND_SECONDS", 0.2)
    config = configuration(tmp_path, {"nginx.conf": ""})
    test = run_config_test(binary(tmp_path, "exec sleep 5"), build_of(config), config)
    assert not test.ok
    assert "no answer within" in test.message


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ("include conf.d/*.conf; include sites-enabled/*;", "conf.d"),
        ("include sites-enabled/*; include conf.d/*.conf;", "conf.d"),
        ("include sites-enabled/*;", "sites-enabled"),
        ("include nested;", "conf.d"),
        ("include mime.types; include conf.d/one.conf;", None),
        ("include absent/*.conf;", None),
        ("server { include conf.d/*.conf; }", None),
    ],
)
def test_where_http_level_files_go(tmp_path: Path, http: str, expected: str | None) -> None:
    (tmp_path / "sites-enabled").mkdir()
    config = configuration(
        tmp_path,
        {
            "nginx.conf": f"http {{ {http} }}",
            "conf.d/one.conf": "",
            "nested": "include conf.d/*.conf;",
        },
    )
    assert http_include_directory(config) == (str(tmp_path / expected) if expected else None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["blog.conf"], "00-wpward.conf"),
        (["zblog.conf"], "wpward.conf"),
        ([], "wpward.conf"),
        (["blog.conf", "wpward.conf"], "wpward.conf"),
    ],
)
def test_the_http_level_file_comes_before_server_blocks_beside_it(
    tmp_path: Path, names: list[str], expected: str
) -> None:
    (tmp_path / "conf.d").mkdir()
    files = {f"conf.d/{name}": "server { listen 80; }" for name in names}
    config = configuration(tmp_path, {"nginx.conf": "http { include conf.d/*.conf; }", **files})
    directory = http_include_directory(config)
    assert http_include_file(config, directory) == str(tmp_path / "conf.d" / expected)
    assert http_include_file(config, None) is None


def test_log_formats_keep_their_escape(tmp_path: Path) -> None:
    config = configuration(
        tmp_path,
        {
            "nginx.conf": "http { include formats; }",
            "formats": "log_format main '$remote_addr' ' x';\nlog_format j escape=json '{}';",
        },
    )
    assert log_formats(config) == {"main": "$remote_addr x", "j": "escape=json {}"}


def test_an_edit_after_the_workers_started_is_seen(tmp_path: Path) -> None:
    config = configuration(tmp_path, {"nginx.conf": "include one;", "one": ""})
    now = time.time()
    # A modification time in the past, as a copy would leave it, hides nothing.
    os.utime(tmp_path / "one", (0, 0))

    def seen(*workers: Process) -> list[str]:
        return newer_than_workers(config, workers)

    assert seen(process("", "worker", now - 60)) == sorted(config.files)
    assert seen(process("", "worker", now + 60)) == []
    assert seen(process("", "worker", now - 60), process("", "worker", now + 60)) == []
    assert seen(process("", "worker", now - 60), process("", "worker", now + 60, True)) != []
    assert seen(process("", "master", now - 60)) == []
