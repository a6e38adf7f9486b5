# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An external editor: publishes over XML-RPC, as Open Live Writer or a mobile app does."""

from __future__ import annotations

import http.client
import xmlrpc.client
from typing import Any

from testbed.constants import ALICE

SITE = "blog.example"
TIMEOUT = 30


class _ToAddress(xmlrpc.client.Transport):
    """Connects to the host's address and asks for the site by its name."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, 80, timeout=TIMEOUT)


def publish(address: str, title: str) -> str:
    """Publish a post as alice and return its number.

    Raises xmlrpc.client.ProtocolError where the server refuses XML-RPC.
    """
    server = xmlrpc.client.ServerProxy(f"http://{SITE}/xmlrpc.php", transport=_ToAddress(address))
    post = {"post_title": title, "post_content": "From an editor.", "post_status": "publish"}
    return str(server.wp.newPost(1, ALICE.login, ALICE.password, post))


def read(address: str, number: str) -> str:
    """The page of a post, as a visitor gets it."""
    target = f"/?p={number}"
    connection = http.client.HTTPConnection(address, 80, timeout=TIMEOUT)
    for _ in range(3):
        connection.request("GET", target, headers={"Host": SITE})
        answer = connection.getresponse()
        page = answer.read().decode("utf-8", "replace")
        location = answer.getheader("Location")
        if not location:
            return page
        target = "/" + location.split("/", 3)[3]
    return ""
