# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Proves that fail2ban's bans work: one address is banned, seen where the ban has to be, and freed.

The status of a jail proves nothing: it counts bans also where no packet filter takes them.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.wpward.wordpress.plugins.module_utils.journal_command import (
    complaint,
    run_command,
)

Run = Callable[[Sequence[str]], Mapping[str, Any]]
Jail = Mapping[str, Any]

EDITORS = "wpward-editor"
"""The jail whose "bans" exempt an address from the others."""
_AT_ONCE = 200

PACKET = "packet"
# How the host's packet filter shows what it refuses. fail2ban keeps a set or chain per jail.
_LISTINGS = {
    "iptables": (["iptables", "-S", "f2b-{jail}"],),
    "firewalld": (["firewall-cmd", "--list-rich-rules"],),
    "ufw": (["ufw", "status"],),
    "csf": (["csf", "-t"],),
}
_NFT = (["nft", "list", "set", "inet", "f2b-table", "addr-set-{jail}"],)
_ASK_FOR_LOGS = 'for jail; do echo "get $jail logpath"; done | fail2ban-client -i'
_PROMPT = "fail2ban> "
_SECONDS = 10.0
_PAUSE = 0.3


def prove(
    jails: Sequence[Jail],
    layer: str,
    manager: str,
    address: str,
    directory: str,
    run: Run = run_command,
    seconds: float = _SECONDS,
) -> str:
    """What does not hold, in one sentence with what to do; empty where bans work.

    address: nobody's, banned and freed in the first jail. directory: where the web server looks for
    bans of layer http. seconds: how long fail2ban may take for each step.
    """
    problem = _jails_problem(jails, run)
    if problem:
        return problem
    jail = jails[0]["name"]

    def banned() -> bool:
        return is_banned(address, jail, layer, manager, directory, run)

    try:
        done = run(["fail2ban-client", "set", jail, "banip", address])
        if done["rc"] != 0:
            return f"A test ban cannot be made: {complaint(dict(done))}."
        if not _becomes(True, banned, seconds):
            return (
                f"The jail {jail} says that it has banned {address}, but {_where(layer, manager)} "
                "does not know of it; see /var/log/fail2ban.log for what the action said."
            )
    finally:
        done = run(["fail2ban-client", "set", jail, "unbanip", address])
    if done["rc"] != 0 or not _becomes(False, banned, seconds):
        return f"The test ban of {address} in the jail {jail} cannot be lifted again."
    return ""


def exempt_editors(addresses: Sequence[str], run: Run = run_command) -> str:
    """Let the jail of editors exempt addresses; what does not hold, in one sentence."""
    for begin in range(0, len(addresses), _AT_ONCE):
        some = addresses[begin : begin + _AT_ONCE]
        done = run(["fail2ban-client", "set", EDITORS, "banip", *some])
        if done["rc"] != 0:
            return (
                f"The jail {EDITORS} does not exempt {some[0]}, who works in the administration of "
                f"a site here: {complaint(dict(done))}."
            )
    return ""


def is_banned(
    address: str, jail: str, layer: str, manager: str, directory: str, run: Run = run_command
) -> bool:
    """Whether the kernel or the web server really refuses an address because of a jail."""
    if layer != PACKET:
        flags = Path(directory, "banned", address), Path(directory, "jails", jail, address)
        return all(flag.exists() for flag in flags)
    whole = re.compile(rf"(?<![\w.:]){re.escape(address)}(?![\w.:])")
    listings = _LISTINGS.get(manager, _NFT)
    return any(
        whole.search(run([word.format(jail=jail) for word in argv])["stdout"]) for argv in listings
    )


def _becomes(wanted: bool, banned: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while banned() is not wanted:
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _where(layer: str, manager: str) -> str:
    if layer != PACKET:
        return "the web server"
    return f"the packet filter ({manager or 'nftables'})"


def _jails_problem(jails: Sequence[Jail], run: Run) -> str:
    ping = run(["fail2ban-client", "ping"])
    if ping["rc"] != 0:
        return f"fail2ban does not answer: {complaint(dict(ping))}."
    logs = jail_logs([jail["name"] for jail in jails], run)
    for jail in jails:
        read = logs.get(jail["name"])
        if read is None:
            return f"The jail {jail['name']} does not run."
        missing = [path for path in jail.get("logs") or () if path not in read]
        if missing:
            return f"The jail {jail['name']} does not read {', '.join(missing)}."
    return ""


def jail_logs(jails: Sequence[str], run: Run = run_command) -> dict[str, list[str]]:
    """The files that each jail reads; a jail that does not run is left out.

    One start of fail2ban's client for all: each costs a third of a second on a busy host.
    """
    said = run(["sh", "-c", _ASK_FOR_LOGS, "ask", *jails])["stdout"]
    answers = said.split(_PROMPT)[1:]
    return {
        jail: re.findall(r"^[|`]- (.+)$", answer, re.MULTILINE)
        for jail, answer in zip(jails, answers)
        if "does not exist" not in answer
    }
