# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finding WordPress below document roots, wherever its wp-content is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import wordpress_discovery
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import (
    Listen,
    Root,
    VirtualHost,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import (
    Site,
    find_sites,
)

CONFIG = """<?php
define( 'DB_NAME', 'wordpress' );
define( 'DB_PASSWORD', 'secret' );
{more}
if ( ! defined( 'ABSPATH' ) ) {{ define( 'ABSPATH', __DIR__ . '/' ); }}
require_once ABSPATH . 'wp-settings.php';
"""


def wordpress(path: Path, more: str | None = "", version: str = "6.1.9") -> Path:
    (path / "wp-includes").mkdir(parents=True)
    (path / "wp-load.php").touch()
    (path / "wp-settings.php").touch()
    (path / "wp-includes/version.php").write_text(
        f"<?php\n/**\n * $wp_version = 'no';\n */\n$wp_version = '{version}';\n$wp_db_version = 5;"
    )
    if more is not None:
        (path / "wp-config.php").write_text(CONFIG.format(more=more))
    return path


def vhost(
    *roots: Path | tuple[str, Path], names: tuple[str, ...] = ("blog.example",), port: int = 80
) -> VirtualHost:
    return VirtualHost(
        id=f"nginx:/etc/nginx/{names}:{port}",
        file="/etc/nginx/x",
        line=1,
        sha256="",
        server_names=list(names),
        listens=[Listen("*", port, None, False, True, False)],
        roots=[
            Root(*(root[0], str(root[1])) if isinstance(root, tuple) else ("/", str(root)))
            for root in roots
        ],
        access_logs=[],
        error_logs=[],
        xmlrpc_rules=[],
        sites=[],
    )


def one_site(*vhosts: VirtualHost) -> Site:
    problems = Problems()
    (site,) = find_sites(vhosts, problems)
    assert problems.describe() == []
    return site


def test_a_plain_site(tmp_path: Path) -> None:
    base = wordpress(tmp_path / "blog")
    for name in ("plugins/jetpack", "plugins/akismet", "plugins/.git", "mu-plugins/dir"):
        (base / "wp-content" / name).mkdir(parents=True)
    for name in ("plugins/hello.php", "plugins/index.php", "mu-plugins/guard.php"):
        (base / "wp-content" / name).touch()
    (base / "wp-content/mu-plugins/readme.txt").touch()
    server = vhost(base)
    assert one_site(server).describe() == {
        "id": "blog.example/",
        "path": str(base),
        "url_path": "/",
        "home_path": "/",
        "version": "6.1.9",
        "config_path": str(base / "wp-config.php"),
        "content_dir": str(base / "wp-content"),
        "mu_plugins_dir": str(base / "wp-content/mu-plugins"),
        "plugins": ["akismet", "hello", "jetpack"],
        "mu_plugins": ["guard.php"],
        "xmlrpc_plugins": ["jetpack"],
        "locking_plugins": [],
        "guarded": False,
        "multisite": None,
        "vhosts": [server.id],
    }
    assert server.sites == ["blog.example/"]


def test_nothing_but_directories_leaves_the_document(tmp_path: Path) -> None:
    site = one_site(vhost(wordpress(tmp_path / "blog")))
    assert "secret" not in repr(site)


def test_http_and_https_are_one_site_and_other_ports_are_named(tmp_path: Path) -> None:
    base = wordpress(tmp_path / "blog")
    plain, tls = vhost(base), vhost(base, port=443)
    assert one_site(plain, tls).vhosts == [plain.id, tls.id]
    assert one_site(vhost(base, port=8080)).id == "blog.example:8080/"


@pytest.mark.parametrize(
    ("names", "identity"),
    [
        (("_", "blog.example"), "blog.example/"),
        (("~^www", "*.blog.example"), "blog.example/"),
        ((".blog.example",), "blog.example/"),
        (("BLOG.example",), "blog.example/"),
        (("_",), "localhost/"),
        ((), "localhost/"),
    ],
)
def test_site_names(tmp_path: Path, names: tuple[str, ...], identity: str) -> None:
    assert one_site(vhost(wordpress(tmp_path / "blog"), names=names)).id == identity


def test_two_sites_never_share_an_id(tmp_path: Path) -> None:
    one, two = wordpress(tmp_path / "one"), wordpress(tmp_path / "two")
    found = find_sites([vhost(one, names=("_",)), vhost(two, names=())], Problems())
    assert [site.id for site in found] == ["localhost/", "localhost/#2"]


def test_sites_one_level_down_and_behind_an_alias(tmp_path: Path) -> None:
    root = wordpress(tmp_path / "www")
    wordpress(root / "blog")
    wordpress(root / "deep/er")
    shop = wordpress(tmp_path / "shop")
    sites = find_sites([vhost(root, ("/shop/", shop))], Problems())
    assert [(site.id, site.path) for site in sites] == [
        ("blog.example/", str(root)),
        ("blog.example/blog/", str(root / "blog")),
        ("blog.example/shop/", str(shop)),
    ]


def test_a_site_in_its_own_directory(tmp_path: Path) -> None:
    root = tmp_path / "www"
    wordpress(root / "wp")
    (root / "index.php").write_text("<?php require __DIR__ . '/wp/wp-blog-header.php';")
    site = one_site(vhost(root))
    assert (site.url_path, site.home_path) == ("/wp/", "/")


def test_the_configuration_one_level_up(tmp_path: Path) -> None:
    base = wordpress(tmp_path / "up/blog", more=None)
    (tmp_path / "up/wp-config.php").write_text(
        CONFIG.format(more="define('WP_CONTENT_DIR', __DIR__ . '/content');")
    )
    site = one_site(vhost(base))
    assert site.config_path == str(tmp_path / "up/wp-config.php")
    assert site.content_dir == str(tmp_path / "up/content")


def test_a_neighbours_configuration_is_not_taken(tmp_path: Path) -> None:
    parent = wordpress(tmp_path / "up")
    base = wordpress(parent / "blog", more=None)
    problems = Problems()
    (site,) = find_sites([vhost(base)], problems)
    assert site.config_path is None
    assert [one["id"] for one in problems.describe()] == ["wordpress_not_configured"]


@pytest.mark.parametrize(
    ("more", "content", "must_use"),
    [
        ("define('WP_CONTENT_DIR', '/srv/c/');", "/srv/c", "/srv/c/mu-plugins"),
        ("define('WP_CONTENT_DIR', dirname(__FILE__) . '/c');", "{}/c", "{}/c/mu-plugins"),
        ("define('WP_CONTENT_DIR', ABSPATH . '../c');", "{}/../c", "{}/../c/mu-plugins"),
        ("define('WPMU_PLUGIN_DIR', '/srv/mu');", "{}/wp-content", "/srv/mu"),
        ("define('WPMU_PLUGIN_DIR', '');", "{}/wp-content", None),
        (
            "$c = '/srv';\ndefine('WPMU_PLUGIN_DIR', '/srv/mu'); define('WP_CONTENT_DIR', $c);",
            None,
            "/srv/mu",
        ),
        ("define('WP_CONTENT_DIR', getenv('C'));", None, None),
        ("Config::define('WP_CONTENT_DIR', Config::get('X') . '/app');", None, None),
        (
            "define('WP_CONTENT_URL', 'http://blog.example/c');",
            "{}/wp-content",
            "{}/wp-content/mu-plugins",
        ),
    ],
)
def test_moved_directories(
    tmp_path: Path, more: str, content: str | None, must_use: str | None
) -> None:
    base = wordpress(tmp_path / "blog", more)
    problems = Problems()
    (site,) = find_sites([vhost(base)], problems)

    def resolved(path: str | None) -> str | None:
        return path and os.path.normpath(path.format(base))

    assert site.content_dir == resolved(content)
    assert site.mu_plugins_dir == resolved(must_use)
    unknown = ["content_dir_unknown"] if content is None or must_use is None else []
    assert [one["id"] for one in problems.describe()] == unknown


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ("define('WP_ALLOW_MULTISITE', true);", None),
        ("define('MULTISITE', true); define('SUBDOMAIN_INSTALL', false);", "subdirectory"),
        ("define('MULTISITE', TRUE); define('SUBDOMAIN_INSTALL', true);", "subdomain"),
        ("define('MULTISITE', 1);", "subdirectory"),
        ("define('MULTISITE', false); define('SUBDOMAIN_INSTALL', true);", None),
        ("define('SUBDOMAIN_INSTALL', true);", "subdomain"),
        ("define('MULTISITE', (bool) getenv('MULTISITE'));", "subdirectory"),
    ],
)
def test_a_network_of_sites(tmp_path: Path, more: str, kind: str | None) -> None:
    assert one_site(vhost(wordpress(tmp_path, more))).multisite == kind


def test_a_virtual_host_that_listens_nowhere_serves_nothing(tmp_path: Path) -> None:
    dead = vhost(wordpress(tmp_path))
    dead.listens = []
    assert find_sites([dead], Problems()) == []


def test_a_file_that_the_configuration_includes(tmp_path: Path) -> None:
    base = wordpress(tmp_path / "blog", "require __DIR__ . '/local.php';")
    (base / "local.php").write_text("<?php define('WP_CONTENT_DIR', __DIR__ . '/elsewhere');")
    assert one_site(vhost(base)).content_dir == str(base / "elsewhere")


def test_what_one_file_leaves_open_no_other_file_decides(tmp_path: Path) -> None:
    base = wordpress(
        tmp_path / "blog", "define('WP_CONTENT_DIR', getenv('C')); require __DIR__ . '/local.php';"
    )
    (base / "local.php").write_text("<?php define('WP_CONTENT_DIR', '/srv/wrong');")
    (site,) = find_sites([vhost(base)], Problems())
    assert site.content_dir is None


DEBIAN = """<?php
$debian_server = preg_replace('/:.*/', "", $_SERVER['HTTP_HOST']);
$debian_file = '/etc/wordpress/config-'.strtolower($debian_server).'.php';
if (file_exists($debian_file)) { require_once($debian_file); }
if (!defined('ABSPATH')) define('ABSPATH', '/usr/share/wordpress/');
if (!defined('WP_CONTENT_DIR') && !defined('DONT_SET_WP_CONTENT_DIR'))
    define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
require_once(ABSPATH . 'wp-settings.php');
"""


def test_debian_keeps_one_configuration_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = wordpress(tmp_path / "blog", more=None)
    (base / "wp-config.php").write_text(DEBIAN)
    etc = tmp_path / "etc"
    etc.mkdir()
    monkeypatch.setattr(wordpress_discovery, "_DEBIAN_CONFIG", str(etc))
    assert one_site(vhost(base)).content_dir == "/var/lib/wordpress/wp-content"
    (etc / "config-default.php").write_text("<?php define('WP_CONTENT_DIR', '/srv/default');")
    (etc / "config-example.php").write_text("<?php define('WP_CONTENT_DIR', '/srv/main');")
    (etc / "config-a.example.php").write_text("<?php define('WP_CONTENT_DIR', '/srv/a');")
    servers = [
        vhost(base, names=(name,)) for name in ("a.example", "b.example", "c.test", "A.EXAMPLE")
    ]
    sites = find_sites(servers, Problems())
    assert [(site.id, site.content_dir) for site in sites] == [
        ("a.example/", "/srv/a"),
        ("b.example/", "/srv/main"),
        ("c.test/", "/srv/default"),
    ]
    assert len(sites[0].vhosts) == 2


def test_traps_laid_by_a_site_do_not_stop_the_probe(tmp_path: Path) -> None:
    base = wordpress(tmp_path / "blog", more=None)
    os.mkfifo(base / "wp-config.php")
    (base / "wp-includes/version.php").write_bytes(b"<?php $wp_version = '\xff\n" + b"\0" * 100)
    loop = tmp_path / "blog/loop"
    loop.symlink_to(loop)
    (base / "\udcff").mkdir()
    problems = Problems()
    (site,) = find_sites([vhost(base), vhost(Path("/nonexistent")), vhost(Path("/a\0b"))], problems)
    assert site.version is None
    assert site.config_path is None

    second = wordpress(
        tmp_path / "second", "require '/dev/zero'; require __DIR__ . '/wp-config.php';"
    )
    assert one_site(vhost(second)).content_dir == str(second / "wp-content")


def test_no_wordpress_is_no_site(tmp_path: Path) -> None:
    (tmp_path / "wp-load.php").touch()
    assert find_sites([vhost(tmp_path)], Problems()) == []
