# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fixed facts of the test hosts: users, passwords, sites, names.

The image build gets them as JSON and the tests import them, so they are written once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

SUITES = ("bullseye", "bookworm", "trixie")
DEFAULT_NETWORK = "wpward-test"
IMAGE_PREFIX = "localhost/wpward-test"
CONTAINER_PREFIX = "wpward-"
LABEL = "wpward.testbed"

ROOT_USER = "root"
SUDO_USER = "deploy"
PLAIN_USER = "visitor"


@dataclass(frozen=True)
class User:
    """A WordPress user of every test site; without `display_name` WordPress shows the login."""

    login: str
    password: str
    email: str
    role: str
    display_name: str | None = None
    post: str | None = None
    comments: bool = False
    application_password: str | None = None


@dataclass(frozen=True)
class Site:
    """A WordPress of its own on the test host, whether or not a vhost serves it."""

    docroot: str
    prefix: str
    home: str


ALICE = User(
    login="alice",
    password="alice-correct-horse",
    email="alice@blog.example",
    role="administrator",
    display_name="Zoe Display",
    post="first",
    comments=True,
    application_password="aliceApplicationPass0001",
)
BOB = User(
    login="bob",
    password="bob-battery-staple",
    email="bob@blog.example",
    role="author",
    post="second",
)
CARL = User(login="carl", password="carl-reads-only", email="carl@blog.example", role="subscriber")
DAVE = User(login="dave", password="dave-edits-others", email="dave@blog.example", role="editor")
USERS = (ALICE, BOB, CARL, DAVE)

SITE_TITLE = "Test blog"
SITES = (
    Site("/var/www/blog", "wp_", "http://blog.example"),
    Site("/var/www/second", "second_", "http://second.example"),
    Site("/var/www/sub/blog", "sub_", "http://sub.example/blog"),
    Site("/var/www/pathinfo", "pathinfo_", "http://pathinfo.example:8081"),
)


@dataclass(frozen=True)
class Program:
    """A web server program of a host and where its virtual hosts are.

    `folder` has their files in this test bed, `available` in the host, and `enabled` is where one
    that is on has to be: a link there, or a copy. `{}` stands for its name. `more` is what its file
    is called in the folders of `more/`, where it has any.
    """

    folder: str
    suffix: str
    available: str
    enabled: str
    check: tuple[str, ...]
    reload: tuple[str, ...]
    linked: bool = True
    more: str = ""


@dataclass(frozen=True)
class WebServer:
    """How a host serves the sites; its image is made from that of `parent`, else from the base.

    The build gets the folder `vhosts` of this test bed.
    """

    parent: str | None
    vhosts: str
    programs: tuple[Program, ...]


_NGINX = Program(
    folder="nginx",
    suffix="",
    available="/etc/nginx/sites-available/{}",
    enabled="/etc/nginx/sites-enabled/{}",
    check=("nginx", "-t", "-q"),
    reload=("systemctl", "reload", "nginx"),
    more="nginx",
)
_HTTPD = Program(
    folder="httpd",
    suffix=".conf",
    available="/etc/apache2/sites-available/{}.conf",
    enabled="/etc/apache2/sites-enabled/{}.conf",
    check=("apache2ctl", "configtest"),
    reload=("systemctl", "reload", "apache2"),
    more="httpd.conf",
)
_HTTPD_RHEL = replace(
    _HTTPD,
    available="/usr/local/lib/testbed/vhosts/{}.conf",
    enabled="/etc/httpd/conf.d/{}.conf",
    check=("httpd", "-t"),
    reload=("systemctl", "reload", "httpd"),
    linked=False,
    more="",
)
_HTTPD_BITNAMI = replace(
    _HTTPD_RHEL,
    enabled="/opt/bitnami/apache/conf/vhosts/{}-vhost.conf",
    check=("/opt/bitnami/apache/bin/apachectl", "configtest"),
    reload=("/opt/bitnami/apache/bin/apachectl", "graceful"),
)
WEB_SERVERS = {
    "nginx": WebServer(None, "nginx", (_NGINX,)),
    "httpd": WebServer("nginx", "httpd", (_HTTPD,)),
    "httpd-prefork": WebServer("httpd", "httpd", (_HTTPD,)),
    "httpd-rhel": WebServer("httpd", "httpd", (_HTTPD_RHEL,)),
    "httpd-bitnami": WebServer("httpd", "httpd", (_HTTPD_BITNAMI,)),
    # The server behind first: the one in front is asked whether all is well.
    "mixed": WebServer(
        "httpd",
        "mixed",
        (
            replace(_HTTPD, folder="mixed/httpd", more=""),
            replace(_NGINX, folder="mixed/nginx", more=""),
        ),
    ),
}

DEFAULT_VHOST = "blog"
VHOSTS = ("second", "tls", "sub", "pathinfo", "static", "twin")
MORE_VHOSTS = (
    "direct", "network", "subdomains", "moved", "pair", "v6", "socket", "awkward",
)  # fmt: skip
"""Not known to every web server."""


def site_data() -> dict[str, Any]:
    """What the image build needs of this module, as plain data."""
    return {
        "title": SITE_TITLE,
        "sites": [asdict(site) for site in SITES],
        "users": [
            {key: value for key, value in asdict(user).items() if value is not None}
            for user in USERS
        ],
    }
