# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renamed copies of xmlrpc.php are known by what is in them, whatever they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.wordpress_discovery import Site
from ansible_collections.wpward.wordpress.plugins.module_utils.xmlrpc_copies import find

XMLRPC = b"<?php\n/**\n * XML-RPC protocol support for WordPress\n *\n * @package WordPress\n */\n"


def site(path: Path) -> Site:
    return Site(
        id="blog.example/",
        path=str(path),
        url_path="/",
        home_path="/",
        version=None,
        config_path=None,
        content_dir=None,
        mu_plugins_dir=None,
        plugins=[],
        mu_plugins=[],
    )


@pytest.mark.parametrize(
    ("name", "is_open"),
    [
        ("xmlrpc.php.bak", False),
        ("xmlrpc.php_old", False),
        ("XMLRPC.php.2020-05-04", False),
        ("xmlrpc-off.php", True),
        ("closed.php", True),
    ],
)
def test_a_renamed_file_is_found(tmp_path: Path, name: str, is_open: bool) -> None:
    (tmp_path / name).write_bytes(XMLRPC)
    (one,) = find([site(tmp_path)])
    assert (one["id"], one["file"], one["size"], one["site"], one["line"]) == (
        "xmlrpc_renamed",
        str(tmp_path / name),
        len(XMLRPC),
        "blog.example/",
        None,
    )
    assert ("open under another name" in one["detail"]) == is_open
    assert "itself is missing" in one["detail"]
    (tmp_path / "xmlrpc.php").write_bytes(XMLRPC)
    (one,) = find([site(tmp_path)])
    assert "missing" not in one["detail"]


def test_other_files_are_not_copies(tmp_path: Path) -> None:
    (tmp_path / "xmlrpc.php").write_bytes(XMLRPC)
    (tmp_path / "xmlrpc.php.md").write_text("How we closed XML-RPC")
    (tmp_path / "class-xmlrpc.php").write_text("<?php\nclass xmlrpc {}\n")
    # The words alone, further down, are somebody's note.
    (tmp_path / "notes.txt").write_bytes(b" " * 500 + XMLRPC)
    (tmp_path / "xmlrpc").mkdir()
    os.mkfifo(tmp_path / "xmlrpc.fifo")
    (tmp_path / "xmlrpc.link").symlink_to(tmp_path / "nothing")
    assert find([site(tmp_path)]) == []


def test_many_other_files_are_not_all_opened(tmp_path: Path) -> None:
    for number in range(400):
        (tmp_path / f"a{number:03}").touch()
    (tmp_path / "z.php").write_bytes(XMLRPC)
    (tmp_path / "zxmlrpc.php").write_bytes(XMLRPC)
    assert [one["file"] for one in find([site(tmp_path)])] == [str(tmp_path / "zxmlrpc.php")]


def test_a_directory_that_is_gone_has_none(tmp_path: Path) -> None:
    assert find([site(tmp_path / "gone")]) == []
