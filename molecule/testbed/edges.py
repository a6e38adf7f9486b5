# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Edges of a content delivery network: nginx in front of a host, from addresses of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from testbed import clients, hosts, images, podman
from testbed.constants import LABEL
from testbed.shell import TestbedError, locked

SUITE, WEB = "bookworm", "nginx"
CONFIG = "/etc/nginx/edge.conf"

_HTTP = """\
worker_processes 1;
error_log /var/log/nginx/edge-error.log;
events {{ worker_connections 1024; }}
http {{
    access_log /var/log/nginx/edge.log;
{servers}}}
"""
# Each edge keeps connections of its own: of a shared upstream nginx takes whichever is idle,
# from whatever address it was opened.
_SERVER = """\
    upstream edge_{number} {{
        server {origin};
        keepalive 16;
    }}
    server {{
        {listen}
        location / {{
            proxy_pass http://edge_{number};
            proxy_bind {address};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
"""


@dataclass(frozen=True)
class Edge:
    """One container that owns the addresses of several edges; `origin` is the host behind them."""

    name: str
    container: str
    network: str
    origin: str
    addresses: list[str]
    addresses6: list[str]

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def named(name: str) -> Edge:
    """The running edges of that name; TestbedError where there are none."""
    container = hosts.container_name(name)
    found = podman.inspect(container)
    labels = found["Config"]["Labels"] if found else {}
    if not found or labels.get(LABEL) != "edge" or not found["State"]["Running"]:
        raise TestbedError(f"there is no edge {name}; `testbed edge {name} --to HOST` makes it")
    network = podman.network(labels[f"{LABEL}.network"], create=False)
    assert network is not None
    first, count = int(labels[f"{LABEL}.number"]), int(labels[f"{LABEL}.count"])
    pairs = [hosts.addresses(network, number) for number in range(first, first + count)]
    return Edge(
        name=name,
        container=container,
        network=network.name,
        origin=labels[f"{LABEL}.origin"],
        addresses=[address for address, _ in pairs],
        addresses6=[address6 for _, address6 in pairs if address6],
    )


def config(edge: Edge) -> str:
    """nginx's configuration for these edges."""
    servers = []
    for number, address in enumerate(edge.addresses):
        listen = f"listen {address}:80;"
        if edge.addresses6:
            listen += f" listen [{edge.addresses6[number]}]:80;"
        servers.append(
            _SERVER.format(number=number, origin=edge.origin, listen=listen, address=address)
        )
    return _HTTP.format(servers="".join(servers))


def up(name: str, *, to: str, count: int = 1) -> Edge:
    """`count` edges in front of port 80 of the host `to`, each with an address of each kind.

    They append who asked to X-Forwarded-For, whatever was in it, and keep connections to the host
    open. Made anew each time, since the host may have a new address. Raises TestbedError.
    """
    if not 1 <= count <= len(clients.CLIENT_NUMBERS):
        raise TestbedError(f"{count} edges: give 1 to {len(clients.CLIENT_NUMBERS)}")
    host = hosts.named(to)
    container = hosts.container_name(name)
    image = images.web_image(SUITE, WEB)
    found = podman.inspect(host.container)
    assert found is not None
    network = podman.network(found["Config"]["Labels"][f"{LABEL}.network"], create=False)
    assert network is not None
    labels = {
        LABEL: "edge",
        f"{LABEL}.image": image,
        f"{LABEL}.network": network.name,
        f"{LABEL}.count": str(count),
        f"{LABEL}.origin": host.address,
    }
    with locked(f"host-{name}"):
        before = podman.inspect(container)
        if before and before["Config"]["Labels"].get(LABEL) != "edge":
            raise TestbedError(f"container {container} exists and is no edge; take another name")
        if before:
            podman.podman("rm", "--force", "--time", "0", container)
        first = clients.create(container, name, network, count, labels, image)
        podman.podman("start", container)
        clients.add_addresses(container, network, range(first + 1, first + count))
        edge = named(name)
        podman.execute(container, ["tee", CONFIG], stdin=config(edge))
        podman.execute(container, ["nginx", "-c", CONFIG])
    return edge
