# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nginx and httpd are told about the proxies in front of them: whose word is taken for the
client's address, and in which header.

Only the operator's configuration counts. What this collection wrote is left out, so that a second
run finds what the first one found.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils import httpd_config, nginx_config
from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    is_file,
    path_text,
    read_regular,
    real_path,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_vhosts import walk

_OURS = re.compile(r"(?:\d+-)?wpward[^/]*\.conf$")
_OUR_DIRECTORY = "wpward"

_NGINX_NAMES = frozenset({"set_real_ip_from", "real_ip_header", "real_ip_recursive"})
_NGINX_HEADER = "X-Real-IP"
"""What nginx takes where an address is trusted and no header is named."""

HTTPD_MODULE = "remoteip_module"
_HTTPD_FILE = "mod_remoteip.so"
_HTTPD_PROXIES = frozenset({"remoteiptrustedproxy", "remoteipinternalproxy"})
_HTTPD_LISTS = frozenset({"remoteiptrustedproxylist", "remoteipinternalproxylist"})
_HTTPD_NAMES = _HTTPD_PROXIES | _HTTPD_LISTS | {"remoteipheader"}
_LIST_BYTES = 1024 * 1024


def _is_ours(path: str) -> bool:
    directory, name = posixpath.split(path)
    return bool(_OURS.match(name)) or posixpath.basename(directory) == _OUR_DIRECTORY


def _unique(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _place(file: str, line: int) -> dict[str, Any]:
    return {"file": real_path(file), "line": line}


def _nginx_directives(config: nginx_config.Config) -> Iterator[nginx_config.Directive]:
    """Those of http level before those of the server blocks."""
    servers: list[nginx_config.Directive] = []
    for http in config.expand(config.directives):
        if http.name != "http" or http.block is None:
            continue
        for one in config.expand(http.block):
            if one.name == "server" and one.block is not None:
                servers.append(one)
            else:
                yield one
    for server in servers:
        yield from config.expand(server.block or ())


def nginx(config: nginx_config.Config, module: bool) -> dict[str, Any]:
    """The evidence's ``nginx.real_ip``. ``module``: whether the build can do it at all."""
    found = [
        one
        for one in _nginx_directives(config)
        if one.name in _NGINX_NAMES and one.args and not _is_ours(one.file)
    ]
    trusted = _unique([one.args[0] for one in found if one.name == "set_real_ip_from"])
    headers = [one.args[0] for one in found if one.name == "real_ip_header"]
    return {
        "module": module,
        "header": next(iter(headers), _NGINX_HEADER if trusted else None),
        "from": trusted,
        "recursive": any(one.name == "real_ip_recursive" and one.args[0] == "on" for one in found),
        "places": [_place(one.file, one.line) for one in found],
    }


def _listed(path: str) -> list[str]:
    """The proxies in a file of RemoteIPTrustedProxyList."""
    try:
        text = path_text(read_regular(path, _LIST_BYTES))
    except OSError:
        return []
    return [word for line in text.splitlines() for word in line.partition("#")[0].split()]


def _module_file(config: httpd_config.Config) -> str | None:
    """Where mod_remoteip lies: as it is loaded, else beside the modules that are."""
    directories: list[str] = []
    for one in walk(config.directives):
        if one.name == "loadmodule" and len(one.args) == 2:
            path = config.known.absolute(one.args[1])
            if one.args[0] == HTTPD_MODULE:
                return path
            directories.append(posixpath.dirname(path))
    paths = [posixpath.join(directory, _HTTPD_FILE) for directory in _unique(directories)]
    return next((path for path in paths if is_file(path)), None)


def _load_files(config: httpd_config.Config) -> tuple[str | None, str | None]:
    """Debian's file that loads the module, and the link to it that puts it into force."""
    directory = posixpath.dirname(config.path)
    file = posixpath.join(directory, "mods-available", "remoteip.load")
    enabled = posixpath.join(directory, "mods-enabled")
    if not is_file(file) or not is_directory(enabled):
        return None, None
    return file, posixpath.join(enabled, "remoteip.load")


def httpd(config: httpd_config.Config) -> dict[str, Any]:
    """The evidence's ``httpd.real_ip``; the main server's before that of virtual hosts."""
    main = [one for one in config.directives if one.name != "virtualhost"]
    inner = [one for one in config.directives if one.name == "virtualhost"]
    found = [
        one
        for one in (*walk(main), *walk(inner))
        if one.name in _HTTPD_NAMES and one.args and not _is_ours(one.file)
    ]
    proxies: list[str] = []
    for one in found:
        if one.name in _HTTPD_PROXIES:
            proxies.extend(one.args)
        elif one.name in _HTTPD_LISTS:
            proxies.extend(_listed(config.known.absolute(one.args[0])))
    headers = [one.args[0] for one in found if one.name == "remoteipheader"]
    load_file, load_link = _load_files(config)
    return {
        "module": HTTPD_MODULE in config.known.modules,
        "load_file": load_file,
        "load_link": load_link,
        "module_file": _module_file(config),
        "header": next(iter(headers), None),
        "proxies": _unique(proxies),
        "places": [_place(one.file, one.line) for one in found],
    }
