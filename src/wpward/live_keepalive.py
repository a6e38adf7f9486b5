# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A connection that is cut without a word has to end some time, whatever ~/.ssh/config says.

Without it ssh waits for a host's answer for ever where the network is gone: no packet is under way
whose loss it could see.
"""

from __future__ import annotations

import configparser
import os
import stat
from collections.abc import Mapping
from pathlib import Path

# Three of them unanswered end it, unless ServerAliveCountMax says otherwise: a host that is
# starving has three minutes to answer one. Behind what the inventory says, which ssh takes first.
_OPTION = "-o ServerAliveInterval=60"
_PROGRAMS = ("ssh", "sftp", "scp")


def keepalive(variables: Mapping[str, str]) -> dict[str, str]:
    """What ansible-playbook's environment needs for it, besides ``variables``, the caller's own."""
    configured = _configured(variables)
    added = {}
    for program in _PROGRAMS:
        key = f"{program}_extra_args"
        name = f"ANSIBLE_{key.upper()}"
        theirs = variables.get(name, configured.get(key, ""))
        if "ServerAliveInterval" not in theirs:
            added[name] = f"{theirs} {_OPTION}".strip()
    return added


def _configured(variables: Mapping[str, str]) -> Mapping[str, str]:
    """The section ``ssh_connection`` of the file that Ansible takes its settings from."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    path = next(filter(_readable, _places(variables)), None)
    try:
        if path:
            parser.read_string(path.read_text(encoding="utf-8"))
        return parser["ssh_connection"]
    except (OSError, ValueError, KeyError, configparser.Error):
        # Where the file cannot be read, ansible-playbook says so better.
        return {}


def _places(variables: Mapping[str, str]) -> list[Path]:
    """Where Ansible looks for it, in its order."""
    places = [Path.home() / ".ansible.cfg", Path("/etc/ansible/ansible.cfg")]
    # Ansible takes nothing from a directory that everybody can write to.
    if not Path.cwd().stat().st_mode & stat.S_IWOTH:
        places.insert(0, Path.cwd() / "ansible.cfg")
    if "ANSIBLE_CONFIG" in variables:
        named = Path(os.path.expandvars(variables["ANSIBLE_CONFIG"])).expanduser()
        places.insert(0, named / "ansible.cfg" if named.is_dir() else named)
    return places


def _readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)
