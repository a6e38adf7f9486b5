# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Command line of the test bed. Results are JSON on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from testbed import hosts, images, prerequisites
from testbed.constants import DEFAULT_NETWORK, SUITES, VHOSTS, WEB_SERVERS
from testbed.shell import TestbedError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("setup", help="install the Debian packages that the test bed needs")

    image = commands.add_parser("image", help="make the image of a WordPress host")
    up = commands.add_parser("up", help="have a WordPress host up and answering")
    up.add_argument("name", metavar="NAME")
    up.add_argument(
        "--vhosts", default="", metavar="LIST", help=f"beside blog: any of {','.join(VHOSTS)}"
    )
    up.add_argument("--network", default=DEFAULT_NETWORK, help="podman network, made if missing")
    up.add_argument("--reset", action="store_true", help="make it anew from its image")
    for command in (image, up):
        command.add_argument("--suite", default="bookworm", help=f"one of {', '.join(SUITES)}")
        command.add_argument("--web", default="nginx", help=f"one of {', '.join(WEB_SERVERS)}")

    down = commands.add_parser("down", help="remove hosts and clients")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="all of this machine, and the networks")

    commands.add_parser("status", help="list hosts and clients")
    return parser


def _dispatch(arguments: argparse.Namespace) -> str:
    prerequisites.require_root()
    if arguments.command == "setup":
        return json.dumps({"installed": prerequisites.setup()})
    if arguments.command == "image":
        return json.dumps({"image": images.web_image(arguments.suite, arguments.web)})
    if arguments.command == "up":
        return hosts.up(
            arguments.name,
            suite=arguments.suite,
            web=arguments.web,
            vhosts=hosts.parse_vhosts(arguments.vhosts),
            network=arguments.network,
            reset=arguments.reset,
        ).as_json()
    if arguments.command == "down":
        if not arguments.names and not arguments.all:
            raise TestbedError("name the hosts to remove, or say --all")
        removed = hosts.down_all() if arguments.all else hosts.down(arguments.names)
        return json.dumps({"removed": removed})
    return json.dumps(hosts.status(), indent=2)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        print(_dispatch(arguments))
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
