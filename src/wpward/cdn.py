# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``wpward cdn``: how old the ranges of the delivery networks are, and bring them up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.wpward.wordpress.plugins.module_utils.known_networks import EDGES, SOURCES

from wpward import networks


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wpward cdn",
        description="How old the ranges of the delivery networks are, and bring them up to date. "
        "Only who connects from there is believed when it says for whom.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    refresh = commands.add_parser(
        "refresh",
        help="read the published lists and rewrite the table",
        description="Read the lists that the delivery networks publish and rewrite the table. A "
        "list that is empty, has shrunk by half, or cannot be genuine is refused.",
    )
    refresh.add_argument(
        "--from",
        dest="given",
        action="append",
        default=[],
        metavar="PARTY=FILE_OR_URL",
        help="only this party, from a copy of its list in the form in which it is published "
        "(repeat for more, also for the same party's second list)",
    )
    refresh.add_argument(
        "--timeout",
        type=float,
        default=networks.TIMEOUT,
        metavar="SECONDS",
        help="for each list (default: %(default)g)",
    )
    return parser


def main(
    arguments: Sequence[str] | None = None,
    sources: Mapping[str, Sequence[str]] = SOURCES,
    path: Path | None = None,
) -> int:
    """``wpward cdn [refresh [--from PARTY=FILE_OR_URL ...]]``; the exit code.

    ``sources``: party -> addresses of its lists. ``path``: the table's file.
    """
    options = _parser().parse_args(arguments)
    if options.command is None:
        return networks.run({}, EDGES, networks.TIMEOUT, path)
    places: dict[str, list[str]] = {}
    for text in options.given:
        party, _equals, place = text.partition("=")
        if party not in SOURCES or not place:
            print(
                f"wpward: --from {text} must be PARTY=FILE_OR_URL, with one of "
                f"{', '.join(SOURCES)}; nothing was changed.",
                file=sys.stderr,
            )
            return 1
        places.setdefault(party, []).append(place)
    if places:
        return networks.run(places, places, options.timeout, path)
    edges = {party: sources[party] for party in EDGES}
    return networks.run(edges, EDGES, options.timeout, path)
