# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packet filter the host uses: a ban must go through that one, and never through a second
one beside it.

What fail2ban and this collection put into the filter says nothing of the host and is left out, so
that the answer is the same before and after.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, NamedTuple, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.files import (
    is_file,
    path_text,
    read_regular,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.problems import Problems
from ansible_collections.wpward.wordpress.plugins.module_utils.timed_command import ask, program

FIREWALLD, UFW, CSF, NFTABLES, IPTABLES = "firewalld", "ufw", "csf", "nftables", "iptables"

UNKNOWN = {"manager": None, "nft": False, "iptables": False}
"""Where nobody could be asked."""
UFW_CONF = "/etc/ufw/ufw.conf"
CSF_CONF = "/etc/csf/csf.conf"
CSF_DISABLED = "/etc/csf/csf.disable"

_UFW_ON = re.compile(r"^[ \t]*ENABLED[ \t]*=[ \t]*[\"']?yes\b", re.MULTILINE | re.IGNORECASE)
_OURS = ("f2b-", "wpward")
_TABLE = re.compile(r"table (?P<family>\S+) (?P<name>\S+) \{")
_CHAIN = re.compile(r"\s+chain (?P<name>\S+) \{")
_IPTABLES_FAMILIES = frozenset({"ip", "ip6", "arp", "bridge"})
_IPTABLES_TABLES = frozenset({"filter", "nat", "mangle", "raw", "security", "broute"})
_IPTABLES_HOOKS = frozenset({"INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING"})
_POLICY = re.compile(r":\S+ (?:DROP|REJECT)\b")
_LEGACY = "iptables-legacy tables present"


class _Table(NamedTuple):
    family: str
    name: str
    base_chains: list[str]

    @property
    def is_iptables(self) -> bool:
        """iptables-nft keeps its rules in tables of these names, and leaves them there empty."""
        return (
            self.family in _IPTABLES_FAMILIES
            and self.name in _IPTABLES_TABLES
            and _IPTABLES_HOOKS.issuperset(self.base_chains)
        )


def _ufw_enabled() -> bool:
    # The file outlives the package.
    if program("ufw") is None:
        return False
    try:
        return _UFW_ON.search(path_text(read_regular(UFW_CONF, 65536))) is not None
    except OSError:
        return False


def _csf_enabled() -> bool:
    return is_file(CSF_CONF) and not is_file(CSF_DISABLED)


def _firewalld_runs(deadline: float) -> bool:
    if program("firewalld") is None:
        return False
    _code, stdout, _stderr = ask(["systemctl", "is-active", "firewalld.service"], deadline)
    return stdout.strip() in (b"active", b"reloading")


def _tables(listing: str) -> Iterator[_Table]:
    """The tables of ``nft list chains``."""
    table: _Table | None = None
    chain = ""
    for line in listing.splitlines():
        opened = _TABLE.match(line)
        inner = _CHAIN.match(line)
        if opened:
            table = _Table(opened.group("family"), opened.group("name"), [])
            yield table
        elif inner:
            chain = inner.group("name")
        elif table and line.lstrip().startswith("type "):
            table.base_chains.append(chain)


def nft_in_use(listing: str) -> bool:
    """Whether ``nft list chains`` shows a table that neither iptables nor fail2ban made."""
    # All of them, because a table's chains come after its name.
    tables = list(_tables(listing))
    return any(not table.name.startswith(_OURS) and not table.is_iptables for table in tables)


def iptables_in_use(listing: str) -> bool:
    """Whether ``iptables-save`` shows a rule that is not fail2ban's, or a chain that refuses."""
    for line in listing.splitlines():
        # In a rule of theirs it may be the chain, the target, a set or the comment.
        ours = any(word.strip('"').startswith(_OURS) for word in line.split())
        if _POLICY.match(line) or (line.startswith("-A ") and not ours):
            return True
    return False


def _rules_of_nft(nft: str, deadline: float, problems: Problems) -> bool:
    # Chains only: a set of bans can have a hundred thousand elements.
    code, stdout, stderr = ask([nft, "list", "chains"], deadline)
    if code != 0:
        _unread(problems, "nft list chains", stderr)
    return nft_in_use(stdout.decode("utf-8", "replace"))


def _rules_of_iptables(deadline: float, problems: Problems) -> bool:
    saved = _saved(("iptables-save", "ip6tables-save"), deadline, problems)
    if iptables_in_use(saved):
        return True
    # A legacy table stays in the kernel when its last rule is gone.
    return _LEGACY in saved and iptables_in_use(
        _saved(("iptables-legacy-save", "ip6tables-legacy-save"), deadline, problems)
    )


def _saved(names: Sequence[str], deadline: float, problems: Problems) -> str:
    """What the programs among these that exist print, warnings first."""
    printed = b""
    for name in names:
        save = program(name)
        if save is not None:
            code, stdout, stderr = ask([save], deadline)
            if code != 0:
                _unread(problems, name, stderr)
            printed += stderr + b"\n" + stdout + b"\n"
    return printed.decode("utf-8", "replace")


def _unread(problems: Problems, command: str, stderr: bytes) -> None:
    said = " ".join(stderr.decode("utf-8", "replace").split())[:200]
    problems.add(
        "packet_filter_unread",
        f"{command} does not tell the packet filter's rules ({said.rstrip('.') or 'no reason'}); "
        "which tool the host uses is told by what is installed.",
    )


def describe(deadline: float, problems: Problems) -> dict[str, Any]:
    """The evidence's ``firewall``. ``deadline``: ``time.monotonic()``. Reads only: the kernel is
    asked for the chains that there are, and nothing is listed that would have to be made first."""
    nft = program("nft")
    iptables = program("iptables")
    manager: str | None = None
    if _firewalld_runs(deadline):
        manager = FIREWALLD
    elif _ufw_enabled():
        manager = UFW
    elif _csf_enabled():
        manager = CSF
    elif nft is not None and _rules_of_nft(nft, deadline, problems):
        manager = NFTABLES
    elif iptables is not None and _rules_of_iptables(deadline, problems):
        manager = IPTABLES
    elif nft is not None:
        manager = NFTABLES
    elif iptables is not None:
        manager = IPTABLES
    return {"manager": manager, "nft": nft is not None, "iptables": iptables is not None}
