# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe's library as one stream that a host's Python reads and runs from memory.

Nothing is written to the host's disk, so that neither a full disk nor ``noexec`` nor SELinux has a
say. The same sources and the same request give the same bytes.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import threading
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

from wpward import triage_remote

LIBRARY = "ansible_collections.wpward.wordpress.plugins.module_utils"
_PROBE = ("courtesy", "evidence")
_FIRST_AID = ("containment_apply",)

NO_PYTHON = 72
NO_SUDO = 73
"""Exit codes of the lines below, beside triage_remote's and what a shell and sudo have of their
own."""

# The login shell may be any, so these lines hold no single quote, no ! and no line break.
# Newest first; each has to show that its standard library is there, which "minimal" packages and
# half-removed versions lack. Nothing here starts a process that it can do without: where hundreds
# want the processor, each waits seconds for its first turn.
_PICK = (
    "PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/opt/bitnami/python/bin; "
    f"for p in {' '.join(f'python3.{minor}' for minor in range(19, 7, -1))} python3; do "
    'command -v $p >/dev/null && $p -ISc "$3" 2>/dev/null && exec $p -ISc "$1" "$2"; '
    f"done; echo No usable python3 in $PATH. >&2; exit {NO_PYTHON}"
)
_USABLE = "import contextlib,ctypes,json,os,subprocess,sys,zlib;sys.exit(sys.version_info<(3,8))"
# What asks runs as a child of the shell that then becomes the Python, which so has a claim on
# processors before it has to start.
_USABLE_AND_AHEAD = _USABLE.replace(
    ";",
    ';exec("with contextlib.suppress(OSError): os.setpriority(0,os.getppid(),-20)");',
    1,
)
_BOOT = (
    "import json,sys,zlib;i=sys.stdin.buffer;m=sys.argv[1];"
    'print(m,"ready","%d.%d.%d"%sys.version_info[:3],flush=True);'
    "d=json.loads(zlib.decompress(i.read(int(i.readline()))));"
    'g={"__name__":m};exec(d.pop("first"),g);exec(compile(d.pop("runner"),"wpward","exec"),g);'
    'sys.exit(g["run"](d,m,g["starved"]))'
)
_BECOME = (
    'echo "$3 shell"; if [ -O / ] || [ "$(id -u)" = 0 ]; then '
    'exec /bin/sh -c "$1" wpward "$2" "$3" "$4"; fi; '
    "command -v sudo >/dev/null || "
    f"(echo There is no sudo. >&2; exit {NO_SUDO}) || exit; "
    'exec sudo {options} /bin/sh -c "$1" wpward "$2" "$3" "$4"'
)


_MAKING = threading.Lock()
_BODY = re.compile(r"^(?:def|class|@)", re.MULTILINE)


@dataclass(frozen=True)
class Request:
    """What the host is asked for. ``back``: seconds back from now in which the logs are counted.
    ``budget``: seconds for the probe. ``seconds``: when it is ended in any case. ``contain``:
    seconds for which XML-RPC is closed first, 0 for not at all; ``trusted``: networks for which it
    stays open."""

    back: int
    budget: float
    seconds: float
    database_credentials: str | None = None
    contain: int = 0
    trusted: tuple[str, ...] = ()


def _imported(source: str) -> Iterator[str]:
    # All imports stand at the top; to parse the rest takes ten times as long.
    for node in ast.walk(ast.parse(_BODY.split(source, maxsplit=1)[0])):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        if node.module == LIBRARY:
            yield from (one.name for one in node.names)
        elif node.module.startswith(f"{LIBRARY}."):
            yield node.module.removeprefix(f"{LIBRARY}.")


@cache
def sources(first_aid: bool = False) -> dict[str, str]:
    """The modules that the probe needs, found by following imports: full name -> source.

    Args:
        first_aid: with those that first aid needs.

    Raises:
        ModuleNotFoundError: the collection is not installed beside this program.
    """
    folder = files(LIBRARY)
    found: dict[str, str] = {}
    wanted = [*_PROBE, *(_FIRST_AID if first_aid else ())]
    while wanted:
        name = wanted.pop()
        if f"{LIBRARY}.{name}" not in found:
            source = (folder / f"{name}.py").read_text("utf-8")
            found[f"{LIBRARY}.{name}"] = source
            wanted += _imported(source)
    return dict(sorted(found.items()))


def stream(request: Request) -> bytes:
    """The bytes that the host's Python waits for on its standard input; made once."""
    with _MAKING:
        return _stream(request)


@cache
def _stream(request: Request) -> bytes:
    # By itself, ahead of the rest, which takes a while to be compiled there.
    first = [inspect.getsource(one) for one in (triage_remote.prefer, triage_remote.hurry)]
    first.append("starved = hurry()")
    if request.contain:
        # A third of a second of processor time, of which a flood would make many seconds.
        first.append("prefer(-20)")
    given = {
        "first": "\n".join(first),
        "runner": inspect.getsource(triage_remote),
        "library": LIBRARY,
        "sources": sources(request.contain > 0),
        "request": asdict(request),
    }
    packed = zlib.compress(json.dumps(given).encode("ascii"))
    return f"{len(packed)}\n".encode("ascii") + packed


def command(marker: str, prompt: str | None, ahead: bool = False) -> str:
    """The command line for the host, whatever login shell reads it.

    Args:
        marker: begins each line of the answer; what a shell's start-up files print has none.
        prompt: what sudo is to ask for the password with; None where there is no password.
        ahead: whether Python is to start ahead of everything else there.
    """
    become = _BECOME.format(options="-n" if prompt is None else '-S -p "$5"')
    usable = _USABLE_AND_AHEAD if ahead else _USABLE
    words = ["/bin/sh", "-c", become, "wpward", _PICK, _BOOT, marker, usable]
    return shlex.join(words if prompt is None else [*words, prompt])
