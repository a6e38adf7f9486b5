# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files are opened where a site's user can plant links, pipes and other names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.wpward.wordpress.plugins.module_utils.preserve_open import (
    NotTaken,
    is_secret,
    open_trusted,
)

USER = 4242
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def read(path: Path | str) -> bytes:
    with os.fdopen(open_trusted(str(path)), "rb") as stream:
        return stream.read()


def refusal(path: Path | str) -> str:
    with pytest.raises(NotTaken) as refused:
        os.close(open_trusted(str(path)))
    return str(refused.value)


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """What nobody but root may read."""
    path = tmp_path / "hidden"
    path.write_bytes(b"root:$6$")
    path.chmod(0o600)
    return path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A directory that belongs to a user of the host."""
    path = tmp_path / "logs"
    path.mkdir()
    os.chown(path, USER, USER)
    return path


def given(path: Path) -> Path:
    os.chown(path, USER, USER, follow_symlinks=False)
    return path


def test_a_users_log_is_read(logs: Path) -> None:
    log = logs / "access.log"
    log.write_bytes(b"a line\n")
    assert read(given(log)) == b"a line\n"


def test_a_link_of_root_is_followed(tmp_path: Path, hidden: Path) -> None:
    (tmp_path / "up").symlink_to(".", target_is_directory=True)
    (tmp_path / "absolute").symlink_to(hidden)
    (tmp_path / "relative").symlink_to(f"../{tmp_path.name}/up/absolute")
    assert read(tmp_path / "absolute") == read(tmp_path / "up" / "relative") == b"root:$6$"


def test_a_link_of_a_user_is_not_followed(logs: Path, hidden: Path) -> None:
    link = logs / "access.log"
    link.symlink_to(hidden)
    assert "symbolic link" in refusal(given(link))


def test_nor_is_one_in_the_middle_of_a_path(logs: Path, hidden: Path) -> None:
    link = logs / "site"
    link.symlink_to(hidden.parent)
    assert "symbolic link" in refusal(given(link) / hidden.name)


def test_nor_one_behind_a_link_of_root(tmp_path: Path, logs: Path, hidden: Path) -> None:
    link = logs / "access.log"
    link.symlink_to(hidden)
    given(link)
    (tmp_path / "log").symlink_to(logs)
    assert "symbolic link" in refusal(tmp_path / "log" / "access.log")


def test_a_link_of_root_with_another_name_may_have_been_planted(
    tmp_path: Path, logs: Path, hidden: Path
) -> None:
    link = tmp_path / "shortcut"
    link.symlink_to(hidden)
    os.link(link, logs / "access.log", follow_symlinks=False)
    assert "symbolic link" in refusal(logs / "access.log")


def test_a_second_name_of_a_file_is_not_read_where_a_user_could_make_it(
    tmp_path: Path, logs: Path, hidden: Path
) -> None:
    os.link(hidden, logs / "access.log")
    assert "another name" in refusal(logs / "access.log")
    os.link(hidden, tmp_path / "kept.log")
    assert read(tmp_path / "kept.log") == b"root:$6$"


def test_what_is_no_file_is_not_opened(logs: Path) -> None:
    os.mkfifo(logs / "access.log")
    assert "regular file" in refusal(logs / "access.log")
    assert "regular file" in refusal("/dev/zero")
    assert "directory" in refusal(logs) or "regular file" in refusal(logs)
    assert refusal("syslog:server=unix:/dev/log")
    assert refusal("/a\0b")


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert "too many" in refusal(tmp_path / "one")


def test_no_descriptor_is_left_open(logs: Path, hidden: Path) -> None:
    link = logs / "access.log"
    link.symlink_to(hidden)
    given(link)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for path in (link, logs, hidden.parent / "absent", logs / "absent" / "deeper"):
        with pytest.raises((NotTaken, OSError)):
            os.close(open_trusted(str(path)))
    os.close(open_trusted(str(hidden)))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    "name",
    ["wp-config.php", "wp-config.php.bak", ".htpasswd", "site.htpasswd", "blog.key", ".my.cnf"],
)
def test_a_secret_is_left_alone_by_whatever_name_it_is_reached(tmp_path: Path, name: str) -> None:
    secret = tmp_path / name
    secret.write_text("x")
    (tmp_path / "access.log").symlink_to(secret)
    assert "secrets" in refusal(secret)
    assert "secrets" in refusal(tmp_path / "access.log")


def test_secrets_by_their_names() -> None:
    for path in ("/etc/shadow", "/etc/shadow-", "/etc/ssl/private/x", "/root/.ssh/id_ed25519"):
        assert is_secret(path)
    for path in ("/etc/nginx/nginx.conf", "/var/log/nginx/access.log", "/etc/mysql/my.cnf"):
        assert not is_secret(path)
