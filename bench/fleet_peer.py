# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The peer of bench/fleet.py: the published roles nginx and fail2ban of DebOps' collection.

They come from the Python Package Index, into a virtual environment of their own in the cache, with
the ansible-core that wpward runs with. What they are asked for here is the nearest to harden.yml
that they have: nginx's configuration and the site from their templates, xmlrpc.php refused by one
location, one jail for whoever keeps asking. Unlike harden.yml they do not read the host's logs,
keep the site's own configuration, prove anything by requests, or put anything back. The roles that
DebOps' own playbooks apply before these (keyring, apt_preferences, ferm, python) are left out, as
are nginx's sites besides this one: all in the peer's favour.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule"))

from testbed.shell import cache_dir, locked  # noqa: E402

DEBOPS = "3.3.2"
# The collections whose filters and modules DebOps' roles use.
COMMUNITY = "12.3.0"
NAME = f"debops {DEBOPS}"

PLAYBOOK: list[dict[str, Any]] = [
    {
        "name": "Harden the site and ban",
        "hosts": "all",
        "become": True,
        "serial": "{{ batch }}",
        "roles": [{"role": "debops.debops.nginx"}, {"role": "debops.debops.fail2ban"}],
        "vars": {
            "nginx__flavor_packages": ["nginx"],
            "nginx_listen_port": ["80", "[::]:80"],
            "nginx_manage_ipv6only": False,
            "nginx_acme": False,
            "nginx_status_localhost": ["127.0.0.1/32"],
            "nginx__default_servers": [],
            "nginx__internal_servers": [],
            "nginx__upstreams": [{"name": "wordpress", "server": "unix:/run/php/php-fpm.sock"}],
            "nginx__servers": [
                {
                    "name": ["blog.example"],
                    "type": "php",
                    "root": "/var/www/blog",
                    "webroot_create": False,
                    "index": "index.php",
                    "php_upstream": "wordpress",
                    "location": {
                        "/": "try_files $uri $uri/ /index.php?$args;",
                        "= /xmlrpc.php": "deny all;",
                    },
                }
            ],
            "fail2ban_banaction": "nftables-multiport",
            "fail2ban_filters": [
                {
                    "name": "wordpress-xmlrpc",
                    "failregex": r'^<HOST> [^"]*"POST /+xmlrpc\.php[^"]*" 403 ',
                }
            ],
            "fail2ban_jails": [
                # Debian turns it on, and without rsyslog fail2ban does not start with it.
                {"name": "sshd", "enabled": "false"},
                {
                    "name": "wordpress-xmlrpc",
                    "enabled": "true",
                    "port": "http,https",
                    "filter": "wordpress-xmlrpc",
                    "logpath": "/var/log/nginx/*access.log",
                },
            ],
        },
    }
]


def environment() -> dict[str, str]:
    """What ansible-playbook needs besides, for these roles."""
    (data,) = _venv().glob("lib/python3*/site-packages/debops/_data/ansible/collections")
    return {
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'playbooks' / 'collections'}:{data}",
        # Some conditions of theirs are strings, which ansible-core 2.19 refuses otherwise.
        "ANSIBLE_ALLOW_BROKEN_CONDITIONALS": "true",
    }


def prepare() -> Path:
    """The peer's ansible-playbook; installed at its first use, which takes a minute or two."""
    venv = _venv()
    with locked("bench-fleet-peer"):
        if not (venv / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
            core = f"ansible-core=={core_version()}"
            pip = [f"{venv}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
            own = (f"debops=={DEBOPS}", "netaddr==1.3.0", "passlib==1.7.4")
            subprocess.run([*pip, core, *own], check=True)
            # It asks for its own release of ansible-core.
            subprocess.run([*pip, "--no-deps", f"ansible=={COMMUNITY}"], check=True)
            (venv / "ready").touch()
    return venv / "bin" / "ansible-playbook"


def write_playbook(folder: Path) -> Path:
    path = folder / "peer.yml"
    path.write_text(json.dumps(PLAYBOOK))
    return path


def core_version() -> str:
    """The release of ansible-core that both sides run with."""
    return importlib.metadata.version("ansible-core")


def _venv() -> Path:
    cache: Path = cache_dir().parent
    return cache / "bench" / f"debops-{DEBOPS}-{COMMUNITY}-core-{core_version()}"
