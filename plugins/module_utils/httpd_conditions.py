# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The conditions that httpd evaluates while it reads its configuration."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable

SECTIONS = frozenset({"ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection"})

_VERSION = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?")
_SOURCES = {"mpm_event_module": "event.c", "mpm_worker_module": "worker.c"}
_SOURCES.update({"mpm_prefork_module": "prefork.c", "http_module": "http_core.c"})
_SOURCES.update({"core_module": "core.c", "php_module": "mod_php.c"})
"""The source files that are not called after their module."""


def module_of_source(source: str) -> str:
    """The module that ``httpd -l`` lists by its source file."""
    for module, known in _SOURCES.items():
        if known == source:
            return module
    name = source[:-2] if source.endswith(".c") else source
    return (name[len("mod_") :] if name.startswith("mod_") else name) + "_module"


def _sources(module: str, path: str) -> set[str]:
    """The names by which ``<IfModule>`` may know a module's source file."""
    if module in _SOURCES:
        return {_SOURCES[module]}
    stem = module[: -len("_module")] if module.endswith("_module") else module
    file = posixpath.basename(path)
    shared = {file[:-3] + ".c"} if file.startswith("mod_") and file.endswith(".so") else set()
    return {f"mod_{stem}.c", *shared}


@dataclass
class Known:
    """What httpd knows at one point of its reading."""

    server_root: str
    version: str
    """Such as ``2.4.62``."""
    defines: dict[str, str | None] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    """As LoadModule names them: ``ssl_module``."""
    sources: set[str] = field(default_factory=set)

    def load_module(self, module: str, path: str) -> None:
        self.modules.add(module)
        self.sources |= _sources(module, path)

    def load_static(self, modules: Iterable[str]) -> None:
        for module in modules:
            self.load_module(module, "")

    def absolute(self, path: str) -> str:
        """A path as httpd completes it: from the ServerRoot."""
        return posixpath.normpath(posixpath.join(self.server_root, path))


def _numbers(version: str) -> tuple[int, int, int]:
    match = _VERSION.match(version)
    if match is None:
        return 0, 0, 0
    major, minor, patch = (int(part or 0) for part in match.groups())
    return major, minor, patch


def _version_holds(args: tuple[str, ...], version: str) -> bool | None:
    """``<IfVersion [[!]operator] version>``."""
    operator, wanted = args if len(args) == 2 else ("=", args[0])
    negated = operator.startswith("!")
    operator = operator[1:] if negated else operator
    pattern = wanted[1:-1] if wanted.startswith("/") and wanted.endswith("/") else None
    if operator == "~" or pattern is not None:
        try:
            holds = re.search(wanted if pattern is None else pattern, version) is not None
        except re.error:
            return None
    else:
        mine, theirs = _numbers(version), _numbers(wanted)
        compared = {
            "=": mine == theirs,
            "==": mine == theirs,
            ">": mine > theirs,
            ">=": mine >= theirs,
            "<": mine < theirs,
            "<=": mine <= theirs,
        }
        if operator not in compared:
            return None
        holds = compared[operator]
    return holds != negated


def holds(section: str, args: tuple[str, ...], known: Known) -> bool | None:
    """Whether httpd reads what a conditional section holds; None where that is not known here."""
    if not args:
        return None
    if section == "ifversion":
        return _version_holds(args, known.version) if len(args) <= 2 else None
    word = args[0]
    negated = word.startswith("!")
    word = word[1:] if negated else word
    if section == "ifmodule":
        found = word in known.modules or word in known.sources
    elif section == "ifdefine":
        found = word in known.defines
    elif section == "iffile":
        try:
            found = Path(known.absolute(word)).exists()
        except (OSError, ValueError):
            return None
    else:
        return None
    return found != negated
