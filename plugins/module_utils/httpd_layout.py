# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an httpd is laid out: where one file of ours takes effect for every virtual host, and which
commands test and reload the configuration there.

The place is found in the loaded configuration and not by the layout's name: only an include that
stands outside of every section makes a file that nobody has written yet part of the main server.
"""

from __future__ import annotations

import fnmatch
import posixpath
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    is_file,
    real_path,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Config, Include
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_control import (
    Control,
    is_roots,
)

FILE_NAME = "wpward.conf"
DEBIAN, RHEL, BITNAMI, CPANEL, PLESK, OTHER = (
    "debian",
    "rhel",
    "bitnami",
    "cpanel",
    "plesk",
    "other",
)

_WILDCARDS = "*?["
_ENABLED = "conf-enabled"
_FOR_VHOSTS = frozenset({"sites-enabled", "vhosts", "vhosts.d", "vhost.d"})
_FOR_MODULES = frozenset({"conf.modules.d", "mods-enabled"})
"""Directories that a package manager or a panel thinks are its own."""
_CPANEL = "/usr/local/cpanel"
_CPANEL_INCLUDES = ("pre_main_global.conf", "post_virtualhost_global.conf")
_PLESK = "/etc/psa/psa.conf"
_BITNAMI = "/opt/bitnami/"


@dataclass(frozen=True)
class Place:
    """Where a file of ours is read at main scope. ``link``: what must point to it for that."""

    file: str
    link: str | None = None


def recognise(config: Config) -> str:
    """The layout's name, by what the configuration includes and what lies beside it."""
    directory = posixpath.dirname(config.path)
    patterns = [include.pattern for include in config.includes]
    if is_directory(_CPANEL) or any(one.endswith(_CPANEL_INCLUDES) for one in patterns):
        return CPANEL
    if is_file(_PLESK) or any("/plesk.conf.d/" in one for one in (*patterns, *config.files)):
        return PLESK
    if config.path.startswith(_BITNAMI) or any("/conf/bitnami/" in one for one in patterns):
        return BITNAMI
    if is_directory(f"{directory}/conf-available") and is_directory(f"{directory}/mods-available"):
        return DEBIAN
    root = config.known.server_root
    if posixpath.basename(config.path) == "httpd.conf" and is_directory(f"{root}/conf.modules.d"):
        return RHEL
    return OTHER


def _pattern(include: Include) -> str:
    """The include's pattern without symbolic links as far as it names one directory."""
    directory, mask = posixpath.split(include.pattern)
    if any(one in directory for one in _WILDCARDS):
        return include.pattern
    return posixpath.join(real_path(directory), mask)


def _reads(pattern: str, path: str) -> bool:
    """Whether an include would read a file: by its own name, or below a directory."""
    wanted, given = pattern.rstrip("/").split("/"), path.split("/")
    return len(wanted) <= len(given) and all(
        fnmatch.fnmatchcase(part, mask.replace("[^", "[!")) for part, mask in zip(given, wanted)
    )


def _place(include: Include) -> str | None:
    """Where our file would have to lie for the include to read it; None where there is no such
    place yet."""
    pattern = _pattern(include)
    directory = pattern if is_directory(pattern) else posixpath.dirname(pattern)
    if not include.main_scope or any(one in directory for one in _WILDCARDS):
        return None
    path = posixpath.join(real_path(directory), FILE_NAME)
    return path if is_directory(directory) and _reads(pattern, path) else None


def _candidates(config: Config) -> Iterator[tuple[tuple[bool, ...], str]]:
    """(what speaks against it, path) of every place that the configuration reads once, at main
    scope: what is read twice would log every refusal twice."""
    loaded = set(map(real_path, config.files))
    patterns = [_pattern(include) for include in config.includes]
    with_vhosts = {
        real_path(posixpath.dirname(one.file))
        for one in config.directives
        if one.name == "virtualhost"
    }
    for include in config.includes:
        path = _place(include)
        if path is None:
            continue
        readers = [pattern for pattern in patterns if _reads(pattern, path)]
        directory = posixpath.dirname(path)
        name = posixpath.basename(directory)
        if len(readers) > 1 or name in _FOR_MODULES:
            continue
        against = (
            # An include that names us is somebody's wish.
            not posixpath.basename(include.pattern).startswith(FILE_NAME.split(".")[0]),
            real_path(path) not in loaded,
            include.conditional,
            name != _ENABLED,
            # What we write may need a module that is loaded further down.
            include.modules < config.modules,
            name in _FOR_VHOSTS or directory in with_vhosts,
        )
        yield against, path


def find_place(config: Config) -> Place | None:
    """Where our file goes; None where nothing outside of a section would read it."""
    found = sorted(_candidates(config), key=lambda one: one[0])
    if not found:
        return None
    path = found[0][1]
    directory = posixpath.dirname(path)
    available = posixpath.join(posixpath.dirname(directory), "conf-available")
    if posixpath.basename(directory) == _ENABLED and is_directory(available):
        return Place(posixpath.join(available, FILE_NAME), link=path)
    return Place(path)


def _refusal(layout: str, config: Config) -> str:
    directory = posixpath.dirname(config.path)
    wanted = f"{directory}/wpward*.conf"
    where = config.path
    if layout == CPANEL:
        where = "/etc/apache2/conf.d/includes/post_virtualhost_global.conf"
        for include in config.includes:
            if include.pattern.endswith(_CPANEL_INCLUDES[1]):
                where = include.pattern
        return (
            f"cPanel generates {config.path}, and it reads no directory of files outside of all "
            f"sections; add the line 'IncludeOptional {wanted}' to {where}, run "
            "/usr/local/cpanel/scripts/rebuildhttpdconf, and run this again."
        )
    return (
        f"{config.path} reads no directory of files outside of all sections; add the line "
        f"'IncludeOptional {wanted}' at its end, reload httpd, and run this again."
    )


def log_directory(layout: str, config: Config, error_logs: Sequence[str]) -> str | None:
    """Where this httpd's logs lie: beside the main error log, else where the layout has them."""
    root = config.known.server_root
    usual = {DEBIAN: "/var/log/apache2", RHEL: "/var/log/httpd"}.get(layout, f"{root}/logs")
    found = [posixpath.dirname(path) for path in error_logs] + [usual, "/var/log"]
    there = [real_path(path) for path in found if is_directory(path)]
    # httpd opens logs as root: where others may write, they could choose what it writes to.
    return next(iter([path for path in there if is_roots(path)] + there), None)


def describe(config: Config, control: Control, error_logs: Sequence[str]) -> dict[str, Any]:
    """The part of the evidence's ``httpd`` that is about the layout.

    ``error_logs``: the main server's.
    """
    layout = recognise(config)
    place = find_place(config)
    loaded = set(map(real_path, config.files))
    ours = place is not None and real_path(place.link or place.file) in loaded
    return {
        "layout": layout,
        "conf_file": place.file if place else None,
        "conf_link": place.link if place else None,
        "conf_refusal": None if place else _refusal(layout, config),
        "control": control.describe(layout),
        "log_directory": log_directory(layout, config, error_logs),
        "wpward": {"path": place.file} if place and ours else None,
    }
