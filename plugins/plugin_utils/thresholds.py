# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the plan draws its lines: every number that a judgement depends on, with its reason.

The defaults were chosen on labelled traffic (tests/unit/test_judgement.py): for each of them there
is a case that is judged wrongly if it is moved far up, and one if it is moved far down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.wpward.wordpress.plugins.plugin_utils.finding import PlanError


@dataclass(frozen=True)
class Threshold:
    """One line.

    name: the key in the plan's option. unit: what the number counts. why: why the default is what
    it is. share: whether it is a share, which lies between 0 and 1.
    """

    name: str
    default: float
    unit: str
    why: str
    share: bool = False


THRESHOLDS = (
    Threshold(
        "flood_per_minute",
        60,
        "requests a minute",
        "One XML-RPC request costs about 20 ms of CPU; one a second, kept up, is more than any "
        "editor or app sends, and less than a third of the slowest flood of the incidents.",
    ),
    Threshold(
        "flood_minutes",
        5,
        "minutes",
        "An app that synchronises is done within two or three minutes.",
    ),
    Threshold(
        "peak_per_minute",
        240,
        "requests in one minute",
        "A flood may be over before it has lasted; no app sends four requests a second.",
    ),
    Threshold(
        "rise_per_minute",
        10,
        "requests a minute",
        "Passwords are also guessed slowly enough to stay below a flood; an editor at work sends "
        "a few requests a minute.",
    ),
    Threshold(
        "rise_factor",
        5,
        "times the site's own level",
        "A site with an integration of its own has a level; its evening peak is not an attack.",
    ),
    Threshold(
        "rise_minutes",
        20,
        "minutes",
        "An app that uploads pictures is busy for ten minutes.",
    ),
    Threshold(
        "slow_per_hour",
        20,
        "requests an hour",
        "One request every three minutes; below that, guessing passwords takes years and costs "
        "the server nothing.",
    ),
    Threshold(
        "slow_hours",
        6,
        "hours",
        "The pingbacks that follow a popular post ebb away within three or four hours.",
    ),
    Threshold(
        "slow_spread",
        0.3,
        "addresses per request",
        "Whoever has a use for XML-RPC comes back with the same address; an attack that hides "
        "from counts per address changes it nearly every time.",
        share=True,
    ),
    Threshold(
        "publisher_per_minute",
        60,
        "requests in one minute",
        "A user agent proves nothing, so it is believed only while the traffic is as little as "
        "such a client sends.",
    ),
    Threshold(
        "publisher_per_hour",
        120,
        "requests an hour",
        "Kept up for slow_hours hours: a newsroom with telephones stays below, and below it an "
        "attacker can hide.",
    ),
    Threshold(
        "known_per_minute",
        1200,
        "requests in one minute",
        "Jetpack sends some hundred a minute when it synchronises. More than this in the name of "
        "published addresses means that somebody forges them, as a web server that accepts "
        "X-Forwarded-For from everybody allows.",
    ),
    Threshold(
        "publisher_hits_per_address",
        3,
        "requests per address",
        "An app or an editor asks several things in one session; changing addresses that ask once "
        "each are none, whatever they call themselves.",
    ),
    Threshold(
        "false_bot_posts",
        30,
        "requests",
        "No search engine posts to XML-RPC or the login page; a few posts in a search engine's "
        "name are the noise that every site gets.",
    ),
    Threshold(
        "failed_logins",
        0.8,
        "share of the posted logins",
        "People fail now and then; a list of passwords fails nearly always. A successful login is "
        "answered 302.",
        share=True,
    ),
    Threshold(
        "refused_share",
        0.95,
        "share of the requests",
        "What is refused costs little; a rule that lets one spelling through is not a rule.",
        share=True,
    ),
    Threshold(
        "edge_share",
        0.5,
        "share of the requests",
        "Where most of a log's addresses belong to a delivery network or a proxy, the log shows "
        "those instead of the clients.",
        share=True,
    ),
    Threshold(
        "proof_requests",
        600,
        "requests",
        "This collection proves what it does with some 60 requests per endpoint and way to reach "
        "the site, from the host itself. That many in a few minutes, from loopback or a private "
        "network, need no other reason; more are clients behind a proxy.",
    ),
    Threshold(
        "enumeration_per_minute",
        5,
        "requests in one minute",
        "Scanners try user 1, 2, 3 and on in one go; a visitor follows one link.",
    ),
    Threshold(
        "names_told",
        10,
        "answered requests",
        "The block editor asks for the list of authors a few times a day, and the log cannot tell "
        "who is logged in: fewer than this are no sign that an attacker was told.",
    ),
    Threshold(
        "over_after",
        3600,
        "seconds",
        "An attack that was last seen longer ago is over; most pause for minutes, not for hours.",
    ),
    Threshold(
        "fpm_reached",
        3,
        "log lines",
        "php-fpm notes when it has no worker left to start, and again only after it has started "
        "some; once or twice, and no attack, is a burst of visitors.",
    ),
    Threshold(
        "upstream_errors",
        20,
        "log lines",
        "Every server has the odd request that PHP does not finish in time.",
    ),
    Threshold(
        "memory_pressure",
        10,
        "per cent of the last minute",
        "The share of the time in which some process waited for memory; a swap that is full of "
        "what nobody needs makes no pressure.",
    ),
    Threshold(
        "memory_available",
        0.05,
        "share of the memory",
        "Where the kernel tells no pressure: hardly any memory left while swap is in use.",
        share=True,
    ),
    Threshold(
        "disk_available",
        0.05,
        "share of the disk",
        "Below that, with less than a gibibyte free, a log or the database stops writing soon.",
        share=True,
    ),
    Threshold(
        "memory_reserve",
        0.25,
        "share of the memory",
        "What web server workers have to leave to the database and the system.",
        share=True,
    ),
    Threshold(
        "open_files",
        0.9,
        "share of the limit",
        "Above that, the next flood ends in 'Too many open files'.",
        share=True,
    ),
    Threshold(
        "statement_seconds",
        30,
        "seconds",
        "A WordPress statement takes milliseconds; one that changes rows for half a minute holds "
        "up the others.",
    ),
    Threshold(
        "table_rows",
        200000,
        "rows",
        "A site's own use fills a plugin's log with some ten thousand rows; hundreds of thousands "
        "are what an attack leaves.",
    ),
    Threshold(
        "table_bytes",
        128 << 20,
        "bytes",
        "The server's estimate leaves out rows that are marked as deleted: late in a purge it told "
        "24,407 of 500,000 rows while the table still had 187 MiB (MariaDB 10.11.19). At 400 to "
        "800 bytes a row this is as much as table_rows.",
    ),
    Threshold(
        "unindexed_rows",
        50000,
        "rows",
        "Each purge reads the whole table where its column has no index; a small table is read in "
        "no time.",
    ),
    Threshold(
        "unindexed_bytes",
        32 << 20,
        "bytes",
        "The same by size, since rows that are marked as deleted are read as well.",
    ),
    Threshold(
        "busiest_cores",
        0.5,
        "CPU cores",
        "On an idle host any process is the busiest, with 2 per cent; a database that reads a "
        "whole table takes a core, and one that serves pages is far below half of one.",
    ),
    Threshold(
        "recorder_interval",
        300,
        "seconds",
        "A host that runs out of memory dies within minutes: of what led to it a recorder that "
        "writes every ten minutes has one sample or none.",
    ),
    Threshold(
        "logs_kept",
        28,
        "days",
        "What an attack left behind is often noticed weeks later. Distributions keep 14 days of "
        "daily logs (Debian) or four weekly ones (RHEL).",
    ),
)


def complete_thresholds(given: Any) -> dict[str, float]:
    """Every threshold by its name: the operator's numbers over the defaults.

    Raises PlanError for an unknown name, and for what is not a positive number or, where a share
    is wanted, more than 1.
    """
    if not isinstance(given, Mapping):
        raise PlanError(
            f"The thresholds must be a dictionary such as {{flood_per_minute: 60}}, not {given!r}."
        )
    known = {one.name: one for one in THRESHOLDS}
    for name, value in given.items():
        if name not in known:
            raise PlanError(
                f"The thresholds name an unknown one, {name!r}; known are: {', '.join(known)}."
            )
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # An infinite number or none at all would switch a judgement off unseen.
        if not number or not 0 < value < 1e12 or (known[name].share and value > 1):
            wanted = "between 0 and 1" if known[name].share else "above 0"
            raise PlanError(
                f"The threshold {name} is {value!r}; write a number {wanted} ({known[name].unit})."
            )
    return {one.name: given.get(one.name, one.default) for one in THRESHOLDS}
