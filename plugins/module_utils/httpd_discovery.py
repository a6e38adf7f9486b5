# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which httpd is here, which configuration it has loaded, and what it says of it itself."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import (
    httpd_config,
    httpd_layout,
    httpd_logs,
    httpd_vhosts,
    processes,
    real_ip_state,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_file,
    path_text,
    read_regular,
    real_path,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import (
    Known,
    module_of_source,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import (
    Config,
    Directive,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_control import Control
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import HttpdVhost
from ansible_collections.wpward.wordpress.plugins.module_utils.nginx_discovery import run
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.processes import Process

_BINARIES = (
    "/usr/sbin/apache2",
    "/usr/sbin/httpd",
    "/opt/bitnami/apache/bin/httpd",
    "/opt/bitnami/apache2/bin/httpd",
    "/usr/local/apache2/bin/httpd",
)
_SYSCONFIG = "/etc/sysconfig/httpd"
_ENVIRONMENT_FILES = ("envvars", "../bin/envvars", _SYSCONFIG)
"""Relative to the main file's directory: Debian's, Bitnami's and upstream's, RHEL's."""
_ASSIGNMENT = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)="
    r"(?:\"(?P<double>[^\"`\\]*)\"|'(?P<single>[^']*)'|(?P<plain>[^\s\"'`\\;]*))[ \t]*(?:#.*)?$",
    re.MULTILINE | re.ASCII,
)
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_LIMITS = ("MaxRequestWorkers", "ServerLimit", "ThreadsPerChild")


@dataclass(frozen=True)
class Build:
    """What ``httpd -V`` and ``httpd -l`` say."""

    version: str
    root: str
    config_path: str
    usual_path: str
    """The main file without any option."""
    static_modules: tuple[str, ...]


@dataclass(frozen=True)
class HttpdServer:
    """``described`` is the evidence's form."""

    config: Config
    vhosts: list[HttpdVhost]
    described: dict[str, Any]


@dataclass(frozen=True)
class Dump:
    """httpd's own verdict on the configuration on disk, and what it makes of it.

    ``files``, ``vhosts`` (file, line) and ``modules`` are empty where it refuses.
    """

    ok: bool
    message: str
    files: tuple[str, ...]
    vhosts: frozenset[tuple[str, int]]
    modules: frozenset[str]
    document_root: str | None


def masters(running: Sequence[Process]) -> list[Process]:
    """The running parents, oldest first."""
    return [one for one in running if one.service == "httpd" and one.role == "master"]


def find_binary(running: Sequence[Process]) -> str | None:
    """The running master's binary, else an installed one."""
    for process in masters(running):
        if process.binary:
            return process.binary
    on_path = shutil.which("apache2") or shutil.which("httpd")
    if on_path:
        return on_path
    return next((path for path in _BINARIES if os.access(path, os.X_OK)), None)


def command_line(master: Process | None) -> list[str]:
    """The options that say what is loaded: -d, -f and -D of the running master, else of what
    Red Hat's unit would start."""
    if master is None:
        words = _assignments_in(_SYSCONFIG).get("OPTIONS", "").split()
    else:
        text = processes.text_of(f"{processes.PROC}/{master.pid}/cmdline")
        words = text.rstrip("\0").split("\0")[1:] if text else master.title.split()[1:]
    kept: list[str] = []
    while words:
        word = words.pop(0)
        if word[:2] in ("-d", "-f", "-D") and len(word) > 2:
            kept += [word[:2], word[2:]]
        elif word in ("-d", "-f", "-D") and words:
            kept += [word, words.pop(0)]
    return kept


def _option(options: Sequence[str], name: str) -> str | None:
    found = [value for option, value in zip(options, options[1:]) if option == name]
    return found[-1] if found else None


def read_build(binary: str, options: Sequence[str]) -> Build | None:
    """Version and compiled-in paths, as the running master's -d and -f change them."""
    code, stdout, _stderr = run([binary, *options, "-V"])
    text = path_text(stdout)
    version = re.search(r"^Server version: [^/\s]+/(\d\S*)", text, re.MULTILINE)
    if code is None or version is None:
        return None
    compiled = dict(re.findall(r'^ -D (\w+)="([^"\n]*)"', text, re.MULTILINE))
    usual_root = compiled.get("HTTPD_ROOT") or "/usr/local/apache2"
    usual_path = compiled.get("SERVER_CONFIG_FILE") or "conf/httpd.conf"
    root = _option(options, "-d") or usual_root
    path = _option(options, "-f") or usual_path
    _code, stdout, _stderr = run([binary, "-l"])
    sources = re.findall(r"^  (\w+\.c)$", stdout.decode("utf-8", "replace"), re.MULTILINE)
    return Build(
        version=version.group(1),
        root=root,
        config_path=posixpath.join(root, path),
        usual_path=posixpath.join(usual_root, usual_path),
        static_modules=tuple(module_of_source(source) for source in sources),
    )


def plain_assignments(text: str) -> dict[str, str]:
    """The variables that a shell file sets by plain assignments. What needs a shell to be
    computed is left out."""
    found: dict[str, str] = {}
    for match in _ASSIGNMENT.finditer(text):
        value = match.group(match.lastgroup or "plain") or ""
        if match.lastgroup != "single":
            value = _REFERENCE.sub(
                lambda one: found.get(one.group(1) or one.group(2), one.group()), value
            )
            if "$" in value:
                continue
        found[match.group("name")] = value
    return found


def environment_files(config_path: str) -> list[str]:
    """Where the variables of a configuration may be set, whether they exist or not."""
    directory = posixpath.dirname(config_path)
    return [real_path(posixpath.join(directory, name)) for name in _ENVIRONMENT_FILES]


def _assignments_in(path: str) -> dict[str, str]:
    try:
        return plain_assignments(path_text(read_regular(path, 65536)))
    except OSError:
        return {}


def environment(config_path: str, master: Process | None) -> dict[str, str]:
    """The variables a configuration may name: those of its environment files, and above them the
    running master's."""
    found: dict[str, str] = {}
    for path in environment_files(config_path):
        found.update(_assignments_in(path))
    if master is not None:
        text = processes.text_of(f"{processes.PROC}/{master.pid}/environ") or ""
        for variable in text.split("\0"):
            name, equals, value = variable.partition("=")
            if equals:
                found[name] = value
    return found


def read_dump(binary: str, options: Sequence[str], build: Build, variables: dict[str, str]) -> Dump:
    """One run that tests the configuration and prints what it is."""
    wanted = ("DUMP_INCLUDES", "DUMP_VHOSTS", "DUMP_RUN_CFG", "DUMP_MODULES")
    defines = [word for name in wanted for word in ("-D", name)]
    paths = ["-d", build.root, "-f", build.config_path]
    argv = [binary, *_without_paths(options), *paths, "-t", *defines]
    code, stdout, stderr = run(argv, variables)
    text = path_text(stdout)
    ok = code == 0
    message = stderr.decode("utf-8", "replace").strip()
    root = re.search(r'^Main DocumentRoot: "(.*)"$', text, re.MULTILINE)
    return Dump(
        ok=ok,
        message=message if message or not ok else "Syntax OK",
        files=tuple(re.findall(r"^[ ]+\((?:\*|\d+)\) (/.*)$", text, re.MULTILINE)) if ok else (),
        vhosts=frozenset(
            (file, int(line))
            for file, line in re.findall(r" \((/[^\n]*):(\d+)\)$", text, re.MULTILINE)
        ),
        modules=frozenset(re.findall(r"^ (\w+) \((?:static|shared)\)$", text, re.MULTILINE)),
        document_root=root.group(1) if root else None,
    )


def _without_paths(options: Sequence[str]) -> list[str]:
    pairs = zip(options[::2], options[1::2])
    return [word for option, value in pairs if option == "-D" for word in (option, value)]


def _mpm(modules: set[str]) -> str | None:
    for name in ("event", "prefork", "worker"):
        if f"mpm_{name}_module" in modules:
            return name
    return None


def _limits(directives: Sequence[Directive]) -> dict[str, int | None]:
    """What is configured; None where httpd's own default holds."""
    found: dict[str, int | None] = {}
    for name in _LIMITS:
        names = (name.lower(), "maxclients") if name == "MaxRequestWorkers" else (name.lower(),)
        values = [one.args[0] for one in directives if one.name in names and one.args]
        found[name] = int(values[-1]) if values and re.match(r"[0-9]{1,9}$", values[-1]) else None
    return found


def _compare(config: Config, dump: Dump, vhosts: Sequence[HttpdVhost], problems: Problems) -> None:
    """httpd's own dump is the judge of our reading."""
    if dump.files:
        differing = sorted(set(dump.files) ^ set(config.files))
        if differing:
            problems.add(
                "httpd_files_differ",
                f"httpd and our own reading of its includes disagree about {', '.join(differing)}.",
            )
    if dump.ok:
        ours = {(vhost.file, vhost.line) for vhost in vhosts if vhost.line}
        theirs = {(real_path(file), line) for file, line in dump.vhosts}
        differing = sorted(f"{file}:{line}" for file, line in ours ^ theirs)
        if differing:
            problems.add(
                "httpd_vhosts_differ",
                "httpd and our own reading disagree about the virtual hosts at "
                f"{', '.join(differing)}.",
            )


def _report(config: Config, dump: Dump, problems: Problems) -> None:
    if not dump.ok:
        problems.add("httpd_config_invalid", f"httpd refuses its configuration: {dump.message}")
    for problem in config.problems:
        where = f"{problem.file}:{problem.line}:" if problem.line else problem.file
        problems.add("httpd_config_unread", f"{where} {problem.message}.")


def discover(running: Sequence[Process], problems: Problems) -> HttpdServer | None:
    """None where there is none. ``running``: what processes.running() found."""
    binary = find_binary(running)
    if binary is None:
        return None
    found = masters(running)
    master = found[0] if found else None
    options = command_line(master)
    build = read_build(binary, options)
    if build is None:
        problems.add("httpd_unusable", f"{binary} does not answer to -V, so it was left out.")
        return None
    if master is None and not is_file(build.config_path):
        # Debian's apache2-bin alone, which other packages pull in: programs, but no server.
        return None
    if len(found) > 1:
        problems.add(
            "httpd_several",
            f"{len(found)} httpd parents are running; only the oldest (process {found[0].pid}) was "
            "looked at.",
        )
    variables = environment(build.config_path, master)
    known = Known(build.root, build.version)
    known.load_static(build.static_modules)
    pairs = zip(options[::2], options[1::2])
    known.defines.update((value, None) for option, value in pairs if option == "-D")
    config = httpd_config.load(build.config_path, known, variables)
    # The master's whole environment holds what is meant for it alone, such as NOTIFY_SOCKET.
    named = {name: variables[name] for name in config.variables_used if name in variables}
    dump = read_dump(binary, options, build, named)
    _report(config, dump, problems)
    if dump.modules:
        # The names of modules that are compiled in are otherwise guessed from their source files.
        known.modules = set(dump.modules)
    vhosts, formats = httpd_vhosts.find_vhosts(config, dump.document_root, problems)
    _compare(config, dump, vhosts, problems)
    control = Control(
        binary=binary,
        config_path=build.config_path,
        server_root=build.root,
        usual_path=build.usual_path,
        options=options,
        master=master,
        environment_files=environment_files(build.config_path),
        needs_variables=bool(named),
    )
    main = tuple(one for one in config.directives if one.name != "virtualhost")
    error_logs = httpd_logs.Logs(main, known, problems).errors(())
    described = {
        "version": build.version,
        "binary": binary,
        "config_path": build.config_path,
        "server_root": known.server_root,
        "mpm": _mpm(known.modules),
        "running": master is not None,
        "unit": master.unit if master else None,
        "config_test": {"ok": dump.ok, "message": dump.message},
        "modules": sorted(known.modules),
        "log_formats": formats,
        "files": {real_path(path): {"sha256": file.sha256} for path, file in config.files.items()},
        "limits": _limits(config.directives),
        "real_ip": real_ip_state.httpd(config),
        **httpd_layout.describe(config, control, error_logs),
    }
    return HttpdServer(config, vhosts, described)
