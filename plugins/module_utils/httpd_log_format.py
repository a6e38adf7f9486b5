# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
r"""httpd ``LogFormat`` text to the expression that reads its log.

httpd writes a double quote inside a value as ``\"``, a backslash as ``\\``, and what cannot be
printed as ``\xHH`` or ``\n``. The one exception is an empty user name: two raw quotes.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple, Sequence, Union

from ansible_collections.wpward.wordpress.plugins.module_utils.line_format import (
    BACKSLASH,
    LineFormat,
    Part,
    UnusableFormat,
    Value,
    build,
    chosen,
)
from ansible_collections.wpward.wordpress.plugins.module_utils.log_time import seconds_of

COMMON = '%h %l %u %t "%r" %>s %b'
"""What httpd writes where no LogFormat is given; Bitnami's and RHEL's ``common``."""
COMBINED = COMMON + ' "%{Referer}i" "%{User-Agent}i"'
VHOST_COMBINED = "%v:%p " + COMBINED
"""Debian's, for logs that several virtual hosts share."""
NICKNAMES = {
    "": COMMON,
    "CLF": COMMON,
    "common": COMMON,
    "combined": COMBINED,
    "vhost_combined": VHOST_COMBINED,
    "combinedio": COMBINED + " %I %O",
    "referer": "%{Referer}i -> %U",
    "agent": "%{User-agent}i",
}
"""What distributions mean by a nickname, where the LogFormat line itself is not at hand."""

_NAMES: dict[str, tuple[str, ...]] = {
    # %a is never a name, and %h seldom is; both are the client already where mod_remoteip trusts
    # the proxy. A header such as X-Forwarded-For never counts: a client can write into it.
    "address": ("a", "h", "{c}a", "{c}h"),
    "request": ("r",),
    "method": ("m",),
    "target": ("Uq", "U"),
    "query": ("q",),
    "status": (">s", "s", "<s"),
    "host": ("v", "V"),
    "agent": ("{user-agent}i",),
}
"""The directives for each field, the best first; ``Uq`` is ``%U%q``."""
_NO_BLANKS = frozenset("aAbBDhHIkLlmOpPsSTvVX")
"""Names of clients come from the DNS, which lets no blank through."""
_OF_THE_SERVER = frozenset("enoRx")

_DIRECTIVE = re.compile(r"%((?:[<>!,\d]|\{[^}]*\})*)(\^..|.)", re.S)
_ESCAPE = re.compile(r"\\([\\nrt\"])")
_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t", '"': '"'}

_SAMPLE = 1_330_837_567
"""2012-03-04 05:06:07 UTC, of which every part is another number."""
_STRFTIME = {
    "Y": "2012",
    "m": "03",
    "d": "04",
    "H": "05",
    "M": "06",
    "S": "07",
    "b": "Mar",
    "h": "Mar",
    "z": "+0000",
    "F": "2012-03-04",
    "T": "05:06:07",
    "R": "05:06",
    "s": str(_SAMPLE),
    "%": "%",
}
"""What each letter makes of the sample; all are as wide at any other time."""
_OTHER_TIMES = {
    "sec": str(_SAMPLE),
    "msec": f"{_SAMPLE}000",
    "usec": f"{_SAMPLE}000000",
    "msec_frac": "000",
    "usec_frac": "000000",
}


class _Time(NamedTuple):
    sample: str | None
    """How the sample would be written; None where that is not known."""


class _Directive(NamedTuple):
    letter: str
    key: str
    """As in _NAMES."""


_Item = Union[str, _Time, _Directive]


def _time(parameter: str) -> _Time:
    text = re.sub(r"^(?:begin|end)(?::|\Z)", "", parameter)
    if text in _OTHER_TIMES:
        return _Time(_OTHER_TIMES[text])
    letters = re.findall(r"%(.)", text, re.S)
    if not all(letter in _STRFTIME for letter in letters):
        return _Time(None)
    return _Time(re.sub(r"%(.)", lambda match: _STRFTIME[match.group(1)], text))


def _items(text: str) -> list[_Item]:
    items: list[_Item] = []
    position = 0
    for match in _DIRECTIVE.finditer(text):
        literal = text[position : match.start()]
        items.append(_ESCAPE.sub(lambda escape: _ESCAPES[escape.group(1)], literal))
        position = match.end()
        modifiers, letter = match.groups()
        parameter = "".join(re.findall(r"\{([^}]*)\}", modifiers))
        if letter == "%":
            items.append("%")
        elif letter == "t" and re.fullmatch(r"(?:begin|end)?", parameter):
            items += ["[", _time("%d/%b/%Y:%H:%M:%S %z"), "]"]
        elif letter == "t":
            items.append(_time(parameter))
        elif letter in "ah" and parameter:
            items.append(_Directive(letter, f"{{{parameter}}}{letter}"))
        elif letter == "i":
            items.append(_Directive(letter, f"{{{parameter.lower()}}}i"))
        elif letter == "s":
            items.append(_Directive(letter, "".join(re.findall("[<>]", modifiers)) + letter))
        elif letter == "q" and items[-2:] == [_Directive("U", "U"), ""]:
            items[-2:] = [_Directive("U", "Uq")]
        else:
            items.append(_Directive(letter, letter))
    items.append(_ESCAPE.sub(lambda escape: _ESCAPES[escape.group(1)], text[position:]))
    return items


def _stamp(items: Sequence[_Item]) -> str | None:
    """How the sample is written by all of these; None where that cannot be read as a time."""
    sample = ""
    for item in items:
        text = item.sample if isinstance(item, _Time) else item
        if not isinstance(text, str):
            return None
        sample += text
    local = int(time.mktime((2012, 3, 4, 5, 6, 7, 0, 0, -1)))
    return sample if seconds_of(sample.encode()) in (_SAMPLE, local) else None


def _with_time(items: list[_Item]) -> tuple[list[_Item], str]:
    """The first time stamp, which several directives may write together, as one item."""
    places = [place for place, item in enumerate(items) if isinstance(item, _Time)]
    for first in places:
        for last in reversed(places):
            stamp = _stamp(items[first : last + 1]) if last >= first else None
            if stamp is not None:
                return [*items[:first], _Time(stamp), *items[last + 1 :]], stamp
    if places:
        raise UnusableFormat("the log format writes the time in a way that is not understood")
    return items, ""


def compile_format(text: str, prefix: Sequence[Part] = ()) -> LineFormat:
    """Translate a format as it stands in the configuration, after its quoting there is undone;
    or one of NICKNAMES.

    prefix: what stands before each line, as in syslog_prefix.

    Raises UnusableFormat where the time or the request is not in it. Address, status, host and
    user agent may be missing from ``fields``.
    """
    items, stamp = _with_time(_items(NICKNAMES.get(text, text)))
    fields = chosen(_NAMES, [item.key for item in items if isinstance(item, _Directive)])
    if "Uq" in fields:
        fields.pop("q", None)
    parts: list[Part] = []
    for item in items:
        if isinstance(item, str):
            parts.append(item.encode("utf-8", "surrogateescape"))
        elif isinstance(item, _Time):
            # By its width, which is fast; what is no time after all is found out when it is read.
            known = stamp and item.sample == stamp
            shape = rb"\d.{%d}" % (len(stamp) - 1) if known else None
            parts.append(Value("time" if known else None, shape, forgeable=False))
        else:
            name = fields.get(item.key)
            parts.append(
                Value(
                    name,
                    shape=rb"[-\d]\d*" if item.letter == "s" else None,
                    words=item.letter not in _NO_BLANKS,
                    forgeable=item.letter not in _OF_THE_SERVER,
                    optional=name == "agent",
                )
            )
    return build([*prefix, *parts], BACKSLASH)
