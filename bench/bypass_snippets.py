# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tries published snippets: writes one to a host, asks what was open, takes it away again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from ansible_collections.wpward.wordpress.plugins.module_utils.http_client import Request, fetch
from testbed import podman
from testbed.shell import say

from bench import bypass_ask, bypass_hosts
from bench.bypass_hosts import Bed, Column
from bench.bypass_rows import OPEN, UNKNOWN, Row, Server, lookalikes

FOLDER = Path(__file__).parent / "snippets"
SECTIONS = {
    "xmlrpc": ("xmlrpc",),
    "users": ("author_by_id", "rest_users", "users_sitemap"),
}
RELOAD_SECONDS = 20
ANSWERS_IN_A_ROW = 6

# Runs on the host: {path: text} on standard input, None instead of a text removes the file.
_WRITE = """
import json, os, sys
for path, text in json.load(sys.stdin).items():
    if text is None:
        if os.path.exists(path):
            os.unlink(path)
        continue
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as handle:
        handle.write(text)
"""


@dataclass(frozen=True)
class Snippet:
    """A block as it is published, in our words.

    server: nginx, httpd or any.
    closes: a key of SECTIONS.
    places: where its parts go (keys of Bed.places), and their text.
    """

    name: str
    server: str
    closes: str
    places: Mapping[str, str]


@dataclass(frozen=True)
class Left:
    """What a snippet leaves open on one column.

    asked: how many rows were open without it; refused: the harmless requests that it refuses.
    """

    asked: int
    open: int
    refused: tuple[str, ...] = field(default=())


def load(folder: Path = FOLDER) -> list[Snippet]:
    """All snippets, file by file, in their order. ValueError for one that cannot be used."""
    found = []
    for path in sorted(folder.glob("*.yml")):
        for entry in yaml.safe_load(path.read_text()):
            snippet = Snippet(**entry)
            if snippet.closes not in SECTIONS:
                raise ValueError(f"snippet '{snippet.name}' closes '{snippet.closes}': not known")
            if snippet.server not in ("nginx", "httpd", "any"):
                raise ValueError(f"snippet '{snippet.name}': no server '{snippet.server}'")
            found.append(snippet)
    return found


class _Workbench:
    """A host whose virtual hosts read the files in which snippets are put."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.columns = [column for column in bed.columns if column.snippets]
        self.host = bypass_hosts.up(bed)
        self._number = 0
        self._htaccess = {path: self._read(path) for path in bed.places.get("htaccess", ())}
        self._write(self._files({}))
        bypass_hosts.run(self.host, bed.open_places)

    def apply(self, snippet: Snippet | None) -> None:
        """Have the host serve under this snippet and nothing else of the kind."""
        before = self._files({}, present=False)
        self._number += 1
        stamp, text = self._bed.stamp
        files = {**before, **self._files(snippet.places if snippet else {})}
        self._write({**files, stamp: text.replace("{number}", str(self._number))})
        bypass_hosts.run(self.host, self._bed.reload)
        for column in self.columns:
            self._wait(column)

    def server(self, column: Column) -> Server:
        return Server(self.host.address, column.port, column.host)

    def _read(self, path: str) -> str:
        script = f"[ ! -e {path} ] || cat {path}"
        return bypass_hosts.run(self.host, script)

    def _files(self, parts: Mapping[str, str], present: bool = True) -> dict[str, str | None]:
        """Every file of every place with its text: nothing, where `parts` has nothing for it."""
        files: dict[str, str | None] = {}
        for place, paths in self._bed.places.items():
            text = parts.get(place, "")
            for path in paths:
                if place == "htaccess":
                    files[path] = text + self._htaccess[path]
                elif place == "mu_plugin":
                    # A name of its own: PHP keeps the compiled text of a file for a while.
                    name = f"{path}/snippet-{self._number}.php"
                    files[name] = "<?php\n" + text if present and text else None
                else:
                    files[path] = text
        return files

    def _write(self, files: Mapping[str, str | None]) -> None:
        podman.execute(self.host.container, ["python3", "-c", _WRITE], stdin=json.dumps(files))

    def _wait(self, column: Column) -> None:
        """Until no worker of the server answers that still has the configuration from before."""
        deadline = time.monotonic() + RELOAD_SECONDS
        server = self.server(column)
        request = Request(server.address, server.port, server.host, "/license.txt")
        in_a_row = 0
        while in_a_row < ANSWERS_IN_A_ROW:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.host.name} still answers as before a reload")
            stamped = fetch(request, 5).header("x-snippet") == str(self._number)
            in_a_row = in_a_row + 1 if stamped else 0
            if not stamped:
                time.sleep(0.1)


def refused(usual: Mapping[Row, int], now: Mapping[Row, int]) -> tuple[str, ...]:
    """The requests that are refused, or sent elsewhere, that were not before, by their statuses."""
    return tuple(
        row.label for row in now if usual[row] < 400 and now[row] // 100 != usual[row] // 100
    )


def try_all(
    bed: Bed, snippets: Iterable[Snippet], was_open: Mapping[str, Iterable[Row]]
) -> dict[tuple[str, str], Left]:
    """What each snippet leaves open, by its name and the column's title.

    was_open: the rows that are open without any block, by column title.
    """
    harmless = lookalikes()
    found = {}
    places = set(bed.places)
    workbench = _Workbench(bed)
    try:
        workbench.apply(None)
        usual = {
            column: bypass_ask.statuses(harmless, workbench.server(column))
            for column in workbench.columns
        }
        for snippet in snippets:
            if snippet.server not in (bed.server, "any") or not set(snippet.places) <= places:
                continue
            workbench.apply(snippet)
            say(f"{bed.web}: {snippet.name}")
            sections = SECTIONS[snippet.closes]
            for column in workbench.columns:
                server = workbench.server(column)
                rows = [row for row in was_open[column.title] if row.section in sections]
                verdicts = bypass_ask.verdicts(rows, server)
                unknown = [row.label for row in rows if verdicts[row] == UNKNOWN]
                if unknown:
                    raise RuntimeError(f"{snippet.name}: no answer to {unknown[0]}")
                alike = [row for row in harmless if row.section in sections]
                wrongly = refused(usual[column], bypass_ask.statuses(alike, server))
                left = sum(verdict == OPEN for verdict in verdicts.values())
                found[snippet.name, column.title] = Left(len(rows), left, wrongly)
    finally:
        bypass_hosts.down(bed)
    return found
