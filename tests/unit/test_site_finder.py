# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which site a logged request was for, and the quick look that spares the classifier."""

from __future__ import annotations

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils import request_target
from ansible_collections.wpward.wordpress.plugins.module_utils.catalogue import ENDPOINTS
from ansible_collections.wpward.wordpress.plugins.module_utils.endpoint import Endpoint
from ansible_collections.wpward.wordpress.plugins.module_utils.site_finder import (
    SiteFinder,
    may_reach_an_endpoint,
    needles,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import VirtualHost
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site
from hypothesis import given
from hypothesis import strategies as st


def site(identity: str, url_path: str, vhosts: list[str], home_path: str | None = None) -> Site:
    return Site(
        id=identity,
        path="/x",
        url_path=url_path,
        home_path=home_path or url_path,
        version=None,
        config_path=None,
        content_dir=None,
        mu_plugins_dir=None,
        plugins=[],
        mu_plugins=[],
        vhosts=vhosts,
    )


def vhost(identity: str, names: list[str]) -> VirtualHost:
    return VirtualHost(
        id=identity,
        file="",
        line=1,
        sha256="",
        server_names=names,
        listens=[],
        roots=[],
        access_logs=[],
        error_logs=[],
        xmlrpc_rules=[],
        sites=[],
    )


def test_one_site_has_the_whole_log() -> None:
    finder = SiteFinder([site("one", "/blog/", [])], [])
    assert finder.classify(b"//xmlrpc.php", None) == (("one", "xmlrpc"),)
    assert finder.classify(b"/", None) == ()


def test_no_site_leaves_the_site_open() -> None:
    assert SiteFinder([], []).classify(b"/xmlrpc.php", None) == ((None, "xmlrpc"),)


def test_sites_below_each_other_are_told_apart_by_the_decoded_path() -> None:
    finder = SiteFinder([site("root", "/", ["v"]), site("blog", "/blog/", ["v"])], [])
    assert finder.site_of(b"/xmlrpc.php", None) == "root"
    assert finder.site_of(b"/blog/xmlrpc.php", None) == "blog"
    assert finder.site_of(b"//x/../%62log/?author=1", None) == "blog"
    assert finder.site_of(b"/blogger/xmlrpc.php", None) == "root"


def test_a_site_in_its_own_directory_owns_its_front_page_too() -> None:
    finder = SiteFinder([site("own", "/wp/", ["v"], "/"), site("blog", "/blog/", ["v"])], [])
    assert finder.site_of(b"/wp/xmlrpc.php", None) == "own"
    assert finder.site_of(b"/wp-json/wp/v2/users", None) == "own"


def test_sites_of_different_names_are_told_apart_by_the_host_field() -> None:
    finder = SiteFinder(
        [site("a", "/", ["va"]), site("b", "/", ["vb"])],
        [vhost("va", ["a.example"]), vhost("vb", ["B.example"])],
    )
    assert finder.site_of(b"/xmlrpc.php", b"b.example") == "b"
    assert finder.site_of(b"/xmlrpc.php", b"A.EXAMPLE:80") == "a"
    assert finder.site_of(b"/xmlrpc.php", b"evil.example") is None
    assert finder.site_of(b"/xmlrpc.php", None) is None
    assert finder.classify(b"/xmlrpc.php", None) == ((None, "xmlrpc"),)


_PIECES = st.sampled_from(
    [
        "/",
        "//",
        "/./",
        "x",
        "/../",
        "xmlrpc.php",
        "XMLRPC.PHP",
        "wp-json",
        "wp",
        "v2",
        "users",
        "?",
        "author",
        "=",
        "1",
        "&",
        "rest_route",
        "rest.route",
        "rest+route",
        "sitemap",
        "#",
        " ",
        "wp-sitemap-users-1.xml",
        "wp-login.php",
        "wlwmanifest.xml",
        "index.php",
        "%78mlrpc.php",
        "%61uthor",
        "\\x78mlrpc.php",
        "\\x22",
        "author_name",
        "author.name",
        "http://blog.example",
        "Users",
        "[",
        "é",
        "\x00",
    ]
)


@given(st.lists(_PIECES, max_size=12))
def test_the_quick_look_never_hides_an_endpoint(pieces: list[str]) -> None:
    target = "".join(pieces).encode()
    if request_target.classify(target, log_escaped=True):
        assert may_reach_an_endpoint(target)


@pytest.mark.parametrize(
    "target",
    [
        b"/%78mlrpc.php",
        b"/?%61uthor=1",
        b"/\\x78mlrpc.php",
        b"/XMLRPC.php",
        b"/?rest.route=/WP/V2/USERS",
    ],
)
def test_the_quick_look_sees_through_escapes_and_case(target: bytes) -> None:
    assert request_target.classify(target, log_escaped=True)
    assert may_reach_an_endpoint(target)


def test_the_quick_look_spares_ordinary_requests() -> None:
    assert not may_reach_an_endpoint(b"/2020/01/some-post/?utm_source=x")
    assert len(needles(ENDPOINTS)) >= 5


@pytest.mark.parametrize("path", [r"/(?:foo|barbar)$", "/x", r"/\wfoobar?$"])
def test_a_catalogue_without_words_turns_the_quick_look_off(path: str) -> None:
    odd = Endpoint(
        **{
            **{name: getattr(ENDPOINTS[0], name) for name in ENDPOINTS[0].__dataclass_fields__},
            "paths": (path,),
        }
    )
    assert needles((odd,)) == ()
