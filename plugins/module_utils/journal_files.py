# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# pathlib knows neither open directories nor names that are bytes, so it is not mixed in here.
# ruff: noqa: PTH118, PTH119, PTH123
"""Files and directories, handled so that neither a crash nor another user can interfere."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import os
import stat

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_base import (
    Json,
    Refused,
    decode,
    encode,
)

SCHEMA = 1
_MAX_LINKS = 40
_MAX_FILE = 16 * 1024 * 1024
OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """A name in a directory that is held open, so that nobody can slip another one under it."""

    def __init__(self, descriptor: int, directory: bytes, name: bytes) -> None:
        self.descriptor = descriptor
        self.directory = directory
        self.name = name
        self.missing: list[bytes] = []
        self.links: list[str] = []
        """Real paths of the symbolic links that led here."""

    @property
    def path(self) -> str:
        """The real path, free of symbolic links when it was resolved."""
        return decode(os.path.join(self.directory, *self.missing, self.name))

    @property
    def new_directories(self) -> list[str]:
        """Real paths of the directories that have to be made first, the outermost first."""
        return [
            decode(os.path.join(self.directory, *self.missing[: count + 1]))
            for count in range(len(self.missing))
        ]

    def info(self) -> os.stat_result | None:
        """Return the entry's own state (never that of a link's target), None if absent."""
        if self.missing:
            return None
        try:
            return os.stat(self.name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def holds(self, name: bytes) -> bool:
        """Tell whether the directory has an entry of this name."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return not self.missing

    def enter(self) -> None:
        """Go down into the missing directories and make them on the way (0755)."""
        while self.missing:
            name = self.missing[0]
            made = self._make(name)
            inner = os.open(name, OPEN_DIRECTORY, dir_fd=self.descriptor)
            if made and os.fstat(inner).st_uid != os.geteuid():
                os.close(inner)
                raise Refused(f"{self.path} was replaced by somebody else at this very moment.")
            os.close(self.descriptor)
            self.descriptor = inner
            self.directory = os.path.join(self.directory, self.missing.pop(0))

    def _make(self, name: bytes) -> bool:
        # By the umask, since a chmod afterwards could meet a directory that was slipped in.
        umask = os.umask(0o022)
        try:
            os.mkdir(name, 0o755, dir_fd=self.descriptor)
        except FileExistsError:
            return False
        finally:
            os.umask(umask)
        os.fsync(self.descriptor)
        return True

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self.descriptor)


def resolve(path: str, follow: bool = True, links: int = _MAX_LINKS) -> Place:
    """Walk to a path's directory one component at a time and hold it open.

    Web roots belong to users who must not be able to redirect root's write. So a symbolic link
    counts only where it is root's own or where its owner also owns what it points to, and only so
    many ``links`` one behind the other. With ``follow`` unset the path's last component is taken
    as it is, even if it is a link. Raises `Refused`.
    """
    if not path.startswith("/"):
        raise Refused(f"{path!r} is not an absolute path.")
    if "\0" in path or path.endswith("/") or ".." in path.split("/"):
        raise Refused(f"{path!r} is not the plain path of a file.")
    root = os.open("/", OPEN_DIRECTORY)
    return _descend(root, b"/", encode(path).split(b"/"), links, path, follow)


def _descend(
    fd: int, directory: bytes, names: list[bytes], links: int, path: str, follow: bool = True
) -> Place:
    """Resolve ``names`` below the open directory ``fd``, which this call takes over."""
    parts = [name for name in names if name not in (b"", b".")]
    place = Place(fd, directory, parts[-1] if parts else b".")
    try:
        for position, name in enumerate(parts):
            place.name = name
            last = position == len(parts) - 1
            info = place.info()
            if info is None:
                if b".." in parts[position:]:
                    raise Refused(f"{path}: {place.path} does not exist.")
                place.missing, place.name = parts[position:-1], parts[-1]
                break
            if stat.S_ISLNK(info.st_mode) and (follow or not last):
                _follow(place, info, links, path)
                if place.missing or place.info() is None:
                    if not last:
                        place.missing += [place.name, *parts[position + 1 : -1]]
                        place.name = parts[-1]
                    break
            if last:
                break
            try:
                inner = os.open(place.name, OPEN_DIRECTORY, dir_fd=place.descriptor)
            except NotADirectoryError:
                raise Refused(f"{path}: {place.path} is not a directory.") from None
            os.close(place.descriptor)
            place.directory = os.path.normpath(os.path.join(place.directory, place.name))
            place.descriptor = inner
    except BaseException:
        place.close()
        raise
    return place


def _follow(place: Place, link: os.stat_result, links: int, path: str) -> None:
    """Move ``place`` from a symbolic link to what it points to, if that is safe for root."""
    if not links:
        raise Refused(f"{path}: {place.path} is a symbolic link now.")
    target = os.readlink(place.name, dir_fd=place.descriptor)
    if target.startswith(b"/"):
        start, directory = os.open("/", OPEN_DIRECTORY), b"/"
    else:
        start, directory = os.dup(place.descriptor), place.directory
    behind = _descend(start, directory, target.split(b"/"), links - 1, path)
    info = behind.info() or os.fstat(behind.descriptor)
    # A hard link to one of root's symbolic links would look like root's own word.
    if not (link.st_uid == 0 and link.st_nlink == 1) and link.st_uid != info.st_uid:
        name = place.path
        behind.close()
        raise Refused(
            f"{path}: the symbolic link {name} of user id {link.st_uid} points to {decode(target)} "
            f"of user id {info.st_uid}; it is not followed, because its owner could redirect "
            "root's write with it."
        )
    os.close(place.descriptor)
    place.links += [place.path, *behind.links]
    place.descriptor, place.directory = behind.descriptor, behind.directory
    place.name, place.missing = behind.name, behind.missing


def snapshot(place: Place) -> tuple[Json, bytes]:
    """Return a file's attributes and content; ``{"kind": "absent"}`` and b"" without one.

    A symbolic link has a target in place of a content. Raises `Refused` for anything else that is
    not a regular file of at most 16 MiB.
    """
    info = place.info()
    if info is None:
        return {"kind": "absent"}, b""
    if stat.S_ISLNK(info.st_mode):
        return {
            "kind": "link",
            "target": decode(os.readlink(place.name, dir_fd=place.descriptor)),
            "uid": info.st_uid,
            "gid": info.st_gid,
            "atime_ns": info.st_atime_ns,
            "mtime_ns": info.st_mtime_ns,
            "xattrs": _xattrs(_link_path(place.descriptor, place.name)),
        }, b""
    if not stat.S_ISREG(info.st_mode):
        kind = "a directory" if stat.S_ISDIR(info.st_mode) else "not a regular file"
        raise Refused(f"{place.path} is {kind}.")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(place.name, flags, dir_fd=place.descriptor)
    with os.fdopen(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise Refused(f"{place.path} is not a regular file.")
        content = stream.read(_MAX_FILE + 1)
        if len(content) > _MAX_FILE:
            raise Refused(f"{place.path} is larger than {_MAX_FILE} bytes.")
        return {
            "kind": "file",
            "sha256": hashlib.sha256(content).hexdigest(),
            "mode": stat.S_IMODE(info.st_mode),
            "uid": info.st_uid,
            "gid": info.st_gid,
            "atime_ns": info.st_atime_ns,
            "mtime_ns": info.st_mtime_ns,
            "xattrs": _xattrs(descriptor),
        }, content


def _link_path(directory: int, name: bytes) -> bytes:
    """Return a path for a call that takes neither an open directory nor an open link."""
    return b"/proc/self/fd/%d/%s" % (directory, name)


def _xattrs(file: int | bytes) -> dict[str, str]:
    """Return every extended attribute (POSIX ACLs and security labels are such), base64.

    ``file`` is a descriptor, or the path of a symbolic link.
    """
    follow = isinstance(file, int)
    try:
        names = os.listxattr(file, follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    values = {name: os.getxattr(file, name, follow_symlinks=follow) for name in names}
    return {name: base64.b64encode(value).decode("ascii") for name, value in values.items()}


def _set_xattrs(file: int | bytes, wanted: dict[str, str]) -> None:
    """Give a file exactly these; a security label that nobody asked for is the system's own."""
    follow = isinstance(file, int)
    present = _xattrs(file)
    for key in present:
        if key not in wanted and not key.startswith("security."):
            os.removexattr(file, key, follow_symlinks=follow)
    for key, value in wanted.items():
        if present.get(key) != value:
            os.setxattr(file, key, base64.b64decode(value), follow_symlinks=follow)


_IDENTITY = {
    "absent": (),
    "file": ("sha256", "mode", "uid", "gid"),
    "link": ("target", "uid", "gid"),
}


def same(one: Json, other: Json) -> bool:
    """Tell whether two snapshots show the same content or target, owner and mode."""
    kind = one["kind"]
    return kind == other["kind"] and all(one[key] == other[key] for key in _IDENTITY[kind])


def write_new(directory: int, name: bytes, content: bytes, attributes: Json) -> None:
    """Write what a snapshot describes, a file or a link, under a name that is free."""
    if attributes["kind"] == "link":
        write_link(directory, name, attributes)
    else:
        write_file(directory, name, content, attributes)


def write_link(directory: int, name: bytes, attributes: Json) -> None:
    """Make a new symbolic link, down to the disk; leave none behind on failure.

    ``attributes``: target, uid, gid; where given, mtime_ns and atime_ns, and xattrs.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    os.symlink(encode(attributes["target"]), name, dir_fd=directory)
    try:
        uid, gid = attributes["uid"], attributes["gid"]
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
        if "xattrs" in attributes:
            _set_xattrs(_link_path(directory, name), attributes["xattrs"])
        if "mtime_ns" in attributes:
            times = (attributes["atime_ns"], attributes["mtime_ns"])
            os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)
        # A link cannot be opened, so it is its directory that takes it down.
        os.fsync(directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)
        raise


def write_file(directory: int, name: bytes, content: bytes, attributes: Json) -> None:
    """Write a new file with all its attributes, down to the disk; leave none behind on failure.

    ``attributes``: mode, uid, gid; where given, mtime_ns and atime_ns, and xattrs: exactly these
    (a default ACL of the directory must not creep into a file that had none).
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o600, dir_fd=directory)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fchown(descriptor, attributes["uid"], attributes["gid"])
        if "xattrs" in attributes:
            _set_xattrs(descriptor, attributes["xattrs"])
        # After chown, which clears set-user-id bits, and after the ACL, whose mask it sets.
        os.fchmod(descriptor, attributes["mode"])
        if "mtime_ns" in attributes:
            os.utime(descriptor, ns=(attributes["atime_ns"], attributes["mtime_ns"]))
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)
        raise
    finally:
        os.close(descriptor)


def sync_directory(path: str) -> None:
    """Make a directory's entries durable."""
    descriptor = os.open(path, OPEN_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: str, text: str, mode: int = 0o600) -> None:
    """Replace a file of the journal's own, so that after a crash it is the old or the new one."""
    directory, name = os.path.split(path)
    descriptor = os.open(directory, OPEN_DIRECTORY)
    try:
        temporary = encode(os.path.basename(temporary_name(path)))
        attributes = {"mode": mode, "uid": os.geteuid(), "gid": os.getegid()}
        write_file(descriptor, temporary, text.encode("utf-8", "surrogateescape"), attributes)
        os.rename(temporary, encode(name), src_dir_fd=descriptor, dst_dir_fd=descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: str) -> str:
    """Return the name under which `write_text` prepares a file; a crash can leave it behind."""
    directory, name = os.path.split(path)
    return os.path.join(directory, "." + name + ".tmp")


def read_json(path: str) -> Json:
    """Return a record of the journal; raises `Refused` for one of another format, OSError."""
    try:
        with open(path, encoding="ascii") as stream:
            data = json.load(stream)
    except ValueError as error:
        raise Refused(f"The journal's {path} cannot be read: {error}.") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise Refused(
            f"The journal's {path} has a format that this version of wpward does not know; "
            "use the version that wrote it."
        )
    return data


def read_text(path: str) -> str:
    """Return a file's text."""
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()


def remove_directory(path: str) -> None:
    """Remove a directory that a transaction made, if it still stands there empty."""
    try:
        place = resolve(path, follow=False, links=0)
    except (Refused, OSError):
        return
    try:
        if place.info() is not None:
            os.rmdir(place.name, dir_fd=place.descriptor)
            os.fsync(place.descriptor)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY):
            raise
    finally:
        place.close()
