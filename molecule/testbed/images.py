# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images from Debian packages, found again by the hash of everything that goes into them."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from testbed import podman
from testbed.constants import IMAGE_PREFIX, SUITES, WEB_SERVERS, site_data
from testbed.shell import TestbedError, cache_dir, locked, run, say

HERE = Path(__file__).resolve().parent
BASE_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "python3", "iproute2",
    "ca-certificates", "procps",
)  # fmt: skip


def mmdebstrap_command(suite: str, target: Path) -> list[str]:
    return [
        "mmdebstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}",
        suite, str(target),
    ]  # fmt: skip


def content_hash(inputs: Iterable[tuple[str, bytes]]) -> str:
    """A short name for a set of named contents, whatever order they come in."""
    digest = hashlib.sha256()
    for name, content in sorted(inputs):
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()[:12]


def _files(folder: Path, prefix: str = "") -> list[tuple[str, bytes]]:
    return [
        (f"{prefix}{path.relative_to(folder)}:{path.stat().st_mode & 0o111:o}", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def _site_json() -> bytes:
    return json.dumps(site_data(), indent=1, sort_keys=True).encode()


def base_tag(suite: str) -> str:
    command = " ".join(mmdebstrap_command(suite, Path("rootfs.tar")))
    inputs = [("command", command.encode()), *_files(HERE / "image" / "base")]
    return f"{IMAGE_PREFIX}/{suite}-base:{content_hash(inputs)}"


def web_tag(suite: str, web: str) -> str:
    server = WEB_SERVERS[web]
    parent = web_tag(suite, server.parent) if server.parent else base_tag(suite)
    inputs = [
        ("base", parent.encode()),
        *([] if server.parent else [("site", _site_json())]),
        *_files(HERE / "image" / web, "image/"),
        *_files(HERE / server.vhosts, "vhosts/"),
    ]
    return f"{IMAGE_PREFIX}/{suite}-{web}:{content_hash(inputs)}"


def _twice(step: Callable[[], object]) -> None:
    """A package mirror that stumbles once must not fail a test run."""
    try:
        step()
    except TestbedError as error:
        say(f"{error}\nonce more:")
        step()


def _build(tag: str, context: Path, *arguments: str) -> None:
    log = cache_dir() / f"build-{tag.rsplit('/', 1)[1].replace(':', '-')}.log"
    started = time.monotonic()
    say(f"building {tag} (log: {log})")
    argv = ["build", *arguments, "--tag", tag, str(context)]
    _twice(lambda: podman.podman(*argv, log=log, timeout=1800))
    say(f"built {tag} in {time.monotonic() - started:.0f} s")


def _check_suite(suite: str) -> None:
    if suite not in SUITES:
        raise TestbedError(f"suite {suite!r} is not one of {', '.join(SUITES)}")


def base_image(suite: str) -> str:
    """Tag of the bare Debian of that suite, made if it is not there yet."""
    _check_suite(suite)
    tag = base_tag(suite)
    with locked(f"image-{suite}-base"):
        if podman.succeeds("image", "exists", tag):
            return tag
        rootfs = cache_dir() / f"{suite}-{tag.rsplit(':', 1)[1]}.tar"
        if not rootfs.exists():
            say(f"making the Debian {suite} root file system (half a minute)")
            partial = rootfs.with_suffix(".partial.tar")
            partial.unlink(missing_ok=True)
            log = cache_dir() / f"mmdebstrap-{suite}.log"
            _twice(lambda: run(mmdebstrap_command(suite, partial), log=log, timeout=1800))
            partial.rename(rootfs)
        with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
            context = Path(folder)
            shutil.copytree(HERE / "image" / "base", context, dirs_exist_ok=True)
            (context / "rootfs.tar").hardlink_to(rootfs)
            _build(tag, context)
        rootfs.unlink()
    return tag


def web_image(suite: str, web: str) -> str:
    """Tag of the WordPress host of that suite and web server, made if it is not there yet."""
    _check_suite(suite)
    if web not in WEB_SERVERS:
        raise TestbedError(f"web server {web!r} is not one of {', '.join(WEB_SERVERS)}")
    tag = web_tag(suite, web)
    if podman.succeeds("image", "exists", tag):
        return tag
    server = WEB_SERVERS[web]
    base = web_image(suite, server.parent) if server.parent else base_image(suite)
    with locked(f"image-{suite}-{web}"):
        if podman.succeeds("image", "exists", tag):
            return tag
        with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
            context = Path(folder)
            shutil.copytree(HERE / "image" / web, context, dirs_exist_ok=True)
            shutil.copytree(HERE / server.vhosts, context / "vhosts")
            if server.parent is None:
                (context / "wordpress" / "site.json").write_bytes(_site_json())
            _build(tag, context, "--build-arg", f"BASE={base}")
    return tag
