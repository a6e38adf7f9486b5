# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the plan is made of: findings, their order, and the words they are written in."""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CRITICAL, HIGH, MEDIUM, LOW = "critical", "high", "medium", "low"
SEVERITIES = (CRITICAL, HIGH, MEDIUM, LOW)

QUIET, PROBING, AFTERMATH, ATTACK = "quiet", "probing", "aftermath", "attack"
VERDICTS = (QUIET, PROBING, AFTERMATH, ATTACK)
"""From the best to the worst."""

_LONGEST_QUOTE = 160
_LONGEST_SENTENCE = 600
"""More than any sentence of this collection has, with a name in it that is as long as a quote."""


class PlanError(ValueError):
    """What the plan was asked to work from makes no sense; the text says what and what to do."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong on a host.

    id: its entry in the catalogue of findings. site: the site's id; None where it concerns the
    whole host. message: one sentence with the numbers. rests_on: where in the evidence it was seen.
    calls: whether its remedies are called for here; a catalogue's entry says which ones.
    """

    id: str
    severity: str
    site: str | None
    verdict: str
    title: str
    message: str
    rests_on: tuple[str, ...] = ()
    calls: bool = True

    def describe(self) -> dict[str, Any]:
        """As it stands in the plan."""
        return {
            "id": self.id,
            "severity": self.severity,
            "site": self.site,
            "verdict": self.verdict,
            "title": self.title,
            "message": self.message,
            "rests_on": list(self.rests_on),
        }


def worst(verdicts: Iterable[str]) -> str:
    """The worst of the verdicts; quiet where there is none."""
    return max(verdicts, key=VERDICTS.index, default=QUIET)


def quote(text: Any) -> str:
    """What a client, a log or a file says, fit to stand in a sentence.

    Attackers choose such texts: nothing invisible passes, nothing that a template engine would
    take for its own, and only the beginning of what is long.
    """
    return _shown(str(text), _LONGEST_QUOTE)


def sentence(text: Any) -> str:
    """A sentence of the probe's own, whole but for its full stop.

    What it names was written by others: no word of it passes unless quote() lets it.
    """
    words = str(text)[: _LONGEST_SENTENCE * 4].split(" ")
    return _shown(" ".join(quote(word) for word in words), _LONGEST_SENTENCE).rstrip(".")


def _shown(text: str, longest: int) -> str:
    shown = "".join(one if one.isprintable() else " " for one in text[: longest + 1]).strip()
    for opening in ("{{", "{%", "{#"):
        while opening in shown:
            shown = shown.replace(opening, "{ " + opening[1])
    return shown if len(shown) <= longest else shown[:longest] + "..."


def plural(number: float, thing: str) -> str:
    """``1 request``, ``2 requests``, ``2 addresses``."""
    ending = "" if number == 1 else "es" if thing.endswith("s") else "s"
    return f"{number:.0f} {thing}{ending}"


def size(number: float) -> str:
    """Bytes as ``12 MiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "bytes" or number >= 10 else f"{number:.1f} {unit}"


def span(seconds: float) -> str:
    """Seconds as ``40 minutes``."""
    if seconds < 120:
        return plural(seconds, "second")
    return plural(seconds / 60, "minute") if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def clock(at: float) -> str:
    """Seconds since the epoch as ``2026-11-21 12:00 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def epoch(at: str) -> float:
    """Seconds since the epoch of a time of the evidence. ValueError for anything else."""
    return calendar.timegm(time.strptime(at, "%Y-%m-%dT%H:%M:%SZ"))


def percent(share: float) -> str:
    """A share as ``98 %``; never 100 % or 0 % where it is not quite that."""
    shown = round(share * 100)
    if shown == 100 and share < 1:
        return "over 99 %"
    return "under 1 %" if shown == 0 and share > 0 else f"{shown} %"


def mapping(value: Any) -> Mapping[str, Any]:
    """A part of the evidence that may be missing."""
    return value if isinstance(value, Mapping) else {}
