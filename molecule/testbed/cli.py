# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Command line of the test bed. Results are JSON on standard output, progress on standard error."""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys
from collections.abc import Sequence

from testbed import clients, edges, flood, hosts, images, podman, prerequisites, virtual_hosts
from testbed.constants import DEFAULT_NETWORK, LABEL, MORE_VHOSTS, SUITES, VHOSTS, WEB_SERVERS
from testbed.shell import TestbedError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("setup", help="install the Debian packages that the test bed needs")

    image = commands.add_parser("image", help="make the image of a WordPress host")
    up = commands.add_parser("up", help="have a WordPress host up and answering")
    up.add_argument("name", metavar="NAME")
    up.add_argument(
        "--vhosts",
        default="",
        metavar="LIST",
        help=f"beside blog: any of {','.join((*VHOSTS, *MORE_VHOSTS))}",
    )
    up.add_argument("--network", default=DEFAULT_NETWORK, help="podman network, made if missing")
    up.add_argument("--memory", metavar="SIZE", help="of all its processes, like 700m; no swap")
    up.add_argument("--reset", action="store_true", help="make it anew from its image")
    for command in (image, up):
        command.add_argument("--suite", default="bookworm", help=f"one of {', '.join(SUITES)}")
        command.add_argument("--web", default="nginx", help=f"one of {', '.join(WEB_SERVERS)}")

    down = commands.add_parser("down", help="remove hosts, clients and edges")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="all of this machine, and the networks")

    reboot = commands.add_parser("reboot", help="restart a host and wait until it answers")
    reboot.add_argument("name", metavar="NAME")
    reboot.add_argument("--crash", action="store_true", help="as after a power cut")

    commands.add_parser("status", help="list hosts, clients and edges")

    several = commands.add_parser("clients", help="have clients with several addresses")
    several.add_argument("name", metavar="NAME")
    several.add_argument("--addresses", type=int, default=10, metavar="N")
    several.add_argument("--network", default=DEFAULT_NETWORK)

    edge = commands.add_parser("edge", help="have edges of a CDN in front of a host")
    edge.add_argument("name", metavar="NAME")
    edge.add_argument("--to", required=True, metavar="HOST", help="the host that they ask")
    edge.add_argument("--count", type=int, default=1, metavar="N", help="each has its own address")

    traffic = commands.add_parser("flood", help="play an incident's requests against a host")
    traffic.add_argument(
        "--pattern",
        choices=sorted(flood.PATTERNS),
        default="c",
        help="a: 3/s from one address that gives up; c: 36/s from ten; d: 1/s, always another",
    )
    traffic.add_argument("--rate", type=float, help="per second; 0: full speed")
    traffic.add_argument(
        "--header", dest="headers", action="append", default=[], metavar="NAME:VALUE"
    )
    traffic.add_argument("--concurrency", type=int, default=50)
    traffic.add_argument("--call", choices=sorted(flood.CALLS), default="wp.getUsersBlogs")
    visitor = commands.add_parser("latency", help="measure GET / as a visitor sees it")
    visitor.add_argument("--interval", type=float, default=0.2, help="seconds")
    for command in (traffic, visitor):
        command.add_argument(
            "destination", metavar="NAME|ADDRESS", help="a host or edge up, or loopback"
        )
        command.add_argument("--from", dest="clients", metavar="CLIENTS", help="else from here")
        command.add_argument("--client", type=int, metavar="N", help="only the N-th of CLIENTS")
        command.add_argument("--seconds", type=float, default=10, help=f"max {flood.MAX_SECONDS:g}")
        command.add_argument("--count", type=int, help=f"max {flood.MAX_COUNT}")
        command.add_argument("--port", type=int, default=80)
        command.add_argument("--host", default="blog.example", help="Host header")
        command.add_argument("--target", help="request target instead of the pattern's own")
        command.add_argument("--network", default=DEFAULT_NETWORK)
    return parser


def _address(name: str) -> str:
    """The address of a host, or of the first of some edges."""
    found = podman.inspect(hosts.container_name(name))
    if found and found["Config"]["Labels"].get(LABEL) == "edge":
        return edges.named(name).addresses[0]
    return hosts.named(name).address


def _client(several: clients.Clients | None, number: int, destination: str) -> str:
    """The address of the client with that number, from 1 on, that can reach the destination."""
    addresses: list[str] = []
    if several:
        six = ipaddress.ip_address(destination).version == 6
        addresses = several.addresses6 if six else several.addresses
    if not 1 <= number <= len(addresses):
        raise TestbedError(f"there is no client {number}; --from has {len(addresses)}")
    return addresses[number - 1]


def _traffic(arguments: argparse.Namespace) -> str:
    options = dict(vars(arguments))
    destination = options.pop("destination")
    pattern = options.pop("pattern", options.pop("command"))
    sender = options.pop("clients")
    try:
        address = str(ipaddress.ip_address(destination))
    except ValueError:
        address = _address(destination)
    options["clients"] = clients.named(sender) if sender else None
    client = options.pop("client")
    if client is not None:
        options["sources"] = [_client(options["clients"], client, address)]
    return json.dumps(clients.traffic(pattern, address, **options), indent=2)


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
            vhosts=virtual_hosts.parse(arguments.vhosts),
            network=arguments.network,
            memory_limit=arguments.memory,
            reset=arguments.reset,
        ).as_json()
    if arguments.command == "down":
        if not arguments.names and not arguments.all:
            raise TestbedError("name the hosts to remove, or say --all")
        removed = hosts.down_all() if arguments.all else hosts.down(arguments.names)
        return json.dumps({"removed": removed})
    if arguments.command == "reboot":
        return hosts.reboot(arguments.name, crash=arguments.crash).as_json()
    if arguments.command == "clients":
        found = clients.up(arguments.name, count=arguments.addresses, network=arguments.network)
        return found.as_json()
    if arguments.command == "edge":
        return edges.up(arguments.name, to=arguments.to, count=arguments.count).as_json()
    if arguments.command in ("flood", "latency"):
        return _traffic(arguments)
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
