# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opening, as root, files in directories where somebody else may have planted a link.

A site's owner can often write to the directory of the site's logs. Whoever copies from there as
root must not be led to /etc/shadow, so links of anybody but root are not followed, at any place of
a path, and each step is taken in the directory that the step before has opened.
"""

from __future__ import annotations

import fnmatch
import os
import stat

_MOST_LINKS = 40
"""As many as the kernel follows."""
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_SECRET = (
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/security/opasswd",
    "*/wp-config*.php*",
    "*/.env",
    "*/.env.*",
    "*/.ssh/*",
    "*/.my.cnf",
    "*/.mylogin.cnf",
    "*/.netrc",
    "*/.pgpass",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*htpasswd*",
    "*/.htdigest*",
    "*/private/*",
)
NEVER_TAKEN = (
    "wp-config.php and copies of it, .env",
    "private keys: *.key, *.p12, *.pfx, *.jks, directories named private, any file that holds one",
    "password files: shadow, gshadow, .htpasswd, .htdigest, .my.cnf, .netrc, .ssh",
)
"""For the manifest."""


class NotTaken(Exception):
    """The text is a clause that says why, without the path."""


def is_secret(path: str) -> bool:
    """Whether a file is left alone for its name's sake. ``path``: without symbolic links."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in _SECRET)


def _names(path: str) -> list[str]:
    """The steps of a path, the first one last."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def open_trusted(path: str) -> int:
    """A read-only descriptor of the regular file at an absolute path.

    Raises NotTaken where a link on the way is not root's or has other names, where the end is no
    regular file, where it has another name in a directory that others can write to, or where it is
    a secret; OSError where it cannot be opened.
    """
    if not path.startswith("/") or "\0" in path:
        raise NotTaken("it is not the path of a file")
    place = os.open("/", _STEP)
    try:
        return _walk(place, _names(path))
    finally:
        os.close(place)


def _walk(root: int, left: list[str]) -> int:
    place = os.dup(root)
    links = 0
    try:
        while True:
            if not left:
                raise NotTaken("it is a directory")
            name = left.pop()
            step = os.open(name, _STEP, dir_fd=place)
            state = os.fstat(step)
            if stat.S_ISLNK(state.st_mode):
                links += 1
                target = _target(step, state, links)
                os.close(step)
                if target.startswith("/"):
                    os.close(place)
                    place = os.dup(root)
                left += _names(target)
            elif left:
                os.close(place)
                place = step
            else:
                try:
                    return _end(step, state, os.fstat(place))
                finally:
                    os.close(step)
    finally:
        os.close(place)


def _target(link: int, state: os.stat_result, links: int) -> str:
    try:
        if state.st_uid != 0 or state.st_nlink != 1:
            raise NotTaken("it is behind a symbolic link that is not root's alone")
        if links > _MOST_LINKS:
            raise NotTaken("it is behind too many symbolic links")
        return os.readlink("", dir_fd=link)
    except BaseException:
        os.close(link)
        raise


def _end(step: int, state: os.stat_result, directory: os.stat_result) -> int:
    if not stat.S_ISREG(state.st_mode):
        raise NotTaken("it is not a regular file")
    others = directory.st_uid != 0 or directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if state.st_nlink != 1 and others:
        raise NotTaken("it has another name elsewhere, and others than root can write there")
    where = f"/proc/self/fd/{step}"
    if is_secret(os.readlink(where)):
        raise NotTaken("it holds secrets")
    # The same file as the one that was looked at, whatever its name leads to by now.
    return os.open(where, _READ)
