# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where httpd writes its logs, and in which format."""

from __future__ import annotations

import glob
import posixpath
import re
import shlex
from typing import Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import modified_at
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_conditions import Known
from ansible_collections.wpward.wordpress.plugins.module_utils.httpd_config import Directive
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.vhosts import Log

COMMON = '%h %l %u %t "%r" %>s %b'
"""What TransferLog writes where no LogFormat is given, and the format called CLF."""


def _rotatelogs_pattern(words: Sequence[str]) -> tuple[str, bool] | None:
    """(the file's name or pattern, whether it is a plain name) that rotatelogs writes to."""
    link = None
    plain = False
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-L", "-p", "-n") and rest:
            value = rest.pop(0)
            link = value if option == "-L" else link
        plain = plain or option in ("-t", "-n")
    if link is not None:
        return link, True
    if not rest:
        return None
    if "%" in rest[0]:
        return "*".join(glob.escape(part) for part in re.split(r"%[-_0^#]*.", rest[0])), False
    return (rest[0], True) if plain else (glob.escape(rest[0]) + ".*", False)


def piped_file(command: str, known: Known) -> str | None:
    """The file that a piped log's program writes to now; None where that cannot be told."""
    try:
        words = shlex.split(command.lstrip("|").lstrip("$"))
    except ValueError:
        return None
    if not words or posixpath.basename(words[0]) not in ("rotatelogs", "rotatelogs2"):
        return None
    found = _rotatelogs_pattern(words[1:])
    if found is None:
        return None
    path = known.absolute(found[0])
    if found[1]:
        return path
    newest = sorted((modified_at(one) or 0, one) for one in glob.glob(path))  # noqa: PTH207
    return newest[-1][1] if newest else None


class Logs:
    """The logs of one configuration."""

    def __init__(self, main: Sequence[Directive], known: Known, problems: Problems) -> None:
        self._main = main
        self._known = known
        self._problems = problems
        self.formats = {"CLF": COMMON, **self._formats(main)}

    def _formats(self, level: Sequence[Directive]) -> dict[str, str]:
        return {
            one.args[1]: one.args[0]
            for one in level
            if one.name == "logformat" and len(one.args) == 2
        }

    def _file(self, argument: str, directive: Directive) -> str | None:
        where = f"{directive.file}:{directive.line}"
        if argument.startswith("|"):
            path = piped_file(argument, self._known)
            if path is None:
                self._problems.add(
                    "log_not_a_file",
                    f"The log at {where} is piped to a program, and the file it ends in cannot be "
                    "told; it is not read.",
                )
            return path
        if argument == "syslog" or argument.startswith(("syslog:", "journald:")):
            self._problems.add(
                "log_not_a_file", f"The log at {where} goes to {argument}; it is not read."
            )
            return None
        if "${" in argument:
            self._problems.add(
                "log_not_a_file",
                f"The log at {where} is {argument}, whose variables are not known; it is not read.",
            )
            return None
        return self._known.absolute(argument)

    def _format(self, own: Sequence[Directive], name: str) -> str:
        """A nickname that means the same everywhere, else the format's text."""
        text = {**self.formats, **self._formats(own)}.get(name)
        if text is None:
            return name
        return name if self.formats.get(name) == text else text

    def _at(self, level: Sequence[Directive], names: Sequence[str]) -> list[Log]:
        found: list[Log] = []
        unnamed = [
            one.args[0]
            for one in (*self._main, *level)
            if one.name == "logformat" and len(one.args) == 1
        ]
        for one in level:
            if one.name not in names or not one.args:
                continue
            path = self._file(one.args[0], one)
            if path is None:
                continue
            given = one.args[1] if len(one.args) > 1 else ""
            if not given or given.startswith(("env=", "expr=")):
                found.append(Log(path, self._format(level, unnamed[-1] if unnamed else COMMON)))
            else:
                found.append(Log(path, self._format(level, given)))
        return found

    def access(self, own: Sequence[Directive]) -> list[Log]:
        """A virtual host that has access logs of its own does not write the main server's; the
        main server's GlobalLog is written by all."""
        names = ("customlog", "transferlog")
        level = own if any(one.name in names and one.args for one in own) else self._main
        logs = self._at(level, names) + self._at(self._main, ("globallog",))
        return list(dict.fromkeys(logs))

    def errors(self, own: Sequence[Directive]) -> list[str]:
        for level in (own, self._main):
            found = [one for one in level if one.name == "errorlog" and one.args]
            if found:
                path = self._file(found[-1].args[0], found[-1])
                return [] if path is None else [path]
        return [self._known.absolute("logs/error_log")]
