# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""WordPress sites below the document roots, from files alone: nothing of a site is run."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import Callable, Iterator, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_directory,
    is_file,
    names_in,
    path_bytes,
    path_text,
    read_regular,
    real_path,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.php_constants import (
    Constants,
    read_constants,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_plugins import LOCKS

XMLRPC_PLUGINS = frozenset(
    {
        "automattic-for-agencies-client",
        "jetpack",
        "jetpack-backup",
        "jetpack-beta",
        "jetpack-boost",
        "jetpack-protect",
        "jetpack-search",
        "jetpack-social",
        "jetpack-videopress",
        "vaultpress",
        "woocommerce-payments",
        "woocommerce-services",
        "woocommerce-shipping",
    }
)
"""Plugin directories whose service calls the site's xmlrpc.php (the Jetpack connection)."""

GUARD = "wpward-guard.php"
"""The must-use plugin of role guard."""

_WORDS = {
    **dict.fromkeys(("true", "TRUE", "True"), "1"),
    **dict.fromkeys(("false", "FALSE", "False"), ""),
}
_DEBIAN_CONFIG = "/etc/wordpress"
_MAX_SOURCE = 1024 * 1024
_MAX_INCLUDES = 8
_VERSION = re.compile(
    rb"^(?:<\?php)?[ \t]*\$wp_version\s*=\s*['\"]([^'\"\r\n]{1,40})['\"]", re.MULTILINE
)


@dataclass
class Site:
    """One WordPress, under one URL path of one or more server blocks."""

    id: str
    path: str
    url_path: str
    home_path: str
    version: str | None
    config_path: str | None
    content_dir: str | None
    mu_plugins_dir: str | None
    plugins: list[str]
    mu_plugins: list[str]
    vhosts: list[str] = field(default_factory=list)
    multisite: str | None = None

    def describe(self) -> dict[str, object]:
        """The evidence's form."""
        return {
            "id": self.id,
            "path": self.path,
            "url_path": self.url_path,
            "home_path": self.home_path,
            "version": self.version,
            "config_path": self.config_path,
            "multisite": self.multisite,
            "content_dir": self.content_dir,
            "mu_plugins_dir": self.mu_plugins_dir,
            "plugins": self.plugins,
            "mu_plugins": self.mu_plugins,
            "xmlrpc_plugins": [name for name in self.plugins if name in XMLRPC_PLUGINS],
            "locking_plugins": [name for name in self.plugins if name in LOCKS],
            "guarded": GUARD in self.mu_plugins,
            "vhosts": self.vhosts,
        }


def _read(path: str) -> bytes | None:
    try:
        return read_regular(path, _MAX_SOURCE)
    except OSError:
        return None


def _is_wordpress(path: str) -> bool:
    return is_file(path + "/wp-load.php") and is_file(path + "/wp-includes/version.php")


def _candidates(url_path: str, directory: str) -> Iterator[tuple[str, str]]:
    """(URL path, directory) of a root and of the directories right below it."""
    yield url_path, directory
    for name in names_in(directory):
        if not name.startswith(".") and name not in ("wp-admin", "wp-content", "wp-includes"):
            yield url_path + name + "/", directory.rstrip("/") + "/" + name


def _home_path(url_path: str, directory: str) -> str:
    """``/`` for a WordPress "in its own directory", whose front page is one level up."""
    parent, _slash, name = directory.rpartition("/")
    source = _read(parent + "/index.php") if url_path != "/" else None
    if source and re.search(
        rb"/?" + re.escape(path_bytes(name)) + rb"/wp-blog-header\.php", source
    ):
        return url_path.rstrip("/").rpartition("/")[0] + "/"
    return url_path


def _debian_configs(names: Sequence[str]) -> Iterator[str]:
    """Where Debian's own wp-config.php looks, in its order."""
    for name in names:
        host = re.sub(r"[^a-zA-Z0-9.\-]", "", name).lower()
        yield f"{_DEBIAN_CONFIG}/config-{host}.php"
        yield "{}/config-{}.php".format(_DEBIAN_CONFIG, host.partition(".")[2])
    yield f"{_DEBIAN_CONFIG}/config-default.php"


def _config_path(directory: str) -> str | None:
    own = directory + "/wp-config.php"
    if is_file(own):
        return own
    parent = posixpath.dirname(directory)
    above = parent + "/wp-config.php"
    # wp-load.php takes the file one level up unless another WordPress lives there.
    if is_file(above) and not is_file(parent + "/wp-settings.php"):
        return above
    return None


def _constants(config: str, directory: str, root: str, names: Sequence[str]) -> Constants:
    known = {"ABSPATH": directory + "/", "$_SERVER[DOCUMENT_ROOT]": root, **_WORDS}
    values: dict[str, str] = {}
    unknown: list[str] = []
    waiting = [config]
    # Debian's file computes the name of the real one from the request's host.
    if b"/etc/wordpress/config-" in (_read(config) or b""):
        host_config = next((path for path in _debian_configs(names) if is_file(path)), None)
        if host_config:
            waiting.insert(0, host_config)
    seen: set[str] = set()
    while waiting and len(seen) < _MAX_INCLUDES:
        path = waiting.pop(0)
        source = None if path in seen else _read(path)
        seen.add(path)
        if source is None:
            continue
        # An own definition of ABSPATH says where wp-config.php is, not where this WordPress is.
        found = read_constants(path_text(source), real_path(path), {**values, **known})
        for name, value in found.values.items():
            values.setdefault(name, value)
        unknown.extend(name for name in found.unknown if name not in values)
        waiting.extend(
            included for included in found.included if not included.endswith("/wp-settings.php")
        )
    return Constants(values, tuple(unknown), ())


def _known_directory(constants: Constants, name: str, default: str | None) -> str | None:
    """None where PHP alone knows."""
    if name in constants.unknown:
        return None
    value = constants.values.get(name, default)
    return posixpath.normpath(value) if value else None


def _multisite(constants: Constants) -> str | None:
    """As WordPress's is_multisite() decides. What only PHP can tell counts as a network."""

    def holds(name: str) -> bool | None:
        if name in constants.values:
            return constants.values[name] not in ("", "0")
        return True if name in constants.unknown else None

    by_name = holds("SUBDOMAIN_INSTALL")
    network = holds("MULTISITE")
    if network is None:
        network = by_name is not None or holds("SUNRISE") is not None
    if not network:
        return None
    return "subdomain" if by_name else "subdirectory"


def _plugins(directory: str | None) -> list[str]:
    if directory is None:
        return []
    found: list[str] = []
    for name in names_in(directory):
        if name.startswith(".") or name == "index.php":
            continue
        if is_directory(directory + "/" + name):
            found.append(name)
        elif name.endswith(".php"):
            found.append(name[: -len(".php")])
    return found


def _read_site(url_path: str, directory: str, root: str, names: Sequence[str]) -> Site:
    version = _VERSION.search(_read(directory + "/wp-includes/version.php") or b"")
    config = _config_path(directory)
    constants = _constants(config, directory, root, names) if config else Constants({}, (), ())
    content = _known_directory(constants, "WP_CONTENT_DIR", directory + "/wp-content")
    must_use = _known_directory(
        constants, "WPMU_PLUGIN_DIR", content + "/mu-plugins" if content else None
    )
    plugins = _known_directory(
        constants, "WP_PLUGIN_DIR", content + "/plugins" if content else None
    )
    return Site(
        id="",
        path=directory,
        url_path=url_path,
        home_path=_home_path(url_path, directory),
        version=version.group(1).decode("utf-8", "replace") if version else None,
        config_path=config,
        content_dir=content,
        mu_plugins_dir=must_use,
        plugins=_plugins(plugins),
        mu_plugins=[
            name
            for name in (names_in(must_use) if must_use else [])
            if name.endswith(".php") and is_file(str(must_use) + "/" + name)
        ],
        multisite=_multisite(constants),
    )


def _name(vhost: VirtualHost) -> str:
    """The first literal server name, else an address, else ``localhost``."""
    for name in vhost.server_names:
        if name != "_" and not name.startswith("~") and "*" not in name:
            return name.lstrip(".").lower()
    for name in vhost.server_names:
        if name.startswith("*."):
            return name[2:].lower()
    for listen in vhost.listens:
        if listen.unix is None and listen.address not in ("*", "0.0.0.0", "::"):
            return f"[{listen.address}]" if ":" in listen.address else listen.address
    return "localhost"


def _site_id(vhost: VirtualHost, url_path: str, front: VirtualHost | None) -> str:
    """``front``: the server block through which clients reach the virtual host."""
    ports = [listen.port for listen in (front or vhost).listens if listen.unix is None]
    standard = not ports or any(port in (80, 443) for port in ports)
    return _name(vhost) + ("" if standard else f":{ports[0]}") + url_path


def _report(site: Site, problems: Problems) -> None:
    if site.config_path is None:
        problems.add(
            "wordpress_not_configured",
            f"{site.path} has a WordPress without a readable wp-config.php.",
        )
    elif site.content_dir is None or site.mu_plugins_dir is None:
        problems.add(
            "content_dir_unknown",
            f"{site.config_path} places wp-content or the must-use plugins by an expression that "
            "only PHP can evaluate.",
        )


def find_sites(
    vhosts: Sequence[VirtualHost],
    problems: Problems,
    front_of: Callable[[VirtualHost], VirtualHost | None] | None = None,
) -> list[Site]:
    """Every WordPress that a server block serves.

    A site that several server blocks serve (http and https) is one site. Fills in ``sites`` of
    each server block. ``front_of``: the server block in front of a virtual host, if there is one;
    it names the site's port.
    """
    sites: dict[tuple[str, str, str | None], Site] = {}
    taken: dict[str, int] = {}
    for vhost in vhosts:
        # One whose port httpd does not listen on serves nobody.
        for root in vhost.roots if vhost.listens else ():
            for url_path, directory in _candidates(root.url_path, root.path):
                if not _is_wordpress(directory):
                    continue
                read = _read_site(url_path, directory, root.path, vhost.server_names)
                site = sites.setdefault((real_path(directory), url_path, read.content_dir), read)
                if site is read:
                    front = front_of(vhost) if front_of else None
                    identity = _site_id(vhost, url_path, front)
                    number = taken[identity] = taken.get(identity, 0) + 1
                    site.id = identity if number == 1 else f"{identity}#{number}"
                    _report(site, problems)
                if vhost.id not in site.vhosts:
                    site.vhosts.append(vhost.id)
                    vhost.sites.append(site.id)
    return list(sites.values())
