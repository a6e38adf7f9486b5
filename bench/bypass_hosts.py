# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The columns of the matrix: test hosts, their virtual hosts, and how a block is put there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testbed import hosts, podman
from testbed.shell import say

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Column:
    """One way of serving WordPress: a virtual host of a test host.

    snippets: whether published snippets are tried on it, where they are on its host.
    """

    title: str
    port: int
    host: str
    snippets: bool = True


@dataclass(frozen=True)
class Bed:
    """A test host with its columns.

    prepare: shell that gives each site a rewrite rule of its own that leads to xmlrpc.php.
    reload: shell that tests the configuration and loads it.
    version: shell that prints the server's name and version.
    places: the files that a snippet for this place is written to. Snippets for other places are not
        tried here.
    open_places: shell that makes the virtual hosts read those files.
    stamp: the file, and its text, that marks every answer with a number.
    """

    web: str
    vhosts: tuple[str, ...]
    columns: tuple[Column, ...]
    prepare: str
    reload: str
    version: str
    open_places: str = ""
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stamp: tuple[str, str] = ("", "")

    @property
    def server(self) -> str:
        """Which server's snippets can be tried here."""
        return "nginx" if self.web == "nginx" else "httpd"


BLOG = (80, "blog.example")
PATHINFO = (8081, "pathinfo.example:8081")

_NGINX_VERSION = "nginx -v 2>&1 | sed 's#.*nginx/#nginx #'"

_NGINX_PREPARE = r"""
cd /etc/nginx/sites-available
sed -i 's#^    location / {#    location = /api/rpc { rewrite ^ /xmlrpc.php last; }\n&#' \
    blog pathinfo
"""

_NGINX_PLACES = r"""
cd /etc/nginx/sites-available
sed -i 's#^server {#&\n    include /etc/nginx/snippet-start;#
        s#^}#    include /etc/nginx/snippet-end;\n}#' blog pathinfo
"""

_HTTPD_PREPARE = r"""
sed -i 's#RewriteRule ^index#RewriteRule ^api/rpc$ xmlrpc.php [L]\n&#' {rules}
[ ! -e {pathinfo} ] || sed -i --follow-symlinks \
    's#MergeSlashes Off#&\n    RewriteEngine On\n    RewriteRule ^/api/rpc$ /xmlrpc.php [PT]#' \
    {pathinfo}
"""

_ENCODED = r"""
cat > /etc/apache2/sites-enabled/encoded.conf <<'END'
Listen 8082

<VirtualHost *:8082>
    ServerName blog.example
    DocumentRoot /var/www/blog
    AllowEncodedSlashes On

    <Directory /var/www/blog>
        AllowOverride All
    </Directory>
</VirtualHost>
END
"""

_HTTPD_PLACES = r"""
cd /etc/apache2/sites-enabled
for vhost in blog encoded pathinfo; do
    [ ! -e "$vhost.conf" ] || sed -i --follow-symlinks \
        's#^<VirtualHost .*#&\n    Include /etc/apache2/snippet-vhost#
         s#FallbackResource#AllowOverride All\n        &#' "$vhost.conf"
done
"""

_HTTPD_STAMP = 'Header always set X-Snippet "{number}"\n'
SITES = ("/var/www/blog", "/var/www/pathinfo")
MU_PLUGINS = tuple(f"{site}/wp-content/mu-plugins" for site in SITES)


def _version(program: str) -> str:
    return f"{program} -v | sed -n 's#.*Apache/\\([0-9.]*\\).*#httpd \\1#p'"


def _prepare(rules: str, pathinfo: str) -> str:
    """rules: the files of WordPress's own rewrite rules; pathinfo: the file of that vhost."""
    return _HTTPD_PREPARE.replace("{rules}", rules).replace("{pathinfo}", pathinfo)


def _debian(web: str, vhosts: tuple[str, ...], columns: tuple[Column, ...], more: str = "") -> Bed:
    return Bed(
        web=web,
        vhosts=vhosts,
        columns=columns,
        prepare=_prepare("/var/www/blog/.htaccess", "/etc/apache2/sites-enabled/pathinfo.conf")
        + more,
        reload="apache2ctl configtest && systemctl reload apache2",
        version=_version("apache2ctl"),
        open_places=_HTTPD_PLACES,
        places={
            "main": ("/etc/apache2/conf-enabled/zz-snippet.conf",),
            "vhost": ("/etc/apache2/snippet-vhost",),
            "htaccess": tuple(f"{site}/.htaccess" for site in SITES),
            "mu_plugin": MU_PLUGINS,
        },
        stamp=("/etc/apache2/conf-enabled/zz-stamp.conf", _HTTPD_STAMP),
    )


BEDS = (
    Bed(
        web="nginx",
        vhosts=("pathinfo",),
        columns=(Column(r"nginx, `\.php$`", *BLOG), Column("nginx, PATH_INFO", *PATHINFO)),
        prepare=_NGINX_PREPARE,
        reload="nginx -t -q && systemctl reload nginx",
        version=_NGINX_VERSION,
        open_places=_NGINX_PLACES,
        places={
            "http": ("/etc/nginx/conf.d/snippet.conf",),
            "server_start": ("/etc/nginx/snippet-start",),
            "server_end": ("/etc/nginx/snippet-end",),
            "mu_plugin": MU_PLUGINS,
        },
        stamp=("/etc/nginx/conf.d/stamp.conf", 'add_header X-Snippet "{number}" always;\n'),
    ),
    _debian(
        "httpd",
        ("pathinfo",),
        (
            Column("httpd, SetHandler", *BLOG),
            Column("httpd, ProxyPassMatch", *PATHINFO),
            Column("httpd, encoded slashes", 8082, "blog.example", snippets=False),
        ),
        more=_ENCODED,
    ),
    _debian("httpd-prefork", (), (Column("httpd, mod_php", *BLOG),)),
    Bed(
        web="httpd-rhel",
        vhosts=("pathinfo",),
        columns=(
            Column("RHEL, SetHandler", *BLOG),
            Column("RHEL, ProxyPassMatch", *PATHINFO),
        ),
        prepare=_prepare("/var/www/blog/.htaccess", "/etc/httpd/conf.d/pathinfo.conf"),
        reload="httpd -t && systemctl reload httpd",
        version=_version("httpd"),
    ),
    Bed(
        web="httpd-bitnami",
        vhosts=("pathinfo",),
        columns=(
            Column("Bitnami, SetHandler", *BLOG),
            Column("Bitnami, ProxyPassMatch", *PATHINFO, snippets=False),
        ),
        prepare=_prepare(
            "/opt/bitnami/apache/conf/vhosts/htaccess/wordpress-htaccess.conf",
            "/opt/bitnami/apache/conf/vhosts/pathinfo-vhost.conf",
        ),
        reload="cd /opt/bitnami/apache/bin && ./apachectl configtest && ./apachectl graceful",
        version=_version("/opt/bitnami/apache/bin/httpd"),
        # It reads none of them, which is what a block there has to show.
        places={
            "htaccess": ("/opt/bitnami/wordpress/.htaccess", "/opt/bitnami/pathinfo/.htaccess")
        },
        stamp=("/opt/bitnami/apache/conf/vhosts/zz-stamp.conf", _HTTPD_STAMP),
    ),
    Bed(
        web="mixed",
        vhosts=("direct",),
        columns=(
            Column("httpd behind nginx", *BLOG),
            Column("httpd past nginx", 8082, "second.example"),
        ),
        prepare=_prepare("/var/www/blog/.htaccess /var/www/second/.htaccess", "/nowhere"),
        reload="apache2ctl configtest && systemctl reload apache2",
        version=f"{_NGINX_VERSION}\n{_version('apache2ctl')}",
    ),
)

_VERSIONS = r"""
php=$(command -v php || echo /opt/bitnami/php/bin/php)
"$php" -r 'echo "PHP ", PHP_VERSION, "\n";'
find / -xdev -path '*/wp-includes/version.php' -exec sed -n 's/^$wp_version = /WordPress /p' {} + |
    head -n 1 | tr -d "';"
"""


def run(host: hosts.Host, script: str) -> str:
    """What a shell script prints on the host; TestbedError where a step of it fails."""
    printed: str = podman.execute(host.container, ["sh", "-c", f"set -e\n{script}"])
    return printed


def up(bed: Bed) -> hosts.Host:
    """A fresh host of that bed, its sites with a rewrite rule of their own."""
    host = hosts.up(f"mx-{bed.web}", web=bed.web, vhosts=bed.vhosts, reset=True)
    run(host, bed.prepare)
    run(host, bed.reload)
    return host


def down(bed: Bed) -> None:
    hosts.down([f"mx-{bed.web}"])


def version(bed: Bed, host: hosts.Host) -> str:
    """The versions of server, PHP and WordPress in one clause."""
    found = run(host, f"{bed.version}\n{_VERSIONS}")
    return ", ".join(found.splitlines())


def harden(host: hosts.Host) -> None:
    """Run harden.yml; what it says goes to standard error where it fails."""
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", host.inventory),
            *("-e", json.dumps({"report_save": False, "wpward_roles": ["endpoints", "guard"]})),
            str(ROOT / "playbooks" / "harden.yml"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        say(f"harden.yml failed on {host.name}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")


def without_guard(host: hosts.Host) -> None:
    """Take the guard plugin away, so that the web server stands alone."""
    run(host, "find / -xdev -path '*/mu-plugins/wpward-guard.php' -delete")
