# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which nginx is here, and which configuration it has loaded."""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import Iterator, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import nginx_config
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    changed_at,
    is_directory,
    path_text,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

_BINARIES = (
    "/usr/sbin/nginx",
    "/usr/local/sbin/nginx",
    "/usr/local/nginx/sbin/nginx",
    "/usr/local/openresty/nginx/sbin/nginx",
    "/opt/bitnami/nginx/sbin/nginx",
)
_COMMAND_SECONDS = 30
SNIPPET_NAME = "wpward.conf"
"""A name that every http-level include of ``*.conf`` or ``*`` would load."""


@dataclass(frozen=True)
class Build:
    """What ``nginx -V`` says. ``real_ip``: whether the module that takes a client's address from a
    header is built in."""

    version: str
    prefix: str
    config_path: str
    access_log: str
    error_log: str
    real_ip: bool = False


@dataclass(frozen=True)
class ConfigTest:
    """``files`` are the names under which nginx opened them, None where the test failed."""

    ok: bool
    message: str
    files: tuple[str, ...] | None


def find_binary(processes: Sequence[Process]) -> str | None:
    """The running master's binary, else an installed one."""
    for process in processes:
        if process.service == "nginx" and process.role == "master" and process.binary:
            return process.binary
    on_path = shutil.which("nginx")
    if on_path:
        return on_path
    for path in _BINARIES:
        if os.access(path, os.X_OK):
            return path
    return None


def run(
    argv: Sequence[str],
    variables: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> tuple[int | None, bytes, bytes]:
    """Run a command that only reads, with more environment variables where they are given, for at
    most ``seconds``. The code is None where it did not start or did not end."""
    limit = _COMMAND_SECONDS if seconds is None else seconds
    environment = dict(os.environ, **(variables or {}), LC_ALL="C", LANGUAGE="C")
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return None, b"", f"no answer within {limit:.2g} s".encode()
    except OSError as error:
        return None, b"", (error.strerror or str(error)).encode()
    return done.returncode, done.stdout, done.stderr


def _master_option(title: str, option: str) -> str | None:
    # The master's title is its command line joined by spaces, so a path with a space is cut.
    match = re.search(rf"\s-{option}\s*(\S+)", title)
    return match.group(1) if match else None


def read_build(binary: str, master: Process | None) -> Build | None:
    """Version and compiled-in paths, as the running master's ``-p`` and ``-c`` change them."""
    code, _stdout, stderr = run([binary, "-V"])
    if code != 0:
        return None
    text = stderr.decode("utf-8", "replace")
    version = re.search(r"version: [^/\s]+/(\S+)", text)
    options: dict[str, str] = {}
    arguments = re.search(r"^configure arguments:(.*)$", text, re.MULTILINE)
    try:
        words = shlex.split(arguments.group(1)) if arguments else []
    except ValueError:
        words = arguments.group(1).split() if arguments else []
    for word in words:
        name, _equals, value = word.partition("=")
        options[name] = value
    title = master.title if master else ""
    prefix = _master_option(title, "p") or options.get("--prefix") or "/usr/local/nginx"
    config = _master_option(title, "c") or options.get("--conf-path") or "conf/nginx.conf"
    return Build(
        version=version.group(1) if version else "",
        prefix=prefix,
        config_path=posixpath.join(prefix, config),
        access_log=posixpath.join(prefix, options.get("--http-log-path") or "logs/access.log"),
        error_log=posixpath.join(prefix, options.get("--error-log-path") or "logs/error.log"),
        real_ip="--with-http_realip_module" in options,
    )


def _dumped_files(dump: bytes, config: Config) -> tuple[str, ...]:
    """The names in ``nginx -T``'s output. What we read of a file is stepped over, so that a line
    in it that looks like a heading is not taken for one."""
    heading = re.compile(rb"^# configuration file (.+):$", re.MULTILINE)
    names: list[str] = []
    position = 0
    while True:
        match = heading.search(dump, position)
        if match is None:
            return tuple(names)
        name = path_text(match.group(1))
        names.append(name)
        position = match.end() + 1
        known = config.files.get(name)
        if known is not None and dump.startswith(known.data, position):
            position += len(known.data)


def test_config(binary: str, build: Build, config: Config) -> ConfigTest:
    """nginx's own verdict on the configuration on disk, and which files it opened for it."""
    code, stdout, stderr = run([binary, "-T", "-p", build.prefix, "-c", build.config_path])
    message = stderr.decode("utf-8", "replace").strip()
    files = _dumped_files(stdout, config) if code == 0 else None
    return ConfigTest(code == 0, message, files)


def blocks(config: Config, name: str) -> Iterator[Directive]:
    """The blocks of one name at the top of the configuration."""
    for directive in config.expand(config.directives):
        if directive.name == name and directive.block is not None:
            yield directive


def http_include_directory(config: Config) -> str | None:
    """The directory whose files nginx includes at http level: where one more file takes effect.

    ``*.conf`` (conf.d) is preferred over ``*`` (sites-enabled), which is for server blocks.
    """
    candidates: list[str] = []
    for http in blocks(config, "http"):
        for include in config.includes(http.block or ()):
            pattern = config.include_pattern(include)
            directory = posixpath.dirname(pattern)
            snippet = posixpath.join(directory, SNIPPET_NAME)
            if nginx_config.would_include(pattern, snippet) and is_directory(directory):
                candidates.insert(0 if pattern.endswith(".conf") else len(candidates), directory)
    conf_d = [path for path in candidates if posixpath.basename(path) == "conf.d"]
    return next(iter(conf_d + candidates), None)


def http_include_file(config: Config, directory: str | None) -> str | None:
    """Where the http-level file goes: an existing one of ours, else a name that nginx reads before
    every server block of the same directory (a log format must stand before its first use)."""
    if directory is None:
        return None
    names = (SNIPPET_NAME, "00-" + SNIPPET_NAME)
    paths = [posixpath.join(directory, name) for name in names]
    for path in paths:
        if path in config.files:
            return path
    beside = [
        posixpath.basename(server.file)
        for http in blocks(config, "http")
        for server in config.expand(http.block or ())
        if server.name == "server" and posixpath.dirname(server.file) == directory
    ]
    return paths[0] if all(name > names[0] for name in beside) else paths[1]


def log_formats(config: Config) -> dict[str, str]:
    """Name to text, for every ``log_format``; with ``escape=`` kept in front where it is given."""
    formats: dict[str, str] = {}
    for http in blocks(config, "http"):
        for directive in config.expand(http.block or ()):
            if directive.name == "log_format" and len(directive.args) >= 2:
                words = list(directive.args[1:])
                escape = words.pop(0) + " " if words[0].startswith("escape=") else ""
                formats[directive.args[0]] = escape + "".join(words)
    return formats


def newer_than_workers(config: Config, processes: Sequence[Process]) -> list[str]:
    """Configuration files changed after the running workers started: somebody's edit that has not
    been activated, and that our reload would activate too.

    The change time is compared, not the modification time, which a copy or a package may set back.
    """
    workers = [
        process.started
        for process in processes
        if process.service == "nginx" and process.role == "worker" and not process.leaving
    ]
    if not workers:
        return []
    newest = max(workers)
    # One second of slack: the clock of files is coarser than the start time's.
    return sorted(path for path in config.files if (changed_at(path) or 0) > newest + 1)
